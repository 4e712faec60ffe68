# SPDX-License-Identifier: MIT
"""Native message queues for the tests, by the C library and never through the mount; and processes that block."""
import ctypes
import gc
import os
import signal
import struct
import subprocess
import threading
import time

from mounttest import CTL, MNT, SCRATCH, ok

SOON = 5  # seconds in which "at once" must have happened, on a machine that has other work
MQ = MNT + '/mq'
MSG = MNT + '/sysv/msg'
MQFS = SCRATCH + '/mqueue'  # the kernel's own view of POSIX queues
IPC_CREAT, IPC_EXCL, IPC_NOWAIT, MSG_NOERROR = 0o1000, 0o2000, 0o4000, 0o10000
IPC_RMID, IPC_SET, IPC_STAT = 0, 1, 2

signal.signal(signal.SIGINT, signal.default_int_handler)  # who started us may ignore it, and children inherit that
libc = ctypes.CDLL(None, use_errno=True)
if not hasattr(libc, 'mq_open'):
    libc = ctypes.CDLL('librt.so.1', use_errno=True)
libc.mq_timedreceive.restype = libc.msgrcv.restype = ctypes.c_ssize_t


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def deadline(seconds):
    until = time.time() + seconds
    return struct.pack('qq', int(until), int(until % 1 * 1e9))


class Mq:
    """A POSIX queue, natively. A call that waits longer than `seconds` raises ETIMEDOUT."""

    def __init__(self, name, flags=os.O_RDWR, mode=0o600, maxmsg=None, msgsize=None):
        attr = None if maxmsg is None else struct.pack('8l', 0, maxmsg, msgsize, 0, 0, 0, 0, 0)
        self.fd = -1
        self.fd = check(libc.mq_open(b'/' + os.fsencode(name), flags, mode, attr), name)

    def send(self, data, priority=0, seconds=10):
        check(libc.mq_timedsend(self.fd, data, ctypes.c_size_t(len(data)), priority, deadline(seconds)), 'mq_send')

    def receive(self, seconds=10):
        buffer, priority = ctypes.create_string_buffer(self.attr()['msgsize']), ctypes.c_uint()
        n = check(libc.mq_timedreceive(self.fd, buffer, ctypes.c_size_t(len(buffer)), ctypes.byref(priority),
                                       deadline(seconds)), 'mq_receive')
        return buffer.raw[:n], priority.value

    def take(self):
        """All messages there are, without waiting."""
        return [self.receive(0) for _ in range(self.attr()['curmsgs'])]

    def attr(self):
        buffer = ctypes.create_string_buffer(64)
        check(libc.mq_getattr(self.fd, buffer), 'mq_getattr')
        return dict(zip(('flags', 'maxmsg', 'msgsize', 'curmsgs'), struct.unpack_from('4l', buffer.raw)))

    def bytes(self):
        return int(dict(w.split(':', 1) for w in os.pread(self.fd, 200, 0).decode().split())['QSIZE'])

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    __del__ = close


def make_mq(name, maxmsg=None, msgsize=None, mode=0o600):
    return Mq(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode, maxmsg, msgsize)


def unlink_mq(name):
    check(libc.mq_unlink(b'/' + os.fsencode(name)), name)


class Msg:
    """A System V queue, natively."""

    def __init__(self, key, flags=0):
        self.id = check(libc.msgget(ctypes.c_int(key), flags), f'msgget {key:#x}')

    @classmethod
    def by_id(cls, msqid):
        self = cls.__new__(cls)
        self.id = msqid
        return self

    def send(self, data, kind=1, flags=0):
        check(libc.msgsnd(self.id, struct.pack('l', kind) + data, ctypes.c_size_t(len(data)), flags), 'msgsnd')

    def receive(self, kind=0, flags=IPC_NOWAIT, room=65536):
        buffer = ctypes.create_string_buffer(8 + room)
        n = check(libc.msgrcv(self.id, buffer, ctypes.c_size_t(room), ctypes.c_long(kind), flags), 'msgrcv')
        return buffer.raw[8:8 + n], struct.unpack_from('l', buffer.raw)[0]

    def take(self):
        return [self.receive() for _ in range(self.stat()['qnum'])]

    def stat(self):
        buffer = ctypes.create_string_buffer(256)
        check(libc.msgctl(self.id, IPC_STAT, buffer), 'IPC_STAT')
        perm = dict(zip(('key', 'uid', 'gid', 'cuid', 'cgid', 'mode'), struct.unpack_from('iIIIII', buffer.raw)))
        perm['mode'] &= 0o777
        rest = struct.unpack_from('qqqLLLii', buffer.raw, 48)
        return perm | dict(zip(('stime', 'rtime', 'ctime', 'cbytes', 'qnum', 'qbytes', 'lspid', 'lrpid'), rest))

    def remove(self):
        check(libc.msgctl(self.id, IPC_RMID, None), 'IPC_RMID')


def make_msg(key, mode=0o600):
    return Msg(key, IPC_CREAT | IPC_EXCL | mode)


def all_msg():
    with open('/proc/sysvipc/msg') as f:
        return [int(l.split()[1]) for l in f.read().splitlines()[1:]]


class Posix:
    """A queue of one kind: natively, and its paths in the mount. `room`: full with so many messages of a byte."""
    kind = 'mq'

    def __init__(self, name='q', room=2, size=32):
        self.native = make_mq(name, room, size)
        self.path, self.ctl, self.numbered = f'{MQ}/{name}', f'{CTL}/mq/{name}', 'prio/3'
        self.send, self.take = self.native.send, self.native.take

    def count(self):
        return self.native.attr()['curmsgs']

    def fill(self):
        while self.count() < self.native.attr()['maxmsg']:
            self.send(b'x' * self.native.attr()['msgsize'])


class SystemV:
    kind = 'sysv/msg'

    def __init__(self, key=0x77, room=None):
        self.native = make_msg(key)
        self.path, self.ctl, self.numbered = f'{MSG}/by-key/{key:#010x}', f'{CTL}/sysv/msg/by-key/{key:#010x}', 'type/3'
        self.send, self.take = self.native.send, self.native.take
        if room is not None:
            self.send(b'x' * 8192)
            self.send(b'x' * (self.native.stat()['qbytes'] - 8192 - room))

    def count(self):
        return self.native.stat()['qnum']

    def fill(self):
        size = 4096
        while size:
            try:
                self.native.send(b'x' * size, 1, IPC_NOWAIT)
            except BlockingIOError:
                size //= 2


KINDS = [cls for cls in (Posix, SystemV) if os.environ.get('KIND', '') in cls.kind]  # KIND=mq: one alone


def mount_mqfs():
    if not os.path.isdir(MQFS):
        os.mkdir(MQFS)
        subprocess.run(['mount', '-t', 'mqueue', 'none', MQFS], check=True)


def clean_queues():
    gc.collect()  # a queue that an object of ours still has open counts for its user
    for name in os.listdir(MQFS):
        os.unlink(f'{MQFS}/{name}')
    for msqid in all_msg():
        Msg.by_id(msqid).remove()


def sysctl(name, value):
    """Of this IPC namespace alone."""
    with open('/proc/sys/' + name, 'w') as f:
        f.write(str(value))


def state(pid):
    """State letter and where it sleeps; '' when it is gone."""
    try:
        with open(f'/proc/{pid}/stat') as f:
            letter = f.read().rpartition(')')[2].split()[0]
        with open(f'/proc/{pid}/wchan') as f:
            return letter, f.read()
    except OSError:
        return '', ''


def wait_until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        ok(time.monotonic() < end, f'{what}: not within {seconds} s')
        time.sleep(0.005)


def wait_blocked(pid):
    """The process waits for an answer of the daemon, and it did so a moment later too."""
    def sleeps():
        return state(pid)[0] == 'S' and ('fuse' in state(pid)[1] or 'request_wait' in state(pid)[1])
    wait_until(sleeps, f'process {pid} blocks in the mount ({state(pid)})')
    time.sleep(0.03)
    ok(sleeps(), f'process {pid} blocks no longer: {state(pid)}')


def start(*argv, **kwargs):
    kwargs = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT} | kwargs
    return subprocess.Popen(argv, **kwargs)


def shell(line, **kwargs):
    return start('bash', '-c', line, env=os.environ | {'MQ': MQ, 'MSG': MSG, 'CTL': CTL}, **kwargs)


def output(process, seconds=10):
    """What it printed and its status. It is killed where it does not end."""
    try:
        out = process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        where = state(process.pid)
        process.kill()
        raise AssertionError(f'{process.args}: does not end in {seconds} s, {where}') from None
    return out.decode(errors='replace') if out is not None else '', process.returncode


def bash(line, seconds=10):
    return output(shell(line), seconds)


def ends(process, seconds=SOON):
    """Its status; it must end soon."""
    return output(process, seconds)[1]


class Watch:
    """No process of this run may be in state D for longer than a moment, while the block runs. On a busy machine it is long
    until one that may go on does: it counts if it is in the same place at every one of many looks."""
    MOMENT, LOOKS = 1, 20

    def __init__(self):
        self.seen, self.bad, self.stop = {}, set(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stop.wait(0.05):
            now = time.monotonic()
            for pid in filter(str.isdigit, os.listdir('/proc')):
                letter, where = state(pid)
                place, since, looks = self.seen.get(pid, (None, now, 0))
                if letter != 'D':
                    self.seen.pop(pid, None)
                    continue
                self.seen[pid] = (where, since, looks + 1) if where == place else (where, now, 1)
                if where == place and now - since > self.MOMENT and looks > self.LOOKS:
                    self.bad.add(f'process {pid} in {where}')

    def __enter__(self):
        self.thread.start()
        return self
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        self.thread.join()
        if kind is None:
            ok(not self.bad, f'in state D: {self.bad}')

