# SPDX-License-Identifier: MIT
"""Starts runs, each in name spaces of its own, and collects what they have found."""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

from benchlib import curves, growth, paths
from benchlib.daemons import CannotMeasure, run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = ("bench", "crowd", "latency", "nopfs", "parked")
SPACES = ("unshare", "--mount", "--ipc", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")


def build(build_dir):
    """The directory of the build to measure; unless it is given, a release build of what is needed and no more."""
    if build_dir:
        return os.path.abspath(build_dir)
    where = f"{ROOT}/build-bench"
    if not os.path.exists(f"{where}/build.ninja"):
        shutil.rmtree(where, ignore_errors=True)
        run("meson", "setup", "-Dbuildtype=release", where, ROOT)
    run("ninja", "-C", where, "ipcfs", *(f"tests/bench/{name}" for name in PROGRAMS))
    return where


def run_apart(args, **changes):
    """What a run has found: this script again, told by a file what to measure, in name spaces of its own."""
    with tempfile.TemporaryDirectory(prefix="ipcfs-bench-") as tmp:
        os.mkdir(f"{tmp}/inside")
        order = f"{tmp}/order.json"
        with open(order, "w", encoding="utf-8") as file:
            json.dump(vars(args) | changes | {"tmp": f"{tmp}/inside", "result": f"{tmp}/result.json"}, file)
        status = subprocess.run([*SPACES, sys.executable, f"{ROOT}/scripts/bench", "--inside", order], check=False).returncode
        if status != 0:
            raise CannotMeasure(f"a run ended with status {status}")
        with open(f"{tmp}/result.json", encoding="utf-8") as file:
            return json.load(file)


# ---- many runs -------------------------------------------------------------------------------------------------


def plan(args):
    """(pass, kind) of each run, those of a pass in an order of its own."""
    order = random.Random(args.seed)
    runs = []
    for number in range(1, args.passes + 1):
        kinds = list(paths.KINDS if args.kind == "all" else [])
        kinds += growth.plan(args) if args.kind == "growth" or number == 1 else []
        order.shuffle(kinds)
        runs += [(number, kind) for kind in kinds]
    return runs


def run_all(args):
    """Everything; as it is written to files."""
    runs = []
    planned = plan(args)
    for done, (number, kind) in enumerate(planned):
        print(f"bench: {done + 1} of {len(planned)}: pass {number}, {kind}", file=sys.stderr)
        begin = time.monotonic()
        paths_only = kind in paths.KINDS
        found = run_apart(args, kind=kind, paths=paths_only, seed=args.seed + done,
                          rounds=args.rounds if paths_only else growth.ROUNDS[growth.plan(args)])
        runs.append({"pass": number, "seconds": round(time.monotonic() - begin, 1)} | found)
    return {"facts": runs[0]["facts"] | {"rounds": str(args.rounds), "passes": str(args.passes)}, "runs": runs,
            "paths": paths.summary(runs) if args.kind == "all" else [], "curves": curves.curves(runs)}
