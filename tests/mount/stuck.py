# SPDX-License-Identifier: MIT
"""What ctl/ tells of sockets and of orphans, beside processes that do not answer whoever asks for them: it is told in time, and
nothing is told wrong."""
import ctypes
import json
import os
import signal
import socket
import time

from mounttest import ASAN, CTL, attempt, eq, get, in_child, join, main, ok
from queues import IPC_CREAT, check
from silent import Silent, libc
from twins import SOCK, clean_directory, wait_until

USER = 4321
CLONE_NEWNET = 0x40000000
BOUND = 20 if ASAN else 5  # of which half a second is for each process that does not answer, once


def bind(name):
    s = socket.socket(socket.AF_UNIX)
    s.bind(f'{SOCK}/{name}')
    s.listen()
    return s


def listen_elsewhere():
    """In a network name space of its own, by a descriptor that execve(2) leaves open. And makes a segment."""
    ok(libc.unshare(CLONE_NEWNET) == 0, 'unshare')
    s = bind('elsewhere')
    os.dup2(s.fileno(), 0)
    check(libc.shmget(0, ctypes.c_size_t(4096), IPC_CREAT | 0o600), 'shmget')


def in_time(fn, *args):
    begun = time.monotonic()
    join([in_child(fn, *args)], f'{fn.__name__}{args}', BOUND)
    print(f'  {fn.__name__}{args}: {(time.monotonic() - begun) * 1000:.0f} ms')


def state_of(name):
    return json.loads(get(f'{CTL}/sock/{name}/state.json'))['state']


def look_at_list():
    rows = {r['name']: r['state'] for r in json.loads(get(f'{CTL}/sock/list.json')) if r.get('name')}
    eq({n: rows.get(n) for n in ('here', 'elsewhere', 'dead')}, {'here': 'listen', 'elsewhere': 'listen', 'dead': 'stale'}, 'list')


def look_at_states():
    eq([state_of(n) for n in ('here', 'elsewhere', 'dead')], ['listen', 'listen', 'stale'], 'states')


def reclaim(name, want):
    fd = os.open(f'{CTL}/sock/{name}/reclaim', os.O_WRONLY)
    eq(attempt(os.write, fd, b'1'), want, f'reclaim {name}')


def look_at_orphans():
    found = {(r['kind'], r['creator_state'], r['verdict']) for r in json.loads(get(f'{CTL}/orphans.json'))}
    eq(found, {('sock', 'unknown', 'safe'), ('sysv/shm', 'alive', 'unknown')}, 'orphans')


def test_sockets():
    silent, here = Silent(), bind('here')
    bind('dead').close()
    pids = []
    try:
        for user, first in ((USER, None), (0, listen_elsewhere), (0, None)):
            pids.append(silent.stuck(user, first))
        time.sleep(3)  # until nothing is just made
        in_time(look_at_states)
        in_time(look_at_list)
        in_time(look_at_orphans)
        in_time(reclaim, 'elsewhere', 'EBUSY')
        in_time(reclaim, 'here', 'EBUSY')
        in_time(reclaim, 'dead', 1)
        eq(sorted(os.listdir(SOCK)), ['elsewhere', 'here'], 'what is left')
    finally:
        silent.end()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    wait_until(lambda: state_of('elsewhere') == 'stale', 'it has ended')
    here.close()


main(globals(), after=lambda: clean_directory(SOCK), about_daemon=True)
