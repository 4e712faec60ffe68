# SPDX-License-Identifier: MIT
"""Native System V shared memory for the tests, by the C library and never through the mount; and where it is shown."""
import ctypes
import mmap
import os
import re
import signal
import struct
import subprocess
import sys

from mounttest import CTL, MNT, NATIVE, attempt, eq, get, ok
from queues import IPC_CREAT, IPC_EXCL, IPC_RMID, IPC_STAT, check, libc, sysctl, wait_until

SEGMENT = sys.argv[1]  # the C program, segment.c
SYSV = MNT + '/sysv/shm'
CTL_SHM = CTL + '/sysv/shm'
PAGE = mmap.PAGESIZE
KEY = 0x2a
NAME = f'{KEY:#010x}'
CREATE = os.O_CREAT | os.O_RDWR
EXCLUSIVE = CREATE | os.O_EXCL
READ, RW = mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE
SHM_RDONLY, SHM_HUGETLB, SHM_NORESERVE = 0o10000, 0o4000, 0o10000
FLAGS = {0o1000: 'dest', 0o2000: 'locked'}
libc.shmat.restype = ctypes.c_void_p


def by_key(key=KEY):
    return f'{SYSV}/by-key/{key:#010x}'


def control(key=KEY):
    return f'{CTL_SHM}/by-key/{key:#010x}'


class Attached:
    """A segment in the memory of this process."""

    def __init__(self, shmid, flags=0):
        address = libc.shmat(shmid, None, flags)
        if address == ctypes.c_void_p(-1).value:
            check(-1, 'shmat')
        self.address = address

    def read(self, offset, size):
        return ctypes.string_at(self.address + offset, size)

    def write(self, offset, data):
        ctypes.memmove(self.address + offset, data, len(data))

    def detach(self):
        check(libc.shmdt(ctypes.c_void_p(self.address)), 'shmdt')


class Shm:
    """A segment, natively."""

    def __init__(self, key, flags=0, size=0):
        self.id = check(libc.shmget(ctypes.c_int(key), ctypes.c_size_t(size), flags), f'shmget {key:#x}')
        self.path, self.control = f'{SYSV}/by-id/{self.id}', f'{CTL_SHM}/by-id/{self.id}'

    @classmethod
    def by_id(cls, shmid):
        self = cls.__new__(cls)
        self.id, self.path, self.control = shmid, f'{SYSV}/by-id/{shmid}', f'{CTL_SHM}/by-id/{shmid}'
        return self

    def attach(self, flags=0):
        return Attached(self.id, flags)

    def read(self, offset=0, size=None):
        a = self.attach(SHM_RDONLY)
        try:
            return a.read(offset, self.stat()['size'] - offset if size is None else size)
        finally:
            a.detach()

    def write(self, offset, data):
        a = self.attach()
        a.write(offset, data)
        a.detach()

    def stat(self):
        """What IPC_STAT says, which changes nothing."""
        buffer = ctypes.create_string_buffer(256)
        check(libc.shmctl(self.id, IPC_STAT, buffer), 'IPC_STAT')
        s = dict(zip(('key', 'uid', 'gid', 'cuid', 'cgid', 'mode'), struct.unpack_from('iIIIII', buffer.raw)))
        s |= dict(zip(('size', 'atime', 'dtime', 'ctime', 'cpid', 'lpid', 'nattch'),
                      struct.unpack_from('Qqqqiil', buffer.raw, 48)))
        s['flags'] = {word for bit, word in FLAGS.items() if s['mode'] & bit}
        s['mode'] &= 0o777
        return s

    def remove(self):
        check(libc.shmctl(self.id, IPC_RMID, None), 'IPC_RMID')

    def exists(self):
        return self.id in [s['shmid'] for s in all_shm()]

    def settles(self, nattch, what):
        """close(2) does not wait for the daemon: its attachment goes a moment later."""
        wait_until(lambda: self.stat()['nattch'] == nattch, f'{what}: {nattch} attachments, not {self.stat()["nattch"]}')

    def vanishes(self, what):
        wait_until(lambda: not self.exists(), f'{what}: the segment is gone')


def make_shm(key=KEY, size=PAGE, mode=0o600, flags=0):
    return Shm(key, IPC_CREAT | IPC_EXCL | mode | flags, size)


def all_shm():
    """/proc/sysvipc/shm: a dictionary for each segment; `perms`, which it has in octal, are SHM_DEST and SHM_LOCKED, too."""
    with open('/proc/sysvipc/shm') as f:
        lines = [l.split() for l in f.read().splitlines()]
    return [{name: int(word, 8 if name == 'perms' else 10) for name, word in zip(lines[0], l)} for l in lines[1:]]


left = set()  # segments that a test did not get rid of


def clean_segments():
    """After each test: removes what it left. What then stays, stays because somebody is attached still."""
    restore_limits()
    while Peer.all:
        Peer.all.pop().kill()
    for fd in os.listdir('/proc/self/fd'):
        if attempt(os.readlink, f'/proc/self/fd/{fd}').startswith(MNT):
            os.close(int(fd))  # a test that failed had no time for that
    for s in all_shm():
        try:
            Shm.by_id(s['shmid']).remove()
        except OSError:
            pass  # it vanished with its last attachment

    def more():
        return {s['shmid'] for s in all_shm()} - left
    try:
        wait_until(lambda: not more(), 'no segment is left', 1)
    except AssertionError:
        left.update(more())
        print(f'  left: {all_shm()}, attachments of the daemon: {daemon_attachments()}', flush=True)


def finish():
    """A test that passed may not have left anything behind."""
    if left or daemon_attachments():
        sys.exit(f'left: segments {left}, attachments of the daemon {daemon_attachments()}')


class Peer:
    """A process of the C program that is attached."""
    all = []

    def __init__(self, name, **kwargs):
        self.process = subprocess.Popen([SEGMENT, str(name), 'attached'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        **kwargs)
        self.all.append(self)
        self.answer('attached')

    def answer(self, want):
        got = self.process.stdout.readline().decode().rstrip('\n')
        ok(got == want, f'the C program says {got!r}, not {want!r}')

    def tell(self, line):
        self.process.stdin.write(line.encode() + b'\n')
        self.process.stdin.flush()

    def store(self, offset, text):
        self.tell(f'store {offset} {text}')
        self.answer('stored')

    def sees(self, offset, text):
        self.tell(f'print {offset} {len(text)}')
        self.answer(text)

    def end(self):
        self.process.stdin.close()
        ok(self.process.wait(10) == 0, f'the C program ended with {self.process.returncode}')

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


def write(path, data, flags=0):
    fd = os.open(path, os.O_WRONLY | flags)
    try:
        return os.write(fd, data)
    finally:
        os.close(fd)


def mapping(path, length, prot=RW, flags=mmap.MAP_SHARED):
    """The descriptor is closed when this returns (Python's mmap would keep one otherwise)."""
    fd = os.open(path, os.O_RDWR if prot & mmap.PROT_WRITE and flags == mmap.MAP_SHARED else os.O_RDONLY)
    try:
        return Mapping(fd, length, prot, flags)
    finally:
        os.close(fd)


libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]


class Mapping:
    """mmap(2) without the descriptor that Python's own keeps open for its size."""

    def __init__(self, fd, length, prot=RW, flags=mmap.MAP_SHARED):
        address = libc.mmap(None, length, prot, flags, fd, 0)
        if address == ctypes.c_void_p(-1).value:
            check(-1, 'mmap')
        self.address, self.length = address, length

    def read(self, offset, size):
        return ctypes.string_at(self.address + offset, size)

    def write(self, offset, data):
        ctypes.memmove(self.address + offset, data, len(data))

    def close(self):
        check(libc.munmap(ctypes.c_void_p(self.address), ctypes.c_size_t(self.length)), 'munmap')


def state(path):
    return dict(l.split(': ', 1) if ': ' in l else (l.rstrip(':'), '')
                for l in get(path + '/state').decode().splitlines())


def flags_of(text):
    return set(re.findall('[a-z]+', text or '')) - {'none'}


def ipcs(*args):
    return subprocess.run(['ipcs', '-m', *args], capture_output=True, text=True, check=True).stdout


def daemon_attachments():
    if NATIVE:
        return []
    with open(f'/proc/{os.environ["IPCFS_PID"]}/maps') as f:
        return [l.strip() for l in f if '/SYSV' in l]


def names():
    return sorted(os.listdir(f'{SYSV}/by-key')), sorted(os.listdir(f'{SYSV}/by-id'))


def nothing_there(what):
    eq((all_shm(), names()), ([], ([], [])), what)


def make_by_mount(key, size=PAGE, mode=0o600):
    fd = os.open(by_key(key), EXCLUSIVE, mode)
    try:
        os.ftruncate(fd, size)
    finally:
        os.close(fd)


def mapping_of(fd, prot=RW):
    return Mapping(fd, PAGE, prot)


def restore_limits():
    sysctl('kernel/shmmni', 4096)
    for name in ('shmmax', 'shmall'):
        sysctl(f'kernel/{name}', 18446744073692774399)
