# SPDX-License-Identifier: MIT
"""Names and attributes while allocations fail."""
import ctypes
import os
import socket

from mounttest import MNT, SHM, attempt, eq, ok
from paths import close, made, gone, named, of, write, KEY, MSGS, SEGMENTS, TREE
from queues import MQ, Msg, libc, make_mq, make_msg
from twins import PIPE, SOCK

PLACES = ('shm/a', 'mq/q', f'sysv/msg/by-key/{KEY}', f'sysv/shm/by-key/{KEY}', f'sysv/sem/by-key/{KEY}', 'sem/s', 'pipe/p',
          'sock/b', 'sock/d', 'sem/s/value', f'sysv/sem/by-key/{KEY}/1/wait', 'sock/d/accept')


@of('names')
def each_stat(_):
    def stat(path):
        def operation(fault):
            with fault:
                fault.got = os.stat(f'{MNT}/{path}')
            ok(fault.error or fault.got.st_ino, path)
        return named(f'stat {path}', operation)
    return [stat(path) for path in PLACES + ('ctl/shm/a/state', 'proc/self')]


@of('names')
def each_missing(_):
    def missing(path):
        def operation(fault):
            with fault:
                fault.got = attempt(os.stat, f'{MNT}/{path}/none')
            ok(fault.got in ('ENOENT', 'ENOMEM'), f'{path}: {fault.got}')
        return named(f'missing {path}', operation)
    return [missing(path) for path in ('shm', 'mq', 'sem', 'sysv/msg/by-key', 'pipe', 'sock', 'ctl/shm', 'proc')]


@of('names')
def each_directory(_):
    def directory(path, name):
        def operation(fault):
            fault.allowed |= {'EAGAIN'} if 'proc' in path else set()  # there was no thread to be had
            with fault:
                fault.got = os.listdir(f'{MNT}/{path}')
            ok(fault.error or name in fault.got, f'{path}: {fault.got}')
        return named(f'list {path}', operation)
    rows = (('', 'shm'), ('shm', 'a'), ('mq', 'q'), ('sem', 's'), ('sem/s', 'value'), ('sysv/msg/by-key', KEY),
            ('sysv/shm/by-key', KEY), ('sysv/sem/by-key', KEY), (f'sysv/sem/by-key/{KEY}', 'op'), ('pipe', 'p'),
            ('sock', 'd'), ('sock/d', 'socket'), ('ctl', 'version'), ('ctl/shm', 'a'), ('ctl/shm/a', 'state'), ('proc', 'self'),
            (f'proc/{os.getpid()}', f'mq:q'))
    return [directory(*row) for row in rows]


@of('names')
def each_change(_):
    changes = {'chmod': lambda path: os.chmod(path, 0o640), 'utime': lambda path: os.utime(path, (5, 5)),
               'chown': lambda path: os.chown(path, 0, 0)}

    def change(path, what):
        def operation(fault):
            fault.allowed |= {'EPERM'} if what == 'utime' and 'sysv' in path else set()
            with fault:
                fault.got = attempt(changes[what], f'{MNT}/{path}')
            ok(fault.got in (None, 'ENOMEM', 'EPERM'), f'{what} {path}: {fault.got}')
        return named(f'{what} {path}', operation)
    return [change(path, what) for path in PLACES[:9] for what in changes]


@of('names')
def each_link(_):
    def link(path):
        def operation(fault):
            fault.allowed |= {'EAGAIN'} if 'proc' in path else set()
            with fault:
                fault.got = os.readlink(f'{MNT}/{path}')
            ok(fault.error or fault.got, path)
        return named(f'readlink {path}', operation)
    return [link(path) for path in ('ctl/shm/a/native', 'proc/self', f'proc/{os.getpid()}/mq:q', 'sock/d/socket')]


@of('names')
def statfs(_, fault):
    with fault:
        os.statvfs(TREE)


@of('names')
def create_shm(_, fault):
    with fault:
        close(os.open(f'{TREE}/new', os.O_RDWR | os.O_CREAT, 0o600))
    gone(f'{SHM}/new', fault)
    attempt(os.unlink, f'{SHM}/new')


@of('names')
def mknod_shm(_, fault):
    with fault:
        os.mknod(f'{TREE}/new')
    gone(f'{SHM}/new', fault)
    attempt(os.unlink, f'{SHM}/new')


@of('names')
def rename_shm(_, fault):
    os.mknod(f'{SHM}/old')
    with fault:
        os.rename(f'{TREE}/old', f'{TREE}/new')
    eq(sorted(os.listdir(SHM)).count('new'), int(not fault.error), f'renamed after {fault.error}')
    eq(os.path.exists(f'{SHM}/old'), bool(fault.error), 'the old name')
    os.unlink(f'{SHM}/new' if not fault.error else f'{SHM}/old')


@of('names')
def link_shm(_, fault):
    with fault:
        os.link(f'{TREE}/a', f'{TREE}/new')
    gone(f'{SHM}/new', fault)
    attempt(os.unlink, f'{SHM}/new')


@of('names')
def unlink_shm(_, fault):
    os.mknod(f'{SHM}/new')
    with fault:
        os.unlink(f'{TREE}/new')
    eq(os.path.exists(f'{SHM}/new'), bool(fault.error), f'it is there after {fault.error}')
    attempt(os.unlink, f'{SHM}/new')


@of('names')
def create_mq(_, fault):
    with fault:
        close(os.open(f'{MQ}/new', os.O_RDWR | os.O_CREAT, 0o600))
    made(libc.mq_unlink(b'/new') == 0, fault)


@of('names')
def unlink_mq(_, fault):
    make_mq('new', 1, 8).close()
    with fault:
        os.unlink(f'{MQ}/new')
    eq(libc.mq_unlink(b'/new') == 0, bool(fault.error), f'it was there after {fault.error}')


@of('names')
def create_msg(_, fault):
    with fault:
        close(os.open(f'{MSGS}/0x00000099', os.O_RDWR | os.O_CREAT, 0o600))
    queue = attempt(Msg, 0x99)
    made(isinstance(queue, Msg), fault)
    if isinstance(queue, Msg):
        queue.remove()


@of('names')
def unlink_msg(_, fault):
    queue = make_msg(0x99)
    with fault:
        os.unlink(f'{MSGS}/0x00000099')
    eq(attempt(queue.remove) is None, bool(fault.error), f'it was there after {fault.error}')


def segment(key):
    return libc.shmget(key, ctypes.c_size_t(0), 0)


@of('names')
def create_segment(_, fault):
    with fault:
        fd = os.open(f'{SEGMENTS}/0x00000099', os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(fd, 4096)
        finally:
            close(fd)
    made(segment(0x99) >= 0, fault)
    attempt(os.unlink, f'{SEGMENTS}/0x00000099')


@of('names')
def write_new_segment(_, fault):
    with fault:
        write(f'{SEGMENTS}/0x00000099', b'four', os.O_CREAT)
    made(segment(0x99) >= 0, fault)
    attempt(os.unlink, f'{SEGMENTS}/0x00000099')
    eq(segment(0x99), -1, 'removed')


@of('names')
def unlink_segment(_, fault):
    shmid = libc.shmget(0x99, ctypes.c_size_t(4096), 0o1600)
    with fault:
        os.unlink(f'{SEGMENTS}/0x00000099')
    eq(libc.shmctl(shmid, 0, None) == 0, bool(fault.error), f'it was there after {fault.error}')


def made_directory(tree, name, native):
    def make(fault):
        with fault:
            os.mkdir(f'{MNT}/{tree}/{name}')
        made(native(), fault)
        attempt(os.rmdir, f'{MNT}/{tree}/{name}')

    def remove(fault):
        os.mkdir(f'{MNT}/{tree}/{name}')
        with fault:
            os.rmdir(f'{MNT}/{tree}/{name}')
        eq(native(), bool(fault.error), f'it was there after {fault.error}')
        attempt(os.rmdir, f'{MNT}/{tree}/{name}')
    return [named(f'mkdir {tree}', make), named(f'rmdir {tree}', remove)]


@of('names')
def each_made_directory(_):
    return (made_directory('sem', 'new', lambda: os.path.exists(f'{SHM}/sem.new')) +
            made_directory('sysv/sem/by-key', '0x00000099', lambda: libc.semget(0x99, 0, 0) >= 0) +
            made_directory('sock', 'new', lambda: os.path.isdir(f'{SOCK}/new')))


@of('names')
def each_node(_):
    def bind(path):
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)

    def node(path, make):
        def operation(fault):
            with fault:
                make(path)
            gone(path, fault)
            attempt(os.unlink, path)
        return named(f'node {path}', operation)

    def away(path, make):
        def operation(fault):
            make(path)
            with fault:
                os.unlink(path)
            eq(os.path.exists(path), bool(fault.error), f'it was there after {fault.error}')
            attempt(os.unlink, path)
        return named(f'unlink {path}', operation)

    def renamed(path, make):
        def operation(fault):
            make(path)
            with fault:
                os.rename(path, path + '2')
            eq((os.path.exists(path), os.path.exists(path + '2')), (bool(fault.error), not fault.error), f'{fault.error}')
            attempt(os.unlink, path)
            attempt(os.unlink, path + '2')
        return named(f'rename {path}', operation)
    kinds = ((f'{PIPE}/new', os.mkfifo), (f'{SOCK}/new', bind), (f'{SOCK}/file', os.mknod))
    return [fn(*kind) for kind in kinds for fn in (node, away, renamed)]
