# SPDX-License-Identifier: MIT
"""What one run has found, as text."""
from benchlib import inspection, parked


def show_time(us):
    for limit, factor, unit in ((0.1, 1e3, "ns"), (1e3, 1, "µs"), (1e6, 1e-3, "ms")):
        if us < limit:
            return f"{us * factor:.3g} {unit}"
    return f"{us / 1e6:.3g} s"


def show_way(found, name):
    way = found["ways"].get(name)
    if way is None:
        return "-"
    us = way["us"]
    return f"{show_time(us['median'])} ±{100 * us['mad'] / us['median']:.0f}%"


def show_target(found):
    if found["target"] is None:
        return "-"
    slack = f" ±{found['slack']:g}" if found["slack"] else ""
    sign = "≥" if found["sense"] == "speed" else "≤"
    return f"{sign} {found['target']:g}{slack}"


def show_unit(found):
    """What the ratio is one of; nothing where it is none."""
    if found["sense"] == "speed":
        return " speed"
    return " x " + found["base"] if found["base"] else ""


def full_name(found):
    """With the kind, where rows of several kinds stand together."""
    return found["row"] if found["row"].startswith(found["kind"] + ":") else f"{found['kind']}: {found['row']}"


def show_count(count):
    return f"{count:.0f}" if count >= 100 else f"{count:.3g}"


def show_met(met):
    return "-" if met is None else "yes" if met else "NO"


def row_cells(found):
    if "error" in found:
        return [found["row"], "could not measure: " + found["error"]]
    requests = show_count(sum(found["requests"].values())) if "requests" in found else "-"
    return [found["row"], *(show_way(found, name) for name in ("native", "ipcfs", "floor")), requests,
            f"{found['value']:.3g}{show_unit(found)}", f"{found['low']:.3g}-{found['high']:.3g}", show_target(found),
            show_met(found["met"])]


def columns(lines):
    """Lines of cells, one below the other; what is too short for all columns says something of its own."""
    full = [line for line in lines if len(line) == len(lines[0])]
    widths = [max(len(line[i]) for line in full) for i in range(len(lines[0]))]
    widths[0] = max(len(line[0]) for line in lines)
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]


HEADER = ["path", "native", "ipcfs", "floor", "requests", "ratio", "p10-p90", "target", "met"]

LEGEND = """
native, ipcfs, floor: median time of one operation, ± median absolute deviation. floor: the same on a FUSE file
system that does nothing; for the data of an object, the kernel's passthrough alone; for ping-pong, files that hold one
message; for what one process writes and another one reads, a file that takes and gives everything at once; beside a tool,
what starting cat costs. requests:
how many reached the daemon per operation. ratio: taken within each round; its median, then its 10th and 90th
percentile. speed: native time / ipcfs time."""


# ---- beside the table ------------------------------------------------------------------------------------------


def rate_line(found):
    """How many a second, of operations or of bytes, for the rows where that is what one wants to know."""
    if "error" in found or not (found["rate"] or found["throughput"]):
        return []
    unit, each = ("MiB per second", found["size"] / (1 << 20)) if found["throughput"] else ("per second", 1)
    rates = (f"{name} {1e6 * each / way['us']['median']:,.0f}" for name, way in sorted(found["ways"].items(), reverse=True))
    return [f"{unit}, {found['row']}: " + ", ".join(rates)]


def alone_line(found):
    """What was measured beside the table."""
    if "alone" not in found.get("ways", {}):
        return []
    return [f"without a process, {found['row']}: {show_way(found, 'alone')}"]


def requests_line(found):
    """Which requests they were, for the rows where there was about one per operation."""
    kinds = {op: count for op, count in found.get("requests", {}).items() if count >= 0.5}
    if not kinds:
        return []
    return [f"requests, {found['row']}: " + ", ".join(f"{op} {show_count(count)}" for op, count in kinds.items())]


def facts_text(facts):
    text = "; ".join(f"{name}: {value}" for name, value in facts.items())
    if float(facts["load"]) > float(facts["cpus"]):
        text += "\nThe machine is busy with other things: repeat this when it is not."
    return text


def run_text(run):
    lines = [facts_text(run["facts"]), *columns([HEADER] + [row_cells(found) for found in run["rows"]]), LEGEND]
    for line_of in (rate_line, alone_line, requests_line):
        for found in run["rows"]:
            lines += line_of(found)
    if run["disturbed"]:
        lines.append(inspection.text(run["disturbed"]))
    if run["parked"]:
        lines.append(parked.text(run["parked"]))
    return "\n".join(lines)
