# SPDX-License-Identifier: MIT
"""The daemon has no descriptor left, or one, or two …: every operation is done in full or refused, and nothing is half made."""
import fcntl
import os
import re
import resource
import select
import socket

from faults import CREATE, PIPE, SOCK, SYSV, makers, objects, opened
from listeners import PID, Left, Listener, clean_listeners, put_line, wait_parked
from mounttest import (CTL, MNT, SHM, TREE, attempt, clean as clean_shm, clip, eq, get, in_child, join, main,
                       metrics, ok, put)
from queues import MQ, MQFS, MSG, clean_queues, make_mq, make_msg, mount_mqfs, sysctl, wait_until
from semaphores import SEM, SSEM, clean_semaphores, make_posix, make_set, read, write

RW = os.O_RDWR
LIMIT = resource.prlimit(PID, resource.RLIMIT_NOFILE)
NONE_LEFT = ('EMFILE', 'ENFILE')
AT_MOST = 40  # so many descriptors are enough for anything


def allow(more):
    """From now on the daemon can open `more` descriptors."""
    used = {int(fd) for fd in os.listdir(f'/proc/{PID}/fd')}
    free = [n for n in range(max(used) + more + 2) if n not in used]
    resource.prlimit(PID, resource.RLIMIT_NOFILE, (free[more], LIMIT[1]))


def allow_all():
    resource.prlimit(PID, resource.RLIMIT_NOFILE, LIMIT)


class World:
    """An object of each kind, and a handle of each kind that is open all the time."""

    def __init__(self):
        worlds.append(self)
        put(TREE + '/old', b'content')
        self.mq, self.msg, self.sem = make_mq('old', 4, 64), make_msg(0x77), make_posix('old', 1)
        self.set = make_set(0x77, 1, 5)
        self.queue, self.typed = make_mq('used', 4, 64), make_msg(0x78)  # for what is tried; the others go on all the while
        self.taken, self.takens = make_posix('used', 1), make_set(0x78, 1, 5)
        fd = os.open(f'{SYSV}/by-key/0x77', CREATE, 0o600)
        os.ftruncate(fd, 4096)
        os.close(fd)
        os.mkfifo(f'{PIPE}/old')
        put(f'{SOCK}/file', b'content')
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(f'{SOCK}/bound')
        self.server.listen(100)
        self.server.setblocking(False)
        self.listener, self.datagrams, self.others = Listener('old'), Listener('grams', 'type=dgram'), Listener('others', 'type=dgram')
        self.held = {n: os.open(p, RW | os.O_NONBLOCK) for n, p in (
            ('shm', f'{TREE}/old'), ('segment', f'{SYSV}/by-key/0x77'), ('mq', f'{MQ}/old'), ('msg', f'{MSG}/by-key/0x77'),
            ('lines', f'{CTL}/mq/old/lines'), ('pipe', f'{PIPE}/old'), ('file', f'{SOCK}/file'))}
        self.client, self.accepted = self.listener.pair()
        self.post, self.wait = os.open(f'{SEM}/old/post', os.O_WRONLY), os.open(f'{SEM}/old/wait', os.O_RDONLY)
        self.op = os.open(f'{SSEM}/by-key/0x77/op', os.O_WRONLY)
        self.send = os.open(self.datagrams.path + '/send', os.O_WRONLY)
        self.recv = os.open(self.datagrams.path + '/recv', os.O_RDONLY | os.O_NONBLOCK)

    def goes_on(self):
        """What is open needs no descriptor of the daemon's."""
        for name in ('shm', 'segment', 'file'):
            eq((os.pwrite(self.held[name], name.encode(), 0), os.pread(self.held[name], len(name), 0)), (len(name), name.encode()), name)
        for name in ('mq', 'msg'):
            eq((os.write(self.held[name], b'word'), os.read(self.held[name], 64), os.read(self.held[name], 64)), (4, b'word', b''), name)
        eq((os.write(self.held['lines'], b'a\nb\n'), os.read(self.held['lines'], 4096)), (4, b'a\nb\n'), 'lines')
        eq((os.write(self.held['pipe'], b'pipe'), os.read(self.held['pipe'], 64)), (4, b'pipe'), 'pipe')
        eq((os.write(self.client, b'x'), os.read(self.accepted, 9), os.write(self.accepted, b'y'), os.read(self.client, 9)),
           (1, b'x', 1, b'y'), 'connection')
        eq((os.write(self.post, b'1\n'), os.read(self.wait, 9), os.read(self.wait, 9)), (2, b'1\n', b''), 'semaphore')
        eq(os.write(self.op, b'0:+1 0:-1'), 9, 'op')
        eq((os.write(self.send, b'gram'), os.read(self.recv, 9), os.read(self.recv, 9)), (4, b'gram', b''), 'datagrams')
        fcntl.flock(self.held['shm'], fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(self.held['shm'], fcntl.LOCK_UN)

    def counts(self):
        return self.queue.attr()['curmsgs'], self.typed.stat()['qnum'], self.taken.value(), self.takens.values()

    def whole(self):
        return (self.taken.value(), self.takens.value()) == (1, 1)

    def end(self):
        for fd in [*self.held.values(), self.client, self.accepted, self.post, self.wait, self.op, self.send, self.recv]:
            os.close(fd)
        self.server.close()
        self.mq.close()
        self.queue.close()


# ---- operations: a name, what goes before, the call, what comes after ----

def nothing():
    pass


def makings(world):
    return [(name, nothing, make, remove) for name, make, remove in makers()]


def removals(world):
    return [(name, make, remove, nothing) for name, make, remove in makers() if 'create' not in name]


def changes(world):
    objects = (f'{TREE}/old', f'{MQ}/old', f'{MSG}/by-key/0x77', f'{SYSV}/by-key/0x77', f'{SEM}/old', f'{SSEM}/by-key/0x77',
               f'{PIPE}/old', f'{SOCK}/old', f'{SOCK}/bound')
    return [(f'chmod {path}', nothing, lambda path=path: os.chmod(path, 0o640),
             lambda path=path: os.chmod(path, 0o600)) for path in objects] + [
        ('rename', nothing, lambda: os.rename(f'{TREE}/old', f'{TREE}/new'), lambda: os.rename(f'{SHM}/new', f'{SHM}/old')),
        ('rename over', lambda: (put(f'{SHM}/a'), put(f'{SHM}/b')), lambda: os.rename(f'{TREE}/a', f'{TREE}/b'),
         lambda: os.unlink(f'{SHM}/b')),
        ('truncate', nothing, lambda: os.truncate(f'{TREE}/old', 5000), lambda: os.truncate(f'{SHM}/old', 7)),
        ('open to truncate', nothing, lambda: opened(f'{TREE}/old', RW | os.O_TRUNC), nothing),
        ('utime', nothing, lambda: os.utime(f'{TREE}/old', (1, 2)), nothing),
        ('purge', nothing, lambda: os.truncate(f'{MQ}/old', 0), nothing),
        ('rename pipe', nothing, lambda: os.rename(f'{PIPE}/old', f'{PIPE}/new'), lambda: os.rename(f'{PIPE}/new', f'{PIPE}/old')),
        ('rename socket', nothing, lambda: os.rename(f'{SOCK}/bound', f'{SOCK}/new'),
         lambda: os.rename(f'{SOCK}/new', f'{SOCK}/bound')),
        ('type', nothing, lambda: put_line(f'{SOCK}/old/type', 'seqpacket'), lambda: put_line(f'{SOCK}/old/type', 'stream')),
        ('backlog', nothing, lambda: put_line(f'{SOCK}/old/backlog', '7'), nothing),
        ('capacity', nothing, lambda: put_line(f'{CTL}/pipe/old/capacity', '65536'), nothing),
        ('lock', nothing, lambda: put_line(f'{CTL}/sysv/shm/by-key/0x77/lock', '0'), nothing),
        ('qbytes', nothing, lambda: put_line(f'{CTL}/sysv/msg/by-key/0x77/qbytes', '8000'), nothing),
        ('set value', nothing, lambda: put_line(f'{SEM}/old/value', '1'), nothing),
        ('set values', nothing, lambda: put_line(f'{SSEM}/by-key/0x77/values', '1 5'), nothing),
    ]


def received(path, send):
    """A message that is there is read, or stays."""
    return ('read ' + path, send, lambda: opened(path, os.O_RDONLY, lambda fd: os.read(fd, 64)), nothing)


def passed(path, data, take):
    """A message is sent, or it is not."""
    return ('write ' + path, nothing, lambda: write(path, data, os.O_NONBLOCK), take)


def uses(world):
    """What takes and gives, each with an open of its own."""
    a_message, typed = lambda: world.queue.send(b'message'), lambda: world.typed.send(b'message', 3)
    ctl, msg, sem, one = f'{CTL}/mq/used', f'{CTL}/sysv/msg/by-key/0x78', f'{SEM}/used', f'{SSEM}/by-key/0x78/0'
    take = lambda: eq(len(world.queue.take()) + len(world.typed.take()), 1, 'messages')
    found = [received(f'{MQ}/used', a_message), received(f'{ctl}/lines', a_message), received(f'{MSG}/by-key/0x78', typed),
             received(f'{msg}/type/3', typed), received(f'{msg}/lines', typed), passed(f'{MQ}/used', b'x', take),
             passed(f'{ctl}/prio/5', b'x', take), passed(f'{ctl}/lines', b'x\n', take), passed(f'{MSG}/by-key/0x78', b'x', take),
             passed(f'{msg}/type/5', b'x', take), passed(f'{msg}/lines', b'x\n', take),
             ('peek', typed, lambda: opened(f'{msg}/peek/0', os.O_RDONLY, lambda fd: os.read(fd, 64)), take)]
    for where, back in ((sem, world.taken.post), (one, lambda: world.takens.op((0, 1)))):
        found += [('wait ' + where, nothing, lambda where=where: read(f'{where}/wait', os.O_NONBLOCK), back),
                  ('hold ' + where, nothing, lambda where=where: opened(f'{where}/hold'), lambda: wait_until(world.whole, 'given back')),
                  ('post ' + where, nothing, lambda where=where: write(f'{where}/post', b'1\n'),
                   lambda where=where: read(f'{where}/wait', os.O_NONBLOCK))]
    return found + [
        ('ftok', nothing, lambda: opened(f'{MNT}/sysv/ftok', RW, lambda fd: (os.write(fd, b'/proc 1'), os.read(fd, 64))), nothing),
        ('open shm', nothing, lambda: get(f'{TREE}/old'), nothing),
        ('open segment', nothing, lambda: len(get(f'{SYSV}/by-key/0x77')), nothing),
        ('open pipe', nothing, lambda: opened(f'{PIPE}/old', RW), nothing),
        ('open file', nothing, lambda: get(f'{SOCK}/file'), nothing),
        ('connect', nothing, lambda: opened(f'{SOCK}/old/connect', RW), lambda: os.close(os.open(f'{SOCK}/old/accept', RW))),
        ('accept', lambda: world.listener.native().close(), lambda: opened(f'{SOCK}/old/accept', RW), nothing),
        ('connect(2)', nothing, lambda: socket.socket(socket.AF_UNIX).connect(f'{SOCK}/bound'), lambda: world.server.accept()[0].close()),
        ('events', nothing, lambda: opened(f'{CTL}/events', os.O_RDONLY, lambda fd: b'begin' in os.read(fd, 4096)), nothing),
        ('send', nothing, lambda: write(f'{SOCK}/others/send', b'x'), lambda: eq(read(f'{SOCK}/others/recv'), b'x', 'sent')),
    ]


def shown(path):
    """What a file shows, less its numbers, which change from look to look; of the sockets of the machine, which come and go, those
    of this test."""
    ours = rb'[" ](old|used|bound|grams|others|file)[" ]' if path.endswith(('sock/list', 'list.json')) else b''
    return lambda: sorted(re.sub(rb',$| +|[0-9]+', b' ', l) for l in get(path).splitlines() if re.search(ours, l))


def looks(world):
    """All that is to be seen: in full, or not at all."""
    kinds = ('shm', 'mq', 'sem', 'sysv/shm', 'sysv/msg', 'sysv/sem', 'pipe', 'sock')
    lists = ['', 'shm', 'mq', 'sem', 'sem/old', 'sysv', 'sysv/shm', 'sysv/msg/by-key', 'sysv/msg/by-id', 'sysv/sem/by-key/0x77',
             'sysv/sem/by-key/0x77/0', 'pipe', 'sock', 'sock/old', 'ctl', 'ctl/mq', 'ctl/shm', f'proc/{os.getpid()}']
    found = [f'ctl/{kind}/{file}' for kind in kinds for file in ('list', 'list.json', 'limits')]
    found += [f'ctl/{kind}/{"by-key/0x77" if "sysv" in kind else "old"}/{file}' for kind in kinds for file in (
        'state', 'state.json', 'holders', 'waiters')]
    found += ['ctl/README', 'ctl/version', 'ctl/list.json', 'ctl/limits', 'ctl/waits', 'ctl/deadlocks', 'ctl/waits.dot',
              'ctl/orphans', 'ctl/graph.dot', 'ctl/last-error', 'ctl/metrics', 'ctl/pipe/old/peek', 'ctl/sock/bound/holders']
    listed = [(f'ls {path}', nothing, lambda path=path: sorted(os.listdir(f'{MNT}/{path}')), nothing) for path in lists]
    linked = [('links of a process', nothing, lambda: sorted(os.readlink(f'{MNT}/proc/self/{n}') for n in os.listdir(f'{MNT}/proc/self/')), nothing)]
    return listed + linked + [(path, nothing, shown(f'{MNT}/{path}'), nothing) for path in found]


# ---- the sweep ----

# What these have besides their rows they show as unknown.
PARTLY = {f'ctl/{name}' for name in (
    'sysv/shm/list', 'sysv/shm/list.json', 'sysv/shm/by-key/0x77/state', 'sysv/shm/by-key/0x77/state.json', 'sock/old/state',
    'sock/old/state.json', 'list.json', 'limits', 'graph.dot', 'metrics')}


def refused_until_done(world, name, call, want):
    """The call with no descriptor, with one, and so on: until it is done all is as it was. What it gives, and with how many."""
    before = objects()
    for more in range(AT_MOST):
        allow(more)
        got = attempt(call)
        try:
            world.goes_on()
        finally:
            allow_all()
        if got == want or (got not in NONE_LEFT and name not in PARTLY):
            break
        eq(objects(), before, f'{name} with {more} descriptors: {got}; what is there')
        eq(world.counts(), world.before, f'{name} with {more} descriptors: {got}; messages and values')
    return more, got


def sweep(operations):
    world, needed, wrong = World(), {}, []
    with Left('all of them'):
        before = objects()
        for name, setup, call, undo in operations(world):
            setup()
            want = call()
            undo()
            setup()
            world.before = world.counts()
            needed[name], got = refused_until_done(world, name, call, want)
            if got != want:
                print(f'  {name} with {needed[name]} descriptors: got {clip(got)}, expected {clip(want)}')
                wrong.append(name)
            undo()
            eq(objects(), before, f'after {name}')
    print(' ', ', '.join(f'{k}: {v}' for k, v in needed.items() if v))
    eq(wrong, [], 'what was not as it is with all descriptors')
    return sum(needed.values())


def test_makings():
    ok(sweep(makings) > 10, 'descriptors were never short')


def test_removals():
    sweep(removals)


def test_changes():
    ok(sweep(changes) > 10, 'descriptors were never short')


def test_uses():
    ok(sweep(uses) > 10, 'descriptors were never short')


def test_looks():
    ok(sweep(looks) > 10, 'descriptors were never short')


# ---- who waits, and clients that lack them ----

def until_empty(fds):
    for path, fd in fds.items():
        os.set_blocking(fd, False)
        while not isinstance(attempt(os.read, fd, 64), str):
            pass


def test_waits_go_on():
    """Who waited before is served while there are none; who begins to wait then waits, and poll(2) tells."""
    world, base = World(), metrics()['ipcfs_parked']
    world.taken.take()
    world.takens.op((0, -1))
    to_send = os.open(f'{SOCK}/others/send', os.O_WRONLY)
    feeds = {f'{MQ}/used': lambda: world.queue.send(b'm'), f'{MSG}/by-key/0x78': lambda: world.typed.send(b'm'),
             f'{SEM}/used/wait': world.taken.post, f'{SSEM}/by-key/0x78/0/wait': lambda: world.takens.op((0, 1)),
             f'{SOCK}/others/recv': lambda: os.write(to_send, b'g')}
    fds = {path: os.open(path, os.O_RDONLY) for path in feeds}
    read_one = lambda fd: 0 if os.read(fd, 64) or os.read(fd, 64) else 1  # they share the end of a message
    early = [in_child(read_one, fd) for fd in fds.values()] + [in_child(lambda: os.open(f'{SEM}/used/hold', os.O_RDONLY) and 0)]
    wait_parked(base + len(early), 'before')
    allow(0)
    late = [in_child(read_one, fd) for fd in fds.values()]
    wait_parked(base + len(early) + len(late), 'with none left')
    for feed in list(feeds.values()) * 2 + [world.taken.post]:
        feed()
    join(early + late, 'all that was sent came')
    wait_until(lambda: world.taken.value() == 1, 'the hold is given back')
    with select.epoll() as poller:
        for fd in fds.values():
            poller.register(fd, select.EPOLLIN)
        poller.unregister(fds[f'{SEM}/used/wait'])  # it is worth 1
        until_empty(fds)
        eq(poller.poll(0), [], 'nothing is there')
        for path, feed in feeds.items():
            feed()
            if path != f'{SEM}/used/wait':
                eq([fd for fd, _ in poller.poll(5)], [fds[path]], f'{path} is ready')
                until_empty({path: fds[path]})
    allow_all()
    for fd in [*fds.values(), to_send]:
        os.close(fd)


def without_numbers(path, flags):
    """An open by a process that has no number left for it."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) - 1, LIMIT[1]))
    eq(attempt(os.open, path, flags | os.O_NONBLOCK, 0o600), 'EMFILE', path)


def test_clients_without():
    """Nothing is made, taken or connected for a client that could not have the descriptor."""
    world = World()
    before, counts, client = objects(), world.counts(), world.listener.native()
    for path, flags in ((f'{TREE}/new', CREATE), (f'{MQ}/new', CREATE), (f'{MSG}/by-key/0x88', CREATE), (f'{SOCK}/new', CREATE),
                        (f'{SYSV}/by-key/0x88', CREATE), (f'{SEM}/used/hold', os.O_RDONLY), (f'{SSEM}/by-key/0x78/0/hold', os.O_RDONLY),
                        (f'{SOCK}/old/accept', RW), (f'{SOCK}/old/connect', RW), (f'{CTL}/events', os.O_RDONLY)):
        join([in_child(without_numbers, path, flags)], path)
        eq((objects(), world.counts()), (before, counts), f'after {path}')
    os.close(os.open(world.listener.accept, RW | os.O_NONBLOCK))
    client.close()


mount_mqfs()


sysctl('fs/mqueue/msgsize_default', 1024)  # queues of all namespaces count for their user
worlds = []


def clean():
    allow_all()
    while worlds:
        worlds.pop().end()
    clean_semaphores()
    clean_queues()
    clean_listeners()
    for path in [f'{PIPE}/{name}' for name in os.listdir(PIPE)] + [f'{SYSV}/by-id/{name}' for name in os.listdir(f'{SYSV}/by-id')]:
        os.unlink(path)
    clean_shm()


main(globals(), cleaner=clean, about_daemon=True)
