# SPDX-License-Identifier: MIT
"""Data, messages and semaphores while allocations fail: nothing is lost."""
import os

from mounttest import CTL, eq, ok
from paths import close, named, of, read, write, KEY, MSGS, SEGMENTS, TREE
from queues import MQ, wait_until
from semaphores import SEM, SSEM


@of('data')
def shm_data(_, fault):
    fd = os.open(f'{TREE}/a', os.O_RDWR)
    with fault:
        eq(os.pread(fd, 3, 3), b'abc', 'content')
        eq(os.pwrite(fd, b'abc' * 1000, 0), 3000, 'write')
        os.ftruncate(fd, 3000)
        os.lseek(fd, 0, os.SEEK_DATA)
        os.posix_fallocate(fd, 0, 10)
    os.close(fd)


@of('data')
def segment_data(scene, fault):
    with fault:
        eq(write(f'{SEGMENTS}/{KEY}', b'data'), 4, 'write')
        eq(read(f'{SEGMENTS}/{KEY}')[:4], b'data', 'content')


def sent(path, queue, data=b'hello\n', number=None):
    def operation(fault):
        with fault:
            eq(write(path, data, os.O_NONBLOCK), len(data), 'bytes written')
        took = queue.take()
        want = [line for line in data.split(b'\n') if line] if 'lines' in path else [data]
        eq([m[0] for m in took], [] if fault.error else want, f'messages after {fault.error}')
    return named(f'send {path}', operation)


@of('data')
def each_send(scene):
    mq, msg = f'{CTL}/mq/q', f'{CTL}/sysv/msg/by-key/{KEY}'
    return [sent(f'{MQ}/q', scene.mq), sent(f'{mq}/prio/3', scene.mq), sent(f'{mq}/lines', scene.mq, b'a\nb\nc\n'),
            sent(f'{MSGS}/{KEY}', scene.msg), sent(f'{msg}/type/5', scene.msg), sent(f'{msg}/lines', scene.msg, b'a\nb\nc\n')]


def received(path, queue, count=1, kind=None):
    def operation(fault):
        for i in range(count):
            queue.send(b'hello%d' % i, *([kind] if kind else []))
        got = b''
        with fault:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                got = os.read(fd, 1000)
            finally:
                close(fd)
        left = b''.join(m[0] for m in queue.take())
        eq(got.replace(b'\n', b'') + left, b''.join(b'hello%d' % i for i in range(count)), f'messages after {fault.error}')
        ok(got or fault.error, 'something was read')
    return named(f'receive {path}', operation)


@of('data')
def each_receive(scene):
    mq, msg = f'{CTL}/mq/q', f'{CTL}/sysv/msg/by-key/{KEY}'
    return [received(f'{MQ}/q', scene.mq), received(f'{mq}/lines', scene.mq, 3), received(f'{MSGS}/{KEY}', scene.msg),
            received(f'{msg}/type/5', scene.msg, 1, 5), received(f'{msg}/lines', scene.msg, 3)]


@of('data')
def peek(scene, fault):
    scene.msg.send(b'hello')
    with fault:
        eq(read(f'{CTL}/sysv/msg/by-key/{KEY}/peek/0'), b'hello', 'content')
    eq(len(scene.msg.take()), 1, 'messages')


@of('data')
def purge(scene, fault):
    scene.mq.send(b'hello')
    with fault:
        os.truncate(f'{MQ}/q', 0)
    eq(len(scene.mq.take()), int(bool(fault.error)), f'messages after {fault.error}')


@of('data')
def each_semaphore_file(scene):
    def file(path, data, native, first, then):
        def operation(fault):
            scene.sem.post(3 - scene.sem.value()) if scene.sem.value() < 3 else [scene.sem.take() for _ in range(scene.sem.value() - 3)]
            scene.set.set_all([3, 0])
            eq(native(), first, 'the first value')
            with fault:
                if data is None:
                    read(path)
                else:
                    write(path, data, os.O_NONBLOCK)
            value = native()
            if fault.error:
                eq(value, first, f'the value after {fault.error}')
            else:
                eq(value, then, 'the value')
        return named(f'{"read" if data is None else "write"} {path}', operation)
    where = f'{SSEM}/by-key/{KEY}'
    return [file(f'{SEM}/s/value', None, scene.sem.value, 3, 3), file(f'{SEM}/s/value', b'7', scene.sem.value, 3, 7),
            file(f'{SEM}/s/post', b'2', scene.sem.value, 3, 5), file(f'{where}/0/value', None, scene.set.value, 3, 3),
            file(f'{where}/0/value', b'7', scene.set.value, 3, 7), file(f'{where}/0/post', b'2', scene.set.value, 3, 5),
            file(f'{where}/op', b'0:-1 1:+1', scene.set.values, [3, 0], [2, 1]),
            file(f'{where}/values', b'1 2', scene.set.values, [3, 0], [1, 2]),
            file(f'{where}/values', None, scene.set.values, [3, 0], [3, 0])]


@of('data')
def each_taken(scene):
    def taken(path, native):
        def operation(fault):
            got = None
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            first = native()
            with fault:
                got = os.read(fd, 100)
            eq(native(), first - (got is not None), f'the value after {fault.error}')
            os.close(fd)
        return named(f'take {path}', operation)

    def hold(path, native):
        def operation(fault):
            fd, first = -1, native()
            with fault:
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                eq(native(), first - 1, 'the value while it is held')
                close(fd)
            wait_until(lambda: native() == first, f'after {fault.error} the value is {native()}, it was {first}')
        return named(f'hold {path}', operation)

    def more():
        scene.sem.post(1)
        scene.set.set_all([50, 0])
    more()

    def refilled(fn):
        def operation(fault):
            more()
            fn(fault)
        return named(fn.__name__, operation)
    where = f'{SSEM}/by-key/{KEY}/0'
    return [refilled(fn) for fn in (taken(f'{SEM}/s/wait', scene.sem.value), taken(f'{where}/wait', scene.set.value),
                                    hold(f'{SEM}/s/hold', scene.sem.value), hold(f'{where}/hold', scene.set.value))]
