# SPDX-License-Identifier: MIT
"""holders and waiters of an object, beside what /proc, lsof and the processes themselves know."""
import ctypes
import fcntl
import json
import mmap
import os
import select
import signal
import socket
import subprocess
import threading
import time

from mounttest import CTL, MNT, SCRATCH, SHM, TREE, User, eq, forgotten, get, in_child, main, ok, put, refused
from queues import MQ, SOON, Msg, check, libc, make_mq, unlink_mq
from semaphores import make_posix, make_set
from twins import wait_until

IPC_CREAT, IPC_RMID, SHM_RDONLY = 0o1000, 0, 0o10000
USER = 1234
children = []
cleanups = []


def after():
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    children.clear()
    while cleanups:
        cleanups.pop()()


def start(fn, *args, user=0):
    """A child that runs fn and then does nothing."""
    def child():
        if user:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: it may be looked into, as after an execve(2)
        child.kept = fn(*args)
        while True:
            signal.pause()
    children.append(in_child(child))
    return children[-1]


def shown(path, view='holders'):
    return json.loads(get(f'{CTL}/{path}/{view}.json'))


def rows(path, *names, view='holders', pid=None):
    return sorted(tuple(r[n] for n in names) for r in shown(path, view) if pid is None or r['pid'] == pid)


def rows_of_waiters(path):
    return rows(path, 'pid', view='waiters')


def await_rows(path, want, *names, view='holders'):
    """The object's rows are these, soon."""
    want = sorted(want)
    try:
        wait_until(lambda: rows(path, *names, view=view) == want, path)
    except AssertionError:
        eq(rows(path, *names, view=view), want, f'{view} of {path}')


def recent(row):
    return forgotten(row) or (row['since'] is not None and abs(time.time() - row['since']) < 20 * SOON)


# ---- descriptors and mappings ----

def test_shm():
    put(f'{SHM}/a', b'x' * 8192)

    def hold():
        os.dup2(os.open(f'{SHM}/a', os.O_RDWR), 100)
        os.dup2(os.open(f'{TREE}/a', os.O_RDONLY), 101)
        fd = os.open(f'{SHM}/a', os.O_RDONLY)
        address = libc.mmap(None, ctypes.c_size_t(4096), mmap.PROT_READ, mmap.MAP_SHARED, fd, ctypes.c_long(4096))
        os.closerange(3, 100)
        return address
    libc.mmap.restype = ctypes.c_void_p
    pid = start(hold)
    await_rows('shm/a', [(pid, 'descriptor'), (pid, 'descriptor'), (pid, 'mapping')], 'pid', 'how')
    holders = {(r['how'], r['fd']): r for r in shown('shm/a')}
    eq({k: r['access'] for k, r in holders.items()},
       {('descriptor', 100): 'rw', ('descriptor', 101): 'r', ('mapping', None): 'r'}, 'access')
    mapping = holders['mapping', None]
    with open(f'/proc/{pid}/maps') as f:
        line = [line.split() for line in f if '/dev/shm/a' in line]
    eq([f'{int(mapping["start"], 16):x}-{int(mapping["end"], 16):x}', int(mapping['offset'], 16)],
       [line[0][0], int(line[0][2], 16)], 'the mapping')
    with open(f'/proc/{pid}/comm') as f:
        comm = f.read().strip()
    eq({(r['command'], r['uid'], r['tid'], r['call']) for r in holders.values()}, {(comm, 0, None, None)}, 'who')
    eq(shown('shm/a', 'waiters'), [], 'waiters')
    lines = get(f'{CTL}/shm/a/holders').decode().splitlines()
    eq(lines[0].split()[:6], ['pid', 'command', 'uid', 'how', 'fd', 'access'], 'header')
    eq(sorted(line.split()[3] for line in lines[1:]), ['descriptor', 'descriptor', 'mapping'], 'the list')
    os.kill(pid, signal.SIGKILL)
    os.waitpid(children.pop(), 0)
    eq(shown('shm/a'), [], 'at once when it has ended')
    eq(get(f'{CTL}/shm/a/holders').decode().count('\n'), 1, 'the header is there')


def test_beside_lsof():
    put(f'{SHM}/a', b'x' * 4096)

    def hold(count):
        return [os.open(f'{SHM}/a', (os.O_RDONLY, os.O_WRONLY, os.O_RDWR)[i % 3]) for i in range(count)]
    for count in (1, 4, 7):
        start(hold, count)
    wait_until(lambda: len(shown('shm/a')) == 12, 'all are shown', 10 * SOON)
    out = subprocess.run(['lsof', '-F', 'pfa', f'{SHM}/a'], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True, check=True).stdout
    expected, pid, fd = [], 0, 0
    for line in out.splitlines():
        if line[0] == 'p':
            pid = int(line[1:])
        elif line[0] == 'f':
            fd = int(line[1:])
        else:
            expected.append((pid, fd, {'u': 'rw'}.get(line[1:], line[1:])))
    eq(rows('shm/a', 'pid', 'fd', 'access'), sorted(expected), 'as lsof has it')


def test_nobody():
    put(f'{SHM}/a')
    eq(shown('shm/a'), [], 'holders')
    with open(f'{CTL}/shm/a/state') as state, open(f'{CTL}/shm/a/holders') as holders:
        eq((state.read() != '', len(holders.read().splitlines())), (True, 1), 'who looks does not hold')
    refused('EPERM', os.open, f'{CTL}/shm/a/holders', os.O_RDWR)
    fd = os.open(f'{CTL}/shm/a/holders', os.O_RDONLY)
    os.unlink(f'{SHM}/a')
    refused('ENOENT', os.read, fd, 100)
    os.close(fd)


def test_sysv_shm():
    libc.shmat.restype = ctypes.c_void_p
    number = check(libc.shmget(42, ctypes.c_size_t(8192), IPC_CREAT | 0o600), 'shmget')
    cleanups.append(lambda: libc.shmctl(number, IPC_RMID, None))
    where = f'sysv/shm/by-id/{number}'
    eq(shown(where), [], 'nobody yet')
    pid = start(libc.shmat, number, None, SHM_RDONLY)
    await_rows(where, [(pid, 'attachment', 'r')], 'pid', 'how', 'access')
    eq(rows('sysv/shm/by-key/0x0000002a', 'pid', 'how'), [(pid, 'attachment')], 'by its other name')


def test_sock():
    cleanups.append(lambda: os.unlink(f'{MNT}/sock/web'))

    def hold():
        s = socket.socket(socket.AF_UNIX)
        s.bind(f'{MNT}/sock/web')
        s.listen()
        return s, s.dup()
    pid = start(hold)
    wait_until(lambda: os.path.exists(f'{MNT}/sock/web') and len(shown('sock/web')) == 2, 'it is held')
    state = json.loads(get(f'{CTL}/sock/web/state.json'))
    eq(rows('sock/web', 'pid', 'fd'), sorted((h['pid'], h['fd']) for h in state['holder']), 'as the state says')
    eq({r['pid'] for r in shown('sock/web')}, {pid}, 'who')


# ---- waiters ----

def test_parked_and_native():
    """Everybody who waits for one thing, natively and through the mount, in the call that he made."""
    queue = make_mq('q', 1, 8)
    cleanups.append(lambda: unlink_mq('q'))
    msg = Msg(43, 0o1600)
    cleanups.append(msg.remove)
    sems = make_set(44, 0, 0)
    cleanups.append(sems.remove)
    slots = make_posix('slots')
    os.mkfifo(f'{MNT}/pipe/p')
    cleanups.append(lambda: os.unlink(f'{MNT}/pipe/p'))

    def read(path):
        return lambda: get(path)

    cases = [
        ('mq/q', 'mq_timedreceive', 'no', None, lambda: queue.receive(100)),
        ('mq/q', 'read', 'yes', None, read(f'{MQ}/q')),
        ('mq/q', 'read', 'yes', 'lines', read(f'{CTL}/mq/q/lines')),
        (f'sysv/msg/by-id/{msg.id}', 'msgrcv', 'no', None, lambda: msg.receive(flags=0)),
        (f'sysv/msg/by-id/{msg.id}', 'read', 'yes', None, read(f'{MNT}/sysv/msg/by-id/{msg.id}')),
        (f'sysv/sem/by-id/{sems.id}', None, 'no', None, lambda: sems.op((1, -1), seconds=100)),
        (f'sysv/sem/by-id/{sems.id}', 'read', 'yes', 'wait', read(f'{MNT}/sysv/sem/by-id/{sems.id}/1/wait')),
        ('sem/slots', 'futex', 'no', None, lambda: slots.wait(100)),
        ('sem/slots', 'open', 'yes', 'hold', read(f'{MNT}/sem/slots/hold')),
        ('pipe/p', 'read', 'no', None, lambda: os.read(os.open(f'{MNT}/pipe/p', os.O_RDWR), 1)),
    ]
    expected = {}
    for path, call, parked, part, fn in cases:
        pid = start(fn)
        expected.setdefault(path, []).append((pid, call, parked, part))
    for path, want in expected.items():
        wait_until(lambda: len(shown(path, 'waiters')) == len(want), f'who waits for {path}: {want}, {shown(path, "waiters")}', 5 * SOON)
        for pid, call, parked, part in want:
            row = [r for r in shown(path, 'waiters') if r['pid'] == pid]
            eq(len(row), 1, f'{pid} waits for {path}')
            row = row[0]
            eq((row['parked'], row['part'], row['tid']), (parked, part, pid), f'how {pid} waits for {path}')
            ok(row['call'] == call if call else row['call'] in ('semop', 'semtimedop'), f'{path}: {row}')
            ok(recent(row), f'{path}: {row}, now {time.time()}')
            held = [r for r in shown(path) if r['pid'] == pid and r['how'] == 'waiting']
            eq([(r['tid'], r['call']) for r in held], [(pid, row['call'])], 'the same in holders')
    eq(rows(f'sysv/sem/by-id/{sems.id}', 'member', 'parked', view='waiters'), [(1, 'no'), (1, 'yes')], 'which semaphore')
    for pid in list(children):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        children.remove(pid)
    for path in expected:
        wait_until(lambda: shown(path, 'waiters') == [], f'nobody waits for {path} any more')


def test_fifo_opened():
    """Who opens a FIFO and waits for the other end has no descriptor yet; whoever comes ends that."""
    path, other = f'{MNT}/pipe/p', f'{SCRATCH}/p'
    for fifo in (path, other):
        os.mkfifo(fifo)
        cleanups.append(lambda fifo=fifo: os.unlink(fifo))
    os.chmod(path, 0o666)

    def below_cwd():
        os.chdir(f'{MNT}/ctl')
        os.open('../pipe//./p', os.O_RDONLY)

    readers = [start(below_cwd), start(lambda: os.open(path, os.O_RDONLY), user=USER)]
    elsewhere = start(lambda: os.open(other, os.O_WRONLY))
    await_rows('pipe/p', [(pid, 'open', 'no') for pid in readers], 'pid', 'call', 'parked', view='waiters')
    eq(rows('pipe/p', 'pid', 'tid', 'how', 'call', 'access'), [(pid, pid, 'waiting', 'open', 'r') for pid in readers], 'holders')

    def waits():
        return sorted((r['pid'], r['kind'], r['object'], r['how'], r['for'], r['holders'])
                      for r in json.loads(get(f'{CTL}/waits.json')) if r['pid'] in readers + [elsewhere])
    want = [(pid, 'pipe', 'p', 'partner', None, []) for pid in readers] + [(elsewhere, 'pipe', other, 'partner', None, [])]
    wait_until(lambda: waits() == sorted(want), f'waits: {waits()}, not {want}')
    eq(get(f'{CTL}/deadlocks'), b'', 'deadlocks')
    user = User(USER, USER)
    cleanups.append(user.end)
    eq(user(rows_of_waiters, 'pipe/p'), [(readers[1],)], 'to the user')
    fd = os.open(path, os.O_WRONLY)
    wait_until(lambda: shown('pipe/p', 'waiters') == [], 'nobody waits any more')
    os.close(fd)


def test_any():
    """Who waits for any of several is told with each of them."""
    def poll():
        ends = socket.socketpair()
        waiting = select.poll()
        for fd in (os.open(f'{MNT}/pipe/p', os.O_RDWR), ends[0].fileno()):
            waiting.register(fd, select.POLLIN)
        waiting.poll()

    def epoll():
        watched = select.epoll()
        watched.register(os.open(f'{MNT}/pipe/p', os.O_RDWR), select.EPOLLIN)
        watched.poll(1000)

    os.mkfifo(f'{MNT}/pipe/p')
    cleanups.append(lambda: os.unlink(f'{MNT}/pipe/p'))
    polls, watches = start(poll), start(epoll)
    await_rows('pipe/p', [(polls, 'poll', 'no'), (watches, 'epoll_wait', 'no')], 'pid', 'call', 'parked', view='waiters')
    told = sorted((r['pid'], r['kind'], r['how'], r['timeout']) for r in json.loads(get(f'{CTL}/waits.json'))
                  if r['pid'] in (polls, watches))
    eq(told, [(polls, 'pipe', 'any', 'no'), (polls, 'socket', 'any', 'no'), (watches, 'pipe', 'any', 'yes')], 'waits')


def test_children():
    """Who waits for a child is shown in the graph where somebody waits for him, and otherwise only in a deadlock."""
    def parent(locks):
        fd = os.open(f'{SHM}/b', os.O_RDWR | os.O_CLOEXEC)
        fcntl.lockf(fd, fcntl.LOCK_EX)
        child = os.fork()
        if child == 0:
            libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
            if locks:  # what its parent has, who waits for it
                fcntl.lockf(os.open(f'{SHM}/b', os.O_RDWR), fcntl.LOCK_EX)
            signal.pause()
        os.waitpid(child, 0)

    def listed(pid):
        return [r['how'] for r in json.loads(get(f'{CTL}/waits.json')) if r['pid'] == pid]

    put(f'{SHM}/b', mode=0o666)
    pid = start(parent, False)
    wait_until(lambda: open(f'/proc/{pid}/wchan').read() == 'do_wait', 'it waits for its child')
    eq(listed(pid), [], 'alone it is not listed')
    ok(f'({pid})'.encode() not in get(f'{CTL}/waits.dot'), 'nor drawn')
    other = start(lambda: fcntl.lockf(os.open(f'{SHM}/b', os.O_RDWR), fcntl.LOCK_EX))
    wait_until(lambda: listed(other) == ['lock'], 'somebody waits for it')
    eq(listed(pid), [], 'it is not listed')
    ok(b'end of' in get(f'{CTL}/waits.dot'), 'but drawn')
    for each in (pid, other):
        os.kill(each, signal.SIGKILL)
        os.waitpid(each, 0)
        children.remove(each)
    pid = start(parent, True)
    wait_until(lambda: listed(pid) == ['child'], 'in a deadlock it is')


def test_locks():
    put(f'{SHM}/a')
    libc.flock.argtypes = [ctypes.c_int, ctypes.c_int]
    fd = os.open(f'{TREE}/a', os.O_RDWR)
    check(libc.flock(fd, 2), 'flock')
    pid = start(lambda: libc.flock(os.open(f'{TREE}/a', os.O_RDWR), 2))
    await_rows('shm/a', [(pid, 'flock', 'yes')], 'pid', 'call', 'parked', view='waiters')
    check(libc.flock(fd, 8), 'flock')
    await_rows('shm/a', [], 'pid', view='waiters')
    os.close(fd)


def test_lock_of_a_thread():
    """The holder is told by his process, also where another thread of it took the lock."""
    put(f'{SHM}/a')
    fd = os.open(f'{TREE}/a', os.O_RDWR)
    taken, done = threading.Event(), threading.Event()

    def take():
        check(libc.flock(fd, 2), 'flock')
        taken.set()
        done.wait()
    thread = threading.Thread(target=take)
    thread.start()
    try:
        taken.wait()
        pid = start(lambda: libc.flock(os.open(f'{TREE}/a', os.O_RDWR), 2))
        await_rows('shm/a', [(pid, 'flock')], 'pid', 'call', view='waiters')
        waits = [w for w in json.loads(get(f'{CTL}/waits.json')) if w['pid'] == pid]
        eq([[h['pid'] for h in w['holders']] for w in waits], [[os.getpid()]], 'who has it')
    finally:
        done.set()
        thread.join()
    os.close(fd)


# ---- who may see what ----

def test_other_user():
    put(f'{SHM}/a', mode=0o666)
    mine = start(lambda: os.open(f'{SHM}/a', os.O_RDWR))
    theirs = start(lambda: os.open(f'{SHM}/a', os.O_RDWR), user=USER)
    await_rows('shm/a', [(mine, 0), (theirs, USER)], 'pid', 'uid')
    user = User(USER, USER)
    try:
        eq(user(rows, 'shm/a', 'pid', 'uid'), [(theirs, USER)], 'of others nothing')
    finally:
        user.end()


# ---- readers ----

def test_interrupted():
    """A reader is ended by a signal, and nobody waits for him."""
    put(f'{SHM}/a')

    def read_for_ever():
        while True:
            get(f'{CTL}/shm/a/waiters')
    for i in range(20):
        pid = in_child(read_for_ever)
        time.sleep(0.003 * i)
        begin = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        ok(time.monotonic() - begin < SOON, 'it ends at once')


def test_walk():
    """Who reads many files in a row is shown one look for several; who reads one again is shown what is."""
    for i in range(300):
        put(f'{SHM}/w{i:03}')
    fd = os.open(f'{SHM}/w000', os.O_RDONLY)
    begin = time.monotonic()
    for i in range(300):
        eq(rows(f'shm/w{i:03}', 'pid'), [(os.getpid(),)] if i == 0 else [], 'a walk')
    print(f'  300 files in {time.monotonic() - begin:.2f} s')
    os.close(fd)
    eq(shown('shm/w000'), [], 'at once')
    fd = os.open(f'{SHM}/w000', os.O_RDONLY)
    eq(rows('shm/w000', 'fd'), [(fd,)], 'at once')
    os.close(fd)


main(globals(), after, about_daemon=True)
