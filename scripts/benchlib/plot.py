# SPDX-License-Identifier: MIT
"""The results as a drawing: each ratio against its target, and the curves of how cost grows."""
from benchlib.curves import GROUPS, WAYS
from benchlib.paths import distance
from benchlib.svg import Drawing, LogScale
from benchlib.table import full_name, show_target, show_time, show_unit

WIDTH = 1000
MARGIN = 20

# ---- ratios ----------------------------------------------------------------------------------------------------

LINE = 16
SCALE_LEFT, SCALE_RIGHT = 470, 800
TIMES = (0.1, 0.2, 0.5, 1, 2, 5, 10)  # of the target


def rows_of(path):
    return [row for row in path["rows"] if row["target"] is not None]


def ratios_height(paths):
    return 70 + sum(LINE * (1 + len(rows_of(path))) + 6 for path in paths) if paths else 0


def draw_ratios(drawing, paths, top):
    scale = LogScale(TIMES[0], TIMES[-1], SCALE_LEFT, SCALE_RIGHT)
    bottom = top + ratios_height(paths) - 20
    drawing.text(MARGIN, top + 16, "Cost in multiples of what the target allows", "title")
    drawing.text(MARGIN, top + 34, "left of the line: met. mark: median; thick: range of the passes; thin: "
                 "10th to 90th percentile of the rounds", "small")
    for times in TIMES:
        x = scale(times)
        drawing.line(x, top + 58, x, bottom, "goal" if times == 1 else "grid")
        drawing.text(x, top + 52, f"{times:g}", "small", "middle")
    y = top + 58
    for path in paths:
        y += LINE
        drawing.text(MARGIN, y, path["path"], "head")
        for row in rows_of(path):
            y += LINE
            draw_ratio(drawing, row, scale, y)
        y += 6


def draw_ratio(drawing, row, scale, y):
    drawing.text(MARGIN + 12, y, full_name(row))
    if "error" in row:
        drawing.text(SCALE_RIGHT + 12, y, "could not be measured")
        return
    look = "met" if row["met"] else "missed"
    cost = [scale(distance(row | {"value": value})) for value in (row["value"], row["low"], row["high"], *row["passes"])]
    middle = y - 4
    drawing.line(cost[1], middle, cost[2], middle, f"range {look}")
    drawing.line(min(cost[3:]), middle, max(cost[3:]), middle, f"passes {look}")
    (drawing.dot if row["met"] else drawing.diamond)(cost[0], middle, look)
    drawing.text(SCALE_RIGHT + 12, y, f"{row['value']:.3g}{show_unit(row)} ({show_target(row)})")


# ---- curves ----------------------------------------------------------------------------------------------------

COLUMNS = 3
PANEL_WIDTH, PANEL_HEIGHT = (WIDTH - 2 * MARGIN) // COLUMNS, 190


def measured(curve):
    return [point for point in curve["points"] if "us" in point]


def grouped(curves):
    """(unit, curves) of each group that has any; a curve of one point is none."""
    found = ((group, unit, [one for one in curves if one["group"] == group and len(measured(one)) > 1])
             for group, unit in GROUPS.items())
    return [one for one in found if one[2]]


def group_height(count):
    return 50 + PANEL_HEIGHT * -(-count // COLUMNS)


def curves_height(curves):
    return sum(group_height(len(chosen)) for _, _, chosen in grouped(curves))


def draw_curves(drawing, curves, top):
    for group, unit, chosen in grouped(curves):
        rate = group == "clients"
        what = "operations a second, of all together" if rate else "time of one operation"
        drawing.text(MARGIN, top + 16, f"How cost grows: {what}, by {unit}", "title")
        draw_legend(drawing, top + 34)
        for number, curve in enumerate(chosen):
            draw_panel(drawing, curve, MARGIN + number % COLUMNS * PANEL_WIDTH, top + 44 + number // COLUMNS * PANEL_HEIGHT, rate)
        top += group_height(len(chosen))


def draw_legend(drawing, y):
    for number, way in enumerate(WAYS):
        x = MARGIN + 90 * number
        drawing.path([(x, y - 4), (x + 24, y - 4)], way)
        drawing.text(x + 30, y, way, "small")


def count_text(value):
    for limit, unit in ((1 << 20, "Mi"), (1 << 10, "Ki")):
        if value >= limit and value % limit == 0:
            return f"{value // limit} {unit}"
    return f"{value:,}"


def value_of(us, rate):
    return 1e6 / us if rate else us


def draw_panel(drawing, curve, left, top, rate):
    points = measured(curve)
    values = [value_of(us, rate) for point in points for us in point["us"].values()]
    x_of = LogScale(points[0]["x"], points[-1]["x"], left + 52, left + PANEL_WIDTH - 24)
    y_of = LogScale(min(values) / 1.3, max(values) * 1.3, top + PANEL_HEIGHT - 34, top + 26)
    drawing.text(left, top + 14, curve["name"], "head")
    draw_axes(drawing, points, x_of, y_of, rate)
    for way in WAYS:
        draw_way(drawing, [point for point in points if way in point["us"]], way, (x_of, y_of), rate)


def draw_axes(drawing, points, x_of, y_of, rate):
    for value in y_of.ticks():
        drawing.line(x_of.start, y_of(value), x_of.end, y_of(value), "grid")
        drawing.text(x_of.start - 6, y_of(value) + 3, f"{value:,.0f}" if rate else show_time(value), "small", "end")
    drawing.line(x_of.start, y_of.start, x_of.end, y_of.start, "grid")
    last = None
    for point in points:
        x = x_of(point["x"])
        if last is None or x - last > 38:  # wide enough for the number before
            drawing.text(x, y_of.start + 14, count_text(point["x"]), "small", "middle")
            last = x


def draw_way(drawing, points, way, scales, rate):
    x_of, y_of = scales

    def along(values):
        return [(x_of(point["x"]), y_of(value_of(us, rate))) for point, us in zip(points, values)]

    line = along(point["us"][way] for point in points)
    edges = [along(point["spread"][way][end] for point in points) for end in (0, 1)]
    if len(line) > 1:
        drawing.band(edges[0] + edges[1][::-1], way)
        drawing.path(line, way)
    for x, y in line:
        drawing.dot(x, y, way, 2.5)


def svg(found):
    height = ratios_height(found["paths"]) + curves_height(found["curves"]) + 2 * MARGIN
    drawing = Drawing(WIDTH, height, "What ipcfs costs beside the native objects and beside a file system that does nothing")
    if found["paths"]:
        draw_ratios(drawing, found["paths"], MARGIN)
    draw_curves(drawing, found["curves"], MARGIN + ratios_height(found["paths"]))
    return str(drawing)
