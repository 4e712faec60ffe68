# SPDX-License-Identifier: MIT
"""Those who wait in open(2): for a client (accept), or for room in the queue (connect). They cost no worker, come in turn,
end at once, and nobody's connection is lost or left for one who was told EINTR."""
import ctypes
import errno
import os
import random
import resource
import signal
import socket
import threading
import time

from listeners import (PID, SOCK, TYPES, Left, Listener, clean_listeners, daemon_fds, parked, put_line, raw_open,
                       raw_read, rss, threads, ticks, wait_parked, write_all)
from mounttest import ASAN, LONG, TREE, attempt, eq, in_child, join, main, metrics, ok, refused
from queues import SOON, Watch, ends, output, shell, state, wait_until

MEASURE = os.environ['IPCFS_MEASURE'] == '1'
MANY = 500 if not MEASURE else 5000 if LONG else 2000
BYTES_EACH = 8192  # a handle, a node, a stream and its file, and what malloc adds
threading.stack_size(65536)
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def keepers():
    return metrics()['ipcfs_keepers']


class Opener(threading.Thread):
    """A thread that opens a file: what it got, a descriptor or the name of an errno."""

    def __init__(self, path, flags=os.O_RDWR, say=None):
        super().__init__(daemon=True)
        self.path, self.flags, self.say, self.got = path, flags, say, None
        self.start()

    def run(self):
        got = attempt(os.open, self.path, self.flags)
        if self.say is not None and isinstance(got, int):
            os.write(got, self.say)
        self.got = got

    def result(self, what, seconds=10):
        self.join(seconds)
        ok(not self.is_alive(), f'{what}: {self.path} still waits')
        return self.got


def openers(path, count, base=None, **kwargs):
    """So many, in this order."""
    base = parked() if base is None else base
    found = []
    for i in range(count):
        found.append(Opener(path, **kwargs))
        wait_parked(base + i + 1, f'opener {i} of {path}')
    return found


def full(s, count=2):
    """A backlog of that size, full: the connections that wait in it. (listen(2): it takes one more than it says.)"""
    put_line(s.backlog, str(count))
    waiting = [os.open(s.connect, os.O_RDWR) for _ in range(count + 1)]
    refused('EAGAIN', os.open, s.connect, os.O_RDWR | os.O_NONBLOCK)
    return waiting


def accept_now(s):
    return os.open(s.accept, os.O_RDWR | os.O_NONBLOCK)


def emptied(s):
    """All that is in the queue is taken, and closed; how many there were."""
    count = 0
    while isinstance(fd := attempt(accept_now, s), int):
        os.close(fd)
        count += 1
    return count


# ---- accept ----

def test_accept_in_turn():
    """The n-th opener gets the n-th client, native or not."""
    s = Listener()
    for flags in (os.O_RDWR, os.O_RDONLY):
        waiting = openers(s.accept, 10, flags=flags)
        clients = [s.native() if i % 2 else os.open(s.connect, os.O_RDWR) for i in range(10)]
        for i, client in enumerate(clients):
            client.send(b'%d' % i) if i % 2 else os.write(client, b'%d' % i)
        for i, opener in enumerate(waiting):
            fd = opener.result('served')
            eq(os.read(fd, 10), b'%d' % i, 'his client')
            os.close(fd)
        for i, client in enumerate(clients):
            client.close() if i % 2 else os.close(client)


def test_accept_without_waiting():
    s = Listener()
    with Left('open that does not wait'):
        for _ in range(100):
            refused('EAGAIN', accept_now, s)
        waiting = openers(s.accept, 1)
        refused('EAGAIN', accept_now, s)
        client = os.open(s.connect, os.O_RDWR)
        os.close(waiting[0].result('served'))
        os.close(client)
        client = s.native()
        fd = accept_now(s)
        eq(attempt(os.read, fd, 10), 'EAGAIN', 'the handle does not wait either')
        client.close()
        os.close(fd)


BLOCKED = ['exec 3<> {}', 'exec 3< {}', 'exec 3> {}', 'exec cat {}', 'exec dd if={} bs=64 count=1 status=none', 'echo x > {}',
           'exec python3 -c "import os; os.open(\'{}\', os.O_RDWR)"']


def test_signals_end_at_once():
    s = Listener()
    queue = full(s)
    for path, base in ((s.accept, None), (s.connect, None)):
        if path == s.accept:
            eq(emptied(s), len(queue), 'what was queued')
        else:
            queue = full(s)
        with Left(f'signals to openers of {path}'):
            for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
                base = parked()
                waiting = [shell(line.format(path)) for line in BLOCKED]
                wait_parked(base + len(waiting), 'all wait')
                with Watch():
                    for p in waiting:
                        begin = time.monotonic()
                        p.send_signal(sig)
                        ok(ends(p) != 0, f'{p.args} on {sig.name}')
                        ok(time.monotonic() - begin < SOON, f'{p.args} on {sig.name} ends late')
                wait_parked(base, f'after {sig.name}')
    eq(emptied(s), len(queue), 'nobody who was ended is in the queue')
    bash_timeout = output(shell(f'timeout 0.3 bash -c "exec 3<> {s.accept}"'))
    eq(bash_timeout[1], 124, 'timeout')


def test_stopped():
    """Who is stopped while he waits: a client that comes meanwhile is his when he goes on, or another's; never nobody's."""
    s = Listener()
    for _ in range(5):
        base = parked()
        p = shell(f'exec 3<> {s.accept}; read x <&3; echo "got $x" >&3')
        wait_parked(base + 1, 'opener')
        p.send_signal(signal.SIGSTOP)
        wait_until(lambda: state(p.pid)[0] == 'T', 'stopped')
        client = s.native()
        client.sendall(b'hello\n')
        time.sleep(0.02)
        p.send_signal(signal.SIGCONT)
        # open(2) may end with EINTR then, as of any file that waits (signal(7)): the next one gets the client.
        status = ends(p, 5)
        if status != 0:
            fd = accept_now(s)
            eq(os.read(fd, 10), b'hello\n', 'what waited')
            os.write(fd, b'got hello\n')
            os.close(fd)
        eq(client.recv(100), b'got hello\n', 'answer')
        client.close()


def accepting(s, seconds, seed, report):
    """Opens under a rain of signals; serves each client it gets. Tells how many, and how often it was interrupted."""
    rng, taken, cut = random.Random(seed), 0, 0
    signal.signal(signal.SIGALRM, lambda *_: None)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0001, 0.004), 0.01)
        fd = raw_open(s.accept)
        signal.setitimer(signal.ITIMER_REAL, 0)
        cut += fd == -errno.EINTR
        if fd >= 0:
            taken += 1
            name = os.read(fd, 100)
            write_all(fd, b'served ' + name)
            os.close(fd)
        else:
            eq(fd, -errno.EINTR, 'how an open ends')
    os.write(report, b'%d %d\n' % (taken, cut))


def connecting(s, until, seed, report, native):
    rng, served, cut, other = random.Random(seed), 0, 0, 0
    signal.signal(signal.SIGALRM, lambda *_: None)
    number = 0
    while time.monotonic() < until:
        name = b'%d/%d' % (seed, number)
        number += 1
        if native:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(s.socket)
            fd = sock.fileno()
        else:
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0001, 0.004), 0.01)
            fd = raw_open(s.connect)
            signal.setitimer(signal.ITIMER_REAL, 0)
            if fd < 0:
                eq(fd, -errno.EINTR, 'how an open ends')
                cut += 1
                continue
        write_all(fd, name)
        got = os.read(fd, 100)
        eq(got, b'served ' + name, 'each who is connected is served')
        served += 1
        sock.close() if native else os.close(fd)
    os.write(report, b'%d %d\n' % (served, cut))


def test_conservation_under_signals():
    """As many are accepted as connect, and everybody is served: none is lost to an open that is interrupted."""
    s, seconds = Listener(options='backlog=2'), 2
    with Left('signals'):
        accepted, connected = os.pipe(), os.pipe()
        until = time.monotonic() + seconds
        servers = [in_child(accepting, s, seconds + 1, i, accepted[1]) for i in range(3)]
        clients = [in_child(connecting, s, until, i, connected[1], i % 3 == 2) for i in range(9)]
        join(clients, 'clients', 30)
        join(servers, 'servers', 30)
        os.close(accepted[1])
        os.close(connected[1])
        with os.fdopen(accepted[0]) as a, os.fdopen(connected[0]) as c:
            taken, cut = map(sum, zip(*(map(int, l.split()) for l in a)))
            served, interrupted = map(sum, zip(*(map(int, l.split()) for l in c)))
        print(f'  {taken} accepted ({cut} interrupted), {served} connected ({interrupted} interrupted)')
        eq((taken, emptied(s)), (served, 0), 'accepted, and left in the queue')
        ok(cut > 10 and interrupted > 10 and taken > 20, 'there were all sorts')


# ---- connect ----

def test_connect_in_turn():
    s = Listener()
    queue = full(s)
    waiting = []
    base = parked()
    for i in range(12):
        waiting.append(Opener(s.connect, say=b'%d' % i))
        wait_parked(base + i + 1, f'client {i}')
    ok(keepers() <= 1, f'{keepers():g} keepers')
    for _ in queue:
        os.close(accept_now(s))
    for i in range(12):
        fd = os.open(s.accept, os.O_RDWR)
        eq(os.read(fd, 10), b'%d' % i, 'clients come in turn')
        os.close(waiting[i].result('connected'))
        os.close(fd)
    wait_parked(base, 'afterwards')
    eq(emptied(s), 0, 'left in the queue')


def test_more_room():
    """A larger backlog lets those in who wait, so far as there is room."""
    s = Listener()
    queue, base = full(s, 1), parked()
    waiting = openers(s.connect, 5)
    put_line(s.backlog, '4')
    wait_until(lambda: sum(o.got is not None for o in waiting) == 3, 'three more', 5)
    time.sleep(0.05)
    eq(([type(o.got) for o in waiting], parked()), ([int] * 3 + [type(None)] * 2, base + 2), 'the first three, no more')
    put_line(s.backlog, '0')
    wait_parked(base, 'all')
    eq(emptied(s), len(queue) + 5, 'all are in the queue')


def test_killed_opener_leaves_nothing():
    """One of those who wait in the middle goes: the others keep their turn."""
    s = Listener()
    queue, base = full(s), parked()
    waiting = []
    for i in range(6):
        waiting.append(shell(f'exec 3<> {s.connect}; echo {i} >&3; exec sleep 20'))
        wait_parked(base + i + 1, f'client {i}')
    for i in (0, 3, 5):  # the first is the one who really waits in the kernel
        waiting[i].kill()
        ends(waiting[i])
    wait_parked(base + 3, 'the others wait on')
    for _ in queue:
        os.close(accept_now(s))
    for i in (1, 2, 4):
        fd = os.open(s.accept, os.O_RDWR)
        eq(os.read(fd, 10), b'%d\n' % i, 'in turn')
        os.close(fd)
        waiting[i].kill()
        ends(waiting[i])
    eq(emptied(s), 0, 'left in the queue')


# ---- one node, opened by several ----

def through(node, flags=os.O_RDWR):
    return Opener(f'/proc/self/fd/{node}', flags)


def test_one_node_opened_by_several():
    """Who opens one node (an O_PATH descriptor, /dev/fd/N) shares one connection, also those who wait for it together."""
    s = Listener()
    with Left('one node'):
        for path in (s.accept, s.connect):
            base, queue = parked(), full(s) if path == s.connect else []
            node = os.open(path, os.O_PATH)
            waiting = []
            for i in range(6):
                waiting.append(through(node, (os.O_RDWR, os.O_RDONLY, os.O_WRONLY)[i % 3]))
                wait_parked(base + i + 1, f'{i} who open it')
            refused('EAGAIN', os.open, f'/proc/self/fd/{node}', os.O_RDWR | os.O_NONBLOCK)
            killed = shell(f'exec 3<> /proc/self/fd/{node}', pass_fds=[node])
            wait_parked(base + 7, 'one more')
            killed.kill()
            ends(killed)
            wait_parked(base + 6, 'without him')
            if path == s.accept:
                other = os.open(s.connect, os.O_RDWR)
            else:
                for _ in queue:
                    os.close(accept_now(s))
                other = os.open(s.accept, os.O_RDWR)
            fds = [o.result('connected') for o in waiting]
            wait_parked(base, 'all are through')
            for fd in fds[0::3] + fds[2::3]:
                os.write(fd, b'm')
            eq((os.read(other, 100), emptied(s)), (b'mmmm', 0), f'one connection for all, {path}')
            os.write(other, b'x')
            eq(os.read(fds[1], 10), b'x', 'either may read')
            late = os.open(f'/proc/self/fd/{node}', os.O_RDWR | os.O_NONBLOCK)
            os.write(late, b'late')
            eq(os.read(other, 10), b'late', 'and who comes late')
            for fd in (*fds, late):
                os.close(fd)
            eq(os.read(other, 10), b'', 'the last has closed it')
            os.close(other)
            for fd in queue:
                os.close(fd)
            if path == s.accept:
                refused('EAGAIN', os.open, f'/proc/self/fd/{node}', os.O_RDWR | os.O_NONBLOCK)  # as by the name
            os.close(node)


def test_first_of_several_is_ended():
    """The first in the line is he whom the kernel waits for: the others of his node go on to wait."""
    s = Listener()
    queue, base = full(s), parked()
    node = os.open(s.connect, os.O_PATH)
    waiting = []
    for i in range(4):
        waiting.append(shell(f'exec 3<> /proc/self/fd/{node}; echo {i} >&3; exec sleep 20', pass_fds=[node]))
        wait_parked(base + i + 1, 'who open it')
    for p in waiting[:2]:
        p.kill()
        ends(p)
    wait_parked(base + 2, 'the others')
    for other in queue:
        os.close(accept_now(s))
        os.close(other)
    fd = os.open(s.accept, os.O_RDWR)
    got = b''
    while len(got) < 4:
        got += os.read(fd, 10)
    eq((sorted(got.split()), emptied(s)), ([b'2', b'3'], 0), 'one connection of both')
    for p in waiting[2:]:
        p.kill()
        ends(p)
    eq(os.read(fd, 10), b'', 'closed')
    os.close(fd)
    os.close(node)


# ---- nothing left to open with ----

def test_no_descriptors_left():
    """Errors as natively, for those who ask for more; then it goes on."""
    s = Listener()
    limit = resource.prlimit(PID, resource.RLIMIT_NOFILE)
    with Left('a lack of descriptors'):
        waiting = openers(s.accept, 1)
        resource.prlimit(PID, resource.RLIMIT_NOFILE, (daemon_fds() + 12, limit[1]))
        found, errors = [], set()
        for _ in range(40):
            for path in (s.connect, s.accept):
                got = attempt(os.open, path, os.O_RDWR | os.O_NONBLOCK)
                found.append(got) if isinstance(got, int) else errors.add(got)
        ok('EMFILE' in errors and errors <= {'EMFILE', 'EAGAIN', 'ENFILE'}, f'errors: {errors}')
        refused('EMFILE', os.mkdir, f'{SOCK}/more')
        begin = ticks()
        time.sleep(0.5)
        ok(ticks() - begin <= 2, f'{ticks() - begin} ticks in half a second without descriptors')
        for fd in found:
            os.close(fd)
        resource.prlimit(PID, resource.RLIMIT_NOFILE, limit)
        ok(isinstance(got := waiting[0].result('served, or refused'), int) or got == 'EMFILE', f'who waited: {got}')
        if isinstance(got, int):
            os.close(got)
        emptied(s)
        client, server = s.pair()
        os.write(client, b'x')
        eq(os.read(server, 1), b'x', 'it goes on')
        os.close(client)
        os.close(server)


# ---- the directory goes ----

def native_connect(path, kind, got):
    s = socket.socket(socket.AF_UNIX, TYPES[kind])
    got.append(attempt(s.connect, path))


def test_rmdir_ends_waits():
    for kind in ('stream', 'seqpacket'):
        with Left(f'rmdir of {kind}'):
            s, base = Listener(options=f'type={kind}'), parked()
            accepts = openers(s.accept, 5)
            s.remove()
            eq([o.result('rmdir') for o in accepts], ['EIDRM'] * 5, 'those who accept')
            s = Listener(options=f'type={kind} backlog=2')
            queue = [os.open(s.connect, os.O_RDWR) for _ in range(3)]
            native = []
            helpers = [threading.Thread(target=native_connect, args=(s.socket, kind, native), daemon=True) for _ in range(6)]
            for helper in helpers:  # before the others, and more than there are in the queue
                helper.start()
            time.sleep(0.1)
            eq(native, [], 'native clients wait as well')
            connects = openers(s.connect, 5)
            time.sleep(0.05)
            begin = time.monotonic()
            s.remove()
            eq([o.result('rmdir') for o in connects], ['EIDRM'] * 5, 'those who connect')
            for helper in helpers:
                helper.join(5)
            ok(len(native) == 6 and set(native) <= {'ECONNREFUSED', 'ENOENT'}, f'native clients: {native}')
            ok(time.monotonic() - begin < 2 * SOON, 'at once')
            for fd in queue:
                ok(attempt(os.read, fd, 10) in ('ECONNRESET', b''), 'who was queued is told')
                os.close(fd)
            wait_parked(base, 'afterwards')


def test_connections_outlive_their_listener():
    s = Listener()
    client, server = s.pair()
    native, second = s.pair('native')
    s.remove()
    for fd in (server, second):
        os.write(fd, b'on')
    eq((os.read(client, 10), native.recv(10)), (b'on', b'on'), 'data')
    again = os.open(f'/proc/self/fd/{client}', os.O_RDWR)
    os.write(again, b'and on')
    eq(os.read(server, 10), b'and on', 'opened again')
    for fd in (client, again, server, second):
        os.close(fd)
    eq(native.recv(10), b'', 'closed')


def test_made_again_meanwhile():
    """A directory of the same name is another one: old waiters do not meet new ones."""
    s = Listener()
    old = openers(s.accept, 3)
    held = os.open(s.path, os.O_PATH)
    s.remove()
    s = Listener()
    fresh = openers(s.accept, 1, base=0)
    eq([o.result('rmdir') for o in old], ['EIDRM'] * 3, 'old ones')
    client = s.native()
    fd = fresh[0].result('new one')
    client.sendall(b'new')
    eq(os.read(fd, 10), b'new', 'data')
    for file in ('accept', 'connect', 'type'):
        got = attempt(os.open, file, os.O_RDWR | os.O_NONBLOCK, dir_fd=held)
        ok(got in ('ENOENT', 'ESTALE'), f'{file} of the one that is gone: {got}')
    os.close(held)
    os.close(fd)
    client.close()


def churn_names(until, seed):
    rng = random.Random(seed)
    while time.monotonic() < until:
        attempt(os.mkdir, f'{SOCK}/c')
        time.sleep(rng.uniform(0, 0.004))
        if rng.random() < 0.3:
            attempt(put_line, f'{SOCK}/c/backlog', str(rng.randrange(3)))
        if rng.random() < 0.2:
            attempt(put_line, f'{SOCK}/c/type', rng.choice(('seqpacket', 'stream', 'dgram')))
        attempt(os.rmdir, f'{SOCK}/c')
    return 0


FINE = {'ENOENT', 'EIDRM', 'ESTALE', 'ECONNREFUSED', 'EOPNOTSUPP', 'EAGAIN', 'EINTR', 'ECONNRESET', 'EPIPE', 'EPROTOTYPE'}


def churn_opens(until, path, flags, seed):
    rng, buffer = random.Random(seed), ctypes.create_string_buffer(1 << 16)
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    while time.monotonic() < until:
        fd = raw_open(path, flags)
        if fd < 0:
            ok(errno.errorcode[-fd].replace('ENOTSUP', 'EOPNOTSUPP') in FINE, f'{path}: {errno.errorcode[-fd]}')
            continue
        for op in (lambda: os.write(fd, b'x' * rng.choice((1, 100, 300_000))), lambda: raw_read(fd, buffer)):
            if rng.random() < 0.5:
                attempt(op)
        os.close(fd)
    return 0


def test_storm():
    """Made, removed and changed while many accept, connect, read and write; nobody hangs, nothing is left."""
    with Left('a storm'):
        until = time.monotonic() + (6 if LONG else 2)
        with Watch() as watch:
            watch.MOMENT = 2  # those who make and remove names wait for each other, for the directory
            pids = [in_child(churn_names, until, i) for i in range(2)]
            for i, (file, flags) in enumerate([('accept', 0), ('accept', os.O_NONBLOCK), ('connect', 0), ('connect', os.O_NONBLOCK),
                                               ('connect', 0), ('accept', 0)]):
                pids.append(in_child(churn_opens, until, f'{SOCK}/c/{file}', os.O_RDWR | flags, i))
            join(pids, 'a storm', 30)
        attempt(os.rmdir, f'{SOCK}/c')
        eq(os.listdir(SOCK), [], 'names')


# ---- thousands ----

def crowd(path, count):
    """A process in which so many threads wait to open; it says when all have come back, and how."""
    ours, theirs = socket.socketpair()

    def wait_all():
        ours.close()
        waiting, base, got = [], parked(), {}
        while len(waiting) < count:
            # Some at a time: of those who look up one name at once, each asks again whenever another gets his node.
            waiting += [Opener(path) for _ in range(min(8, count - len(waiting)))]
            while parked() < base + len(waiting) and all(o.got is None for o in waiting):  # the others may be quick
                pass
        for opener in waiting:
            opener.join()
            name = opener.got if isinstance(opener.got, str) else 'open'
            got[name] = got.get(name, 0) + 1
        theirs.sendall(repr(got).encode())
        theirs.recv(1)
        os._exit(0)
    pid = in_child(wait_all)
    theirs.close()
    return pid, ours


def check_crowd(path, count, what):
    before, memory, workers, fds = metrics(), rss(), threads(), daemon_fds()
    pid, says = crowd(path, count)
    wait_until(lambda: parked() >= before['ipcfs_parked'] + count, f'{count} parked', 60)
    more, each = threads() - workers, (rss() - memory) / count
    time.sleep(0.3)
    used = ticks()
    time.sleep(1)
    used = ticks() - used
    print(f'  {count} wait to {what}: {each:.0f} bytes each, {more} more threads, {daemon_fds() - fds} more descriptors, {used} ticks in a second',
          flush=True)
    ok(more <= 9, f'{more} more threads for {count} who wait to {what}')
    if MEASURE:
        ok(used <= 1, f'{used} ticks of CPU in a second while all wait')
        ok(each <= BYTES_EACH, f'{each:.0f} bytes each, at most {BYTES_EACH} are meant')
    begin = time.monotonic()
    other = Listener('beside')
    client, server = other.pair()
    os.write(client, b'x')
    eq(os.read(server, 10), b'x', 'others')
    os.close(client)
    os.close(server)
    with open(f'{TREE}/beside', 'wb') as f:
        f.write(b'x')
    os.unlink(f'{TREE}/beside')
    other.remove()
    ok(time.monotonic() - begin < SOON / 2, f'others take {time.monotonic() - begin:.2f} s beside them')
    return pid, says


def test_thousands_accept():
    s = Listener()
    with Left('a crowd that was killed'):
        pid, says = check_crowd(s.accept, MANY, 'accept')
        with Watch():
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0], 'the crowd ends', 20)
        says.close()
    with Left('a crowd whose listener went'):
        pid, says = check_crowd(s.accept, MANY, 'accept')
        begin = time.monotonic()
        s.remove()
        eq(says.recv(100), repr({'EIDRM': MANY}).encode(), 'how all end')
        print(f'  ended in {time.monotonic() - begin:.1f} s')
        says.close()
        os.waitpid(pid, 0)
    s = Listener()
    with Left('a crowd that was served'):
        pid, says = crowd(s.accept, MANY // 10)
        wait_parked(MANY // 10, 'a crowd')
        for _ in range(MANY // 10):
            s.native().close()
        eq(says.recv(100), repr({'open': MANY // 10}).encode(), 'how all end')
        says.close()
        os.waitpid(pid, 0)


def test_thousands_connect():
    s = Listener()
    full(s)
    with Left('a crowd that was killed'):
        pid, says = check_crowd(s.connect, MANY, 'connect')
        with Watch():
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0], 'the crowd ends', 20)
        says.close()
    eq(emptied(s), 3, 'in the queue')
    full(s)
    with Left('a crowd whose listener went'):
        pid, says = crowd(s.connect, MANY // 5)
        wait_parked(MANY // 5, 'a crowd')
        s.remove()
        eq(says.recv(100), repr({'EIDRM': MANY // 5}).encode(), 'how all end')
        says.close()
        os.waitpid(pid, 0)


def test_many_listeners_at_once():
    """More full queues than there are keepers: all go on, and nobody else waits for them."""
    count = 100 if MEASURE else 30
    with Left('many listeners'):
        all_of, queues, waiting = [], [], []
        for i in range(count):
            s = Listener(f'm{i}', 'backlog=1')
            all_of.append(s)
            queues += [os.open(s.connect, os.O_RDWR) for _ in range(2)]
            waiting.append(Opener(s.connect, say=b'%d' % i))
        wait_parked(count, 'one of each')
        print(f'  {keepers():g} keepers for {count}')
        begin = time.monotonic()
        extra = Listener('free')
        client, server = extra.pair()
        os.close(client)
        os.close(server)
        ok(time.monotonic() - begin < SOON / 2, 'another is not delayed')
        for i, s in enumerate(all_of):
            for _ in range(2):
                os.close(accept_now(s))
        for i, s in enumerate(all_of):
            fd = os.open(s.accept, os.O_RDWR)
            eq(os.read(fd, 10), b'%d' % i, 'who waited')
            os.close(fd)
            os.close(waiting[i].result('connected'))
        for fd in queues:
            os.close(fd)
        for s in (*all_of, extra):
            s.remove()


main(globals(), after=clean_listeners, about_daemon=True)
