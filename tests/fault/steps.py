# SPDX-License-Identifier: MIT
"""What a mount is used for, in small steps, each by itself: for denied.py. A step that works returns; one that does not raises
the OSError it met, or AssertionError where what it got is wrong."""
import ctypes
import fcntl
import os
import select
import signal
import socket
import threading

from paths import KEY, MSGS, SEGMENTS, TREE, raw_read, read, write
from mounttest import CTL, MNT, SHM, attempt, eq, ok
from queues import MQ, Msg, libc, make_mq, make_msg
from semaphores import SEM, SSEM, make_posix, make_set, unlink_posix
from twins import PIPE, SOCK, Thread, wait_until

BOUND = 4  # seconds that anything which waits may take


def later(fn, *args):
    """What blocks in the mount, begun; all that is known is that it sleeps there."""
    thread = Thread(fn, *args)
    wait_until(lambda: not thread.is_alive() or sleeps(thread.native_id), 'it waits', BOUND)
    return thread


def sleeps(tid):
    try:
        with open(f'/proc/self/task/{tid}/wchan') as f:
            return 'request' in f.read()
    except OSError:
        return True  # it has ended


def tree():
    ok({'shm', 'mq', 'sem', 'sysv', 'pipe', 'sock', 'ctl', 'proc'} <= set(os.listdir(MNT)), 'the tree')
    os.statvfs(TREE)


def shm():
    write(f'{TREE}/x', b'hello', os.O_CREAT)
    try:
        with open(f'{SHM}/x', 'rb') as f:
            eq(f.read(), b'hello', 'natively')
        eq(read(f'{TREE}/x'), b'hello', 'content')
        eq(os.listdir(TREE), ['x'], 'names')
    finally:
        attempt(os.unlink, f'{TREE}/x')


def shm_changes():
    with open(f'{SHM}/x', 'wb'):
        pass
    try:
        os.truncate(f'{TREE}/x', 100)
        os.chmod(f'{TREE}/x', 0o640)
        os.chown(f'{TREE}/x', 1, 1)
        os.utime(f'{TREE}/x', (5, 5))
        os.rename(f'{TREE}/x', f'{TREE}/y')
        os.link(f'{TREE}/y', f'{TREE}/x')
        os.unlink(f'{TREE}/y')
        st = os.stat(f'{SHM}/x')
        eq((st.st_size, st.st_mode & 0o777, st.st_uid, st.st_mtime), (100, 0o640, 1, 5), 'natively')
    finally:
        for name in 'xy':
            attempt(os.unlink, f'{SHM}/{name}')


def shm_fallocate():
    with open(f'{SHM}/x', 'wb'):
        pass
    try:
        fd = os.open(f'{TREE}/x', os.O_RDWR)
        try:
            os.posix_fallocate(fd, 0, 5000)
            os.pwrite(fd, b'x', 0)
            eq(os.lseek(fd, 0, os.SEEK_DATA), 0, 'data')
        finally:
            os.close(fd)
        eq(os.stat(f'{SHM}/x').st_size, 5000, 'size')
    finally:
        attempt(os.unlink, f'{SHM}/x')


def locks():
    with open(f'{SHM}/x', 'wb'):
        pass
    native, fd = os.open(f'{SHM}/x', os.O_RDWR), os.open(f'{TREE}/x', os.O_RDWR)
    try:
        fcntl.flock(native, fcntl.LOCK_EX)
        eq(attempt(fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB), 'EAGAIN', 'it is taken')
        waits = later(fcntl.flock, fd, fcntl.LOCK_EX)
        fcntl.flock(native, fcntl.LOCK_UN)
        waits.result('the lock', BOUND)
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10)
    finally:
        os.close(native)
        os.close(fd)
        attempt(os.unlink, f'{SHM}/x')


def mq_made():
    write(f'{CTL}/mq/create', b'x maxmsg=1 msgsize=8\n')  # all queues of a user count for his RLIMIT_MSGQUEUE
    try:
        eq(os.listdir(MQ), ['x'], 'names')
        os.chmod(f'{MQ}/x', 0o640)
        eq(os.stat(f'{MQ}/x').st_size, 0, 'size')
    finally:
        attempt(os.unlink, f'{MQ}/x')


class TwoQueues:
    def __enter__(self):
        self.mq, self.msg = make_mq('q', 4, 32), make_msg(0x77)
        return (self.mq, f'{MQ}/q', f'{CTL}/mq/q'), (self.msg, f'{MSGS}/{KEY}', f'{CTL}/sysv/msg/by-key/{KEY}')

    def __exit__(self, *_):
        self.mq.close()
        libc.mq_unlink(b'/q')
        self.msg.remove()


def of_queues(number, fn):
    def step():
        with TwoQueues() as queues:
            fn(*queues[number])
    return step


def sent(queue, path, ctl):
    write(path, b'one')
    write(f'{ctl}/lines', b'two\nthree\n')
    eq([m[0] for m in queue.take()], [b'one', b'two', b'three'], 'messages')


def received(queue, path, ctl):
    for data in (b'one', b'two', b'three'):
        queue.send(data)
    eq(read(path), b'one', 'message')
    fd = os.open(f'{ctl}/lines', os.O_RDONLY)
    got = b''
    while len(got) < 10:
        got += os.read(fd, 1000)
    os.close(fd)
    eq(got, b'two\nthree\n', 'lines')


def waited(queue, path, _):
    fd = os.open(path, os.O_RDONLY)
    try:
        reader = later(os.read, fd, 100)
        queue.send(b'hello')
        eq(reader.result('the reader', BOUND), b'hello', 'message')
    finally:
        os.close(fd)


def interrupted(queue, path, _):
    fd = os.open(path, os.O_RDONLY)
    try:
        reader = later(raw_read, fd)
        signal.pthread_kill(reader.ident, signal.SIGUSR1)
        eq(attempt(reader.result, 'the reader', BOUND), 'EINTR', 'answer')
    finally:
        os.close(fd)


def polled(queue, path, _):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        eq(poll.poll(0), [], 'nothing there')
        threading.Timer(0.02, queue.send, (b'hello',)).start()
        eq(poll.poll(1000 * BOUND), [(fd, select.POLLIN)], 'a message')
    finally:
        os.close(fd)


def shown(queue, _, ctl):
    queue.send(b'hello')
    state = read(f'{ctl}/state')
    ok(b'curmsgs: 1' in state or b'qnum: 1' in state, 'state')


def msg_made():
    os.close(os.open(f'{MSGS}/{KEY}', os.O_CREAT | os.O_RDWR))
    queue = Msg(0x77)
    try:
        queue.send(b'hello')
        eq(read(f'{CTL}/sysv/msg/by-key/{KEY}/peek/0'), b'hello', 'peek')
        os.unlink(f'{MSGS}/{KEY}')
        eq(attempt(Msg, 0x77), 'ENOENT', 'after its end')
    finally:
        attempt(queue.remove)


def segment():
    try:
        write(f'{SEGMENTS}/{KEY}', b'hello', os.O_CREAT)
        eq(read(f'{SEGMENTS}/{KEY}'), b'hello', 'content')
        wait_until(lambda: b'nattch: 0' in read(f'{CTL}/sysv/shm/by-key/{KEY}/state'), 'nobody has it', BOUND)
    finally:
        attempt(os.unlink, f'{SEGMENTS}/{KEY}')


def semaphore():
    os.mkdir(f'{SEM}/x')
    try:
        write(f'{SEM}/x/post', b'3')
        eq(read_once(f'{SEM}/x/wait'), b'2\n', 'left')
        write(f'{SEM}/x/value', b'1')
        fd = os.open(f'{SEM}/x/hold', os.O_RDONLY)
        eq(read(f'{SEM}/x/value'), b'0\n', 'value')
        os.close(fd)
        wait_until(lambda: read(f'{SEM}/x/value') == b'1\n', 'it is given back', BOUND)
    finally:
        attempt(os.rmdir, f'{SEM}/x')


def read_once(path, flags=0):
    fd = os.open(path, os.O_RDONLY | flags)
    try:
        return os.read(fd, 65536)
    finally:
        os.close(fd)


def semaphore_waited():
    native = make_posix('x', 0)
    try:
        reader = later(read_once, f'{SEM}/x/wait')
        native.post()
        eq(reader.result('the waiter', BOUND), b'0\n', 'left')
    finally:
        native.close()
        unlink_posix('x')


def semaphore_set():
    write(f'{CTL}/sysv/sem/create', f'{KEY} nsems=2\n'.encode())
    where = f'{SSEM}/by-key/{KEY}'
    try:
        write(f'{where}/op', b'0:+3 1:+1')
        eq(read(f'{where}/values'), b'3 1\n', 'values')
        eq(read_once(f'{where}/0/wait'), b'2\n', 'left')
        fd = os.open(f'{where}/0/hold', os.O_RDONLY)
        eq(read(f'{where}/0/value'), b'1\n', 'value')
        os.close(fd)
        wait_until(lambda: read(f'{where}/0/value') == b'2\n', 'it is given back', BOUND)
    finally:
        attempt(os.rmdir, where)


def set_waited():
    native = make_set(0x77, 0)
    try:
        reader = later(read_once, f'{SSEM}/by-key/{KEY}/0/wait')
        native.op((0, 1))
        eq(reader.result('the waiter', BOUND), b'0\n', 'left')
    finally:
        native.remove()


def pipe():
    os.mkfifo(f'{PIPE}/x')
    try:
        fd = os.open(f'{PIPE}/x', os.O_RDWR)
        os.write(fd, b'hello')
        eq(os.read(fd, 100), b'hello', 'content')
        os.close(fd)
        os.rename(f'{PIPE}/x', f'{PIPE}/y')
        os.chmod(f'{PIPE}/y', 0o640)
        eq(os.listdir(PIPE), ['y'], 'names')
    finally:
        for name in 'xy':
            attempt(os.unlink, f'{PIPE}/{name}')


def pipe_looked_at():
    os.mkfifo(f'{PIPE}/x')
    fd = os.open(f'{PIPE}/x', os.O_RDWR)
    try:
        os.write(fd, b'hello')
        ok(b'queued: 5' in read(f'{CTL}/pipe/x/state'), 'state')
        eq(read(f'{CTL}/pipe/x/peek'), b'hello', 'peek')
        write(f'{CTL}/pipe/x/capacity', b'8192\n')
        eq(fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ), 8192, 'capacity')
        ok(b'fifo' in read(f'{CTL}/pipe/list'), 'list')
    finally:
        os.close(fd)
        attempt(os.unlink, f'{PIPE}/x')


def bound():
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(f'{SOCK}/x')
        try:
            server.listen()
            client.connect(f'{SOCK}/x')
            ok(b'state: listen' in read(f'{CTL}/sock/x/state'), 'state')
            ok(b'unix-stream' in read(f'{CTL}/sock/list'), 'list')
        finally:
            attempt(os.unlink, f'{SOCK}/x')


def connection():
    os.mkdir(f'{SOCK}/x')
    try:
        accepts = later(os.open, f'{SOCK}/x/accept', os.O_RDWR)
        client = os.open(f'{SOCK}/x/connect', os.O_RDWR)
        server = accepts.result('accept', BOUND)
        reads = later(os.read, server, 100)
        os.write(client, b'hello')
        eq(reads.result('read', BOUND), b'hello', 'content')
        os.close(client)
        eq(os.read(server, 100), b'', 'the end')
        os.close(server)
        with socket.socket(socket.AF_UNIX) as native:
            native.connect(f'{SOCK}/x/socket')
    finally:
        attempt(os.rmdir, f'{SOCK}/x')


def datagrams():
    write(f'{CTL}/sock/create', b'x type=dgram\n')
    try:
        write(f'{SOCK}/x/send', b'hello')
        eq(read_once(f'{SOCK}/x/recv'), b'hello', 'datagram')
    finally:
        attempt(os.rmdir, f'{SOCK}/x')


def control(name):
    def step():
        ok(read(f'{CTL}/{name}') or name == 'deadlocks', f'{name} is empty')
    return step


def refused_line():
    fd = os.open(f'{CTL}/mq/create', os.O_RDWR)
    try:
        eq(attempt(os.write, fd, b'x maxmsg=999999999\n'), 'EINVAL', 'errno')
        ok(b'maxmsg' in os.read(fd, 1000), 'why')
    finally:
        os.close(fd)


def created():
    write(f'{CTL}/mq/create', b'x maxmsg=4 msgsize=16\n')
    os.unlink(f'{MQ}/x')
    write(f'{CTL}/sem/create', b'x value=4\n')
    os.rmdir(f'{SEM}/x')
    write(f'{CTL}/sysv/shm/create', f'{KEY} size=4096\n'.encode())
    os.unlink(f'{SEGMENTS}/{KEY}')


def holders():
    with open(f'{SHM}/x', 'wb') as f:
        try:
            ok(str(os.getpid()).encode() in read(f'{CTL}/shm/x/holders'), 'this process')
            ok('shm:x' in os.listdir(f'{MNT}/proc/{os.getpid()}'), 'proc/PID')
            eq(os.readlink(f'{MNT}/proc/self'), str(os.getpid()), 'proc/self')
            f.flush()
        finally:
            attempt(os.unlink, f'{SHM}/x')


def events():
    fd = os.open(f'{CTL}/events', os.O_RDONLY)
    try:
        got = [b'']

        def listen():
            while b' removed shm' not in got[0]:
                got[0] += os.read(fd, 4096)
        reader = later(listen)
        with open(f'{SHM}/x', 'wb'):
            pass
        os.unlink(f'{SHM}/x')
        reader.result(f'what happens to shm/x is told ({got[0]})', BOUND)
    finally:
        os.close(fd)


def ftok():
    fd = os.open(f'{MNT}/sysv/ftok', os.O_RDWR)
    try:
        os.write(fd, b'/dev 1\n')
        ok(os.read(fd, 100).startswith(b'0x'), 'a key')
    finally:
        os.close(fd)


def as_user(uid=1001):
    """Another user makes something: it is his."""
    path = f'{TREE}/x'
    os.setresgid(uid, uid, -1)
    os.setresuid(uid, uid, -1)
    try:
        write(path, b'his', os.O_CREAT)
        eq(os.stat(f'{SHM}/x').st_uid, uid, 'owner')
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        attempt(os.unlink, f'{SHM}/x')


QUEUE_STEPS = (sent, received, waited, interrupted, polled, shown)
STEPS = {fn.__name__: fn for fn in (tree, shm, shm_changes, shm_fallocate, locks, mq_made, msg_made, segment, semaphore,
                                    semaphore_waited, semaphore_set, set_waited, pipe, pipe_looked_at, bound, connection, datagrams,
                                    refused_line, created, holders, events, ftok, as_user)}
STEPS |= {f'{kind}_{fn.__name__}': of_queues(i, fn) for i, kind in enumerate(('mq', 'msg')) for fn in QUEUE_STEPS}
STEPS |= {name: control(name) for name in ('version', 'list.json', 'limits', 'metrics', 'orphans', 'waits', 'deadlocks', 'graph.dot')}
