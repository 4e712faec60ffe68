# SPDX-License-Identifier: MIT
"""sock/ by bind(2): what is the kernel's own, beside sockets of a tmpfs. Every test that names a directory runs in both."""
import array
import os
import select
import signal
import socket
import stat
import struct
import subprocess
import time

from forget import forget
from mounttest import (CTL, MNT, STAT, Requests, User, attempt, eq, fields, in_child, join, main, ok, put, refused)
from twins import SOCK, SOON, Thread, clean_twins, sleeps, twice, wait_until

STREAM, DGRAM, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET


def new(kind=STREAM):
    return socket.socket(socket.AF_UNIX, kind)


def bound(path, kind=STREAM, listen=True):
    s = new(kind)
    try:
        s.bind(path)
        if listen and kind != DGRAM:
            s.listen(200)
    except OSError:
        s.close()
        raise
    return s


def connected(path, kind=STREAM):
    s = new(kind)
    try:
        s.connect(path)
    except OSError:
        s.close()
        raise
    return s


def tried(path, kind=STREAM):
    """'connected', or the errno's name."""
    s = attempt(connected, path, kind)
    if isinstance(s, str):
        return s
    s.close()
    return 'connected'


def echo_server(path, kind=STREAM):
    """A child that echoes one connection after another until it is killed."""
    server = bound(path, kind)

    def serve():
        while True:
            c, _ = server.accept()
            while data := c.recv(1 << 16):
                c.sendall(data)
            c.close()
    pid = in_child(serve)
    server.close()
    return pid


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


# ---- the three types ----

@twice(SOCK)
def test_stream(where):
    path = where + '/s'
    pid = echo_server(path)
    eq(stat.S_ISSOCK(os.stat(path).st_mode), True, 'a socket')
    for i in range(50):
        c = connected(path)
        data = os.urandom(1 + i * 3000)
        sender = Thread(c.sendall, data)
        got = b''
        while len(got) < len(data):
            got += c.recv(1 << 16)
        sender.result('sendall')
        eq(got == data, True, 'the echo')
        eq((c.getpeername(), c.getsockname()), (path, ''), 'addresses')
        c.shutdown(socket.SHUT_WR)
        eq(c.recv(10), b'', 'the end, after half a close')
        c.close()
    kill(pid)


@twice(SOCK)
def test_packets(where):
    path = where + '/s'
    server = bound(path, SEQPACKET)
    c = connected(path, SEQPACKET)
    s, _ = server.accept()
    for packet in (b'one', b'two two', b'x' * 50000):
        c.send(packet)
    eq((s.recv(100), s.recv(3), len(s.recv(1 << 17))), (b'one', b'two', 50000), 'packets')
    for x in (server, c, s):
        x.close()


@twice(SOCK)
def test_datagrams(where):
    a, b = bound(where + '/a', DGRAM), bound(where + '/b', DGRAM)
    a.sendto(b'to b', where + '/b')
    eq(b.recvfrom(100), (b'to b', where + '/a'), 'a datagram, and from whom')
    b.connect(where + '/a')
    b.send(b'back')
    eq(a.recv(100), b'back', 'the answer')
    unbound = new(DGRAM)
    unbound.sendto(b'from nobody', where + '/a')
    eq(a.recvfrom(100), (b'from nobody', None), 'from one without a name')
    refused('ENOENT', b.connect, where + '/x')
    a.setblocking(False)
    unbound.setblocking(False)
    unbound.connect(where + '/a')
    while attempt(unbound.send, b'x') == 1:
        pass
    eq(select.select([], [unbound], [], 0)[1], [], 'a full queue')
    a.recv(10)
    eq(select.select([], [unbound], [], SOON)[1], [unbound], 'room again')
    for x in (a, b, unbound):
        x.close()


@twice(SOCK)
def test_wrong_types(where):
    path = where + '/s'
    server = bound(path)
    eq([tried(path, k) for k in (STREAM, DGRAM, SEQPACKET)], ['connected', 'EPROTOTYPE', 'EPROTOTYPE'], 'connects to a stream')
    server.close()
    eq([tried(path, k) for k in (STREAM, DGRAM)], ['ECONNREFUSED'] * 2, 'connects to what nobody is behind')
    eq(tried(where + '/none'), 'ENOENT', 'connect to what is not there')
    eq(tried(path + '/x'), 'ENOTDIR', 'connect below a socket')
    only_bound = bound(where + '/b', listen=False)
    eq(tried(where + '/b'), 'ECONNREFUSED', 'connect to one that does not listen')
    only_bound.close()
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_NONBLOCK, os.O_RDWR | os.O_CREAT):
        refused('ENXIO', os.open, path, flags)
    refused('EINVAL', os.truncate, path, 0)
    o = os.open(path, os.O_PATH)
    eq(tried(f'/proc/self/fd/{o}'), 'ECONNREFUSED', 'by an O_PATH descriptor')
    os.close(o)


# ---- names ----

@twice(SOCK)
def test_bind(where):
    path = where + '/s'
    os.umask(0o27)
    s = bound(path)
    os.umask(0o22)
    eq((oct(os.stat(path).st_mode), s.getsockname()), (oct(stat.S_IFSOCK | 0o750), path), 'mode and name')
    refused('EADDRINUSE', bound, path)
    refused('EINVAL', s.bind, where + '/other')
    refused('EADDRINUSE', s.bind, path)
    eq(os.listdir(where), ['s'], 'names')
    narrow = new()
    os.fchmod(narrow.fileno(), 0o600)
    narrow.bind(where + '/n')
    eq(oct(os.stat(where + '/n').st_mode), oct(stat.S_IFSOCK | 0o600), 'a mode given before bind')
    there = os.getcwd()
    os.chdir(where)
    relative = bound('relative')
    eq(relative.getsockname(), 'relative', 'its name')
    eq([tried('relative'), tried(where + '/relative')], ['connected'] * 2, 'by that name, and by the whole')
    os.chdir(there)
    for x in (s, narrow, relative):
        x.close()
    eq(sorted(os.listdir(where)), ['n', 'relative', 's'], 'close does not remove')


@twice(SOCK)
def test_unlink_while_listening(where):
    path = where + '/s'
    old = bound(path)
    c = connected(path)
    os.unlink(path)
    eq(tried(path), 'ENOENT', 'connect to a removed name')
    s, _ = old.accept()
    c.send(b'goes on')
    eq(s.recv(100), b'goes on', 'what was connected')
    fresh = bound(path)
    d = connected(path)
    t, _ = fresh.accept()
    d.send(b'new')
    eq(t.recv(100), b'new', 'the new one of the name')
    old.setblocking(False)
    refused('EAGAIN', old.accept)
    for x in (old, c, s, fresh, d, t):
        x.close()


@twice(SOCK)
def test_rename_while_listening(where):
    a, b = where + '/a', where + '/b'
    sa, sb = bound(a), bound(b)
    os.rename(a, b)
    eq((tried(a), tried(b)), ('ENOENT', 'connected'), 'after a rename over the other')
    sa.settimeout(SOON)
    sa.accept()[0].close()
    sb.setblocking(False)
    refused('EAGAIN', sb.accept)
    os.link(b, a)
    eq((tried(a), os.stat(a).st_nlink, os.stat(a).st_ino), ('connected', 2, os.stat(b).st_ino), 'a link')
    os.unlink(b)
    eq(tried(a), 'connected', 'by the link')
    sa.close()
    sb.close()
    eq(tried(a), 'ECONNREFUSED', 'when it is closed')


@twice(SOCK)
def test_stale_node(where):
    """A server that is killed leaves its node; another removes it and takes its place."""
    path = where + '/s'
    for _ in range(3):
        pid = echo_server(path)
        eq(tried(path), 'connected', 'while it lives')
        number = os.stat(path).st_ino
        kill(pid)
        eq(tried(path), 'ECONNREFUSED', 'when it was killed')
        refused('EADDRINUSE', bound, path)
        eq(os.stat(path).st_ino, number, 'the node')
        os.unlink(path)


@twice(SOCK)
def test_rebind_by_rename(where):
    """How a server replaces itself without a gap: bind aside, rename over. Nobody is ever refused."""
    path, stop = where + '/s', []
    servers = [bound(path, DGRAM)]

    def clients():
        count = 0
        while not stop:
            eq(tried(path, DGRAM), 'connected', 'a client in between')
            count += 1
        return count
    threads = [Thread(clients) for _ in range(2)]
    for _ in range(100):
        servers.append(bound(path + '.new', DGRAM))  # who has found the old one reaches it
        os.rename(path + '.new', path)
        time.sleep(0.01)
    stop.append(True)
    for t in threads:
        ok(t.result('clients') > 50, 'clients')
    for s in servers:
        s.close()


@twice(SOCK)
def test_abstract_names(where):
    """A name in the abstract namespace that looks like a path is no path."""
    path = where + '/s'
    abstract = new()
    abstract.bind('\0' + path)
    abstract.listen()
    eq(os.listdir(where), [], 'names')
    server = bound(path)
    c = connected('\0' + path)
    eq(c.getpeername(), b'\0' + path.encode(), 'address')
    server.setblocking(False)
    refused('EAGAIN', server.accept)
    for x in (abstract, server, c):
        x.close()


@twice(SOCK)
def test_attributes(where):
    path = where + '/s'
    s = bound(path)
    os.chmod(path, 0o1642)
    os.chown(path, 1001, 2001)
    os.utime(path, ns=(10**18 + 1, 2 * 10**18 + 3))
    st = os.stat(path)
    eq((oct(st.st_mode), st.st_uid, st.st_gid, st.st_atime_ns, st.st_mtime_ns, st.st_size, st.st_nlink),
       (oct(stat.S_IFSOCK | 0o1642), 1001, 2001, 10**18 + 1, 2 * 10**18 + 3, 0, 1), 'attributes')
    eq(tried(path), 'connected', 'it is the same socket')
    lasting = [f for f in STAT if f != 'st_atime_ns']
    eq(fields(os.stat(path), lasting), fields(st, lasting), 'what connect leaves as it is')
    out = subprocess.run(['ls', '-l', where], capture_output=True, text=True, check=True).stdout
    ok('\nsrw-r---wT ' in out, f'ls -l: {out}')
    s.close()


# ---- who may ----

MODES = [0o000, 0o777, 0o700, 0o600, 0o200, 0o500, 0o070, 0o020, 0o060, 0o007, 0o002, 0o006, 0o555, 0o222, 0o755, 0o775]


@twice(SOCK)
def test_who_may_connect(where):
    """Who may write to the node: the expectation is what natively comes out, and is kept here for both."""
    users = [User(1001, 2001, (3001,)), User(1002, 2002), User(0, 0)]
    path = where + '/s'
    s = bound(path)
    count = 0
    for owner in ((1001, 2001), (1002, 3001), (0, 0), (0, 2002)):
        os.chown(path, *owner)
        for mode in MODES:
            os.chmod(path, mode)
            for u in users:
                groups = {u.gid, *u.groups}
                bit = 0o200 if u.uid == owner[0] else 0o020 if owner[1] in groups else 0o002
                want = 'connected' if u.uid == 0 or mode & bit else 'EACCES'
                eq(u(tried, path), want, f'{u.uid}:{groups} on {owner} {mode:o}')
                count += 1
                if want == 'connected':
                    s.accept()[0].close()
    eq(count, 4 * len(MODES) * 3, 'cases')
    for u in users:
        u.end()
    s.close()


def hold_bound(path):
    """As a user: a socket that stays bound, in that process."""
    kept.append(bound(path))
    return kept[-1].getsockname()


kept = []


@twice(SOCK)
def test_sticky_directory(where):
    """Whose node it is: only he, and root, may remove or rename it, and bind in its place."""
    a, b = User(1001, 2001), User(1002, 2002)
    path = where + '/s'
    eq(a(hold_bound, path), path, 'bind by a user')
    st = os.stat(path)
    eq((st.st_uid, st.st_gid), (1001, 2001), 'owner')
    eq([b(attempt, fn, *args) for fn, args in ((os.unlink, (path,)), (os.rename, (path, path + 'x')), (os.chmod, (path, 0o777)),
                                               (os.chown, (path, 1002, -1)), (hold_bound, (path,)))],
       ['EPERM', 'EPERM', 'EPERM', 'EPERM', 'EADDRINUSE'], 'what another user may not')
    eq(b(hold_bound, where + '/b'), where + '/b', 'a name of his own')
    refused('EPERM', b, os.rename, where + '/b', path)
    eq(a(os.unlink, path), None, 'what the owner may')
    eq(b(hold_bound, path), path, 'then the name is free')
    for u in (a, b):
        u.end()


# ---- what goes along ----

def credentials(s):
    return struct.unpack('3i', s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))


@twice(SOCK)
def test_peer_credentials(where):
    """SO_PEERCRED is of the other process, both ways, and SCM_CREDENTIALS of who sends."""
    path = where + '/s'
    server = bound(path)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    os.chmod(path, 0o666)

    def client():
        os.setgroups([])
        os.setresgid(2001, 2001, 2001)
        os.setresuid(1001, 1001, 1001)
        c = connected(path)
        eq(credentials(c), (os.getppid(), 0, 0), 'who listens')
        c.send(b'mine')
        c.recv(1)
    pid = in_child(client)
    s, _ = server.accept()
    eq(credentials(s), (pid, 1001, 2001), 'who connects')
    data, extra, _, _ = s.recvmsg(100, socket.CMSG_SPACE(12))
    eq((data, struct.unpack('3i', extra[0][2])), (b'mine', (pid, 1001, 2001)), 'who sends')
    s.send(b'x')
    join([pid], 'client')
    s.close()
    server.close()


@twice(SOCK)
def test_descriptors_go_along(where):
    path = where + '/s'
    server, (r, w) = bound(path), os.pipe()
    os.mkfifo(MNT + '/pipe/p')
    put(MNT + '/shm/file', b'shared')
    sent = [w, os.open(MNT + '/pipe/p', os.O_RDWR), os.open(MNT + '/shm/file', os.O_RDONLY)]
    c = connected(path)
    s, _ = server.accept()
    c.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', sent))])
    _, extra, _, _ = s.recvmsg(10, socket.CMSG_SPACE(12))
    got = array.array('i', extra[0][2])
    os.write(got[0], b'by a pipe')
    os.write(got[1], b'by a FIFO')
    eq((os.read(r, 100), os.read(sent[1], 100), os.pread(got[2], 100, 0)), (b'by a pipe', b'by a FIFO', b'shared'), 'data')
    for fd in [r, *sent, *got]:
        os.close(fd)
    for x in (server, c, s):
        x.close()
    os.unlink(MNT + '/pipe/p')


# ---- load ----

def client(path, rounds):
    for i in range(rounds):
        c = connected(path)
        data = b'%d %d' % (os.getpid(), i) * 100
        c.sendall(data)
        got = b''
        while len(got) < len(data):
            got += c.recv(1 << 16)
        if got != data:
            return 1
        c.close()
    return 0


@twice(SOCK)
def test_many_clients(where):
    path = where + '/s'
    server = bound(path)

    def one(c):
        while data := c.recv(1 << 16):
            c.sendall(data)
        c.close()

    def serve():
        while True:
            c, _ = server.accept()
            Thread(one, c)
    pid = in_child(serve)
    server.close()
    join([in_child(client, path, 10) for _ in range(100)], 'clients', 10 * SOON)
    kill(pid)


@twice(SOCK)
def test_waiting_connects_hold_nothing(where):
    """Connects that wait for room in a full queue: names are made and removed meanwhile, and each is ended by a signal."""
    path = where + '/s'
    server = new()
    server.bind(path)
    server.listen(0)
    first = connected(path)
    pids = [in_child(connected, path) for _ in range(10)]
    for pid in pids:
        wait_until(lambda p=pid: sleeps(p), 'connect waits')
    for _ in range(20):
        bound(where + '/other').close()
        os.rename(where + '/other', where + '/another')
        os.unlink(where + '/another')
    eq(len(os.listdir(where)), 1, 'names')
    for pid in pids:
        kill(pid)
    c = new()
    c.setblocking(False)
    refused('EAGAIN', c.connect, path)
    for x in (server, first, c):
        x.close()


def test_no_request_while_data_flow():
    pid = echo_server(SOCK + '/s')
    c = connected(SOCK + '/s')
    with Requests() as quiet:
        for i in range(1000):
            c.send(b'%d' % i)
            c.recv(100)
    eq({k: v for k, v in quiet.made.items() if v}, {}, 'requests while data flow')
    c.close()
    kill(pid)


def test_memory_pressure():
    """What the kernel forgets does not part a name from its socket, also when it was moved or has two names."""
    servers = [bound(f'{SOCK}/{i}') for i in range(100)]
    for i in range(0, 100, 3):
        os.rename(f'{SOCK}/{i}', f'{SOCK}/{i}.moved')
    for i in range(1, 100, 3):
        os.link(f'{SOCK}/{i}', f'{SOCK}/{i}.moved')
        os.unlink(f'{SOCK}/{i}')
    forget()
    os.sync()
    for i, s in enumerate(servers):
        eq(tried(f'{SOCK}/{i}.moved' if i % 3 < 2 else f'{SOCK}/{i}'), 'connected', f'socket {i}')
        s.settimeout(SOON)
        s.accept()[0].close()
        s.close()


def test_what_no_socket_can_be():
    refused('EPERM', os.mkfifo, SOCK + '/fifo')
    refused('EPERM', os.symlink, 'x', SOCK + '/link')
    refused('EPERM', os.mknod, SOCK + '/device', stat.S_IFBLK | 0o666, os.makedev(1, 3))
    refused('EPERM', bound, SOCK + '/.ipcfs.x')
    for there in ('shm', 'mq', 'ctl/sock'):
        refused('EPERM', bound, f'{MNT}/{there}/s')
    s = bound(SOCK + '/s')
    refused('EXDEV', os.rename, SOCK + '/s', MNT + '/pipe/s')
    refused('EXDEV', os.link, SOCK + '/s', MNT + '/shm/s')
    refused('EPERM', os.chmod, SOCK, 0o777)
    eq((os.listdir(SOCK), os.listdir(CTL + '/sock').count('s')), (['s'], 1), 'names')
    os.mknod(SOCK + '/made', stat.S_IFSOCK | 0o600)
    eq(tried(SOCK + '/made'), 'ECONNREFUSED', 'a node made by mknod')
    s.close()


main(globals(), clean_twins)
