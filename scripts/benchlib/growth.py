# SPDX-License-Identifier: MIT
"""How cost grows: with the objects there are, with the clients that ask at once, with the size of what is carried.

Each has kinds of its own, named KIND@NUMBERS; their rows are the points of curves."""
import ctypes
import os
import resource
import subprocess

from benchlib import channels
from benchlib.rows import SHM, Kind, Row, limit_of, set_limit

MQUEUE = "/run/mqueue"


def point(curve, x, op, ipcfs, **more):
    """One whose base is not there is compared with the floor."""
    base = {} if more.get("native") else {"base": "floor"}
    return Row(f"{curve.partition('/')[2]}, {x:,}", op, ipcfs, curve=curve, x=x, **base | more)


# ---- objects ---------------------------------------------------------------------------------------------------


def object_rows(kind, count, directory, native, tool, listed, name):
    """One of the objects, and all of them. All on one CPU: what is to be seen is work, not waking."""
    dir_of = {"native": native, "floor": "{nop}/dir"}
    one = {"native": native and f"{native}/{name}", "floor": "{nop}/dir/" + f"f{count // 2:06d}"}

    def row(what, op, path, **more):
        return point(f"objects/{kind}: {what}", count, op, path, place="one", **more)

    return [
        row("stat of one", "stat", f"{directory}/{name}", **one),
        row("open + close of one", "open", f"{directory}/{name}", **one),
        row("ls", "ls", directory, rounds=0.3, **dir_of),
        row("ls -l", "ls-l", directory, rounds=0.1, **dir_of),
        row(f"list.json beside {tool.format(shm='...')}", "find-out", listed, native=f"run:{tool}", floor="{nop}/ctl",
            rounds=0.3),
    ]


def shm_objects(count):
    def prepare():
        for name in ["data", *(f"o{i:06d}" for i in range(count))]:
            os.close(os.open(f"{SHM}/{name}", os.O_CREAT | os.O_RDWR, 0o600))

    return Kind(prepare, lambda: object_rows("shm", count, "{mnt}/shm", "{shm}", "ls -l {shm}", "{mnt}/ctl/shm/list.json",
                                             f"o{count // 2:06d}"), files=count)


def mq_objects(count):
    """As small as they can be: RLIMIT_MSGQUEUE is for all of them, and the kernel counts its own structures, too."""

    def prepare():
        for name, value in (("queues_max", count + 16), ("msg_default", 1), ("msgsize_default", 128)):
            set_limit(f"fs/mqueue/{name}", value)
        os.mkdir(MQUEUE)
        subprocess.run(["mount", "-t", "mqueue", "mqueue", MQUEUE], check=True)
        for i in range(count):
            os.close(os.open(f"{MQUEUE}/o{i:06d}", os.O_CREAT | os.O_RDWR, 0o600))
        os.close(os.open(f"{SHM}/data", os.O_CREAT | os.O_RDWR, 0o600))

    return Kind(prepare, lambda: object_rows("mq", count, "{mnt}/mq", MQUEUE, f"ls -l {MQUEUE}", "{mnt}/ctl/mq/list.json",
                                             f"o{count // 2:06d}"), files=count)


FIRST_KEY = 0x3000


def sysv_objects(count):
    """Segments, as far as kernel.shmmni of the name space goes."""

    def prepare():
        set_limit("kernel/shmmni", 32768)
        libc = ctypes.CDLL(None, use_errno=True)
        for i in range(min(count, limit_of("kernel/shmmni"))):
            if libc.shmget(FIRST_KEY + i, ctypes.c_size_t(4096), 0o1600) == -1:  # IPC_CREAT
                raise OSError(ctypes.get_errno(), "shmget")
        os.close(os.open(f"{SHM}/data", os.O_CREAT | os.O_RDWR, 0o600))

    return Kind(prepare, lambda: object_rows("sysv/shm", count, "{mnt}/sysv/shm/by-key", "", "ipcs -m",
                                             "{mnt}/ctl/sysv/shm/list.json", f"0x{FIRST_KEY + count // 2:08x}"), files=count)


# ---- clients ---------------------------------------------------------------------------------------------------

CLIENTS_MAX = 64


def clients(counts):
    """Each has an object and a queue of its own; they and the daemons are where the kernel has them."""

    def prepare():
        set_limit("fs/mqueue/queues_max", 4 * CLIENTS_MAX)
        for name in ["data", *(f"o{i:02d}" for i in range(CLIENTS_MAX))]:
            os.close(os.open(f"{SHM}/{name}", os.O_CREAT | os.O_RDWR, 0o600))

    def rows():
        queue = "mq:/client%:4:64"
        found = []
        for count in counts:
            shape = {"clients": count, "batch_us": 20000}
            found += [
                point("clients/stat of one's own object", count, "stat", "{mnt}/shm/o%", native="{shm}/o%",
                      floor="{nop}/dir/f0000%", **shape),
                point("clients/mq: send + receive", count, "send-receive", "packet:{mnt}/mq/client%," + queue,
                      native=f"{queue},{queue}", floor="null-packet:{nop}/stream," + queue, size=64, **shape),
                point("clients/get ctl/version", count, "get", "{mnt}/ctl/version", floor="{nop}/ctl", **shape),
            ]
        return found

    return Kind(prepare, rows)


# ---- sizes -----------------------------------------------------------------------------------------------------

LARGEST = 1 << 20
LARGEST_MESSAGE = LARGEST - (64 << 10)  # it must come in one request, which is as large with what stands before it


def most_of_mq(depth):
    """Bytes of a message, so that a queue for so many of them fits into RLIMIT_MSGQUEUE, what the kernel adds included."""
    total = resource.getrlimit(resource.RLIMIT_MSGQUEUE)[0]
    room = LARGEST if total == resource.RLIM_INFINITY else (total - 4096) // depth
    return min(limit_of("fs/mqueue/msgsize_max"), room)


def size_row(curve, size, op, ipcfs, **more):
    return point(f"sizes/{curve}", size, op, ipcfs, size=size, **more)


def message_rows(size):
    """One process sends and receives; on one CPU."""
    found = []
    mq, sysv = f"mq:/size{size}:1:{size}", f"sysv:0x4000:{4 * LARGEST}"
    for name, queue, path, most in (("mq", mq, f"mq/size{size}", most_of_mq(1)),
                                    ("sysv/msg", sysv, "sysv/msg/by-key/0x00004000", limit_of("kernel/msgmax"))):
        if size <= min(most, LARGEST_MESSAGE):
            found.append(size_row(f"{name}: send + receive", size, "send-receive", "packet:{mnt}/" + f"{path},{queue}",
                                  native=f"{queue},{queue}", floor="null-packet:{nop}/stream," + queue, place="one"))
    return found


def stream_rows(size):
    """One process writes, another one reads, on two CPUs."""
    shape = {"batch_us": 20000, "apart": True, "throughput": True}
    return [
        size_row("pipe: write, read by another process", size, "channel-stream", "fifo:{mnt}/pipe/there,{mnt}/pipe/back",
                 native="fifo:{shm}/there,{shm}/back", floor="fifo:{nop}/fifo,{nop}/fifo", **shape),
        size_row("sock/NAME/: write, read by another process", size, "channel-stream", "listener:{mnt}/sock/bench",
                 native="pair:", floor="files:{nop}/null", **shape),
    ]


def sizes(wanted):
    def prepare():
        channels.prepare_pipes()
        os.truncate(f"{SHM}/data", 4 * LARGEST)
        for name, value in (("fs/mqueue/msgsize_max", LARGEST), ("kernel/msgmax", LARGEST), ("kernel/msgmnb", 4 * LARGEST)):
            set_limit(name, value)

    def populate(mnt):
        channels.populate_pipes(mnt)
        channels.populate_sockets(mnt)

    def rows():
        return [row for size in wanted for row in (
            *message_rows(size), *stream_rows(size),
            size_row("shm: write", size, "pwrite", "{mnt}/shm/data", native="{shm}/data", floor="{nop}/data"))]

    return Kind(prepare, rows, populate=populate)


# ---- by name ---------------------------------------------------------------------------------------------------

KINDS = {
    "shm-objects": lambda numbers: shm_objects(numbers[0]),
    "mq-objects": lambda numbers: mq_objects(numbers[0]),
    "sysv-objects": lambda numbers: sysv_objects(numbers[0]),
    "clients": clients,
    "sizes": sizes,
}

# What is measured: alone, beside all the rest, and for a first look.
FULL = ("shm-objects@10", "shm-objects@100", "shm-objects@1000", "shm-objects@10000", "shm-objects@100000",
        "mq-objects@10", "mq-objects@100", "mq-objects@1000", "mq-objects@3000",
        "sysv-objects@10", "sysv-objects@100", "sysv-objects@1000", "sysv-objects@10000", "sysv-objects@32000",
        "clients@1,2,4,8,16,32,64", "sizes@16,64,256,1024,4096,16384,65536,262144,524288,1048576")
SHORT = ("shm-objects@10", "shm-objects@1000", "shm-objects@10000", "mq-objects@10", "mq-objects@1000",
         "sysv-objects@10", "sysv-objects@1000", "clients@1,4,16,64", "sizes@16,1024,65536,524288,1048576")
QUICK = ("shm-objects@10", "shm-objects@1000", "clients@1,16", "sizes@16,65536")
ROUNDS = {FULL: 30, SHORT: 15, QUICK: 5}


def plan(args):
    if args.quick:
        return QUICK
    return FULL if args.kind == "growth" else SHORT


def find(name):
    """None: there is no such kind, or the numbers are none."""
    kind, _, numbers = name.partition("@")
    if kind not in KINDS or not all(number.isdigit() and int(number) for number in numbers.split(",")):
        return None
    return KINDS[kind]([int(number) for number in numbers.split(",")])
