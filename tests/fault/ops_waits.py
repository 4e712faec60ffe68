# SPDX-License-Identifier: MIT
"""Those who wait, and locks, while allocations fail: each is answered, once."""
import fcntl
import os
import select
import signal
import time

from failing import control
from mounttest import CTL, SHM, attempt, eq, ok
from paths import close, named, of, parked_thread, raw_read, settle, KEY, MSGS, TREE
from queues import MQ, wait_until
from semaphores import SEM, SSEM
from twins import Thread

def until_waits(thread):
    """It has been answered, or waits and the daemon does nothing more for it."""
    last, since = None, time.monotonic()
    while thread.is_alive():
        now = control.progress()
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > 0.02:
            with open(f'/proc/self/task/{thread.native_id}/wchan') as f:
                if 'request' in f.read():
                    return
        time.sleep(0.001)


WAITED = {
    'mq': (lambda scene: f'{MQ}/q', lambda scene: scene.mq),
    'mq-lines': (lambda scene: f'{CTL}/mq/q/lines', lambda scene: scene.mq),
    'msg': (lambda scene: f'{MSGS}/{KEY}', lambda scene: scene.msg),
    'msg-type': (lambda scene: f'{CTL}/sysv/msg/by-key/{KEY}/type/1', lambda scene: scene.msg),
}


@of('waits')
def each_woken(scene):
    """A reader waits; the message comes while memory is short."""
    def woken(what):
        path, queue = WAITED[what][0](scene), WAITED[what][1](scene)

        def operation(fault):
            got = b''
            fd = os.open(path, os.O_RDONLY)
            reader = parked_thread(os.read, fd, 100)
            with fault:
                queue.send(b'hello')
                got = reader.result('the reader')
            settle(reader)
            os.close(fd)
            eq(got.strip() + b''.join(m[0] for m in queue.take()), b'hello', f'messages after {fault.error}')
        return named(f'woken {what}', operation)
    return [woken(what) for what in WAITED]


@of('waits')
def each_parked(scene):
    """A reader begins to wait while memory is short."""
    def parks(what):
        path, queue = WAITED[what][0](scene), WAITED[what][1](scene)

        def operation(fault):
            fault.allowed |= {'EAGAIN'} if what.startswith('msg') else set()
            got = b''
            fd = os.open(path, os.O_RDONLY)
            with fault:
                reader = Thread(os.read, fd, 100)
                until_waits(reader)
                if not reader.is_alive():
                    reader.result('the reader')
            queue.send(b'hello')
            if not fault.error:
                got = attempt(reader.result, 'the reader')
                if not isinstance(got, bytes):
                    eq((got, fault.failed > 0), ('ENOMEM', True), 'the answer')
                    got = b''
            os.close(fd)
            eq(got.strip() + b''.join(m[0] for m in queue.take()), b'hello', f'messages after {fault.error}')
        return named(f'parked {what}', operation)
    return [parks(what) for what in WAITED]


@of('waits')
def each_full(scene):
    """A writer waits for room; it comes while memory is short."""
    def full(what, path, fill, take):
        def operation(fault):
            fill()
            fd = os.open(path, os.O_WRONLY)
            writer = parked_thread(os.write, fd, b'last')
            count = 0
            with fault:
                first = take()
                count = writer.result('the writer')
            settle(writer)
            os.close(fd)
            ok(first, 'what was there first')
            eq([m[0] for m in (scene.mq if what == 'mq' else scene.msg).take()].count(b'last'), int(count == 4), f'after {fault.error}')
        return named(f'full {what}', operation)

    def fill_mq():
        for _ in range(4):
            scene.mq.send(b'x')

    def fill_msg():
        room = scene.msg.stat()['qbytes']
        scene.msg.send(b'x' * (room // 2))
        scene.msg.send(b'x' * (room // 2))
    return [full('mq', f'{MQ}/q', fill_mq, lambda: scene.mq.receive(1)),
            full('msg', f'{MSGS}/{KEY}', fill_msg, lambda: scene.msg.receive())]


@of('waits')
def each_semaphore_waited(scene):
    def waited(what, path, post, value, empty):
        def operation(fault):
            empty()
            fd = os.open(path, os.O_RDONLY)
            reader = parked_thread(os.read, fd, 100)
            got = None
            with fault:
                post()
                got = reader.result('the reader')
            settle(reader)
            os.close(fd)
            eq(value(), int(got is None), f'the value after {fault.error}')
            empty()
        return named(f'waited {what}', operation)

    def empty():
        while scene.sem.value():
            scene.sem.take()
    return [waited('sem', f'{SEM}/s/wait', scene.sem.post, scene.sem.value, empty),
            waited('set', f'{SSEM}/by-key/{KEY}/1/wait', lambda: scene.set.op((1, 1)), lambda: scene.set.value(1),
                   lambda: scene.set.set(0, 1))]


@of('waits')
def each_interrupted(scene):
    def interrupted(what, path):
        def operation(fault):
            fault.allowed |= {'EINTR'}
            fd = os.open(path, os.O_RDONLY)
            reader = parked_thread(raw_read, fd)
            with fault:
                signal.pthread_kill(reader.ident, signal.SIGUSR1)
                reader.join(0.05 if fault.every else 3)  # without any memory it waits until there is some
            reader.join(3)
            ended = not reader.is_alive()
            if not ended:
                scene.mq.send(b'free') if what == 'mq' else scene.msg.send(b'free')
                reader.join(3)
                scene.mq.take(), scene.msg.take()
            ok(ended, 'the interrupt ends it')
            os.close(fd)
            eq(attempt(reader.result, 'the reader') in ('EINTR', 'ENOMEM'), True, f'{reader.error}')
        return named(f'interrupted {what}', operation)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    return [interrupted('mq', f'{MQ}/q'), interrupted('msg', f'{MSGS}/{KEY}')]


@of('waits')
def each_polled(scene):
    def polled(what, path, queue):
        def operation(fault):
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            with fault:
                fault.got = poll.poll(0)
            ok(fault.got in ([], [(fd, select.POLLERR)], None) or fault.failed, f'poll gives {fault.got}')
            eq(poll.poll(0), [], 'nothing there')
            got = []
            with fault:
                queue.send(b'hello')
                got = poll.poll(3000)
            eq(bool(got or poll.poll(3000)), True, f'poll tells of the message after {fault.failed}')
            os.close(fd)
            queue.take()
        return named(f'polled {what}', operation)
    return [polled('mq', f'{MQ}/q', scene.mq), polled('msg', f'{MSGS}/{KEY}', scene.msg)]



# ---- locks ----

@of('locks')
def locks_now(_, fault):
    fault.allowed |= {'ENOLCK'}  # what flock(2) and fcntl(2) say then
    fd = os.open(f'{TREE}/a', os.O_RDWR)
    native = os.open(f'{SHM}/a', os.O_RDWR)
    with fault:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(fd, fcntl.LOCK_UN)
        for start in range(0, 40, 10):
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, start)
        fcntl.lockf(fd, fcntl.LOCK_UN, 1, 2)
    close(fd)
    for lock in (fcntl.flock, fcntl.lockf):
        wait_until(lambda: attempt(lock, native, fcntl.LOCK_EX | fcntl.LOCK_NB) is None, f'it is free after {fault.error}')
    os.close(native)


@of('locks')
def locks_waited(_, fault):
    fault.allowed |= {'ENOLCK'}
    native = os.open(f'{SHM}/a', os.O_RDWR)
    fcntl.flock(native, fcntl.LOCK_EX)
    fd = os.open(f'{TREE}/a', os.O_RDWR)
    with fault:
        locker = Thread(fcntl.flock, fd, fcntl.LOCK_EX)
        until_waits(locker)
        os.close(native)
        native = -1
        locker.result('the locker')
    if native >= 0:
        os.close(native)
    settle(locker)
    os.close(fd)
    native = os.open(f'{SHM}/a', os.O_RDWR)
    wait_until(lambda: attempt(fcntl.flock, native, fcntl.LOCK_EX | fcntl.LOCK_NB) is None, f'it is free after {fault.error}')
    os.close(native)
