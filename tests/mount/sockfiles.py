# SPDX-License-Identifier: MIT
"""Regular files beside sockets, as servers put them there: lock files, pid files. In a tmpfs and in sock/ alike."""
import fcntl
import mmap
import os
import random
import resource
import signal
import socket
import stat
import struct
import subprocess
import time

from mounttest import MNT, SEED, User, attempt, eq, fields, get, in_child, join, main, ok, put, refused
from twins import SOCK, SOON, clean_twins, sleeps, twice, wait_until

RW, CREAT, EXCL = os.O_RDWR, os.O_CREAT, os.O_EXCL


# ---- PostgreSQL's lock file (CreateLockFile() and AddToDataDirLockFile() of src/backend/utils/init/miscinit.c) ----

def create_lock_file(path, contents):
    for _ in range(100):
        fd = attempt(os.open, path, RW | CREAT | EXCL, 0o600)
        if isinstance(fd, int):
            break
        eq(fd, 'EEXIST', 'the first open')
        fd = os.open(path, os.O_RDONLY, 0o600)
        pid = int(os.read(fd, 8191).split(b'\n')[0])
        os.close(fd)
        if pid != os.getpid() and attempt(os.kill, pid, 0) != 'ESRCH':
            return pid
        os.unlink(path)
    eq(os.write(fd, contents), len(contents), 'write')
    os.fsync(fd)
    os.close(fd)
    return 0


def add_to_lock_file(path, line):
    fd = os.open(path, RW, 0)
    contents = os.read(fd, 8191) + line
    os.lseek(fd, 0, os.SEEK_SET)
    eq(os.write(fd, contents), len(contents), 'write')
    os.fsync(fd)
    os.close(fd)


@twice(SOCK)
def test_lock_file(where):
    path = where + '/.s.PGSQL.5432.lock'
    mine = b'%d\n/var/lib/data\n' % os.getpid()
    eq(create_lock_file(path, mine), 0, 'the lock file is made')
    add_to_lock_file(path, b'5432\n')
    eq(get(path), mine + b'5432\n', 'contents')
    eq(oct(os.stat(path).st_mode), oct(stat.S_IFREG | 0o600), 'mode')
    join([in_child(lambda: eq(create_lock_file(path, b'x'), os.getppid(), 'who has it'))], 'another server')
    before = os.stat(path).st_mtime_ns
    os.utime(path)
    ok(os.stat(path).st_mtime_ns > before, 'it is touched now and then')
    s = socket.socket(socket.AF_UNIX)
    s.bind(where + '/.s.PGSQL.5432')
    s.close()
    dead = in_child(lambda: None)
    os.waitpid(dead, 0)
    put(path, b'%d\n' % dead)
    eq(create_lock_file(path, mine), 0, 'that of a dead server is replaced')
    os.unlink(where + '/.s.PGSQL.5432')
    os.unlink(path)
    eq(os.listdir(where), [], 'names')


# ---- data ----

@twice(SOCK)
def test_data(where):
    """Random writes, reads, sizes, beside the same on a bytearray."""
    rng, shadow = random.Random(SEED), bytearray()
    fd = os.open(where + '/f', RW | CREAT, 0o600)
    append = os.open(where + '/f', os.O_WRONLY | os.O_APPEND)
    for step in range(600):
        op, at, size = rng.randrange(5), rng.randrange(70000), rng.randrange(1, 30000)
        data = rng.randbytes(size)
        if op == 0:
            eq(os.pwrite(fd, data, at), size, 'pwrite')
            shadow.extend(bytes(max(0, at + size - len(shadow))))
            shadow[at:at + size] = data
        elif op == 1 and len(shadow) < 200000:
            eq(os.write(append, data), size, 'append')
            shadow += data
        elif op == 2:
            os.ftruncate(fd, at) if step % 2 else os.truncate(where + '/f', at)
            shadow = shadow[:at] + bytes(max(0, at - len(shadow)))
        elif op == 3:
            os.posix_fallocate(fd, at, size)
            shadow.extend(bytes(max(0, at + size - len(shadow))))
        eq(os.pread(fd, size, at) == shadow[at:at + size], True, f'read of {size} at {at}, step {step}')
        eq(os.fstat(fd).st_size, len(shadow), f'size, step {step}')
    eq(get(where + '/f') == shadow, True, 'all of it')
    os.lseek(fd, 0, os.SEEK_SET)
    eq(os.readv(fd, [bytearray(3), bytearray(4)]), 7, 'readv')
    eq((os.lseek(fd, 0, os.SEEK_CUR), os.lseek(fd, 0, os.SEEK_END)), (7, len(shadow)), 'positions')
    for f in (os.fsync, os.fdatasync):
        eq(f(fd), None, 'fsync')
    os.close(os.open(where + '/f', RW | os.O_TRUNC))
    eq((os.fstat(fd).st_size, os.pread(fd, 10, 0)), (0, b''), 'O_TRUNC')
    os.close(fd)
    os.close(append)


@twice(SOCK)
def test_appends_of_many(where):
    def write(mark):
        fd = os.open(where + '/log', os.O_WRONLY | os.O_APPEND | CREAT, 0o600)
        for i in range(200):
            os.write(fd, b'%c%05d\n' % (mark, i))
    join([in_child(write, 65 + i) for i in range(6)], 'writers')
    lines = get(where + '/log').split(b'\n')[:-1]
    for mark in range(65, 71):
        eq([l for l in lines if l[0] == mark], [b'%c%05d' % (mark, i) for i in range(200)], 'lines of one writer')
    eq(len(lines), 1200, 'lines')


@twice(SOCK)
def test_shell_tools(where):
    script = '''set -e; cd "$1"; echo one > a; echo two >> a; cat a; cp a b; mv b c; cmp a c; sed -i s/two/three/ c; cat c
        seq 5 | tee d | wc -l; wc -c < d; truncate -s 3 d; stat -c %s d; ln a e; rm a; cat e; install -m 640 e f; stat -c %a f
        flock f true; grep -l three *; tar cf - . | tar tf - | sort | tr '\\n' ' '; rm -f ./*'''
    r = subprocess.run(['bash', '-c', script, 'bash', where], capture_output=True, text=True, timeout=10 * SOON)
    want = 'one\ntwo\none\nthree\n5\n10\n3\none\ntwo\n640\nc\n./ ./c ./d ./e ./f '
    eq((r.stdout, r.stderr, r.returncode), (want, '', 0), 'what the shell tools say')


# ---- names ----

@twice(SOCK)
def test_names(where):
    a, b = where + '/a', where + '/b'
    fd = os.open(a, RW | CREAT | EXCL, 0o600)
    refused('EEXIST', os.open, a, RW | CREAT | EXCL)
    os.write(fd, b'kept')
    os.unlink(a)
    eq((os.fstat(fd).st_nlink, os.pread(fd, 9, 0)), (0, b'kept'), 'a removed file that is open')
    os.ftruncate(fd, 2)
    os.fchmod(fd, 0o644)
    eq((os.fstat(fd).st_size, oct(os.fstat(fd).st_mode & 0o777)), (2, '0o644'), 'and is changed')
    os.close(fd)
    put(a, b'A')
    put(b, b'B')
    held = os.open(b, RW)
    os.rename(a, b)
    eq((get(b), os.pread(held, 9, 0), attempt(os.stat, a)), (b'A', b'B', 'ENOENT'), 'rename over an open file')
    os.close(held)
    os.link(b, a)
    eq((os.stat(a).st_nlink, os.stat(a).st_ino), (2, os.stat(b).st_ino), 'a link')
    os.mknod(where + '/c', stat.S_IFREG | 0o640)
    eq((os.stat(where + '/c').st_size, oct(os.stat(where + '/c').st_mode)), (0, oct(stat.S_IFREG | 0o640)), 'mknod')
    refused('ENAMETOOLONG', os.open, where + '/' + 'x' * 256, RW | CREAT)
    refused('ENOTDIR', os.open, a + '/x', RW)
    refused('ENOTDIR', os.open, a, os.O_RDONLY | os.O_DIRECTORY)
    refused('ENOTDIR', os.rmdir, a)


@twice(SOCK)
def test_in_place_of_each_other(where):
    """A file over a socket, a socket over a file: each is then what the name means."""
    def bound(path):
        s = socket.socket(socket.AF_UNIX)
        s.bind(path)
        s.listen()
        return s

    def connect():
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(where + '/x')
    s = bound(where + '/x')
    put(where + '/f', b'file')
    os.rename(where + '/f', where + '/x')
    eq((get(where + '/x'), attempt(connect)), (b'file', 'ECONNREFUSED'), 'a file in place of a socket')
    t = bound(where + '/s')
    os.rename(where + '/s', where + '/x')
    eq((attempt(connect), attempt(os.open, where + '/x', RW)), (None, 'ENXIO'), 'a socket in place of a file')
    for i in range(20):
        os.unlink(where + '/x')
        put(where + '/x', b'%d' % i)
        eq((get(where + '/x'), attempt(connect)), (b'%d' % i, 'ECONNREFUSED'), 'a file of the name')
        os.unlink(where + '/x')
        u = bound(where + '/x')
        eq((attempt(connect), attempt(os.open, where + '/x', RW)), (None, 'ENXIO'), 'a socket of the name')
        u.close()
    s.close()
    t.close()


def test_what_is_not_a_file():
    put(SOCK + '/f', b'')
    refused('EPERM', os.symlink, 'f', SOCK + '/link')
    refused('EPERM', os.mkfifo, SOCK + '/fifo')
    refused('EPERM', os.open, SOCK + '/.ipcfs.f', RW | CREAT)
    refused('EXDEV', os.rename, SOCK + '/f', SOCK + '/../shm/f')
    refused('EXDEV', os.link, SOCK + '/f', SOCK + '/../shm/f')
    refused(('EOPNOTSUPP', 'EISDIR'), os.open, SOCK, RW | os.O_TMPFILE)
    os.mkdir(SOCK + '/d')
    refused('EPERM', os.rename, SOCK + '/f', SOCK + '/d/f')
    refused(('EPERM', 'EISDIR'), os.rename, SOCK + '/f', SOCK + '/d')
    refused(('EPERM', 'ENOTDIR'), os.rename, SOCK + '/d', SOCK + '/f')
    refused('EPERM', os.rename, SOCK + '/d', SOCK + '/e')
    refused('EISDIR', os.open, SOCK + '/d', RW)
    refused('EISDIR', os.open, SOCK + '/d', RW | CREAT)
    refused('EISDIR', os.unlink, SOCK + '/d')
    refused('EEXIST', os.mkdir, SOCK + '/f')
    refused('EEXIST', os.mkdir, SOCK + '/d')
    refused(('EOPNOTSUPP',), os.setxattr, SOCK + '/f', 'user.x', b'y')
    os.rmdir(SOCK + '/d')
    put(SOCK + '/program', get('/bin/true'), 0o755)
    refused('EACCES', os.execv, SOCK + '/program', ['true'])
    eq(sorted(os.listdir(SOCK)), ['f', 'program'], 'names')


# ---- mappings ----

def test_mappings():
    """A shared mapping would need the page cache of another file: it is refused. A private one is a copy."""
    put(SOCK + '/f', b'0123456789' * 1000)
    fd = os.open(SOCK + '/f', RW)
    for prot in (mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE):
        refused('ENODEV', mmap.mmap, fd, 10000, mmap.MAP_SHARED, prot)
    with mmap.mmap(fd, 10000, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as m:
        eq(m[:10], b'0123456789', 'a private mapping')
        m[0:1] = b'x'
        eq(os.pread(fd, 1, 0), b'0', 'the file')
    r = subprocess.run(['grep', '-c', '0', SOCK + '/f'], capture_output=True, text=True)
    eq(r.stdout, '1\n', 'grep')
    os.close(fd)


# ---- locks ----

def lock(kind, length=1, start=0):
    return struct.pack('hhllhh', kind, os.SEEK_SET, start, length, 0, 0)


OFD_SETLK, OFD_SETLKW = 37, 38


@twice(SOCK)
def test_flock(where):
    put(where + '/f', b'')
    a, b = os.open(where + '/f', RW), os.open(where + '/f', RW)
    for how in (fcntl.LOCK_EX, fcntl.LOCK_SH):
        fcntl.flock(a, fcntl.LOCK_EX)
        refused('EAGAIN', fcntl.flock, b, how | fcntl.LOCK_NB)
        fcntl.flock(a, fcntl.LOCK_UN)
    fcntl.flock(a, fcntl.LOCK_SH)
    fcntl.flock(b, fcntl.LOCK_SH | fcntl.LOCK_NB)
    refused('EAGAIN', fcntl.flock, b, fcntl.LOCK_EX | fcntl.LOCK_NB)
    pid = in_child(fcntl.flock, os.open(where + '/f', RW), fcntl.LOCK_EX)
    wait_until(lambda: sleeps(pid), 'a lock is waited for')
    fcntl.flock(a, fcntl.LOCK_UN)  # the child has copies of these: a close would not do
    fcntl.flock(b, fcntl.LOCK_UN)
    join([pid], 'who waits', SOON)
    os.close(a)
    os.close(b)


@twice(SOCK)
def test_range_locks(where):
    path = where + '/f'
    put(path, b'x' * 100)
    fd = os.open(path, RW)
    fcntl.lockf(fd, fcntl.LOCK_EX, 10, 20)

    def other(*args):
        mine = os.open(path, RW)
        try:
            return attempt(fcntl.lockf, mine, fcntl.LOCK_EX | fcntl.LOCK_NB, *args)
        finally:
            os.close(mine)

    def child(want, *args):
        eq(other(*args), want, f'a lock on {args}')
    for want, args in (('EAGAIN', (10, 20)), ('EAGAIN', (1, 29)), (None, (1, 30)), (None, (20, 0)), ('EAGAIN', ())):
        join([in_child(child, want, *args)], 'another process')
    refused('EAGAIN', fcntl.fcntl, os.dup(fd), OFD_SETLK, lock(fcntl.F_WRLCK, 5, 25))
    pid = in_child(lambda: len(fcntl.fcntl(os.open(path, RW), OFD_SETLKW, lock(fcntl.F_WRLCK, 0))) - len(lock(0)))
    wait_until(lambda: sleeps(pid), 'a lock is waited for')
    os.close(os.open(path, os.O_RDONLY))  # a close of the file by its process ends its locks
    join([pid], 'who waits', SOON)
    join([in_child(child, None)], 'another process, then')


@twice(SOCK)
def test_locks_go_with_their_owner(where):
    path = where + '/f'
    put(path, b'')
    for take in (lambda fd: fcntl.flock(fd, fcntl.LOCK_EX), lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX)):
        r, w = os.pipe()

        def holder(take=take, w=w):
            take(os.open(path, RW))
            os.write(w, b'.')
            time.sleep(100)
        pid = in_child(holder)
        os.read(r, 1)
        fd = os.open(path, RW)
        waiter = in_child(lambda take=take: take(os.open(path, RW)))
        wait_until(lambda p=waiter: sleeps(p), 'a lock is waited for')
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        join([waiter], 'who waits for a lock of one that is killed', SOON)
        take(fd)
        for x in (r, w, fd):
            os.close(x)


# ---- limits ----

def beyond(path):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    fd = os.open(path, RW | CREAT, 0o600)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    eq(os.write(fd, b'x' * 2000), 1000, 'a write over the limit')
    refused('EFBIG', os.write, fd, b'x')
    refused('EFBIG', os.ftruncate, fd, 1001)


@twice(SOCK)
def test_size_limit(where):
    join([in_child(beyond, where + '/f')], 'who has a limit')


def test_full():
    """No room where the files are: ENOSPC, what was written before is there, and sockets can be removed."""
    subprocess.run(['mount', '-o', 'remount,size=1m', '/run'], check=True)
    try:
        fd = os.open(SOCK + '/f', RW | CREAT, 0o600)
        size = 0
        while isinstance(n := attempt(os.write, fd, b'x' * 10000), int):
            size += n
        eq((n, os.fstat(fd).st_size), ('ENOSPC', size), 'the write that has no room, and the size')
        ok(900000 < size < 1100000, f'{size} bytes')
        refused('ENOSPC', os.posix_fallocate, fd, 0, 10 << 20)
        os.ftruncate(fd, 0)
        eq(os.write(fd, b'again'), 5, 'a write with room again')
        os.close(fd)
    finally:
        subprocess.run(['mount', '-o', 'remount,size=50%', '/run'], check=True)


def fill(path):
    """What an ordinary user can write, and what ends it."""
    fd = os.open(path + '/mine', RW | CREAT, 0o600)
    size = 0
    while isinstance(n := attempt(os.write, fd, b'x' * 10000), int):
        size += n
    rest = n, attempt(os.posix_fallocate, fd, 0, 900000)
    os.ftruncate(fd, 0)
    eq(os.write(fd, b'again'), 5, 'a write with room again')
    os.unlink(path + '/mine')
    return size, rest


def test_half_is_for_root():
    """The runtime directory is the system's: who is not root leaves half of it, blocks and inodes."""
    user = User(1000, 1000)
    subprocess.run(['mount', '-o', 'remount,size=1m', '/run'], check=True)
    try:
        size, rest = user(fill, SOCK)
        eq(rest, ('ENOSPC', 'ENOSPC'), 'when half is used')
        ok(400000 < size < 540000, f'{size} bytes of 1 MiB')
        subprocess.run(['mount', '-o', 'remount,size=50%,nr_inodes=60', '/run'], check=True)
        n = 0
        while (r := user(attempt, os.mkfifo, f'{MNT}/pipe/{n}')) is None:
            n += 1
        eq(r, 'ENOSPC', 'when half of the inodes are used')
        for call, args in ((os.mkdir, [f'{SOCK}/d']), (os.open, [f'{SOCK}/f', RW | CREAT]), (os.link, [f'{MNT}/pipe/0', f'{MNT}/pipe/l'])):
            eq(user(attempt, call, *args), 'ENOSPC', call.__name__)
        ok(5 < n < 30, f'{n} pipes')
        os.mkfifo(f'{MNT}/pipe/root')
        for name in os.listdir(f'{MNT}/pipe'):
            os.unlink(f'{MNT}/pipe/{name}')
    finally:
        subprocess.run(['mount', '-o', 'remount,size=50%,nr_inodes=1000000', '/run'], check=True)
        user.end()


@twice(SOCK)
def test_many_open(where):
    fds = []
    for i in range(400):
        fds.append(os.open(f'{where}/{i}', RW | CREAT | EXCL, 0o600))
        os.write(fds[-1], b'%d' % i)
    for i in range(0, 400, 2):
        os.unlink(f'{where}/{i}')
    eq([os.pread(fd, 9, 0) for fd in fds], [b'%d' % i for i in range(400)], 'contents')
    for fd in fds:
        os.close(fd)
    eq(len(os.listdir(where)), 200, 'names')
    eq(fields(os.stat(where + '/1'), ('st_size', 'st_nlink')), {'st_size': 1, 'st_nlink': 1}, 'attributes')


main(globals(), clean_twins)
