# SPDX-License-Identifier: MIT
"""What scripts/bench inspect measures: the files that show the whole system, beside the tools that find out the same."""
import os
import signal
import subprocess
import time

from benchlib.rows import Kind, Row, prepare_floor

PROCESSES = 2000
OBJECTS = 10000
SEGMENTS = 4000
MQUEUE = "/run/mqueue"

# ---- what there is ---------------------------------------------------------------------------------------------


class Crowd:
    """The processes that have the objects; they go when this does."""

    holder = 0  # one that has the measured objects

    def start(self, program, processes):
        os.mkdir(MQUEUE)
        subprocess.run(["mount", "-t", "mqueue", "mqueue", MQUEUE], check=True)
        command = [program, str(processes), str(OBJECTS), str(SEGMENTS)]
        # pylint: disable-next=consider-using-with; it lives as long as the name spaces do
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        if not words or words[0] != "ready":
            raise OSError(0, "not all could be started", program)
        self.holder = int(words[1])


CROWD = Crowd()


def populate(mnt):
    with open(f"{mnt}/mq/latency", "xb"):
        pass


# ---- the rows --------------------------------------------------------------------------------------------------


def beside(file, tool, target=1.0):
    """Programs on both sides: cat of the file, and the tool; the floor is what starting cat costs."""
    return Row(f"{file}, beside {tool.split(':', 1)[1]}", "find-out", "{mnt}/" + file, tool, "{nop}/ctl",
               target=target, rounds=0.1, alone="read:{mnt}/" + file)


def listing(directory, tool, options="", target=1.0):
    """ls on the one side."""
    ls = f"ls {options}".strip()
    return Row(f"{ls} {directory}, beside {tool}", "find-out", f"run:{ls} " + "{mnt}/" + directory, f"run:{tool}",
               target=target, rounds=0.1)


def first_segment():
    """The id of the segment that several have attached, and of one that nobody has."""
    with open("/proc/sysvipc/shm", encoding="ascii") as text:
        rows = [line.split() for line in text][1:] or [["0"] * 7]
    return rows[0][1], next((row[1] for row in rows if row[6] == "0"), rows[-1][1])


def rows():
    held, unused = first_segment()
    maps = "grep -l SYSV /proc/[0-9]*/maps"
    everything = "ipcs -a; ls -l /dev/shm /run/mqueue; ss -xatu; lsof -n"
    return [
        beside("ctl/list.json", f"sh:{everything}"),
        beside("ctl/list.json", f"sh:{everything.removesuffix('; lsof -n')}", None),
        beside("ctl/sysv/shm/list.json", "run:ipcs -m"),
        beside("ctl/sysv/shm/list.json", "run:lsipc -m"),
        beside("ctl/shm/held/holders", "run:lsof /dev/shm/held"),
        beside("ctl/shm/held/holders", "run:fuser /dev/shm/held"),
        beside("ctl/mq/held/holders", f"run:lsof {MQUEUE}/held"),
        beside("ctl/mq/held/holders", f"run:fuser {MQUEUE}/held"),
        beside(f"ctl/sysv/shm/by-id/{held}/holders", "sh:lsof -n | grep SYSV"),
        beside(f"ctl/sysv/shm/by-id/{held}/holders", f"sh:{maps}", None),
        beside(f"ctl/sysv/shm/by-id/{unused}/holders", "sh:lsof -n | grep SYSV"),
        beside("ctl/sock/list.json", "run:ss -xatup"),
        beside("ctl/sock/list.json", "run:lsof -U"),
        beside("ctl/waits", "sh:lsof -n; lslocks"),
        beside("ctl/deadlocks", "sh:lsof -n; lslocks"),
        beside("ctl/orphans", "sh:lsof -n; ipcs -mp; ipcs -mt"),
        beside("ctl/graph.dot", "run:lsof -n"),
        beside("ctl/metrics", "sh:ipcs -u; ipcs -l; ls -U /dev/shm /run/mqueue; ss -s"),
        beside("ctl/limits", "run:lsipc"),
        listing("proc", "ps -e"),
        listing(f"proc/{CROWD.holder}", f"lsof -p {CROWD.holder}", "-l"),
        listing(f"proc/{CROWD.holder}", f"ls -l /proc/{CROWD.holder}/fd", "-l", None),
    ]


# ---- whether others wait ---------------------------------------------------------------------------------------

TURN_MS = 500
SCANS = {
    "idle": None,
    "while ctl is read": "cat {mnt}/ctl/waits {mnt}/ctl/orphans {mnt}/ctl/list.json {mnt}/ctl/shm/held/holders",
    "while lsof runs": "lsof -n",
    "while two lsof run": "lsof -n & lsof -n; wait",  # as many threads as a look at all processes has
}
REQUESTS = ("send + receive", "get ctl/version")


def latencies(program, where, scan):
    """What single requests took, in microseconds, while somebody does the scan again and again: a list for each request."""
    loop = None
    if scan:
        line = f"while :; do {scan.format(**where)}; done >/dev/null 2>&1"
        # pylint: disable-next=consider-using-with; it has no end of its own
        loop = subprocess.Popen(["sh", "-c", line], start_new_session=True)
        time.sleep(0.1)
    try:
        done = subprocess.run([program, str(TURN_MS), f"{where['mnt']}/mq/latency", f"{where['mnt']}/ctl/version"],
                              capture_output=True, text=True, check=False)
    finally:
        if loop:
            os.killpg(loop.pid, signal.SIGKILL)
            loop.wait()
    if done.returncode != 0:
        raise OSError(0, done.stderr.strip(), program)
    return list(zip(*(map(float, line.split()) for line in done.stdout.splitlines())))


def quantiles(values):
    values = sorted(values)
    return {"median": values[len(values) // 2], "p99": values[len(values) * 99 // 100], "max": values[-1]}


def measure(program, where, turns):
    """The situations in turn. A dict of what was found, or of an "error"."""
    found = {situation: [[] for _ in REQUESTS] for situation in SCANS}
    try:
        for _ in range(turns):
            for situation, scan in SCANS.items():
                for all_of, new in zip(found[situation], latencies(program, where, scan)):
                    all_of.extend(new)
    except OSError as error:
        return {"error": error.strerror}
    return {situation: dict(zip(REQUESTS, map(quantiles, lists))) for situation, lists in found.items()}


def text(found):
    if "error" in found:
        return f"latency: could not measure: {found['error']}"
    lines = ["latency of single requests, in µs:"]
    for request in REQUESTS:
        for situation, of in found.items():
            lines.append(f"  {request}, {situation}: " + ", ".join(f"{name} {us:,.0f}" for name, us in of[request].items()))
    return "\n".join(lines)


INSPECT = Kind(prepare_floor, rows, populate=populate, crowd=CROWD.start, disturbed=measure)
