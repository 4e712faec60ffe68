# SPDX-License-Identifier: MIT
"""Pipes and sockets."""
import os

from benchlib.rows import SHM, Kind, Parked, Row, placed_awake, prepare_floor, state_rows

BLOCKS = ((4096, "4 KiB"), (64 << 10, "64 KiB"), (1 << 20, "1 MiB"))
PIPES = 1000  # of the list
SOCKETS = 4000  # of the list
ECHO = {"size": 1, "batch_us": 10000, "rate": True}
# The kernel carries the data.
TO_NATIVE = {"sense": "speed", "target": 0.97, "path": "channel", "batch_us": 10000}


def stream_rows(name, mounted, native, floor="", **more):
    """One process writes, another one reads, at the same time."""
    shape = {"batch_us": 20000, "throughput": True, "apart": True} | more
    return [Row(f"{name}: write {text}", "channel-stream", mounted, native, floor, size=size, **shape) for size, text in BLOCKS]


def kernel_rows(name, mounted, native):
    """On one CPU both take turns; on two, each wakes the other one. The daemon does nothing, wherever it is."""
    echo = Row(f"{name}: ping-pong, 1 byte", "channel-echo", mounted, native, **ECHO | TO_NATIVE)
    both = [echo, *stream_rows(name, mounted, native, **TO_NATIVE | {"apart": False})]
    return [placed_row for row in both for placed_row in placed_awake(row)[1:]]


def pipe_rows():
    mounted, native = "fifo:{mnt}/pipe/there,{mnt}/pipe/back", "fifo:{shm}/there,{shm}/back"
    listed = "{mnt}/ctl/pipe/list.json"
    return [
        *kernel_rows("pipe", mounted, native),
        Row("open + close", "open", "{mnt}/pipe/there", "{shm}/there", "{nop}/fifo"),
        *state_rows("ctl/pipe/there/state"),
        Row(f"list of {PIPES} pipes, beside a walk over /proc", "pipe-list", listed, f"walk:{PIPES}", rounds=0.5),
        Row(f"list of {PIPES} pipes, beside a walk that asks them", "pipe-list", listed, f"ask:{PIPES}", rounds=0.5),
    ]


def prepare_pipes():
    prepare_floor()
    for name in ("there", "back"):
        os.mkfifo(f"{SHM}/{name}")


def populate_pipes(mnt):
    for name in ("there", "back"):
        os.mkfifo(f"{mnt}/pipe/{name}")


def bound_rows():
    """A native server, which binds its socket in the mount, and a native client."""
    mounted, native = "unix:{mnt}/sock/bound", "unix:{shm}/bound"
    return [
        *kernel_rows("bound", mounted, native),
        Row("bound: connect + accept + close", "channel-connect", mounted, native),
    ]


def listener_rows():
    """The server has `accept` open; the client `connect`, or a native connection."""
    both, one = "listener:{mnt}/sock/bench", "socket:{mnt}/sock/bench"
    native, null = "unix:{shm}/bound", "files:{nop}/null"
    return [
        Row("mkdir: ping-pong, both through the mount", "channel-echo", both, "pair:", "files:{nop}/ping,{nop}/pong", **ECHO),
        Row("mkdir: ping-pong, native client", "channel-echo", one, "pair:", **ECHO),
        *stream_rows("mkdir, both", both, "pair:", null),
        *stream_rows("mkdir, native client", one, "pair:"),
        Row("mkdir: connect + accept + close, both", "channel-connect", both, native, "files:{nop}/fresh/ctl"),
        Row("mkdir: connect + accept + close, native client", "channel-connect", one, native),
        Row("mkdir: a connection to another process, both", "channel-visit", both, native, batch_us=10000, rate=True),
        Row("mkdir: a connection to another process, native client", "channel-visit", one, native, batch_us=10000, rate=True),
        Row("mkdir: 100 connections at once, both", "channel-crowd", both, native, rounds=0.5),
        Row("mkdir: 100 connections at once, native client", "channel-crowd", one, native, rounds=0.5),
    ]


def sock_rows():
    listed = "{mnt}/ctl/sock/list.json"
    return [
        *bound_rows(),
        *listener_rows(),
        *state_rows("ctl/sock/bench/state"),
        Row(f"list of {SOCKETS} sockets, beside ss -xatu", "sock-list", listed, f"ss:{SOCKETS}", "{nop}/ctl", target=1.0,
            rounds=0.5),
        Row(f"list of {SOCKETS} sockets, beside ss -xatup", "sock-list", listed, f"ssp:{SOCKETS}", "{nop}/ctl", rounds=0.2),
    ]


def populate_sockets(mnt):
    os.mkdir(f"{mnt}/sock/bench")


PARKED_ACCEPTS = Parked("blocked opens of accept", "open", ["accept", "{mnt}/sock/bench/accept", "{mnt}/sock/bench/socket"])

PIPE = Kind(prepare_pipes, pipe_rows, populate=populate_pipes)
SOCK = Kind(prepare_floor, sock_rows, PARKED_ACCEPTS, populate_sockets)
