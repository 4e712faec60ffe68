"""What scripts/bench measures: the objects and the rows of each kind."""
import os
import sys
from dataclasses import dataclass

SHM = "/dev/shm"
FILES = 10000
DATA_SIZE = 64 << 20


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
    apart: bool = False  # of two processes that run at a time, each stays on a CPU of its own
    rate: bool = False  # how many a second is shown, too
    throughput: bool = False  # how many bytes a second is shown, too
    alone: str = ""  # one more way, which is only told: the same without what the others need for it


# ---- shm -------------------------------------------------------------------------------------------------------


def data_row(label, op, **more):
    """A row whose object is the shared memory object `data` (the floor: the file `null`)."""
    return Row(label, op, "{mnt}/shm/data", "{shm}/data", **more)


def shm_rows():
    mapped = {"sense": "speed", "target": 1.0, "slack": 0.02, "rounds": 2}
    null = {"floor": "{nop}/null"}
    through = {"floor": "{nop}/data"}
    return [
        data_row("load, random", "load-random", **mapped),
        data_row("load, sequential", "load-seq", **mapped),
        data_row("store, random", "store-random", **mapped),
        data_row("store, sequential", "store-seq", **mapped),
        data_row("map 1 MiB, touch, unmap", "fault", size=1 << 20, **through),
        data_row("read 4 KiB", "pread", size=4096, sense="speed", target=0.90, **through),
        data_row("write 4 KiB", "pwrite", size=4096, sense="speed", target=0.90, **through),
        data_row("read 1 MiB", "pread", size=1 << 20, sense="speed", target=0.98, **through),
        data_row("write 1 MiB", "pwrite", size=1 << 20, sense="speed", target=0.98, **through),
        data_row("write 64 bytes", "pwrite", size=64, **through),
        data_row("open + close", "open", **through),
        data_row("stat", "stat", **null),
        Row("get ctl/version", "get", "{mnt}/ctl/version", floor="{nop}/ctl", base="floor", target=1.3),
        Row("get ctl/shm/data/state", "get", "{mnt}/ctl/shm/data/state", floor="{nop}/ctl", base="floor", target=1.3),
        Row(f"ls of {FILES}", "ls", "{mnt}/shm", "{shm}", "{nop}/dir", rounds=0.2),
        Row(f"ls -l of {FILES}", "ls-l", "{mnt}/shm", "{shm}", "{nop}/dir", target=3.0, rounds=0.2),
    ]


def prepare_shm():
    """One large object, every page of it there, and many small ones."""
    with open(f"{SHM}/data", "wb") as data:
        for _ in range(DATA_SIZE >> 20):
            data.write(b"x" * (1 << 20))
    for i in range(FILES):
        with open(f"{SHM}/o{i:06d}", "wb") as small:
            small.write(b"x" * 64)


# ---- messages --------------------------------------------------------------------------------------------------


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
    to_floor = {"base": "floor", "target": 1.15}

    def row(label, op, queue, size, mode, **more):
        native = queue.native
        floor = ("null-packet:" if mode == "packet" else "null:") + "{nop}/stream"
        return Row(label, op, f"{queue.packet if mode == 'packet' else queue.path},{native}", f"{native},{native}",
                   f"{floor},{native}", size=size, **more)

    for i, (size, text) in enumerate(sizes):
        rows.append(row(f"send {text}", "send", queue_of(i, DEPTH, size), size, "message", **to_floor))
    for i, (size, text) in enumerate(sizes):
        rows.append(row(f"receive {text} (packet mode)", "receive", queue_of(i, DEPTH, size), size, "packet", **to_floor))
    small = queue_of(1, DEPTH, 64)
    rows.append(row("receive 64 bytes and its end", "receive", small, 64, "message", base="floor"))
    rows.append(row("open, send 64 bytes, close", "send-open", small, 64, "message", base="floor"))
    rows.append(row("echo 64 bytes (open, truncate, ...)", "echo", small, 64, "message", base="floor"))
    return rows


def lines(queue_of):
    """Sent to, and received from, a native process at the other end."""
    rows = []
    to_native = {"size": 64, "sense": "speed", "target": 1.0, "batch_us": 20000, "rounds": 0.5, "rate": True}
    for number, depth in ((3, 10), (4, 256)):
        queue = queue_of(number, depth, 64)
        for verb, op in (("write", "write-lines"), ("read", "read-lines")):
            rows.append(Row(f"{verb} lines of 64 bytes, queue of {depth}", op, f"{queue.lines},{queue.native}",
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


def message_rows(queue_of):
    return one_message(queue_of) + lines(queue_of) + ping_pong(queue_of)


def prepare_messages():
    """The bench program makes the queues itself, if the limits of the namespace let it; the floor wants its file."""
    for name, value in (("fs/mqueue/msg_max", 256), ("kernel/msgmnb", 1 << 20)):
        try:
            with open(f"/proc/sys/{name}", "w", encoding="ascii") as limit:
                limit.write(str(value))
        except OSError as error:
            print(f"bench: {name}: {error.strerror}", file=sys.stderr)
    prepare_floor()


# ---- System V shared memory, and semaphores --------------------------------------------------------------------

SEGMENT_SIZE = 16 << 20
SEGMENT_KEY = 0x2000
SET_KEY = 0x2b00
SEGMENTS = 4000  # of the list
POST = 2  # bytes of the line that posts


def segment_row(label, op, floor="", **more):
    """A row whose object is the segment; the bench program makes it."""
    native = f"shm:{SEGMENT_KEY:#x}:{SEGMENT_SIZE}"
    return Row(label, op, "{mnt}/sysv/shm/by-key/" + f"0x{SEGMENT_KEY:08x},{native}", native, floor, **more)


def segment_rows():
    mapped = {"sense": "speed", "target": 1.0, "slack": 0.02, "rounds": 2}
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
    with open("/proc/sys/kernel/shmmni", encoding="ascii") as limit:
        count = min(SEGMENTS, int(limit.read()))
    return Row(f"list of {count} segments", "segment-list", "{mnt}/ctl/sysv/shm/list.json", f"ipcs:{count}", "{nop}/ctl",
               target=1.0 if count == SEGMENTS else None, rounds=0.5)


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
                   f"{floor},{one.native}", size=POST, base="floor", **more)

    native, mounted = f"{one.native},{other.native}", f"{one.directory},{other.directory}"
    floor = "null-packet:{nop}/ping,null-packet:{nop}/pong"
    # The names of objects, and their attributes, are asked for each time: what that costs is no work of the daemon's.
    deep = "null:{nop}/" + one.levels * "fresh/" + "ctl"
    shape = {"size": POST, "batch_us": 10000, "rounds": 0.5, "rate": True}
    return [
        row("post + take", "post-wait", "null-packet:{nop}/stream"),
        row("post", "send", "null:{nop}/stream"),
        row("take", "receive", "null-packet:{nop}/stream"),
        row("hold (open + close)", "sem-hold", "null:{nop}/null"),
        row("hold, floor as deep", "sem-hold", deep),
        row("get value", "sem-value", "null:{nop}/ctl", target=1.3),
        row("get value, floor as deep", "sem-value", deep),
        Row(f"get {one.state}", "sem-value", "{mnt}/" + f"{one.state},{one.native}", floor="null:{nop}/ctl," + one.native,
            base="floor", target=1.3),
        Row(f"{name}: ping-pong, both through the mount", "ping-pong", f"{mounted},{mounted}", native, f"{floor},{floor}",
            **shape),
        Row(f"{name}: ping-pong, one of the two", "ping-pong", f"{mounted},{native}", native, **shape),
    ]


def set_row():
    native = f"semset:{SET_KEY:#x}:0"
    return Row("set: op on two", "sem-op", "{mnt}/sysv/sem/by-key/" + f"0x{SET_KEY:08x}/op,{native}", f"{native},{native}",
               "null:{nop}/stream," + native, base="floor")


def sysv_rows():
    return [*segment_rows(), segment_list_row(), *semaphore_rows("sem", posix_semaphore),
            *semaphore_rows("set", sysv_semaphore), set_row()]


def prepare_sysv():
    """The bench program makes the objects itself; the floor wants its file, every page of it there."""
    with open(f"{SHM}/data", "wb") as data:
        data.write(b"x" * SEGMENT_SIZE)


# ---- pipes and sockets -----------------------------------------------------------------------------------------

BLOCKS = ((4096, "4 KiB"), (64 << 10, "64 KiB"), (1 << 20, "1 MiB"))
PIPES = 1000  # of the list
SOCKETS = 4000  # of the list
ECHO = {"size": 1, "batch_us": 10000, "rate": True}
TO_NATIVE = {"sense": "speed", "target": 0.97}  # the kernel carries the data


def stream_rows(name, mounted, native, floor="", **more):
    """One process writes, another one reads, at the same time."""
    return [Row(f"{name}: write {text}", "channel-stream", mounted, native, floor, size=size, batch_us=20000,
                throughput=True, apart=True, **more) for size, text in BLOCKS]


def state_rows(path):
    """The directory of the object is asked for each time, which is no work of the daemon's."""
    return [Row(f"get {path}", "get", "{mnt}/" + path, floor="{nop}/ctl", base="floor", target=1.3),
            Row(f"get {path}, floor as deep", "get", "{mnt}/" + path, floor="{nop}/fresh/ctl", base="floor")]


def pipe_rows():
    mounted, native = "fifo:{mnt}/pipe/there,{mnt}/pipe/back", "fifo:{shm}/there,{shm}/back"
    listed = "{mnt}/ctl/pipe/list.json"
    return [
        Row("ping-pong, 1 byte", "channel-echo", mounted, native, rounds=2, **ECHO, **TO_NATIVE),
        *stream_rows("pipe", mounted, native, rounds=2, **TO_NATIVE),
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
        Row("bound: ping-pong, 1 byte", "channel-echo", mounted, native, rounds=2, **ECHO, **TO_NATIVE),
        *stream_rows("bound", mounted, native, rounds=2, **TO_NATIVE),
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


def prepare_floor():
    """The floor wants its file."""
    with open(f"{SHM}/data", "wb") as data:
        data.write(b"x" * 4096)


# ---- kinds -----------------------------------------------------------------------------------------------------


@dataclass
class Parked:
    """Many that wait at once: what they are called, the request of each, and what the program that has them wants to know."""

    label: str
    request: str
    words: list[str]


def parked_readers(queue):
    return Parked("blocked readers", "read", ["read", queue.path, queue.native])


PARKED_ACCEPTS = Parked("blocked opens of accept", "open", ["accept", "{mnt}/sock/bench/accept", "{mnt}/sock/bench/socket"])


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


KINDS = {
    "shm": Kind(prepare_shm, shm_rows),
    "mq": Kind(prepare_messages, lambda: message_rows(mq_queue), parked_readers(mq_queue(7, 10, 64))),
    "sysv": Kind(prepare_sysv, sysv_rows),
    "sysv-msg": Kind(prepare_messages, lambda: message_rows(sysv_queue), parked_readers(sysv_queue(7, 256, 64))),
    "pipe": Kind(prepare_pipes, pipe_rows, populate=populate_pipes),
    "sock": Kind(prepare_floor, sock_rows, PARKED_ACCEPTS, populate_sockets),
}
