# SPDX-License-Identifier: MIT
"""sysv/msg/ and sysv/ftok: both names of a queue, creation, types, peeking, IPC_SET, IPC_RMID; beside the native calls.

usage: sysvmsg.py QUEUE-PROGRAM (queue.c)
"""
import ctypes
import json
import os
import random
import re
import subprocess
import sys
import time

from mounttest import CTL, MNT, SCRATCH, SEED, Diffs, User, attempt, daemon_only, eq, get, main, ok, refused
from queues import (IPC_NOWAIT, MSG, MSG_NOERROR, SOON, Msg, all_msg, bash, clean_queues, libc, make_msg, mount_mqfs,
                    output, shell, start, wait_blocked)

QUEUE = sys.argv[1]
KEY = 0x2a
NAME = f'{KEY:#010x}'
BY_KEY = f'{MSG}/by-key/{NAME}'
C = f'{CTL}/sysv/msg/by-key/{NAME}'


def by_id(q):
    return f'{MSG}/by-id/{q.id}'


def write(path, data, flags=0):
    fd = os.open(path, os.O_WRONLY | flags)
    try:
        return os.write(fd, data)
    finally:
        os.close(fd)


def read(path, size=65536, flags=0):
    fd = os.open(path, os.O_RDONLY | flags)
    try:
        return os.read(fd, size)
    finally:
        os.close(fd)


def state(path):
    return dict(l.split(': ', 1) for l in get(path + '/state').decode().splitlines())


def ipcs(*args):
    return subprocess.run(['ipcs', '-q', *args], capture_output=True, text=True, check=True).stdout


def test_native_promises():
    """What the native calls do, and the rest of this file relies on."""
    q = make_msg(KEY)
    for i, kind in enumerate((5, 1, 3, 1, 2)):
        q.send(b'%d' % i, kind)
    eq(q.receive(3), (b'2', 3), 'type 3')
    eq(q.receive(-3), (b'1', 1), 'the lowest type up to 3, the oldest')
    eq(q.receive(-3), (b'3', 1), 'the next')
    eq(q.receive(-3), (b'4', 2), 'the next type')
    refused('ENOMSG', q.receive, -3)
    eq(q.receive(0), (b'0', 5), 'the oldest')
    refused('EINVAL', q.send, b'x', 0)
    refused('EINVAL', q.send, b'x', -1)
    refused('EINVAL', q.send, b'x' * 8193)
    q.send(b'0123456789')
    refused('E2BIG', q.receive, 0, IPC_NOWAIT, 5)
    eq(q.receive(0, IPC_NOWAIT | MSG_NOERROR, 5), (b'01234', 1), 'cut')


@daemon_only
def test_creation_by_key():
    eq(bash('touch $MSG/by-key/0x2a'), ('', 0), 'touch by-key/0x2a')
    q = Msg(KEY)
    row = [l.split() for l in ipcs().splitlines() if l.startswith(NAME)]
    eq(row, [[NAME, str(q.id), 'root', '644', '0', '0']], 'ipcs -q')
    eq(os.listdir(f'{MSG}/by-key'), [NAME], 'ls by-key')
    eq(os.listdir(f'{MSG}/by-id'), [str(q.id)], 'ls by-id')
    a, b = os.stat(BY_KEY), os.stat(by_id(q))
    eq((a.st_ino, a.st_nlink, a.st_size), (b.st_ino, 2, 0), 'one object with two names')
    eq(b.st_nlink, 2, 'link count by id')
    user = User(1001, 1002)
    refused('EACCES', user, os.open, BY_KEY, os.O_WRONLY)
    fd = os.open(f'{MSG}/by-key/0x00000aaa', os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o624)
    os.write(fd, b'first')
    os.close(fd)
    eq(user(make_by_mount, 0xbbb), None, 'made by a user')
    s = Msg(0xbbb).stat()
    eq({k: s[k] for k in ('key', 'uid', 'gid', 'cuid', 'cgid', 'mode')},
       {'key': 0xbbb, 'uid': 1001, 'gid': 1002, 'cuid': 1001, 'cgid': 1002, 'mode': 0o600}, 'owner and creator')
    user.end()
    eq((Msg(0xaaa).stat()['mode'], Msg(0xaaa).take()), (0o604, [(b'first', 1)]), 'made and written at once')
    refused('EEXIST', os.open, BY_KEY, os.O_CREAT | os.O_EXCL | os.O_RDWR)
    for bad in ('0', '0x0', '0x00000000', 'key', '0x100000000', '-1', '0x', '0x2a ', '0xg', '0x000000002a'):
        got = attempt(os.open, f'{MSG}/by-key/{bad}', os.O_CREAT | os.O_EXCL | os.O_RDWR)
        ok(got in ('EINVAL', 'EPERM', 'ENOENT', 'EACCES', 'EEXIST'), f'a queue named {bad!r}: {got}')
    for bad in ('5', '12345', 'x'):
        refused(('EPERM', 'EACCES', 'EINVAL'), os.open, f'{MSG}/by-id/{bad}', os.O_CREAT | os.O_RDWR)
    eq(len(all_msg()), 3, 'queues')
    # A key with its highest bit.
    os.close(os.open(f'{MSG}/by-key/0xffffffff', os.O_CREAT | os.O_RDWR))
    Msg(-1).remove()


def make_by_mount(key):
    os.close(os.open(f'{MSG}/by-key/{key:#010x}', os.O_CREAT | os.O_RDWR, 0o600))


@daemon_only
def test_native_queues_appear():
    out = subprocess.run(['ipcmk', '-Q', '-p', '0604'], capture_output=True, text=True, check=True).stdout
    msqid = int(re.search(r'id: (\d+)', out).group(1))
    private = make_msg(0)
    eq(sorted(os.listdir(f'{MSG}/by-id')), sorted([str(msqid), str(private.id)]), 'ls by-id')
    keys = os.listdir(f'{MSG}/by-key')
    eq(len(keys), 1, f'ls by-key: {keys}; a private queue has no key')
    eq(Msg(ctypes.c_int(int(keys[0], 16)).value).id, msqid, 'the key')
    eq((os.stat(by_id(private)).st_nlink, os.stat(f'{MSG}/by-id/{msqid}').st_nlink), (1, 2), 'link counts')
    eq(os.stat(f'{MSG}/by-id/{msqid}').st_mode, 0o100604, 'mode')
    subprocess.run(['ipcrm', '-q', str(msqid)], check=True)
    eq((os.listdir(f'{MSG}/by-key'), os.listdir(f'{MSG}/by-id')), ([], [str(private.id)]), 'after ipcrm')
    write(by_id(private), b'to a private one')
    eq(private.take(), [(b'to a private one', 1)], 'a message by id')
    for name in (f'0{private.id}', f'+{private.id}', f'{private.id} ', '99999999999', '-1'):
        refused('ENOENT', os.stat, f'{MSG}/by-id/{name}')


@daemon_only
def test_types():
    q = make_msg(KEY)
    for where in (C, f'{CTL}/sysv/msg/by-id/{q.id}'):
        for i, kind in enumerate((5, 1, 3, 1, 2, 2147483647)):
            eq(write(f'{where}/type/{kind}', b'%d' % i), 1, f'type/{kind}')
        write(BY_KEY, b'one')
        eq(q.take(), [(b'0', 5), (b'1', 1), (b'2', 3), (b'3', 1), (b'4', 2), (b'5', 2147483647), (b'one', 1)], 'sent')
        for i, kind in enumerate((5, 1, 3, 1, 2)):
            q.send(b'%d' % i, kind)
        eq(read(f'{where}/type/3'), b'2', 'type/3')
        eq([read(f'{where}/type/-3') for _ in range(3)], [b'1', b'3', b'4'], 'type/-3')
        refused('EAGAIN', read, f'{where}/type/-3', 10, os.O_NONBLOCK)
        refused('EAGAIN', read, f'{where}/type/7', 10, os.O_NONBLOCK)
        eq(read(BY_KEY), b'0', 'the oldest of any type')
        refused('EAGAIN', read, BY_KEY, 10, os.O_NONBLOCK)
        for bad in ('x', '1x', '99999999999999999999', '-99999999999999999999', '1.0'):
            refused('ENOENT', os.open, f'{where}/type/{bad}', os.O_WRONLY)
        for negative in ('-3', '0'):
            got = attempt(write, f'{where}/type/{negative}', b'x')
            ok(got in ('EINVAL', 'ENOENT', 'EACCES', 'EPERM'), f'a message of type {negative}: {got}')
    # One handle of type/N, read again and again, pieces and packets as anywhere.
    q.send(b'0123456789', 4)
    q.send(b'other', 1)
    q.send(b'abc', 4)
    fd = os.open(f'{C}/type/4', os.O_RDWR)
    eq([os.read(fd, 6) for _ in range(5)], [b'012345', b'6789', b'', b'abc', b''], 'message mode')
    eq(os.write(fd, b'again'), 5, 'both directions')
    eq(os.read(fd, 10), b'again', 'both directions')
    os.close(fd)
    eq(q.take(), [(b'other', 1)], 'the other type')
    # A selective waiter is woken by its type alone.
    waiting = shell(f'exec cat {C}/type/-5')
    wait_blocked(waiting.pid)
    q.send(b'not for him', 6)
    time.sleep(0.2)
    eq((waiting.poll(), q.stat()['qnum']), (None, 1), 'another type')
    q.send(b'for him', 5)
    eq(output(waiting), ('for him', 0), 'his type')
    eq(q.take(), [(b'not for him', 6)], 'left')


@daemon_only
def test_selective_against_native():
    """Random sends and selective receives, on twin queues: the mount's and the native answer are the same."""
    rng = random.Random(SEED)
    a, b = make_msg(KEY), make_msg(0x2b)
    diffs = Diffs()
    for i in range(300):
        kind = rng.randrange(1, 6)
        if rng.random() < 0.55 and a.stat()['qnum'] < 50:
            data = os.urandom(rng.randrange(1, 100))
            write(f'{C}/type/{kind}', data)
            b.send(data, kind)
            continue
        kind = rng.choice((kind, -kind, 0))
        native = attempt(b.receive, kind)
        native = 'EAGAIN' if native == 'ENOMSG' else native if isinstance(native, str) else native[0]
        path = f'{C}/type/{kind}' if kind else BY_KEY
        diffs.same(native, attempt(read, path, 65536, os.O_NONBLOCK), f'step {i}, type {kind}')
    diffs.same(b.take(), a.take(), 'what is left')
    diffs.finish(50)


@daemon_only
def test_messages():
    q = make_msg(KEY)
    fd = os.open(BY_KEY, os.O_RDWR)
    eq([os.write(fd, t) for t in (b'0123456789', b'x' * 8192)], [10, 8192], 'write')
    refused(('EMSGSIZE', 'EINVAL'), os.write, fd, b'x' * 8193)
    eq([os.read(fd, 6) for _ in range(3)], [b'012345', b'6789', b''], 'pieces')
    eq((os.read(fd, 8192), os.read(fd, 1)), (b'x' * 8192, b''), 'the largest message')
    q.send(b'')
    q.send(b'after')
    eq(os.read(fd, 10), b'', 'an empty message')
    eq(os.read(fd, 10) or os.read(fd, 10), b'after', 'the next')
    os.close(fd)
    q.send(b'0123456789')
    q.send(b'next')
    fd = os.open(by_id(q), os.O_RDWR | os.O_DIRECT | os.O_NONBLOCK)
    eq([os.read(fd, n) for n in (4, 10)], [b'0123', b'next'], 'packet mode')
    refused('EAGAIN', os.read, fd, 10)
    while attempt(os.write, fd, b'x' * 4096) == 4096:
        pass
    eq(q.stat()['cbytes'], 16384, 'filled up to qbytes')
    refused('EAGAIN', os.write, fd, b'x')
    eq(os.fstat(fd).st_size, 16384, 'size')
    for size in (1, 5):
        refused('EINVAL', os.ftruncate, fd, size)
    os.close(os.open(BY_KEY, os.O_WRONLY | os.O_TRUNC))
    eq(q.stat()['qnum'], 4, 'O_TRUNC and a refused truncate do not purge')
    os.truncate(BY_KEY, 0)
    eq((q.stat()['qnum'], os.fstat(fd).st_size), (0, 0), 'purged')
    os.close(fd)
    eq(bash(f'echo hello > {BY_KEY}; cat {by_id(q)}'), ('hello\n', 0), 'echo and cat')
    s = q.stat()
    ok(s['lspid'] > 0 and s['lrpid'] > 0, f'pids {s}')


@daemon_only
def test_peek():
    q = make_msg(KEY)
    for i, kind in enumerate((5, 1, 3)):
        q.send(b'message %d' % i + b'x' * i * 3000, kind)
    before = q.stat()
    for where in (C, f'{CTL}/sysv/msg/by-id/{q.id}'):
        for i in range(3):
            got = get(f'{where}/peek/{i}')
            ok(got.startswith(b'message %d' % i) and got.count(b'x') == i * 3000, f'peek/{i}: {got[:40]!r}, {len(got)} bytes')
            eq(get(f'{where}/peek/{i}'), got, 'peek again')
            fd = os.open(f'{where}/peek/{i}', os.O_RDONLY)
            eq(b''.join(iter(lambda: os.read(fd, 1000), b'')), got, 'peek in pieces')
            os.close(fd)
        for bad in ('3', '1000'):
            refused(('ENOMSG', 'ENOENT', 'ENODATA', 'EINVAL'), get, f'{where}/peek/{bad}')
        for bad in ('-1', 'x', ''):
            if bad:
                refused('ENOENT', get, f'{where}/peek/{bad}')
        refused(('EACCES', 'EPERM', 'EINVAL', 'EBADF'), write, f'{where}/peek/0', b'x')
    eq(q.stat(), before, 'the queue after peeking')
    user = User(1001, 1001)
    refused('EACCES', user, get, f'{C}/peek/0')
    user.end()


@daemon_only
def test_attributes():
    q = make_msg(KEY, 0o600)
    for path in (BY_KEY, by_id(q)):
        os.chmod(path, 0o640)
        os.chown(path, 1001, 1002)
        s = q.stat()
        eq((s['mode'], s['uid'], s['gid'], s['cuid']), (0o640, 1001, 1002, 0), 'IPC_SET')
        ok(re.search(rf'{q.id}\s+640\s+root\s+root\s+1001\s+1002', ipcs('-c')), f'ipcs -c: {ipcs("-c")}')
        st = os.stat(path)
        eq((st.st_mode, st.st_uid, st.st_gid), (0o100640, 1001, 1002), 'stat')
        os.chown(path, -1, 7)
        eq((q.stat()['uid'], q.stat()['gid']), (1001, 7), 'chgrp')
        q2 = Msg.by_id(q.id)
        os.chmod(path, 0o600)
        os.chown(path, 0, 0)
        eq(q2.stat()['mode'], 0o600, 'chmod')
    eq(bash(f'echo 10000 > {C}/qbytes'), ('', 0), 'echo > qbytes')
    eq((q.stat()['qbytes'], get(f'{C}/qbytes')), (10000, b'10000\n'), 'qbytes')
    for bad in ('x', '-1', ' ', '1 2', '99999999999999999999999'):
        refused('EINVAL', write, f'{C}/qbytes', bad.encode() + b'\n')
    eq(q.stat()['qbytes'], 10000, 'qbytes after refused ones')
    os.chown(BY_KEY, 1001, 1001)
    os.chmod(BY_KEY, 0o666)
    user, other = User(1001, 1001), User(1002, 1002)
    eq(user(write, f'{C}/qbytes', b'16384\n'), 6, 'qbytes by its owner')
    refused(('EPERM', 'EACCES'), user, write, f'{C}/qbytes', b'16385\n')  # over msgmnb
    refused(('EPERM', 'EACCES'), other, write, f'{C}/qbytes', b'100\n')
    refused('EPERM', other, os.chmod, BY_KEY, 0o600)
    refused('EPERM', other, os.unlink, BY_KEY)
    eq(user(os.chmod, BY_KEY, 0o660), None, 'chmod by the owner')
    eq(user(os.unlink, by_id(q)), None, 'rm by the owner')
    refused('EINVAL', q.stat)
    user.end()
    other.end()


@daemon_only
def test_permissions_as_native():
    diffs = Diffs()
    users = [User(1001, 1001), User(1002, 1002, (2000,)), User(0, 0)]
    for mode in (0o000, 0o400, 0o200, 0o600, 0o640, 0o620, 0o060, 0o006, 0o004, 0o002):
        q = make_msg(KEY)
        os.chown(BY_KEY, 1001, 2000)
        os.chmod(BY_KEY, mode)
        for user in users:
            for flags, bits in ((os.O_RDONLY, 4), (os.O_WRONLY, 2), (os.O_RDWR, 6)):
                native = user(attempt, native_open, bits)
                for path in (BY_KEY, by_id(q), f'{C}/lines'):
                    diffs.same(native, user(mount_open, path, flags), f'{path} of {mode:o} by {user.uid} for {bits}')
        q.remove()
    for user in users:
        user.end()
    diffs.finish(250)


def native_open(bits):
    Msg(KEY, bits << 6 | bits << 3 | bits)
    return None


def mount_open(path, flags):
    got = attempt(os.open, path, flags)
    if isinstance(got, int):
        os.close(got)
        return None
    return got


@daemon_only
def test_removal_ends_waits():
    """Native waiters and those of the mount end with EIDRM, whoever removes the queue."""
    for remove in (lambda q: os.unlink(BY_KEY), lambda q: os.unlink(by_id(q)), lambda q: q.remove()):
        q = make_msg(KEY)
        native = start(QUEUE, 'sysv', hex(KEY), 'receive', '1')
        waiting = [shell(f'exec cat {p}') for p in (BY_KEY, by_id(q), f'{C}/lines', f'{C}/type/3', f'{C}/type/-3')]
        fd = os.open(BY_KEY, os.O_RDWR | os.O_NONBLOCK)
        for p in waiting:
            wait_blocked(p.pid)
        remove(q)
        for p in waiting + [native]:
            out, status = output(p, SOON)
            ok(status != 0 and 'Identifier removed' in out, f'{p.args}: status {status}, {out!r}')
        for op in (lambda: os.write(fd, b'x'), lambda: os.read(fd, 1)):
            refused(('EIDRM', 'EINVAL', 'ESTALE', 'ENOENT'), op)
        os.close(fd)
        refused('ENOENT', os.stat, BY_KEY)
        eq((os.listdir(f'{MSG}/by-key'), os.listdir(f'{MSG}/by-id'), all_msg()), ([], [], []), 'names afterwards')


@daemon_only
def test_a_new_queue_under_an_old_key():
    """A handle of the old one never reaches the new one, whose id may be the old one's with another sequence."""
    q = make_msg(KEY)
    fd = os.open(BY_KEY, os.O_RDWR | os.O_NONBLOCK)
    number = os.fstat(fd).st_ino
    q.remove()
    new = make_msg(KEY)
    new.send(b'for the new')
    refused(('EIDRM', 'EINVAL', 'ESTALE', 'ENOENT'), os.read, fd, 100)
    refused(('EIDRM', 'EINVAL', 'ESTALE', 'ENOENT'), os.write, fd, b'x')
    ok(os.stat(BY_KEY).st_ino != number, 'the inode number of another queue')
    eq(new.take(), [(b'for the new', 1)], 'the new one is untouched')
    os.close(fd)
    # The kernel uses an index again after all sequence numbers; here: the same id, asked for by name.
    new.remove()
    if os.path.exists('/proc/sys/kernel/msg_next_id'):
        first = make_msg(KEY)
        fd = os.open(BY_KEY, os.O_RDWR | os.O_NONBLOCK)
        first.remove()
        with open('/proc/sys/kernel/msg_next_id', 'w') as f:
            f.write(str(first.id))
        second = make_msg(KEY)
        eq(second.id, first.id, 'a recycled id')
        second.send(b'not yours')
        print('  a handle of the removed queue whose id came again:', attempt(os.read, fd, 100))
        os.close(fd)
        eq(os.listdir(f'{MSG}/by-id'), [str(second.id)], 'listing')
        write(BY_KEY, b'usable')
        ok((b'usable', 1) in second.take(), 'the second queue is used by name')


@daemon_only
def test_state_and_lists():
    q, private = make_msg(KEY, 0o640), make_msg(0)
    q.send(b'12345', 3)
    q.send(b'678')
    q.receive()
    want = {k: str(v) for k, v in q.stat().items() if k not in ('key', 'mode', 'stime', 'rtime', 'ctime')}
    want |= {'key': NAME, 'id': str(q.id), 'mode': '0640'}
    for where in (C, f'{CTL}/sysv/msg/by-id/{q.id}'):
        eq({k: v for k, v in state(where).items() if k in want}, want, f'{where}/state')
        o = json.loads(get(f'{where}/state.json'))
        eq({k: str(v) for k, v in o.items() if k in want}, want, f'{where}/state.json')
        for field in ('stime', 'rtime', 'ctime'):
            eq(int(o[field]), q.stat()[field], field)
        ok(not {'lines', 'type', 'peek'} & set(os.listdir(where)), f'listing of {where}: {os.listdir(where)}')
    listed = json.loads(get(f'{CTL}/sysv/msg/list.json'))
    eq(sorted(int(o['id']) for o in listed), sorted([q.id, private.id]), 'ids in list.json: each queue once')
    eq([o for o in listed if int(o['id']) == q.id], [o], 'list.json')
    lines = get(f'{CTL}/sysv/msg/list').decode().splitlines()
    eq(len(lines), 3, 'lines of list')
    row = [dict(zip(lines[0].split(), l.split())) for l in lines[1:]]
    eq([{k: r.get(k) for k in want} for r in row if r.get('id') == str(q.id)], [want], 'list')
    text = get(f'{CTL}/sysv/msg/limits').decode()
    for name in ('msgmni', 'msgmax', 'msgmnb'):
        with open(f'/proc/sys/kernel/{name}') as f:
            ok(re.search(rf'^\w*{name[3:]}\w*: {f.read().strip()}$', text, re.M), f'{name} in limits: {text}')
    never = state(f'{CTL}/sysv/msg/by-id/{private.id}')
    ok(not re.match('1970', never.get('stime', '-')), f'a time that never was: {never}')


@daemon_only
def test_looking_consumes_nothing():
    q = make_msg(KEY)
    for i in range(5):
        q.send(b'%d' % i, i + 1)
    before = q.stat()
    for line in ('find $MSG $CTL -ls > /dev/null', 'grep -r nothing-like-it $CTL; [ $? = 1 ]',
                 'tar cf - $CTL | wc -c > /dev/null', 'ls -lR $MSG $CTL > /dev/null', 'du -a $MSG $CTL > /dev/null', 'stat $MSG/*/* > /dev/null'):
        eq(bash(line, 30)[1], 0, line)
    eq(q.stat(), before, 'the queue afterwards')


@daemon_only
def test_names():
    q = make_msg(KEY)
    for fn in (os.rename, os.link):
        refused('EPERM', fn, BY_KEY, f'{MSG}/by-key/0x00000033')
        refused('EPERM', fn, by_id(q), f'{MSG}/by-id/33')
    for where in ('by-key', 'by-id'):
        refused('EPERM', os.mkdir, f'{MSG}/{where}/0x00000044')
        refused('EPERM', os.symlink, 'x', f'{MSG}/{where}/0x00000044')
        refused('EPERM', os.rmdir, f'{MSG}/{where}')
    eq(sorted(os.listdir(MSG)), ['by-id', 'by-key'], 'ls sysv/msg')
    eq(bash(f'rm {BY_KEY}'), ('', 0), 'rm')
    eq(all_msg(), [], 'queues')


@daemon_only
def test_ftok():
    libc.ftok.restype = ctypes.c_int
    ftok = f'{MNT}/sysv/ftok'
    put = f'{SCRATCH}/a file'
    with open(put, 'w'):
        pass
    for path in ('/', '/etc', put, SCRATCH, '/etc/../etc', '/usr/'):
        for proj in (1, 65, 255):
            fd = os.open(ftok, os.O_RDWR)
            os.write(fd, f'{path} {proj}\n'.encode())
            got = int(os.read(fd, 100).decode(), 0)
            os.close(fd)
            eq(got, libc.ftok(path.encode(), proj) & 0xffffffff, f'ftok of {path} {proj}')
    eq(bash(f'exec 3<> {ftok}; echo "/etc 7" >&3; cat <&3')[0].strip(),
       f'{libc.ftok(b"/etc", 7) & 0xffffffff:#010x}', 'in shell')
    one, two = os.open(ftok, os.O_RDWR), os.open(ftok, os.O_RDWR)
    os.write(one, b'/ 1\n')
    os.write(two, b'/ 2\n')
    eq([int(os.read(fd, 100), 0) for fd in (one, two)], [libc.ftok(b'/', p) & 0xffffffff for p in (1, 2)], 'two transactions')
    os.close(two)
    for line, want in (('/nonexistent 1', 'ENOENT'), ('relative 1', ('EINVAL', 'ENOENT')), ('/', 'EINVAL'),
                       ('/ 1 2 3x', ('EINVAL', 'ENOENT')), (f'{put}/x 1', 'ENOTDIR')):
        refused(want, os.write, one, line.encode() + b'\n')
    os.close(one)
    os.mkdir(f'{SCRATCH}/closed', 0o700)
    with open(f'{SCRATCH}/closed/x', 'w'):
        pass
    user = User(1001, 1001)
    refused('EACCES', user, write_ftok, f'{SCRATCH}/closed/x 1\n')
    eq(user(write_ftok, f'{SCRATCH} 1\n') & 0xffffffff, libc.ftok(SCRATCH.encode(), 1) & 0xffffffff, 'as a user')
    user.end()


def write_ftok(line):
    fd = os.open(f'{MNT}/sysv/ftok', os.O_RDWR)
    try:
        os.write(fd, line.encode())
        return int(os.read(fd, 100), 0)
    finally:
        os.close(fd)


@daemon_only
def test_create_by_control_file():
    path = f'{CTL}/sysv/msg/create'
    if not os.path.exists(path):
        print('  there is no ctl/sysv/msg/create')
        return
    write(path, b'0x0000002a qbytes=1000 mode=0620\n')
    s = Msg(KEY).stat()
    eq((s['qbytes'], s['mode']), (1000, 0o620), 'create with options')


mount_mqfs()
main(globals(), after=clean_queues)
