# SPDX-License-Identifier: MIT
"""Many processes make, move, remove and use pipes, sockets and files of few names at once.

Whatever they meet is what they would meet natively: never ESTALE, nothing of the wrong type, and nobody hangs.
"""
import os
import random
import signal
import socket
import time

from mounttest import ASAN, ERRNO, LONG, SEED, in_child, join, main, ok
from twins import PIPE, SOCK, SOON, clean_twins, twice

SECONDS, PROCESSES, NAMES = (6 if LONG else 2), 6, 4
NB = os.O_NONBLOCK
# What can be met natively, too.
EXPECTED = {'ENOENT', 'EEXIST', 'ENXIO', 'ECONNREFUSED', 'EADDRINUSE', 'EAGAIN', 'EPROTOTYPE', 'EPIPE',
            'ECONNRESET'}


def open_pipe(path, rng):
    fd = os.open(path, os.O_RDWR | NB | rng.choice((0, os.O_APPEND, os.O_TRUNC)))
    try:
        os.write(fd, b'x')
        st = os.fstat(fd)
        ok(st.st_nlink <= NAMES and st.st_size == 0, f'attributes of an open pipe: {st}')
        os.read(fd, 100)
        os.close(os.open(f'/proc/self/fd/{fd}', os.O_RDONLY | NB))
    finally:
        os.close(fd)


def connect(path, rng):
    with socket.socket(socket.AF_UNIX, rng.choice((socket.SOCK_STREAM, socket.SOCK_DGRAM))) as s:
        s.setblocking(False)
        s.connect(path)
        s.send(b'x')


def bind(path, rng):
    s = socket.socket(socket.AF_UNIX, rng.choice((socket.SOCK_STREAM, socket.SOCK_DGRAM)))
    try:
        s.bind(path)
        if s.type == socket.SOCK_STREAM:
            s.listen(rng.randrange(5))
    except OSError:
        s.close()
        raise
    bound.append(s)
    if len(bound) > 3:
        bound.pop(0).close()


bound = []


def file(path, rng):
    fd = os.open(path, os.O_RDWR | rng.choice((os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_TRUNC, 0)), 0o644)
    try:
        os.write(fd, b'x' * rng.randrange(1, 100))
        ok(os.fstat(fd).st_nlink <= NAMES, 'links')
        os.fsync(fd)
        os.ftruncate(fd, 3)
    finally:
        os.close(fd)


NAMES_OPS = {
    'unlink': lambda p, q, rng: os.unlink(p),
    'rename': lambda p, q, rng: os.rename(p, q),
    'link': lambda p, q, rng: os.link(p, q),
    'chmod': lambda p, q, rng: os.chmod(p, rng.choice((0o600, 0o644, 0o777))),
    'chown': lambda p, q, rng: os.chown(p, -1, 0),
    'utime': lambda p, q, rng: os.utime(p),
    'stat': lambda p, q, rng: os.lstat(p),
    'list': lambda p, q, rng: os.listdir(os.path.dirname(p)),
    'scan': lambda p, q, rng: [e.is_symlink() for e in os.scandir(os.path.dirname(p))],
}
PIPE_OPS = NAMES_OPS | {'mkfifo': lambda p, q, rng: os.mkfifo(p), 'open': lambda p, q, rng: open_pipe(p, rng),
                        'open again': lambda p, q, rng: open_pipe(p, rng)}
SOCK_OPS = NAMES_OPS | {'bind': lambda p, q, rng: bind(p, rng), 'connect': lambda p, q, rng: connect(p, rng),
                        'connect again': lambda p, q, rng: connect(p, rng), 'file': lambda p, q, rng: file(p, rng)}


def storm(where, ops, seed):
    signal.alarm(SECONDS + 3 * SOON)
    rng, counts, end = random.Random(seed), dict.fromkeys(ops, 0), time.monotonic() + SECONDS
    names = list(ops)
    while time.monotonic() < end or (time.monotonic() < end + 2 * SOON and not all(counts.values())):
        name = rng.choice(names)
        p, q = (f'{where}/n{rng.randrange(NAMES)}' for _ in range(2))
        try:
            ops[name](p, q, rng)
            counts[name] += 1
        except OSError as e:
            ok(ERRNO.get(e.errno) in EXPECTED, f'{name}: {e}')
    never = [n for n in names if not counts[n]]
    ok(not never, f'never done: {never}')
    if seed == SEED:
        print('  ' + ', '.join(f'{n} {c}' for n, c in counts.items()), flush=True)


def run(where, ops):
    join([in_child(storm, where, ops, SEED + i) for i in range(PROCESSES)], 'storm', SECONDS + 4 * SOON)


@twice(PIPE)
def test_pipes(where):
    run(where, PIPE_OPS)


@twice(SOCK)
def test_sockets(where):
    run(where, SOCK_OPS)


main(globals(), clean_twins)
