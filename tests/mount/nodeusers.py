# SPDX-License-Identifier: MIT
"""What each user may do with pipes, sockets and files of pipe/ and sock/ is what he may do in a native directory like /tmp.

Every case makes two equal nodes, one in a tmpfs and one through the mount; one user does the same with both; result or
errno, and then both nodes, must be equal.
"""
import ctypes
import os
import socket
import stat

from mounttest import LONG, SEED, Diffs, User, attempt, main, ok, put
from twins import PIPE, SOCK, TWIN, clean_twins, make_twin

libc = ctypes.CDLL(None, use_errno=True)
A, B = (1001, 2001, (3001, 3002)), (1002, 2002, (3002,))
OWNERS = [(1001, 2001), (1002, 2002), (0, 0), (1002, 3001), (4444, 2001)]
MODES = [0o000, 0o400, 0o200, 0o600, 0o644, 0o640, 0o660, 0o666, 0o060, 0o040, 0o020, 0o004, 0o002, 0o006, 0o777, 0o1666,
         0o4755, 0o2755, 0o2745, 0o6777]
# Each owner and each mode is among them; all of them where there is time.
PAIRS = [(o, m) for i, o in enumerate(OWNERS) for j, m in enumerate(MODES) if LONG or (i + j + SEED) % 3 == 0]
NB = os.O_NONBLOCK
UTIME_NOW, UTIME_OMIT = 0x3fffffff, 0x3ffffffe


def utimens(path, *times):
    flat = (ctypes.c_long * 4)(times[0][0], times[0][1], times[1][0], times[1][1])
    if libc.utimensat(-100, path.encode(), flat, 0):
        raise OSError(ctypes.get_errno(), 'utimensat')


def opened(flags, then=None):
    def op(path):
        fd = os.open(path, flags, 0o666)
        try:
            return then(fd) if then else 'opened'
        finally:
            os.close(fd)
    return op


def connect(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        return 'connected'


def bind(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path + '.new')
        return 'bound'


ANY = {
    'open path': opened(os.O_PATH),
    'open excl': opened(os.O_RDWR | os.O_CREAT | os.O_EXCL | NB),
    'chmod 640': lambda p: os.chmod(p, 0o640),
    'chmod 7777': lambda p: os.chmod(p, 0o7777),
    'chmod 2711': lambda p: os.chmod(p, 0o2711),
    'chown self': lambda p: os.chown(p, os.getuid(), -1),
    'chown other': lambda p: os.chown(p, 7777, -1),
    'chgrp own': lambda p: os.chown(p, -1, os.getgid()),
    'chgrp extra': lambda p: os.chown(p, -1, 3002),
    'chgrp foreign': lambda p: os.chown(p, -1, 7777),
    'utimens now': lambda p: os.utime(p),
    'utimens explicit': lambda p: os.utime(p, ns=(10**18 + 1, 10**18 + 2)),
    'utimens now, omit': lambda p: utimens(p, (0, UTIME_NOW), (0, UTIME_OMIT)),
    'utimens omit, explicit': lambda p: utimens(p, (0, UTIME_OMIT), (5, 6)),
    'unlink': os.unlink,
    'rmdir': os.rmdir,
    'rename': lambda p: os.rename(p, p + '.new'),
    'rename over': lambda p: os.rename(p, p + '.other'),
    'link': lambda p: os.link(p, p + '.new'),
    'link over': lambda p: os.link(p, p + '.other'),
    'access': lambda p: [os.access(p, m) for m in (os.F_OK, os.R_OK, os.W_OK, os.X_OK, os.R_OK | os.W_OK)],
    'stat': lambda p: os.stat(p).st_mode,
    'truncate': lambda p: os.truncate(p, 3),
    'list': lambda p: len(os.listdir(os.path.dirname(p))),
}
OPENS = {
    'open r': opened(os.O_RDONLY | NB),
    'open w': opened(os.O_WRONLY | NB),
    'open rw': opened(os.O_RDWR | NB),
    'open rw trunc': opened(os.O_RDWR | os.O_TRUNC | NB),
    'open creat': opened(os.O_RDWR | os.O_CREAT | NB),
    'open creat r': opened(os.O_RDONLY | os.O_CREAT | NB),
    'open creat w trunc': opened(os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NB),
    'open noatime': opened(os.O_RDONLY | os.O_NOATIME | NB),
    'reopen': opened(os.O_PATH, lambda fd: opened(os.O_RDWR | NB)(f'/proc/self/fd/{fd}')),
    'fchmod': opened(os.O_RDONLY | NB, lambda fd: os.fchmod(fd, 0o2755)),
    'fchown': opened(os.O_RDONLY | NB, lambda fd: os.fchown(fd, -1, 3002)),
    'futimens': opened(os.O_RDONLY | NB, lambda fd: os.utime(fd, ns=(3, 4))),
}
DATA = {
    'write': opened(os.O_WRONLY, lambda fd: os.write(fd, b'X')),
    'append': opened(os.O_WRONLY | os.O_APPEND, lambda fd: os.write(fd, b'X')),
    'read': opened(os.O_RDONLY, lambda fd: os.read(fd, 100)),
    'ftruncate': opened(os.O_WRONLY, lambda fd: os.ftruncate(fd, 7)),
    'create': lambda p: opened(os.O_RDWR | os.O_CREAT | os.O_EXCL)(p + '.new'),
}
PIPES = ANY | OPENS | {'mkfifo': lambda p: os.mkfifo(p + '.new', 0o6777)}
SOCKETS = ANY | OPENS | {'connect': connect, 'bind': bind, 'mknod': lambda p: os.mknod(p + '.new', stat.S_IFSOCK | 0o2666)}
FILES = ANY | OPENS | DATA
TABLES = {'pipes': PIPES, 'sockets': SOCKETS, 'files': FILES}
TIMES = {'utimens explicit', 'utimens omit, explicit', 'futimens'}


def make_pipe(path, held):
    os.mkfifo(path)
    held.append(os.open(path, os.O_RDWR))  # so that a pipe opened for writing only does not wait


def make_socket(path, held):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen(100)
    held.append(s)


def make_file(path, held):
    put(path, b'some content')


class Pair:
    """Two equal nodes, each with another beside it, made anew for every case."""

    def __init__(self, table):
        self.places = [TWIN, PIPE if table == 'pipes' else SOCK]
        self.make = {'pipes': make_pipe, 'sockets': make_socket, 'files': make_file}[table]
        self.table, self.held = table, []

    def prepare(self, owner, mode, other_owner=(0, 0)):
        self.drop()
        for place in self.places:
            for name, who, bits in (('n', owner, mode), ('n.other', other_owner, 0o644)):
                self.make(f'{place}/{name}', self.held)
                os.chown(f'{place}/{name}', *who)
                os.chmod(f'{place}/{name}', bits)
                os.utime(f'{place}/{name}', (1000, 1000))

    def drop(self):
        for h in self.held:
            h.close() if isinstance(h, socket.socket) else os.close(h)
        self.held.clear()
        for place in self.places:
            for suffix in ('', '.new', '.other'):
                try:
                    os.unlink(f'{place}/n{suffix}')
                except FileNotFoundError:
                    pass

    def after(self, place, op):
        out = []
        for suffix in ('', '.new', '.other'):
            st = attempt(os.lstat, f'{place}/n{suffix}')
            if not isinstance(st, str):
                times = (st.st_atime_ns, st.st_mtime_ns) if op in TIMES and not suffix else ()
                st = (oct(st.st_mode), st.st_uid, st.st_gid, st.st_size, st.st_nlink) + times
            out.append(st)
        return out

    def compare(self, diffs, user, owner, mode, where='', ops=None, other_owner=(0, 0)):
        for op in ops or TABLES[self.table]:
            self.prepare(owner, mode, other_owner)
            native, mount = user(run_op, self.table, op, *self.places)
            what = f'{op} by {user.uid}:{user.gid}{user.groups} on {owner[0]}:{owner[1]} {mode:04o}{where}'
            diffs.same(native, mount, what)
            native, mount = (self.after(place, op) for place in self.places)
            diffs.same(native, mount, what + ', nodes after it')
        self.drop()


def run_op(table, op, *places):
    """In the user's process."""
    return [attempt(TABLES[table][op], f'{place}/n') for place in places]


def matrix(table):
    make_twin()
    pair, diffs = Pair(table), Diffs()
    for who in (A, B):
        user = User(*who)
        for owner, mode in PAIRS:
            pair.compare(diffs, user, owner, mode)
        user.end()
    user = User(0, 0)
    for owner in OWNERS[:3]:
        for mode in (0, 0o444, 0o666):
            pair.compare(diffs, user, owner, mode)
    user.end()
    diffs.finish(2 * len(TABLES[table]) * (2 * len(PAIRS) + 9))


def test_pipes():
    matrix('pipes')


def test_sockets():
    matrix('sockets')


def test_files():
    matrix('files')


def test_sticky():
    """Removing and replacing what is one's own and what is not, over what is one's own and what is not."""
    make_twin()
    diffs = Diffs()
    ops = ['unlink', 'rename', 'rename over', 'link', 'link over']
    for table in TABLES:
        pair = Pair(table)
        for who in (A, B, (0, 0)):
            user = User(*who)
            for owner in OWNERS[:3]:
                for other in OWNERS[:3]:
                    pair.compare(diffs, user, owner, 0o666, f' beside {other}', ops, other)
            user.end()
    diffs.finish(2 * 3 * 3 * 9 * len(ops))


def protected():
    """Sets these two for as long as it takes, and puts them back: they are the whole machine's."""
    names = ['/proc/sys/fs/protected_fifos', '/proc/sys/fs/protected_regular']
    before = [open(n).read() for n in names]
    try:
        for value in '012':
            for n in names:
                with open(n, 'w') as f:
                    f.write(value)
            yield value
    finally:
        for n, old in zip(names, before):
            with open(n, 'w') as f:
                f.write(old)


def test_protected():
    """fs.protected_fifos and protected_regular: O_CREAT on what another has made in a directory for all."""
    make_twin()
    diffs, refusals = Diffs(), 0
    ops = ['open creat', 'open creat r', 'open creat w trunc', 'open rw']
    for value in protected():
        for table in ('pipes', 'files'):
            pair = Pair(table)
            for who in (A, (0, 0)):
                user = User(*who)
                for owner in OWNERS[:3]:
                    pair.compare(diffs, user, owner, 0o666, f' protected {value}', ops)
                    pair.prepare(owner, 0o666)
                    refusals += user(run_op, table, 'open creat', *pair.places) == ['EACCES', 'EACCES']
                    pair.drop()
                user.end()
    diffs.finish(2 * 3 * 2 * 2 * 3 * len(ops))
    ok(refusals >= 4, f'{refusals} refusals: the setting did nothing')


main(globals(), clean_twins)
