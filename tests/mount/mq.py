# SPDX-License-Identifier: MIT
"""mq/: creation, attributes, names, messages and their modes, priorities, errors; always beside the native calls.

usage: mq.py QUEUE-PROGRAM (queue.c)
"""
import errno
import fcntl
import json
import os
import re
import signal
import sys
import time

from mounttest import CTL, Diffs, User, attempt, daemon_only, eq, get, main, metrics, ok, refused
from queues import (MQ, MQFS, Mq, bash, clean_queues, ends, make_mq, mount_mqfs, output, shell, start, sysctl,
                    unlink_mq)

QUEUE = sys.argv[1]
STATE = ('name', 'maxmsg', 'msgsize', 'curmsgs', 'bytes', 'mode', 'uid', 'gid')


def native(*args):
    return start(QUEUE, 'mq', *args)


def send(path, data, flags=0):
    fd = os.open(path, os.O_WRONLY | flags)
    try:
        eq(os.write(fd, data), len(data), f'write to {path}')
    finally:
        os.close(fd)


def message(fd, room=1 << 16):
    """One message of message mode, up to its end."""
    return b''.join(iter(lambda: os.read(fd, room), b''))


def create(line, path=f'{CTL}/mq/create'):
    """Writes the line; the errno and the reason that can be read back, or None."""
    fd = os.open(path, os.O_RDWR)
    try:
        os.write(fd, line.encode() + b'\n')
    except OSError as e:
        reason = os.read(fd, 4096).decode().strip()
        last = get(f'{CTL}/last-error').decode().strip()
        ok(last.endswith(reason) and 'mq/create' in last, f'ctl/last-error after {line[:80]!r}: {last!r}, reason {reason!r}')
        return errno.errorcode[e.errno], reason
    finally:
        os.close(fd)
    return None


def touch(path):
    os.close(os.open(path, os.O_CREAT | os.O_RDWR))


def state(name):
    pairs = [l.split(': ', 1) for l in get(f'{CTL}/mq/{name}/state').decode().splitlines()]
    ok(all(len(p) == 2 for p in pairs), f'lines of state: {pairs}')
    return dict(pairs)


def limits():
    return dict(l.split(': ', 1) for l in get(f'{CTL}/mq/limits').decode().splitlines())


# What the native calls promise, and the rest of this file relies on.

def test_native_order():
    q = make_mq('order', 10, 100)
    for i, priority in enumerate((0, 5, 0, 32767, 5, 1)):
        q.send(b'%d' % i, priority)
    eq(q.take(), [(b'3', 32767), (b'1', 5), (b'4', 5), (b'5', 1), (b'0', 0), (b'2', 0)], 'priority, then age')
    refused('EMSGSIZE', q.send, b'x' * 101)
    refused('EINVAL', q.send, b'x', 32768)
    refused('ETIMEDOUT', q.receive, 0)
    unlink_mq('order')
    q.send(b'still there')
    eq(q.receive(), (b'still there', 0), 'an unlinked queue lives on')
    q.close()


@daemon_only
def test_order_of_priorities():
    q = make_mq('q', 10, 100)
    for i, priority in enumerate((0, 5, 0, 32767, 5, 1)):
        send(f'{CTL}/mq/q/prio/{priority}', b'%d' % i)
    eq(q.take(), [(b'3', 32767), (b'1', 5), (b'4', 5), (b'5', 1), (b'0', 0), (b'2', 0)], 'sent by prio/N')
    for i, priority in enumerate((0, 5, 0, 32767, 5, 1)):
        q.send(b'%d' % i, priority)
    fd = os.open(f'{MQ}/q', os.O_RDONLY)
    eq([message(fd) for _ in range(6)], [b'3', b'1', b'4', b'5', b'0', b'2'], 'received by the mount')
    os.close(fd)
    for bad in ('32768', '-1', 'x', '4294967296', '18446744073709551616', '1x', ''):
        if bad:
            refused('ENOENT', os.open, f'{CTL}/mq/q/prio/{bad}', os.O_WRONLY)
    eq(os.listdir(f'{CTL}/mq/q/prio') if os.path.isdir(f'{CTL}/mq/q/prio') else [], [], 'listing of prio')
    got = try_open(f'{CTL}/mq/q/prio/3', os.O_RDONLY)
    ok(got in ('EACCES', 'EINVAL', 'EPERM'), f'open of prio/3 for reading: {got}')


@daemon_only
def test_creation():
    sysctl('fs/mqueue/msg_max', 100)
    with open(f'{MQ}/plain', 'wb'):
        pass
    want = make_mq('native').attr()
    eq(Mq('plain').attr(), want, 'default attributes')
    eq(create('jobs maxmsg=64 msgsize=1024 mode=0660'), None, 'create')
    eq({k: Mq('jobs').attr()[k] for k in ('maxmsg', 'msgsize', 'curmsgs')}, {'maxmsg': 64, 'msgsize': 1024, 'curmsgs': 0},
       'attributes')
    eq(os.stat(f'{MQFS}/jobs').st_mode & 0o7777, 0o660, 'mode')
    eq(create('some msgsize=77'), None, 'create with one option')
    eq((Mq('some').attr()['msgsize'], Mq('some').attr()['maxmsg']), (77, want['maxmsg']), 'the other is the default')
    eq(create('bare'), None, 'create with none')
    eq(Mq('bare').attr(), want, 'default attributes by create')
    eq(sorted(os.listdir(MQ)), ['bare', 'jobs', 'native', 'plain', 'some'], 'ls mq')
    refused('EEXIST', os.open, f'{MQ}/jobs', os.O_CREAT | os.O_EXCL | os.O_RDWR)
    os.umask(0o027)
    os.close(os.open(f'{MQ}/masked', os.O_CREAT | os.O_RDWR, 0o666))
    os.umask(0o022)
    eq(os.stat(f'{MQFS}/masked').st_mode & 0o7777, 0o640, 'umask')
    eq(bash('echo "shell maxmsg=3 msgsize=9" > $CTL/mq/create'), ('', 0), 'echo > create')
    eq(Mq('shell').attr()['maxmsg'], 3, 'maxmsg')
    sysctl('fs/mqueue/msg_max', 10)


@daemon_only
def test_refused_creations():
    eq(create('there'), None, 'create')
    for line, want, word in (('bad maxmsg=99999', 'EINVAL', 'maxmsg=99999'), ('bad maxmsg=0', 'EINVAL', 'maxmsg=0'),
                             ('bad msgsize=0', 'EINVAL', 'msgsize=0'), ('bad maxmsg=-1', 'EINVAL', 'maxmsg=-1'),
                             ('bad maxmsg=many', 'EINVAL', 'maxmsg=many'), ('bad maxmsg=', 'EINVAL', 'maxmsg='),
                             ('bad maxmsg', 'EINVAL', 'maxmsg'), ('bad msgsize=99999999', 'EINVAL', 'msgsize=99999999'),
                             ('bad color=red', 'EINVAL', 'color'), ('bad mode=888', 'EINVAL', 'mode=888'),
                             ('bad maxmsg=5 maxmsg=6', 'EINVAL', 'maxmsg'), ('', ('EINVAL', None), ''),
                             ('maxmsg=5', ('EINVAL', None), ''), ('a/b', ('EINVAL', 'ENOENT', 'EACCES'), 'a/b'),
                             ('..', ('EINVAL', 'EISDIR'), '..'), ('x' * 256, ('EINVAL', 'ENAMETOOLONG'), ''),
                             ('bad maxmsg=18446744073709551617', 'EINVAL', 'maxmsg'),
                             ('there', ('EEXIST', 'EINVAL'), 'there')):
        got = create(line)
        wants = want if isinstance(want, tuple) else (want,)
        ok((got[0] if got else None) in wants, f'create {line[:40]!r}: {got}, expected {wants}')
        if got:
            ok(got[1] and word in got[1] and '\n' not in got[1], f'reason for {line[:40]!r}: {got[1]!r}')
    eq(set(os.listdir(MQFS)) - {'maxmsg=5'}, {'there'}, 'queues afterwards')
    # Both options are as impossible as they are natively.
    for maxmsg, msgsize in ((11, 8192), (10, 8193), (10, 8192), (1, 1), (65537, 1)):
        for uid in (0, 1001):
            user = User(uid, uid)
            try:
                n = user(attempt, native_create, maxmsg, msgsize)
                m = user(create, f'm maxmsg={maxmsg} msgsize={msgsize}')
            finally:
                user.end()
            eq(m and m[0], n, f'create as {uid} of {maxmsg} × {msgsize}: {m}')
            for name in ('n', 'm'):
                attempt(unlink_mq, name)


def native_create(maxmsg, msgsize):
    make_mq('n', maxmsg, msgsize).close()


@daemon_only
def test_state_and_lists():
    q = make_mq('a', 7, 99, mode=0o640)
    make_mq('b c')
    os.chown(f'{MQFS}/a', 11, 22)
    for texts in ((), (b'12345', b'', b'x' * 99)):
        for text in texts:
            q.send(text)
        s = state('a')
        st = os.stat(f'{MQFS}/a')
        want = {'name': 'a', 'maxmsg': '7', 'msgsize': '99', 'curmsgs': str(len(texts)), 'bytes': str(q.bytes()),
                'mode': '0640', 'uid': '11', 'gid': '22'}
        eq({k: s.get(k) for k in STATE}, want, 'state')
        o = json.loads(get(f'{CTL}/mq/a/state.json'))
        eq({k: str(o.get(k)) for k in STATE}, want, 'state.json')
        listed = json.loads(get(f'{CTL}/mq/list.json'))
        eq([x for x in listed if x['name'] == 'a'], [o], 'list.json')
        eq(sorted(x['name'] for x in listed), ['a', 'b c'], 'names in list.json')
        lines = get(f'{CTL}/mq/list').decode().splitlines()
        eq(len(lines), 3, 'lines of list')
        row = dict(zip(lines[0].split(), [l for l in lines[1:] if l.split()[0] == 'a'][0].split()))
        eq({k: row.get(k) for k in STATE}, want, 'list')
        eq(os.stat(f'{MQ}/a').st_size, q.bytes(), 'size')
        for field in ('atime', 'mtime', 'ctime'):
            if field in o:
                ok(abs(o[field] - getattr(st, 'st_' + field)) < 0.001, f'{field}: {o[field]}, native {st}')
    eq(len(q.take()), 3, 'nothing was taken by looking')
    ok({'limits', 'list', 'list.json', 'create', 'a', 'b c'} <= set(os.listdir(f'{CTL}/mq')), os.listdir(f'{CTL}/mq'))
    ok(not {'lines', 'prio'} & set(os.listdir(f'{CTL}/mq/a')), f'listing of ctl/mq/a: {os.listdir(f"{CTL}/mq/a")}')
    readme = get(f'{CTL}/README').decode()
    for word in ('lines', 'prio', 'create', 'maxmsg', 'msgsize', 'curmsgs', 'last-error'):
        ok(re.search(rf'\b{word}\b', readme), f'ctl/README has no word on {word}')


@daemon_only
def test_status_is_the_native_one():
    q = make_mq('q', 10, 100, mode=0o604)
    for step in (lambda: q.send(b'123'), lambda: os.chmod(f'{MQ}/q', 0o640), lambda: os.chown(f'{MQ}/q', 5, 6),
                 lambda: q.receive(), lambda: os.chmod(f'{MQFS}/q', 0o600), lambda: send(f'{MQ}/q', b'mount')):
        step()
        a, b = os.stat(f'{MQFS}/q'), os.stat(f'{MQ}/q')
        for field in ('st_mode', 'st_uid', 'st_gid', 'st_nlink', 'st_atime_ns', 'st_mtime_ns', 'st_ctime_ns'):
            eq(getattr(b, field), getattr(a, field), f'{field} through the mount')
        eq(b.st_size, q.bytes(), 'size')
    fd = os.open(f'{MQ}/q', os.O_RDWR)
    eq(os.fstat(fd).st_size, q.bytes(), 'fstat')
    ino = {os.stat(f'{MQ}/q').st_ino, os.fstat(fd).st_ino, [e.inode() for e in os.scandir(MQ)][0]}
    eq(len(ino), 1, f'inode numbers {ino}')
    os.close(fd)


@daemon_only
def test_permissions_as_native():
    diffs = Diffs(alike=(None,))
    users = [User(1001, 1001), User(1002, 1002, (2000,)), User(0, 0)]
    for mode in (0o000, 0o400, 0o200, 0o600, 0o640, 0o620, 0o060, 0o006, 0o666, 0o004):
        make_mq('q', 10, 100).close()
        os.chown(f'{MQFS}/q', 1001, 2000)
        os.chmod(f'{MQFS}/q', mode)
        for user in users:
            for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDONLY | os.O_TRUNC):
                a, b = (user(try_open, base + '/q', flags) for base in (MQFS, MQ))
                diffs.same(a, b, f'open of {mode:o} by {user.uid} with {flags:#o}')
            a, b = (user(try_open, f'{CTL}/mq/q/{verb}', os.O_WRONLY) for verb in ('lines', 'prio/1'))
            diffs.same(user(try_open, f'{MQFS}/q', os.O_WRONLY), a, f'lines of {mode:o} by {user.uid}')
            diffs.same(user(try_open, f'{MQFS}/q', os.O_WRONLY), b, f'prio of {mode:o} by {user.uid}')
        unlink_mq('q')
    for user in users:
        for fn, *args in ((os.chmod, 0o666), (os.chown, 1002, -1), (os.unlink,), (os.chown, -1, 2000)):
            got = []
            for base in (MQFS, MQ):
                make_mq('q', 10, 100).close()
                os.chown(f'{MQFS}/q', 1001, 1001)
                got.append(user(attempt, fn, base + '/q', *args))
                attempt(unlink_mq, 'q')
            diffs.same(*got, f'{fn.__name__}{args} by {user.uid}')
        eq(user(make_by_mount), None, 'a queue made through the mount')
        st = os.stat(f'{MQFS}/mine')
        eq((st.st_uid, st.st_gid), (user.uid, user.uid), 'owner of what a user made')
        unlink_mq('mine')
    for user in users:
        user.end()
    diffs.finish(150)


def try_open(path, flags):
    got = attempt(os.open, path, flags)
    if isinstance(got, int):
        os.close(got)
        return 'opened'
    return got


def make_by_mount():
    os.close(os.open(f'{MQ}/mine', os.O_CREAT | os.O_RDWR, 0o600))


@daemon_only
def test_message_mode():
    q = make_mq('q', 10, 100)
    for text in (b'0123456789', b'', b'second', b'x' * 100):
        q.send(text)
    fd = os.open(f'{MQ}/q', os.O_RDONLY)
    eq([os.read(fd, 4) for _ in range(4)], [b'0123', b'4567', b'89', b''], 'pieces and the end')
    eq(q.attr()['curmsgs'], 3, 'one was taken')
    eq(os.read(fd, 100), b'', 'an empty message')
    eq(q.attr()['curmsgs'], 2, 'the empty one was taken')
    # An empty message is its own end: what follows is the next.
    eq(os.read(fd, 100) or os.read(fd, 100), b'second', 'the next')
    eq(os.read(fd, 100), b'', 'its end')
    eq(os.read(fd, 100), b'x' * 100, 'exactly the buffer')
    eq(os.read(fd, 100), b'', 'its end')
    q.send(b'abc')
    eq((os.read(fd, 0), q.attr()['curmsgs']), (b'', 1), 'read of 0 bytes takes nothing')
    refused('ESPIPE', os.pread, fd, 2, 0)
    eq([os.read(fd, 2) for _ in range(3)], [b'ab', b'c', b''], 'pieces')
    q.send(b'first')
    q.send(b'next')
    eq(os.readv(fd, [one := bytearray(2), two := bytearray(100)]), 5, 'readv gives one message')
    eq(bytes(one + two[:3]), b'first', 'content of readv')
    eq(os.read(fd, 100), b'', 'end')
    refused('ESPIPE', os.lseek, fd, 0, os.SEEK_CUR)
    refused('EBADF', os.write, fd, b'x')
    os.close(fd)
    eq(q.take(), [(b'next', 0)], 'closing takes nothing')


@daemon_only
def test_sending():
    q = make_mq('q', 10, 100)
    fd = os.open(f'{MQ}/q', os.O_WRONLY | os.O_APPEND)
    eq([os.write(fd, t) for t in (b'one', b'x' * 100)], [3, 100], 'write')
    refused('EMSGSIZE', os.write, fd, b'x' * 101)
    refused('EMSGSIZE', os.write, fd, b'x' * 100000)
    eq(os.writev(fd, [b'ab', b'', b'cd' * 20]), 42, 'writev')
    refused('ESPIPE', os.pwrite, fd, b'offset', 0)
    refused('EBADF', os.read, fd, 1)
    os.close(fd)
    eq([t for t, _ in q.take()], [b'one', b'x' * 100, b'ab' + b'cd' * 20], 'messages')
    fd = os.open(f'{MQ}/q', os.O_RDWR)
    os.write(fd, b'')
    ok(q.attr()['curmsgs'] in (0, 1), 'a write of 0 bytes sends an empty message or nothing')
    q.take()
    os.fsync(fd)
    os.close(fd)
    out = bash('printf hello | tee $MQ/q; printf dd | dd of=$MQ/q status=none; cp /dev/stdin $MQ/q < /dev/null; '
               'head -c 90 /dev/zero | tr "\\0" y | dd of=$MQ/q bs=90 status=none oflag=append conv=notrunc')
    eq(out, ('hello', 0), 'tee, dd, cp')
    eq([t for t, _ in q.take() if t], [b'hello', b'dd', b'y' * 90], 'messages of programs')
    q.send(b'to dd')
    eq(bash('dd if=$MQ/q bs=4096 count=1 status=none'), ('to dd', 0), 'dd')


@daemon_only
def test_packet_mode():
    q = make_mq('q', 10, 100)
    for text in (b'0123456789', b'second', b'', b'last'):
        q.send(text)
    fd = os.open(f'{MQ}/q', os.O_RDONLY | os.O_DIRECT)
    eq([os.read(fd, n) for n in (4, 100, 100, 100)], [b'0123', b'second', b'', b'last'], 'each read is a message, cut')
    eq(q.attr()['curmsgs'], 0, 'all taken')
    os.close(fd)
    fd = os.open(f'{MQ}/q', os.O_RDWR | os.O_DIRECT | os.O_NONBLOCK)
    eq(os.write(fd, b'odd size'), 8, 'write')
    eq(os.read(fd, 3), b'odd', 'read')
    refused('EAGAIN', os.read, fd, 3)
    os.close(fd)


@daemon_only
def test_nonblocking():
    q = make_mq('q', 2, 100)
    fd = os.open(f'{MQ}/q', os.O_RDWR | os.O_NONBLOCK)
    refused('EAGAIN', os.read, fd, 10)
    eq((os.write(fd, b'1'), os.write(fd, b'2')), (1, 1), 'write')
    refused('EAGAIN', os.write, fd, b'3')
    refused('EMSGSIZE', os.write, fd, b'x' * 101)
    eq([os.read(fd, 10) for _ in range(4)], [b'1', b'', b'2', b''], 'read')
    refused('EAGAIN', os.read, fd, 10)
    # The flag of this moment counts.
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_NONBLOCK)
    os.set_blocking(fd, True)
    child = shell('sleep 0.3; echo x > $MQ/q')
    eq(os.read(fd, 10), b'x\n', 'a read that waits')
    eq(ends(child), 0, 'sender')
    os.set_blocking(fd, False)
    eq(os.read(fd, 10), b'', 'end')
    refused('EAGAIN', os.read, fd, 10)
    os.close(fd)
    for verb in ('lines', 'prio/3'):
        fd = os.open(f'{CTL}/mq/q/{verb}', os.O_WRONLY | os.O_NONBLOCK)
        eq([os.write(fd, b'a\n'), os.write(fd, b'b\n')], [2, 2], verb)
        refused('EAGAIN', os.write, fd, b'c\n')
        os.close(fd)
        q.take()
    fd = os.open(f'{CTL}/mq/q/lines', os.O_RDWR | os.O_NONBLOCK)
    eq(os.write(fd, b'1\n2\n3\n4\n'), 4, 'lines sends what fits')
    eq(os.read(fd, 1000), b'1\n2\n', 'lines')
    refused('EAGAIN', os.read, fd, 1000)
    os.close(fd)


@daemon_only
def test_nothing_unfinished_waits_for_nothing():
    q = make_mq('q', 1, 100)
    q.send(b'full')
    writer = shell('echo blocked > $MQ/q')
    end = time.monotonic() + 5
    while metrics()['ipcfs_parked'] < 1 and time.monotonic() < end:
        time.sleep(0.01)
    for _ in range(5):
        os.close(os.open(f'{CTL}/mq/q/lines', os.O_WRONLY))
    time.sleep(0.2)  # the kernel tells of a close after it has returned
    eq(metrics()['ipcfs_parked'], 1, 'who waits: the writer, and none of those who had nothing to send')
    got = q.take()
    eq(ends(writer), 0, 'the writer')
    eq([t for t, _ in got + q.take()], [b'full', b'blocked\n'], 'messages')


@daemon_only
def test_lines():
    q = make_mq('q', 10, 100)
    fd = os.open(f'{CTL}/mq/q/lines', os.O_RDWR)
    eq(os.write(fd, b'a\nbb\n\nccc\n'), 10, 'write of four lines')
    eq([t for t, _ in q.take()], [b'a', b'bb', b'', b'ccc'], 'messages')
    eq((os.write(fd, b'in '), q.attr()['curmsgs']), (3, 0), 'an unfinished line waits')
    eq(os.write(fd, b'pieces\nand'), 10, 'its rest')
    eq([t for t, _ in q.take()], [b'in pieces'], 'messages')
    os.close(fd)
    end = time.monotonic() + 5
    while not q.attr()['curmsgs'] and time.monotonic() < end:
        time.sleep(0.01)  # the kernel tells of the last close after it has returned
    eq([t for t, _ in q.take()], [b'and'], 'close sends the unfinished line')
    fd = os.open(f'{CTL}/mq/q/lines', os.O_RDWR)
    for text in (b'one', b'two', b'', b'with newline\n', b'x' * 100):
        q.send(text)
    got = b''
    while len(got.replace(b'\n\n', b'\n')) < 4 + 4 + 13 + 101:
        got += os.read(fd, 4096)
    eq([l for l in got.split(b'\n') if l], [b'one', b'two', b'with newline', b'x' * 100], 'lines read')
    q.send(b'0123456789')
    q.send(b'next')
    eq(b''.join(os.read(fd, 4) for _ in range(3)), b'0123456789\n', 'a line larger than the buffer')
    eq(os.read(fd, 100), b'next\n', 'the next')
    refused('EMSGSIZE', os.write, fd, b'y' * 101 + b'\n')
    os.close(fd)
    eq(q.take(), [], 'nothing is left')


@daemon_only
def test_large_messages():
    """Never torn: one write is one message, or an error."""
    sysctl('fs/mqueue/msgsize_max', 16 << 20)
    for size in (8192, 65536, 131072, 300000, 600000):
        eq(create(f'big maxmsg=1 msgsize={size}'), None, f'queue of {size}')
        q = Mq('big')
        text = os.urandom(size)
        fd = os.open(f'{MQ}/big', os.O_RDWR | os.O_NONBLOCK)
        n = attempt(os.write, fd, text)
        if n == size:
            ok(q.take() == [(text, 0)], f'{size} bytes: the message is another')
        else:
            eq(q.attr()['curmsgs'], 0, f'a write of {size} bytes gives {n} and sends something else')
            print(f'  write of {size} bytes: {n}')
        ok(n == size or size > 1 << 17, f'write of {size} bytes: {n}')
        q.send(text)
        got = message(fd, size)
        ok(got == text, f'{size} bytes received: {len(got)}')
        q.send(text)
        ok(message(fd, 5001) == text, f'{size} bytes received in pieces')
        os.close(fd)
        q.close()
        unlink_mq('big')


@daemon_only
def test_shared_handle():
    """After fork both have the handle: what one began the other goes on with, and the end is given once."""
    q = make_mq('q', 10, 100)
    q.send(b'0123456789')
    q.send(b'abc')
    fd = os.open(f'{MQ}/q', os.O_RDONLY)
    eq(os.read(fd, 4), b'0123', 'the first piece')
    eq(child_read(fd, 3), b"456", "a child reads on")
    eq(os.read(fd, 100), b'789', 'the rest')
    eq(child_read(fd, 100), b'', 'the end, for the child')
    eq(os.read(fd, 100), b'abc', 'the next')
    os.close(fd)
    fd = os.open(f'{CTL}/mq/q/lines', os.O_WRONLY)
    os.write(fd, b'begun by one, ')
    eq(ends(shell('echo "ended by another"', stdout=fd)), 0, 'child')
    os.close(fd)
    eq(sorted(t for t, _ in q.take()), sorted([b'begun by one, ended by another']), 'a line of two processes')


def child_read(fd, size):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(5)
        os.write(w, b'<' + os.read(fd, size))
        os._exit(0)
    os.close(w)
    got = os.read(r, 1000)
    os.close(r)
    os.waitpid(pid, 0)
    ok(got[:1] == b'<', 'the child has read nothing')
    return got[1:]


@daemon_only
def test_truncate():
    q = make_mq('q', 10, 100)
    for how in (lambda: os.truncate(f'{MQ}/q', 0), lambda: ftruncate(0),
                lambda: eq(bash('truncate -s 0 $MQ/q'), ('', 0), '')):
        q.send(b'1', 3)
        q.send(b'2')
        for flags in (os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            os.close(os.open(f'{MQ}/q', flags))
        eq(q.attr()['curmsgs'], 2, 'O_TRUNC does not purge')
        for size in (1, 5, 1 << 40):
            refused('EINVAL', os.truncate, f'{MQ}/q', size)
            refused('EINVAL', ftruncate, size)
        eq(q.attr()['curmsgs'], 2, 'a refused truncate does not purge')
        how()
        eq((q.attr()['curmsgs'], os.stat(f'{MQ}/q').st_size), (0, 0), 'purged')
    user = User(1001, 1001)
    q.send(b'kept')
    refused('EACCES', user, os.truncate, f'{MQ}/q', 0)
    user.end()
    eq(q.attr()['curmsgs'], 1, 'another user can not purge')
    fd = os.open(f'{MQ}/q', os.O_RDWR)
    refused(('EOPNOTSUPP', 'EPERM', 'ESPIPE', 'ENODEV'), os.posix_fallocate, fd, 0, 10)
    os.close(fd)


def ftruncate(size):
    fd = os.open(f'{MQ}/q', os.O_WRONLY)
    try:
        os.ftruncate(fd, size)
    finally:
        os.close(fd)


@daemon_only
def test_names():
    make_mq('q').close()
    for fn in (os.rename, os.link):
        refused('EPERM', fn, f'{MQ}/q', f'{MQ}/r')
        refused('EPERM', fn, f'{MQ}/q', f'{MQ}/q2')
    refused('EPERM', os.symlink, 'q', f'{MQ}/s')
    refused('EPERM', os.mkdir, f'{MQ}/d')
    refused('EPERM', os.mkfifo, f'{MQ}/f')
    refused('ENOENT', os.unlink, f'{MQ}/none')
    refused('ENOENT', os.open, f'{MQ}/none', os.O_RDWR)
    refused('ENOTDIR', os.open, f'{MQ}/q', os.O_DIRECTORY)
    refused('EPERM', os.chmod, MQ, 0o777)
    for name in (b'x' * 255, b'\xff\xfe', b'a b\n', b'.hidden', b'sem.x', b'list', b'create', b'limits', b'-'):
        os.close(os.open(os.fsencode(MQ) + b'/' + name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        ok(name in os.listdir(os.fsencode(MQFS)), f'{name!r} natively')
        where = b'@' + name if name in (b'list', b'create', b'limits') else name
        ok(get(os.fsencode(CTL) + b'/mq/' + where + b'/state'), f'state of {name!r}')
        os.unlink(os.fsencode(MQ) + b'/' + name)
    refused('ENAMETOOLONG', os.open, f'{MQ}/' + 'x' * 256, os.O_CREAT | os.O_RDWR)
    os.unlink(f'{MQ}/q')
    eq(os.listdir(MQFS), [], 'all gone')


@daemon_only
def test_removed_while_open():
    """As natively: the queue lives on for those who have it open, and waits go on."""
    q = make_mq('q', 10, 100)
    fd = os.open(f'{MQ}/q', os.O_RDWR)
    waiting = shell('timeout 10 cat $MQ/q')
    time.sleep(0.2)
    os.unlink(f'{MQ}/q')
    other = make_mq('q', 10, 100)
    ok(waiting.poll() is None, 'a waiter of a removed queue goes on waiting')
    os.write(fd, b'for the old one')
    eq(output(waiting), ('for the old one', 0), 'the waiter')
    q.send(b'old')
    other.send(b'new')
    eq((os.read(fd, 100), get(f'{MQ}/q')), (b'old', b'new'), 'two queues of one name')
    eq((os.fstat(fd).st_nlink, os.fstat(fd).st_size), (0, 0), 'status of the removed one')
    os.close(fd)


@daemon_only
def test_looking_consumes_nothing():
    queues = [make_mq(f'q{i}', 4, 100) for i in range(5)]
    for q in queues[1:]:
        for i in range(4):
            q.send(b'%d' % i)
    eq(output(start('find', MQ, CTL, '-ls'), 30)[1], 0, 'find -ls')
    ok('find' not in bash('find $MQ $CTL -size +1')[0], 'find -size')
    for line in ('grep -r nothing-like-it $CTL; [ $? = 1 ]', 'tar cf - $CTL | wc -c > /dev/null',
                 'ls -lR $MQ $CTL > /dev/null', 'du -a $MQ $CTL > /dev/null', 'stat $MQ/* > /dev/null',
                 'test -s $MQ/q1 && test ! -s $MQ/q0'):
        eq(bash(line, 30)[1], 0, line)
    eq([q.attr()['curmsgs'] for q in queues], [0, 4, 4, 4, 4], 'messages afterwards')


@daemon_only
def test_notification():
    """mq_notify of a native program, while the mount looks on."""
    for sender in (lambda q: q.send(b'x'), lambda q: send(f'{MQ}/q', b'x'), lambda q: send(f'{CTL}/mq/q/lines', b'x\n')):
        q = make_mq('q', 10, 100)
        fd = os.open(f'{MQ}/q', os.O_RDWR)
        child = native('q', 'notify')
        eq(child.stdout.readline(), b'registered\n', 'mq_notify')
        s = state('q')
        pids = [v for k, v in s.items() if 'notify' in k]
        ok(str(child.pid) in pids, f'no field of state has notify in its name and tells process {child.pid}: {s}')
        os.listdir(MQ), os.stat(f'{MQ}/q'), bash('ls -l $MQ; timeout 0.2 cat $MQ/q')
        ok(child.poll() is None, 'looking does not notify')
        sender(q)
        eq(output(child), ('notified\n', 0), 'mq_notify')
        eq(len(q.take()), 1, 'the message stays')
        os.close(fd)
        unlink_mq('q')


@daemon_only
def test_signal_handler():
    """A handler that does not restart: EINTR, nothing is taken, and the handle goes on."""
    q = make_mq('q', 1, 100)
    fd = os.open(f'{MQ}/q', os.O_RDWR)

    class Alarm(Exception):
        pass

    def handler(*_):
        raise Alarm
    signal.signal(signal.SIGALRM, handler)
    for i in range(20):
        signal.setitimer(signal.ITIMER_REAL, 0.02 + 0.003 * (i % 3))
        begin = time.monotonic()
        try:
            os.read(fd, 10)
            raise AssertionError('the read of an empty queue ended')
        except Alarm:
            pass
        ok(time.monotonic() - begin < 5, f'EINTR after {time.monotonic() - begin:.2f} s')
        q.send(b'%d' % i)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        try:
            os.write(fd, b'never')
            raise AssertionError('the write to a full queue ended')
        except Alarm:
            pass
        eq(message(fd), b'%d' % i, 'the message after an interrupted wait')
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    eq(q.take(), [], 'nothing that was interrupted is sent')
    os.close(fd)


@daemon_only
def test_quota():
    """What a failed create hits, and that limits says so."""
    before = limits()
    print(f'  {before}')
    user = User(1001, 1001)
    try:
        mine = user(limits)
        made = 0
        while (got := user(create, f'q{made} maxmsg=10 msgsize=8192')) is None:
            made += 1
            ok(made < 200, 'no limit on queues')
        eq(got[0], 'EMFILE', f'create over the quota: {got}')
        ok(re.search('MSGQUEUE|msgqueue', got[1]), f'reason: {got[1]!r}')
        after = user(limits)
        while (got := user(attempt, touch, f'{MQ}/q{made}')) is None:
            made += 1
            ok(made < 200, 'no limit on queues of default size')
        eq(got, 'EMFILE', 'touch over the quota')
        changed = {k: (mine[k], after[k]) for k in mine if mine[k] != after.get(k)}
        print(f'  {made} queues: {changed}')
        ok(len(changed) >= 2, f'used and left change: {changed}')
        eq({k: v for k, v in limits().items() if k in changed and 'queues' not in k},
           {k: v for k, v in before.items() if k in changed and 'queues' not in k}, 'limits of root')
        for i in range(made):
            user(os.unlink, f'{MQ}/q{i}')
        eq(user(limits), mine, 'limits after all are removed')
        sysctl('fs/mqueue/queues_max', 3)
        for i in range(3):
            eq(user(create, f'q{i} maxmsg=1 msgsize=1'), None, f'create with {os.listdir(MQFS)}, {limits()}')
        got = user(create, 'q3 maxmsg=1 msgsize=1')
        eq(got and got[0], 'ENOSPC', f'create over queues_max: {got}')
        ok('queues_max' in got[1], f'reason: {got[1]!r}')
    finally:
        sysctl('fs/mqueue/queues_max', 256)
        user.end()


@daemon_only
def test_many_queues():
    for i in range(250):
        make_mq(f'q{i:03d}', 1, 8).close()
    eq(sorted(os.listdir(MQ)), [f'q{i:03d}' for i in range(250)], 'ls')
    eq(len(json.loads(get(f'{CTL}/mq/list.json'))), 250, 'list.json')
    eq(bash('rm $MQ/q*'), ('', 0), 'rm of all')
    eq(os.listdir(MQFS), [], 'all gone')


@daemon_only
def test_closing_leaves_nothing():
    q = make_mq('q', 10, 100)
    before = metrics()
    for _ in range(50):
        fd = os.open(f'{MQ}/q', os.O_RDWR | os.O_NONBLOCK)
        q.send(b'0123456789')
        os.read(fd, 3)
        os.close(fd)
        eq(q.attr()['curmsgs'], 0, 'a message begun is taken')
    now = metrics()
    ok(now['ipcfs_handles'] <= before['ipcfs_handles'] + 1, f'handles {before["ipcfs_handles"]} -> {now["ipcfs_handles"]}')
    for name in ('ipcfs_parked', 'ipcfs_keepers'):
        eq(now.get(name), 0, name)


mount_mqfs()
sysctl('fs/mqueue/msgsize_default', 1024)  # queues of all namespaces count for their user
main(globals(), after=clean_queues)
