# SPDX-License-Identifier: MIT
"""A client is killed at each of its system calls: before it, in it and after it. Nothing of it is left, and nobody else's is lost.

usage: faultkill.py KILLED-PROGRAM (killed.c)
"""
import fcntl
import os
import random
import subprocess
import sys
import time

from forget import forget
from listeners import CREATE, SOCK, Listener, clean_listeners, daemon_fds, threads
from mounttest import CTL, MNT, SEED, SHM, TREE, attempt, clean as clean_shm, eq, get, in_child, join, main, metrics, ok, put
from queues import KINDS, MQ, MQFS, MSG, Posix, SystemV, clean_queues, mount_mqfs, sysctl, wait_until
from semaphores import FAMILIES, SEM, SSEM, clean_semaphores, wait_parked

KILLED = sys.argv[1]
PIPE, SYSV = MNT + '/pipe', MNT + '/sysv/shm'
DONE, DEAD, WAITED = 0, 3, 4
GAUGES = ('ipcfs_handles', 'ipcfs_parked', 'ipcfs_keepers')
rng = random.Random(SEED)


def gauges():
    now = metrics()
    return {n: now[n] for n in GAUGES}


def resting_gauges():
    """What was closed last is on its way to the daemon for a moment."""
    seen = []
    wait_until(lambda: (seen.append(gauges()), time.sleep(0.05), gauges() == seen[-1])[-1], 'the gauges rest')
    return seen[-1]


class Client:
    """The program of killed.c, run up to its death."""

    def __init__(self, steps, patience, stop, microseconds):
        self.what = f'{steps} at stop {stop}, {microseconds} us'
        self.process = subprocess.Popen([KILLED, str(patience), str(stop), str(microseconds), *steps.split()],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def waits(self):
        """Whether it has come to a call that waits; otherwise it has ended."""
        return self.process.stdout.read(6) == b'waits\n'

    def end(self):
        attempt(os.write, self.process.stdin.fileno(), b'.')  # not by its end: who was forked meanwhile has that, too
        status = self.process.wait(10)
        self.process.stdin.close()
        ok(status in (DONE, DEAD, WAITED), f'{self.what}: status {status}')
        self.process.stdout.close()
        return status


def killed_everywhere(steps, before, after, waiting=None):
    """before() sets up and after() looks, each time. waiting(): what others do while the last call of all waits."""
    made, base, stop = 0, resting_gauges(), 0
    status = DEAD
    while status == DEAD:
        stop += 1
        for microseconds in [-1] + [rng.randrange(n) for n in (20, 80, 300)] * (stop % 2):
            before()
            client = Client(steps, 40 if waiting else 10000, stop, microseconds)
            if client.waits() and waiting:
                waiting(client)
            got = client.end()
            status = got if microseconds < 0 else status
            wait_until(lambda: gauges() == base, f'{client.what}: {base} {gauges()}; as before')
            after()
            made += 1
    ok(stop > 1, f'{steps}: only {stop} stops')
    ok((status == WAITED) == (waiting is not None), f'{steps}: the last ended with status {status}')
    return made


def nothing():
    pass


def waits(client):
    """Nobody else is there."""


# ---- messages ----

def test_messages():
    for cls in KINDS:
        q = cls('q', 4, 32) if cls is Posix else cls()
        lines, typed = f'{q.ctl}/lines', f'{q.ctl}/type/0'

        def two():
            eq(q.take(), [], 'messages before')
            q.send(b'one')
            q.send(b'two')

        def behind():
            left = [m for m, _ in q.take()]
            ok(left in ([b'one', b'two'], [b'two'], []), f'what is left of one and two: {left}')

        def sent():
            came = [m for m, _ in q.take()]
            ok(came in ([], [b'a'], [b'a', b'b'], [b'a', b'b', b'c']), f'what came of a, b and c: {came}')
        made = killed_everywhere(f'open r {q.path} read 64 read 64 read 2 read 2 close', two, behind)
        made += killed_everywhere(f'open r {lines} read 70000 close', two, behind)
        made += killed_everywhere(f'open w {q.path} write a write b close open w {lines} write c', nothing, sent)
        made += killed_everywhere(f'open w {lines} write a,b,c', nothing, lambda: [q.take()])
        if cls is SystemV:
            made += killed_everywhere(f'open r {typed} read 64 close', two, behind)
        print(f'  {cls.kind}: {made}')


def test_waits_for_messages():
    """Nothing is taken or sent for the dead, and who stands behind him is served."""
    for cls in KINDS:
        q = cls('q', 4, 32) if cls is Posix else cls()

        def untaken():
            q.send(b'there')
            eq([m for m, _ in q.take()], [b'there'], f'{q.path}: what was sent after the death')

        def other_waits(client):
            now = metrics()['ipcfs_parked']
            other = in_child(lambda: 0 if get(q.path) == b'for the other' else 1)
            wait_parked(now + 1, 'another one waits')
            client.end = lambda: served(type(client).end(client), other)

        def served(status, other):
            q.send(b'for the other')
            join([other], 'who stood behind the dead')
            return status
        for file in (q.path, f'{q.ctl}/lines'):
            killed_everywhere(f'open r {file} read 64', nothing, untaken, waits)
        killed_everywhere(f'open r {q.path} read 64', nothing, untaken, other_waits)
        killed_everywhere(f'open r {q.path} poll', nothing, untaken, waits)

        def full():
            q.fill()
            full.count = q.count()

        def unsent():
            got = [m for m, _ in q.take()]
            ok(b'late' not in got and len(got) == full.count, f'{q.path}: what is there: {got}')
        killed_everywhere(f'open w {q.path} write late', full, unsent, waits)
        killed_everywhere(f'open w {q.ctl}/lines write late,', full, lambda: q.take(), waits)


# ---- semaphores ----

def test_semaphores():
    for cls in FAMILIES:
        s = cls('s', 1)

        def one():
            if s.value() == 0:
                s.post()
            eq(s.value(), 1, 'value before')

        def whole():
            wait_until(lambda: s.value() == 1, f'{s.path}: the value is 1 again, {s.value()} now')
        killed_everywhere(f'open r {s.path}/hold close open r {s.path}/hold', one, whole)
        killed_everywhere(f'open r {s.path}/wait read 64 close', one, lambda: ok(s.value() in (0, 1), 'value'))
        one()
        killed_everywhere(f'open w {s.path}/post write 1 close', lambda: s.value() == 2 and s.wait(),
                          lambda: ok(s.value() in (1, 2), 'value'))
        while s.value():
            s.wait()

        def untaken():
            s.post()
            eq((s.value(), s.waiting()), (1, 0), 'what was posted after the death, and who waits')
            s.wait()
        for file, step in (('hold', ''), ('wait', 'read 64')):
            killed_everywhere(f'open r {s.path}/{file} {step}', nothing, untaken, waits)
        if s.kind == 'sysv/sem':
            op = f'open w {s.object}/op write 0:-1'
            killed_everywhere(op, nothing, untaken, waits)
            s.post()
            both = lambda: ok(s.native.values() in ([1, 5], [0, 6]), f'one op: {s.native.values()}')
            killed_everywhere(f'{op}_1:+1', lambda: s.native.set_all([1, 5]), both)


# ---- names, locks, memory ----

def there():
    nodes = [os.path.join(d, n) for d, dirs, files in os.walk('/run/ipcfs') for n in dirs + files]
    native = []
    for kind in ('shm', 'msg', 'sem'):
        with open(f'/proc/sysvipc/{kind}') as f:
            native += [(kind, l.split()[0]) for l in f.read().splitlines()[1:]]
    return sorted(os.listdir(SHM)), sorted(os.listdir(MQFS)), sorted(nodes), native


def test_made():
    """What a killed client was making is there and whole, or not there at all."""
    base = there()
    for steps, remove, path in (
            (f'open rwcx {TREE}/new size 4096 map write hello close', os.unlink, f'{TREE}/new'),
            (f'open rwcx {MQ}/new write hello close', os.unlink, f'{MQ}/new'),
            (f'open rwcx {MSG}/by-key/0x88 write hello close', os.unlink, f'{MSG}/by-key/0x88'),
            (f'open rwcx {SYSV}/by-key/0x88 size 4096 write hello close', os.unlink, f'{SYSV}/by-key/0x88'),
            (f'mkdir {SEM}/new open w {SEM}/new/post write 1', os.rmdir, f'{SEM}/new'),
            (f'mkdir {SSEM}/by-key/0x88 open w {SSEM}/by-key/0x88/0/post write 1', os.rmdir, f'{SSEM}/by-key/0x88'),
            (f'mkfifo {PIPE}/new open rw {PIPE}/new write 1', os.unlink, f'{PIPE}/new'),
            (f'bind {SOCK}/new', os.unlink, f'{SOCK}/new'),
            (f'open rwcx {SOCK}/new write hello close', os.unlink, f'{SOCK}/new'),
            (f'mkdir {SOCK}/new open rwn {SOCK}/new/connect', os.rmdir, f'{SOCK}/new'),
            (f'open w {CREATE} write new', os.rmdir, f'{SOCK}/new'),
            (f'open w {CTL}/mq/create write new', os.unlink, f'{MQ}/new'),
            (f'open w {CTL}/sem/create write new', os.rmdir, f'{SEM}/new')):
        made = set()

        def look():
            made.add(os.path.lexists(path))
            if os.path.lexists(path):
                remove(path)
            eq(there(), base, f'{steps}: what is there')
        killed_everywhere(steps, nothing, look)
        eq(made, {False, True}, f'{steps}: made, and not made')


def test_changed():
    def there_once():
        name, = os.listdir(SHM)
        os.unlink(f'{SHM}/{name}')

    def in_steps():
        content = get(f'{SHM}/a')
        ok(content in (b'x', b'', b'hello', b'he'), f'content: {content}')
    for steps, after in ((f'rename {TREE}/a {TREE}/b', there_once), (f'open rwt {TREE}/a write hello size 2', in_steps),
                         (f'open r {TREE}/a unlink {TREE}/a read 9', clean_shm)):
        killed_everywhere(steps, lambda: put(f'{SHM}/a', b'x'), after)


def test_locks():
    put(f'{SHM}/a')
    with open(f'{SHM}/a', 'r+b') as native:
        def free():
            wait_until(lambda: attempt(fcntl.flock, native, fcntl.LOCK_EX | fcntl.LOCK_NB) is None, 'the lock of the dead is gone')
            wait_until(lambda: attempt(fcntl.lockf, native, fcntl.LOCK_EX | fcntl.LOCK_NB) is None, 'his other lock, too')

        def unlock():
            fcntl.flock(native, fcntl.LOCK_UN)
            fcntl.lockf(native, fcntl.LOCK_UN)
        killed_everywhere(f'open rw {TREE}/a flock lock close', unlock, free)
        free()
        for lock in ('flock', 'lock'):
            killed_everywhere(f'open rw {TREE}/a {lock}', nothing, free, waits)
            unlock()
            free()


# ---- connections ----

def test_connections():
    s = Listener()

    def emptied():
        """What came of x and y, of all that wait to be accepted."""
        while isinstance(fd := attempt(os.open, s.accept, os.O_RDWR | os.O_NONBLOCK), int):
            got = b''.join(iter(lambda: os.read(fd, 99), b''))
            ok(got in (b'', b'x', b'xy'), f'what came: {got}')
            os.close(fd)
        eq(fd, 'EAGAIN', 'accept')
    killed_everywhere(f'open rw {s.connect} write x write y read 9', nothing, emptied, waits)
    killed_everywhere(f'connect {s.socket} write x close', nothing, emptied)

    def connects():
        connects.client = s.native()

    def ended():
        """He whom the dead had accepted reads the end; he whom he had not is still to be accepted."""
        fd = attempt(os.open, s.accept, os.O_RDWR | os.O_NONBLOCK)
        if isinstance(fd, int):
            os.close(fd)
        connects.client.settimeout(10)
        got = b''.join(iter(lambda: connects.client.recv(99), b''))
        ok(got in (b'', b'x') and (got == b'' or fd == 'EAGAIN'), f'what came: {got}, then accept: {fd}')
        connects.client.close()
    killed_everywhere(f'open rw {s.accept} write x read 9', connects, ended, waits)

    def another():
        connects()
        fd = os.open(s.accept, os.O_RDWR | os.O_NONBLOCK)
        connects.client.close()
        eq(os.read(fd, 9), b'', 'the client that came after the death')
        os.close(fd)
    killed_everywhere(f'open rw {s.accept}', nothing, another, waits)
    killed_everywhere(f'open rw {s.accept} other', connects, ended)
    s.remove()


# ---- looking ----

def test_looks():
    put(f'{SHM}/a')
    os.mkfifo(f'{PIPE}/p')
    for path in ('list.json', 'waits', 'graph.dot', 'orphans', 'metrics', 'limits', 'shm/a/holders', 'sock/list', 'pipe/p/state'):
        killed_everywhere(f'open r {CTL}/{path} read 60000 seek read 60000 close', nothing, nothing)
    for path in (TREE, f'{MNT}/proc', f'{MNT}/proc/self/', SOCK, f'{CTL}/shm'):
        killed_everywhere(f'open rd {path} list close', nothing, nothing)
    killed_everywhere(f'open r {CTL}/events read 4096 read 4096', nothing, nothing, waits)
    killed_everywhere(f'open r {PIPE}/p', nothing, nothing, waits)
    killed_everywhere(f'open rw {MNT}/sysv/ftok write /proc_1 read 9', nothing, nothing)
    os.unlink(f'{PIPE}/p')


def clean():
    clean_semaphores()
    clean_queues()
    clean_listeners()
    clean_shm()


def settled():
    """All that the daemon has is back to where it was."""
    forget()
    now = metrics()
    return (now['ipcfs_nodes'] <= first['ipcfs_nodes'] + 30 and daemon_fds() <= fds + 8 and threads() <= tasks + 4
            and gauges() == base)


mount_mqfs()
sysctl('fs/mqueue/msgsize_default', 1024)  # queues of all namespaces count for their user
gauges()
base = gauges()
first, fds, tasks = metrics(), daemon_fds(), threads()
main(globals(), cleaner=clean, after=lambda: wait_until(settled, 'nodes, descriptors and handles as at the start'), about_daemon=True)
