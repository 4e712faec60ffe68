# SPDX-License-Identifier: MIT
"""op and values of a System V set are each one step: a native watcher never sees a half of one, and nothing is lost.

usage: semop.py SEMAPHORE-PROGRAM (semaphore.c)
"""
import os
import random
import signal
import sys
import threading
import time

from mounttest import ASAN, LONG, SEED, attempt, eq, in_child, join, main, metrics, ok
from queues import IPC_NOWAIT, SOON, check, libc, output, shell, start, wait_blocked, wait_until
from semaphores import SSEM, Set, clean_semaphores, make_set, wait_parked, wait_settled, write

PEER = sys.argv[1]
KEY = 0x0b
SET = f'{SSEM}/by-key/{KEY:#010x}'
SECONDS = 8 if LONG else 2
SUM = 6
MEASURE = os.environ['IPCFS_MEASURE'] == '1'


def watch(seconds):
    return start(PEER, 'sysv', hex(KEY), 'watch', str(seconds), str(SUM))


def watched(p):
    out, status = output(p, 30)
    ok(status == 0, f'the watcher: {out}')
    looks, different = map(int, out.split())
    print(f'  {looks} looks, {different} changes seen')
    ok(looks > 1000 and different > 20, f'the watcher saw too little: {looks} looks, {different} changes')


def raw_write(fd, data):
    """One write(2) as it is. (Python's own would go on after a signal.)"""
    try:
        return check(libc.write(fd, data, len(data)), 'write')
    except OSError as e:
        return -e.errno


def mover(seed, seconds, report):
    """Moves units between the two under a rain of signals, and tells the sum of what it has moved."""
    rng = random.Random(seed)
    signal.signal(signal.SIGALRM, lambda *_: None)
    fd = os.open(f'{SET}/op', os.O_WRONLY)
    moved = done = interrupted = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        k = rng.randrange(1, 4)
        k = -k if rng.random() < 0.5 else k
        steps = [f'0:{-k:+d}', f'1:{k:+d}']
        if rng.random() < 0.3:  # the same through something else, in more steps
            steps = ['2:+1', *steps, '2:-1'] if rng.random() < 0.5 else [f'0:{-k:+d}', '0:+1', '0:-1', f'1:{k:+d}', '2:0']
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0001, 0.005), 0.01)
        got = raw_write(fd, ' '.join(steps).encode())
        done += got > 0
        moved += k if got > 0 else 0
        interrupted += got < 0
    signal.setitimer(signal.ITIMER_REAL, 0)
    os.write(report, b'%d %d %d\n' % (moved, done, interrupted))


def native_mover(seconds, report):
    s, rng = Set(KEY), random.Random(SEED)
    moved = done = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        k = rng.choice((-2, -1, 1, 2))
        if attempt(s.op, (0, -k, IPC_NOWAIT), (1, k, IPC_NOWAIT)) is None:
            moved += k
            done += 1
        time.sleep(rng.uniform(0, 0.001))
    os.write(report, b'%d %d 0\n' % (moved, done))


def test_moves_are_whole():
    """Interrupted ones have done nothing, the others all."""
    s = make_set(KEY, SUM // 2, SUM // 2, 0)
    watcher = watch(SECONDS)
    back, report = os.pipe()
    pids = [in_child(mover, seed, SECONDS, report) for seed in range(6)] + [in_child(native_mover, SECONDS, report)]
    join(pids, 'movers', 30)
    os.close(report)
    with os.fdopen(back) as f:
        moved, done, interrupted = map(sum, zip(*(map(int, l.split()) for l in f)))
    watched(watcher)
    print(f'  {done} moves, {interrupted} interrupted')
    eq(s.values(), [SUM // 2 - moved, SUM // 2 + moved, 0], 'what was moved, and what is there')
    ok(done > 20 and interrupted > 20, 'there were both')


def endless_mover(seed):
    rng = random.Random(seed)
    fd = os.open(f'{SET}/op', os.O_WRONLY)
    while True:
        k = rng.choice((-3, -2, -1, 1, 2, 3))
        os.write(fd, f'0:{-k} 1:{k}'.encode())


def endless_setter(seed):
    rng = random.Random(seed)
    while True:
        n = rng.randrange(SUM + 1)
        write(f'{SET}/values', f'{n} {SUM - n} 0\n'.encode())
        time.sleep(0.002)


def test_writers_that_are_killed():
    """Also while they are blocked; beside some that set all values at once."""
    before = metrics()
    s = make_set(KEY, SUM, 0, 0)
    watcher = watch(SECONDS)
    rng, kills = random.Random(SEED), 0
    pids = [in_child(endless_mover, i) for i in range(6)] + [in_child(endless_setter, 7)]
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(rng.uniform(0, 0.02))
        i = rng.randrange(len(pids))
        os.kill(pids[i], signal.SIGKILL)
        os.waitpid(pids[i], 0)
        kills += 1
        pids[i] = in_child(endless_mover if i < 6 else endless_setter, kills)
    watched(watcher)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    print(f'  {kills} kills')
    eq((sum(s.values()), [s.counts(i) for i in range(3)]), (SUM, [(0, 0)] * 3), 'the sum, and waiters')
    wait_settled(before, 'after killed writers')


def test_blocked_vectors_take_nothing():
    """Many that each lack one unit of another semaphore hold none of the others; then each is done once."""
    s = make_set(KEY, *[1] * 8)
    s.set(0, 7)
    base = metrics()['ipcfs_parked']
    waiting = [shell(f'echo "{i}:-1 7:-1" > {SET}/op') for i in range(7)]
    wait_parked(base + 7, 'all wait')
    eq(s.values(), [1] * 7 + [0], 'nobody has taken anything')
    victim = waiting.pop(3)
    victim.kill()
    victim.wait()
    wait_parked(base + 6, 'one is killed')
    for n in range(1, 7):
        s.op((7, 1))
        wait_until(lambda: sum(p.poll() is not None for p in waiting) == n, f'unit {n} is for one')
        eq((sum(s.values()), s.value(7)), (7 - n, 0), 'each takes both of its own')
    eq([output(p)[1] for p in waiting], [0] * 6, 'status')
    eq(s.values(), [0, 0, 0, 1, 0, 0, 0, 0], 'in the end')


def test_who_can_is_not_held_up():
    """A vector that can not be done keeps nobody from his own, natively and here."""
    s = make_set(KEY, 0, 0, 5)
    stuck = [shell(f'echo "0:-1 1:-1" > {SET}/op'), shell(f'echo 2:-100 > {SET}/op'), shell(f'exec cat {SET}/0/wait')]
    for p in stuck:
        wait_blocked(p.pid)
    for line in ('2:-1', '2:-1 2:+1', '1:0', '1:+1 1:-1', '2:-4'):
        begin = time.monotonic()
        eq(output(shell(f'echo "{line}" > {SET}/op')), ('', 0), f'{line} beside those who wait')
        ok(time.monotonic() - begin < SOON, f'{line} takes long')
    eq(s.values(), [0, 0, 0], 'values')
    eq([p.poll() for p in stuck], [None] * 3, 'those who wait')
    s.op((0, 1))
    eq(output(stuck[2]), ('0\n', 0), 'one unit of the first is for who wants no more than that')
    os.rmdir(SET)
    for p in stuck[:2]:
        out, status = output(p)
        ok(status and 'Identifier removed' in out, f'{p.args}: {status}, {out}')


def test_who_will_not_wait_does_not():
    """Also beside those who wait with the very same operations."""
    s = make_set(KEY, 0, 0)
    before = metrics()
    waiting = [shell(f'echo "0:-1 1:-1" > {SET}/op') for _ in range(2)]
    wait_parked(before['ipcfs_parked'] + 2, 'both wait')
    for line in ('0:-1n 1:-1', '0:-1 1:-1n', '0:-1n 1:-1n'):
        begin = time.monotonic()
        out, status = output(shell(f'echo "{line}" > {SET}/op'), 10)
        ok(status and 'temporarily unavailable' in out, f'{line}: {status}, {out}')
        ok(time.monotonic() - begin < SOON, f'{line} takes long')
    s.op((0, 3), (1, 2))
    eq([output(p)[1] for p in waiting], [0, 0], 'status of those who wait')
    eq((output(shell(f'echo "0:-1n" > {SET}/op')), s.values()), (('', 0), [0, 0]), 'and takes what is there')
    wait_settled(before, 'in the end')


def resident():
    with open(f'/proc/{os.environ["IPCFS_PID"]}/status') as f:
        return next(int(l.split()[1]) for l in f if l.startswith('VmRSS:'))


def many_long_ones(count):
    fd = os.open(f'{SET}/op', os.O_WRONLY)
    threading.stack_size(65536)
    for _ in range(count):
        threading.Thread(target=attempt, args=(os.write, fd, b'0:-1'.ljust(65536)), daemon=True).start()
    time.sleep(100)


def test_long_ones_cost_little_while_they_wait():
    """Thousands of lines that are nearly all blanks."""
    make_set(KEY, 0, 0)
    before, memory = metrics(), resident()
    pid = in_child(many_long_ones, 1000)
    wait_parked(before['ipcfs_parked'] + 1000, 'all wait')
    grown = resident() - memory
    print(f'  {grown} KiB for 1000')
    ok(not MEASURE or grown < 16 * 1024, f'{grown} KiB for 1000 that wait')
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    wait_settled(before, 'in the end')


main(globals(), after=clean_semaphores, about_daemon=True)
