# SPDX-License-Identifier: MIT
"""ctl/deadlocks beside known deadlocks: those are found and named, by pid and object, and nothing else is, however much
is going on beside them (busy.py)."""
import ctypes
import json
import os
import struct
import subprocess
import time

from busy import start_busy
from everything import Crowd, Wait, make_mutexes, mutex_at, remove_all, sleeps
from mounttest import ASAN, CTL, MNT, SHM, eq, get, main, ok
from queues import check, libc, make_mq, make_msg, wait_until
from semaphores import ADDRESS, make_posix, make_set, pthread

LOOKS = 5 if ASAN else 15
crowd = Crowd()


def after():
    crowd.end()
    remove_all()


def found():
    return get(f'{CTL}/deadlocks').decode().splitlines()


def known(doubtful, pids, things):
    """One sentence is shown, again and again, which has these pids and objects, and not as much as another pid."""
    wait_until(lambda: all(sleeps(pid) for pid in pids), 'all wait')
    wait_until(lambda: len(found()) == 1, f'one deadlock: {found()}, {get(CTL + "/waits").decode()}')
    for _ in range(5):
        lines = found()
        eq(len(lines), 1, f'sentences: {lines}')
        line = lines[0]
        eq(line.startswith('possible deadlock: '), doubtful, f'whether it is certain: {line}')
        named = {int(w.strip('(),;.')) for w in line.split() if w.startswith('(') and w.strip('(),;.').isdigit()}
        eq(named, set(pids), f'processes of: {line}')
        for thing in things:
            ok(f' {thing} ' in line, f'no {thing} in: {line}')
    rows = {r['pid']: r for r in json.loads(get(f'{CTL}/waits.json')) if r['pid'] in pids}
    eq(set(rows), set(pids), 'who waits')
    eq(found_in_picture(), set(pids), 'in waits.dot')


def found_in_picture():
    """The processes that are red in the graph, as dot(1) takes it."""
    out = subprocess.run(['dot', '-Tjson'], input=get(f'{CTL}/waits.dot'), stdout=subprocess.PIPE, check=True).stdout
    red = [o['label'] for o in json.loads(out).get('objects', []) if o.get('color') == 'red' and o.get('shape') == 'box']
    return {int(label.rpartition('(')[2].split(')')[0].split(',')[0]) for label in red}


# ---- calls without a time at which they end ----

def queue_send(queue):
    check(libc.mq_send(queue.fd, b'y', ctypes.c_size_t(1), 0), 'mq_send')


def sem_wait(sem):
    check(pthread.sem_wait(ADDRESS(sem.address)), 'sem_wait')


def semop(sems, step):
    check(libc.semop(sems.id, struct.pack('Hhh', 0, step, 0), ctypes.c_size_t(1)), 'semop')


# ---- the deadlocks; each gives whether it is certain, the names of who is in it, and the objects ----

def mutexes():
    """Two take two mutexes, in different order."""
    make_mutexes('locks', 4)

    def taker(first, second):
        def fn(me):
            address = me.map(f'{SHM}/locks', 'shm/locks')
            mutex_at(address, first).lock()
            return Wait('shm/locks', 'futex', lambda: (time.sleep(0.3), mutex_at(address, second).lock()))
        return fn
    crowd.start('dead-one', taker(1, 3))
    crowd.start('dead-two', taker(3, 1))
    return False, ('shm:locks+0x40', 'shm:locks+0xc0')


def posix():
    """One has the semaphore and wants room in a queue; who is to read that wants the semaphore."""
    make_posix('turn', 1).close()
    q = make_mq('full', 1, 8)
    q.send(b'x')
    q.close()

    def sends(me):
        sem, queue = me.semaphore('turn'), me.queue('full', os.O_WRONLY)
        sem.take()
        return Wait('mq/full', 'mq_timedsend', lambda: queue_send(queue))

    def receives(me):
        sem, _ = me.semaphore('turn'), me.queue('full', os.O_RDONLY)
        return Wait('sem/turn', 'futex', lambda: sem_wait(sem))
    crowd.start('dead-one', sends)
    crowd.start('dead-two', receives)
    return True, ('sem:turn', 'mq:full')


def posix_by_mount():
    """The same, where one does it all through the mount, and the other half."""
    make_posix('turn', 1).close()
    q = make_mq('full', 1, 8)
    q.send(b'x')
    q.close()

    def sends(me):
        me.open(f'{MNT}/sem/turn/hold', 'sem/turn', os.O_RDONLY, 'hold')
        fd = me.open(f'{MNT}/mq/full', 'mq/full', os.O_WRONLY)
        return Wait('mq/full', 'write', lambda: os.write(fd, b'y'))

    def receives(me):
        me.queue('full', os.O_RDONLY)
        return Wait('sem/turn', 'open', lambda: os.open(f'{MNT}/sem/turn/hold', os.O_RDONLY))
    crowd.start('dead-one', sends)
    crowd.start('dead-two', receives)
    return True, ('sem:turn', 'mq:full')


def system_v(by_mount=False):
    """The kernel knows who changed a semaphore last, and who received last."""
    turn, queue = make_set(0x8001, 1), make_msg(0x8002)
    queue.send(b'x' * (queue.stat()['qbytes'] // 2))
    queue.send(b'x' * (queue.stat()['qbytes'] // 2))

    def native_send(me):
        semop(turn, -1)
        return Wait(f'sysv/msg/by-id/{queue.id}', 'msgsnd', lambda: queue.send(b'y'))

    def mount_send(me):
        me.open(f'{MNT}/sysv/sem/by-id/{turn.id}/0/hold', 'sem', os.O_RDONLY, 'hold')
        fd = me.open(f'{MNT}/sysv/msg/by-id/{queue.id}', 'msg', os.O_WRONLY)
        return Wait('msg', 'write', lambda: os.write(fd, b'y'))

    def receives(me):
        queue.receive()
        queue.send(b'x' * (queue.stat()['qbytes'] // 2))
        return Wait(f'sysv/sem/by-id/{turn.id}', 'semop', lambda: (time.sleep(0.5), semop(turn, -1)))
    crowd.start('dead-two', receives)
    crowd.start('dead-one', mount_send if by_mount else native_send)
    return True, (f'sysv/sem:{turn.id}/0', f'sysv/msg:{queue.id}')


CASES = (mutexes, posix, posix_by_mount, system_v, lambda: system_v(True))


def check_case(case):
    doubtful, things = case()
    pids = [crowd.pids['dead-one'], crowd.pids['dead-two']]
    known(doubtful, pids, things)
    crowd.end('dead-one')
    begin = time.monotonic()
    while found():
        ok(time.monotonic() - begin < 10, f'still: {found()}')
    eq([found() for _ in range(3)], [[]] * 3, 'after one has ended')
    crowd.end('dead-two')
    remove('shm/locks', 'sem/turn', 'mq/full', 'sysv/sem/by-key/0x00008001', 'sysv/msg/by-key/0x00008002')


def remove(*paths):
    """What is there of a case."""
    for path in paths:
        if os.path.isdir(f'{MNT}/{path}'):
            os.rmdir(f'{MNT}/{path}')
        elif os.path.exists(f'{MNT}/{path}'):
            os.unlink(f'{MNT}/{path}')


def test_alone():
    for case in CASES:
        check_case(case)


def looks(count):
    """Nothing is shown, however often who looks."""
    moving, before = 0, None
    for _ in range(count):
        eq(found(), [], f'of a healthy system; waits: {get(CTL + "/waits").decode()}')
        rows = {(r['pid'], r['kind'], r['object'], r['offset']) for r in json.loads(get(f'{CTL}/waits.json'))}
        moving += rows != before
        before = rows
    return moving, len(before)


def test_busy():
    """Nothing is found where nothing is; and what is, is found beside all that."""
    start_busy(crowd)
    moving, count = looks(4 * LOOKS)
    print(f'  {count} wait; {moving} of {4 * LOOKS} looks differ')
    ok(moving > LOOKS and count >= 12, 'the system is not busy')
    for case in CASES:
        check_case(case)
        looks(3)


def test_two_at_once():
    """Two deadlocks are two sentences."""
    mutexes()
    first = crowd.pids.pop('dead-one'), crowd.pids.pop('dead-two')
    posix()
    second = crowd.pids['dead-one'], crowd.pids['dead-two']
    try:
        wait_until(lambda: len(found()) == 2, f'two deadlocks: {found()}')
        lines = found()
        for pids in (first, second):
            eq([all(f'({pid})' in line for pid in pids) for line in lines].count(True), 1, f'{pids} in {lines}')
    finally:
        crowd.pids['x'], crowd.pids['y'] = first


main(globals(), after, about_daemon=True)
