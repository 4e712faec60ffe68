# SPDX-License-Identifier: MIT
"""A system to look at: what a service for pictures may have running, with objects of all kinds, used natively and through
the mount. All is made from the tables here, so that a test knows what has to be seen."""
import ctypes
import mmap
import os
import signal
import socket
import struct

from mounttest import MNT, SHM, eq, in_child
from queues import IPC_CREAT, Mq, check, libc
from semaphores import pthread

PR_SET_NAME = 15
SHM_RDONLY = 0o10000
libc.shmat.restype = ctypes.c_void_p
kept = []  # stays open, mapped or attached until the process ends

# ---- what there is ----

SHM_OBJECTS = {'frames': 8 << 20, 'tiles': 1536 << 10, 'settings': 4096, 'statistics': 16384, 'nobody': 1}
QUEUES = {'jobs': 0, 'results': 0, 'alerts': 3, 'mail': 0}  # with so many messages
SEMAPHORES = {'slots': 2, 'disk': 0}
SEGMENTS = {0x1001: 65536, 0x1002: 2 << 20}
MSGS = (0x2001, 0x2002)
SETS = (0x3001,)
PIPES = ('log', 'control')
# Pipes and sockets without a name: who has which end.
CHANNELS = {'lines': ('pipe', 'importer', 'indexer'), 'talk': ('socket', 'scheduler', 'camera')}

# ---- who uses what: command, number, uses; the last use may be one that waits ----

ROLES = (
    ('logger', 1, (('file', 'pipe/log', 'rw'), ('map', 'statistics', 'r'))),
    ('gateway', 1, (('listen', 'gateway'), ('map', 'settings', 'r'), ('mq', 'jobs', 'w'), ('mq', 'results', 'r'),
                    ('file', 'pipe/log', 'w'))),
    ('camera', 1, (('channel', 'talk'), ('map', 'frames', 'rw'), ('attach', 0x1001, 'rw'), ('file', 'pipe/log', 'w'))),
    ('scheduler', 1, (('channel', 'talk'), ('map', 'settings', 'rw'), ('map', 'statistics', 'rw'),
                      ('file', 'pipe/control', 'rw'), ('attach', 0x1001, 'r'), ('mq', 'jobs', 'w'))),
    ('worker', 6, (('map', 'frames', 'r'), ('map', 'tiles', 'rw'), ('sem', 'slots'), ('mq', 'results', 'w'),
                   ('receive', 'jobs'))),
    ('importer', 1, (('channel', 'lines'), ('file', 'shm/tiles', 'w'), ('hold', 'slots'))),
    ('indexer', 1, (('channel', 'lines'), ('attach', 0x1002, 'rw'), ('semop', 0x3001, 1))),
    ('archiver', 1, (('attach', 0x1002, 'r'), ('msgrcv', 0x2001))),
    ('mailer', 1, (('file', 'mq/alerts', 'r'), ('receive', 'mail'))),
    ('watchdog', 1, (('mq', 'alerts', 'w'), ('mq', 'mail', 'w'), ('map', 'statistics', 'r'), ('connect', 'admin'))),
    ('operator', 1, (('accept', 'admin'), ('mq', 'alerts', 'r'))),
    ('console', 2, (('file', 'pipe/control', 'w'), ('sem_wait', 'disk'))),
)

ACCESS = {'r': os.O_RDONLY, 'w': os.O_WRONLY, 'rw': os.O_RDWR}


# ---- making it ----

def segment(key, size):
    return check(libc.shmget(key, ctypes.c_size_t(size), IPC_CREAT | 0o600), 'shmget')


def msgq(key):
    return check(libc.msgget(key, IPC_CREAT | 0o600), 'msgget')


def semset(key):
    return check(libc.semget(key, 4, IPC_CREAT | 0o600), 'semget')


def make_objects():
    """Gives the ids of the System V objects, by key."""
    for name, size in SHM_OBJECTS.items():
        with open(f'{SHM}/{name}', 'wb') as f:
            f.truncate(size)
    for name, count in QUEUES.items():
        q = Mq(name, os.O_CREAT | os.O_RDWR, 0o600, 10, 128)
        for _ in range(count):
            q.send(b'message')
        q.close()
    for name, value in SEMAPHORES.items():
        with open(f'{MNT}/ctl/sem/create', 'w') as f:
            f.write(f'{name} value={value}\n')
    for name in PIPES:
        os.mkfifo(f'{MNT}/pipe/{name}')
    os.mkdir(f'{MNT}/sock/admin')
    return ({key: segment(key, size) for key, size in SEGMENTS.items()} | {key: msgq(key) for key in MSGS} |
            {key: semset(key) for key in SETS})


# ---- using it ----

def use_map(name, access):
    fd = os.open(f'{SHM}/{name}', os.O_RDWR if access == 'rw' else os.O_RDONLY)
    kept.append(mmap.mmap(fd, 0, prot=mmap.PROT_READ | (mmap.PROT_WRITE if access == 'rw' else 0)))
    os.close(fd)


def use_file(path, access):
    kept.append(os.open(f'{MNT}/{path}', ACCESS[access] | (os.O_NONBLOCK if access == 'w' else 0)))


def use_attach(key, access):
    if libc.shmat(segment(key, 0), None, 0 if access == 'rw' else SHM_RDONLY) in (None, 2**64 - 1):
        raise OSError('shmat')


def use_sem(name):
    sem = pthread.sem_open(b'/' + name.encode(), 0)
    if not sem:
        raise OSError('sem_open')
    return ctypes.c_void_p(sem)


def use_socket(name, listens):
    s = socket.socket(socket.AF_UNIX)
    kept.append(s)
    if listens:
        s.bind(f'{MNT}/sock/{name}')
        s.listen(16)
    else:
        s.connect(f'{MNT}/sock/{name}/socket')


USES = {
    'map': use_map,
    'file': use_file,
    'attach': use_attach,
    'mq': lambda name, access: kept.append(Mq(name, ACCESS[access])),
    'sem': use_sem,
    'hold': lambda name: kept.append(os.open(f'{MNT}/sem/{name}/hold', os.O_RDONLY)),
    'accept': lambda name: kept.append(os.open(f'{MNT}/sock/{name}/accept', os.O_RDWR)),
    'listen': lambda name: use_socket(name, True),
    'connect': lambda name: use_socket(name, False),
    'channel': lambda name: None,
}

# These wait, and are the last.
WAITS = {
    'receive': lambda name: Mq(name, os.O_RDONLY).receive(1000),
    'sem_wait': lambda name: pthread.sem_wait(use_sem(name)),
    'msgrcv': lambda key: libc.msgrcv(msgq(key), ctypes.create_string_buffer(100), ctypes.c_size_t(8), ctypes.c_long(0), 0),
    'semop': lambda key, member: libc.semop(check(libc.semget(key, 0, 0), 'semget'), struct.pack('Hhh', member, -1, 0),
                                            ctypes.c_size_t(1)),
}


def play(command, uses, told):
    libc.prctl(PR_SET_NAME, command.encode(), 0, 0, 0)
    for what, *how in uses:
        if what in WAITS:
            os.write(told, b'x')
            os.close(told)
            WAITS[what](*how)
            raise AssertionError(f'{command} did not wait')
        USES[what](*how)
    os.write(told, b'x')
    os.close(told)
    while True:
        signal.pause()


def open_channels():
    """The two ends of each, by name."""
    ends = {}
    for name, (kind, *_) in CHANNELS.items():
        if kind == 'pipe':
            ends[name] = os.pipe()[::-1]
        else:
            ends[name] = tuple(s.detach() for s in socket.socketpair())
    return ends


def start(command, uses, ends):
    ready, told = os.pipe()

    def child():
        os.close(ready)
        for name, fds in ends.items():
            for fd, owner in zip(fds, CHANNELS[name][1:]):
                if owner != command:
                    os.close(fd)
        play(command, uses, told)

    pid = in_child(child)
    os.close(told)
    eq(os.read(ready, 1), b'x', f'{command} is ready')
    os.close(ready)
    return pid


def start_all():
    """Gives the command of each process, by pid."""
    ends = open_channels()
    commands = {start(command, uses, ends): command for command, count, uses in ROLES for _ in range(count)}
    for fd in (fd for fds in ends.values() for fd in fds):
        os.close(fd)
    return commands


def end_all(commands):
    for pid in commands:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
