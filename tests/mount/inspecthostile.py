# SPDX-License-Identifier: MIT
"""Processes, names and readers that mean harm to who inspects: the answers come in time, are whole, and keep nobody else
waiting."""
import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import time

import everything
from everything import Crowd, PAGE, remove_all
from mounttest import ASAN, CTL, LONG, MNT, SEED, SHM, attempt, eq, get, in_child, join, main, metrics, ok
from queues import libc, make_mq, wait_until
from silent import Silent
from semaphores import make_posix
from twins import PIPE

USER = 1234
BOUND = 6 if ASAN else 2  # seconds in which who asks for something else is answered
VIEWS = ('list.json', 'waits', 'waits.json', 'waits.dot', 'deadlocks', 'orphans', 'orphans.json', 'graph.dot', 'limits.json', 'metrics')
crowd = Crowd()
cleanups = []


def after():
    crowd.end()
    while cleanups:
        cleanups.pop()()
    remove_all()


def shown(path):
    return json.loads(get(f'{CTL}/{path}'))


def who(path, view='holders'):
    return {r['pid'] for r in shown(f'{path}/{view}.json')}


def seconds(fn, *args):
    begin = time.monotonic()
    fn(*args)
    return time.monotonic() - begin


def make_known(user=0):
    """One object of which the holders are known."""
    if not os.path.exists(f'{SHM}/known'):
        with open(f'{SHM}/known', 'w') as f:
            f.truncate(PAGE)
        os.chmod(f'{SHM}/known', 0o666)
    name = f'known-{len(crowd.pids)}'
    return crowd.start(name, lambda me: me.open(f'{SHM}/known', 'shm/known') and None, user=user)


# ---- processes ----

def test_stopped():
    """A process that is stopped is told as any other; also one that was stopped while it waited."""
    make_mq('stopped', 1, 8).close()
    holder = make_known()

    def receive(me):
        q = me.queue('stopped')
        return everything.Wait('mq/stopped', 'mq_timedreceive', lambda: libc.mq_receive(q.fd, ctypes.create_string_buffer(8), ctypes.c_size_t(8), None))
    waiter = crowd.start('waiter', receive)
    wait_until(lambda: who('mq/stopped', 'waiters') == {waiter}, 'it waits')
    for pid in (holder, waiter):
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: all(b') T ' in get(f'/proc/{pid}/stat') for pid in (holder, waiter)), 'they are stopped')
    ok(seconds(lambda: eq(who('shm/known'), {holder}, 'holders')) < BOUND, 'in time')
    ok(waiter in who('mq/stopped'), 'who waited has it open')
    for view in VIEWS:
        ok(seconds(get, f'{CTL}/{view}') < BOUND, f'{view} in time')
    os.kill(waiter, signal.SIGCONT)
    wait_until(lambda: who('mq/stopped', 'waiters') == {waiter}, 'it waits again')


def start_silent(users):
    """So many processes that can not be looked at. They can only be killed when their file system has ended."""
    silent = Silent()
    cleanups.append(silent.end)
    for user in users:
        pid = silent.stuck(user)
        cleanups.insert(0, lambda pid=pid: (os.kill(pid, signal.SIGKILL), os.waitpid(pid, 0)))


def test_silent():
    """Of processes that can not be looked at, one by one and many of a user, whoever asks is told in time, and of all others all."""
    start_silent([0] * 3)
    holder, theirs = make_known(), make_known(USER)
    first = seconds(lambda: eq(who('shm/known'), {holder, theirs}, 'holders'))
    again = seconds(lambda: eq(who('shm/known'), {holder, theirs}, 'holders'))
    print(f'  three that do not answer: {first:.2f} s, then {again:.2f} s')
    ok(first < 5 and again < BOUND, f'{first:.2f} s, then {again:.2f} s')
    for view in VIEWS:
        ok(seconds(get, f'{CTL}/{view}') < BOUND, f'{view} in time')
    make_mq('q', 1, 8).send(b'x')
    reader = in_child(lambda: [attempt(get, f'{CTL}/{view}') for _ in range(5) for view in VIEWS] and 0)
    took = max(seconds(get, f'{CTL}/version') for _ in range(100))
    took = max(took, seconds(get, f'{MNT}/mq/q'))
    ok(took < BOUND, f'others wait: {took:.2f} s')
    join([reader], 'a reader', 60)


def test_silent_many():
    """A user lets thirty of his processes not answer: root is told of all others all the same."""
    start_silent([USER] * 30)
    make_known()
    make_mq('q', 1, 8).send(b'x')
    answers = {}
    for view in ('shm/known/holders.json', 'waits.json', 'graph.dot', 'orphans.json'):
        took = seconds(lambda: answers.update({view: attempt(get, f'{CTL}/{view}')}))
        print(f'  {view}: {took:.2f} s, {str(answers[view])[:60]!r}')
        ok(took < 12, f'{view}: {took:.2f} s')
    ok(seconds(get, f'{MNT}/mq/q') + seconds(get, f'{CTL}/version') < BOUND, 'a message')


def vfork_child():
    """The child stays in pause(2), on its parent's stack."""
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if libc.vfork() == 0:
        libc.pause()


def test_vfork():
    """The parent of a vfork(2) is in state D, and its memory is the child's, too."""
    parent = in_child(vfork_child)
    crowd.pids['vfork'] = parent
    wait_until(lambda: b') D ' in get(f'/proc/{parent}/stat'), 'the parent waits for its child')
    with open(f'/proc/{parent}/task/{parent}/children') as f:
        child = int(f.read())
    cleanups.append(lambda: attempt(os.kill, child, signal.SIGKILL))
    holder = make_known()
    ok(seconds(lambda: eq(who('shm/known'), {holder}, 'holders')) < BOUND, 'in time')
    for view in VIEWS:
        ok(seconds(get, f'{CTL}/{view}') < BOUND, f'{view} in time')


# ---- names ----

NAMES = [b'plain', b'new\nline', b'"quoted"', b"it's", b'back\\slash', b'\\n', b'\x1b[31mred', b'\xff\xfe\x80', 'ä€😀'.encode(), b'tab\there', b'a b', b'{', b'<b>',
         b'%s%n', b'\xed\xa0\x80', b'\x7f', b'\xc2\x9b31m', b'-rf', b'*', b'null', b'"],"x":["', b'\xc0\xaf', b'\r', b'list', b'state', b'holders.json', b'@list']


def name_of(row, field='name'):
    return bytes.fromhex(row[field + '_hex']) if field + '_hex' in row else os.fsencode(row[field])


def is_plain(text):
    """UTF-8 that does nothing to a terminal."""
    return all(c == '\n' or ord(c) >= 0x20 and not 0x7f <= ord(c) < 0xa0 for c in text.decode())


def hold_all(name):
    """Something of each kind, by a process of that name."""
    libc.prctl(15, name[:15], 0, 0, 0)
    kept = [os.open(os.fsencode(SHM) + b'/' + name, os.O_CREAT | os.O_RDWR), os.memfd_create(os.fsdecode(name))]
    kept.append(os.open(os.fsencode(PIPE) + b'/' + name, os.O_RDWR | os.O_NONBLOCK))
    kept.append(make_mq(name, 1, 8))
    return kept


def test_names():
    """All JSON can be read, each name comes back as it was, and each line of text is one row."""
    for name in NAMES:
        os.mkfifo(os.fsencode(PIPE) + b'/' + name)
        make_posix(name, 1).close()
        ready, told = os.pipe()
        pid = os.fork()
        if not pid:
            kept = hold_all(name)
            os.write(told, b'x')
            while kept:
                signal.pause()
        crowd.pids[f'name{pid}'] = pid
        os.close(told)
        eq(os.read(ready, 1), b'x', f'{name} is held')
        os.close(ready)
    everything_there = shown('list.json')
    for kind in ('shm', 'mq', 'sem', 'pipe'):
        eq({name_of(r) for r in everything_there[kind] if r['name'] is not None}, set(NAMES), f'names of {kind}')
        text = get(f'{CTL}/{kind}/list')
        eq(len(text.splitlines()), 1 + len(everything_there[kind]), f'lines of {kind}/list')
        ok(is_plain(text), f'{kind}/list has control characters')
    for view in VIEWS:
        text = get(f'{CTL}/{view}')
        if view.endswith('.json'):
            json.loads(text)
        elif view.endswith('.dot'):
            subprocess.run(['dot', '-Tcanon'], input=text, stdout=subprocess.DEVNULL, check=True)
        else:
            ok(is_plain(text), f'{view} has control characters')
    for name in NAMES:
        directory = os.fsencode(CTL) + b'/shm/' + name
        if name.lstrip(b'@') == b'list':  # the name of a fixed file
            directory = os.fsencode(CTL) + b'/shm/@' + name
        rows = json.loads(get(directory + b'/holders.json'))
        eq([name_of(r, 'command') for r in rows], [name[:15]], f'who holds {name}')
        eq(len(get(directory + b'/holders').splitlines()), 2, f'lines of the holders of {name}')
    for pid in crowd.pids.values():
        for name in os.listdir(f'{MNT}/proc/{pid}'.encode()):
            os.readlink(f'{MNT}/proc/{pid}/'.encode() + name)


# ---- readers ----

def read_all(stop):
    """Everything, again and again; what has gone meanwhile is no error, and what is told is whole."""
    rng = random.Random(os.getpid())
    files = [f'{CTL}/{view}' for view in VIEWS] + [f'{CTL}/shm/known/{view}' for view in ('holders.json', 'waiters.json', 'holders')]
    done = 0
    while time.monotonic() < stop or not done:
        path = rng.choice(files)
        text = attempt(get, path)
        ok(isinstance(text, bytes), f'{path}: {text}')
        if path.endswith('.json'):
            json.loads(text)
        for pid in attempt(os.listdir, f'{MNT}/proc')[:3]:
            attempt(os.listdir, f'{MNT}/proc/{pid}')
        done += 1
    return 0


def fork_storm(stop):
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)
    running = []
    while time.monotonic() < stop:
        pid = os.fork()
        if not pid:
            kept = os.open(f'{SHM}/known', os.O_RDWR), os.pipe(), socket.socketpair()
            time.sleep(random.random() / 20)
            os._exit(0 if kept else 1)
        running.append(pid)
        if len(running) > 100:
            os.waitpid(running.pop(0), 0)
    for pid in running:
        os.waitpid(pid, 0)


def test_storm():
    """Processes by the hundred come and go while twenty read everything."""
    holder = make_known()
    stop = time.monotonic() + (5 if LONG else 2.5)
    storms = [in_child(fork_storm, stop) for _ in range(2)]
    readers = [in_child(read_all, stop) for _ in range(20)]
    while time.monotonic() < stop - 1:
        ok(holder in who('shm/known'), 'who has it all the time is told all the time')
    join(storms + readers, 'the storm', 60)
    wait_until(lambda: who('shm/known') == {holder}, 'nobody else has it')


def read_for_ever():
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)
    while True:
        read_all(time.monotonic() + 1)


def test_killed_readers():
    """Readers that are killed at any moment leave nothing behind."""
    make_known()
    get(f'{CTL}/waits.json')
    rng = random.Random(SEED)
    before = metrics()
    for _ in range(5):
        readers = [in_child(read_for_ever) for _ in range(10)]
        time.sleep(0.2)
        for pid in readers:
            time.sleep(rng.random() / 50)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    wait_until(lambda: metrics()['ipcfs_handles'] <= before['ipcfs_handles'], 'their handles are closed')
    ok(threads() < 64, f'{threads()} threads')


def threads():
    return len(os.listdir(f'/proc/{os.environ["IPCFS_PID"]}/task'))


def as_user(fn, *args):
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    os.nice(5)  # the processors are few, and it is the daemon that is tested
    return fn(*args)


def heavy():
    paths = [f'{CTL}/{view}' for view in ('waits.json', 'graph.dot', 'orphans.json', 'shm/known/holders.json')]
    while True:
        for path in paths:
            attempt(get, path)


def test_crowd_of_readers():
    """Two hundred readers of another user keep nobody from a message, nor from the version; and root is told, too."""
    make_known()
    q = make_mq('q', 4, 8)
    readers = [in_child(as_user, heavy) for _ in range(200)]
    try:
        time.sleep(1)
        took = {'mq': 0.0, 'version': 0.0, 'holders': 0.0, 'state': 0.0}
        stop = time.monotonic() + (6 if LONG else 2)
        while time.monotonic() < stop:
            q.send(b'x')
            took['mq'] = max(took['mq'], seconds(get, f'{MNT}/mq/q'))
            took['version'] = max(took['version'], seconds(get, f'{CTL}/version'))
            took['state'] = max(took['state'], seconds(get, f'{CTL}/shm/known/state'))
            took['holders'] = max(took['holders'], seconds(get, f'{CTL}/shm/known/holders'))
        print(f'  the slowest: {took}; {threads()} threads')
        ok(max(took[k] for k in ('mq', 'version', 'state')) < BOUND, f'others wait: {took}')
        ok(took['holders'] < 4 * BOUND, f'root waits to be told: {took}')
        ok(threads() < 64, f'{threads()} threads')
    finally:
        for pid in readers:
            os.kill(pid, signal.SIGKILL)
        for pid in readers:
            os.waitpid(pid, 0)


def open_events(seconds):
    stop = time.monotonic() + seconds
    while time.monotonic() < stop:
        os.close(os.open(f'{CTL}/events', os.O_RDONLY))


def test_openers_of_events():
    """To open ctl/events waits for a moment, and for no object: whoever looks at waits meanwhile is not told of it."""
    openers = [in_child(open_events, 2) for _ in range(3)]
    stop = time.monotonic() + 2
    while time.monotonic() < stop:
        for view in ('waits', 'waits.json', 'deadlocks', 'graph.dot', 'orphans'):
            get(f'{CTL}/{view}')
        eq([row for row in shown('waits.json') if row['pid'] in openers and row['call'] == 'open'], [], 'waits of the openers')
    join(openers, 'openers')


main(globals(), after, about_daemon=True)
