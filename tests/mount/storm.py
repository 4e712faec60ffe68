# SPDX-License-Identifier: MIT
"""Names that are replaced, made and removed all the time, natively and through the mount, under readers of both sides.

No reader may see an error that the native side could not give, and never a content that nobody wrote.
"""
import os
import random
import time

from mounttest import ASAN, LONG, SEED, SHM, TREE, attempt, both, eq, in_child, join, main, ok, put

SECONDS = 2.5 if LONG else 1
SIZE = 4096


class Storm:
    """Children that run until a file appears; each fails by raising."""

    def __init__(self):
        self.stop = f'{os.environ["SCRATCH"]}/stop{time.monotonic_ns()}'
        self.pids = []

    def add(self, fn, *args):
        def loop():
            end = time.monotonic() + SECONDS + 20
            rounds = 0
            while rounds <= 20 or not os.path.exists(self.stop):
                fn(rounds, *args)
                rounds += 1
                if time.monotonic() > end:
                    raise AssertionError(f'{fn.__name__} was never stopped, or made only {rounds} rounds')
        self.pids.append(in_child(loop))

    def run(self, seconds=SECONDS):
        time.sleep(seconds)
        put(self.stop)
        join(self.pids, 'the storm')


def check_content(data, sizes, what):
    ok(len(data) in sizes, f'{what}: {len(data)} bytes')
    ok(len(set(data[i:i + 8] for i in range(0, len(data), 8))) <= 1, f'{what}: mixed content {data[:16]!r}…{data[-16:]!r}')


def stamp(i):
    return b'%08d' % (i % 10**8) * (SIZE // 8)


def replace(i, base, tmp):
    put(f'{base}/sem.{tmp}' if base == SHM else f'{base}/tmp.{tmp}', stamp(i))
    os.rename(f'{base}/sem.{tmp}' if base == SHM else f'{base}/tmp.{tmp}', f'{base}/x')


def read_whole(_i, base, flags, missing_allowed, sizes):
    fd = attempt(os.open, f'{base}/x', flags)
    if isinstance(fd, str):
        ok(missing_allowed and fd == 'ENOENT', f'open {base}/x with {flags:#o}: {fd}')
        return
    first = os.pread(fd, 2 * SIZE, 0)
    check_content(first, sizes, f'read of {base}/x')
    st = os.fstat(fd)
    ok(st.st_size in sizes, f'fstat of {base}/x shows size {st.st_size}')
    if len(first) == SIZE:
        eq(os.pread(fd, 2 * SIZE, 0), first, 'the same descriptor read twice')
    os.close(fd)


def look(_i, base, missing_allowed, sizes):
    st = attempt(os.stat, f'{base}/x')
    if isinstance(st, str):
        ok(missing_allowed and st == 'ENOENT', f'stat {base}/x: {st}')
    else:
        ok(st.st_size in sizes, f'stat of {base}/x shows size {st.st_size}')


def list_names(_i, base, stable):
    names = os.listdir(base)
    found = [n for n in names if n.startswith('stable')]
    eq(sorted(found), stable, f'names in {base} that are there all the time')


def prepare_stable(n=300):
    names = sorted(f'stable{i}' for i in range(n))
    for name in names:
        put(f'{SHM}/{name}')
    return names


def test_rename_storm_of_a_native_process():
    put(f'{SHM}/x', stamp(0))
    stable = prepare_stable()
    storm = Storm()
    storm.add(replace, SHM, 'a')
    for base, flags in ((TREE, os.O_RDONLY), (TREE, os.O_RDWR), (SHM, os.O_RDONLY)):
        storm.add(read_whole, base, flags, False, (SIZE,))
    storm.add(look, TREE, False, (SIZE,))
    storm.add(list_names, TREE, stable)
    storm.run()


def test_rename_storm_of_both_sides():
    put(f'{SHM}/x', stamp(0))
    storm = Storm()
    storm.add(replace, SHM, 'a')
    storm.add(replace, TREE, 'b')
    for base in (TREE, SHM):
        storm.add(read_whole, base, os.O_RDONLY, False, (SIZE,))
        storm.add(read_whole, base, os.O_CREAT | os.O_RDWR, False, (SIZE,))
    storm.run()


def make_and_remove(i, base):
    put(f'{base}/x', stamp(i))
    attempt(os.unlink, f'{base}/x')


def test_create_and_unlink_storm():
    """One process makes and removes the name; readers see it whole, empty or not at all, and never trip over a removal."""
    for writer in (SHM, TREE):
        storm = Storm()
        storm.add(make_and_remove, writer)
        for base, flags in ((TREE, os.O_RDONLY), (TREE, os.O_RDWR), (SHM, os.O_RDONLY)):
            storm.add(read_whole, base, flags, True, (0, SIZE))
        storm.add(look, TREE, True, (0, SIZE))
        storm.run(SECONDS / 2)


def create_or_open(i, base):
    """open(O_CREAT) never fails for that the name comes and goes."""
    fd = os.open(f'{base}/x', os.O_CREAT | os.O_RDWR, 0o600)
    eq(os.pwrite(fd, b'12345678', 8 * (i % 512)), 8, 'write')
    os.close(fd)


def remove(_i, base):
    got = attempt(os.unlink, f'{base}/x')
    ok(got in (None, 'ENOENT'), f'unlink {base}/x: {got}')


def test_creators_against_removers():
    storm = Storm()
    for base in (TREE, TREE, SHM):
        storm.add(create_or_open, base)
    for base in (SHM, TREE):
        storm.add(remove, base)
    storm.run()


def exclusive(i, base, me):
    """A lock file: who made it exclusively may count on being alone until he removes it."""
    fd = attempt(os.open, f'{base}/lock', os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    if isinstance(fd, str):
        eq(fd, 'EEXIST', 'the loser of an exclusive create')
        return
    os.write(fd, b'%d' % me)
    eq(os.pread(fd, 10, 0), b'%d' % me, 'content of the lock file')
    os.close(fd)
    with open(f'{base}/lock', 'rb') as f:
        eq(f.read(), b'%d' % me, 'content of the lock file by name')
    os.unlink(f'{base}/lock')


def test_lock_files():
    storm = Storm()
    for me, base in enumerate((TREE, SHM, TREE)):
        storm.add(exclusive, base, me)
    storm.run(SECONDS / 2)


def shuffle(i, base, seed):
    rng = random.Random(seed * 1000003 + i)
    a, b = (f'{base}/' + rng.choice('pqrs') for _ in range(2))
    kind = rng.randrange(6)
    if kind == 0:
        got = attempt(put, a, b'data')
    elif kind == 1:
        got = attempt(os.rename, a, b)
    elif kind == 2:
        got = attempt(os.unlink, a)
    elif kind == 3:
        got = attempt(os.link, a, b)
    elif kind == 4:
        got = attempt(os.truncate, a, rng.randrange(9000))
    else:
        got = attempt(lambda: os.stat(a) and None)
    ok(got in (None, 'ENOENT', 'EEXIST'), f'operation {kind} on {a}, {b}: {got}')


def test_everything_at_once():
    """Create, rename, unlink, link, truncate, stat of four names by six processes: afterwards both views are equal."""
    print(f'  seed {SEED}')
    storm = Storm()
    for i, base in enumerate((TREE, TREE, TREE, TREE, SHM, SHM)):
        storm.add(shuffle, base, SEED + i)
    storm.run()
    eq(sorted(os.listdir(TREE)), sorted(os.listdir(SHM)), 'names')
    for name in os.listdir(SHM):
        a, b = (os.lstat(p) for p in both(name))
        eq((b.st_size, b.st_nlink, b.st_mode), (a.st_size, a.st_nlink, a.st_mode), f'status of {name}')


def test_appenders():
    """O_APPEND of several processes, natively and through the mount: no line is lost or torn."""
    lines, writers = (200 if ASAN else 500), 4

    def append(base, me):
        fd = os.open(f'{base}/log', os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for i in range(lines):
            line = b'%d %d ' % (me, i) + b'x' * (i % 90) + b'\n'
            eq(os.write(fd, line), len(line), 'append')
        os.close(fd)
    put(f'{SHM}/log')
    join([in_child(append, (TREE, SHM)[i % 2], i) for i in range(writers)], 'writers')
    with open(f'{TREE}/log', 'rb') as f:
        got = f.read().splitlines()
    for me in range(writers):
        mine = [l for l in got if l.startswith(b'%d ' % me)]
        eq([l.split(b' ')[1] for l in mine], [b'%d' % i for i in range(lines)], f'lines of writer {me}')
        ok(all(l.endswith(b'x' * (i % 90)) for i, l in enumerate(mine)), 'lines are whole')
    eq(len(got), lines * writers, 'lines')


main(globals())
