# SPDX-License-Identifier: MIT
"""Bad and unusual input gets the tmpfs' own answer; the tree's own directories say EPERM."""
import ctypes
import mmap
import os
import resource
import signal
import socket
import stat
import subprocess

from mounttest import (CTL, MNT, NATIVE, PASSTHROUGH, SHM, TREE, Diffs, User, attempt, both, daemon_only, eq, get,
                       in_child, join, main, ok, put, refused)

libc = ctypes.CDLL(None, use_errno=True)
STRANGE = [b'\n', b'a\nb', b'\xff', b'\xff\xfe\x80', b'\x01', b'\x7f', b'\t', b' ', b' lead', b'trail ', b'-rf', b'--help',
           'é'.encode(), 'e\u0301'.encode(), '日本語'.encode(), '\U0001f600'.encode(), b'a\\b', b'\\', b'\\012', b'"', b"'",
           b'*', b'?', b'$HOME', b'`id`', b'a:b', b'a=b', b'%s%n', b'~', b'#', b'...', b'.x', b'..x', b'list', b'limits',
           b'@list', b'sem', b'semx', b'.ipcfs', b'x' * 255, b'\xff' * 255, 'é'.encode() * 127]
LONG = [b'x' * n for n in (256, 257, 300, 1024, 1025, 4000)]


def sides(name):
    return os.fsencode(SHM) + b'/' + name, os.fsencode(TREE) + b'/' + name


def fallocate(fd, mode, offset, length):
    if libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)):
        raise OSError(ctypes.get_errno(), 'fallocate')


def rename2(old, new, flags):
    if libc.renameat2(-100, old, -100, new, flags):
        raise OSError(ctypes.get_errno(), 'renameat2')


def link_descriptor(fd, new):
    if libc.linkat(-100, b'/proc/self/fd/%d' % fd, -100, new.encode(), 0x400):
        raise OSError(ctypes.get_errno(), 'linkat')


def test_strange_names():
    for name in STRANGE:
        native, mount = sides(name)
        put(mount, b'by the mount')
        eq(get(native), b'by the mount', f'{name!r} natively')
        put(native, b'natively')
        eq(get(mount), b'natively', f'{name!r} through the mount')
        eq(os.lstat(mount).st_ctime_ns, os.lstat(native).st_ctime_ns, f'ctime of {name!r}')
    eq(sorted(os.listdir(os.fsencode(TREE))), sorted(STRANGE), 'listing')
    for i, name in enumerate(STRANGE):
        native, mount = sides(name)
        os.rename(mount, sides(b'plain')[1])
        ok(not os.path.exists(native), f'{name!r} is renamed')
        os.rename(sides(b'plain')[1], mount)
        os.link(mount, sides(b'second')[1])
        eq(os.stat(native).st_nlink, 2, f'links of {name!r}')
        os.unlink(mount)
        os.unlink(sides(b'second')[1])
        eq(sorted(os.listdir(os.fsencode(SHM))), sorted(STRANGE[i + 1:]), 'left')


def test_long_names():
    put(sides(b'short')[0], b'')
    diffs = Diffs()
    for name in LONG:
        for what, fn in {
            'open': lambda p, s: os.open(p, os.O_RDONLY), 'create': lambda p, s: os.open(p, os.O_CREAT | os.O_RDWR),
            'stat': lambda p, s: os.stat(p), 'unlink': lambda p, s: os.unlink(p), 'mkdir': lambda p, s: os.mkdir(p),
            'rename to': lambda p, s: os.rename(s, p), 'rename from': lambda p, s: os.rename(p, s),
            'link to': lambda p, s: os.link(s, p), 'truncate': lambda p, s: os.truncate(p, 0),
            'symlink': lambda p, s: os.symlink('x', p), 'access': lambda p, s: os.chmod(p, 0o600)}.items():
            answers = [attempt(fn, sides(name)[i], sides(b'short')[i]) for i in (0, 1)]
            diffs.same(*answers, f'{what} of a name of {len(name)} bytes')
            eq(answers[0], 'ENAMETOOLONG', 'the native answer')
    diffs.finish(len(LONG) * 11)
    eq(os.listdir(SHM), ['short'], 'left')


def test_dots_and_slashes():
    put(sides(b'f')[0], b'')
    diffs = Diffs()
    for name in (b'', b'.', b'./f', b'../shm/f', b'f/', b'f/.', b'f/..', b'f/x', b'/f', b'./../shm/./f', b'nothing/', b'nothing/x'):
        for what, fn in {'open': lambda p: os.close(os.open(p, os.O_RDONLY)), 'stat': lambda p: stat.S_IFMT(os.stat(p).st_mode),
                         'create': lambda p: os.close(os.open(p, os.O_CREAT | os.O_RDWR)), 'unlink x': lambda p: os.unlink(p + b'/x'),
                         'open w': lambda p: os.close(os.open(p, os.O_WRONLY))}.items():
            diffs.same(*(attempt(fn, p) for p in sides(name)), f'{what} {name!r}')
    for what, fn in {'unlink': os.unlink, 'rmdir': os.rmdir, 'rename': lambda p: os.rename(p, p + b'x')}.items():
        for name in (b'.', b'..'):
            got = attempt(fn, sides(name)[1])
            ok(isinstance(got, str), f'{what} of {name!r} must fail')
    diffs.finish(12 * 5)
    ok(os.path.samefile(f'{TREE}/..', MNT), 'shm/.. is the root')
    eq(os.listdir(SHM), ['f'], 'left')


def on_twins(name, diffs, fn, start=b'0123456789'):
    """fn(path, fd) on equal objects; the answer, size, blocks and content must agree."""
    found = []
    for path in both('twin'):
        put(path, start)
        fd = os.open(path, os.O_RDWR)
        got = attempt(fn, path, fd)
        st = os.fstat(fd)
        found.append((got, st.st_size, st.st_blocks, os.pread(fd, 4096, 0), os.pread(fd, 100, max(0, st.st_size - 100))))
        os.close(fd)
        os.unlink(path)
    diffs.same(*found, name)


BIG = 2**63 - 1


def test_offsets_and_sizes():
    diffs = Diffs()
    for n in (-1, -2**63, 0, 1, 2**31, 2**32 + 1, 2**40, 2**62, BIG - 4096, BIG - 1, BIG):
        def seek_write(p, fd, n=n):
            return os.lseek(fd, n, os.SEEK_SET), os.write(fd, b'end')
        on_twins(f'truncate {n}', diffs, lambda p, fd: os.truncate(p, n))
        on_twins(f'ftruncate {n}', diffs, lambda p, fd: os.ftruncate(fd, n))
        on_twins(f'pread {n}', diffs, lambda p, fd: os.pread(fd, 10, n))
        on_twins(f'pwrite {n}', diffs, lambda p, fd: os.pwrite(fd, b'abc', n))
        on_twins(f'seek and write {n}', diffs, seek_write)
        on_twins(f'seek from the end {n}', diffs, lambda p, fd: os.lseek(fd, n, os.SEEK_END))
    sparse = 2**44
    on_twins('huge sparse size', diffs, lambda p, fd: (os.ftruncate(fd, sparse), os.pwrite(fd, b'x', sparse - 1),
                                                       os.pread(fd, 2, sparse - 2), os.stat(p).st_size))
    on_twins('read past the end', diffs, lambda p, fd: os.pread(fd, 10, 10**6))
    on_twins('write of nothing', diffs, lambda p, fd: os.pwrite(fd, b'', 10**6))
    on_twins('pwritev', diffs, lambda p, fd: os.pwritev(fd, [b'a' * 10, b'', b'b' * 5000], 3))
    on_twins('preadv', diffs, lambda p, fd: os.preadv(fd, [bytearray(3), bytearray(0), bytearray(20)], 5))
    on_twins('large write', diffs, lambda p, fd: os.pwrite(fd, b'w' * (9 << 20), 12345))
    on_twins('odd direct write', diffs, lambda p, fd: os.pwrite(fd, b'w' * 4097, 4095))
    diffs.finish(11 * 6 + 7)


def test_fallocate():
    diffs = Diffs()
    for mode in (0, 1, 2, 3, 8, 16, 17, 32, 64, 1 << 20):
        for offset, length in ((0, 4096), (100, 9000), (0, 0), (-1, 10), (10, -1), (BIG, 1), (0, BIG), (0, 2**40), (5, 3)):
            on_twins(f'fallocate mode {mode} {offset} {length}', diffs, lambda p, fd: fallocate(fd, mode, offset, length),
                     b'z' * 20000)
    read_only = [attempt(lambda: fallocate(os.open(p, os.O_RDONLY | os.O_CREAT), 0, 0, 10)) for p in both('ro')]
    diffs.same(*read_only, 'fallocate by a read-only descriptor')
    diffs.finish(91)


def test_seek_data_and_hole():
    diffs = Diffs()
    for whence in (os.SEEK_DATA, os.SEEK_HOLE):
        for at in (0, 1, 4096, 70000, 131072, 200000, 262144, 300000, -1):
            def seek(p, fd, at=at, whence=whence):
                os.ftruncate(fd, 262144)
                os.pwrite(fd, b'data', 131072)
                return os.lseek(fd, at, whence)
            on_twins(f'lseek whence {whence} {at}', diffs, seek)
    diffs.finish(18)


def test_file_size_limit():
    """RLIMIT_FSIZE: EFBIG and SIGXFSZ as natively."""
    def limited(fn, path):
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
        signal.signal(signal.SIGXFSZ, lambda *_: seen.append('SIGXFSZ'))
        seen = []
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        got = attempt(fn, fd)
        os.write(out[1], repr((got, seen, os.fstat(fd).st_size)).encode())
    diffs = Diffs()
    for what, fn in {'truncate': lambda fd: os.ftruncate(fd, 8193), 'write over': lambda fd: os.pwrite(fd, b'x' * 5000, 5000),
                     'write past': lambda fd: os.pwrite(fd, b'x', 8192), 'fallocate': lambda fd: fallocate(fd, 0, 0, 10000),
                     'fits': lambda fd: os.pwrite(fd, b'x' * 8192, 0)}.items():
        found = []
        for path in both('limited'):
            out = os.pipe()
            join([in_child(limited, fn, path)], 'limited process')
            found.append(os.read(out[0], 1000).decode())
            os.close(out[0]), os.close(out[1])
            os.unlink(path)
        diffs.same(*found, what)
    diffs.finish(5)


def test_open_flags():
    """Every combination of flags on an existing object, a missing one and the directory."""
    diffs = Diffs()
    put(both('there')[0], b'content')
    extra = [0, os.O_CREAT, os.O_EXCL, os.O_CREAT | os.O_EXCL, os.O_TRUNC, os.O_APPEND, os.O_DIRECTORY, os.O_NOFOLLOW, os.O_DIRECT,
             os.O_SYNC, os.O_DSYNC, os.O_NONBLOCK, os.O_NOATIME, os.O_PATH, os.O_DIRECTORY | os.O_CREAT, os.O_NOCTTY]
    for access in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, 3):
        for flags in extra:
            for name in ('there', 'missing', '.'):
                found = []
                for path in both(name):
                    fd = attempt(os.open, path, access | flags, 0o600)
                    if isinstance(fd, int):
                        found.append(('opened', attempt(os.read, fd, 3), attempt(os.write, fd, b'content')))
                        os.close(fd)
                    else:
                        found.append(fd)
                    if name == 'missing':
                        attempt(os.unlink, path)
                    elif name == 'there':
                        put(both('there')[0], b'content')
                diffs.same(*found, f'open {name} with {access | flags:#o}')
    diffs.finish(4 * 16 * 3)


def test_other_calls():
    """Calls that are not about content, on twins."""
    diffs = Diffs()
    put(both('other')[0], b'')
    on_twins('read a write-only one', diffs, lambda p, fd: os.read(os.open(p, os.O_WRONLY), 1))
    on_twins('write a read-only one', diffs, lambda p, fd: os.write(os.open(p, os.O_RDONLY), b'x'))
    on_twins('ftruncate read-only', diffs, lambda p, fd: os.ftruncate(os.open(p, os.O_RDONLY), 1))
    on_twins('fsync', diffs, lambda p, fd: (os.fsync(fd), os.fdatasync(fd)))
    on_twins('fadvise', diffs, lambda p, fd: os.posix_fadvise(fd, 0, 100, os.POSIX_FADV_WILLNEED))
    on_twins('readlink', diffs, lambda p, fd: os.readlink(p))
    on_twins('listdir', diffs, lambda p, fd: os.listdir(p))
    on_twins('rmdir', diffs, lambda p, fd: os.rmdir(p))
    on_twins('chdir', diffs, lambda p, fd: os.chdir(p))
    on_twins('unlink twice', diffs, lambda p, fd: (os.unlink(p), attempt(os.unlink, p), put(p, b'0123456789'))[1])
    on_twins('rename to itself', diffs, lambda p, fd: os.rename(p, p))
    on_twins('rename missing', diffs, lambda p, fd: os.rename(p + 'no', p))
    on_twins('rename noreplace', diffs, lambda p, fd: rename2(p.encode(), p.replace('twin', 'other').encode(), 1))
    on_twins('rename with unknown flags', diffs, lambda p, fd: rename2(p.encode(), p.encode() + b'2', 64))
    on_twins('rename exchange missing', diffs, lambda p, fd: rename2(p.encode(), p.encode() + b'2', 2))
    on_twins('link missing', diffs, lambda p, fd: os.link(p + 'no', p + 'yes'))
    on_twins('negative utime', diffs, lambda p, fd: (os.utime(p, (-1, -1)), os.stat(p).st_mtime_ns)[1])
    on_twins('far utime', diffs, lambda p, fd: (os.utime(p, (2**40, 2**40)), os.stat(p).st_mtime_ns)[1])
    on_twins('chmod of more bits', diffs, lambda p, fd: (os.chmod(p, 0o107777), os.stat(p).st_mode)[1])
    on_twins('chown to a huge uid', diffs, lambda p, fd: (os.chown(p, 2**32 - 2, 2**32 - 2), os.stat(p).st_uid)[1])
    on_twins('poll', diffs, poll_events)
    on_twins('sendfile', diffs, lambda p, fd: os.sendfile(os.open(p, os.O_RDWR), fd, 2, 5))
    on_twins('copy_file_range', diffs, lambda p, fd: os.copy_file_range(fd, os.open(p, os.O_WRONLY), 5, 0, 5))
    on_twins('splice from', diffs, splice)
    on_twins('ioctl', diffs, lambda p, fd: __import__('fcntl').ioctl(fd, 0x5401, bytes(64)))
    diffs.finish(25)
    if not NATIVE:  # a whiteout is a device node: none may come here
        refused(('EINVAL', 'EPERM', 'EOPNOTSUPP'), rename2, both('other')[1].encode(), both('white')[1].encode(), 4)
        eq(os.listdir(SHM), ['other'], 'left after a refused RENAME_WHITEOUT')


def poll_events(_path, fd):
    import select
    p = select.poll()
    p.register(fd, select.POLLIN | select.POLLOUT | select.POLLPRI)
    return [e for _, e in p.poll(1000)]


def splice(_path, fd):
    r, w = os.pipe()
    try:
        return os.splice(fd, w, 10, offset_src=2), os.read(r, 10)
    finally:
        os.close(r), os.close(w)


def test_tmpfile():
    """O_TMPFILE works as natively or is not supported; it never leaves a name."""
    for path in (SHM, TREE):
        fd = attempt(os.open, path, os.O_TMPFILE | os.O_RDWR, 0o600)
        if isinstance(fd, int):
            eq((os.fstat(fd).st_nlink, os.write(fd, b'x'), os.pread(fd, 1, 0)), (0, 1, b'x'), 'the unnamed object')
            os.close(fd)
        else:
            eq((fd, path), ('EOPNOTSUPP', TREE), 'O_TMPFILE')
    eq(os.listdir(SHM), [], 'names')


def fill(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    total = 0
    while True:
        got = attempt(os.write, fd, b'f' * 65536)
        if isinstance(got, str):
            break
        total += got
    answers = (got, total, attempt(fallocate, fd, 0, 0, 32 << 20), attempt(os.pwrite, fd, b'x', 40 << 20), os.pwrite(fd, b'y', 0),
               attempt(os.ftruncate, fd, 50 << 20), os.stat(path).st_size)
    os.close(fd)
    os.unlink(path)
    return answers


def test_full_tmpfs():
    """A full tmpfs gives ENOSPC where it does natively, and SIGBUS in a mapping."""
    subprocess.run(['mount', '-o', 'remount,size=8m', SHM], check=True)
    try:
        native, mount = (fill(p) for p in both('full'))
        eq((native[0], native[2]), ('ENOSPC', 'ENOSPC'), 'the native answers')
        eq(mount, native, 'write, bytes written, fallocate, pwrite, overwrite, ftruncate, size')
        if PASSTHROUGH:
            for path in both('mapped'):
                def store():
                    fd = os.open(path, os.O_RDWR | os.O_CREAT)
                    os.ftruncate(fd, 16 << 20)
                    m = mmap.mmap(fd, 16 << 20)
                    for at in range(0, 16 << 20, 4096):
                        m[at] = 1
                status = os.waitstatus_to_exitcode(os.waitpid(in_child(store), 0)[1])
                eq(status, -signal.SIGBUS, f'stores into {path}')
                os.unlink(path)
    finally:
        subprocess.run(['mount', '-o', 'remount,size=2g', SHM], check=True)


def test_no_inodes_left():
    put(both('kept')[0], b'kept')
    st = os.statvfs(SHM)
    used = st.f_files - st.f_ffree
    subprocess.run(['mount', '-o', f'remount,nr_inodes={used + 1}', SHM], check=True)
    try:
        for path in both('last'):
            put(path, b'')
            refused('ENOSPC', os.open, path + '2', os.O_CREAT | os.O_RDWR)
            os.unlink(path)
        eq(get(both('kept')[1]), b'kept', 'an existing object')
    finally:
        subprocess.run(['mount', '-o', 'remount,nr_inodes=1m', SHM], check=True)


def test_removed_while_open():
    for remover in (0, 1):
        for base in (0, 1):
            paths = both('removed')
            put(paths[0], b'before')
            fd = os.open(paths[base], os.O_RDWR)
            os.unlink(paths[remover])
            st = os.fstat(fd)
            eq((st.st_nlink, st.st_size), (0, 6), 'fstat')
            eq((os.pread(fd, 10, 0), os.pwrite(fd, b'after!', 2), os.pread(fd, 20, 0)), (b'before', 6, b'beafter!'), 'content')
            os.ftruncate(fd, 3)
            os.fchmod(fd, 0o640)
            os.fchown(fd, 5, 6)
            os.utime(fd, ns=(7, 8))
            fallocate(fd, 0, 0, 5000)
            st = os.fstat(fd)
            eq((st.st_nlink, st.st_size, st.st_mode & 0o7777, st.st_uid, st.st_gid, st.st_mtime_ns != 8),
               (0, 5000, 0o640, 5, 6, True), 'fstat after changes')
            eq(get(f'/proc/self/fd/{fd}')[:5], b'bea\0\0', 'opened again by /proc/self/fd')
            refused('ENOENT', os.stat, paths[1])
            refused('ENOENT', link_descriptor, fd, paths[base] + '2')
            os.close(fd)


def test_xattr():
    put(both('x')[0], b'')
    if NATIVE:
        return
    for path in (both('x')[1], TREE, MNT, CTL + '/version'):
        # An access list that is not kept is "none" to the kernel, not "unsupported", once getxattr was refused for good.
        refused(('EOPNOTSUPP', 'ENODATA'), os.getxattr, path, 'system.posix_acl_access')
        for name in ('user.x', 'trusted.x', 'security.x', 'security.capability', 'x'):
            refused('EOPNOTSUPP', os.getxattr, path, name)
            refused('EOPNOTSUPP', os.removexattr, path, name)
        for name in ('user.x', 'trusted.x', 'security.x', 'x'):  # the kernel itself checks the values of the others
            refused('EOPNOTSUPP', os.setxattr, path, name, b'v')
        refused('EOPNOTSUPP', os.listxattr, path)


def bind(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)


@daemon_only
def test_only_regular_files_in_shm():
    put(both('f')[0], b'')
    new = f'{TREE}/new'
    for fn in (lambda: os.mkdir(new), lambda: os.symlink('f', new), lambda: os.mkfifo(new), lambda: bind(new),
               lambda: os.mknod(new, stat.S_IFCHR | 0o600, os.makedev(1, 3)),
               lambda: os.mknod(new, stat.S_IFBLK | 0o600, os.makedev(7, 0)), lambda: os.mknod(new, stat.S_IFSOCK | 0o600)):
        refused('EPERM', fn)
    os.mknod(new, stat.S_IFREG | 0o640)
    eq(os.stat(f'{SHM}/new').st_mode, stat.S_IFREG | 0o640, 'a regular file by mknod')
    eq(sorted(os.listdir(SHM)), ['f', 'new'], 'objects')


@daemon_only
def test_reserved_names():
    """sem.* and .ipcfs.* are not there, and nothing can come there."""
    put(f'{TREE}/f', b'')
    for name in ('sem.x', 'sem.', '.ipcfs.x', '.ipcfs.'):
        for there in (False, True):
            native, mount = both(name)
            if there:
                put(native, b'hidden')
            for fn in (os.stat, os.unlink, get, lambda p: os.truncate(p, 0), lambda p: os.chmod(p, 0o777), os.utime,
                       lambda p: os.rename(p, f'{TREE}/stolen'), lambda p: os.link(p, f'{TREE}/stolen')):
                refused('ENOENT', fn, mount)
            for fn in (lambda p: os.open(p, os.O_CREAT | os.O_RDWR), lambda p: os.open(p, os.O_CREAT | os.O_EXCL | os.O_RDWR),
                       lambda p: os.open(p, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), lambda p: os.mknod(p, stat.S_IFREG | 0o600),
                       lambda p: os.rename(f'{TREE}/f', p), lambda p: os.link(f'{TREE}/f', p), os.mkdir,
                       lambda p: os.symlink('f', p)):
                refused('EPERM', fn, mount)
            ok(name not in os.listdir(TREE), f'{name} is listed')
        eq(get(native), b'hidden', f'{name} natively')
        os.unlink(native)
    eq(sorted(os.listdir(TREE)), ['f'], 'listing')


OWN = ['', '/shm', '/ctl', '/ctl/version', '/ctl/README', '/ctl/metrics', '/ctl/shm', '/ctl/shm/list', '/ctl/shm/list.json',
       '/ctl/shm/limits', '/ctl/shm/f', '/ctl/shm/f/state', '/ctl/shm/f/state.json']


@daemon_only
def test_own_directories_are_not_changeable():
    put(f'{TREE}/f', b'')
    before = os.stat(SHM)
    for path in OWN:
        for fn in (lambda p: os.chmod(p, 0o777), lambda p: os.chown(p, 1, 1), os.utime, lambda p: os.utime(p, (1, 1)),
                   lambda p: os.chown(p, -1, 5)):
            refused('EPERM', fn, MNT + path)
    for path in ('', '/ctl', '/ctl/shm', '/ctl/shm/f'):
        for fn in (os.mkdir, os.mkfifo, lambda p: os.symlink('x', p), lambda p: os.open(p, os.O_CREAT | os.O_RDWR),
                   lambda p: os.mknod(p, stat.S_IFREG | 0o600)):
            refused('EPERM', fn, f'{MNT}{path}/new')
        refused(('EPERM', 'EXDEV'), os.link, f'{TREE}/f', f'{MNT}{path}/new')
    for path in ('/shm', '/ctl', '/ctl/shm', '/ctl/shm/f'):
        refused('EPERM', os.rmdir, MNT + path)
        refused(('EPERM', 'EXDEV', 'EBUSY'), os.rename, MNT + path, f'{MNT}/x')
        refused('EISDIR', os.open, MNT + path, os.O_WRONLY)
        refused('EISDIR', os.open, MNT + path, os.O_RDWR)
    for path in ('/ctl/version', '/ctl/shm/list', '/ctl/shm/f/state', '/ctl/shm/f/native'):
        refused('EPERM', os.unlink, MNT + path)
        refused(('EPERM', 'EXDEV'), os.rename, MNT + path, f'{TREE}/x')
        refused(('EPERM', 'EXDEV'), os.link, MNT + path, f'{TREE}/x', follow_symlinks=False)
    for target in (f'{MNT}/x', f'{CTL}/x', f'{CTL}/shm/x', f'{CTL}/shm/f/x', f'{CTL}/version'):
        refused(('EPERM', 'EXDEV'), os.rename, f'{TREE}/f', target)
    refused('EXDEV', os.rename, f'{TREE}/f', '/dev/f')
    refused('EXDEV', os.rename, f'{TREE}/f', f'{SHM}/f2')
    after = os.stat(SHM)
    eq((after.st_mode, after.st_uid, after.st_gid, after.st_mtime_ns), (before.st_mode, 0, 0, before.st_mtime_ns), 'the tmpfs')
    eq(os.listdir(SHM), ['f'], 'objects')


@daemon_only
def test_the_directory_keeps_owner_and_sticky_bit():
    """As the tmpfs has them, from the next lookup on; permission bits are its own, as every step is checked natively."""
    try:
        for mode, uid, gid in ((0o1777, 0, 0), (0o700, 0, 0), (0o1775, 12, 34), (0o1777, 0, 0)):
            os.chown(SHM, uid, gid)
            os.chmod(SHM, mode)
            refused('ENOENT', os.stat, f'{TREE}/nothing')
            st = os.stat(TREE)
            eq((st.st_uid, st.st_gid, st.st_mode), (uid, gid, stat.S_IFDIR | 0o777 | (mode & stat.S_ISVTX)), 'status of shm')
    finally:
        os.chown(SHM, 0, 0)
        os.chmod(SHM, 0o1777)


def ask_for_o():
    """What an ordinary user gets of the object `o`, in every way that leads to it."""
    def opened(path):
        os.close(os.open(path, os.O_RDWR))
        return 'open'
    return [attempt(lambda: bool(os.stat(f'{TREE}/o'))), attempt(opened, f'{TREE}/o'),
            attempt(lambda: bool(os.stat(f'{CTL}/shm/o'))), attempt(lambda: 'o' in os.listdir(TREE))]


@daemon_only
def test_closing_the_directory_closes_it_at_once():
    """Asked right after each native change: nothing is granted any more, and everything again."""
    put(f'{SHM}/o', b'x')
    os.chmod(f'{SHM}/o', 0o666)
    user = User(1001, 1001)
    wrong = []
    try:
        for i in range(500):
            os.chmod(SHM, 0o1777 if i % 2 else 0o700)
            got = user(ask_for_o)
            if got != ([True, 'open', True, True] if i % 2 else ['EACCES'] * 4):
                wrong.append((i, got))
    finally:
        os.chmod(SHM, 0o1777)
        user.end()
    eq(wrong, [], 'answers that are not those of the moment')


@daemon_only
def test_missing_paths():
    for path in ('/none', '/sem/none', '/sysv/sem/by-key/0x1', '/ctl/none', '/ctl/shm/none', '/ctl/shm/none/state', '/shm/none'):
        refused('ENOENT', os.stat, MNT + path)
        refused('ENOENT', os.open, MNT + path, os.O_RDONLY)
    put(f'{SHM}/f', b'')
    refused('ENOENT', os.stat, f'{CTL}/shm/f/none')
    refused('ENOTDIR', os.stat, f'{TREE}/f/x')
    refused('ENOTDIR', os.stat, f'{CTL}/version/x')
    os.unlink(f'{SHM}/f')
    refused('ENOENT', os.stat, f'{CTL}/shm/f')
    refused('ENOENT', os.open, f'{CTL}/shm/f/state', os.O_RDONLY)


def user_of_own_directories():
    found = []
    for path in ('', '/ctl', '/ctl/shm', '/ctl/shm/f'):
        found.append(attempt(os.mkdir, f'{MNT}{path}/new'))
        found.append(attempt(os.chmod, MNT + path, 0o777))
    for path in ('/shm', '/ctl/version', '/ctl/shm/f/state'):
        found.append(attempt(os.chmod, MNT + path, 0o777))
        found.append(attempt(os.chown, MNT + path, 1001, -1))
        found.append(attempt(os.utime, MNT + path, (1, 1)))
    found.append(attempt(os.open, f'{CTL}/version', os.O_RDWR))
    return found


@daemon_only
def test_own_directories_and_a_user():
    put(f'{SHM}/f', b'')
    user = User(1001, 1001)
    got = user(user_of_own_directories)
    user.end()
    ok(set(got) <= {'EPERM', 'EACCES'}, f'answers {got}')


main(globals())
