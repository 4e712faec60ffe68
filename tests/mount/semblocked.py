# SPDX-License-Identifier: MIT
"""Those who wait for a semaphore: they die at once, come in turn, each post wakes one, thousands hold up nobody.

usage: semblocked.py SEMAPHORE-PROGRAM (semaphore.c) CROWD-PROGRAM (crowd.c)
"""
import os
import random
import re
import signal
import sys
import time

from mounttest import ASAN, CTL, LONG, SEED, TREE, attempt, eq, in_child, join, main, metrics, ok
from queues import (SOON, Posix as PosixQueue, SystemV as SystemVQueue, Watch, check, clean_queues, ends, libc, mount_mqfs,
                    output, shell, start, wait_blocked, wait_until)
from semaphores import (FAMILIES, Posix, SystemV, clean_semaphores, said, wait_parked, wait_settled, wait_value, write)

PEER, CROWD = sys.argv[1:3]
MEASURE = os.environ['IPCFS_MEASURE'] == '1'
MANY = 500 if not MEASURE else 5_000 if LONG else 2_000
BYTES_EACH = 4096
PID = os.environ['IPCFS_PID']
SECONDS = 8 if LONG else 2


def parked():
    return metrics()['ipcfs_parked']


def waiters(s):
    """One of each kind; the value is 0, and the second semaphore of a set is above."""
    lines = [f'exec cat {s.path}/wait', f'read -r n < {s.path}/wait', f'n=$(cat {s.path}/wait)', f'exec 9< {s.path}/hold',
             f'exec 9<> {s.path}/hold; cat <&9', f'exec dd if={s.path}/wait iflag=direct bs=64 count=1 status=none',
             f'exec python3 -c "import select; select.select([open(\'{s.path}/wait\')], [], [])"']
    if s.kind != 'sem':
        lines += [f'echo 0:-1 1:-1 > {s.object}/op', f'exec cat {s.object}/1/zero', f'echo 1:0 0:+1 > {s.object}/op']
    base, found = parked(), []
    for line in lines:
        found.append(shell(line))
        if 'select' in line:
            time.sleep(0.3)
        else:
            base += 1
            wait_until(lambda: parked() >= base, f'{line} is parked')
    return found


def test_signals_end_at_once():
    before = metrics()
    for cls in FAMILIES:
        s = cls('s')
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with Watch():
                for p in waiters(s):
                    # A shell that waits for a $(...) goes on to wait when it alone gets the signal.
                    child = 'n=$' in str(p.args)
                    begin = time.monotonic()
                    if child:
                        os.kill(int(child_of(p.pid)), sig)
                    else:
                        p.send_signal(sig)
                    status = ends(p)
                    ok(status != 0, f'{p.args} on {sig.name}: status {status}')
                    ok(time.monotonic() - begin < SOON, f'{p.args} on {sig.name}: ends late')
            wait_until(lambda: parked() == before['ipcfs_parked'], f'nobody is left after {sig.name}')
            s.post(2)
            wait_value(s, 2, f'of {cls.kind}: nothing is taken for who was ended by {sig.name}')
            s.wait()
            s.wait()
        eq((s.value(), s.waiting()), (0, 0), 'afterwards')
    wait_settled(before, 'after signals')


def child_of(pid):
    with open(f'/proc/{pid}/task/{pid}/children') as f:
        return f.read().split()[0]


def test_three_of_ten():
    """echo 3 > post lets exactly three through, in the order in which they came."""
    for cls in FAMILIES:
        s, base = cls('s'), parked()
        waiting = []
        for i in range(10):
            waiting.append(shell(f'exec cat {s.path}/wait'))
            wait_parked(base + i + 1, f'waiter {i} of {cls.kind}')
        for posts, by, total in ((3, 'mount', 3), (1, 'native', 4), (4, 'native', 8), (2, 'mount', 10)):
            if by == 'mount':
                write(f'{s.path}/post', b'%d\n' % posts)
            else:
                s.post(posts)
            wait_until(lambda: all(p.poll() is not None for p in waiting[:total]), f'{total} of {cls.kind} end')
            time.sleep(0.05)
            eq([p.poll() for p in waiting[total:]], [None] * (10 - total), f'the others after {total} posts of {cls.kind}')
            eq(s.value(), 0, 'value')
        eq([output(p)[1] for p in waiting], [0] * 10, 'status')


def test_holders_and_waiters_in_turn():
    for cls in FAMILIES:
        s, base, waiting = cls('s'), parked(), []
        for i in range(8):
            waiting.append(shell(f'exec 9< {s.path}/hold; echo in; read x || true' if i % 2 else f'exec cat {s.path}/wait', stdin=-1))
            wait_parked(base + i + 1, f'waiter {i} of {cls.kind}')
        s.post()
        for i, p in enumerate(waiting):
            ok(said(p) in (b'in\n', b'0\n'), f'{i} of {cls.kind} comes in his turn')
            time.sleep(0.02)
            eq((parked(), s.value()), (base + 7 - i, 0), f'alone, {i} of {cls.kind}')
            eq(output(p)[1], 0, 'status')  # its input ends, so a hold is given back
            if not i % 2:
                s.post()
        wait_value(s, 1, 'the last hold is given back')


def test_each_post_wakes_one():
    """Native waiters and those of the mount together."""
    for cls in FAMILIES:
        s = cls('s')
        waiting = [start(PEER, s.c, s.name, 'wait', '1') if i % 3 == 0 else shell(f'exec cat {s.path}/wait') for i in range(18)]
        wait_until(lambda: s.waiting() >= 7 and parked() >= 12, f'all wait: {s.waiting()}')
        rng = random.Random(SEED)
        for n in range(1, 19):
            if rng.random() < 0.5:
                s.post()
            else:
                write(f'{s.path}/post', b'\n')
            wait_until(lambda: sum(p.poll() is not None for p in waiting) == n, f'post {n} of {cls.kind} wakes one')
            time.sleep(0.01)
            eq((sum(p.poll() is not None for p in waiting), s.value()), (n, 0), f'post {n} of {cls.kind} wakes one alone')
        eq([output(p)[1] for p in waiting], [0] * 18, 'status')
        eq(s.waiting(), 0, 'waiters afterwards')


def time_to_wake(s, line, post):
    """From the post to the end of a process that sleeps: a shell line, or a native one."""
    p = shell(line) if line else start(PEER, s.c, s.name, 'wait', '1')
    wait_until(lambda: s.waiting() >= 1, f'{p.args} waits')
    time.sleep(0.05)
    begin = time.monotonic()
    post()
    eq(output(p)[1], 0, f'{p.args} after a post')
    took = time.monotonic() - begin
    if 'hold' in line:
        s.wait()
    return took


def test_a_post_wakes_at_once():
    """Not when somebody happens to look."""
    for cls in FAMILIES:
        s = cls('s')
        for line in (f'exec cat {s.path}/wait', f'exec 9< {s.path}/hold', ''):
            for post in (s.post, lambda: write(f'{s.path}/post', b'1\n'), lambda: write(f'{s.path}/value', b'1\n')):
                took = min(time_to_wake(s, line, post) for _ in range(3))
                ok(took < 0.4, f'{line or "a native one"} of {cls.kind} ends {took:.2f} s after a post')


def take(fd):
    """One read(2) as it is: its result, or −errno. (Python's own would go on after a signal.)"""
    got = libc.read(fd, buffer, 64)
    try:
        return check(got, 'read')
    except OSError as e:
        return -e.errno


buffer = b' ' * 64


def interrupted_reader(s, seconds, seed, report):
    """Reads under a rain of signals; tells how many it took."""
    rng = random.Random(seed)
    signal.signal(signal.SIGALRM, lambda *_: None)
    fd = os.open(f'{s.path}/wait', os.O_RDONLY | (os.O_DIRECT if seed % 2 else 0))
    taken = interrupted = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0001, 0.004), 0.01)  # again, should it come before the read
        got = take(fd)
        taken += got > 0
        interrupted += got < 0
    signal.setitimer(signal.ITIMER_REAL, 0)
    os.write(report, b'%d %d\n' % (taken, interrupted))


def test_conservation_under_signals():
    """A unit is never lost to a wait that is interrupted, nor given twice."""
    for cls in FAMILIES:
        s = cls('s')
        back, report = os.pipe()
        pids = [in_child(interrupted_reader, s, SECONDS, seed, report) for seed in range(8)]
        posts, end = 0, time.monotonic() + SECONDS
        rng = random.Random(SEED)
        while time.monotonic() < end:
            n = rng.choice((1, 1, 1, 2, 5))
            if rng.random() < 0.5:
                s.post(n)
            else:
                write(f'{s.path}/post', b'%d\n' % n)
            posts += n
            time.sleep(rng.uniform(0, 0.002))
        join(pids, 'readers', 20)
        os.close(report)
        with os.fdopen(back) as f:
            taken, interrupted = map(sum, zip(*(map(int, l.split()) for l in f)))
        print(f'  {cls.kind}: {posts} posts, {taken} taken, {interrupted} interrupted waits, {s.value()} left')
        eq(taken + s.value(), posts, f'units of {cls.kind}')
        ok(interrupted > 20 and taken > 20, 'there were both')
        eq(s.waiting(), 0, 'waiters afterwards')


def read_one(fd):
    while not os.read(fd, 10):  # the end of another's
        pass


def test_a_descriptor_of_several_processes():
    for cls in FAMILIES:
        s, base = cls('s'), parked()
        fd = os.open(f'{s.path}/wait', os.O_RDONLY)
        pids = []
        with Watch():
            for i in range(3):
                pids.append(in_child(read_one, fd))
                wait_parked(base + i + 1, f'reader {i} of {cls.kind}')
            victim = pids.pop(1)
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: os.waitpid(victim, os.WNOHANG)[0], 'a killed reader ends', SOON)
            wait_parked(base + 2, 'the others wait on')
            os.fstat(fd)
            s.post(2)
            join(pids, f'readers of one descriptor of {cls.kind}', 10)
        os.close(fd)
        eq(s.value(), 0, 'value')


# ---- thousands ----

def rss():
    with open(f'/proc/{PID}/status') as f:
        return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1)) * 1024


def threads():
    return len(os.listdir(f'/proc/{PID}/task'))


def ticks():
    with open(f'/proc/{PID}/stat') as f:
        fields = f.read().rpartition(')')[2].split()
    return int(fields[11]) + int(fields[12])


def crowd(count, semaphores):
    p = start(CROWD, '-s', f'{CTL}/metrics', str(count), *[s.path for s in semaphores], stdin=-1)
    eq(said(p, 60), b'parked\n', 'the crowd')
    return p


def served(p, seconds=60):
    p.stdin.write(b'\n')
    p.stdin.flush()
    begin = time.monotonic()
    eq(output(p, seconds), ('', 0), 'each is let through in his turn, alone')
    return time.monotonic() - begin


def check_crowd(count, semaphores):
    kind = semaphores[0].kind
    warm = crowd(len(semaphores), semaphores)  # the first use of everything
    warm.kill()
    ends(warm)
    wait_until(lambda: metrics()['ipcfs_keepers'] == 0, 'keepers end')
    before, memory, workers = metrics(), rss(), threads()
    p = crowd(count, semaphores)
    more, each = threads() - workers, (rss() - memory) / count
    ok(more <= len(semaphores) + 8, f'{more} more threads for {count} parked on {len(semaphores)} of {kind}')
    ok(metrics()['ipcfs_keepers'] <= len(semaphores), f'{metrics()["ipcfs_keepers"]:g} keepers')
    time.sleep(0.2)
    used = ticks()
    time.sleep(1)
    used = ticks() - used
    ok(semaphores[0].waiting() > 0, 'natively it is seen that somebody waits')
    print(f'  {count} parked on {len(semaphores)} of {kind}: {each:.0f} bytes each, {more} more threads, {used} ticks in a second')
    if MEASURE:
        ok(each <= BYTES_EACH, f'{each:.0f} bytes of memory each, at most {BYTES_EACH} are meant')
        ok(used <= 1, f'{used} ticks of CPU in a second while all wait')
    print(f'  served in {served(p):.1f} s')
    wait_settled(before, f'after all of {kind} were served')
    p = crowd(count // 4, semaphores)
    begin = time.monotonic()
    with Watch():
        p.kill()
        ends(p, 20)
    print(f'  killed in {time.monotonic() - begin:.1f} s')
    wait_settled(before, f'after all of {kind} were killed')
    for s in semaphores:
        eq((s.value(), s.waiting()), (0, 0), 'value and waiters after all were killed')
        s.post(2)
        wait_value(s, 2, 'nobody is left to take')
        s.wait()
        s.wait()


def test_thousands_on_one():
    for cls in FAMILIES:
        check_crowd(MANY, [cls('s')])


def test_thousands_on_some():
    for cls in FAMILIES:
        check_crowd(MANY // 5, [cls(f'{i:02d}') for i in range(20)])


def latencies(op, rounds=200):
    found = []
    for _ in range(rounds):
        begin = time.monotonic()
        op()
        found.append(time.monotonic() - begin)
    return sorted(found)


def queue_op(q):
    fd = os.open(q.path, os.O_RDWR)

    def op():
        eq((os.write(fd, b'm'), os.read(fd, 10), os.read(fd, 10)), (1, b'm', b''), 'a message')
        os.stat(q.path)
    return op


def shm_op():
    path = f'{TREE}/beside'

    def op():
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        eq((os.write(fd, b'x' * 4096), os.fstat(fd).st_size), (4096, 4096), 'shared memory')
        os.close(fd)
        os.unlink(path)
    return op


def semaphore_op(s):
    def op():
        write(f'{s.path}/post', b'1\n')
        fd = os.open(f'{s.path}/wait', os.O_RDONLY)
        eq(os.read(fd, 10), b'0\n', 'a unit')
        os.close(fd)
    return op


def check_no_delay(semaphores, count, other):
    ops = {'mq': queue_op(PosixQueue('q', 10)), 'sysv/msg': queue_op(SystemVQueue(0x99)), 'shm': shm_op(), other.kind: semaphore_op(other)}
    alone = {name: latencies(op) for name, op in ops.items()}
    p = crowd(count, semaphores)
    for name, op in ops.items():
        beside = latencies(op)
        print(f'  {count} blocked on {len(semaphores)} of {semaphores[0].kind}: {name} takes {alone[name][100] * 1e6:.0f} µs alone, '
              f'{beside[100] * 1e6:.0f} beside (longest {beside[-1] * 1e6:.0f})', flush=True)
        if MEASURE:
            ok(beside[100] < 10 * alone[name][100] + 5e-3, f'half of {name} takes more than {beside[100] * 1e6:.0f} µs')
        ok(beside[-1] < SOON / 2, f'{name} takes {beside[-1]:.2f} s')
    print(f'  served in {served(p, 90):.1f} s, where there are more semaphores than keepers too')
    clean_queues()


def test_posix_does_not_delay_others():
    check_no_delay([Posix(f'p{i}') for i in range(300)], MANY * 3 // 5, Posix('free'))


def test_system_v_does_not_delay_others():
    check_no_delay([SystemV(0x1000 + i) for i in range(300)], MANY * 3 // 5, SystemV('free'))


mount_mqfs()
main(globals(), after=clean_semaphores, about_daemon=True)
