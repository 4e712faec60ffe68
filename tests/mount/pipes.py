# SPDX-License-Identifier: MIT
"""pipe/: FIFOs of the mount beside FIFOs of a tmpfs. Every test that names a directory runs in both."""
import errno
import fcntl
import os
import select
import signal
import socket
import stat
import struct
import subprocess
import termios
import time

from forget import forget
from mounttest import (ASAN, MNT, SCRATCH, Requests, attempt, eq, fields, in_child, join, main, ok, put, refused)
from twins import PIPE, SOON, Thread, clean_twins, sleeps, twice, wait_until

R, W, RW, NB = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_NONBLOCK
F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032
PIPE_BUF = select.PIPE_BUF


def queued(fd):
    return struct.unpack('i', fcntl.ioctl(fd, termios.FIONREAD, b'\0' * 4))[0]


def make(path, mode=0o644, data=b''):
    """A new FIFO, open in both directions so that what is in it stays."""
    os.mkfifo(path, mode)
    fd = os.open(path, RW)
    if data:
        eq(os.write(fd, data), len(data), 'bytes written')
    return fd


# ---- open ----

@twice(PIPE)
def test_opens_that_do_not_wait(where):
    path = where + '/p'
    os.mkfifo(path)
    refused('ENXIO', os.open, path, W | NB)
    r = os.open(path, R | NB)
    eq(os.read(r, 10), b'', 'read without a writer')
    w = os.open(path, W | NB)
    refused('EAGAIN', os.read, r, 10)
    eq(os.write(w, b'abc'), 3, 'write')
    for flags in (os.O_TRUNC, os.O_APPEND, os.O_CREAT, os.O_CREAT | os.O_TRUNC, os.O_CLOEXEC, os.O_NOFOLLOW):
        os.close(os.open(path, W | NB | flags, 0o600))
    eq((os.read(r, 2), os.read(r, 10)), (b'ab', b'c'), 'what was written before the other opens')
    refused('EEXIST', os.open, path, RW | os.O_CREAT | os.O_EXCL)
    refused('ENOTDIR', os.open, path, R | os.O_DIRECTORY)
    refused('EBADF', os.read, w, 1)
    refused('EBADF', os.write, r, b'x')
    refused('ESPIPE', os.lseek, r, 0, os.SEEK_SET)
    refused('EINVAL', os.ftruncate, w, 0)
    refused('EINVAL', os.truncate, path, 0)
    o = os.open(path, os.O_PATH)
    eq(stat.S_ISFIFO(os.fstat(o).st_mode), True, 'what O_PATH opens')
    refused('EBADF', os.read, o, 1)
    for fd in (r, w, o):
        os.close(fd)
    refused('ENXIO', os.open, path, W | NB)


@twice(PIPE)
def test_opens_that_meet(where):
    path = where + '/p'
    os.mkfifo(path)
    for first, second in ((R, W), (W, R)):
        waiter = Thread(os.open, path, first)
        time.sleep(0.05)
        ok(waiter.is_alive(), 'an open without another end waits')
        other = os.open(path, second)
        mine = waiter.result('the open that waited')
        r, w = (mine, other) if first == R else (other, mine)
        os.write(w, b'met')
        eq(os.read(r, 10), b'met', 'what was written')
        os.close(w)
        eq(os.read(r, 10), b'', 'end')
        os.close(r)
    for flags in (RW, RW | NB):
        os.close(os.open(path, flags))


def interrupted(path, flags):
    signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        os.open(path, flags)
    except ZeroDivisionError:
        return 0
    return 1


@twice(PIPE)
def test_waiting_opens_end(where):
    """By a signal, and by death."""
    path = where + '/p'
    os.mkfifo(path)
    for flags in (R, W):
        join([in_child(interrupted, path, flags)], 'who gets a signal', SOON)
        pid = in_child(os.open, path, flags)
        wait_until(lambda p=pid: sleeps(p), 'the open waits')
        os.kill(pid, signal.SIGKILL)
        eq(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), -signal.SIGKILL, 'end')
    refused('ENXIO', os.open, path, W | NB)


@twice(PIPE)
def test_waiting_opens_hold_nothing(where):
    """Forty opens wait, by O_CREAT too, and all else goes on; then each is let go by one end."""
    names = [f'{where}/p{i}' for i in range(20)]
    for name in names:
        os.mkfifo(name)
    waiters = [Thread(os.open, name, flags, 0o600) for name in names for flags in (R, R | os.O_CREAT)]
    time.sleep(0.1)
    eq([w.is_alive() for w in waiters], [True] * 40, 'opens that wait')

    def others():
        for i in range(50):
            os.mkfifo(f'{where}/other')
            eq(len(os.listdir(where)), 21, 'names')
            os.chmod(names[i % 20], 0o640 + i % 8)
            os.rename(f'{where}/other', f'{where}/another')
            os.unlink(f'{where}/another')
        for name in names:
            os.rename(name, name + '.moved')
    Thread(others).result('names are made, moved and removed while opens wait')
    ends = [os.open(name + '.moved', W | NB) for name in names]
    for fd in ends + [w.result('open') for w in waiters]:
        os.close(fd)


# ---- names and the pipe itself ----

@twice(PIPE)
def test_unlink_while_open(where):
    """Data keep flowing, attributes are known, and a new pipe of the name is another pipe."""
    path = where + '/p'
    fd = make(path, 0o640, b'old ')
    before = os.fstat(fd)
    os.unlink(path)
    refused('ENOENT', os.stat, path)
    os.write(fd, b'data')
    after = os.fstat(fd)
    eq((after.st_nlink, before.st_nlink), (0, 1), 'link count')
    eq(fields(after, ('st_ino', 'st_mode', 'st_uid', 'st_gid', 'st_size')),
       fields(before, ('st_ino', 'st_mode', 'st_uid', 'st_gid', 'st_size')), 'attributes of what is removed')
    new = make(path, 0o600, b'new')
    ok(os.fstat(new).st_ino != before.st_ino, 'the new pipe has its own number')
    again = os.open(f'/proc/self/fd/{fd}', R | NB)
    eq((os.read(again, 20), os.read(new, 20)), (b'old data', b'new'), 'content of the old and of the new')
    eq(stat.S_IMODE(os.fstat(again).st_mode), 0o640, 'the mode of the old')
    for each in (fd, new, again):
        os.close(each)


@twice(PIPE)
def test_programs_on_a_removed_pipe(where):
    """cat asks for attributes of its input, as many programs do."""
    script = f'cd {where} && mkfifo p && exec 3<> p && rm p && seq 1000 >&3 && echo end >&3 && exec 4< /proc/self/fd/3 && ' \
             f'exec 3>&- && cat <&4 | sha256sum'
    r = subprocess.run(['bash', '-c', script], capture_output=True, text=True, timeout=10 * SOON)
    want = subprocess.run(['bash', '-c', '(seq 1000; echo end) | sha256sum'], capture_output=True, text=True, check=True)
    eq(r.stdout, want.stdout, f'what cat reads ({r.stderr})')


@twice(PIPE)
def test_rename_while_open(where):
    a, b = where + '/a', where + '/b'
    fa, fb = make(a, data=b'A'), make(b, data=b'B')
    ia = os.fstat(fa).st_ino
    os.rename(a, b)
    os.fchmod(fa, 0o604)
    eq(stat.S_IMODE(os.fstat(fa).st_mode), 0o604, 'the mode, changed by the descriptor')
    refused('ENOENT', os.stat, a)
    eq((os.stat(b).st_ino, os.fstat(fa).st_nlink, os.fstat(fb).st_nlink), (ia, 1, 0), 'number, link counts')
    named = os.open(b, R | NB)
    os.write(fa, b'1')
    os.write(fb, b'2')
    eq((os.read(named, 9), os.read(fb, 9)), (b'A1', b'B2'), 'what is named, what was replaced')
    for fd in (fa, fb, named):
        os.close(fd)


@twice(PIPE)
def test_attributes_while_renamed(where):
    """Who has a pipe open never finds it gone, whatever its name is at that moment."""
    a, b = where + '/a', where + '/b'
    fd = make(a)
    number, stop = os.fstat(fd).st_ino, []

    def back_and_forth():
        count = 0
        while not stop:
            os.rename(a, b)
            os.rename(b, a)
            count += 1
        return count
    renames = Thread(back_and_forth)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        st = os.fstat(fd)
        eq((st.st_ino, st.st_nlink), (number, 1), 'number and links')
    stop.append(True)
    ok(renames.result('renames') > 50, 'renames')
    os.close(fd)


@twice(PIPE)
def test_rename_flags(where):
    mv = ['/usr/bin/python3', '-c', '''
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), int(sys.argv[3])):
    sys.exit(ctypes.get_errno())
''']
    a, b = where + '/a', where + '/b'
    fa, fb = make(a, data=b'A'), make(b, data=b'B')
    eq(subprocess.run(mv + [a, b, '1']).returncode, errno.EEXIST, 'RENAME_NOREPLACE')
    eq(subprocess.run(mv + [a, b, '2']).returncode, 0, 'RENAME_EXCHANGE')
    na, nb = os.open(a, R | NB), os.open(b, R | NB)
    eq((os.read(na, 9), os.read(nb, 9)), (b'B', b'A'), 'what the names mean now')
    for fd in (fa, fb, na, nb):
        os.close(fd)


@twice(PIPE)
def test_links(where):
    a, b = where + '/a', where + '/b'
    fd = make(a, data=b'one pipe')
    os.link(a, b)
    eq((os.stat(a).st_ino, os.stat(b).st_nlink), (os.stat(b).st_ino, 2), 'number, link count')
    os.unlink(a)
    other = os.open(b, R | NB)
    eq((os.read(other, 20), os.fstat(fd).st_nlink), (b'one pipe', 1), 'by the other name')
    os.close(fd)
    os.close(other)


@twice(PIPE)
def test_names(where):
    odd = [b'\xff\xfe', b' ', b'a\nb', b'-rf', b'\\', b'..x', b'x' * 255, 'ü€'.encode(), b'*', b"'\""]
    for name in odd:
        os.mkfifo(os.fsencode(where) + b'/' + name)
    eq(sorted(os.listdir(os.fsencode(where))), sorted(odd), 'names')
    refused('ENAMETOOLONG', os.mkfifo, where + '/' + 'x' * 256)
    refused('EEXIST', os.mkfifo, os.fsencode(where) + b'/' + odd[0])
    refused('ENOTDIR', os.stat, os.fsencode(where) + b'/ /x')
    refused('ENOTDIR', os.rmdir, where + '/ ')
    found = subprocess.run(['find', where, '-type', 'p', '-printf', 'x'], capture_output=True, check=True).stdout
    eq(len(found), len(odd), 'what find sees')


def test_only_pipes():
    """What a pipe is not: refused as what is not permitted, and nothing is left."""
    refused('EPERM', os.open, PIPE + '/file', RW | os.O_CREAT)
    refused('EPERM', os.mkdir, PIPE + '/directory')
    refused('EPERM', os.symlink, 'x', PIPE + '/link')
    refused('EPERM', os.mknod, PIPE + '/device', stat.S_IFCHR | 0o666, os.makedev(1, 3))
    refused('EPERM', os.mknod, PIPE + '/socket', stat.S_IFSOCK | 0o666)
    refused('EPERM', os.mknod, PIPE + '/file', stat.S_IFREG | 0o666)
    refused('EPERM', os.mkfifo, PIPE + '/.ipcfs.x')
    s = socket.socket(socket.AF_UNIX)
    refused('EPERM', s.bind, PIPE + '/socket')
    os.mkfifo(PIPE + '/p')
    refused('ECONNREFUSED', s.connect, PIPE + '/p')
    s.close()
    for there in ('shm', 'sock', 'mq'):
        refused('EXDEV', os.rename, PIPE + '/p', f'{MNT}/{there}/p')
        refused('EXDEV', os.link, PIPE + '/p', f'{MNT}/{there}/p')
    put(MNT + '/shm/file', b'')
    refused('EXDEV', os.rename, MNT + '/shm/file', PIPE + '/file')
    refused('EPERM', os.chmod, PIPE, 0o777)
    refused('EPERM', os.chown, PIPE, 1, 1)
    eq(os.listdir(PIPE), ['p'], 'names')


@twice(PIPE)
def test_attributes(where):
    path = where + '/p'
    for umask in (0, 0o22, 0o77):
        for mode in (0o666, 0o777, 0o600, 0o000, 0o4755, 0o1666):
            os.umask(umask)
            os.mkfifo(path, mode)
            eq(oct(os.stat(path).st_mode), oct(stat.S_IFIFO | mode & ~umask), f'mkfifo {mode:o}, umask {umask:o}')
            os.unlink(path)
    os.umask(0o22)
    start = time.time()
    fd = make(path)
    st = os.fstat(fd)
    ok(all(abs(t - start) < 5 for t in (st.st_atime, st.st_mtime, st.st_ctime)), f'times of what is new: {st}')
    eq((st.st_size, st.st_blocks, st.st_nlink), (0, 0, 1), 'size, blocks, links')
    os.chmod(path, 0o604)
    os.fchmod(fd, 0o613)
    os.chown(path, 1001, 2001)
    os.fchown(fd, -1, 2002)
    os.utime(path, ns=(10**18 + 1, 2 * 10**18 + 3))
    st = os.stat(path)
    eq((oct(st.st_mode), st.st_uid, st.st_gid, st.st_atime_ns, st.st_mtime_ns),
       (oct(stat.S_IFIFO | 0o613), 1001, 2002, 10**18 + 1, 2 * 10**18 + 3), 'attributes')
    eq(fields(os.fstat(fd)), fields(os.stat(path)), 'by descriptor and by name')
    os.utime(fd)
    ok(abs(os.stat(path).st_mtime - time.time()) < 5, 'utime now')
    out = subprocess.run(['stat', '-c', '%F %A %U %h', path], capture_output=True, text=True, check=True).stdout
    eq(out.split(), ['fifo', 'prw---x-wx', 'UNKNOWN', '1'], 'stat')
    os.close(fd)


# ---- data ----

@twice(PIPE)
def test_data(where):
    """Sizes, capacity, splice, tee, packets, EOF, EPIPE."""
    path = where + '/p'
    os.mkfifo(path)
    r, w = os.open(path, R | NB), os.open(path, W | NB)
    eq(fcntl.fcntl(w, F_GETPIPE_SZ), 65536, 'capacity')
    eq(os.write(w, b'x' * 100000), 65536, 'what goes in')
    refused('EAGAIN', os.write, w, b'y')
    eq(queued(r), 65536, 'FIONREAD')
    eq(fcntl.fcntl(r, F_SETPIPE_SZ, 1 << 20), 1 << 20, 'a larger capacity')
    eq(os.write(w, b'y' * 2000000), (1 << 20) - 65536, 'what goes in then')
    refused('EBUSY', fcntl.fcntl, r, F_SETPIPE_SZ, 4096)
    pr, pw = os.pipe()
    tee = subprocess.run(['/usr/bin/python3', '-c', f'''
import ctypes
print(ctypes.CDLL(None).tee({r}, {pw}, 4096, 0))'''], pass_fds=(r, pw), capture_output=True, text=True)
    eq((tee.stdout, os.read(pr, 5000)), ('4096\n', b'x' * 4096), 'tee')
    eq((os.splice(r, pw, 4096), os.read(pr, 5000)), (4096, b'x' * 4096), 'splice')
    eq(queued(r), (1 << 20) - 4096, 'tee takes nothing, splice does')
    while attempt(os.read, r, 1 << 20) != 'EAGAIN':
        pass
    fcntl.fcntl(w, fcntl.F_SETFL, NB | os.O_DIRECT)
    for packet in (b'one', b'two two'):
        os.write(w, packet)
    eq((os.read(r, 100), os.read(r, 2), attempt(os.read, r, 9)), (b'one', b'tw', 'EAGAIN'), 'packets')
    os.close(w)
    eq(os.read(r, 1), b'', 'end')
    w = os.open(path, W)
    os.close(r)
    refused('EPIPE', os.write, w, b'x')
    for fd in (w, pr, pw):
        os.close(fd)
    child = in_child(writes_and_dies, path)
    eq(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), -signal.SIGPIPE, 'who writes for nobody')


def writes_and_dies(path):
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    r, w = os.open(path, R | NB), os.open(path, W)
    os.close(r)
    os.write(w, b'x')
    return 1


def write_pieces(path, mark, count):
    fd = os.open(path, W)
    piece = bytes([mark]) * PIPE_BUF
    for _ in range(count):
        if os.write(fd, piece) != PIPE_BUF:
            return 1
    return 0


@twice(PIPE)
def test_pieces_stay_whole(where):
    """PIPE_BUF: pieces of many writers do not mix, and none is lost."""
    path, writers, count = where + '/p', 8, 400
    os.mkfifo(path)
    children = [in_child(write_pieces, path, 65 + i, count) for i in range(writers)]
    found = dict.fromkeys(range(65, 65 + writers), 0)
    with open(path, 'rb', buffering=0) as f:
        while piece := f.read(PIPE_BUF):
            while len(piece) < PIPE_BUF:
                more = f.read(PIPE_BUF - len(piece))
                ok(more, 'an end within a piece')
                piece += more
            ok(piece == piece[:1] * PIPE_BUF, f'a mixed piece: {sorted(set(piece))}')
            found[piece[0]] += 1
    join(children, 'writers')
    eq(found, dict.fromkeys(found, count), 'pieces of each writer')


def ready(fd, events=select.POLLIN | select.POLLOUT):
    p = select.poll()
    p.register(fd, events)
    got = p.poll(0)
    return got[0][1] if got else 0


@twice(PIPE)
def test_readiness(where):
    path = where + '/p'
    os.mkfifo(path)
    r = os.open(path, R | NB)
    eq(ready(r), 0, 'a pipe that nobody has opened for writing yet')
    w = os.open(path, W | NB)
    eq((ready(r), ready(w)), (0, select.POLLOUT), 'an empty pipe')
    e = select.epoll()
    e.register(r, select.EPOLLIN | select.EPOLLET)
    waiter = Thread(e.poll, 10)
    time.sleep(0.05)
    os.write(w, b'x')
    eq(waiter.result('epoll'), [(r, select.EPOLLIN)], 'epoll')
    eq(e.poll(0), [], 'the same edge again')
    eq((ready(r), select.select([r], [w], [], 0)[:2]), (select.POLLIN, ([r], [w])), 'some data')
    while attempt(os.write, w, b'x' * 4096) != 'EAGAIN':
        pass
    eq(ready(w), 0, 'a full pipe')
    os.close(w)
    eq(ready(r), select.POLLIN | select.POLLHUP, 'data, and nobody who writes')
    w = os.open(path, W | NB)
    e.close()
    os.close(r)
    eq(ready(w) & select.POLLERR, select.POLLERR, 'nobody who reads')
    os.close(w)


@twice(PIPE)
def test_locks(where):
    path = where + '/p'
    os.mkfifo(path)
    a, b = os.open(path, RW), os.open(path, RW)
    fcntl.flock(a, fcntl.LOCK_EX)
    refused(('EAGAIN', 'EWOULDBLOCK'), fcntl.flock, b, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(a)
    fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.lockf(b, fcntl.LOCK_EX)
    pid = in_child(lambda: refused(('EACCES', 'EAGAIN'), fcntl.lockf, os.open(path, RW), fcntl.LOCK_EX | fcntl.LOCK_NB))
    join([pid], 'who meets a lock')
    os.close(b)


def test_no_request_while_data_flow():
    """Reads, writes and polls are between the kernel and the programs."""
    path = PIPE + '/p'
    fd = make(path)
    with Requests() as quiet:
        for i in range(2000):
            os.write(fd, b'%d' % i)
            ready(fd)
            os.read(fd, 100)
    eq({k: v for k, v in quiet.made.items() if v}, {}, 'requests while data flow')
    with Requests() as opens:
        for _ in range(100):
            os.close(os.open(path, RW))
    eq((opens['open'], opens['release'], opens['flush']), (0, 0, 0), 'OPEN, RELEASE and FLUSH of a pipe')
    os.close(fd)


def test_memory_pressure():
    """What the kernel does not need it forgets, but no pipe that is open and nothing that waits in it."""
    fds = [make(f'{PIPE}/p{i}', data=b'content %d' % i) for i in range(200)]
    waiters = []
    for i in range(5):
        os.mkfifo(f'{PIPE}/w{i}')
        waiters.append(Thread(os.open, f'{PIPE}/w{i}', R))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(MNT + '/sock/s')
    listener.listen()
    for i in range(0, 200, 4):
        os.unlink(f'{PIPE}/p{i}')
    time.sleep(0.05)
    for _ in range(2):
        forget()
    for i, fd in enumerate(fds):
        by_name = os.open(f'{PIPE}/p{i}', R | NB) if i % 4 else fd
        eq(os.read(by_name, 100), b'content %d' % i, f'content of pipe {i}')
        eq(os.fstat(by_name).st_nlink, int(i % 4 > 0), 'links')
        if by_name != fd:
            os.close(by_name)
        os.close(fd)
    for i, waiter in enumerate(waiters):
        end = os.open(f'{PIPE}/w{i}', W | NB)
        os.close(waiter.result('an open that waited'))
        os.close(end)
    c = socket.socket(socket.AF_UNIX)
    c.connect(MNT + '/sock/s')
    c.close()
    listener.close()


def test_many():
    """10,000 of them are no more than names: no descriptor of the daemon's, and listed in a moment."""
    count, pid = 10000, os.environ['IPCFS_PID']
    before = len(os.listdir(f'/proc/{pid}/fd'))
    start = time.monotonic()
    for i in range(count):
        os.mkfifo(f'{PIPE}/{i}', 0o600 + i % 64)
    made = time.monotonic()
    out = subprocess.run(['ls', '-l', PIPE], capture_output=True, text=True, check=True).stdout.splitlines()
    listed = time.monotonic()
    eq(len(out), count + 1, 'lines of ls')
    eq({int(n) for n in os.listdir(PIPE)}, set(range(count)), 'names')
    some = (0, 63, 9999)
    eq([oct(stat.S_IMODE(os.stat(f'{PIPE}/{i}').st_mode)) for i in some], [oct((0o600 + i % 64) & ~0o22) for i in some], 'modes')
    numbers = {e.inode() for e in os.scandir(PIPE)}
    eq(len(numbers), count, 'different numbers')
    ok(len(os.listdir(f'/proc/{pid}/fd')) <= before + 16, 'descriptors of the daemon')
    for i in range(count):
        os.unlink(f'{PIPE}/{i}')
    print(f'  made in {made - start:.2f} s, ls -l in {listed - made:.2f} s', flush=True)
    ok(ASAN or listed - start < 30, 'made and listed in 30 s')


def test_removed_while_open_costs_no_descriptor():
    pid = os.environ['IPCFS_PID']
    before = len(os.listdir(f'/proc/{pid}/fd'))
    fds = []
    for i in range(500):
        fds.append(make(f'{PIPE}/p', data=b'%d' % i))
        os.unlink(f'{PIPE}/p')
    eq([os.fstat(fd).st_nlink for fd in fds], [0] * 500, 'links')
    ok(len(os.listdir(f'/proc/{pid}/fd')) <= before + 16, 'descriptors of the daemon')
    for i, fd in enumerate(fds):
        eq(os.read(fd, 9), b'%d' % i, 'content')
        os.close(fd)


# ---- programs ----

@twice(PIPE)
def test_copies(where):
    """cp, mv, tar and find take pipes for what they are: out of the directory and back into it, with owner, mode and time."""
    away = f'{SCRATCH}/away'
    os.mkdir(away)
    os.mkfifo(where + '/p', 0o640)
    os.chown(where + '/p', 1001, 2001)
    os.utime(where + '/p', ns=(10**18, 10**18))
    want = fields(os.stat(where + '/p'), ('st_mode', 'st_uid', 'st_gid', 'st_mtime_ns'))
    script = '''set -e; cd "$1"
        cp -a p q; cp -a p "$2/cp"; cp -a "$2/cp" cp; tar cf - p | tar xf - -C "$2"; mv "$2/p" tar; mv p "$2/mv"; mv "$2/mv" mv
        find . -type p | sort | tr '\\n' ' '; find . -name q -delete; ls -p | tr '\\n' ' '; [ -p mv ] && test ! -f mv'''
    r = subprocess.run(['bash', '-c', script, 'bash', where, away], capture_output=True, text=True, timeout=10 * SOON)
    eq((r.stdout, r.stderr, r.returncode), ('./cp ./mv ./q ./tar cp mv tar ', '', 0), 'what the tools say')
    for name in ('cp', 'mv', 'tar'):
        eq(fields(os.stat(f'{where}/{name}'), want), want, name)
    subprocess.run(['rm', '-r', away], check=True)

def test_pipelines():
    """A gigabyte through tar, gzip and FIFOs of the mount, one process for each step: the sum is the same."""
    size = 64 if ASAN else 1024
    tree = f'{SCRATCH}/tree'
    os.mkdir(tree)
    for i in range(8):
        with open(f'{tree}/zeros{i}', 'wb') as f:
            f.truncate(size << 17)
    put(f'{tree}/random', os.urandom(1 << 20))
    script = f'''set -euo pipefail; cd {PIPE}; mkfifo tar gz back
        tar -C {tree} -cf tar . & gzip -1 < tar > gz & gzip -d < gz > back &
        tar -C {tree} -cf - . | tee >(cmp - back && echo same > {SCRATCH}/verdict) | wc -c; wait'''
    r = subprocess.run(['bash', '-c', script], capture_output=True, text=True, timeout=100)
    eq((r.returncode, r.stderr), (0, ''), 'the pipeline')
    ok(int(r.stdout) > size << 20, f'{r.stdout} bytes')
    wait_until(lambda: os.path.exists(f'{SCRATCH}/verdict'), 'cmp finds them equal')
    subprocess.run(['rm', '-r', tree], check=True)


main(globals(), clean_twins)
