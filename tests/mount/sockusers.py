# SPDX-License-Identifier: MIT
"""Who may do what with a listening socket, through the mount and natively; and whom the other end takes him for."""
import os
import resource
import socket
import stat

from listeners import (CREATE, PID, SOCK, Listener, clean_listeners, credentials, line_of, ours_of, parked, put_line, wait_parked)
from mounttest import Diffs, User, attempt, eq, in_child, join, main, refused
from queues import wait_until

OWNER, MEMBER, OTHER = (1000, 1000, ()), (1001, 1001, (1000, 1005)), (1002, 1002, (1001,))
R, W, RW = os.O_RDONLY, os.O_WRONLY, os.O_RDWR
MODES = (0o777, 0o755, 0o770, 0o750, 0o733, 0o722, 0o700, 0o711, 0o500, 0o300, 0o077, 0o000, 0o070, 0o007, 0o666, 0o444, 0o222)


def try_open(path, flags):
    """'yes' where one may: also if it would have to wait then."""
    got = attempt(os.open, path, flags | os.O_NONBLOCK)
    if isinstance(got, int):
        os.close(got)
    return 'yes' if isinstance(got, int) or got == 'EAGAIN' else got


def try_native(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.setblocking(False)
        got = attempt(s.connect, path)
    return 'yes' if got in (None, 'EAGAIN') else got


def try_all(path):
    """What may be done with it."""
    found = {f'{file} {flags}': try_open(f'{path}/{file}', flags)
             for file in ('accept', 'connect') for flags in (R, W, RW)}
    found |= {'native': try_native(f'{path}/socket'), 'type': try_open(f'{path}/type', R), 'set type': try_open(f'{path}/type', W),
              'set backlog': try_open(f'{path}/backlog', W), 'list': 'yes' if isinstance(attempt(os.listdir, path), list) else 'EACCES'}
    return found


def expected(bits, name):
    """For a class with these permission bits. Who may read or write may search. Others never accept."""
    def when(condition):
        return 'yes' if condition else 'EACCES'
    read, write = bits & 4, bits & 2
    found = {f'accept {flags}': when(read and write and name != 'others') for flags in (R, W, RW)}
    found |= {f'connect {flags}': when(write) for flags in (R, W, RW)}
    return found | {'native': when(write), 'type': when(read), 'set type': when(write and name == 'owner'),
                    'set backlog': when(write and name == 'owner'), 'list': when(read)}


def native_path(path):
    return os.readlink(f'{path}/socket')


def test_rights():
    owner, member, other = User(*OWNER), User(*MEMBER), User(*OTHER)
    diffs = Diffs()
    owner(os.mkdir, f'{SOCK}/s')
    s = Listener('s', made=True)
    eq((os.stat(s.path).st_uid, os.stat(s.path).st_gid, oct(os.stat(s.path).st_mode & 0o777)), (1000, 1000, '0o755'), 'owner')
    link = native_path(s.path)
    for mode in MODES:
        owner(os.chmod, s.path, mode)
        for name, user, bits in (('owner', owner, mode >> 6), ('group', member, mode >> 3), ('others', other, mode)):
            wants = expected(bits & 7, name)
            for what, got in user(try_all, s.path).items():
                if what != 'native':
                    diffs.same(wants[what], got, f'{what} by {name} of {mode:04o}')
            diffs.same(wants['native'], user(try_native, link), f'native by {name} of {mode:04o}')
        got = try_all(s.path)
        diffs.same({k: 'yes' for k in got}, got, f'root, {mode:04o}')
        while isinstance(fd := attempt(os.open, s.accept, os.O_RDWR | os.O_NONBLOCK), int):
            os.close(fd)
    diffs.finish(500)
    for user in (member, other):
        refused(('EPERM', 'EACCES'), user, os.rmdir, s.path)
        refused('EPERM', user, os.chmod, s.path, 0o777)
        refused('EPERM', user, os.chown, s.path, 1001, 1001)
        refused(('EPERM', 'EACCES'), user, os.unlink, link)
        refused(('EPERM', 'EACCES'), user, os.listdir, os.path.dirname(link))
    owner(os.rmdir, s.path)
    for user in (owner, member, other):
        user.end()


def test_rights_of_datagrams():
    owner, member = User(*OWNER), User(*MEMBER)
    put_line(CREATE, 's type=dgram mode=0600')
    s = Listener('s', made=True)
    os.chown(s.path, 1000, 1000)
    for mode, sends, receives in ((0o600, 'EACCES', 'EACCES'), (0o620, 'yes', 'EACCES'), (0o660, 'yes', 'yes'), (0o640, 'EACCES', 'EACCES')):
        owner(os.chmod, s.path, mode)
        eq((member(try_open, s.send, W), member(try_open, s.recv, R)), (sends, receives), f'group of {mode:04o}')
        eq((owner(try_open, s.send, W), owner(try_open, s.recv, R)), ('yes', 'yes'), f'owner of {mode:04o}')
    owner.end()
    member.end()


def test_owner_changes():
    s, member, other = Listener(options='mode=0700'), User(*MEMBER), User(*OTHER)
    link = native_path(s.path)
    eq((member(try_open, s.connect, RW), member(try_native, link)), ('EACCES', 'EACCES'), 'of root')
    os.chown(s.path, 1001, 1001)
    eq((member(try_open, s.connect, RW), member(try_native, link)), ('yes', 'yes'), 'given to him')
    eq((other(try_open, s.connect, RW), other(try_native, link)), ('EACCES', 'EACCES'), 'of his alone')
    member(os.chmod, s.path, 0o720)
    eq((other(try_open, s.connect, RW), other(try_native, link)), ('yes', 'yes'), 'given to his group')
    eq(other(try_open, s.accept, RW), 'EACCES', 'but not to accept')
    st = os.lstat(link)
    eq((st.st_uid, st.st_gid, stat.S_ISSOCK(st.st_mode), oct(st.st_mode & 0o777)), (1001, 1001, True, '0o620'), 'the node')
    member.end()
    other.end()


# ---- whom the other end takes him for ----

def ends_since(before):
    """Connected sockets which the daemon has now and had not before: of the accepting side, of the connecting side."""
    accepted, connecting = [], []
    for s in ours_of(before).values():
        if attempt(s.getpeername) == 'ENOTCONN':
            continue
        (accepted if s.getsockname() else connecting).append(s)
    return accepted, connecting


def check_peers(before, client, owner, what):
    """What is told of a client of the mount, and to it."""
    accepted, connecting = ends_since(before)
    eq((len(accepted), len(connecting)), (1, 1), f'{what}: connections of the daemon')
    eq(credentials(accepted[0]), (PID, client[0], client[1], sorted(client[2])), f'{what}: who connected')
    eq(credentials(connecting[0])[1:3], owner[:2], f'{what}: who listens')
    for s in accepted + connecting:
        s.close()


def opened(path, seconds=0):
    """Held open until told."""
    global held
    held = os.open(path, os.O_RDWR)


def close_held():
    os.close(held)


def sockets_now():
    found = ours_of()
    for s in found.values():
        s.close()
    return frozenset(found)


def test_credentials():
    users = {u: User(*u) for u in (OWNER, MEMBER, OTHER, (0, 0, ()), (1003, 0, (0,)))}
    for listening in (OWNER, (0, 0, ())):
        users[listening](os.mkdir, f'{SOCK}/s')
        s = Listener('s', made=True)
        users[listening](os.chmod, s.path, 0o777)
        for u, user in users.items():
            before = sockets_now()
            user(opened, s.connect)
            fd = os.open(s.accept, os.O_RDWR)
            check_peers(before, u, listening, f'user {u} of {listening}')
            user(close_held)
            os.close(fd)
            native = user(native_peer, native_path(s.path))
            eq(native, (PID, *listening[:2]), f'whom a native client of {u} sees')
            os.close(os.open(s.accept, os.O_RDWR))
        users[listening](os.rmdir, s.path)
    for user in users.values():
        user.end()


def native_peer(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        return credentials(s)[:3]


def test_credentials_of_who_waited():
    """The queue is full: who connects then is he who opened the file, not the thread that waits for him."""
    for kind in ('stream', 'seqpacket'):
        s = Listener(options=f'type={kind} backlog=1 mode=0666')
        os.chown(s.path, 1000, 1000)
        queue = [os.open(s.connect, os.O_RDWR) for _ in range(2)]
        users = [OTHER, MEMBER, (0, 0, ()), OTHER, (1003, 1003, (7, 8, 9))]
        base, pids = parked(), []
        for i, u in enumerate(users):
            pids.append(in_child(wait_as, s.connect, u))
            wait_parked(base + 1 + i, f'user {u} waits')
        for fd in queue:
            os.close(os.open(s.accept, os.O_RDWR))
            os.close(fd)
        for u in users:
            fd = os.open(s.accept, os.O_RDWR)
            told = accepted_now()
            eq(told, [(PID, u[0], u[1], sorted(u[2]))], f'who waited, {kind}')
            os.write(fd, b'x')
            os.close(fd)
            wait_until(lambda: not accepted_now(), 'closed')
        join(pids, 'who waited', 5)
        s.remove()


def accepted_now():
    """Who is at the other end of what is accepted and open."""
    found = ours_of().values()
    told = [credentials(x) for x in found if x.getsockname() and attempt(x.getpeername) != 'ENOTCONN']
    for x in found:
        x.close()
    return told


def wait_as(path, user):
    os.setgroups(user[2])
    os.setresgid(user[1], user[1], user[1])
    os.setresuid(user[0], user[0], user[0])
    fd = os.open(path, os.O_RDWR)
    got = os.read(fd, 1)
    os.close(fd)
    return 0 if got == b'x' else 1


def test_credentials_follow_the_owner():
    s = Listener(options='mode=0777')
    for owner in ((1000, 1000), (1001, 1005), (0, 0)):
        os.chown(s.path, *owner)
        eq(native_peer(native_path(s.path)), (PID, *owner), 'whom a native client sees')
        put_line(s.backlog, '7')
        eq(native_peer(native_path(s.path)), (PID, *owner), 'after a change of the backlog by root')
    put_line(s.type, 'stream')
    for _ in range(6):
        os.close(os.open(s.accept, os.O_RDWR))
    os.chown(s.path, 1000, 1000)
    put_line(s.type, 'seqpacket')
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as c:
        c.connect(native_path(s.path))
        eq(credentials(c)[:3], (PID, 1000, 1000), 'after a change of type by root')


def test_rights_taken_while_waiting():
    s = Listener(options='backlog=1 mode=0666')
    queue = [os.open(s.connect, os.O_RDWR) for _ in range(2)]
    user, base = User(*OTHER), parked()
    pid = in_child(refused_as, s.connect, OTHER)
    wait_parked(base + 1, 'who waits')
    os.chmod(s.path, 0o600)
    eq(user(try_open, s.connect, RW), 'EACCES', 'who comes later')
    os.close(os.open(s.accept, os.O_RDWR))
    join([pid], 'he is refused', 5)
    eq(parked(), base, 'parked')
    user.end()
    for fd in queue:
        os.close(fd)


def refused_as(path, user):
    os.setgroups([])
    os.setresgid(user[1], user[1], user[1])
    os.setresuid(user[0], user[0], user[0])
    return 0 if attempt(os.open, path, os.O_RDWR) == 'EACCES' else 1


def test_someone_elses_name():
    """Two users and one name: only the owner, and root, remove it."""
    owner, other = User(*OWNER), User(*OTHER)
    owner(os.mkdir, f'{SOCK}/mine')
    refused('EEXIST', other, os.mkdir, f'{SOCK}/mine')
    refused('EPERM', other, os.rmdir, f'{SOCK}/mine')
    refused('EEXIST', other, put_line, CREATE, 'mine type=dgram')
    eq(line_of(f'{SOCK}/mine/type'), 'stream', 'type')
    other(put_line, CREATE, 'theirs type=dgram mode=0622')
    st = os.stat(f'{SOCK}/theirs')
    eq((st.st_uid, st.st_gid, oct(st.st_mode & 0o777)), (1002, 1002, '0o733'), 'made by a line')
    owner.end()
    other.end()


def make_all(limit):
    """As many as may be; what ended it."""
    for i in range(limit):
        got = attempt(os.mkdir, f'{SOCK}/many{i}')
        if got is not None:
            return i, got
    return limit, None


def test_share_of_a_user():
    """Nobody but root makes so many that others have nothing left."""
    limit, base = resource.prlimit(PID, resource.RLIMIT_NOFILE), os.listdir(SOCK)
    user, other = User(*OWNER), User(*OTHER)
    resource.prlimit(PID, resource.RLIMIT_NOFILE, (1600, limit[1]))
    try:
        eq(user(make_all, 1600), (200, 'EDQUOT'), 'listeners of one user')
        refused('EDQUOT', user, put_line, CREATE, 'more type=dgram')
        eq((len(os.listdir(SOCK)), attempt(os.stat, f'{SOCK}/more')), (200 + len(base), 'ENOENT'), 'nothing is left of what was refused')
        other(os.mkdir, f'{SOCK}/others')
        os.mkdir(f'{SOCK}/roots')
        eq((other(try_open, f'{SOCK}/others/connect', RW), try_open(f'{SOCK}/roots/connect', RW)), ('yes', 'yes'), 'others')
        user(os.rmdir, f'{SOCK}/many7')
        user(os.mkdir, f'{SOCK}/again')
    finally:
        resource.prlimit(PID, resource.RLIMIT_NOFILE, limit)
        user.end()
        other.end()


main(globals(), after=clean_listeners, about_daemon=True)
