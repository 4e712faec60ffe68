# SPDX-License-Identifier: MIT
"""A machine with objects of all kinds, made, held, leaked, locked and waited for, natively and through the mount. Each
process tells what it has: that is the truth beside which ctl/ and proc/ are put."""
import atexit
import ctypes
import fcntl
import json
import mmap
import os
import signal
import socket
import time
import traceback

from mounttest import CTL, MNT, PASSTHROUGH, SCRATCH, SHM, in_child, ok
from queues import IPC_CREAT, Mq, check, libc, make_mq, make_msg, unlink_mq, wait_until
from semaphores import PosixSem, make_posix, make_set, pthread
from twins import PIPE, SOCK, clean_directory

PR_SET_DUMPABLE, PR_SET_NAME = 4, 15
PAGE = mmap.PAGESIZE
READ, RW = mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE
SHM_RDONLY, IPC_RMID = 0o10000, 0
ACCESS = {os.O_RDONLY: 'r', os.O_WRONLY: 'w', os.O_RDWR: 'rw'}
libc.shmat.restype = libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.flock.argtypes = [ctypes.c_int, ctypes.c_int]


# ---- one process ----

class Me:
    """What a process tells of itself: rows (object, how, fd, access, part), and (object, call, part, member, parked)."""

    def __init__(self):
        self.holds, self.links, self.kept = [], {}, []

    def open(self, path, what, flags=os.O_RDWR, part=None, telling=True):
        fd = os.open(path, flags)
        if telling:
            self.hold(what, fd, flags, part)
        return fd

    def hold(self, what, fd, flags=os.O_RDWR, part=None):
        self.holds.append((what, 'descriptor', fd, ACCESS[flags & os.O_ACCMODE], part))

    def map(self, path, what, prot=RW, size=PAGE, offset=0):
        """A mapping and no descriptor; its address."""
        fd = os.open(path, os.O_RDWR if prot == RW else os.O_RDONLY)
        address = libc.mmap(None, size, prot, mmap.MAP_SHARED, fd, offset)
        ok(address not in (None, 2**64 - 1), f'mmap of {path}')
        os.close(fd)
        if what:
            self.holds.append((what, 'mapping', None, 'rw' if prot == RW else 'r', None))
        return address

    def attach(self, shmid, flags=0):
        address = libc.shmat(shmid, None, flags)
        ok(address not in (None, 2**64 - 1), 'shmat')
        self.holds.append((f'sysv/shm/by-id/{shmid}', 'attachment', None, 'r' if flags else 'rw', None))
        return address

    def queue(self, name, flags=os.O_RDWR):
        q = Mq(name, flags)
        self.kept.append(q)
        self.hold(f'mq/{name}', q.fd, flags)
        return q

    def semaphore(self, name):
        sem = PosixSem(name)
        self.kept.append(sem)
        self.holds.append((f'sem/{name}', 'mapping', None, 'rw', None))
        return sem


class Wait:
    """What a process does last: fn waits, for that object."""

    def __init__(self, what, call, fn, part=None, member=None, parked=False):
        self.row, self.fn = (what, call, part, member, parked), fn


class Crowd:
    """The processes of a test, by name."""

    def __init__(self):
        self.pids, self.holds, self.waits, self.links = {}, [], [], {}
        atexit.register(self.end)  # however the test ends; children end by _exit(2)

    def start(self, name, fn, keep=(), user=0, groups=()):
        """fn(Me) makes what it will have, and gives a Wait, or nothing to wait for a signal."""
        out, into = os.pipe()
        pid = in_child(live, name, fn, into, keep, user, groups)
        os.close(into)
        with open(out) as f:
            told = f.read()
        ok(told, f'{name} did not come up')
        facts = json.loads(told)
        self.pids[name] = pid
        self.holds += [(row[0], pid, *row[1:]) for row in facts['holds']]
        self.links[pid] = facts['links']
        if facts['wait']:
            what, call, part, member, parked = facts['wait']
            self.waits.append((what, pid, call, part, member, parked))
        return pid

    def end(self, *names):
        """All stop before the first ends: else the next would have what it waits for."""
        pids = [self.pids.pop(name) for name in names or list(self.pids)]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                os.kill(pid, number)
        for pid in pids:
            os.waitpid(pid, 0)


def live(name, fn, into, keep, user, groups):
    libc.prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0)
    for fd in map(int, os.listdir('/proc/self/fd')):
        if fd > 2 and fd != into and fd not in keep:
            try:
                os.close(fd)
            except OSError:
                pass  # it was of the list
    os.dup2(into, 200)
    os.set_inheritable(200, False)
    os.close(into)
    if user:
        os.setgroups(groups)
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # it may be looked into, as after an execve(2)
    me = Me()
    try:
        wait = fn(me)
        os.write(200, json.dumps({'holds': me.holds, 'links': me.links, 'wait': wait and wait.row}).encode())
        os.close(200)
        if wait:
            wait.fn()
    except BaseException:
        traceback.print_exc()
        raise
    while True:
        signal.pause()


# ---- process-shared mutexes ----

class Mutex:
    """A word of shared memory, natively."""
    ROOM = 64

    def __init__(self, address):
        self.address = ctypes.c_void_p(address)

    def make(self):
        attributes = ctypes.create_string_buffer(64)
        pthread.pthread_mutexattr_init(attributes)
        pthread.pthread_mutexattr_setpshared(attributes, 1)
        pthread.pthread_mutex_init(self.address, attributes)
        return self

    def lock(self):
        ok(pthread.pthread_mutex_lock(self.address) == 0, 'pthread_mutex_lock')

    def unlock(self):
        ok(pthread.pthread_mutex_unlock(self.address) == 0, 'pthread_mutex_unlock')


def make_mutexes(name, count):
    with open(f'{SHM}/{name}', 'wb') as f:
        f.truncate(PAGE)
    me = Me()
    address = me.map(f'{SHM}/{name}', None)
    for i in range(count):
        Mutex(address + i * Mutex.ROOM).make()
    libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(PAGE))


def mutex_at(address, number):
    return Mutex(address + number * Mutex.ROOM)


# ---- the parts: each makes objects and starts processes; gives the objects that nobody has ----

def segment(key, size=PAGE):
    return check(libc.shmget(key, ctypes.c_size_t(size), IPC_CREAT | 0o600), 'shmget')


def put(name, size=2 * PAGE):
    with open(f'{SHM}/{name}', 'wb') as f:
        f.truncate(size)


def of_shm(crowd):
    for name in ('frames', 'gone', 'leaked'):
        put(name)

    def twice(me):
        fd = me.open(f'{SHM}/frames', 'shm/frames', os.O_RDONLY)
        me.hold('shm/frames', os.dup(fd), os.O_RDONLY)
        me.map(f'{SHM}/frames', 'shm/frames', READ, PAGE, PAGE)

    def gone(me):
        me.map(f'{SHM}/gone', None)
        me.links['shm:gone (deleted)'] = None
    crowd.start('shm-map', lambda me: me.map(f'{SHM}/frames', 'shm/frames', size=2 * PAGE) and None)
    crowd.start('shm-fd', lambda me: me.open(f'{MNT}/shm/frames', 'shm/frames', os.O_WRONLY) and None)
    if PASSTHROUGH:  # otherwise it can not be mapped there
        crowd.start('shm-by-mount', lambda me: me.map(f'{MNT}/shm/frames', 'shm/frames') and None)
    crowd.start('shm-twice', twice)
    crowd.start('shm-gone', gone)
    os.unlink(f'{SHM}/gone')
    return ['shm/leaked']


def of_memfd(crowd):
    fd = os.memfd_create('scratch')
    for name in ('memfd-one', 'memfd-two'):
        crowd.start(name, lambda me: me.links.update({'memfd:scratch': None}), keep=(fd,))
    os.close(fd)
    return []


def of_mq(crowd):
    for name, count in (('in', 0), ('full', 2), ('idle', 0)):
        q = make_mq(name, 2, 16)
        for _ in range(count):
            q.send(b'x')
        q.close()

    def send(me):
        q = me.queue('full', os.O_WRONLY)
        return Wait('mq/full', 'mq_timedsend', lambda: q.send(b'y', seconds=1000))

    def receive(me):
        q = me.queue('in', os.O_RDONLY)
        return Wait('mq/in', 'mq_timedreceive', lambda: q.receive(1000))

    def read(me):
        fd = me.open(f'{MNT}/mq/in', 'mq/in', os.O_RDONLY)
        return Wait('mq/in', 'read', lambda: os.read(fd, 100), parked=True)

    def write(me):
        fd = me.open(f'{MNT}/mq/full', 'mq/full', os.O_WRONLY)
        return Wait('mq/full', 'write', lambda: os.write(fd, b'z'), parked=True)

    def lines(me):
        fd = me.open(f'{CTL}/mq/in/lines', 'mq/in', os.O_RDONLY, 'lines')
        return Wait('mq/in', 'read', lambda: os.read(fd, 100), 'lines', parked=True)
    for fn in (send, receive, read, write, lines):
        crowd.start(f'mq-{fn.__name__}', fn)
    return ['mq/idle']


def of_sem(crowd):
    for name, value in (('slots', 1), ('zero', 0), ('left', 3)):
        make_posix(name, value).close()

    def wait(me):
        sem = me.semaphore('zero')
        return Wait('sem/zero', 'futex', lambda: sem.wait(1000))

    def wait_by_mount(me):
        fd = me.open(f'{MNT}/sem/zero/wait', 'sem/zero', os.O_RDONLY, 'wait')
        return Wait('sem/zero', 'read', lambda: os.read(fd, 100), 'wait', parked=True)

    def hold(me):
        me.open(f'{MNT}/sem/slots/hold', 'sem/slots', os.O_RDONLY, 'hold')

    def want(me):
        return Wait('sem/slots', 'open', lambda: os.open(f'{MNT}/sem/slots/hold', os.O_RDONLY), 'hold', parked=True)
    crowd.start('sem-wait', wait)
    crowd.start('sem-mount', wait_by_mount)
    crowd.start('sem-hold', hold)
    crowd.start('sem-want', want)
    return ['sem/left']


def of_segments(crowd):
    used, removed, leaked = segment(0x51), segment(0), segment(0x53)
    crowd.start('seg-both', lambda me: [me.attach(used), me.attach(used, SHM_RDONLY)] and None)
    crowd.start('seg-one', lambda me: me.attach(used) and None)
    crowd.start('seg-mount', lambda me: me.open(f'{MNT}/sysv/shm/by-key/0x00000051', f'sysv/shm/by-id/{used}') and None)
    crowd.start('seg-removed', lambda me: me.attach(removed) and None)
    check(libc.shmctl(removed, IPC_RMID, None), 'IPC_RMID')
    return [f'sysv/shm/by-id/{leaked}']


def of_msg(crowd):
    empty, full, leaked = make_msg(0x61), make_msg(0x62), make_msg(0x63)
    for _ in range(2):
        full.send(b'x' * (full.stat()['qbytes'] // 2))
        leaked.send(b'left')
    one, other, third = (f'sysv/msg/by-id/{q.id}' for q in (empty, full, leaked))

    def read(me):
        fd = me.open(f'{MNT}/sysv/msg/by-key/0x00000061', one, os.O_RDONLY)
        return Wait(one, 'read', lambda: os.read(fd, 100), parked=True)

    def write(me):
        fd = me.open(f'{MNT}/{other}', other, os.O_WRONLY)
        return Wait(other, 'write', lambda: os.write(fd, b'x' * 8192), parked=True)
    crowd.start('msg-rcv', lambda me: Wait(one, 'msgrcv', lambda: empty.receive(flags=0)))
    crowd.start('msg-snd', lambda me: Wait(other, 'msgsnd', lambda: full.send(b'x')))
    crowd.start('msg-read', read)
    crowd.start('msg-write', write)
    return [third]


def of_sets(crowd):
    used, leaked = make_set(0x71, 0, 0, 1), make_set(0x72, 1)
    where = f'sysv/sem/by-id/{used.id}'

    def read(me):
        fd = me.open(f'{MNT}/{where}/1/wait', where, os.O_RDONLY, 'wait')
        return Wait(where, 'read', lambda: os.read(fd, 100), 'wait', 1, parked=True)

    def hold(me):
        me.open(f'{MNT}/{where}/2/hold', where, os.O_RDONLY, 'hold')
    crowd.start('set-op', lambda me: Wait(where, ('semop', 'semtimedop'), lambda: used.op((1, -1), seconds=1000), member=1))
    crowd.start('set-read', read)
    crowd.start('set-hold', hold)
    return [f'sysv/sem/by-id/{leaked.id}']


def of_fifos(crowd):
    for name in ('log', 'jam', 'alone'):
        os.mkfifo(f'{PIPE}/{name}')

    def read(me):
        fd = me.open(f'{PIPE}/log', 'pipe/log')
        return Wait('pipe/log', 'read', lambda: os.read(fd, 100))

    def jam(me):
        fd = me.open(f'{PIPE}/jam', 'pipe/jam')
        return Wait('pipe/jam', 'write', lambda: os.write(fd, b'x' * (1 << 20)))
    crowd.start('fifo-read', read)
    crowd.start('fifo-jam', jam)
    crowd.start('fifo-write', lambda me: me.open(f'{PIPE}/log', 'pipe/log', os.O_WRONLY) and None)
    return []  # a FIFO that nobody has open is what it is meant to be


def of_pipes(crowd):
    """Without a name: one empty, that a process reads, and one full, that a process writes."""
    r, w = os.pipe()
    full_r, full_w = os.pipe()
    empty, full = (f'pipe:[{os.fstat(fd).st_ino}]' for fd in (r, full_w))
    crowd.start('pipe-writer', lambda me: me.links.update({empty: None}), keep=(w,))
    crowd.start('pipe-reads', lambda me: me.links.update({empty: None}) or Wait(empty, 'read', lambda: os.read(r, 1)), keep=(r,))
    crowd.start('pipe-writes', lambda me: me.links.update({full: None}) or
                Wait(full, 'write', lambda: os.write(full_w, b'x' * (1 << 20))), keep=(full_w,))
    crowd.start('pipe-reader', lambda me: me.links.update({full: None}), keep=(full_r,))
    for fd in (r, w, full_r, full_w):
        os.close(fd)
    return []


def of_sockets(crowd):
    def bound(me):
        s = socket.socket(socket.AF_UNIX)
        s.bind(f'{SOCK}/web')
        s.listen()
        me.hold('sock/web', s.fileno())
        return Wait('sock/web', 'accept4', lambda: (s.accept(), s.accept(), s.accept()))

    def client(me):
        s = socket.socket(socket.AF_UNIX)
        s.connect(f'{SOCK}/web')
        me.links[f'socket:[{os.fstat(s.fileno()).st_ino}]'] = None
        return Wait(f'socket:[{os.fstat(s.fileno()).st_ino}]', 'recvfrom', lambda: s.recv(1))

    one, other = socket.socketpair()
    labels = [f'socket:[{os.fstat(s.fileno()).st_ino}]' for s in (one, other)]
    crowd.start('sock-bound', bound)
    crowd.start('sock-client', client)
    crowd.start('sock-one', lambda me: me.links.update({labels[0]: None}) or Wait(labels[0], 'recvfrom', lambda: one.recv(1)), keep=(one.fileno(),))
    crowd.start('sock-other', lambda me: me.links.update({labels[1]: None}), keep=(other.fileno(),))
    one.close()
    other.close()
    os.mkdir(f'{SOCK}/admin')
    os.mkdir(f'{SOCK}/nobody')
    crowd.start('dir-accept', lambda me: Wait('sock/admin', 'open', lambda: os.open(f'{SOCK}/admin/accept', os.O_RDWR), 'accept', parked=True))
    return []


def of_locks(crowd):
    for name in ('flock', 'fcntl', 'mounted'):
        put(name)

    def flock_of(where, what, parked=False):
        def wants(me):
            fd = me.open(where, what)
            return Wait(what, 'flock', lambda: check(libc.flock(fd, 2), 'flock'), parked=parked)
        return wants

    def has(where, what):
        return lambda me: check(libc.flock(me.open(where, what), 2), 'flock') and None

    def has_fcntl(me):
        fcntl.lockf(me.open(f'{SHM}/fcntl', 'shm/fcntl'), fcntl.LOCK_EX)

    def wants_fcntl(me):
        fd = me.open(f'{SHM}/fcntl', 'shm/fcntl')
        return Wait('shm/fcntl', 'fcntl', lambda: fcntl.lockf(fd, fcntl.LOCK_EX))
    crowd.start('flock-has', has(f'{SHM}/flock', 'shm/flock'))
    crowd.start('flock-wants', flock_of(f'{SHM}/flock', 'shm/flock'))
    crowd.start('fcntl-has', has_fcntl)
    crowd.start('fcntl-wants', wants_fcntl)
    crowd.start('mlock-has', has(f'{MNT}/shm/mounted', 'shm/mounted'))
    crowd.start('mlock-wants', flock_of(f'{MNT}/shm/mounted', 'shm/mounted', True))
    path = f'{SCRATCH}/locked'
    with open(path, 'w'):
        pass

    def file_lock(me, wait=True):
        fd = os.open(path, os.O_RDWR)
        return Wait(f'file:{path}', 'flock', lambda: check(libc.flock(fd, 2), 'flock')) if wait else check(libc.flock(fd, 2), 'flock') and None
    crowd.start('file-has', lambda me: me.links.update({'file:locked': None}) or file_lock(me, False))
    crowd.start('file-wants', lambda me: me.links.update({'file:locked': None}) or file_lock(me))
    return []


def of_mutexes(crowd):
    make_mutexes('mutexes', 2)

    def has(me):
        mutex_at(me.map(f'{SHM}/mutexes', 'shm/mutexes'), 1).lock()

    def wants(me):
        mutex = mutex_at(me.map(f'{SHM}/mutexes', 'shm/mutexes'), 1)
        return Wait('shm/mutexes', 'futex', mutex.lock)
    crowd.start('mutex-has', has)
    crowd.start('mutex-wants', wants)
    return []


def of_children(crowd):
    def parent(me):
        pid = os.fork()
        if not pid:
            libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
            libc.prctl(PR_SET_NAME, b'child', 0, 0, 0)
            os.close(200)
            while True:
                signal.pause()
        return Wait('exit', 'wait4', lambda: os.waitpid(pid, 0))
    crowd.start('parent', parent)
    return []


PARTS = (of_shm, of_memfd, of_mq, of_sem, of_segments, of_msg, of_sets, of_fifos, of_pipes, of_sockets, of_locks, of_mutexes,
         of_children)

# Who can end each wait: the names of processes; of others nobody is known. MAKER: who made it all, and changed it last.
MAKER = 0
ENDS = {'flock-wants': {'flock-has'}, 'fcntl-wants': {'fcntl-has'}, 'mlock-wants': {'mlock-has'}, 'file-wants': {'file-has'},
        'mutex-wants': {'mutex-has'}, 'sem-want': {'sem-hold'}, 'sem-wait': {'sem-wait'}, 'sem-mount': {'sem-wait'},
        'set-op': {MAKER}, 'set-read': {MAKER}, 'pipe-reads': {'pipe-writer'}, 'pipe-writes': {'pipe-reader'},
        'fifo-read': {'fifo-read', 'fifo-write'}, 'fifo-jam': {'fifo-jam'}, 'sock-one': {'sock-other'}, 'sock-client': {'sock-bound'}}


def start_all():
    """Gives the processes, and what nobody has, when all wait who will wait. At the end of the test all is removed."""
    atexit.register(remove_all)
    crowd = Crowd()
    leaked = [path for part in PARTS for path in part(crowd)]
    wait_until(lambda: all(sleeps(pid) for pid in crowd.pids.values()), 'all sleep')
    time.sleep(0.2)
    return crowd, leaked


def sleeps(pid):
    with open(f'/proc/{pid}/stat') as f:
        return f.read().rpartition(')')[2].split()[0] == 'S'


def remove_all():
    for name in os.listdir(SHM):
        if not name.startswith('.ipcfs.'):
            os.unlink(f'{SHM}/{name}')
    for kind, call in (('shm', libc.shmctl), ('msg', libc.msgctl), ('sem', lambda i, c, n: libc.semctl(i, 0, c))):
        with open(f'/proc/sysvipc/{kind}') as f:
            for line in f.readlines()[1:]:
                call(int(line.split()[1]), IPC_RMID, None)
    for name in os.listdir(f'{MNT}/mq'):
        unlink_mq(name)
    clean_directory(PIPE)
    clean_directory(SOCK)
