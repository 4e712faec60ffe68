# SPDX-License-Identifier: MIT
"""Message queues, POSIX and System V."""
from dataclasses import dataclass

from benchlib.rows import Kind, Parked, Row, placed, placed_awake, prepare_floor, set_limit, state_rows


@dataclass
class Queue:
    """One queue, as the bench program is told of it; `depth` messages of `size` bytes fit into it."""

    native: str
    file: str  # where it is in the mount
    depth: int

    @property
    def path(self):
        return "{mnt}/" + self.file

    @property
    def packet(self):
        return "packet:" + self.path

    @property
    def lines(self):
        return "{mnt}/ctl/" + self.file + "/lines"


# What is sent and received alone is so in runs of this length, between which the queue is emptied or filled.
DEPTH = 16


def mq_queue(number, depth, size):
    """With the default message size, unless so many of them would not fit into RLIMIT_MSGQUEUE."""
    most = 8192 if depth <= DEPTH else size
    return Queue(f"mq:/bench{number}:{depth}:{most}", f"mq/bench{number}", depth)


def sysv_queue(number, depth, size):
    key = 0x1000 + number
    return Queue(f"sysv:{key:#x}:{depth * size}", f"sysv/msg/by-key/0x{key:08x}", depth)


def one_message(queue_of):
    """The same queue by all ways; the floor is a file that takes what comes."""
    rows = []
    sizes = ((16, "16 bytes"), (64, "64 bytes"), (8192, "8 KiB"))
    to_floor = {"base": "floor", "target": 1.15, "path": "message"}

    def row(label, op, queue, size, mode, **more):
        native = queue.native
        floor = ("null-packet:" if mode == "packet" else "null:") + "{nop}/stream"
        return Row(label, op, f"{queue.packet if mode == 'packet' else queue.path},{native}", f"{native},{native}",
                   f"{floor},{native}", size=size, **more)

    for i, (size, text) in enumerate(sizes):
        rows += placed(row(f"send {text}", "send", queue_of(i, DEPTH, size), size, "message", **to_floor))
    for i, (size, text) in enumerate(sizes):
        rows += placed(row(f"receive {text} (packet mode)", "receive", queue_of(i, DEPTH, size), size, "packet", **to_floor))
    small = queue_of(1, DEPTH, 64)
    rows.append(row("receive 64 bytes and its end", "receive", small, 64, "message", base="floor"))
    rows.append(row("open, send 64 bytes, close", "send-open", small, 64, "message", base="floor"))
    rows.append(row("echo 64 bytes (open, truncate, ...)", "echo", small, 64, "message", base="floor"))
    return rows


def lines(queue_of):
    """Sent to, and received from, a native process at the other end."""
    rows = []
    to_native = {"size": 64, "sense": "speed", "target": 1.0, "slack": 0.02, "batch_us": 10000, "rate": True,
                 "path": "lines" if queue_of is mq_queue else ""}
    for number, depth in ((3, 10), (4, 256)):
        queue = queue_of(number, depth, 64)
        for verb, op in (("write", "write-lines"), ("read", "read-lines")):
            rows += placed_awake(Row(f"{verb} lines of 64 bytes, queue of {depth}", op, f"{queue.lines},{queue.native}",
                                     f"{queue.native},{queue.native}", **to_native))
    return rows


def ping_pong(queue_of):
    """Two processes, two queues. The floor is two FUSE files with nothing behind them."""
    there, back = queue_of(5, 10, 64), queue_of(6, 10, 64)
    native = f"{there.native},{back.native}"
    packet = f"{there.packet},{back.packet}"
    message = f"{there.path},{back.path}"
    floor = "null-packet:{nop}/ping,null-packet:{nop}/pong"
    shape = {"size": 64, "batch_us": 10000, "rounds": 0.5, "rate": True}
    return [
        Row("ping-pong, both through the mount", "ping-pong", f"{packet},{packet}", native, f"{floor},{floor}", **shape),
        Row("ping-pong, both, message mode", "ping-pong", f"{message},{message}", native, **shape),
        Row("ping-pong, one of the two", "ping-pong", f"{packet},{native}", native, **shape),
    ]


def message_rows(queue_of, state):
    return one_message(queue_of) + lines(queue_of) + ping_pong(queue_of) + state_rows(state)


def prepare_messages():
    """The bench program makes the queues itself, if the limits of the namespace let it; the floor wants its file."""
    set_limit("fs/mqueue/msg_max", 256)
    set_limit("kernel/msgmnb", 1 << 20)
    prepare_floor()


def parked_readers(queue):
    return Parked("blocked readers", "read", ["read", queue.path, queue.native])


def make_queue(name):
    """With an open by the mount, for the row of its state."""

    def populate(mnt):
        with open(f"{mnt}/{name}", "xb"):
            pass

    return populate


def kind(queue_of, parked, name):
    return Kind(prepare_messages, lambda: message_rows(queue_of, f"ctl/{name}/state"), parked_readers(parked),
                make_queue(name))


MQ = kind(mq_queue, mq_queue(7, 10, 64), "mq/shown")
SYSV_MSG = kind(sysv_queue, sysv_queue(7, 256, 64), "sysv/msg/by-key/0x00001fff")
