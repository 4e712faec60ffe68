# SPDX-License-Identifier: MIT
"""ctl/events: what native and mount peers do to objects of all kinds, exactly that, in order, to every reader."""
import calendar
import ctypes
import json
import mmap
import os
import re
import select
import signal
import socket
import subprocess
import time

from mounttest import ASAN, CTL, MNT, SHM, User, eq, in_child, main, metrics, ok, refused
from queues import MQ, clean_queues, make_mq, mount_mqfs, unlink_mq, wait_until

LOG, LOG_JSON = CTL + '/events', CTL + '/events.json'
LIBC = ctypes.CDLL(None, use_errno=True)
SOON = 20 if ASAN else 5
QUIET = 0.5  # longer than any look takes to come round


class Reader:
    """Reads a log line by line; every line is told apart from the ones before."""

    def __init__(self, path=LOG):
        self.fd = os.open(path, os.O_RDONLY)
        self.json = path == LOG_JSON
        self.rest = b''
        self.begin = self.next()
        eq(self.begin['event'], 'begin', 'the first line')

    def next(self, seconds=SOON):
        """The next event, or None when none comes in that time."""
        end = time.monotonic() + seconds
        while b'\n' not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                return None
            data = os.read(self.fd, 65536)
            ok(data.endswith(b'\n'), f'not whole lines: {data[-100:]!r}')
            self.rest += data
        line, _, self.rest = self.rest.partition(b'\n')
        return self.parse(line.decode())

    def parse(self, line):
        if self.json:
            return {k: v for k, v in json.loads(line).items() if v is not None}
        when, event, kind, name, *more = line.split(' ')
        ok(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z', when), f'time {when}')
        found = dict(time=when, event=event, kind=kind, name=name)
        found.update(word.split('=', 1) for word in more)
        return found

    def expect(self, *wanted):
        """Each a dict of fields, or 'event kind name'."""
        for want in wanted:
            if isinstance(want, str):
                want = dict(zip(('event', 'kind', 'name'), want.split(' ')))
            got = self.next()
            ok(got, f'no event comes, expected {want}')
            eq({k: got.get(k) for k in want}, want, f'in {got}')

    def nothing(self, seconds=QUIET):
        got = self.next(seconds)
        ok(got is None, f'an event that nobody made: {got}')

    def close(self):
        os.close(self.fd)


def event(what, kind, name, pid=None, **more):
    found = dict(event=what, kind=kind, name=str(name))
    if pid:
        found['pid'] = str(pid)
    return found | {k: str(v) for k, v in more.items()}


def reading(test):
    def run():
        reader = Reader()
        try:
            test(reader)
            reader.nothing()
        finally:
            reader.close()
    run.__name__ = test.__name__
    return run


ME = os.getpid()


def tree(kind):
    return f'{MNT}/{kind}'


@reading
def test_shm(reader):
    for place in (SHM, tree('shm')):
        os.close(os.open(place + '/a b', os.O_CREAT | os.O_RDWR, 0o640))
        reader.expect(event('created', 'shm', 'a\\040b', ME, size=0, mode='0640', uid=0, gid=0))
        os.truncate(place + '/a b', 8192)
        reader.expect(event('resized', 'shm', 'a\\040b', ME, size=8192))
        os.chmod(place + '/a b', 0o600)
        reader.expect(event('changed', 'shm', 'a\\040b', ME, mode='0600'))
        os.chown(place + '/a b', 7, 8)
        reader.expect(event('changed', 'shm', 'a\\040b', ME, uid=7, gid=8))
        os.utime(place + '/a b')
        with open(place + '/a b', 'r+b') as f:
            f.write(b'within')
        reader.nothing()
        os.rename(place + '/a b', place + '/c')
        reader.expect(event('renamed', 'shm', 'a\\040b', ME, to='c'))
        with open(place + '/c', 'ab') as f:
            f.write(b'at the end')
        reader.expect(event('resized', 'shm', 'c', ME, size=8202))
        os.link(place + '/c', place + '/d')
        reader.expect(event('created', 'shm', 'd', ME, size=8202))
        os.unlink(place + '/c')
        reader.expect(event('removed', 'shm', 'c', ME))
        os.unlink(place + '/d')
        reader.expect(event('removed', 'shm', 'd', ME))


@reading
def test_names_move(reader):
    """Over another, exchanged, again and again, and into what is no object."""
    for place in (SHM, tree('shm')):
        for name in 'ab':
            os.close(os.open(f'{place}/{name}', os.O_CREAT | os.O_RDWR))
            reader.expect(f'created shm {name}')
        LIBC.renameat2(-100, f'{place}/a'.encode(), -100, f'{place}/b'.encode(), 2)
        got = [reader.next(), reader.next()]
        eq({(g['event'], g['name'], g['to']) for g in got}, {('renamed', 'a', 'b'), ('renamed', 'b', 'a')}, 'an exchange')
        os.rename(f'{place}/a', f'{place}/b')
        reader.expect(event('renamed', 'shm', 'a', ME, to='b'))
        for _ in range(3):
            os.close(os.open(f'{place}/a', os.O_CREAT | os.O_RDWR))
            reader.expect('created shm a')
            os.rename(f'{place}/a', f'{place}/b')
            reader.expect(event('renamed', 'shm', 'a', ME, to='b'))
        os.unlink(f'{place}/b')
        reader.expect('removed shm b')
    os.close(os.open(f'{SHM}/x', os.O_CREAT | os.O_RDWR))
    reader.expect('created shm x')
    os.truncate(f'{SHM}/x', 32)
    reader.expect('resized shm x')
    os.rename(f'{SHM}/x', f'{SHM}/sem.x')
    reader.expect('removed shm x', 'created sem x')
    os.mkdir(f'{SHM}/directory')
    os.rename(f'{SHM}/sem.x', f'{SHM}/directory/x')
    reader.expect('removed sem x')
    os.rename(f'{SHM}/directory/x', f'{SHM}/y')
    reader.expect('created shm y')
    os.unlink(f'{SHM}/y')
    reader.expect('removed shm y')
    os.rmdir(f'{SHM}/directory')


@reading
def test_what_is_no_object(reader):
    os.mkdir(SHM + '/directory')
    os.symlink('nowhere', SHM + '/link')
    os.mkfifo(SHM + '/fifo')
    os.close(os.open(SHM + '/.ipcfs.own', os.O_CREAT | os.O_RDWR))
    os.close(os.open(SHM + '/sem.short', os.O_CREAT | os.O_RDWR))
    reader.nothing()
    os.rmdir(SHM + '/directory')
    for name in ('link', 'fifo', '.ipcfs.own', 'sem.short'):
        os.unlink(f'{SHM}/{name}')


@reading
def test_short_lives(reader):
    for i in range(20):
        os.close(os.open(f'{SHM}/short{i}', os.O_CREAT | os.O_RDWR))
        os.unlink(f'{SHM}/short{i}')
    for i in range(20):
        reader.expect(event('created', 'shm', f'short{i}', ME), event('removed', 'shm', f'short{i}', ME))


@reading
def test_posix_sem(reader):
    """The C library's name of a moment does not show."""
    sem_open = LIBC.sem_open
    sem_open.restype = ctypes.c_void_p
    for i in range(30):
        ok(sem_open(f'/native{i}'.encode(), os.O_CREAT | os.O_EXCL, 0o600, 1), 'sem_open')
        if i % 3 == 0:
            time.sleep(0.009)
    reader.expect(*(event('created', 'sem', f'native{i}', ME, mode='0600') for i in range(30)))
    for i in range(30):
        LIBC.sem_unlink(f'/native{i}'.encode())
    reader.expect(*(event('removed', 'sem', f'native{i}', ME) for i in range(30)))
    ok(sem_open(b'/worker', os.O_CREAT | os.O_EXCL, 0o600, 1), 'sem_open')
    reader.expect(event('created', 'sem', 'worker', ME))
    LIBC.sem_unlink(b'/worker')
    reader.expect(event('removed', 'sem', 'worker', ME))
    os.mkdir(tree('sem') + '/mounted')
    reader.expect(event('created', 'sem', 'mounted', ME))
    os.rmdir(tree('sem') + '/mounted')
    reader.expect(event('removed', 'sem', 'mounted', ME))


@reading
def test_mq(reader):
    queue = make_mq('native', 2, 10)
    reader.expect(event('created', 'mq', 'native', ME, mode='0600'))
    time.sleep(QUIET)
    queue.send(b'1')
    reader.expect('data mq native')
    queue.send(b'2')
    reader.expect('full mq native')
    queue.take()
    reader.expect('room mq native', 'empty mq native')
    with open(CTL + '/mq/create', 'w') as f:
        f.write('mounted maxmsg=1 msgsize=8\n')
    reader.expect(event('created', 'mq', 'mounted', ME))
    time.sleep(QUIET)
    with open(MQ + '/mounted', 'w') as f:
        f.write('x')
    reader.expect('data mq mounted', 'full mq mounted')
    os.chmod(MQ + '/mounted', 0o640)
    reader.expect(event('changed', 'mq', 'mounted', ME, mode='0640'))
    os.unlink(MQ + '/mounted')
    reader.expect(event('removed', 'mq', 'mounted', ME))
    unlink_mq('native')
    reader.expect(event('removed', 'mq', 'native', ME))


@reading
def test_nodes(reader):
    os.mkfifo(tree('pipe') + '/p')
    reader.expect(event('created', 'pipe', 'p', ME))
    os.chmod(tree('pipe') + '/p', 0o600)
    reader.expect(event('changed', 'pipe', 'p', ME, mode='0600'))
    os.unlink(tree('pipe') + '/p')
    reader.expect(event('removed', 'pipe', 'p', ME))
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(tree('sock') + '/s')
    reader.expect(event('created', 'sock', 's', ME))
    os.unlink(tree('sock') + '/s')
    reader.expect(event('removed', 'sock', 's', ME))
    os.mkdir(tree('sock') + '/listener')
    reader.expect(event('created', 'sock', 'listener', ME))
    os.rmdir(tree('sock') + '/listener')
    reader.expect(event('removed', 'sock', 'listener', ME))


IPC_CREAT, IPC_RMID = 0o1000, 0


@reading
def test_sysv(reader):
    segment = LIBC.shmget(0x77, 4096, IPC_CREAT | 0o600)
    reader.expect(event('created', 'sysv/shm', segment, ME, key='0x00000077', size=4096, mode='0600', uid=0))
    os.chmod(f'{tree("sysv")}/shm/by-id/{segment}', 0o640)
    reader.expect(event('changed', 'sysv/shm', segment, ME, mode='0640'))
    LIBC.shmctl(segment, IPC_RMID, None)
    reader.expect(event('removed', 'sysv/shm', segment))
    queue = LIBC.msgget(0, IPC_CREAT | 0o600)
    reader.expect(event('created', 'sysv/msg', queue))
    with open(f'{tree("sysv")}/msg/by-id/{queue}', 'w') as f:
        f.write('x')
    reader.expect(event('data', 'sysv/msg', queue))
    with open(f'{tree("sysv")}/msg/by-id/{queue}') as f:
        f.read()
    reader.expect(event('empty', 'sysv/msg', queue))
    os.unlink(f'{tree("sysv")}/msg/by-id/{queue}')
    reader.expect(event('removed', 'sysv/msg', queue, ME))
    os.mkdir(tree('sysv') + '/sem/by-key/0x00000078')
    got = reader.next()
    eq((got['event'], got['kind'], got['key'], got['pid']), ('created', 'sysv/sem', '0x00000078', str(ME)), 'a set')
    os.rmdir(tree('sysv') + '/sem/by-key/0x00000078')
    reader.expect(event('removed', 'sysv/sem', got['name'], ME))


@reading
def test_owner_dies(reader):
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        os.write(into, str(LIBC.shmget(0, 4096, IPC_CREAT | 0o600)).encode())
        signal.pause()
    segment = int(os.read(out, 20))
    reader.expect(event('created', 'sysv/shm', segment, pid))
    reader.nothing()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    reader.expect(event('owner-died', 'sysv/shm', segment, pid))
    reader.nothing()
    LIBC.shmctl(segment, IPC_RMID, None)
    reader.expect(event('removed', 'sysv/shm', segment))
    os.close(out)
    os.close(into)


def touch(name):
    os.close(os.open(f'{SHM}/{name}', os.O_CREAT | os.O_RDWR))


# ---- as a file ----

def test_json_says_the_same():
    text, js = Reader(), Reader(LOG_JSON)
    touch('both')
    a, b = text.next(), js.next()
    seconds = calendar.timegm(time.strptime(a['time'][:19], '%Y-%m-%dT%H:%M:%S'))
    eq(int(b['time']), seconds, 'time')
    eq({k: str(v) for k, v in b.items() if k != 'time'}, {k: v for k, v in a.items() if k != 'time'}, 'the fields')
    os.unlink(SHM + '/both')
    text.expect('removed shm both')
    js.expect('removed shm both')
    text.close()
    js.close()


def test_as_a_file():
    ok('events' not in os.listdir(CTL), 'it is listed')
    fd = os.open(LOG, os.O_RDONLY)
    begin = os.pread(fd, 100, 0)
    size = os.fstat(fd).st_size
    eq((size, os.lseek(fd, 0, os.SEEK_END)), (len(begin), len(begin)), 'size and end')
    before = os.fstat(fd).st_mtime_ns
    os.set_blocking(fd, False)
    refused('EAGAIN', os.read, fd, 100)
    eq(select.select([fd], [], [], 0.1)[0], [], 'ready')
    touch('file')
    wait_until(lambda: os.fstat(fd).st_size > size, 'it grows')
    ok(os.fstat(fd).st_mtime_ns > before, 'mtime')
    eq(select.select([fd], [], [], SOON)[0], [fd], 'ready')
    whole = os.pread(fd, 1000, 0)
    eq(len(whole), os.fstat(fd).st_size, 'all of it')
    eq(os.pread(fd, 1000, size), whole[size:], 'from the second line on')
    pieces = b''
    while len(pieces) < len(whole):
        pieces += os.pread(fd, 7, len(pieces))
    eq(pieces, whole, 'in pieces')
    eq(os.pread(fd, len(whole) - 3, 0), begin, 'whole lines, as many as fit')
    refused(('EPERM', 'EACCES'), os.open, LOG, os.O_RDWR)
    refused('EBADF', os.write, fd, b'x')
    refused('ENODEV', mmap.mmap, fd, 1, mmap.MAP_SHARED, mmap.PROT_READ)
    private = mmap.mmap(fd, 1, mmap.MAP_PRIVATE, mmap.PROT_READ)
    pid = in_child(lambda: private[0])
    eq(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), -signal.SIGBUS, 'a page of it')
    private.close()
    other = os.open(f'/proc/self/fd/{fd}', os.O_RDONLY)
    eq(os.read(other, 1000), whole, 'another handle of the same file')
    os.close(other)
    again = os.open(LOG, os.O_RDONLY)
    eq(len(os.read(again, 1000).split()), 4, 'another open begins anew')
    os.close(again)
    os.close(fd)


def test_begins_at_open():
    """What was done before an open is told to those who were there; what is done after it is told to all."""
    first = Reader()
    for i in range(50):
        touch(f'before{i}')
        second = Reader()
        touch(f'after{i}')
        first.expect(f'created shm before{i}', f'created shm after{i}')
        second.expect(f'created shm after{i}')
        second.close()
    first.close()


def run(line, **kwargs):
    return subprocess.Popen(['bash', '-c', line], stdout=subprocess.PIPE, text=True, **kwargs)


def lines_of(process, wanted, seconds=SOON):
    found, end = [], time.monotonic() + seconds
    while wanted and time.monotonic() < end:
        if select.select([process.stdout], [], [], 0.1)[0]:
            line = process.stdout.readline()
            if not line:
                break
            found.append(' '.join(line.split()[1:4]))
            if found[-1] == wanted[0]:
                wanted = wanted[1:]
    ok(not wanted, f'{process.args[2]} shows {found}, not {wanted}')


def test_programs():
    """What only sees whole lines, what seeks, what asks for the size, what reads byte by byte."""
    for line in (f'exec cat {LOG}', f'exec tail -f {LOG}', f'exec tail -F {LOG}',
                 f'exec grep --line-buffered shm < {LOG}', f'exec dd if={LOG} bs=37 status=none',
                 f'while read -r line; do echo "$line"; done < {LOG}',
                 f'exec 5< {LOG}; while read -r line <&5; do echo "$line"; done',
                 f'exec python3 -uc "import sys\nfor l in open(sys.argv[1]): print(l, end=str())" {LOG}'):
        p = run(line)
        try:
            if 'grep' in line:
                time.sleep(1)
            else:
                lines_of(p, ['begin - -'])
            touch('seen')
            lines_of(p, ['created shm seen'])
            os.unlink(SHM + '/seen')
            lines_of(p, ['removed shm seen'])
        finally:
            p.kill()
            p.communicate()


def test_timeout_ends_it():
    begin = time.monotonic()
    p = subprocess.run(['timeout', '1', 'tail', '-f', LOG], capture_output=True, text=True)
    eq(p.returncode, 124, 'status')
    ok(time.monotonic() - begin < 1 + SOON, 'it ends in time')
    eq((len(p.stdout.splitlines()), p.stderr), (1, ''), 'what it shows')


def test_epoll_edges():
    reader = Reader()
    os.set_blocking(reader.fd, False)
    ep = select.epoll()
    ep.register(reader.fd, select.EPOLLIN | select.EPOLLET)
    ep.poll(0)
    for i in range(3):
        touch(f'edge{i}')
        eq(ep.poll(SOON), [(reader.fd, select.EPOLLIN)], f'edge {i}')
        reader.expect(f'created shm edge{i}')
        eq(ep.poll(0.1), [], 'nothing more')
    ep.close()
    reader.close()


# ---- many, slow, killed ----

def threads():
    return len(os.listdir(f'/proc/{os.environ["IPCFS_PID"]}/task'))


def descriptors():
    return len(os.listdir(f'/proc/{os.environ["IPCFS_PID"]}/fd'))


def test_many_readers():
    first = Reader()
    before = threads(), descriptors()
    pids = []
    for _ in range(500):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                fd = os.open(LOG, os.O_RDONLY)
                os.read(fd, 1000)
                status = 0 if b' created shm many ' in os.read(fd, 1000) else 2
            finally:
                os._exit(status)
        pids.append(pid)
    wait_until(lambda: metrics()['ipcfs_parked'] == 500, '500 readers wait', 60)
    ok(threads() <= before[0] + 10, f'threads: {before[0]}, then {threads()}')
    ok(descriptors() <= before[1] + 10, f'descriptors: {before[1]}, then {descriptors()}')
    for pid in pids[:100]:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: metrics()['ipcfs_parked'] == 400, '100 are killed', 20)
    touch('many')
    eq([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids], [-9] * 100 + [0] * 400, 'what they saw')
    first.expect('created shm many')
    first.close()
    wait_until(lambda: metrics()['ipcfs_parked'] == 0, 'nobody waits')


def test_slow_reader():
    """What was overwritten is counted: of all events each is told or counted, and the rest goes on."""
    slow, fast = os.open(LOG, os.O_RDONLY), Reader()
    names, seen = 6000, 0
    for i in range(names):
        touch(f'slow{i}')
        os.unlink(f'{SHM}/slow{i}')
        if i % 500 == 499:
            while seen < 2 * (i + 1):
                ok(fast.next(), f'no event after {seen}')
                seen += 1
    text = b''
    while b'slow5999' not in text.split(b'removed')[-1]:
        text += os.read(slow, 65536)
    lines = text.decode().splitlines()
    lost = [int(l.split('count=')[1]) for l in lines if ' lost ' in l]
    eq(len(lost), 1, 'lines that say lost')
    ok(' begin ' in lines[0] and ' lost ' in lines[1], f'where it is: {lines[:3]}')
    eq(lost[0] + len(lines) - 2, 2 * names, 'events told and lost')
    eq(os.fstat(slow).st_size >= len(text), True, 'the size')
    fast.close()
    os.close(slow)


def test_many_at_once():
    """Storms, more than one buffer of the kernel's: nothing is lost or doubled."""
    reader = Reader()
    count = 3000
    for i in range(count):
        touch(f'storm{i}')
    eq([reader.next()['name'] for _ in range(count)], [f'storm{i}' for i in range(count)], 'created')
    for i in range(count):
        os.unlink(f'{SHM}/storm{i}')
    eq([reader.next()['name'] for _ in range(count)], [f'storm{i}' for i in range(count)], 'removed')
    reader.nothing()
    reader.close()


def test_kernel_overflow():
    """Where the kernel could not keep it all for the daemon, it is looked what there is: told once, or counted as lost."""
    daemon = int(os.environ['IPCFS_PID'])
    with open('/proc/sys/fs/fanotify/max_queued_events') as f:
        wanted = int(f.read()) + 500
    if wanted > 50000:
        return
    reader, seen = Reader(), []
    touch('before')
    reader.expect('created shm before')
    os.kill(daemon, signal.SIGSTOP)
    try:
        os.unlink(SHM + '/before')
        for i in range(wanted):
            touch(f'kept{i}')
    finally:
        os.kill(daemon, signal.SIGCONT)
    lost = 0
    while len(seen) + lost < wanted + 1:
        got = reader.next()
        ok(got, f'{len(seen)} told and {lost} lost of {wanted + 1}')
        if got['event'] == 'lost':
            lost += int(got['count'])
        else:
            seen.append((got['event'], got['name']))
    reader.nothing()
    eq(len(seen), len(set(seen)), 'each is told once')
    ok(all(s == ('removed', 'before') or s[0] == 'created' and s[1].startswith('kept') for s in seen), 'the others')
    reader.close()


def test_writes_are_no_events():
    reader = Reader()
    fd = os.open(SHM + '/w', os.O_CREAT | os.O_RDWR)
    os.ftruncate(fd, 4096)
    reader.expect('created shm w', 'resized shm w')
    for _ in range(20000):
        os.pwrite(fd, b'x' * 64, 0)
    reader.nothing()
    os.close(fd)
    os.unlink(SHM + '/w')
    reader.expect('removed shm w')
    reader.close()


# ---- others ----

def as_user():
    reader = Reader()
    fd = os.open(f'{SHM}/mine', os.O_CREAT | os.O_RDWR)
    os.close(fd)
    mine = reader.next()
    os.unlink(f'{SHM}/mine')
    reader.next()
    other = reader.next(30)
    reader.close()
    return os.getpid(), mine, other


def test_other_users():
    """They see what anybody can list, and the pids of their own processes only."""
    user = User(1000, 1000)
    pid, into = os.fork(), None
    if pid == 0:
        end = time.monotonic() + SOON
        while not os.path.exists(f'{SHM}/mine') and time.monotonic() < end:
            pass
        time.sleep(1)
        touch('roots')
        os._exit(0)
    me, mine, other = user(as_user)
    os.waitpid(pid, 0)
    user.end()
    eq((mine['event'], mine['name'], mine.get('pid'), mine['uid']), ('created', 'mine', str(me), '1000'), 'his own')
    eq((other['event'], other['name'], other.get('pid')), ('created', 'roots', None), "root's")


def fills_seen_by_user():
    """Of all up to the object `done`: whose fill is told."""
    reader = Reader()
    os.close(os.open(f'{SHM}/ready', os.O_CREAT | os.O_RDWR))
    seen = []
    while True:
        got = reader.next(30)
        ok(got, 'no event comes')
        if got['name'] == 'done':
            break
        if got['event'] in ('data', 'full', 'room', 'empty'):
            seen.append((got['event'], got['name']))
    reader.close()
    return seen


def test_fill_is_for_those_who_may_read():
    """How full a queue is another user is told only where he may ask natively, too."""
    closed, readable = make_mq('closed', 2, 10), make_mq('readable', 2, 10)
    os.chmod(MQ + '/readable', 0o644)
    user = User(1000, 1000)
    pid = os.fork()
    if pid == 0:
        end = time.monotonic() + SOON
        while not os.path.exists(f'{SHM}/ready') and time.monotonic() < end:
            time.sleep(0.01)
        for queue in (closed, readable):
            queue.send(b'1')
            time.sleep(QUIET)
            queue.send(b'2')
            time.sleep(QUIET)
        touch('done')
        os._exit(0)
    seen = user(fills_seen_by_user)
    os.waitpid(pid, 0)
    user.end()
    eq(seen, [('data', 'readable'), ('full', 'readable')], 'what another user is told')


def test_comes_and_goes():
    """The sources run while somebody reads, and begin anew as often as wanted."""
    settled = lambda: descriptors() <= before
    before = descriptors()
    for i in range(50):
        reader = Reader()
        touch(f'again{i}')
        reader.expect(f'created shm again{i}')
        reader.close()
    wait_until(settled, 'no descriptor is left')


mount_mqfs()
main(globals(), after=clean_queues, about_daemon=True)
