# SPDX-License-Identifier: MIT
"""What the operations of the fault tests share: where things are, whole files, and who waits."""
import ctypes
import os

from mounttest import MNT, attempt, eq, metrics, ok
from queues import libc, wait_until
from twins import Thread

MSGS, SEGMENTS = f'{MNT}/sysv/msg/by-key', f'{MNT}/sysv/shm/by-key'
TREE = f'{MNT}/shm'
KEY = '0x00000077'


def read(path, flags=0, size=1 << 17):
    """All of a file."""
    fd = os.open(path, os.O_RDONLY | flags)
    try:
        return b''.join(iter(lambda: os.read(fd, size), b''))
    finally:
        close(fd)


def write(path, data, flags=0):
    fd = os.open(path, os.O_WRONLY | flags)
    try:
        return os.write(fd, data)
    finally:
        close(fd)


def close(fd):
    """It is closed however FLUSH is answered."""
    ok(attempt(os.close, fd) in (None, 'ENOMEM'), 'close')


def raw_read(fd):
    """Ends with EINTR at a signal; os.read(2) would begin again."""
    buffer = ctypes.create_string_buffer(100)
    count = libc.read(fd, buffer, ctypes.c_size_t(100))
    if count < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return buffer.raw[:count]


PARTS = {}


def of(part):
    """Marks an operation of that part; it is given the scene and the fault."""
    def mark(fn):
        PARTS.setdefault(part, []).append(fn)
        return fn
    return mark


def operations(part, scene):
    for fn in PARTS[part]:
        each = fn(scene) if fn.__name__.startswith('each_') else [lambda fault, fn=fn: fn(scene, fault)]
        for operation in each:
            if not fn.__name__.startswith('each_'):
                operation.__name__ = fn.__name__
            yield operation


def named(name, fn):
    fn.__name__ = name
    return fn


def made(there, fault):
    """After a failure there is nothing, unless it came later: the kernel asks for more once it has been made."""
    if there and fault.error and fault.where().startswith('fuse_ll_alloc_req'):
        return
    eq(there, fault.error is None, f'it is there after {fault.error}')


def gone(path, fault):
    made(os.path.lexists(path), fault)


def parked_thread(fn, *args):
    before = metrics()['ipcfs_parked']
    thread = Thread(fn, *args)
    wait_until(lambda: metrics()['ipcfs_parked'] > before, 'it waits')
    return thread


def settle(thread):
    ok(not thread.is_alive(), 'who waited has an answer')
