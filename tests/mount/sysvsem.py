# SPDX-License-Identifier: MIT
"""sysv/sem/: both names of a set, making, values, op, the files of a semaphore, IPC_SET, IPC_RMID; beside the native calls.

usage: sysvsem.py SEMAPHORE-PROGRAM (semaphore.c)
"""
import ctypes
import errno
import json
import os
import random
import re
import select
import subprocess
import sys
import time

from mounttest import CTL, SEED, Diffs, User, attempt, daemon_only, eq, main, ok, refused
from queues import IPC_NOWAIT, SOON, bash, output, shell, start, wait_blocked, wait_until
from semaphores import (GETVAL, SEM_UNDO, SSEM, Set, all_sets, clean_semaphores, make_set, read, refusal, said,
                        state, wait_value, write)

PEER = sys.argv[1]
KEY = 0x2a
NAME = f'{KEY:#010x}'
BY_KEY = f'{SSEM}/by-key/{NAME}'
C = f'{CTL}/sysv/sem/by-key/{NAME}'
CREATE = f'{CTL}/sysv/sem/create'
FILES = ['hold', 'post', 'value', 'wait', 'zero']
GONE = ('EIDRM', 'EINVAL', 'ESTALE', 'ENOENT')


def by_id(s):
    return f'{SSEM}/by-id/{s.id}'


def native(*args):
    return output(start(PEER, 'sysv', hex(KEY), *args))


def ipcs(*args):
    return subprocess.run(['ipcs', '-s', *args], capture_output=True, text=True, check=True).stdout


def test_native_promises():
    """What the native calls do, and the rest of this file relies on."""
    s = make_set(KEY, 2, 0, 5)
    eq(s.values(), [2, 0, 5], 'values')
    refused('EAGAIN', s.op, (0, -1), (1, -1, IPC_NOWAIT))
    eq(s.values(), [2, 0, 5], 'all or nothing')
    s.op((0, -1), (1, 1), (2, -5), (2, 0))
    eq(s.values(), [1, 1, 0], 'one vector')
    refused('EFBIG', s.op, (3, 1))
    refused('ERANGE', s.op, (0, 32767))
    p = start(PEER, 'sysv', hex(KEY), 'op', '1:-1u')
    eq(output(p), ('done\n', 0), 'SEM_UNDO')
    wait_value(s, 1, 'given back by the end of the process')
    p = start(PEER, 'sysv', hex(KEY), 'op', '0:0')
    wait_until(lambda: s.counts() == (0, 1), 'zcount')
    s.remove()
    eq(output(p)[1], 1, 'EIDRM ends a waiter')


@daemon_only
def test_mkdir_and_rmdir():
    eq(bash('mkdir $SSEM/by-key/0x2a'), ('', 0), 'mkdir by-key/0x2a')
    s = Set(KEY)
    eq((s.values(), s.stat()['mode']), ([0], 0o644), 'a set of one; the mode with umask 022')
    row = [l.split() for l in ipcs().splitlines() if l.startswith(NAME)]
    eq(row, [[NAME, str(s.id), 'root', '644', '1']], 'ipcs -s')
    eq((os.listdir(f'{SSEM}/by-key'), os.listdir(f'{SSEM}/by-id')), ([NAME], [str(s.id)]), 'both names')
    eq(os.stat(BY_KEY).st_ino, os.stat(by_id(s)).st_ino, 'one object')
    eq({e.inode() for d in ('by-key', 'by-id') for e in os.scandir(f'{SSEM}/{d}')}, {os.stat(BY_KEY).st_ino}, 'in readdir')
    eq(sorted(os.listdir(BY_KEY)), ['0', 'nsems', 'op', 'values'], 'ls of the set')
    eq(sorted(os.listdir(f'{BY_KEY}/0')), FILES, 'ls of its semaphore')
    refused('EEXIST', os.mkdir, BY_KEY)
    user = User(1001, 1002)
    refused(('EPERM', 'EACCES'), User.__call__, user, os.rmdir, BY_KEY)
    eq(user(os.mkdir, f'{SSEM}/by-key/0x00000bbb', 0o600), None, 'mkdir as a user')
    got = Set(0xbbb).stat()
    eq({k: got[k] for k in ('key', 'uid', 'gid', 'cuid', 'cgid', 'mode', 'nsems')},
       {'key': 0xbbb, 'uid': 1001, 'gid': 1002, 'cuid': 1001, 'cgid': 1002, 'mode': 0o600, 'nsems': 1}, 'owner, creator')
    eq(user(os.rmdir, f'{SSEM}/by-id/{Set(0xbbb).id}'), None, 'rmdir as its owner')
    user.end()
    for bad in ('0', '0x0', '0x00000000', 'key', '0x100000000', '-1', '0x', '0x2a ', '0xg', '0x000000002a'):
        got = attempt(os.mkdir, f'{SSEM}/by-key/{bad}')
        ok(got in ('EINVAL', 'EPERM', 'ENOENT', 'EACCES', 'EEXIST'), f'a set named {bad!r}: {got}')
    for bad in ('5', '12345', 'x'):
        refused(('EPERM', 'EACCES', 'EINVAL'), os.mkdir, f'{SSEM}/by-id/{bad}')
    os.mkdir(f'{SSEM}/by-key/0xffffffff')
    Set(-1).remove()
    eq(bash('rmdir $SSEM/by-key/0x0000002a'), ('', 0), 'rmdir')
    eq((all_sets(), os.listdir(f'{SSEM}/by-key'), os.listdir(f'{SSEM}/by-id')), ([], [], []), 'what is left')


@daemon_only
def test_native_sets_appear():
    out = subprocess.run(['ipcmk', '-S', '3', '-p', '0604'], capture_output=True, text=True, check=True).stdout
    semid = int(re.search(r'id: (\d+)', out).group(1))
    private = make_set(0, 1, 2)
    eq(sorted(os.listdir(f'{SSEM}/by-id')), sorted([str(semid), str(private.id)]), 'ls by-id')
    keys = os.listdir(f'{SSEM}/by-key')
    eq([Set(ctypes.c_int(int(k, 16)).value).id for k in keys], [semid], 'a private set has no key')
    eq((read(f'{SSEM}/by-id/{semid}/nsems'), read(f'{by_id(private)}/values')), (b'3\n', b'1 2\n'), 'nsems and values')
    eq(os.stat(f'{SSEM}/by-id/{semid}').st_mode & 0o666, 0o604, 'mode')
    eq(sorted(n for n in os.listdir(by_id(private)) if n.isdigit()), ['0', '1'], 'a directory for each')
    for name in (f'0{private.id}', f'+{private.id}', f'{private.id} ', '99999999999', '-1'):
        refused('ENOENT', os.stat, f'{SSEM}/by-id/{name}')
    for name in ('2', '00', '01', '-1', '+0', '65536', '4294967296', 'x'):
        refused('ENOENT', os.stat, f'{by_id(private)}/{name}')
    subprocess.run(['ipcrm', '-s', str(semid)], check=True)
    eq((os.listdir(f'{SSEM}/by-key'), os.listdir(f'{SSEM}/by-id')), ([], [str(private.id)]), 'after ipcrm')


@daemon_only
def test_create():
    for line, want in (('0x2a nsems=3 mode=0600', (3, 0o600)), ('0x2b', (1, None)), ('0x0000002c nsems=250', (250, None)),
                       ('0x2d mode=0666', (1, 0o666))):
        eq(bash(f'echo "{line}" > $CTL/sysv/sem/create'), ('', 0), line)
        got = Set(int(line.split()[0], 16)).stat()
        eq((got['nsems'], want[1] and got['mode']), want, line)
    with open('/proc/sys/kernel/sem') as f:
        semmsl = int(f.read().split()[0])
    for line, want, word in (('0x2a', errno.EEXIST, ''), ('0x33 nsems=0', errno.EINVAL, 'nsems'),
                             ('0x33 nsems=-1', errno.EINVAL, 'nsems=-1'), ('0x33 nsems=x', errno.EINVAL, 'nsems=x'),
                             ('0x33 nsems=', errno.EINVAL, 'nsems='), ('0x33 nsems', errno.EINVAL, 'nsems'),
                             (f'0x33 nsems={semmsl + 1}', errno.EINVAL, f'nsems={semmsl + 1}'), ('0x33 mode=9', errno.EINVAL, 'mode=9'),
                             ('0x33 value=1', errno.EINVAL, 'value'), ('0x33 nsems=99999999999999999999', errno.EINVAL, 'nsems'),
                             ('0x0', errno.EINVAL, ''), ('lock', errno.EINVAL, ''), ('0x33 nsems=1 nsems=2', errno.EINVAL, 'nsems')):
        refusal(CREATE, line.encode() + b'\n', want, word)
    eq(len(all_sets()), 4, 'sets afterwards')


@daemon_only
def test_values():
    s = make_set(KEY, 1, 2, 3)
    for where in (BY_KEY, by_id(s)):
        eq((read(f'{where}/values'), read(f'{where}/nsems'), read(f'{where}/1/value')), (b'1 2 3\n', b'3\n', b'2\n'), 'read')
    eq(bash(f'echo 7 8 32767 > {BY_KEY}/values'), ('', 0), 'echo > values')
    eq(s.values(), [7, 8, 32767], 'SETALL')
    eq(bash(f'echo 0 > {BY_KEY}/2/value; printf 4 > {by_id(s)}/0/value'), ('', 0), 'echo > value')
    eq(s.values(), [4, 8, 0], 'SETVAL')
    for bad in ('1 2', '1 2 3 4', 'x y z', '1 2 -3', '1 2 3x', '1,2,3'):
        refusal(f'{BY_KEY}/values', bad.encode() + b'\n', errno.EINVAL, '')
    refusal(f'{BY_KEY}/values', b'1 2 32768\n', errno.ERANGE, '')
    for bad in ('x', '-1', '1 2'):
        refusal(f'{BY_KEY}/0/value', bad.encode() + b'\n', errno.EINVAL, '')
    for bad in ('32768', '70000', '99999999999999999999'):
        refusal(f'{BY_KEY}/0/value', bad.encode() + b'\n', errno.ERANGE, '')
    eq(s.values(), [4, 8, 0], 'after refused ones')
    refused(('EACCES', 'EPERM', 'EINVAL', 'EBADF'), write, f'{BY_KEY}/nsems', b'5\n')


@daemon_only
def test_op():
    s = make_set(KEY, 1, 0, 5)
    for line, want in (('0:-1 1:+1', [0, 1, 5]), ('1:-1 0:1', [1, 0, 5]), ('2:-5', [1, 0, 0]), ('2:0 2:+3', [1, 0, 3]),
                       ('0:+1 0:-1 0:+1', [2, 0, 3]), ('1:0', [2, 0, 3]), ('2:-1n', [2, 0, 2])):
        eq(bash(f'echo "{line}" > {BY_KEY}/op'), ('', 0), line)
        eq(s.values(), want, line)
    for line, want in (('x', errno.EINVAL), ('0', errno.EINVAL), ('0:', errno.EINVAL), (':1', errno.EINVAL), ('0:x', errno.EINVAL),
                       ('0:1 1', errno.EINVAL), ('-1:1', (errno.EINVAL, errno.EFBIG)), ('3:1', errno.EFBIG),
                       ('99999999:1', errno.EFBIG), ('0:40000', errno.ERANGE), ('0:32767', errno.ERANGE),
                       ('0:1 ' * 501, errno.E2BIG), ('0:1q', errno.EINVAL), ('0:1undo', errno.EINVAL)):
        refusal(f'{BY_KEY}/op', line.encode() + b'\n', want, '')
    for line in ('1:-1n', '0:-1 1:-1n', '0:0n'):
        refused('EAGAIN', write, f'{BY_KEY}/op', line.encode() + b'\n')
    for line in ('1:-1', '0:-1 1:-1', '0:0'):
        refused('EAGAIN', write, f'{BY_KEY}/op', line.encode() + b'\n', os.O_NONBLOCK)
        eq(bash(f'timeout 0.2 bash -c \'echo "{line}" > {BY_KEY}/op\'')[1], 124, f'{line} waits')
    eq(s.values(), [2, 0, 2], 'after refused and interrupted ones')
    # Natively and here the same vectors wait until they can be done, as a whole.
    waiting = [shell(f'echo "0:-1 1:-1" > {BY_KEY}/op'), start(PEER, 'sysv', hex(KEY), 'op', '0:-1', '1:-1')]
    wait_blocked(waiting[0].pid)
    wait_until(lambda: s.counts(1)[0] == 2, 'ncount of a mount and a native one')
    eq((s.values(), [p.poll() for p in waiting]), ([2, 0, 2], [None, None]), 'both wait and have nothing')
    s.op((1, 1))
    wait_until(lambda: s.values() == [1, 0, 2], 'one of them')
    write(f'{BY_KEY}/op', b'1:+1\n')
    eq([output(p)[1] for p in waiting], [0, 0], 'both are done')
    eq(s.values(), [0, 0, 2], 'values')
    # Larger and smaller wishes side by side: who can be served is, as semop does.
    big, small = shell(f'echo 1:-5 > {BY_KEY}/op'), shell(f'echo 1:-1 > {BY_KEY}/op')
    wait_blocked(big.pid)
    wait_blocked(small.pid)
    s.op((1, 6))
    eq([output(p)[1] for p in (big, small)], [0, 0], 'both')
    eq(s.values(), [0, 0, 2], 'values')


@daemon_only
def test_random_vectors():
    """The same random vectors to a set through the mount and to its twin natively: the same answers and values."""
    rng = random.Random(SEED)
    a, b = make_set(KEY, 3, 3, 3, 3), make_set(0x2b, 3, 3, 3, 3)
    fd = os.open(f'{BY_KEY}/op', os.O_WRONLY | os.O_NONBLOCK)
    diffs = Diffs()
    for i in range(600):
        steps = [(rng.randrange(5 if rng.random() < 0.05 else 4), rng.choice((-3, -2, -1, -1, 0, 1, 1, 2)))
                 for _ in range(rng.randrange(1, 6))]
        line = ' '.join(f'{n}:{by:+d}' if by else f'{n}:0' for n, by in steps)
        native_way = attempt(b.op, *((n, by, IPC_NOWAIT) for n, by in steps))
        got = attempt(os.write, fd, line.encode())
        diffs.same(native_way, None if isinstance(got, int) else got, f'step {i}: {line}')
        diffs.same(b.values(), a.values(), f'values after step {i}: {line}')
    os.close(fd)
    diffs.finish(1000)


@daemon_only
def test_files_of_a_semaphore():
    s = make_set(KEY, 0, 5)
    one = f'{BY_KEY}/1'
    for line, value in ((f'cat {one}/wait', 4), (f'echo > {one}/post', 5), (f'echo 3 > {one}/post', 8), (f'echo go > {one}/post', 9)):
        eq(bash(line)[1], 0, line)
        eq(s.value(1), value, line)
    eq(bash(f'cat {one}/wait'), ('8\n', 0), 'cat wait prints the value left')
    fd = os.open(f'{one}/wait', os.O_RDONLY | os.O_NONBLOCK)
    eq([os.read(fd, 10) for _ in range(4)], [b'7\n', b'', b'6\n', b''], 'a message and its end')
    s.set(0, 1)
    refused('EAGAIN', os.read, fd, 10)
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    eq(poll.poll(0), [], 'poll without a unit')
    write(f'{one}/post', b'1\n')
    eq((poll.poll(SOON * 1000), s.value(1)), ([(fd, select.POLLIN)], 1), 'poll takes nothing')
    eq(os.read(fd, 10), b'0\n', 'read')
    os.close(fd)
    epoll = select.epoll()
    fd = os.open(f'{one}/wait', os.O_RDONLY)
    epoll.register(fd, select.EPOLLIN)
    eq(epoll.poll(0.1), [], 'epoll without a unit')
    s.op((1, 1))
    ok(epoll.poll(2 * SOON), 'epoll sees a native post')
    os.close(fd)
    s.set(0, 1)
    eq(bash(f'timeout 0.3 cat {one}/wait'), ('', 124), 'timeout')
    s.set(32766, 1)
    eq(write(f'{one}/post', b'1\n'), 2, 'up to SEMVMX')
    for data in (b'\n', b'1\n', b'32767\n', b'70000\n'):
        refused('ERANGE', write, f'{one}/post', data)
    eq(s.values(), [0, 32767], 'after refused ones')
    for file in FILES:
        eq(isinstance(attempt(os.unlink, f'{one}/{file}'), str), True, f'rm of {file}')


@daemon_only
def test_zero():
    s = make_set(KEY, 2)
    zero = f'{BY_KEY}/0/zero'
    refused('EAGAIN', read, zero, os.O_NONBLOCK)
    p = shell(f'exec cat {zero}')
    wait_blocked(p.pid)
    wait_until(lambda: s.counts() == (0, 1), f'zcount: {s.counts()}')
    eq(state(C)['semaphore.0'].split()[2], 'zcount=1', 'zcount in the state')
    s.op((0, -1))
    time.sleep(0.1)
    eq(p.poll(), None, 'it waits on at 1')
    eq(bash(f'cat {BY_KEY}/0/wait'), ('0\n', 0), 'the last one is taken')
    eq(output(p)[1], 0, 'it ends at 0')
    eq(bash(f'timeout 5 cat {zero}')[1], 0, 'at 0 it does not wait')
    eq((s.value(), s.counts()), (0, (0, 0)), 'afterwards')


@daemon_only
def test_hold():
    s = make_set(KEY, 2, 1)
    for line in ('exec 9<$H', 'exec 9>$H', 'exec 9<>$H'):
        for program in ('bash', 'dash'):
            p = start(program, '-c', f'H={BY_KEY}/1/hold; {line}; echo in; read x; exec 9>&-; echo out; read x', stdin=-1)
            eq(said(p), b'in\n', line)
            eq(s.values(), [2, 0], f'values in {line}')
            refused('EAGAIN', os.open, f'{BY_KEY}/1/hold', os.O_RDONLY | os.O_NONBLOCK)
            p.stdin.write(b'\n')
            p.stdin.flush()
            eq(said(p), b'out\n', line)
            wait_until(lambda: s.values() == [2, 1], f'given back after {line}')
            p.communicate(b'\n', 5)
    # SETVAL ends what SEM_UNDO would do: who holds gives nothing back then, as natively.
    fd = os.open(f'{BY_KEY}/0/hold', os.O_RDONLY)
    eq(s.value(), 1, 'held')
    s.set(7)
    os.close(fd)
    time.sleep(0.1)
    eq(s.value(), 7, 'a hold from before SETVAL gives nothing back')
    fds = [os.open(f'{BY_KEY}/0/hold', os.O_RDONLY) for _ in range(7)]
    refused('EAGAIN', os.open, f'{BY_KEY}/0/hold', os.O_RDONLY | os.O_NONBLOCK)
    for i, fd in enumerate(random.Random(SEED).sample(fds, 7), 1):
        os.close(fd)
        wait_value(s, i, 'one after another')


@daemon_only
def test_attributes():
    s = make_set(KEY, 1)
    for path in (BY_KEY, by_id(s)):
        os.chmod(path, 0o640)
        os.chown(path, 1001, 1002)
        got = s.stat()
        eq((got['mode'], got['uid'], got['gid'], got['cuid']), (0o640, 1001, 1002, 0), 'IPC_SET')
        ok(re.search(rf'{s.id}\s+640\s+root\s+root\s+1001\s+1002', ipcs('-c')), f'ipcs -c: {ipcs("-c")}')
        os.chown(path, 0, 0)
        os.chmod(path, 0o600)
    os.chown(BY_KEY, 1001, 1001)
    owner, other = User(1001, 1001), User(1002, 1002)
    refused('EPERM', other, os.chmod, BY_KEY, 0o666)
    refused(('EPERM', 'EACCES'), other, os.rmdir, BY_KEY)
    eq(owner(os.chmod, BY_KEY, 0o660), None, 'chmod by the owner')
    eq(owner(os.rmdir, by_id(s)), None, 'rmdir by the owner')
    refused('EINVAL', s.stat)
    owner.end()
    other.end()


@daemon_only
def test_rights():
    """To read needs read permission, to change needs write permission, as semctl and semop ask for them."""
    diffs = Diffs()
    users = [User(1001, 1001), User(1002, 1002, (2000,)), User(1003, 1003), User(0, 0)]
    for mode in (0o000, 0o400, 0o200, 0o600, 0o640, 0o620, 0o060, 0o006, 0o004, 0o666):
        s = make_set(KEY, 50, 0)
        os.chown(BY_KEY, 1001, 2000)
        os.chmod(BY_KEY, mode)
        for user in users:
            reads, alters = (user(attempt, call) for call in (native_getval, native_post))
            for file, flags, want in (('0/value', os.O_RDONLY, reads), ('values', os.O_RDONLY, reads), ('1/zero', os.O_RDONLY, reads),
                                      ('0/wait', os.O_RDONLY, alters), ('0/post', os.O_WRONLY, alters), ('0/hold', os.O_RDONLY, alters),
                                      ('values', os.O_WRONLY, alters), ('0/value', os.O_WRONLY, alters), ('nsems', os.O_RDONLY, None)):
                got = user(attempt, try_open, f'{BY_KEY}/{file}', flags | os.O_NONBLOCK)
                what = f'{file} of {mode:o} by {user.uid} with {flags:#o}'
                if file != 'nsems' or got is None:
                    diffs.same(want, got, what)
                if user.uid and got != 'ENOENT' and file != 'nsems':
                    shown = user(os.access, f'{BY_KEY}/{file}', os.W_OK if flags == os.O_WRONLY else os.R_OK)
                    diffs.same(want is None, shown, f'rights shown of {what}')
            diffs.same(alters, user(attempt, try_op, b'0:-1n 0:+1n\n'), f'op of {mode:o} by {user.uid}')
            diffs.same(reads, user(attempt, try_op, b'1:0n\n'), f'op waiting for zero of {mode:o} by {user.uid}')
        wait_until(lambda: s.value() == 50, f'holds are given back: {s.value()}')
        s.remove()
    for user in users:
        user.end()
    diffs.finish(600)


def native_getval():
    Set(KEY).control(0, GETVAL)


def native_post():
    Set(KEY).op((0, 1))
    Set(KEY).op((0, -1))


def try_open(path, flags):
    os.close(os.open(path, flags))


def try_op(line):
    write(f'{BY_KEY}/op', line)


@daemon_only
def test_removal_ends_waits():
    """Native waiters and those of the mount end with EIDRM, whoever removes the set; holds of it end quietly."""
    for remove in (lambda s: os.rmdir(BY_KEY), lambda s: os.rmdir(by_id(s)), lambda s: s.remove()):
        s = make_set(KEY, 0, 1, 0)
        peers = [start(PEER, 'sysv', hex(KEY), 'op', '0:-1')]
        hold = os.open(f'{BY_KEY}/1/hold', os.O_RDONLY)
        fd = os.open(f'{BY_KEY}/0/wait', os.O_RDONLY | os.O_NONBLOCK)
        lines = (f'exec cat {BY_KEY}/0/wait', f'exec cat {by_id(s)}/2/wait', f'echo 0:-1 2:-1 > {BY_KEY}/op', f'exec 9< {BY_KEY}/1/hold')
        waiting = [shell(line) for line in lines]
        for p in waiting:
            wait_blocked(p.pid)
        remove(s)
        for p in waiting + peers:
            out, status = output(p, 2 * SOON)
            ok(status != 0 and 'Identifier removed' in out, f'{p.args}: status {status}, {out!r}')
        refused(GONE, os.read, fd, 10)
        os.close(fd)
        os.close(hold)
        refused('ENOENT', os.stat, BY_KEY)
        eq((os.listdir(f'{SSEM}/by-key'), os.listdir(f'{SSEM}/by-id'), all_sets()), ([], [], []), 'names afterwards')


@daemon_only
def test_a_new_set_under_an_old_key():
    s = make_set(KEY, 1)
    fd = os.open(f'{BY_KEY}/0/wait', os.O_RDONLY | os.O_NONBLOCK)
    hold = os.open(f'{BY_KEY}/0/hold', os.O_RDONLY)
    number = os.stat(BY_KEY).st_ino
    s.remove()
    new = make_set(KEY, 5)
    refused(GONE, os.read, fd, 100)
    os.close(hold)
    os.close(fd)
    time.sleep(0.1)
    eq(new.value(), 5, 'the new one is untouched')
    ok(os.stat(BY_KEY).st_ino != number, 'the inode number of another set')
    new.remove()
    if not os.path.exists('/proc/sys/kernel/sem_next_id'):
        return
    first = make_set(KEY, 1)
    hold = os.open(f'{BY_KEY}/0/hold', os.O_RDONLY)
    fd = os.open(f'{BY_KEY}/0/post', os.O_WRONLY)
    first.remove()
    with open('/proc/sys/kernel/sem_next_id', 'w') as f:
        f.write(str(first.id))
    second = make_set(KEY, 5)
    eq(second.id, first.id, 'a recycled id')
    os.close(hold)
    time.sleep(0.1)
    eq(second.value(), 5, 'a hold of the first one gives nothing to the second')
    print('  a post by a handle of the removed set whose id came again:', attempt(os.write, fd, b'1\n'), second.value())
    os.close(fd)


@daemon_only
def test_state_and_lists():
    s, private = make_set(KEY, 1, 0, mode=0o640), make_set(0, 7)
    eq(native('op', '0:+1')[1], 0, 'a native post')
    want = {k: str(v) for k, v in s.stat().items() if k not in ('key', 'mode', 'otime', 'ctime', '')}
    want |= {'key': NAME, 'id': str(s.id), 'mode': '0640'}
    for where in (C, f'{CTL}/sysv/sem/by-id/{s.id}'):
        got = state(where)
        eq({k: got.get(k) for k in want}, want, f'{where}/state')
        eq([got[f'semaphore.{i}'] for i in range(2)],
           [f'value={v} ncount=0 zcount=0 pid={s.pid(i)}' for i, v in enumerate((2, 0))], 'lines of semaphores')
        o = json.loads(read(f'{where}/state.json'))
        eq({k: str(o.get(k)) for k in want if k not in ('mode', 'key')}, {k: v for k, v in want.items() if k not in ('mode', 'key')},
           'state.json')
        eq([r['value'] for r in o['semaphore']], [2, 0], 'semaphores in state.json')
        eq((int(o['otime']), int(o['ctime'])), (s.stat()['otime'], s.stat()['ctime']), 'times')
    ok(s.pid(0) > 0, 'sempid')
    write(f'{BY_KEY}/0/post', b'1\n')
    eq(state(C)['semaphore.0'], f'value=3 ncount=0 zcount=0 pid={os.environ["IPCFS_PID"]}', 'the daemon is who posted')
    listed = json.loads(read(f'{CTL}/sysv/sem/list.json'))
    eq(sorted(int(o['id']) for o in listed), sorted([s.id, private.id]), 'ids in list.json: each set once')
    lines = read(f'{CTL}/sysv/sem/list').decode().splitlines()
    eq(len(lines), 3, f'lines of list: {lines}')
    row = [dict(zip(lines[0].split(), l.split())) for l in lines[1:]]
    eq([{k: r.get(k) for k in want} for r in row if r.get('id') == str(s.id)], [want], 'list')
    with open('/proc/sys/kernel/sem') as f:
        limits = dict(zip(('semmsl', 'semmns', 'semopm', 'semmni'), f.read().split()))
    got = dict(l.split(': ', 1) for l in read(f'{CTL}/sysv/sem/limits').decode().splitlines())
    eq({k: got.get(k) for k in limits}, limits, 'limits')
    readme = read(f'{CTL}/README').decode()
    for word in ('value', 'values', 'post', 'wait', 'zero', 'hold', 'op', 'nsems'):
        ok(re.search(rf'\bsysv/sem/.*\b{word}\b', readme), f'ctl/README has no line on sysv/sem/…/{word}')
    eq(len(ipcs().strip().splitlines()), 4, 'ipcs -s')


@daemon_only
def test_waiters_are_seen_natively():
    s = make_set(KEY, 0, 1)
    waiting = [shell(f'exec cat {BY_KEY}/0/wait'), shell(f'exec cat {BY_KEY}/1/zero'), start(PEER, 'sysv', hex(KEY), 'wait', '1')]
    wait_until(lambda: (s.counts(0)[0], s.counts(1)[1]) == (2, 1), 'ncount 2, zcount 1')
    eq([state(C)[f'semaphore.{i}'].split()[1:3] for i in range(2)], [['ncount=2', 'zcount=0'], ['ncount=0', 'zcount=1']], 'state')
    status = native('status')[0].splitlines()
    eq([l.split()[:4] for l in status], [['0', '0', '2', '0'], ['1', '1', '0', '1']], 'semctl of a program')
    ok('2 ' in ipcs('-i', str(s.id)), 'ipcs -s -i')
    waiting[0].kill()
    waiting[0].wait()
    wait_until(lambda: s.counts(0)[0] == 1, 'a killed waiter does not count')
    s.op((0, 1), (1, -1))
    eq([output(p)[1] for p in waiting[1:]], [0, 0], 'the others')
    eq(s.values(), [0, 0], 'values')


@daemon_only
def test_looking_takes_nothing():
    s = make_set(KEY, 3, 0, 7)
    s.op((0, 1))
    before = s.stat(), s.values(), [s.pid(i) for i in range(3)]
    for line in ('ls -lR $SSEM > /dev/null', 'find $SSEM $CTL -ls > /dev/null', 'grep -r nothing-like-it $CTL; [ $? = 1 ]',
                 'tar cf - $CTL | wc -c > /dev/null', 'du -a $SSEM $CTL > /dev/null', 'stat $SSEM/*/*/* $SSEM/*/*/*/* > /dev/null',
                 'cat $CTL/sysv/sem/list $CTL/sysv/sem/list.json $CTL/sysv/sem/limits $CTL/sysv/sem/*/*/state > /dev/null',
                 'test -r $SSEM/by-key/0x0000002a/0/wait -a -w $SSEM/by-key/0x0000002a/0/post'):
        eq(bash(line, 30)[1], 0, line)
    eq((s.stat(), s.values(), [s.pid(i) for i in range(3)]), before, 'the set afterwards')


@daemon_only
def test_largest_set():
    """Of kernel.sem: 32000 semaphores, a directory each."""
    eq(bash('echo "0x2a nsems=32000" > $CTL/sysv/sem/create'), ('', 0), 'create')
    s = Set(KEY)
    begin = time.monotonic()
    eq(len(os.listdir(BY_KEY)), 32003, 'ls')
    write(f'{BY_KEY}/31999/post', b'5\n')
    eq((s.value(31999), read(f'{BY_KEY}/31999/wait')), (5, b'4\n'), 'the last one')
    refused('ENOENT', os.stat, f'{BY_KEY}/32000')
    values = read(f'{BY_KEY}/values', size=1 << 17).split()
    eq((len(values), values[-1]), (32000, b'4'), 'values')
    text = b''.join(iter(lambda f=os.open(f'{C}/state', os.O_RDONLY): os.read(f, 1 << 17), b''))
    ok(b'semaphore.31999: value=4 ' in text, 'the last one in the state')
    print(f'  {time.monotonic() - begin:.2f} s')


main(globals(), after=clean_semaphores)
