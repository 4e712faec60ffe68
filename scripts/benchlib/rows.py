# SPDX-License-Identifier: MIT
"""What is measured: a row, and what the rows of a kind need."""
import sys
from dataclasses import dataclass, replace

SHM = "/dev/shm"
FILES = 10000


@dataclass
class Row:
    """A line of the table. The paths are templates: {shm} {mnt} {nop}. base: what the ratio is taken to."""

    label: str
    op: str
    ipcfs: str
    native: str = ""
    floor: str = ""
    size: int = 0
    base: str = "native"
    # "speed": base/ipcfs, the more the better; "cost": ipcfs/base, the less the better. No target: only shown.
    sense: str = "cost"
    target: float | None = None
    slack: float = 0.0  # what of the target is taken for noise
    rounds: float = 1.0  # times --rounds: less where an operation takes long, more where little must be told apart
    batch_us: int = 2000  # about how long the operations between two looks at the clock last
    apart: bool = False  # of two processes that talk, each stays on a CPU of its own
    # Where the daemons are, and the other one of two processes: "one", on the CPU of who asks, "two", on another one;
    # otherwise where the kernel has them.
    # Which of these it is, is a matter of luck, and waking costs ten times as much on another one.
    place: str = ""
    awake: bool = False  # idle CPUs do not halt meanwhile, where that can be had
    clients: int = 0  # so many do it at once; the number of each stands for % in the paths
    rate: bool = False  # how many a second is shown, too
    throughput: bool = False  # how many bytes a second is shown, too
    alone: str = ""  # one more way, which is only told: the same without what the others need for it
    path: str = ""  # of the paths that have a target (paths.py), the one it belongs to
    curve: str = ""  # of the curves (growth.py), the one it is a point of
    x: int = 0  # where on the curve


@dataclass
class Parked:
    """Many that wait at once: what they are called, the request of each, and what the program that has them wants to know."""

    label: str
    request: str
    words: list[str]


@dataclass
class Kind:
    """What a kind needs: how its objects are made, before the daemons are there and after; its rows; and who waits.

    The crowd is many processes that have them; and others are disturbed by what is measured."""

    prepare: object
    rows: object
    parked: Parked | None = None
    populate: object = None
    crowd: object = None
    disturbed: object = None
    files: int = FILES  # in the directory of the floor


def prepare_floor():
    """The floor wants its file."""
    with open(f"{SHM}/data", "wb") as data:
        data.write(b"x" * 4096)


def placed(row):
    """As it comes; and, of the path, on one CPU, and on two."""
    return [replace(row, path=""), replace(row, label=f"{row.label}, on one CPU", place="one"),
            replace(row, label=f"{row.label}, on two CPUs", place="two")]


def placed_awake(row):
    """For what flows between two processes: on two CPUs that halt, who falls asleep when makes it faster or slower by half."""
    free, one, two = placed(row)
    return [free, one, replace(two, label=f"{row.label}, on two CPUs awake", awake=True)]


CONTROL = {"base": "floor", "target": 1.3, "path": "control"}


def control_rows(path):
    return placed(Row(f"get {path}", "get", "{mnt}/" + path, floor="{nop}/ctl", **CONTROL))


def state_rows(path):
    """The directory of the object is asked for each time, which is no work of the daemon's."""
    deep = Row(f"get {path}, floor as deep", "get", "{mnt}/" + path, floor="{nop}/fresh/ctl", **CONTROL | {"target": None})
    return control_rows(path) + placed(deep)[:2]


def set_limit(name, value):
    """Of the name space; says so where it can't be set, and goes on."""
    try:
        with open(f"/proc/sys/{name}", "w", encoding="ascii") as limit:
            limit.write(str(value))
    except OSError as error:
        print(f"bench: {name}: {error.strerror}", file=sys.stderr)


def limit_of(name):
    with open(f"/proc/sys/{name}", encoding="ascii") as limit:
        return int(limit.read())
