# SPDX-License-Identifier: MIT
"""The data of a connection: all sizes, both directions at once by several processes, poll, signals, half-close."""
import ctypes
import errno
import os
import random
import select
import signal
import socket
import struct
import time

from listeners import (Left, Listener, clean_listeners, parked, raw, raw_read, raw_write, read_exactly,
                       reopened, set_nonblocking, wait_parked, write_all)
from mounttest import ASAN, SEED, Diffs, User, attempt, eq, in_child, join, main, ok, refused
from queues import SOON, Watch, libc, state, wait_until

MB = 1 << 20
LARGE = (16 if ASAN else 160) * MB
BLOCK = random.Random(SEED).randbytes(8 * MB + 4093)  # no power of two: what is repeated or shifted shows


def part(position, size):
    """Of the endless stream that all large transfers carry."""
    position %= len(BLOCK)
    piece = BLOCK[position:position + size]
    return piece if len(piece) == size else piece + part(0, size - len(piece))


def both_ends(kinds=('mount', 'native')):
    """Listener, client's end and accepted end as descriptors, of each sort of client."""
    for kind in kinds:
        s = Listener(f's-{kind}')
        client, server = s.pair(kind)
        fd = client if kind == 'mount' else client.detach()
        yield kind, fd, server
        attempt(os.close, fd)
        attempt(os.close, server)
        s.remove()


def mount_ends(kinds=('mount', 'native')):
    """The same; each descriptor of the mount's in turn with the other end's."""
    for kind, client, server in both_ends(kinds):
        yield kind, server, client
        if kind == 'mount':
            yield kind, client, server


# ---- sizes ----

SIZES = [1, 2, 3, 63, 4095, 4096, 4097, 65535, 65536, 65537, 131072, 212992, MB - 1, MB, MB + 1, 2 * MB, 4 * MB - 1, 4 * MB,
         4 * MB + 1, 9 * MB + 7]


def send_sizes(fd, sizes):
    position = 0
    for size in sizes:
        eq(raw_write(fd, part(position, size)), size, f'a write of {size} waits until all is sent')
        position += size
    os.close(fd)


def receive(fd, total, rng, most=4 * MB):
    position = 0
    while position < total:
        size = rng.choice((1, 7, 4096, 65536, MB, most))
        got = os.read(fd, size)
        ok(0 < len(got) <= size, f'{len(got)} bytes of {size} at {position} of {total}')
        if got != part(position, len(got)):
            raise AssertionError(f'other bytes at {position}, {len(got)} of them')
        position += len(got)
    eq(position, total, 'bytes')


def test_writes_of_all_sizes():
    for kind, fd, other in mount_ends():
        copy = os.dup(fd)
        pid = in_child(send_sizes, copy, SIZES)
        os.close(copy)
        receive(other, sum(SIZES), random.Random(SEED))
        join([pid], f'writer, {kind}')


def test_reads_of_all_sizes():
    """A read gives what is there, never waits for more, and takes no more than it gives."""
    for kind, fd, other in mount_ends():
        position = 0
        for size in SIZES:
            have = min(size, 100_000)
            write_all(fd, part(position, have + 5))
            buffer = ctypes.create_string_buffer(size)
            got = raw_read(other, buffer)
            eq((got, buffer.raw[:got]), (have if size <= have else have + 5, part(position, got)), f'a read of {size}, {kind}')
            rest = have + 5 - got
            eq(os.read(other, 10) if rest else b'', part(position + got, rest), f'what a read of {size} left')
            position += have + 5
        eq((raw_read(other, b''), raw_write(fd, b'')), (0, 0), 'nothing at all')


# ---- both directions ----

def pump(fd, total, seed):
    rng, position = random.Random(seed), 0
    while position < total:
        size = min(rng.choice((1, 100, 4096, 65536, 300_000, MB, 4 * MB)), total - position)
        got = raw_write(fd, part(position, size))
        eq(got, size, f'a write at {position}')
        position += size


def drain(fd, total, seed):
    receive(fd, total, random.Random(seed))


def test_large_transfers_both_ways():
    """Four processes: each end has one that reads and one that writes the same open file."""
    with Left('large transfers'):
        for kind, client, server in both_ends():
            begin = time.monotonic()
            jobs = [(pump, client), (drain, client), (pump, server), (drain, server)]
            with Watch():
                join([in_child(fn, fd, LARGE, i) for i, (fn, fd) in enumerate(jobs)], f'transfer, {kind}', 60)
            took = time.monotonic() - begin
            print(f'  {kind}: 2 x {LARGE // MB} MiB in {took:.1f} s, {2 * LARGE / MB / took:.0f} MiB/s', flush=True)


def read_once(fd, size=100):
    os.write(1, b'')
    return 0 if os.read(fd, size) else 1


def fill(fd):
    """Until nothing more fits; how much did."""
    set_nonblocking(fd)
    count = 0
    while True:
        got = raw_write(fd, b'f' * 65536)
        if got < 0:
            eq(-got, errno.EAGAIN, 'when it is full')
            set_nonblocking(fd, False)
            return count
        count += got


def test_blocked_reader_and_writer_do_not_meet():
    for kind, mine, other in mount_ends():
        base = parked()
        with Watch():
            readers = []
            for i in range(2):
                readers.append(in_child(read_once, mine))
                wait_parked(base + 1 + i, 'readers')
            begin = time.monotonic()
            for i in range(50):
                write_all(mine, b'beside a reader\n')
                eq(os.read(other, 100), b'beside a reader\n', 'written beside blocked readers')
            ok(time.monotonic() - begin < SOON, f'writes beside blocked readers take {time.monotonic() - begin:.2f} s')
            full = fill(mine)
            writers = [in_child(write_all, mine, b'w' * 100) for _ in range(2)]
            wait_parked(base + 4, 'and writers')
            # Everything else of the descriptor goes on beside both.
            begin = time.monotonic()
            os.fstat(mine)
            os.close(os.dup(mine))
            os.close(reopened(mine, os.O_RDWR))
            eq(select.select([mine], [mine], [], 0), ([], [], []), 'select beside both')
            refused('ESPIPE', os.lseek, mine, 0, os.SEEK_CUR)
            refused('ESPIPE', os.pread, mine, 1, 0)
            ok(time.monotonic() - begin < SOON, 'what is asked of the descriptor waits for nobody')
            eq(parked(), base + 4, 'all wait on')
            write_all(other, b'a')
            join([readers.pop(0)], 'the first reader', 5)
            wait_parked(base + 3, 'one byte is for one reader')
            write_all(other, b'b')
            join(readers, 'the second reader', 5)
            eq(len(read_exactly(other, full + 200)), full + 200, 'all that was written')
            join(writers, 'writers', 5)


def write_lines(fd, number, count):
    rng = random.Random(number)
    for i in range(count):
        line = b'%d %d ' % (number, i) + b'x' * rng.randrange(16000) + b'\n'
        eq(raw_write(fd, line), len(line), 'a line')


def test_lines_stay_whole():
    """Several processes write to one open file: a write(2) of a moderate size is not mixed with another's, as natively."""
    count = 300
    for kind, fd, other in mount_ends():
        writers = [in_child(write_lines, fd, i, count) for i in range(5)]
        seen_of, rest = [0] * 5, b''
        while sum(seen_of) < 5 * count:
            *lines, rest = (rest + os.read(other, 300_000)).split(b'\n')
            for line in lines:
                number, i, filling = line.split(b' ')
                eq((int(i), filling.strip(b'x')), (seen_of[int(number)], b''), f'{kind}: a line of writer {number}')
                seen_of[int(number)] += 1
        eq(rest, b'', 'after the last line')
        join(writers, 'writers')


def test_large_writers_do_not_meet():
    """Of one open file, each with a write(2) that the kernel cuts in several, whatever the descriptor was asked before."""
    before = [lambda fd: None, os.fstat, lambda fd: os.stat(f'/proc/self/fd/{fd}'), lambda fd: attempt(os.fchmod, fd, 0o600),
              lambda fd: attempt(os.utime, fd), lambda fd: attempt(os.ftruncate, fd, 0), lambda fd: os.write(fd, b'x' * 5000)]
    for kind, fd, other in mount_ends():
        base = parked()
        for i, ask in enumerate(before):
            ask(fd)
            with Watch():
                writers = []
                for size in (MB + 1, 5 * MB, 100):
                    writers.append(in_child(raw_write, fd, b'x' * size))
                    wait_parked(base + len(writers), f'writer {len(writers)} after {i}, {kind}')
                for pid in reversed(writers):
                    os.kill(pid, signal.SIGKILL)
                    wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0], 'a killed writer ends', SOON)
            wait_parked(base, 'afterwards')
            read_some(other)


# ---- not waiting ----

def test_nonblocking():
    for how in ('open', 'fcntl'):
        s = Listener('n')
        for kind in ('mount', 'native'):
            refused('EAGAIN', os.open, s.accept, os.O_RDWR | os.O_NONBLOCK)
            flags = os.O_RDWR | (os.O_NONBLOCK if how == 'open' else 0)
            client = os.open(s.connect, flags) if kind == 'mount' else s.native().detach()
            server = os.open(s.accept, flags)
            for fd in (client, server):
                if how == 'fcntl' or kind == 'native':
                    set_nonblocking(fd)
            for fd, other in ((client, server), (server, client)):
                refused('EAGAIN', os.read, other, 1)
                sent = 0
                while (got := raw_write(fd, part(sent, 4 * MB))) > 0:
                    ok(got < 4 * MB, 'not all fits')
                    sent += got
                eq(-got, errno.EAGAIN, f'a full one, {how} {kind}')
                ok(sent > 100_000, f'only {sent} fit')
                eq(raw_write(fd, b'x'), -errno.EAGAIN, 'it stays so')
                received = 0
                while isinstance(data := attempt(os.read, other, 70_001), bytes):
                    eq(data, part(received, len(data)), f'bytes at {received}')
                    received += len(data)
                eq((data, received), ('EAGAIN', sent), 'as much as was sent')
                set_nonblocking(other, False)
                pid = in_child(read_once, other)
                time.sleep(0.05)
                eq(os.waitpid(pid, os.WNOHANG)[0], 0, 'it waits when it is set to block again')
                os.write(fd, b'x')
                join([pid], 'blocking again', 5)
                set_nonblocking(other)
            os.close(client)
            os.close(server)
        s.remove()


# ---- poll ----

EVENTS = select.POLLIN | select.POLLOUT | select.POLLPRI | select.POLLRDHUP


def seen(fd, flags=EVENTS):
    p = select.poll()
    p.register(fd, flags)
    got = p.poll(0)
    return got[0][1] if got else 0


def drained(fd):
    set_nonblocking(fd)
    total = 0
    while (got := raw_read(fd, ctypes.create_string_buffer(65536))) > 0:
        total += got
    set_nonblocking(fd, False)
    return total


def test_poll_as_natively():
    """Step by step beside a native pair; the same bits all along."""
    diffs = Diffs()
    steps = [
        ('new', lambda a, b: None),
        ('data for both', lambda a, b: (os.write(a, b'x'), os.write(b, b'yy'))),
        ('read', lambda a, b: (os.read(a, 10), os.read(b, 10))),
        ('filled', lambda a, b: fill(a)),
        ('filled both ways', lambda a, b: fill(b)),
        ('emptied', lambda a, b: (drained(b), drained(a))),
        ('data at the end', lambda a, b: os.write(b, b'last')),
        ('b closed', lambda a, b: os.close(b)),
        ('read after that', lambda a, b: os.read(a, 100)),
    ]
    for kind, client, server in both_ends():
        for swap in (False, True):
            native = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            na, nb = native[0].detach(), native[1].detach()
            s = Listener('poll')
            fd, accepted = s.pair(kind)
            ma, mb = (fd if kind == 'mount' else fd.detach()), accepted
            if swap:
                ma, mb = mb, ma
            for name, step in steps:
                step(na, nb)
                step(ma, mb)
                is_open = 'closed' not in name and 'after' not in name
                time.sleep(0.05 if not is_open else 0.002)  # what is closed is told a moment later
                for what, n, m in (('a', na, ma), ('b', nb, mb)):
                    if what == 'a' or is_open:
                        for flags in (EVENTS, select.POLLIN, select.POLLOUT, 0):
                            diffs.same(seen(n, flags), seen(m, flags), f'{kind} {swap} {name}: {what} {flags:#x}')
                diffs.same(select.select([na], [na], [na], 0) == ([na], [na], []), select.select([ma], [ma], [ma], 0) == ([ma], [ma], []),
                           f'select {kind} {name}')
            os.close(na)
            os.close(ma)
            s.remove()
    diffs.finish(200)


def test_poll_wakes():
    """Who waits by poll, select or epoll is woken by each thing that natively wakes."""
    for kind, fd, other in mount_ends():
        for wait in (lambda f, e: seen_within(f, e), epolled):
            pid = in_child(wait, fd, select.POLLIN)
            time.sleep(0.1)
            os.write(other, b'x')
            join([pid], f'poll for data, {kind}', 5)
            os.read(fd, 10)
            full = fill(fd)
            pid = in_child(wait, fd, select.POLLOUT)
            time.sleep(0.1)
            read_exactly(other, full)
            join([pid], f'poll for room, {kind}', 5)
    for kind, client, server in both_ends():
        pid = in_child(wait_for_end, server, client)
        time.sleep(0.1)
        os.close(client)
        join([pid], f'poll for the end, {kind}', 5)


def wait_for_end(fd, other):
    os.close(other)
    return seen_within(fd, select.POLLIN) or os.read(fd, 1) != b''


def seen_within(fd, event, seconds=5):
    p = select.poll()
    p.register(fd, event)
    begin = time.monotonic()
    got = p.poll(seconds * 1000)
    return 0 if got and got[0][1] & event and time.monotonic() - begin < seconds - 1 else 1


def epolled(fd, event):
    with select.epoll() as e:
        e.register(fd, event | select.EPOLLET)
        return 0 if e.poll(5) else 1


def test_edges():
    """Edge-triggered: who goes on to EAGAIN, or to a short read, is told of what comes after it, once."""
    for kind, fd, other in mount_ends():
        set_nonblocking(fd)
        with select.epoll() as poller:
            poller.register(fd, select.EPOLLIN | select.EPOLLET)
            eq(poller.poll(0.05), [], 'nothing yet')
            for turn in range(5):
                write_all(other, b'x' * 100)
                eq(poller.poll(5), [(fd, select.EPOLLIN)], f'{kind}: data {turn}')
                quiet(poller, f'{kind}: the same data')
                if turn % 2:
                    eq(len(os.read(fd, 200)), 100, 'a short read')
                else:
                    eq(drained_now(fd), 100, 'all there is')
        with select.epoll() as poller:
            poller.register(fd, select.EPOLLOUT | select.EPOLLET)
            for turn in range(3):
                eq(poller.poll(5), [(fd, select.EPOLLOUT)], f'{kind}: room {turn}')
                count = 0
                while (got := raw_write(fd, b'x' * 65536)) > 0:
                    count += got
                quiet(poller, f'{kind}: full')
                read_exactly(other, count)
        set_nonblocking(fd, False)


def quiet(poller, what):
    """It may be said twice (a notice that was on its way), but not again and again."""
    ok(sum(bool(poller.poll(0.03)) for _ in range(3)) <= 1, what)


def drained_now(fd):
    total = 0
    while (got := raw_read(fd, ctypes.create_string_buffer(64))) > 0:
        total += got
    return total


# ---- signals ----

def test_read_is_interrupted():
    for kind, client, server in both_ends():
        for fd in (client, server):
            signal.signal(signal.SIGALRM, lambda *_: None)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            begin = time.monotonic()
            eq(raw_read(fd, ctypes.create_string_buffer(10)), -errno.EINTR, f'a read, {kind}')
            ok(time.monotonic() - begin < SOON, 'it ends at once')


def test_write_is_interrupted():
    """With what was sent of it; EINTR where that is nothing."""
    for kind, fd, other in mount_ends():
        for size in (300_000, MB, 4 * MB, 4 * MB + 77):
            signal.signal(signal.SIGALRM, lambda *_: None)
            signal.setitimer(signal.ITIMER_REAL, 0.1, 0.05)
            sent = raw_write(fd, part(0, size))
            signal.setitimer(signal.ITIMER_REAL, 0)
            ok(0 < sent < size, f'{kind}: {sent} of {size} are sent')
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            more = raw_write(fd, part(sent, 10_000))
            ok(more == -errno.EINTR or 0 < more < 10_000, f'where nothing fits: {more}')
            sent += max(more, 0)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            ok(raw_write(fd, b'z') in (-errno.EINTR, 1) or sent, 'full')
            got = read_some(other)
            eq((len(got) - sent in (0, 1), got[:sent] == part(0, sent)), (True, True), f'{kind}: what came of {sent}')


def read_some(fd):
    set_nonblocking(fd)
    parts = []
    while isinstance(data := attempt(os.read, fd, MB), bytes) and data:
        parts.append(data)
    set_nonblocking(fd, False)
    return b''.join(parts)


def rainy_writer(fd, total, seed):
    rng, position, cut = random.Random(seed), 0, 0
    signal.signal(signal.SIGALRM, lambda *_: None)
    while position < total:
        size = min(rng.choice((10, 5000, 200_000, 2 * MB)), total - position)
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0001, 0.003), 0.002)
        got = raw_write(fd, part(position, size))
        ok(got > 0 or got == -errno.EINTR, f'a write: {got}')
        cut += got != size
        position += max(got, 0)
        if rng.random() < 0.3:
            time.sleep(0.01)
    signal.setitimer(signal.ITIMER_REAL, 0)
    ok(cut or ASAN, 'none was cut short')


def rainy_reader(fd, total, seed):
    rng, position, cut = random.Random(seed), 0, 0
    buffer = ctypes.create_string_buffer(2 * MB)
    signal.signal(signal.SIGALRM, lambda *_: None)
    while position < total:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0001, 0.003), 0.002)
        got = raw(libc.read, fd, buffer, ctypes.c_size_t(rng.choice((10, 5000, 200_000, 2 * MB))))
        ok(got > 0 or got == -errno.EINTR, f'a read: {got}')
        cut += got < 0
        ok(buffer.raw[:max(got, 0)] == part(position, max(got, 0)), f'other bytes at {position}')
        position += max(got, 0)
        if rng.random() < 0.02:
            time.sleep(0.01)
    signal.setitimer(signal.ITIMER_REAL, 0)
    ok(cut or ASAN, 'none was interrupted')


def test_conservation_under_signals():
    """Nothing is lost or doubled between what is counted here and what comes there."""
    total = (4 if ASAN else 24) * MB
    for kind, client, server in both_ends():
        jobs = [(rainy_writer, client), (rainy_reader, server), (rainy_writer, server), (rainy_reader, client)]
        join([in_child(fn, fd, total, i) for i, (fn, fd) in enumerate(jobs)], f'under signals, {kind}', 60)


def test_killed():
    """Readers and writers that are killed or stopped hold up nobody, and take nothing with them."""
    for kind, fd, other in mount_ends():
        base = parked()
        with Watch():
            pids = [in_child(read_once, fd) for _ in range(4)]
            wait_parked(base + 4, 'readers')
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0], 'a killed reader ends', SOON)
            wait_parked(base, 'readers afterwards')
            write_all(other, b'for the living')
            eq(os.read(fd, 100), b'for the living', 'after readers were killed')
            full = fill(fd)
            pids = [in_child(write_all, fd, b'd' * 3 * MB) for _ in range(3)]
            wait_parked(base + 3, 'writers')
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0], 'a killed writer ends', SOON)
            wait_parked(base, 'writers afterwards')
            got = len(read_some(other))
            ok(full <= got < full + 3 * MB, f'{got} came, {full} had been written')
            write_all(fd, b'again')
            eq(os.read(other, 100), b'again', 'after writers were killed')


def test_stopped_reader():
    """What comes meanwhile is there for him, or for whoever else reads."""
    for kind, fd, other in mount_ends():
        base = parked()
        pid = in_child(read_once, fd)
        wait_parked(base + 1, 'the reader')
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: state(pid)[0] == 'T', 'it stops')
        write_all(other, b'x')
        os.kill(pid, signal.SIGCONT)
        join([pid], f'a reader that was stopped, {kind}', 5)
        eq(attempt_nonblocking(fd), 'EAGAIN', 'he has taken it')
        os.kill(pid := in_child(read_once, fd), signal.SIGSTOP)
        write_all(other, b'y')
        time.sleep(0.1)
        got = attempt_nonblocking(fd)
        os.kill(pid, signal.SIGCONT)
        if got == b'y':
            write_all(other, b'z')
        join([pid], 'the other', 5)


def attempt_nonblocking(fd):
    set_nonblocking(fd)
    got = attempt(os.read, fd, 100)
    set_nonblocking(fd, False)
    return got


# ---- half-close, several descriptors ----

def ended(fd, what):
    """The other end sends nothing more: a blocking read returns 0, soon."""
    ok(seen_within(fd, select.POLLIN) == 0, f'{what}: nothing to be seen')
    eq(os.read(fd, 10), b'', what)


def broken(fd, what):
    """Nobody reads there: EPIPE, soon; until then writes are taken."""
    wait_until(lambda: attempt(os.write, fd, b'x') == 'EPIPE', what)


signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def test_native_half_close():
    s = Listener()
    client, server = s.pair('native')
    os.write(server, b'before')
    client.sendall(b'request')
    client.shutdown(socket.SHUT_WR)
    eq(os.read(server, 100), b'request', 'what was sent before')
    ended(server, 'after SHUT_WR')
    write_all(server, b' and after')
    eq(client.recv(100), b'before and after', 'the other direction')
    os.close(server)
    eq(client.recv(10), b'', 'closed')
    client, server = s.pair('native')
    client.shutdown(socket.SHUT_RD)
    broken(server, 'EPIPE after SHUT_RD')
    client.sendall(b'still')
    eq(os.read(server, 100), b'still', 'the other direction')
    client.close()
    ended(server, 'after close')
    os.close(server)


def test_half_close_by_reopening():
    for kind, fd, other in mount_ends():
        if kind == 'native' and fd == client:
            continue
        reader = reopened(fd, os.O_RDONLY)
        refused('EBADF', os.write, reader, b'x')
        os.write(fd, b'last words')
        os.close(fd)
        eq(os.read(other, 100), b'last words', 'before the end')
        ended(other, f'half-closed, {kind}')
        write_all(other, b'answer')
        eq(os.read(reader, 100), b'answer', 'the other direction')
        late = reopened(reader, os.O_RDWR)
        broken(late, 'a direction that is over')
        os.close(late)
        os.close(other)
        ended(reader, 'all closed')
        os.close(reader)
        break


def test_half_close_of_reading():
    for kind, client, server in both_ends():
        writer = reopened(server, os.O_WRONLY)
        refused('EBADF', os.read, writer, 10)
        os.close(server)
        broken(client, f'nobody reads, {kind}')
        write_all(writer, b'on')
        eq(os.read(client, 10), b'on', 'the other direction')
        os.close(writer)
        ok(attempt(os.read, client, 10) in (b'', 'ECONNRESET'), 'all closed')  # what nobody read may be there


def test_one_direction_from_the_start():
    """A connection opened for one direction alone: as exec 3< connect."""
    s = Listener()
    for kind in ('reads', 'writes'):
        fd = os.open(s.connect, os.O_RDONLY if kind == 'reads' else os.O_WRONLY)
        server = os.open(s.accept, os.O_RDWR)
        if kind == 'reads':
            write_all(server, b'news')
            eq(os.read(fd, 10), b'news', 'read')
            refused('EBADF', os.write, fd, b'x')
        else:
            write_all(fd, b'news')
            eq(os.read(server, 10), b'news', 'written')
            refused('EBADF', os.read, fd, 10)
        os.close(fd)
        ended(server, f'closed, {kind}')
        os.close(server)


def test_another_process_still_has_it():
    for kind, client, server in both_ends():
        ours, theirs = socket.socketpair()

        def keep(fd=server):
            ours.close()
            theirs.recv(1)
            os.write(fd, b'child')
            return 0
        pid = in_child(keep)
        os.close(server)
        time.sleep(0.05)
        eq(seen(client), select.POLLOUT, f'the child has it, {kind}')
        os.write(client, b'x')
        ours.send(b'x')
        join([pid], 'child', 5)
        eq(os.read(client, 10), b'child', 'from the child')
        # What nobody read is there when it is closed: the other end is told (unix(7)).
        ok(wait_until(lambda: attempt(os.read, client, 10) in ('ECONNRESET', b''), 'then it is closed'), 'closed')
        ours.close()
        theirs.close()


def test_reopened_by_others():
    """By /proc/PID/fd/N of another process: the same connection, with the rights of the file."""
    s = Listener(options='mode=0600')
    client, server = s.pair()
    path, child = f'/proc/{os.getpid()}/fd/{server}', User(1000, 1000)
    refused(('EACCES', 'EPERM'), child, os.open, path, os.O_RDWR)
    child.end()

    def other():
        fd = os.open(path, os.O_RDWR)
        os.write(fd, b'from another')
        return 0 if os.read(fd, 10) == b'to it' else 1
    pid = in_child(other)
    eq(os.read(client, 100), b'from another', 'data')
    os.write(client, b'to it')
    join([pid], 'another process', 5)
    eq(seen(client), select.POLLOUT, 'still open')
    os.close(server)
    ended(client, 'closed')
    os.close(client)


def test_many_descriptors_of_one():
    """Opened again and closed at random, by several processes, while data goes both ways."""
    total = (2 if ASAN else 12) * MB
    for kind, client, server in both_ends():
        stop = time.monotonic() + (3 if ASAN else 1)

        def churn(seed):
            rng, mine = random.Random(seed), []
            while time.monotonic() < stop:
                if len(mine) < 30 and rng.random() < 0.6:
                    mine.append(reopened(rng.choice([server, *mine]), rng.choice((os.O_RDWR, os.O_RDONLY, os.O_WRONLY))))
                elif mine:
                    os.close(mine.pop(rng.randrange(len(mine))))
            return 0
        jobs = [in_child(churn, i) for i in range(3)]
        jobs += [in_child(pump, client, total, 1), in_child(drain, server, total, 2),
                 in_child(pump, server, total, 3), in_child(drain, client, total, 4)]
        join(jobs, f'descriptors, {kind}', 40)
        eq(seen(client), select.POLLOUT, 'still open, nothing is left in it')
        os.close(server)
        ended(client, 'closed')


def test_closed_in_one_thread():
    """close(2) while a read of another thread waits: as natively, the read goes on with what comes."""
    import threading
    for kind, client, server in both_ends():
        base, got = parked(), []
        fd = os.dup(server)
        t = threading.Thread(target=lambda: got.append(attempt(os.read, fd, 10)), daemon=True)
        t.start()
        wait_parked(base + 1, 'reader')
        os.close(fd)
        os.write(client, b'x')
        t.join(5)
        ok(got in ([b'x'], ['EBADF']), f'{kind}: a read beside close: {got}')


def test_peer_dies():
    """With data of ours unread: what it sent is there first, then the error, as natively."""
    diffs = Diffs()
    for kind in ('mount', 'native'):
        s = Listener()
        fd, server = s.pair(kind)
        client = fd if kind == 'mount' else fd.detach()
        na, nb = (x.detach() for x in socket.socketpair())
        for a, b in ((client, server), (na, nb)):
            os.write(b, b'unread')
            os.write(a, b'last')
            os.close(a)
        time.sleep(0.1)
        for what, op in (('read', lambda fd: attempt(os.read, fd, 10)), ('again', lambda fd: attempt(os.read, fd, 10)),
                         ('third', lambda fd: attempt(os.read, fd, 10)), ('write', lambda fd: attempt(os.write, fd, b'x')), ('poll', seen)):
            diffs.same(op(nb), op(server), f'{what}, {kind}')
        os.close(nb)
        os.close(server)
        s.remove()
    diffs.finish(10)


# ---- what else a native end may send ----

def refuses_descriptors():
    """Linux 6.16 can: SO_PASSRIGHTS."""
    one, other = socket.socketpair()
    supported = not attempt(one.setsockopt, socket.SOL_SOCKET, 83, 0)
    one.close()
    other.close()
    return supported


def lingering():
    """A TCP socket that takes a while to close, by whoever closes it last; and what it is connected to."""
    server = socket.create_server(('127.0.0.1', 0))
    s = socket.create_connection(server.getsockname())
    other = server.accept()[0]
    s.setblocking(False)
    while attempt(s.send, b'x' * 65536) != 'EAGAIN':
        pass
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 20))
    server.close()
    return s, other


def test_descriptors_sent():
    """They reach nobody, and the daemon waits for nothing that becomes of them."""
    for kind in ('stream', 'seqpacket', 'dgram'):
        s = Listener(options=f'type={kind}')
        if kind == 'dgram':
            client, server = s.native(kind), os.open(s.recv, os.O_RDONLY | os.O_DIRECT)
        else:
            client, server = s.pair('native', kind=kind)
        supported = refuses_descriptors()
        base, slow = parked(), lingering() if supported else None
        for waits in (False, True):
            pid = in_child(read_once, server) if waits else 0
            if waits:
                wait_parked(base + 1, 'reader')
            back, end = os.pipe()
            sent = attempt(socket.send_fds, client, [b'with'], [end, *([slow[0].fileno()] if slow else [])])
            eq(sent, 'EPERM' if supported else 4, f'sending descriptors, {kind}')
            os.close(end)
            if supported:
                client.send(b'without')
            if waits:
                join([pid], 'reader', 5)
            else:
                eq(os.read(server, 100), b'without' if supported else b'with', 'data')
            ok(seen_within(back, select.POLLHUP) == 0, 'a descriptor that was sent is closed')
            os.close(back)
        if slow:
            slow[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 0, 0))
            slow[0].close()
            slow[1].close()
        client.close()
        os.close(server)
        s.remove()


main(globals(), after=clean_listeners, about_daemon=True)
