# SPDX-License-Identifier: MIT
"""One run: the rows of a kind, in name spaces of its own, with daemons of its own."""
import json
import os
import platform
import re
import subprocess
import sys
from contextlib import contextmanager, suppress

from benchlib import kinds, parked
from benchlib.daemons import START_SECONDS, CannotMeasure, deadline, set_up, version
from benchlib.judge import judged

ROW_SECONDS = 60


# ---- requests --------------------------------------------------------------------------------------------------


def requests_so_far(mountpoint):
    """How many requests of each kind the daemon has had, by its own count; None where it doesn't tell."""
    try:
        with open(f"{mountpoint}/ctl/metrics", encoding="ascii") as metrics:
            counts = re.findall(r'^ipcfs_requests_total\{op="(\w+)"\} (\d+)', metrics.read(), re.MULTILINE)
    except OSError:
        return None
    return {op: int(count) for op, count in counts} or None


def requests_per_operation(before, after, again, operations):
    """by kind; what asking for the counts cost (the last two differ by that) is taken off."""
    per = {op: (2 * after[op] - before.get(op, 0) - again[op]) / operations for op in after}
    return {op: round(count, 4) for op, count in per.items() if count >= 0.005}


# ---- one row ---------------------------------------------------------------------------------------------------


class Bench:
    def __init__(self, args, where, daemons):
        self.args = args
        self.where = where
        self.processes = [daemon.process for daemon in daemons]
        self.tests = f"{args.build_dir}/tests/bench"

    def command(self, row):
        args = self.args
        command = [f"{self.tests}/bench", f"--rounds={max(3, round(args.rounds * row.rounds))}",
                   f"--max-seconds={ROW_SECONDS // 2}", f"--seed={args.seed}", f"--batch-us={row.batch_us}"]
        if row.clients:
            command.append(f"--clients={row.clients}")
        command += self.cpus(row)
        if row.size:
            command.append(f"--size={row.size}")
        return [*command, row.op, *(f"{name}={path.format(**self.where)}" for name, path in self.ways(row) if path)]

    @staticmethod
    def cpus(row):
        first, *others = sorted(os.sched_getaffinity(0))
        apart = row.apart or row.place == "two"
        options = [f"--cpu={first}"] if apart or row.place else []
        return options + ([f"--peer-cpu={others[0]}"] if apart and others else [])

    def ways(self, row):
        """The first one is what the ratios are taken to."""
        ways = [("native", row.native), ("ipcfs", self.ipcfs(row)), ("floor", row.floor)]
        if row.base == "floor":
            ways.reverse()
        return ways if self.args.self_check else [*ways, ("alone", row.alone)]

    def ipcfs(self, row):
        """To check the measurement itself, what the ratio is taken to is measured in its place."""
        if not self.args.self_check:
            return row.ipcfs
        return row.floor if row.base == "floor" else row.native

    def measure(self, row):
        """The answer of the bench program, with the requests per operation; a failure is {"error": ...}."""
        self.place_daemons(row.place)
        with deadline(2 * ROW_SECONDS, *self.processes), awake(row.awake and can_stay_awake()):
            counts = [self.requests()]
            try:
                done = subprocess.run(self.command(row), capture_output=True, text=True, check=False,
                                      timeout=3 * ROW_SECONDS)
            except subprocess.TimeoutExpired:
                return {"error": f"no end within {3 * ROW_SECONDS} s"}
            counts += [self.requests(), self.requests()]
        if done.returncode != 0:
            return {"error": done.stderr.strip() or f"status {done.returncode}"}
        result = json.loads(done.stdout)
        if None not in counts:
            result["requests"] = requests_per_operation(*counts, result["ways"]["ipcfs"]["done"])
        return result

    def place_daemons(self, place):
        """On the CPU of the client, on the others, or wherever the kernel has them."""
        cpus = os.sched_getaffinity(0)
        first = {min(cpus)}
        wanted = {"one": first, "two": cpus - first or first}.get(place, cpus)
        for process in self.processes:
            for thread in os.listdir(f"/proc/{process.pid}/task"):
                with suppress(ProcessLookupError):  # it has ended since
                    os.sched_setaffinity(int(thread), wanted)

    def parked(self, crowd):
        """Many that wait at once; needs the daemon itself."""
        command = [f"{self.tests}/parked", str(parked.COUNT), *(word.format(**self.where) for word in crowd.words)]
        with deadline(3 * ROW_SECONDS, *self.processes):
            return parked.measure(command, self.processes[0].pid, lambda: self.requests()[crowd.request])

    def disturbed(self, kind):
        """What single requests take beside the others; needs the daemon itself."""
        with deadline(3 * ROW_SECONDS, *self.processes):
            return kind.disturbed(f"{self.tests}/latency", self.where, max(3, self.args.rounds // 10))

    def requests(self):
        return requests_so_far(self.where["mnt"])


# ---- the run ---------------------------------------------------------------------------------------------------


def describe(args, where):
    """What was measured where, by name."""
    facts = {"kernel": platform.release(), "cpus": str(os.cpu_count()), "load": f"{os.getloadavg()[0]:.2f}",
             "rounds": str(args.rounds), "idle": "polling (--steady)" if args.steady else "as it comes"}
    if args.cpu is not None:
        facts["pinned"] = f"CPU {args.cpu}"
    facts["floor loop"] = args.floor
    if args.self_check:
        return {"ipcfs": "none: what it is compared with stands in for it"} | facts
    said = version(where)
    wanted = ("version", "libfuse", "kernel_protocol", "passthrough", "passthrough_reason", "threads")
    return {name: said[name] for name in wanted if name in said} | facts


@contextmanager
def awake(wanted):
    """While the file is open with 0 in it, idle CPUs poll instead of halting, so that waking one costs little."""
    try:
        file = os.open("/dev/cpu_dma_latency", os.O_WRONLY) if wanted else -1
    except OSError as error:
        raise CannotMeasure(f"/dev/cpu_dma_latency: {error.strerror}") from error
    try:
        if file != -1:
            os.write(file, bytes(4))
        yield
    finally:
        if file != -1:
            os.close(file)


def can_stay_awake():
    return os.access("/dev/cpu_dma_latency", os.W_OK)


def run_kind(args, tmp):
    """Measures what args.kind names, in name spaces that are there; what was found, as it is written to files."""
    os.environ["LC_ALL"] = "C"
    if args.cpu is not None:
        try:
            os.sched_setaffinity(0, {args.cpu})
        except OSError as error:
            raise CannotMeasure(f"--cpu: {error.strerror}") from error
    kind = kinds.find(args.kind)
    where, daemons = set_up(args, kind, tmp)
    try:
        with deadline(START_SECONDS, *(daemon.process for daemon in daemons)):
            facts = describe(args, where)
        with awake(args.steady):
            return {"kind": args.kind, "facts": facts, **measure_kind(args, kind, Bench(args, where, daemons))}
    finally:
        for daemon in reversed(daemons):
            daemon.stop()


def measure_kind(args, kind, bench):
    waiting = measure_parked(args, kind, bench)  # first: what others have given back would do for them
    rows = [row for row in kind.rows() if is_wanted(args, row) and bench.ipcfs(row)]
    found = []
    for number, row in enumerate(rows, 1):
        if sys.stderr.isatty():
            print(f"\r\033[K{args.kind}: {number}/{len(rows)} {row.label}", end="", file=sys.stderr, flush=True)
        found.append(judged(row, bench.measure(row)))
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return {"rows": found, "parked": waiting, "disturbed": measure_disturbed(args, kind, bench)}


def is_wanted(args, row):
    return re.search(args.only, row.label) and (row.path or not args.paths)


def measure_parked(args, kind, bench):
    """Of those who wait, what there is to say; nothing where it is not asked for."""
    crowd = kind.parked
    if not crowd or args.self_check or not re.search(args.only, crowd.label):
        return {}
    return {"what": crowd.label, **bench.parked(crowd)}


def measure_disturbed(args, kind, bench):
    if not kind.disturbed or args.self_check or args.paths or not re.search(args.only, "latency"):
        return {}
    return bench.disturbed(kind)


def has_failed(found):
    return any("error" in part for part in [*found["rows"], found["parked"], found["disturbed"]])
