# SPDX-License-Identifier: MIT
"""What was found of how cost grows: curves, and a table of ratios."""
import statistics

from benchlib.table import columns

GROUPS = {"objects": "objects", "clients": "clients at once", "sizes": "bytes"}
WAYS = ("native", "ipcfs", "floor")


# ---- curves ----------------------------------------------------------------------------------------------------


def curves(runs):
    """Each with its points in order. The time of one operation, in µs, is the median over the passes."""
    found = {}
    for run in runs:
        for row in run["rows"]:
            if row["curve"]:
                found.setdefault(row["curve"], {}).setdefault(row["x"], []).append(row)
    return [{"group": name.partition("/")[0], "name": name.partition("/")[2],
             "points": [point(x, rows) for x, rows in sorted(points.items())]} for name, points in found.items()]


def point(x, rows):
    errors = [row["error"] for row in rows if "error" in row]
    if errors:
        return {"x": x, "error": errors[0]}
    us, spread = {}, {}
    for way in WAYS:
        found = [row["ways"][way]["us"] for row in rows if way in row["ways"]]
        if found:
            us[way] = statistics.median(one["median"] for one in found)
            spread[way] = [min(one["p10"] for one in found), max(one["p90"] for one in found)]
    return {"x": x, "us": us, "spread": spread}


# ---- text ------------------------------------------------------------------------------------------------------


def cell(point_at, base):
    """The ratio of ipcfs to the base."""
    if point_at is None or base not in point_at.get("us", {}):
        return "failed" if point_at and "error" in point_at else "-"
    return f"{point_at['us']['ipcfs'] / point_at['us'][base]:.3g}"


def rate(point_at, way):
    if point_at is None or way not in point_at.get("us", {}):
        return "-"
    return f"{1e6 / point_at['us'][way]:,.0f}"


def lines_of(curve, places, cells):
    at = {point_at["x"]: point_at for point_at in curve["points"]}
    return [[f"  {curve['name']}, {what}", *(show(at.get(x), way) for x in places)]
            for what, show, way in cells if any(way in point_at.get("us", {}) for point_at in curve["points"])]


RATIOS = (("x native", cell, "native"), ("x floor", cell, "floor"))
RATES = tuple((f"a second, {way}", rate, way) for way in WAYS)


def group_text(group, unit, chosen):
    places = sorted({point_at["x"] for curve in chosen for point_at in curve["points"]})
    lines = [[unit, *(f"{x:,}" for x in places)]]
    for curve in chosen:
        lines += lines_of(curve, places, RATIOS + (RATES if group == "clients" else ()))
    return "\n".join(columns(lines))


def text(found):
    groups = ((group, unit, [curve for curve in found if curve["group"] == group]) for group, unit in GROUPS.items())
    return "How cost grows: ratios of the times of ipcfs.\n\n" + "\n\n".join(
        group_text(group, unit, chosen) for group, unit, chosen in groups if chosen)
