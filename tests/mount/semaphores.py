# SPDX-License-Identifier: MIT
"""Native semaphores for the tests, by the C library and never through the mount; what both families have in common."""
import ctypes
import os
import re
import select
import signal
import struct
import time

from forget import forget
from mounttest import CTL, MNT, SHM, eq, metrics, ok
from queues import IPC_CREAT, IPC_EXCL, IPC_NOWAIT, IPC_RMID, IPC_SET, IPC_STAT, check, deadline, libc, wait_until

SEM = MNT + '/sem'
SSEM = MNT + '/sysv/sem'
SEM_UNDO = 0x1000
GETPID, GETVAL, GETALL, GETNCNT, GETZCNT, SETVAL, SETALL = range(11, 18)
os.environ.update({'SEM': SEM, 'SSEM': SSEM})  # for lines of shell

pthread = libc if hasattr(libc, 'sem_open') else ctypes.CDLL('libpthread.so.0', use_errno=True)
pthread.sem_open.restype = ctypes.c_void_p
ADDRESS = ctypes.c_void_p


def write(path, data, flags=0):
    fd = os.open(path, os.O_WRONLY | flags)
    try:
        return os.write(fd, data)
    finally:
        os.close(fd)


def read(path, flags=0, size=65536):
    """The first read(2)."""
    fd = os.open(path, os.O_RDONLY | flags)
    try:
        return os.read(fd, size)
    finally:
        os.close(fd)


def state(directory):
    """Lines of a state, those of a table's rows too."""
    return dict(l.split(': ', 1) for l in read(directory + '/state').decode().splitlines())


class PosixSem:
    """A POSIX named semaphore, natively."""

    def __init__(self, name, flags=0, mode=0o600, value=0):
        self.file = os.fsencode(SHM) + b'/sem.' + os.fsencode(name)
        self.address = pthread.sem_open(b'/' + os.fsencode(name), flags, mode, ctypes.c_uint(value))
        if not self.address:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), name)

    def value(self):
        value = ctypes.c_int()
        check(pthread.sem_getvalue(ADDRESS(self.address), ctypes.byref(value)), 'sem_getvalue')
        return value.value

    def post(self, count=1):
        for _ in range(count):
            check(pthread.sem_post(ADDRESS(self.address)), 'sem_post')

    def take(self):
        check(pthread.sem_trywait(ADDRESS(self.address)), 'sem_trywait')

    def wait(self, seconds=10):
        check(pthread.sem_timedwait(ADDRESS(self.address), deadline(seconds)), 'sem_timedwait')

    def waiters(self):
        """What glibc keeps in the file (sysdeps/nptl/internaltypes.h, struct new_sem of 64-bit machines)."""
        with open(self.file, 'rb') as f:
            return struct.unpack('II', f.read(8))[1]

    def close(self):
        pthread.sem_close(ADDRESS(self.address))


def make_posix(name, value=0, mode=0o600):
    return PosixSem(name, os.O_CREAT | os.O_EXCL, mode, value)


def unlink_posix(name):
    check(pthread.sem_unlink(b'/' + os.fsencode(name)), name)


class Set:
    """A System V set, natively."""

    def __init__(self, key, nsems=0, flags=0):
        self.id = check(libc.semget(ctypes.c_int(key), nsems, flags), f'semget {key:#x}')

    @classmethod
    def by_id(cls, semid):
        self = cls.__new__(cls)
        self.id = semid
        return self

    def control(self, number, command, argument=0):
        argument = argument if isinstance(argument, ctypes.Array) else ctypes.c_int(argument)
        return check(libc.semctl(self.id, number, command, argument), 'semctl')

    def value(self, number=0):
        return self.control(number, GETVAL)

    def set(self, value, number=0):
        self.control(number, SETVAL, value)

    def values(self):
        array = (ctypes.c_ushort * self.stat()['nsems'])()
        self.control(0, GETALL, array)
        return list(array)

    def set_all(self, values):
        self.control(0, SETALL, (ctypes.c_ushort * len(values))(*values))

    def op(self, *steps, seconds=10):
        """Each step: number, operation, flags. A wait of more than `seconds` raises EAGAIN."""
        sops = b''.join(struct.pack('Hhh', *step, *(0,) * (3 - len(step))) for step in steps)
        until = struct.pack('qq', int(seconds), int(seconds % 1 * 1e9))
        check(libc.semtimedop(self.id, sops, ctypes.c_size_t(len(steps)), until), 'semtimedop')

    def counts(self, number=0):
        """ncount, zcount"""
        return self.control(number, GETNCNT), self.control(number, GETZCNT)

    def pid(self, number=0):
        return self.control(number, GETPID)

    def stat(self):
        buffer = ctypes.create_string_buffer(256)
        self.control(0, IPC_STAT, buffer)
        perm = dict(zip(('key', 'uid', 'gid', 'cuid', 'cgid', 'mode'), struct.unpack_from('iIIIII', buffer.raw)))
        perm['mode'] &= 0o777
        rest = struct.unpack_from('qqqqL', buffer.raw, 48)
        return perm | dict(zip(('otime', '', 'ctime', '', 'nsems'), rest))

    def remove(self):
        self.control(0, IPC_RMID)


def make_set(key, *values, mode=0o600):
    made = Set(key, len(values), IPC_CREAT | IPC_EXCL | mode)
    made.set_all(values)
    return made


def all_sets():
    with open('/proc/sysvipc/sem') as f:
        return [int(l.split()[1]) for l in f.read().splitlines()[1:]]


class Posix:
    """A semaphore of one kind: natively, and its files in the mount."""
    kind, c = 'sem', 'posix'

    def __init__(self, name='s', value=0):
        self.name = name
        self.native = make_posix(name, value)
        self.path, self.object, self.ctl = f'{SEM}/{name}', f'{SEM}/{name}', f'{CTL}/sem/{name}'
        self.value, self.post, self.wait = self.native.value, self.native.post, self.native.wait

    def waiting(self):
        return self.native.waiters()


class SystemV:
    """The first semaphore of a set of two. Names of up to four bytes are keys."""
    kind, c = 'sysv/sem', 'sysv'

    def __init__(self, key=0x77, value=0):
        key = int.from_bytes(key.encode(), 'big') if isinstance(key, str) else key
        self.name = f'{key:#010x}'
        self.native = make_set(key, value, 5)
        self.object, self.ctl = f'{SSEM}/by-key/{self.name}', f'{CTL}/sysv/sem/by-key/{self.name}'
        self.path = f'{self.object}/0'
        self.value = self.native.value

    def post(self, count=1):
        self.native.op((0, count))

    def wait(self, seconds=10):
        self.native.op((0, -1), seconds=seconds)

    def waiting(self):
        return self.native.counts()[0]


FAMILIES = [cls for cls in (Posix, SystemV) if os.environ.get('KIND', '') in cls.kind]  # KIND=sysv: one alone


def end_children():
    """A failed test must not leave its waiters to the next one."""
    for task in os.listdir('/proc/self/task'):
        with open(f'/proc/self/task/{task}/children') as f:
            for pid in f.read().split():
                os.kill(int(pid), signal.SIGKILL)


def clean_semaphores():
    end_children()
    for semid in all_sets():
        Set.by_id(semid).remove()


def wait_parked(n, what):
    wait_until(lambda: metrics()['ipcfs_parked'] == n, f'{what}: {n} parked')


def settled(before):
    """Nothing of those who waited or held is left."""
    forget()
    now = metrics()
    return (now['ipcfs_parked'] == before['ipcfs_parked'] and now['ipcfs_keepers'] <= before['ipcfs_keepers']
            and now['ipcfs_handles'] <= before['ipcfs_handles'] and now['ipcfs_nodes'] <= before['ipcfs_nodes'] + 30)


def wait_settled(before, what):
    try:
        wait_until(lambda: settled(before), what)
    except AssertionError as e:
        now = metrics()
        raise AssertionError(f'{e}: ' + ', '.join(f'{n} {before[n]:g} -> {now[n]:g}' for n in sorted(before)
                                                  if before[n] != now[n] and n.startswith('ipcfs_'))) from None


def wait_value(semaphore, value, what):
    """It has this value, soon and a moment later too."""
    wait_until(lambda: semaphore.value() == value, f'{what}: value {value}')
    time.sleep(0.02)
    eq(semaphore.value(), value, what)


def said(p, seconds=10):
    """The next line that the process prints, which must come soon."""
    line = b''
    while not line.endswith(b'\n'):
        ready = select.select([p.stdout], [], [], seconds)[0]
        ok(ready, f'{p.args} says nothing more in {seconds} s after {line!r}')
        byte = os.read(p.stdout.fileno(), 1)
        ok(byte, f'{p.args} ended after {line!r}')
        line += byte
    return line


def refusal(path, data, want, word):
    """A write that must fail: its reason is read back from the handle and is in ctl/last-error with the file's path."""
    fd = os.open(path, os.O_RDWR)
    try:
        got = None
        try:
            os.write(fd, data)
        except OSError as e:
            got = e.errno
        wants = (want,) if isinstance(want, int) else want
        ok(got in wants, f'{data[:60]!r} to {path}: {got and os.strerror(got)}, expected {" or ".join(map(os.strerror, wants))}')
        reason = os.read(fd, 4096).decode(errors='replace').strip()
    finally:
        os.close(fd)
    last = read(f'{CTL}/last-error').decode(errors='replace').strip()
    shown = re.sub('^' + re.escape(MNT) + '/', '', path)
    ok(reason and last.endswith(reason) and shown in last, f'{data[:60]!r} to {path}: reason {reason!r}, last-error {last!r}')
    ok(word in reason, f'{data[:60]!r} to {path}: no word of {word!r} in {reason!r}')
    return reason
