# SPDX-License-Identifier: MIT
"""What makes an object of each kind, what removes it, and what is there natively: for tests that let something be lacking."""
import os
import socket

from listeners import put_line
from mounttest import CTL, MNT, SHM, TREE
from queues import MQ, MQFS, MSG
from semaphores import SEM, SSEM

PIPE, SOCK, SYSV = MNT + '/pipe', MNT + '/sock', MNT + '/sysv/shm'
CREATE = os.O_CREAT | os.O_EXCL | os.O_RDWR


def lines_of(path):
    with open(path) as f:
        return [l.split()[:3] for l in f.read().splitlines()[1:]]


def objects():
    """All names, natively; of pipes and sockets, whose nodes are the daemon's, in its runtime directory."""
    nodes = [os.path.join(d, n) for d, dirs, files in os.walk('/run/ipcfs') for n in dirs + files]
    return {'shm': sorted(os.listdir(SHM)), 'mq': sorted(os.listdir(MQFS)), 'nodes': sorted(nodes)} | {
        kind: sorted(lines_of(f'/proc/sysvipc/{kind}')) for kind in ('shm', 'msg', 'sem')}


def opened(path, flags=os.O_RDONLY, then=lambda fd: None):
    fd = os.open(path, flags | os.O_NONBLOCK, 0o600)
    try:
        return then(fd)
    finally:
        os.close(fd)


def bind(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)


def make_segment(path):
    opened(path, CREATE, lambda fd: os.ftruncate(fd, 4096))


def makers():
    """What makes an object, and what removes it."""
    return [
        ('shm', lambda: opened(f'{TREE}/new', CREATE), lambda: os.unlink(f'{TREE}/new')),
        ('link', lambda: os.link(f'{TREE}/old', f'{TREE}/new'), lambda: os.unlink(f'{TREE}/new')),
        ('mq', lambda: opened(f'{MQ}/new', CREATE), lambda: os.unlink(f'{MQ}/new')),
        ('create mq', lambda: put_line(f'{CTL}/mq/create', 'new maxmsg=2 msgsize=8'), lambda: os.unlink(f'{MQ}/new')),
        ('msg', lambda: opened(f'{MSG}/by-key/0x88', CREATE), lambda: os.unlink(f'{MSG}/by-key/0x88')),
        ('create msg', lambda: put_line(f'{CTL}/sysv/msg/create', '0x88'), lambda: os.unlink(f'{MSG}/by-key/0x88')),
        ('segment', lambda: make_segment(f'{SYSV}/by-key/0x88'), lambda: os.unlink(f'{SYSV}/by-key/0x88')),
        ('create segment', lambda: put_line(f'{CTL}/sysv/shm/create', '0x88 size=9'), lambda: os.unlink(f'{SYSV}/by-key/0x88')),
        ('sem', lambda: os.mkdir(f'{SEM}/new'), lambda: os.rmdir(f'{SEM}/new')),
        ('create sem', lambda: put_line(f'{CTL}/sem/create', 'new value=7'), lambda: os.rmdir(f'{SEM}/new')),
        ('set', lambda: os.mkdir(f'{SSEM}/by-key/0x88'), lambda: os.rmdir(f'{SSEM}/by-key/0x88')),
        ('create set', lambda: put_line(f'{CTL}/sysv/sem/create', '0x88 nsems=3'), lambda: os.rmdir(f'{SSEM}/by-key/0x88')),
        ('pipe', lambda: os.mkfifo(f'{PIPE}/new'), lambda: os.unlink(f'{PIPE}/new')),
        ('bind', lambda: bind(f'{SOCK}/new'), lambda: os.unlink(f'{SOCK}/new')),
        ('file', lambda: opened(f'{SOCK}/new', CREATE), lambda: os.unlink(f'{SOCK}/new')),
        ('listener', lambda: os.mkdir(f'{SOCK}/new'), lambda: os.rmdir(f'{SOCK}/new')),
        ('create listener', lambda: put_line(f'{CTL}/sock/create', 'new type=seqpacket'), lambda: os.rmdir(f'{SOCK}/new')),
    ]
