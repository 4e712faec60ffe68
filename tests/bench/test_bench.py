# SPDX-License-Identifier: MIT
"""scripts/bench without a measurement: its rows, and what it makes of recorded results.  usage: test_bench.py BENCH-PROGRAM"""
import argparse
import copy
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from xml.etree import ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "../../scripts"))
from benchlib import curves, drive, growth, judge, kinds, paths, plot, run, svg, table, write
from benchlib.rows import Row

PROGRAM = ""
WHERE = {"shm": "/s", "mnt": "/m", "nop": "/n"}


def recorded():
    """Two passes of some kinds, and some points of curves."""
    with open(f"{HERE}/recorded.json", encoding="utf-8") as file:
        return json.load(file)["runs"]


def results(runs=None):
    runs = runs or recorded()
    return {"facts": runs[0]["facts"], "runs": runs, "paths": paths.summary(runs), "curves": curves.curves(runs)}


def row_of(found, name):
    return next(row for path in found["paths"] for row in path["rows"] if row["row"] == name)


def slowed(runs, name, factor):
    """As if ipcfs had taken longer for that row, in all passes."""
    runs = copy.deepcopy(runs)
    for one in runs:
        for number, found in enumerate(one["rows"]):
            if found["row"] != name:
                continue
            for part in ("us", "ratio"):
                of = found["ways"]["ipcfs"][part]
                found["ways"]["ipcfs"][part] = {key: value * factor for key, value in of.items()}
            same = {key: found[key] for key in judge.KEPT}
            row = Row(name, found["operation"], "", **same)
            one["rows"][number] = judge.judged(row, {key: found[key] for key in ("operation", "ways")})
    return runs


class Rows(unittest.TestCase):
    names = [*kinds.KINDS, *growth.FULL, *growth.SHORT, *growth.QUICK]

    def test_each_has_an_operation_of_the_program(self):
        known = re.findall(r"^  ([a-z][a-z-]*) ", subprocess.run([PROGRAM, "--help"], capture_output=True, text=True,
                                                                 check=True).stdout, re.MULTILINE)
        for name in self.names:
            for row in kinds.find(name).rows():
                self.assertIn(row.op, known, f"{name}: {row.label}")

    def test_each_has_a_name_of_its_own_and_ways_that_can_be_found(self):
        for name in self.names:
            rows = kinds.find(name).rows()
            if name != "inspect":  # its rows are named by objects, which here are not there
                self.assertEqual(len({row.label for row in rows}), len(rows), name)
            for row in rows:
                for way in (row.native, row.ipcfs, row.floor, row.alone):
                    self.assertNotIn("{", way.format(**WHERE))
                self.assertTrue(row.native if row.base == "native" else row.floor, f"{name}: {row.label}")

    def test_each_path_with_a_target_has_some(self):
        found = {row.path for name in paths.KINDS for row in kinds.find(name).rows()}
        self.assertEqual(found - {""} | {"parked"}, set(paths.PATHS))
        self.assertTrue(any(kinds.find(name).parked for name in paths.KINDS))

    def test_what_is_no_kind_is_none(self):
        for name in ("", "all", "shm@5", "clients", "clients@", "clients@0", "clients@x", "sizes@1,,2"):
            self.assertIsNone(kinds.find(name), name)

    def test_a_plan_has_each_kind_once_in_each_pass(self):
        args = argparse.Namespace(kind="all", passes=3, seed=1, quick=False)
        planned = drive.plan(args)
        for number in (1, 2, 3):
            of_pass = [kind for one, kind in planned if one == number]
            self.assertEqual(sorted(of_pass), sorted([*paths.KINDS, *(growth.SHORT if number == 1 else ())]))
        args.kind, args.passes = "growth", 1
        self.assertEqual(sorted(kind for _, kind in drive.plan(args)), sorted(growth.FULL))


class Judgement(unittest.TestCase):
    def test_targets(self):
        speed = {"sense": "speed", "target": 1.0, "slack": 0.02}
        cost = {"sense": "cost", "target": 1.15, "slack": 0}
        self.assertEqual([judge.meets(value, speed) for value in (0.97, 0.98, 1.5)], [False, True, True])
        self.assertEqual([judge.meets(value, cost) for value in (0.5, 1.15, 1.16)], [True, True, False])
        self.assertIsNone(judge.meets(1, cost | {"target": None}))

    def test_it_is_what_was_recorded(self):
        runs = recorded()
        for before, now in zip(runs, slowed(runs, "send 64 bytes, on one CPU", 1.0)):
            for old, new in zip(before["rows"], now["rows"]):
                self.assertEqual(old["met"], new["met"])
                self.assertAlmostEqual(old["value"], new["value"], 4)

    def test_the_median_over_the_passes_counts(self):
        row = row_of(results(), "send 64 bytes, on one CPU")
        self.assertEqual(len(row["passes"]), 2)
        self.assertAlmostEqual(row["value"], sum(row["passes"]) / 2)
        self.assertLessEqual(row["low"], min(row["passes"]))
        self.assertGreaterEqual(row["high"], max(row["passes"]))

    def test_what_becomes_slow_is_the_worst_of_its_path(self):
        name = "get ctl/version, on one CPU"
        before, after = results(), results(slowed(recorded(), name, 3))
        control = [next(path for path in found["paths"] if path["key"] == "control") for found in (before, after)]
        self.assertEqual([path["met"] for path in control], [True, False])
        self.assertEqual(control[1]["rows"][0]["row"], name)
        self.assertAlmostEqual(row_of(after, name)["value"], 3 * row_of(before, name)["value"], 4)

    def test_one_missed_row_is_enough_and_comes_first(self):
        for name in ("read 4 KiB", "write 4 KiB"):
            data = next(path for path in results(slowed(recorded(), name, 2))["paths"] if path["key"] == "data")
            self.assertEqual([row["row"] for row in data["rows"]][0], name)
            other = data["rows"][1] | {"met": True}
            again = paths.summary_of("data", paths.PATHS["data"], [other, data["rows"][0]])
            self.assertIs(again["met"], False)
            self.assertEqual(again["rows"][0]["row"], name)

    def test_readers_that_could_not_wait_are_a_failure(self):
        runs = recorded()
        next(one for one in runs if one["parked"])["parked"] = {"what": "blocked readers", "error": "broken"}
        parked = next(path for path in results(runs)["paths"] if path["key"] == "parked")
        self.assertIs(parked["met"], False)
        self.assertEqual({row["error"] for row in parked["rows"]}, {"broken"})

    def test_speed_is_the_other_way_round(self):
        name = "read 4 KiB"
        before, after = (row_of(found, name)["value"] for found in (results(), results(slowed(recorded(), name, 2))))
        self.assertAlmostEqual(after, before / 2, 4)

    def test_a_failure_is_no_success(self):
        runs = recorded()
        rows = next(one for one in runs if one["kind"] == "pipe")["rows"]
        rows[0] = {key: rows[0][key] for key in ("row", *judge.KEPT)} | {"error": "broken"}
        found = results(runs)
        channel = next(path for path in found["paths"] if path["key"] == "channel")
        self.assertIs(channel["met"], False)
        self.assertIn("could not measure: broken", paths.rows_text(found["paths"]))
        self.assertIn("failed", paths.table_text(found["paths"]))
        self.assertTrue(any(run.has_failed(one) for one in runs))
        ElementTree.fromstring(plot.svg(found))


class Text(unittest.TestCase):
    def test_the_last_table_has_the_paths_in_order(self):
        lines = write.text_of(results()).splitlines()[-len(paths.PATHS):]
        for line, path in zip(lines, paths.PATHS.values()):
            self.assertTrue(line.startswith(path.name), line)
            self.assertIn(path.target, line)
        self.assertRegex(lines[-1], r"yes \(3 of 3 rows\)$")
        self.assertRegex(lines[0], r"not measured")

    def test_passes_that_do_not_agree_are_told(self):
        found = results()
        row = row_of(found, "send 64 bytes, on one CPU")
        row |= {"met": True, "met_in": 1}
        self.assertEqual(paths.met_text(row), "yes (1 of 2)")
        self.assertEqual(paths.met_text(row | {"met_in": 2}), "yes")

    def test_growth(self):
        found = results()["curves"]
        text = curves.text(found)
        us = found[0]["points"][0]["us"]
        self.assertRegex(text, rf"  {found[0]['name']}, x floor +{us['ipcfs'] / us['floor']:.3g} ")
        self.assertRegex(text, r"objects +10 +1,000")
        self.assertRegex(text, r"shm: stat of one, x native +\d[\d.]* +\d[\d.]*\n")
        self.assertRegex(text, r"a second, floor +[\d,]+ +[\d,]+\n")

    def test_one_run(self):
        one = next(one for one in recorded() if one["kind"] == "shm")
        self.assertRegex(table.run_text(one), r"read 4 KiB .* speed .*≥ 0.9")


class Files(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)

    def test_all_by_one_option(self):
        out = f"{self.directory.name}/new"
        args = argparse.Namespace(json=None, svg=None, out=out)
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            stdout, sys.stdout = sys.stdout, nowhere
            try:
                write.all_of(args, results())
            finally:
                sys.stdout = stdout
        self.assertEqual(sorted(os.listdir(out)), ["plot.svg", "results.json", "table.txt"])
        with open(f"{out}/results.json", encoding="utf-8") as file:
            self.assertEqual(json.load(file), results())
        with open(f"{out}/table.txt", encoding="utf-8") as file:
            self.assertEqual(file.read(), write.text_of(results()) + "\n")
        ElementTree.parse(f"{out}/plot.svg")


class Plot(unittest.TestCase):
    def setUp(self):
        self.text = plot.svg(results())
        self.root = ElementTree.fromstring(self.text)

    def all_of(self, name):
        return self.root.iter(f"{{{svg.NAMESPACE}}}{name}")

    def test_needs_nothing_from_outside(self):
        for word in ("href", "script", "font-face", "url(", "@import", "NaN", "inf"):
            self.assertNotIn(word, self.text)
        self.assertIn("prefers-color-scheme: dark", self.text)

    def test_every_look_is_styled_for_both(self):
        light, dark = svg.STYLE.split("@media")
        for look in {word for element in self.root.iter() for word in element.get("class", "").split()} - {"dot", "line", "band"}:
            self.assertIn(f".{look} ", light.replace(",", " ").replace(".dot", " "), look)
        for look in ("met", "missed", "native", "ipcfs", "floor", "grid", "goal", "page"):
            self.assertIn(f".{look}", dark)

    def test_all_is_on_the_page(self):
        self.check_places(self.root)

    def test_what_is_beyond_the_scale_is_at_its_end(self):
        for factor in (1e-4, 1e4):
            runs = slowed(recorded(), "send 64 bytes, on one CPU", factor)
            self.check_places(ElementTree.fromstring(plot.svg(results(runs))))

    def check_places(self, root):
        width, height = map(float, root.get("viewBox").split()[2:])
        for element in root.iter():
            for name, value in element.items():
                if name in ("x", "x1", "x2", "cx"):
                    self.assertTrue(0 <= float(value) <= width, (element.tag, name, value))
                if name in ("y", "y1", "y2", "cy"):
                    self.assertTrue(0 <= float(value) <= height, (element.tag, name, value))
                if name == "points":
                    for x, y in (point.split(",") for point in value.split()):
                        self.assertTrue(0 <= float(x) <= width and 0 <= float(y) <= height, value)

    def test_every_row_has_a_mark_and_every_curve_its_lines(self):
        found = results()
        marks = [element for name in ("circle", "polygon") for element in self.all_of(name)
                 if {"met", "missed"} & set(element.get("class").split())]
        self.assertEqual(len(marks), sum(row["target"] is not None for path in found["paths"] for row in path["rows"]))
        legends = len({curve["group"] for curve in found["curves"]}) * len(curves.WAYS)
        ways = sum(len(curve["points"][0]["us"]) for curve in found["curves"])
        self.assertEqual(len(list(self.all_of("polyline"))), legends + ways)

    def test_a_better_row_is_further_left(self):
        name = "send 64 bytes, on one CPU"

        def place(found):
            drawing = svg.Drawing(1000, 100, "")
            plot.draw_ratio(drawing, row_of(found, name), svg.LogScale(0.1, 10, 0, 100), 50)
            return next(float(mark.get("cx") or mark.get("points").split(",")[0]) for mark in drawing.root
                        if "dot" in mark.get("class", ""))

        self.assertLess(place(results(slowed(recorded(), name, 0.5))), place(results()))
        self.assertLess(place(results()), place(results(slowed(recorded(), name, 3))))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
