# SPDX-License-Identifier: MIT
"""The paths that have a target: what several passes have found of each, in one table.

A pass has daemons and objects of its own. The value of a row is the median over the passes, its spread their range: how
lucky one start was, which the rounds within a pass can't tell."""
import statistics
from dataclasses import dataclass

from benchlib import parked
from benchlib.judge import meets
from benchlib.table import columns, full_name, show_met, show_target, show_unit


@dataclass
class Path:
    name: str
    floor: str
    target: str


# In this order. What belongs to which is said by the rows.
PATHS = {
    "mapping": Path("shm, sysv/shm: load/store in a mapping", "native mapping", "1.00"),
    "data": Path("shm: 4 KiB read/write; 1 MiB", "native tmpfs file", "≥ 0.90; ≥ 0.98"),
    "channel": Path("pipe, bound sock: ping-pong and throughput", "native FIFO, native socket", "≥ 0.97"),
    "message": Path("mq, sysv/msg: one message, handle open", "a no-op FUSE write on the same loop", "≤ 1.15 x"),
    "lines": Path("mq lines, 64-byte messages", "native mq_send loop, one call per message", "≥ 1.0"),
    "control": Path("control file open+read+close", "the same on a no-op FUSE file", "≤ 1.3 x"),
    "ls": Path("ls -l of 10,000 shm objects", "ls -l of the tmpfs directory", "≤ 3 x"),
    "list": Path("list.json of 4,000 System V segments", "ipcs -m", "≤ 1.0 x"),
    "parked": Path("10,000 parked readers", "-", "≤ 4 KiB each, no thread each, 0 % CPU"),
}
KINDS = ("shm", "mq", "sysv-msg", "sysv", "pipe", "sock")


# ---- what the passes have found --------------------------------------------------------------------------------


def rows_of(run):
    """Those of a path, and what the parked ones cost as rows, too."""
    return [found for found in run["rows"] if found["path"]] + parked.rows(run["parked"])


def combine(kind, found):
    """One row, as it was found in each pass."""
    same = {name: found[0][name] for name in ("row", "path", "sense", "base", "target", "slack")} | {"kind": kind}
    errors = [one["error"] for one in found if "error" in one]
    if errors:
        return same | {"error": errors[0], "met": None if same["target"] is None else False}
    values = [one["value"] for one in found]
    value = statistics.median(values)
    return same | {"value": value, "passes": values, "low": min(one["low"] for one in found),
                   "high": max(one["high"] for one in found), "met": meets(value, same),
                   "met_in": sum(meets(one, same) is True for one in values)}


def distance(row):
    """How far on the wrong side of its target: above 1 it is missed."""
    if "error" in row:
        return float("inf")
    if row["sense"] == "speed":
        return (row["target"] - row["slack"]) / row["value"]
    allowed = row["target"] + row["slack"]
    if row["target"]:
        return row["value"] / allowed
    return 0 if row["value"] <= allowed else 1 + row["value"]  # there is no ratio to nothing


def summary(runs):
    """A list of the paths, each with its rows; the first of these is the worst."""
    by_row = {}
    for run in runs:
        for found in rows_of(run):
            by_row.setdefault((run["kind"], found["row"]), []).append(found)
    rows = [combine(kind, found) for (kind, _), found in by_row.items()]
    return [summary_of(key, path, [row for row in rows if row["path"] == key]) for key, path in PATHS.items()]


def summary_of(key, path, rows):
    rows.sort(key=lambda row: -1 if row["target"] is None else distance(row), reverse=True)
    judged = [row["met"] for row in rows if row["met"] is not None]
    return {"path": path.name, "key": key, "floor": path.floor, "target": path.target, "rows": rows,
            "met": all(judged) if judged else None}


# ---- text ------------------------------------------------------------------------------------------------------

ROW_HEADER = ["", "ratio", "passes", "rounds", "target", "met"]
HEADER = ["path", "floor", "ratio", "passes", "rounds", "target", "met"]

LEGEND = """
ratio: to the floor, taken within each round; the median of a pass, and of these the median over the passes. passes: the least
and the greatest of them, each with daemons of its own. rounds: the least 10th and the greatest 90th percentile within a pass.
met: in how many of the passes, where they don't agree. speed: time of the floor / time of ipcfs. on one CPU, on two CPUs: the
client and who answers it. floor as deep: with as many directories to be looked up as in ipcfs. A path is as good as the worst
of its rows, which is shown, and has met its target where all of them have."""


def spread(values):
    low, high = (f"{value:.3g}" for value in (min(values), max(values)))
    return low if low == high else f"{low}-{high}"


def value_cells(row):
    if "error" in row:
        return ["failed", "-", "-"]
    return [f"{row['value']:.3g}{show_unit(row)}", spread(row["passes"]), spread([row["low"], row["high"]])]


def met_text(row):
    if row["met"] is None or row["met_in"] in (0, len(row["passes"])):
        return show_met(row["met"])
    return f"{show_met(row['met'])} ({row['met_in']} of {len(row['passes'])})"


def row_line(row):
    name = "  " + full_name(row)
    if "error" in row:
        return [f"{name}: could not measure: {row['error']}"]
    return [name, *value_cells(row), show_target(row), met_text(row)]


def rows_text(paths):
    """Every row, below its path; the worst first."""
    lines = [ROW_HEADER]
    for path in paths:
        lines += [[path["path"]], *map(row_line, path["rows"])]
    return "\n".join(columns(lines))


def path_line(path):
    judged = [row["met"] for row in path["rows"] if row["met"] is not None]
    if not judged:
        return [path["path"], path["floor"], "not measured", "-", "-", path["target"], "-"]
    met = show_met(path["met"]) + (f" ({sum(judged)} of {len(judged)} rows)" if len(judged) > 1 else "")
    return [path["path"], path["floor"], *value_cells(path["rows"][0]), path["target"], met]


def table_text(paths):
    return "\n".join(columns([HEADER, *map(path_line, paths)]))
