# SPDX-License-Identifier: MIT
"""The time of day is set hours forth and back, and the daemon runs in a time name space: nothing waits longer or shorter for it.

usage: faultclock.py CLOCK-LIBRARY (clock.c)
"""
import calendar
import ctypes
import fcntl
import json
import mmap
import os
import select
import socket
import struct
import sys
import time

from daemons import Daemon, end_daemons
from listeners import SOCK, Listener
from mounttest import ASAN, CTL, MNT, SCRATCH, SHM, TREE, attempt, clean as clean_shm, eq, forgotten, get, in_child, join, main, metrics, ok, put
from queues import IPC_CREAT, IPC_RMID, MQ, MSG, check, clean_queues, libc, make_mq, make_msg, mount_mqfs, wait_until
from semaphores import SEM, SSEM, clean_semaphores, end_children, make_posix, make_set, read, wait_parked, write

HOUR = 3600
JUMPS = (10 * HOUR, -10 * HOUR, 30 * 365 * 24 * HOUR, 0)
FILE = f'{SCRATCH}/clock'
put(FILE, bytes(8))
with open(FILE, 'r+b') as opened:
    ahead = mmap.mmap(opened.fileno(), 8)


def set_clock(seconds):
    struct.pack_into('q', ahead, 0, seconds)


def start():
    set_clock(0)
    return Daemon(env=os.environ | {'LD_PRELOAD': os.path.abspath(sys.argv[1]), 'IPCFS_CLOCK': FILE})


def stop(daemon):
    set_clock(0)
    daemon.process.terminate()
    eq(daemon.ended(), 0, 'status')


def ticks(pid):
    fields = get(f'/proc/{pid}/stat').rpartition(b')')[2].split()
    return int(fields[11]) + int(fields[12])


def now_there():
    return time.time() + struct.unpack_from('q', ahead)[0]


class Feeds:
    """A reader of each kind that waits, and what serves each."""

    def __init__(self):
        self.mq, self.msg, self.sem, self.set, self.hold = make_mq('q', 4, 64), make_msg(0x77), make_posix('s'), make_set(0x77, 0), make_posix('h')
        self.listener, self.lock = Listener('l'), open(f'{SHM}/locked', 'wb')
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def start(self):
        base = metrics()['ipcfs_parked']
        calls = [lambda: get(f'{MQ}/q'), lambda: get(f'{MSG}/by-key/0x77'), lambda: read(f'{SEM}/s/wait'),
                 lambda: read(f'{SSEM}/by-key/0x77/0/wait'), lambda: os.open(f'{SEM}/h/hold', os.O_RDONLY),
                 lambda: os.open(f'{SOCK}/l/accept', os.O_RDWR), self.locked]
        self.readers = [in_child(lambda call=call: call() and 0) for call in calls]
        wait_parked(base + len(calls), 'all wait')
        self.base = base

    @staticmethod
    def locked():
        with open(f'{TREE}/locked', 'rb') as f:
            fcntl.flock(f, fcntl.LOCK_EX)

    def serve(self):
        eq(metrics()['ipcfs_parked'], self.base + len(self.readers), 'all wait still')
        self.mq.send(b'x')
        self.msg.send(b'x')
        for s in (self.sem, self.hold):
            s.post()
        self.set.op((0, 1))
        client = self.listener.native()
        fcntl.flock(self.lock, fcntl.LOCK_UN)
        join(self.readers, 'those who waited')
        client.close()
        wait_until(lambda: self.hold.value() == 1, 'given back')
        self.hold.take()
        fcntl.flock(self.lock, fcntl.LOCK_EX)


def test_waits():
    """None ends, none is late, and nobody turns round and round."""
    daemon, feeds = start(), Feeds()
    for jump in JUMPS:
        feeds.start()
        begin = ticks(daemon.process.pid)
        set_clock(jump)
        time.sleep(0.3)
        ok(ticks(daemon.process.pid) - begin < 10, f'{ticks(daemon.process.pid) - begin} ticks in 0.3 s after a jump of {jump} s')
        feeds.serve()
    feeds.lock.close()
    feeds.listener.remove()
    stop(daemon)


def test_timed():
    """What has a time of its own: a line without its newline is kept while the queue is full, for seconds, not for less."""
    daemon, q = start(), make_mq('q', 1, 64)
    for jump in JUMPS:
        q.send(b'full')
        fd = os.open(f'{CTL}/mq/q/lines', os.O_WRONLY)
        os.write(fd, b'unfinished')
        os.close(fd)
        set_clock(jump)
        time.sleep(0.2)
        eq(q.receive(), (b'full', 0), 'what was there')
        eq(q.receive(), (b'unfinished', 0), 'the line')
    stop(daemon)


def hold_and_want(mine, other):
    fds = [os.open(f'{TREE}/{name}', os.O_RDWR) for name in (mine, other)]
    fcntl.flock(fds[0], fcntl.LOCK_EX)
    os.write(pipe[1], b'.')
    os.read(pipe_go[0], 1)
    fcntl.flock(fds[1], fcntl.LOCK_EX)


def test_shown():
    """A deadlock is found, and who waits since when is told, by the clock as it is set."""
    global pipe, pipe_go
    daemon = start()
    pipe, pipe_go = os.pipe(), os.pipe()
    put(f'{SHM}/a')
    put(f'{SHM}/b')
    base, begin = metrics()['ipcfs_parked'], time.time()
    pids = [in_child(hold_and_want, *names) for names in ('ab', 'ba')]
    for _ in pids:
        os.read(pipe[0], 1)
    os.write(pipe_go[1], b'..')
    wait_parked(base + 2, 'both')
    for jump in JUMPS:
        set_clock(jump)
        lines = []
        wait_until(lambda: lines.append(get(f'{CTL}/deadlocks')) or lines[-1], f'the deadlock is seen at {jump}', 3)
        ok(all(b'(%d)' % pid in lines[-1] for pid in pids), f'deadlocks: {lines[-1]}')
        for file in ('shm/a/waiters.json', 'shm/b/waiters.json', 'waits.json'):
            for row in json.loads(get(f'{CTL}/{file}')):
                if row.get('pid') in pids and not forgotten(row):
                    age = now_there() - row['since']
                    ok(-0.1 <= age <= time.time() - begin + 0.1, f'{file} at {jump}: waits since {age} s')
    for pid in pids:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    stop(daemon)


def test_orphans():
    """Ages are not negative, and nobody who lives is taken for somebody else."""
    daemon, told = start(), os.pipe()
    pid = in_child(make_and_wait, told[1])
    shmid = int(os.read(told[0], 20))
    for jump in (0, 60, -60, *JUMPS):
        set_clock(jump)
        row, = json.loads(get(f'{CTL}/orphans.json'))
        eq((row['creator'], row['creator_state'], row['verdict']), (pid, 'alive', 'unknown'), f'at {jump}: {row}')
        ok(0 <= row['age'] <= max(jump, 0) + 60, f'age at {jump}: {row}')
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    row, = json.loads(get(f'{CTL}/orphans.json'))
    eq((row['creator_state'], row['verdict']), ('dead', 'safe'), 'when its creator has died')
    check(libc.shmctl(shmid, IPC_RMID, None), 'IPC_RMID')
    stop(daemon)


def make_and_wait(told):
    os.write(told, b'%d' % check(libc.shmget(0x77, ctypes.c_size_t(4096), IPC_CREAT | 0o600), 'shmget'))
    time.sleep(100)


def test_events():
    """They come, in order, each with the time as it is set; last-error, state and list are read as ever."""
    daemon = start()
    fd = os.open(f'{CTL}/events.json', os.O_RDONLY | os.O_NONBLOCK)
    os.read(fd, 4096)
    for number, jump in enumerate(JUMPS):
        set_clock(jump)
        put(f'{SHM}/made{number}')
        os.unlink(f'{SHM}/made{number}')
        got, end = b'', time.monotonic() + 5
        while got.count(b'\n') < 2 and time.monotonic() < end:
            if select.select([fd], [], [], 1)[0]:
                got += os.read(fd, 65536)
        rows = [json.loads(l) for l in got.splitlines()]
        eq([(r['event'], r['name']) for r in rows], [(e, f'made{number}') for e in ('created', 'removed')], 'events')
        for r in rows:
            ok(abs(now_there() - r['time']) < 5, f'time of an event at {jump}: {r}, {now_there()}')
        refused_at(jump)
    os.close(fd)
    stop(daemon)


def refused_at(jump):
    attempt(write, f'{CTL}/mq/create', b'q maxmsg=0\n')
    said = get(f'{CTL}/last-error').decode()
    when = calendar.timegm(time.strptime(said.split()[0], '%Y-%m-%dT%H:%M:%SZ'))
    ok(abs(when - now_there()) < 5, f'last-error at {jump}: {said}')
    for path in ('list.json', 'waits', 'graph.dot', 'limits', 'metrics', 'sock/list'):
        ok(get(f'{CTL}/{path}'), path)


def test_bound_sockets():
    """Whether somebody listens has nothing to do with the time."""
    daemon = start()
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(f'{SOCK}/there')
        s.listen(1)
        for jump in JUMPS:
            set_clock(jump)
            ok(b'state: listen' in get(f'{CTL}/sock/there/state'), f'it listens at {jump}')
            ok(attempt(write, f'{CTL}/sock/there/reclaim', b'1\n') == 'EBUSY', f'reclaimed at {jump}')
    os.unlink(f'{SOCK}/there')
    stop(daemon)


CLONE_NEWTIME = 0x80


def enter_time():
    """Clocks that count from another start, as where a container was moved from another machine: time_namespaces(7)."""
    check(libc.unshare(CLONE_NEWTIME), 'unshare')
    with open('/proc/self/timens_offsets', 'w') as f:
        f.write('monotonic 1000000 0\nboottime 2000000 0\n')


def test_time_namespace():
    daemon = Daemon(preexec_fn=enter_time)
    if os.readlink(f'/proc/{daemon.process.pid}/ns/time') == os.readlink('/proc/self/ns/time'):
        print('  exec(2) does not enter it (Linux before 6.3)')
    feeds, told = Feeds(), os.pipe()
    feeds.start()
    pid = in_child(make_and_wait, told[1])
    shmid = int(os.read(told[0], 20))
    row, = json.loads(get(f'{CTL}/mq/q/waiters.json'))
    ok(forgotten(row) or 0 <= time.time() - row['since'] < 5, f'waits since: {row}, now {time.time()}')
    row, = [row for row in json.loads(get(f'{CTL}/orphans.json')) if row['kind'] == 'sysv/shm']
    eq((row['creator_state'], row['age'] < 5), ('alive', True), f'an orphan: {row}')
    feeds.serve()
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    check(libc.shmctl(shmid, IPC_RMID, None), 'IPC_RMID')
    feeds.lock.close()
    feeds.listener.remove()
    stop(daemon)


def end_all():
    end_children()
    end_daemons()


def clean():
    set_clock(0)
    clean_queues()
    clean_semaphores()
    clean_shm()


mount_mqfs()
main(globals(), cleaner=clean, after=end_all, about_daemon=True)
