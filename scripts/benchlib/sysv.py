# SPDX-License-Identifier: MIT
"""System V shared memory; semaphores, POSIX and System V."""
import os
from dataclasses import dataclass

from benchlib.rows import CONTROL, SHM, Kind, Row, limit_of, placed, state_rows

SEGMENT_SIZE = 16 << 20
SEGMENT_KEY = 0x2000
SET_KEY = 0x2b00
SEGMENTS = 4000  # of the list
SHOWN = "sysv/shm/by-key/0x00002fff"
POST = 2  # bytes of the line that posts


def segment_row(label, op, floor="", **more):
    """A row whose object is the segment; the bench program makes it."""
    native = f"shm:{SEGMENT_KEY:#x}:{SEGMENT_SIZE}"
    return Row(label, op, "{mnt}/sysv/shm/by-key/" + f"0x{SEGMENT_KEY:08x},{native}", native, floor, **more)


def segment_rows():
    mapped = {"sense": "speed", "target": 1.0, "slack": 0.02, "rounds": 2, "path": "mapping"}
    through = {"floor": "{nop}/data", "base": "floor"}  # nobody else makes a system call
    to_daemon = {"floor": "{nop}/null", "base": "floor"}
    return [
        segment_row("segment: load, random", "segment-load-random", **mapped),
        segment_row("segment: load, sequential", "segment-load-seq", **mapped),
        segment_row("segment: store, random", "segment-store-random", **mapped),
        segment_row("segment: store, sequential", "segment-store-seq", **mapped),
        segment_row("segment: read 4 KiB", "segment-read", size=4096, **through),
        segment_row("segment: read 1 MiB", "segment-read", size=1 << 20, **through),
        segment_row("segment: write 64 bytes", "segment-write", size=64, **to_daemon),
        segment_row("segment: write 4 KiB", "segment-write", size=4096, **to_daemon),
        segment_row("segment: open, map, close, unmap", "segment-attach", **through),
    ]


def segment_list_row():
    """Whole runs of programs: ipcs -m beside cat of the list; the floor is what starting cat costs."""
    count = min(SEGMENTS, limit_of("kernel/shmmni"))
    return Row(f"list of {count} segments", "segment-list", "{mnt}/ctl/sysv/shm/list.json", f"ipcs:{count}", "{nop}/ctl",
               target=1.0 if count == SEGMENTS else None, rounds=0.5, path="list")


@dataclass
class Semaphore:
    """One semaphore, as the bench program is told of it."""

    native: str
    file: str  # the directory of it in the mount
    state: str  # of it, or of its set
    levels: int  # of directories above its files that are asked for each time

    @property
    def directory(self):
        return "sem-dir:{mnt}/" + self.file


def posix_semaphore(number):
    return Semaphore(f"sem:/bench{number}", f"sem/bench{number}", f"ctl/sem/bench{number}/state", 2)


def sysv_semaphore(number):
    """The first or second one of the set."""
    place = f"sysv/sem/by-key/0x{SET_KEY:08x}"
    return Semaphore(f"semset:{SET_KEY:#x}:{number}", f"{place}/{number}", f"ctl/{place}/state", 3)


def semaphore_rows(name, semaphore_of):
    one, other = semaphore_of(0), semaphore_of(1)

    def row(label, op, floor, **more):
        return Row(f"{name}: {label}", op, f"{one.directory},{one.native}", f"{one.native},{one.native}",
                   f"{floor},{one.native}", size=POST, **{"base": "floor"} | more)

    native, mounted = f"{one.native},{other.native}", f"{one.directory},{other.directory}"
    floor = "null-packet:{nop}/ping,null-packet:{nop}/pong"
    # The names of objects, and their attributes, are asked for each time: what that costs is no work of the daemon's.
    deep = "null:{nop}/" + one.levels * "fresh/" + "ctl"
    shape = {"size": POST, "batch_us": 10000, "rounds": 0.5, "rate": True}
    return [
        row("post + take", "send-receive", "null-packet:{nop}/stream"),
        row("post", "send", "null:{nop}/stream"),
        row("take", "receive", "null-packet:{nop}/stream"),
        row("hold (open + close)", "sem-hold", "null:{nop}/null"),
        row("hold, floor as deep", "sem-hold", deep),
        *placed(row("get value", "sem-value", "null:{nop}/ctl", **CONTROL)),
        *placed(row("get value, floor as deep", "sem-value", deep, **CONTROL | {"target": None}))[:2],
        *placed(Row(f"get {one.state}", "sem-value", "{mnt}/" + f"{one.state},{one.native}",
                    floor="null:{nop}/ctl," + one.native, **CONTROL)),
        Row(f"{name}: ping-pong, both through the mount", "ping-pong", f"{mounted},{mounted}", native, f"{floor},{floor}",
            **shape),
        Row(f"{name}: ping-pong, one of the two", "ping-pong", f"{mounted},{native}", native, **shape),
    ]


def set_row():
    native = f"semset:{SET_KEY:#x}:0"
    return Row("set: op on two", "sem-op", "{mnt}/sysv/sem/by-key/" + f"0x{SET_KEY:08x}/op,{native}", f"{native},{native}",
               "null:{nop}/stream," + native, base="floor")


def sysv_rows():
    return [*segment_rows(), *state_rows(f"ctl/{SHOWN}/state"), segment_list_row(), *semaphore_rows("sem", posix_semaphore),
            *semaphore_rows("set", sysv_semaphore), set_row()]


def prepare_sysv():
    """The bench program makes the objects itself; the floor wants its file, every page of it there."""
    with open(f"{SHM}/data", "wb") as data:
        data.write(b"x" * SEGMENT_SIZE)


def populate(mnt):
    """For the row of its state."""
    with open(f"{mnt}/{SHOWN}", "xb") as segment:
        os.ftruncate(segment.fileno(), 4096)


KIND = Kind(prepare_sysv, sysv_rows, populate=populate)
