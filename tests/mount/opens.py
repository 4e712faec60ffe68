# SPDX-License-Identifier: MIT
"""Many opens of one object, in many modes, at once: all work, all show the object, and all are passed through."""
import os
import random
import resource
import threading

from mounttest import (ASAN, NATIVE, PASSTHROUGH, SEED, Requests, attempt, both, eq, get, in_child, join, main,
                       metrics, ok, put, refused)

MODES = [os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_APPEND,
         os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_CREAT, os.O_RDONLY | os.O_CREAT, os.O_RDWR | os.O_NONBLOCK,
         os.O_RDONLY | os.O_NOFOLLOW, os.O_RDWR | os.O_SYNC, os.O_RDONLY | os.O_NOATIME]
SLOT = 64
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


class Passed:
    """No read or write request may reach the daemon inside (with passthrough)."""

    def __enter__(self):
        self.requests = None if NATIVE else Requests()
        return self.requests and self.requests.__enter__()

    def __exit__(self, kind, *rest):
        if self.requests is None:
            return
        self.requests.__exit__()
        if kind is None and PASSTHROUGH:
            eq((self.requests['read'], self.requests['write']), (0, 0), 'read and write requests of passed opens')
        elif kind is None:
            ok(self.requests['write'] > 0, 'without passthrough the daemon must see writes')


def use(fd, flags, native, slot, stamp):
    """Reads and writes as the mode allows; the native view must agree at once."""
    data = b'%016d' % stamp
    if flags & os.O_APPEND:
        size = os.fstat(fd).st_size
        eq(os.write(fd, data), 16, 'append')
        found = get(native)
        ok(found.find(data, size) >= size, 'appended bytes are at the end')
    elif flags & os.O_ACCMODE != os.O_RDONLY:
        eq(os.pwrite(fd, data, slot * SLOT), 16, 'pwrite')
        nfd = os.open(native, os.O_RDONLY)
        eq(os.pread(nfd, 16, slot * SLOT), data, 'written through the mount, read natively')
        os.close(nfd)
    else:
        nfd = os.open(native, os.O_WRONLY)
        os.pwrite(nfd, data, slot * SLOT)
        os.close(nfd)
    if flags & os.O_ACCMODE != os.O_WRONLY and not flags & os.O_APPEND:
        eq(os.pread(fd, 16, slot * SLOT), data, 'read through the mount')
    elif not flags & os.O_APPEND:
        refused('EBADF', os.pread, fd, 16, 0)


def worker(native, mount, slot, seed, rounds, errors):
    rng = random.Random(seed)
    held = []
    try:
        for i in range(rounds):
            flags = rng.choice(MODES)
            fd = os.open(mount, flags, 0o600)
            use(fd, flags, native, slot, seed * 1000003 + i)
            held.append(fd)
            while len(held) > rng.randrange(1, 12):
                os.close(held.pop(rng.randrange(len(held))))
            if rng.random() < 0.05:
                refused('EEXIST', os.open, mount, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    except BaseException as e:
        errors.append(f'slot {slot}: {type(e).__name__}: {e}')
    for fd in held:
        os.close(fd)


def threads(native, mount, first, seed, rounds):
    errors = []
    all_ = [threading.Thread(target=worker, args=(native, mount, first + i, seed * 100 + i, rounds, errors))
            for i in range(4)]
    for t in all_:
        t.start()
    for t in all_:
        t.join()
    ok(not errors, '; '.join(errors[:5]))


def test_processes_and_threads():
    print(f'  seed {SEED}')
    native, mount = both('one')
    put(native, bytes(SLOT * 64))
    with Passed():
        join([in_child(threads, native, mount, p * 4, SEED + p, 60 if ASAN else 400) for p in range(3)], 'openers', 60)


def test_all_modes_held_at_once():
    native, mount = both('held')
    put(native, bytes(SLOT * 64))
    rng = random.Random(SEED)
    print(f'  seed {SEED}')
    with Passed():
        held = [(os.open(mount, flags, 0o600), flags) for _ in range(20) for flags in MODES]
        rng.shuffle(held)
        for i, (fd, flags) in enumerate(held):
            use(fd, flags, native, i % 64, i + 1)
        rng.shuffle(held)
        while held:
            os.close(held.pop()[0])
            if held:
                i = len(held)
                use(*held[rng.randrange(i)], native, i % 64, 5000 + i)


def test_truncating_opens():
    """O_TRUNC empties the object for every descriptor, at every open, also beside a mapping and passed opens."""
    native, mount = both('trunc')
    put(native, b'x' * 10000)
    with Passed():
        old = os.open(mount, os.O_RDWR)
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_APPEND, os.O_RDONLY):
            os.pwrite(old, b'y' * 10000, 0)
            fd = os.open(mount, flags | os.O_TRUNC, 0o600)
            eq((os.fstat(fd).st_size, os.fstat(old).st_size, os.stat(native).st_size), (0, 0, 0), f'size, {flags:#o}')
            eq(os.pread(old, 10, 0), b'', 'read by the old descriptor')
            os.close(fd)
        os.close(old)


def test_exclusive_create():
    """Of many processes that create one name exclusively, natively and through the mount, one wins each round."""
    paths = both('excl')
    wins = os.pipe()

    def contender(path):
        for i in range(100):
            got = attempt(os.open, f'{path}{i}', os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            if isinstance(got, int):
                os.write(wins[1], b'.')
                os.close(got)
            else:
                eq(got, 'EEXIST', 'the loser')
    join([in_child(contender, paths[i % 2]) for i in range(4)], 'contenders')
    os.close(wins[1])
    eq(len(os.read(wins[0], 65536)), 100, 'winners')
    os.close(wins[0])


def test_created_descriptor():
    """The descriptor of the creating open is passed through like any other, with whatever mode the file got."""
    with Passed():
        for i, (flags, mode) in enumerate([(os.O_RDWR, 0o600), (os.O_WRONLY, 0o000), (os.O_RDWR, 0o400),
                                           (os.O_RDWR | os.O_EXCL, 0o200), (os.O_RDONLY, 0o444),
                                           (os.O_RDWR | os.O_TRUNC, 0o666), (os.O_WRONLY | os.O_APPEND, 0o600)]):
            native, mount = both(f'created{i}')
            fd = os.open(mount, os.O_CREAT | flags, mode)
            again = os.open(mount, os.O_RDWR)
            eq(os.stat(native).st_mode & 0o7777, mode & ~0o22, 'mode')
            if flags & os.O_ACCMODE != os.O_RDONLY:
                os.write(fd, b'by the creator')
                eq(get(native), b'by the creator', 'content')
                eq(os.pread(again, 100, 0), b'by the creator', 'content by another descriptor')
            os.close(fd)
            os.pwrite(again, b'again', 0)
            eq(get(native)[:5], b'again', 'content after the creator closed')
            os.close(again)


def test_replaced_while_open():
    """Descriptors of a removed object and of its successors of the same name stay apart, all passed through."""
    native, mount = both('next')
    with Passed():
        held = []
        for i in range(50):
            put(native if i % 2 else mount, b'%d' % i)
            held.append(os.open(mount, MODES[2]))
            os.unlink(mount if i % 3 else native)
        for i, fd in enumerate(held):
            eq((os.pread(fd, 10, 0), os.fstat(fd).st_nlink), (b'%d' % i, 0), f'removed object {i}')
            os.pwrite(fd, b'w%d' % i, 0)
        for i, fd in enumerate(held):
            eq(os.pread(fd, 10, 0), b'w%d' % i, f'removed object {i} after writes')
            os.close(fd)


def test_many_objects_open():
    """More objects open at once than the usual soft limit of descriptors (1024)."""
    n = 1500
    for i in range(n):
        put(both(f'm{i}')[0], b'%d' % i)
    with Passed():
        held = [os.open(both(f'm{i}')[1], os.O_RDWR) for i in range(n)]
        for i, fd in enumerate(held):
            eq(os.pread(fd, 10, 0), b'%d' % i, f'object {i}')
            os.pwrite(fd, b'written', 0)
    if PASSTHROUGH and not NATIVE:
        eq(metrics()['ipcfs_backing_ids'], n, 'ipcfs_backing_ids')
    random.Random(SEED).shuffle(held)
    for fd in held:
        os.close(fd)
    for i in range(0, n, 100):
        eq(get(both(f'm{i}')[0]), b'written', f'object {i}')


def test_dup_and_fork():
    """A descriptor shared by fork and dup keeps one offset and lives until its last copy is closed."""
    native, mount = both('dup')
    fd = os.open(mount, os.O_RDWR | os.O_CREAT, 0o600)
    copy = os.dup(fd)
    os.write(fd, b'abc')
    os.close(fd)
    join([in_child(lambda: eq(os.write(copy, b'def'), 3, 'write of the child'))], 'child')
    os.write(copy, b'ghi')
    eq(get(native), b'abcdefghi', 'content')
    os.close(copy)


main(globals())
