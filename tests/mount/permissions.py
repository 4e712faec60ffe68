# SPDX-License-Identifier: MIT
"""What each user may do through the mount is what he may do natively: the same operation on twin objects.

Every case makes two equal objects natively as root; one user does the operation natively on one and through the mount
on the other; result or errno, and then both objects, must be equal.
"""
import ctypes
import os
import shutil
import struct
import subprocess

from mounttest import (NATIVE, PASSTHROUGH, SHM, TREE, Diffs, User, attempt, clean, eq, get, in_child, join, main, ok,
                       put, refused)

libc = ctypes.CDLL(None, use_errno=True)
UTIME_NOW, UTIME_OMIT = 0x3fffffff, 0x3ffffffe
A, B = (1001, 2001, (3001, 3002)), (1002, 2002, (3002,))
OWNERS = [(1001, 2001), (1002, 2002), (0, 0), (1002, 3001), (1001, 3002), (4444, 2001), (0, 2002)]
MODES = [0o000, 0o400, 0o200, 0o600, 0o644, 0o640, 0o660, 0o666, 0o060, 0o040, 0o020, 0o004, 0o002, 0o006, 0o066, 0o606,
         0o777, 0o755, 0o444, 0o1666, 0o4755, 0o2755, 0o2745, 0o6777, 0o2666]


def utimens(path, atime, mtime):
    times = (ctypes.c_long * 4)(0, 0, 0, 0)
    times[0], times[1] = atime
    times[2], times[3] = mtime
    if libc.utimensat(-100, path.encode(), times, 0):
        raise OSError(ctypes.get_errno(), 'utimensat')


def opened(flags, then=None):
    def op(path):
        fd = os.open(path, flags, 0o666)
        try:
            return then(fd) if then else 'opened'
        finally:
            os.close(fd)
    return op


def reopen(fd):
    os.close(os.open(f'/proc/self/fd/{fd}', os.O_RDWR))
    return 'reopened'


def rename_over(path):
    os.rename(path, path + '.other')


W = os.O_WRONLY
OPS = {
    'open r': opened(os.O_RDONLY),
    'open w': opened(W),
    'open rw': opened(os.O_RDWR),
    'open w trunc': opened(W | os.O_TRUNC),
    'open r trunc': opened(os.O_RDONLY | os.O_TRUNC),
    'open append': opened(W | os.O_APPEND),
    'open creat': opened(os.O_RDWR | os.O_CREAT),
    'open creat r': opened(os.O_RDONLY | os.O_CREAT),
    'open excl': opened(os.O_RDWR | os.O_CREAT | os.O_EXCL),
    'open noatime': opened(os.O_RDONLY | os.O_NOATIME),
    'open path': opened(os.O_PATH),
    'reopen': opened(os.O_RDONLY, reopen),
    'read': opened(os.O_RDONLY, lambda fd: os.read(fd, 10)),
    'write': opened(W, lambda fd: os.write(fd, b'X')),
    'pwrite': opened(os.O_RDWR, lambda fd: os.pwrite(fd, b'X', 50)),
    'append': opened(W | os.O_APPEND, lambda fd: os.write(fd, b'X')),
    'truncate': lambda p: os.truncate(p, 3),
    'ftruncate': opened(W, lambda fd: os.ftruncate(fd, 7)),
    'fallocate': opened(W, lambda fd: os.posix_fallocate(fd, 0, 100)),
    'chmod 640': lambda p: os.chmod(p, 0o640),
    'chmod 7777': lambda p: os.chmod(p, 0o7777),
    'chmod 2711': lambda p: os.chmod(p, 0o2711),
    'fchmod': opened(os.O_RDONLY, lambda fd: os.fchmod(fd, 0o2755)),
    'chown self': lambda p: os.chown(p, os.getuid(), -1),
    'chown other': lambda p: os.chown(p, 7777, -1),
    'chown nothing': lambda p: os.chown(p, -1, -1),
    'chgrp own': lambda p: os.chown(p, -1, os.getgid()),
    'chgrp extra': lambda p: os.chown(p, -1, 3002),
    'chgrp foreign': lambda p: os.chown(p, -1, 7777),
    'fchown': opened(os.O_RDONLY, lambda fd: os.fchown(fd, -1, 3002)),
    'utimens now': lambda p: os.utime(p),
    'utimens explicit': lambda p: os.utime(p, ns=(10**18 + 1, 10**18 + 2)),
    'utimens now, omit': lambda p: utimens(p, (0, UTIME_NOW), (0, UTIME_OMIT)),
    'utimens omit, explicit': lambda p: utimens(p, (0, UTIME_OMIT), (5, 6)),
    'utimens omit, omit': lambda p: utimens(p, (0, UTIME_OMIT), (0, UTIME_OMIT)),
    'futimens': opened(os.O_RDONLY, lambda fd: os.utime(fd, ns=(3, 4))),
    'unlink': os.unlink,
    'rename': lambda p: os.rename(p, p + '.new'),
    'rename over': rename_over,
    'link': lambda p: os.link(p, p + '.new'),
    'link over': lambda p: os.link(p, p + '.other'),
    'access': lambda p: [os.access(p, m) for m in (os.F_OK, os.R_OK, os.W_OK, os.X_OK, os.R_OK | os.W_OK)],
    'stat': lambda p: os.stat(p).st_mode,
    'create': lambda p: opened(os.O_RDWR | os.O_CREAT | os.O_EXCL)(p + '.new'),
    'list': lambda p: len(os.listdir(os.path.dirname(p))),
}
# Passed-through writes are made with one identity for everybody: whether they clear the set-group-id bit of what no
# group may execute, a bit without a meaning, follows that identity. Bits that do mean something must be cleared.
PASSED = {'write', 'pwrite', 'append'} if PASSTHROUGH and not NATIVE else set()
TIMES = {'utimens explicit', 'futimens', 'utimens omit, explicit', 'utimens omit, omit'}


def run_ops(todo, n, m):
    """In the user's process: each operation of todo natively on n, through the mount on m."""
    return [(attempt(OPS[op], f'{SHM}/{n}'), attempt(OPS[op], f'{TREE}/{m}')) for op in todo]


def prepare(name, owner, mode):
    path = f'{SHM}/{name}'
    for suffix in ('', '.new', '.other'):
        try:
            os.unlink(path + suffix)
        except FileNotFoundError:
            pass
    put(path, b'some content')
    put(path + '.other', b'other content')
    os.chown(path, *owner)
    os.chmod(path, mode)
    os.utime(path, (1000, 1000))


def after(name, times=False, passed=False):
    def one(suffix):
        st = attempt(os.lstat, f'{SHM}/{name}{suffix}')
        if isinstance(st, str):
            return st
        extra = (st.st_atime_ns, st.st_mtime_ns) if times and not suffix else ()
        mode = st.st_mode & ~0o2000 if passed and st.st_mode & 0o2010 == 0o2000 else st.st_mode
        return (oct(mode), st.st_uid, st.st_gid, st.st_size, st.st_nlink) + extra
    return [one(''), one('.new'), one('.other')]


def compare(diffs, user, owner, mode, todo, where=''):
    for op in todo:
        if op == 'chown nothing' and mode & 0o2010 == 0o2000:
            continue  # the kernel takes that for done, without asking any file system in user space
        prepare('n', owner, mode)
        prepare('m', owner, mode)
        (native, mount), = user(run_ops, [op], 'n', 'm')
        what = f'{op} by {user.uid}:{user.gid}{user.groups} on {owner[0]}:{owner[1]} {mode:04o}{where}'
        diffs.same(native, mount, what)
        native, mount = (after(side, op in TIMES, op in PASSED) for side in 'nm')
        diffs.same(native, mount, what + ', objects after it')


def users(fn, *whos):
    found = [User(*w) for w in whos]
    try:
        for u in found:
            fn(u)
    finally:
        for u in found:
            u.end()


def test_matrix():
    diffs = Diffs()

    def one(user):
        for owner in OWNERS:
            for mode in MODES:
                compare(diffs, user, owner, mode, OPS)
    users(one, A, B)
    diffs.finish(2 * 2 * len(OWNERS) * len(MODES) * (len(OPS) - 1))


def test_root():
    diffs = Diffs()
    users(lambda u: [compare(diffs, u, o, m, OPS) for o in OWNERS[:3] for m in (0, 0o444, 0o666, 0o2745)], (0, 0, ()))
    # None of these modes has set-id bits that a write of an unprivileged process would clear.
    diffs.finish(2 * 12 * (len(OPS) - 1))


def test_all_modes():
    """Every mode from 0 to 0777: open in the three ways, and access."""
    todo = ['open r', 'open w', 'open rw', 'access']
    diffs = Diffs()

    def one(user):
        for owner in ((1001, 2001), (1002, 3001), (0, 0)):
            for name in 'nm':
                prepare(name, owner, 0)
            for mode in range(0o1000):
                os.chmod(f'{SHM}/n', mode)
                os.chmod(f'{SHM}/m', mode)
                for op, (native, mount) in zip(todo, user(run_ops, todo, 'n', 'm')):
                    diffs.same(native, mount, f'{op} by {user.uid} on {owner} {mode:03o}')
    users(one, A, B)
    diffs.finish(2 * 3 * 512 * 4)


def test_directory_variants():
    """Who may make, remove, rename and list follows the tmpfs directory, also as that changes."""
    todo = ['open r', 'open rw', 'stat', 'create', 'unlink', 'rename', 'rename over', 'link', 'open creat', 'list', 'access',
            'open excl', 'chmod 640']
    # The kernel checks the sticky bit of shm/ before the daemon is asked; natively the right to write comes first.
    diffs = Diffs(alike=('EACCES', 'EPERM'))
    variants = [(0o1777, 0, 0), (0o777, 0, 0), (0o755, 0, 0), (0o711, 0, 0), (0o700, 0, 0), (0o1777, 1001, 2001),
                (0o755, 1001, 2001), (0o3777, 0, 3001), (0o2777, 0, 9999), (0o1775, 0, 3001), (0o1770, 0, 3002),
                (0o744, 0, 0), (0o733, 0, 0), (0o707, 0, 2001), (0o1707, 0, 2002), (0o1077, 1001, 0)]

    def one(user):
        for mode, uid, gid in variants:
            os.chown(SHM, uid, gid)
            os.chmod(SHM, mode)
            for owner in OWNERS[:4]:
                compare(diffs, user, owner, 0o664, todo, f' in directory {uid}:{gid} {mode:04o}')
    try:
        users(one, A, B)
    finally:
        os.chown(SHM, 0, 0)
        os.chmod(SHM, 0o1777)
    diffs.finish(2 * 2 * len(variants) * 4 * len(todo))


def create_both(i, mode, umask):
    os.umask(umask)
    made = []
    for base in (SHM + '/cn', TREE + '/cm'):
        fd = attempt(os.open, f'{base}{i}', os.O_CREAT | os.O_EXCL | os.O_RDWR, mode)
        if isinstance(fd, int):
            mode = os.fstat(fd).st_mode
            made.append((mode, attempt(os.write, fd, b'mine')))
            os.close(fd)
        else:
            made.append(fd)
    os.umask(0o22)
    return tuple(made)


def test_created():
    """Owner, group and mode of what a user creates, for umasks and directories with and without set-group-id."""
    diffs = Diffs()
    modes = list(range(0, 0o1000, 0o11)) + [0o4755, 0o2755, 0o2745, 0o6777, 0o1644, 0o7777]

    def one(user):
        for dmode, dgid in ((0o1777, 0), (0o3777, 3001), (0o3777, 9999)):
            os.chown(SHM, 0, dgid)
            os.chmod(SHM, dmode)
            for umask in (0, 0o22, 0o27, 0o77, 0o777):
                for mode in modes:
                    what = f'create by {user.uid} mode {mode:04o} umask {umask:03o} directory {dmode:04o} group {dgid}'
                    native, mount = user(create_both, 0, mode, umask)
                    diffs.same(native, mount, what)
                    diffs.same(after('cn0', passed=PASSED), after('cm0', passed=PASSED), what)
                    clean()
    try:
        users(one, A, B)
    finally:
        os.chown(SHM, 0, 0)
    diffs.finish(2 * 2 * 3 * 5 * len(modes))


def test_many_groups():
    """The group that allows it may be the last of many."""
    diffs = Diffs()
    todo = ['open r', 'open rw', 'access', 'truncate', 'chgrp own', 'utimens now', 'link']
    counts = (1, 2, 31, 32, 33, 63, 64, 65, 200, 1000)
    for count in counts:
        last = 5000 + count - 1
        users(lambda u: [compare(diffs, u, (0, gid), m, todo) for gid in (5000, last, last + 1) for m in (0o060, 0o660, 0o640)],
              (1003, 2003, tuple(range(5000, last + 1))))
    diffs.finish(2 * len(counts) * 3 * 3 * len(todo))


def creator(uid, rounds):
    for i in range(rounds):
        for umask, mode in ((0o22, 0o666), (0o77, 0o666), (0, 0o600 | uid % 8)):
            os.umask(umask)
            path = f'{TREE}/by{uid}.{i % 7}'
            fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode)
            st = os.fstat(fd)
            eq((st.st_uid, st.st_gid, st.st_mode & 0o7777), (uid, uid + 1000, mode & ~umask), path)
            st = os.stat(path.replace(TREE, SHM))
            eq((st.st_uid, st.st_gid, st.st_mode & 0o7777), (uid, uid + 1000, mode & ~umask), path + ' natively')
            os.chown(fd, -1, 6000 + uid)
            eq(attempt(os.open, f'{TREE}/root', os.O_RDONLY), 'EACCES', "root's object")
            os.close(fd)
            os.unlink(path)


def be(uid, fn, *args):
    os.setgroups([6000 + uid])
    os.setresgid(uid + 1000, uid + 1000, uid + 1000)
    os.setresuid(uid, uid, uid)
    return fn(*args)


def test_users_at_once():
    """Requests of several users at the same time: no one acts as another."""
    put(f'{SHM}/root', b'', 0o600)
    join([in_child(be, uid, creator, uid, 150) for uid in (1001, 1002, 1003, 1004)], 'creators', 60)


def after_root_changed(path, write):
    """As the user: opens, tells root to set the set-id bits natively, then writes by the open descriptor."""
    fd = os.open(path, os.O_RDWR)
    try:
        os.write(STEP[1], b'.')
        os.read(GO[0], 1)
        WRITES[write](fd)
    finally:
        os.close(fd)


WRITES = {'write': lambda fd: os.write(fd, b'x'), 'pwrite': lambda fd: os.pwrite(fd, b'x', 5),
          'ftruncate': lambda fd: os.ftruncate(fd, 5), 'fallocate': lambda fd: os.posix_fallocate(fd, 0, 99)}
STEP, GO = os.pipe(), os.pipe()


def test_write_clears_set_id_bits():
    """Also when the bits came, natively, after the descriptor was opened."""
    diffs = Diffs()
    for write in WRITES:
        for mode in (0o4777, 0o2777, 0o6777, 0o6766, 0o2766):
            found = []
            for name, base in (('n', SHM), ('m', TREE)):
                prepare(name, (0, 0), 0o777)
                pid = in_child(be, 1001, after_root_changed, f'{base}/{name}', write)
                os.read(STEP[0], 1)
                os.chmod(f'{SHM}/{name}', mode)
                os.write(GO[1], b'.')
                join([pid], 'writer')
                found.append(after(name, passed=write in PASSED)[0])
            diffs.same(*found, f'{write} into a {mode:04o} object of root')
    diffs.finish(20)


def test_open_descriptor_keeps_its_rights():
    """What was open stays usable after the mode and the owner changed; a new open is refused."""
    put(f'{SHM}/kept', b'abc', 0o666)

    def user():
        fd = os.open(f'{TREE}/kept', os.O_RDWR)
        os.write(STEP[1], b'.')
        os.read(GO[0], 1)
        eq(os.pread(fd, 3, 0), b'abc', 'read')
        eq(os.pwrite(fd, b'ABC', 0), 3, 'write')
        refused('EACCES', os.open, f'{TREE}/kept', os.O_RDONLY)
        os.ftruncate(fd, 100)
        refused('EPERM', os.fchmod, fd, 0o666)
    pid = in_child(be, 1001, user)
    os.read(STEP[0], 1)
    os.chmod(f'{SHM}/kept', 0)
    os.write(GO[1], b'.')
    join([pid], 'user')
    eq((get(f'{SHM}/kept')[:3], os.stat(f'{SHM}/kept').st_size), (b'ABC', 100), 'the object')


# ---- POSIX access control lists ----

USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32


def acl(*entries):
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', tag, perm, ident & 0xffffffff) for tag, perm, ident in entries)


ACLS = {
    'named user may': [(USER_OBJ, 6, -1), (USER, 6, 1001), (GROUP_OBJ, 0, -1), (MASK, 6, -1), (OTHER, 0, -1)],
    'named user may not': [(USER_OBJ, 6, -1), (USER, 0, 1001), (GROUP_OBJ, 6, -1), (MASK, 6, -1), (OTHER, 6, -1)],
    'named user only reads': [(USER_OBJ, 6, -1), (USER, 4, 1001), (GROUP_OBJ, 6, -1), (MASK, 6, -1), (OTHER, 6, -1)],
    'masked user': [(USER_OBJ, 6, -1), (USER, 6, 1001), (GROUP_OBJ, 6, -1), (MASK, 4, -1), (OTHER, 0, -1)],
    'owning group may not': [(USER_OBJ, 6, -1), (USER, 6, 1002), (GROUP_OBJ, 0, -1), (MASK, 6, -1), (OTHER, 0, -1)],
    'named group may': [(USER_OBJ, 6, -1), (GROUP_OBJ, 0, -1), (GROUP, 6, 3002), (MASK, 6, -1), (OTHER, 0, -1)],
    'named group may not': [(USER_OBJ, 6, -1), (GROUP_OBJ, 6, -1), (GROUP, 0, 3001), (MASK, 6, -1), (OTHER, 6, -1)],
}


def is_error(answer):
    return isinstance(answer, str) and answer.startswith('E')


def test_acl_on_an_object():
    """A list set natively: through the mount never more than natively, also beside an open of root."""
    todo = [op for op in OPS if op not in ('access', 'open path', 'stat', 'list')]
    more, done = [], 0

    def one(user):
        nonlocal done
        for name, entries in ACLS.items():
            for owner in ((0, 0), (0, 3001), (0, 3002), (1002, 2001), (1001, 2001)):
                for op in todo:
                    for side in 'nm':
                        prepare(side, owner, 0o600)
                        os.setxattr(f'{SHM}/{side}', 'system.posix_acl_access', acl(*entries))
                    held = os.open(f'{TREE}/m', os.O_RDWR)
                    (native, mount), = user(run_ops, [op], 'n', 'm')
                    os.close(held)
                    done += 1
                    if is_error(native) and not is_error(mount):
                        more.append(f'{op} by {user.uid}, acl "{name}", owner {owner}: native {native}, mount {mount}')
    users(one, A, B)
    ok(done == 2 * len(ACLS) * 5 * len(todo), f'{done} cases')
    ok(not more, f'{len(more)} operations allow more than natively:\n    ' + '\n    '.join(more[:20]))


def execute(path):
    """The exit status of running a file, or the errno of execve."""
    return subprocess.run([path], stdin=subprocess.DEVNULL).returncode


def test_acl_on_execution():
    """A list that denies execution denies it through the mount, which may read the file on the user's behalf."""
    shutil.copy('/bin/true', f'{SHM}/n')
    for mode, entries, want in ((0o755, [(USER_OBJ, 7, -1), (USER, 0, 1001), (GROUP_OBJ, 5, -1), (MASK, 7, -1), (OTHER, 5, -1)],
                                 'EACCES'), (0o711, None, 0), (0o744, None, 'EACCES')):
        if entries:
            os.setxattr(f'{SHM}/n', 'system.posix_acl_access', acl(*entries))
        else:
            attempt(os.removexattr, f'{SHM}/n', 'system.posix_acl_access')
            os.chmod(f'{SHM}/n', mode)
        got = []
        users(lambda u: got.append([u(attempt, execute, f'{d}/n') for d in (SHM, TREE)]), A)
        eq(got, [[want, want]], f'execution, mode {mode:o}, list {entries}')


def test_default_acl_on_the_directory():
    """What is created under a default list never gets more rights than natively."""
    more = []
    for perms in ((6, 0, 6, 6, 0), (6, 4, 4, 4, 4), (7, 7, 7, 7, 7), (6, 0, 0, 0, 0)):
        entries = list(zip((USER_OBJ, USER, GROUP_OBJ, MASK, OTHER), perms, (-1, 1002, -1, -1, -1)))
        os.setxattr(SHM, 'system.posix_acl_default', acl(*entries))
        try:
            for umask in (0, 0o22, 0o77):
                for mode in (0o666, 0o600, 0o777, 0o640):
                    users(lambda u: u(create_both, 0, mode, umask), A)
                    native, mount = (os.stat(f'{SHM}/{n}') for n in ('cn0', 'cm0'))
                    eq((mount.st_uid, mount.st_gid), (native.st_uid, native.st_gid), 'owner')
                    if mount.st_mode & ~native.st_mode:
                        more.append(f'default {perms} umask {umask:03o} mode {mode:03o}: native {native.st_mode:o}, '
                                    f'mount {mount.st_mode:o}')
                    clean()
        finally:
            os.removexattr(SHM, 'system.posix_acl_default')
    ok(not more, 'created with more rights than natively:\n    ' + '\n    '.join(more))


def test_acl_on_the_directory():
    """A user shut out of the tmpfs by a list on its directory gets nothing through the mount either."""
    prepare('n', (0, 0), 0o666)
    prepare('m', (0, 0), 0o666)
    os.setxattr(SHM, 'system.posix_acl_access',
                acl((USER_OBJ, 7, -1), (USER, 0, 1001), (GROUP_OBJ, 7, -1), (MASK, 7, -1), (OTHER, 7, -1)))
    try:
        todo = ['open r', 'open rw', 'open w trunc', 'create', 'unlink', 'rename', 'list', 'stat']
        got = []
        users(lambda u: got.extend(zip(todo, u(run_ops, todo, 'n', 'm'))), A)
    finally:
        os.removexattr(SHM, 'system.posix_acl_access')
        os.chmod(SHM, 0o1777)
    more = [f'{op}: native {n}, mount {m}' for op, (n, m) in got if not is_error(m)]
    eq([n for _, (n, _) in got], ['EACCES'] * len(todo), 'natively all is refused')
    ok(not more, 'allowed though the directory is closed to the user:\n    ' + '\n    '.join(more))


main(globals())
