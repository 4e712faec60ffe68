# SPDX-License-Identifier: MIT
"""Thousands of System V segments, and a storm on a few of them: nothing wrong is seen, and nothing is left behind.

usage: sysvshmmany.py SEGMENT-PROGRAM (segment.c)
"""
import errno
import json
import os
import random
import signal
import time

from forget import forget
from mounttest import ASAN, LONG, MNT, PASSTHROUGH, SEED, attempt, daemon_only, eq, get, in_child, join, main, metrics, ok
from queues import IPC_CREAT, bash, wait_until
from segments import (CTL_SHM, PAGE, SHM_NORESERVE, SYSV, Mapping, Shm, all_shm, by_key, clean_segments,
                      daemon_attachments, finish, make_shm, state)

COUNT = 1000 if ASAN or not LONG else 3000
OPEN = 1000
GIANTS, GIANT = 150, 1 << 40
USER = 65534
DAEMON = f'/proc/{os.environ.get("IPCFS_PID")}'


def held():
    """What the daemon has, once the kernel has forgotten what it can."""
    forget()
    m = metrics()
    with open(f'{DAEMON}/maps') as f:
        maps = len(f.readlines()) if not ASAN else 0  # its allocator keeps what it has
    return {'handles': m['ipcfs_handles'], 'nodes': m['ipcfs_nodes'], 'backing_ids': m['ipcfs_backing_ids'],
            'fds': len(os.listdir(f'{DAEMON}/fd')), 'maps': maps, 'attachments': len(daemon_attachments())}


def back_to(before, what, spare=16):
    """Descriptors, maps (arenas of threads) and nodes of directories may be a few more; handles and the like may not."""
    def is_back():
        now = held()
        return all(now[k] <= before[k] + (spare if k in ('fds', 'maps', 'nodes') else 0) for k in before)
    try:
        wait_until(is_back, what)
    except AssertionError:
        raise AssertionError(f'{what}: {held()}, at the start {before}') from None


def timed(line, bound=20):
    start = time.monotonic()
    out, status = bash(line, bound * (4 if ASAN else 1))
    eq(status, 0, f'{line}: {out[-300:]}')
    print(f'  {time.monotonic() - start:.2f} s: {line}', flush=True)
    return out


def look_at_everything():
    for directory, count in ((f'{SYSV}/by-id', COUNT), (f'{SYSV}/by-key', COUNT // 2)):
        eq(len(timed(f'ls -l {directory}').splitlines()), count + 1, f'lines of ls -l {directory}')
        eq(len(timed(f'find {directory} -type f -size -3').split()), count, f'find {directory}')
    eq(len(json.loads(timed(f'cat {CTL_SHM}/list.json'))), COUNT, 'list.json')
    eq(len(timed(f'cat {CTL_SHM}/list').splitlines()), COUNT + 1, 'list')
    eq(int(timed(f'find {CTL_SHM} -name state | wc -l')), COUNT + COUNT // 2, 'find of states')


@daemon_only
def test_many():
    bash(f'ls -lR {SYSV} {CTL_SHM}; cat {CTL_SHM}/list')  # the first use of everything
    with open(by_key(0x9999), 'wb') as f:
        f.truncate(1)
    os.unlink(by_key(0x9999))
    before = held()
    segments = [make_shm(0x10000 + i if i % 2 else 0, 1 + i % 1024) for i in range(COUNT)]
    look_at_everything()
    eq(len(daemon_attachments()), 0, 'attachments of the daemon after looking')
    back_to(before | {'nodes': before['nodes'] + 2 * COUNT}, 'after looking')

    fds = []
    for i, s in enumerate(segments[:OPEN]):
        s.write(0, b'%d' % (i % 10))
        fds.append(os.open(s.path, (os.O_RDONLY, os.O_RDWR)[i % 2]))
    eq([os.pread(fd, 1, 0) for fd in fds], [b'%d' % (i % 10) for i in range(OPEN)], 'contents of many open ones')
    eq(len(daemon_attachments()), OPEN, 'attachments of the daemon')
    start = time.monotonic()
    for s in segments:
        os.unlink(s.path)
    print(f'  {time.monotonic() - start:.2f} s: rm of {COUNT}', flush=True)
    eq(len(all_shm()), OPEN, 'those that are open')
    for fd in fds:
        os.close(fd)
    wait_until(lambda: not all_shm(), 'all are gone')
    back_to(before, 'at last')


def open_and_close(key, what):
    giant = make_shm(key, GIANT, flags=SHM_NORESERVE)
    os.close(os.open(giant.path, os.O_RDWR))
    os.unlink(giant.path)
    ok(not os.path.exists(by_key(key)), what)


def open_giants(ready, go):
    os.setgid(USER)
    os.setuid(USER)
    fds, refused = [], None
    for i in range(GIANTS):
        giant = make_shm(0x20000 + i, GIANT, flags=SHM_NORESERVE)
        try:
            fds.append(os.open(giant.path, os.O_RDWR))
        except OSError as e:
            refused = e
    eq(os.pwrite(fds[0], b'end', GIANT - 3), 3, 'write to the end')
    eq((os.pread(fds[0], 9, GIANT - 3), os.fstat(fds[0]).st_size), (b'end', GIANT), 'what is there')
    os.write(ready, f'{len(fds)} {refused and refused.errno}'.encode())
    os.read(go, 1)


@daemon_only
def test_giants():
    """More than the daemon has addresses for, of nothing but addresses: nobody else is kept from anything."""
    before = held()
    ready, there = os.pipe()
    go, begin = os.pipe()
    pid = in_child(open_giants, there, go)
    os.close(there)
    count = os.read(ready, 99).decode()
    print(f'  {count}: open, and why not more')
    if PASSTHROUGH:
        eq(count, f'{GIANTS} None', 'a user has them all open')
    else:  # the daemon has no descriptors of what he opens
        ok(count.endswith(str(errno.ENOMEM)), 'a user has some of them open')
        ok(ASAN or 8 < int(count.split()[0]) <= 16, 'as many as are meant')  # a sanitizer takes most of the addresses
        open_and_close(0x30000, 'root has room for a large one all the same')
    s = make_shm(0x9998, 1 << 29)
    with open(s.path, 'rb+', 0) as f:
        f.seek(PAGE)
        f.write(b'hi')
        eq(s.read(PAGE, 2), b'hi', 'another one is written')
    os.mkdir(f'{MNT}/sem/beside')
    with open(f'{MNT}/sem/beside/post', 'w') as f:
        f.write('1')
    os.rmdir(f'{MNT}/sem/beside')
    os.unlink(s.path)
    os.write(begin, b'x')
    join([pid], 'the user', 30)
    for i in range(GIANTS):
        os.unlink(by_key(0x20000 + i))
    wait_until(lambda: not all_shm(), 'all are gone')
    for fd in (ready, go, begin):
        os.close(fd)
    back_to(before, 'at last')


# ---- the storm ----

KEYS = (0x51, 0x52, 0x53)
SECONDS = 6 if LONG else 2
SIZES = (1, 100, PAGE, 3 * PAGE + 1)
# What may happen when others make and remove the same key.
EXPECTED = {'create': {None, 'EEXIST', 'EINVAL', 'ENOENT', 'EFBIG', 'ESTALE'}, 'use': {None, 'ENOENT', 'EINVAL', 'EFBIG', 'ESTALE'},
            'unlink': {None, 'ENOENT', 'EINVAL', 'EIDRM', 'ESTALE'}, 'native': {None, 'ENOENT', 'EINVAL', 'EIDRM', 'EEXIST'},
            'look': {None, 'ENOENT', 'ESTALE'}}


def create(rng, key):
    fd = os.open(by_key(key), os.O_CREAT | os.O_RDWR | rng.choice((0, os.O_EXCL)), 0o600)
    try:
        size = rng.choice(SIZES)
        rng.choice((lambda: os.ftruncate(fd, size), lambda: os.write(fd, (b'%02x' % key * size)[:size])))()
        if os.fstat(fd).st_size == size:
            os.pwrite(fd, b'%02x' % key, 0)
            check_content(os.pread(fd, 4 * PAGE, 0), key)
    finally:
        os.close(fd)


def check_content(data, key):
    """Nobody writes anything into a segment but the number of its key and zeros."""
    for c in set(data):
        ok(c in b'%02x\0' % key, f'in the segment of key {key:#x}: {bytes([c])}, {data[:20]!r}')


def use(rng, key):
    fd = os.open(by_key(key), os.O_RDWR)
    try:
        size = os.fstat(fd).st_size
        m = attempt(Mapping, fd, size) if size else 'no size'
        ok(not isinstance(m, str) or m in ('ENODEV', 'no size'), f'mmap: {m}')
        os.pwrite(fd, b'%02x' % key, rng.randrange(0, size + 1) if size else 0)
        if not isinstance(m, str):
            m.write(0, b'%02x' % key if size > 1 else b'%x' % (key >> 4))
            check_content(m.read(0, size), key)
            if rng.random() < 0.5:
                os.unlink(by_key(key))
                check_content(m.read(0, size), key)
            m.close()
        check_content(os.pread(fd, 4 * PAGE, 0), key)
    finally:
        os.close(fd)


def unlink(_rng, key):
    os.unlink(by_key(key))


def native(rng, key):
    s = Shm(key, rng.choice((0, IPC_CREAT | 0o600)), rng.choice(SIZES))
    a = s.attach()
    if rng.random() < 0.6:
        attempt(s.remove)
    check_content(a.read(0, 1), key)
    a.detach()


def look(_rng, key):
    os.listdir(f'{SYSV}/by-key')
    json.loads(get(f'{CTL_SHM}/list.json'))
    for name in os.listdir(f'{SYSV}/by-id'):
        attempt(os.stat, f'{SYSV}/by-id/{name}')
    os.stat(by_key(key))
    state(f'{CTL_SHM}/by-key/{key:#010x}')


def rage(seed, until):
    rng = random.Random(seed)
    done = 0
    while time.time() < until:
        fn = rng.choice((create, create, use, use, use, unlink, native, look))
        got = attempt(fn, rng, rng.choice(KEYS))
        ok(got in EXPECTED[fn.__name__], f'{fn.__name__} in the storm: {got}')
        done += got is None
    ok(done > 20, f'only {done} things were done')


def kill_some(rng, until):
    """Processes with a short life: SIGKILL at any moment."""
    killed = 0
    while time.time() < until:
        pid = in_child(rage, rng.random(), until + 30)
        time.sleep(rng.uniform(0.02, 0.2))
        os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        ok(status == -signal.SIGKILL, f'a process of the storm ended with {status}')
        killed += 1
    return killed


@daemon_only
def test_storm():
    print(f'  seed {SEED}')
    before = held()
    rng = random.Random(SEED)
    until = time.time() + SECONDS
    pids = [in_child(rage, SEED + i, until) for i in range(4)]
    killed = kill_some(rng, until)
    join(pids, 'the storm', 60)
    print(f'  {killed} killed')
    ok(killed > 5, 'killed')
    wait_until(lambda: all(s['nattch'] == 0 for s in all_shm()) and not daemon_attachments(), 'all attachments end')
    for s in all_shm():
        os.unlink(f'{SYSV}/by-id/{s["shmid"]}')
    eq((all_shm(), os.listdir(f'{SYSV}/by-id'), os.listdir(f'{SYSV}/by-key')), ([], [], []), 'everything is removed')
    back_to(before, 'after the storm', 40)


main(globals(), after=clean_segments)
finish()
