# SPDX-License-Identifier: MIT
"""The objects of the soak: those of the load, for a group; and the bait of one user, who walks into it."""
import os
import time

from everything import segment
from mounttest import CTL, MNT, SHM, attempt
from queues import IPC_CREAT, IPC_RMID, Msg, libc, make_mq, make_msg, unlink_mq
from semaphores import make_set, write
from walkers import OWNER

GROUP = 1000
PAGES = 8
KEYS = {'msg': 0xe01, 'set': 0xe02, 'segment': 0xe03, 'units': 0xe04, 'slots': 0xe05, 'load': 0xe0c}
UNITS = 2  # of slots
OF_LOAD = ('shm/region', 'shm/flock', 'shm/fcntl', 'mq/idle', 'sem/idle', 'sem/units', 'sem/slots', 'pipe/idle', 'pipe/stream', 'pipe/other',
           'sock/idle', 'sock/calls')
BAIT = ('shm/bait', 'mq/bait', 'sem/bait', 'pipe/bait', 'sock/bait')


def by_key(kind, name):
    return f'sysv/{kind}/by-key/{KEYS[name]:#010x}'


def make(path):
    kind, name = path.split('/')
    whole = f'{MNT}/{path}'
    if kind == 'mq':
        make_mq(name, 2, 64).close()
    elif kind == 'pipe':
        os.mkfifo(whole)
    elif kind == 'shm':
        with open(f'{SHM}/{name}', 'wb') as f:
            f.truncate(4096 * PAGES)
    else:
        os.mkdir(whole)


def give(path, uid, gid, mode):
    """Each kind of object has its owner and mode changed through the mount."""
    os.chown(f'{MNT}/{path}', uid, gid)
    os.chmod(f'{MNT}/{path}', mode)


def make_objects():
    for path in OF_LOAD:
        make(path)
        give(path, 0, GROUP, 0o660)
    made = {'segment': segment(KEYS['segment'], 4096 * PAGES), 'msg': make_msg(KEYS['msg']).id, 'set': make_set(KEYS['set'], 0).id,
            'units': make_set(KEYS['units'], 0).id, 'slots': make_set(KEYS['slots'], UNITS).id}
    for name, kind in (('segment', 'shm'), ('msg', 'msg'), ('set', 'sem'), ('units', 'sem'), ('slots', 'sem')):
        give(by_key(kind, name), 0, GROUP, 0o660)
    write(f'{MNT}/sem/slots/post', b'%d\n' % UNITS)
    for path in BAIT:
        make(path)
        give(path, OWNER, OWNER, 0o600)
    return made


def feed():
    """Something for him to take, now and then; never waits."""
    attempt(write, f'{MNT}/mq/bait', b'bait', os.O_NONBLOCK)
    if attempt(os.stat, f'{MNT}/sem/bait') and int(open(f'{MNT}/sem/bait/value').read()) < 3:
        write(f'{MNT}/sem/bait/post', b'1\n')


def names():
    """All there is, by the mount's own directories."""
    found = {}
    for kind in ('shm', 'mq', 'sem', 'pipe', 'sock', 'sysv/shm/by-id', 'sysv/msg/by-id', 'sysv/sem/by-id'):
        found[kind] = sorted(os.listdir(f'{MNT}/{kind}'))
    return found
