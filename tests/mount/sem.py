# SPDX-License-Identifier: MIT
"""sem/: making and removing, value, post, wait, hold; names, rights, what looking costs; beside the native calls.

usage: sem.py SEMAPHORE-PROGRAM (semaphore.c)
"""
import errno
import json
import os
import re
import select
import stat
import sys
import time

from mounttest import CTL, SHM, Diffs, User, attempt, daemon_only, eq, main, ok, refused
from queues import SOON, bash, output, shell, start, wait_blocked, wait_until
from semaphores import (SEM, PosixSem, clean_semaphores, make_posix, read, refusal, said, state, unlink_posix,
                        wait_value, write)

PEER = sys.argv[1]
FILES = ['hold', 'post', 'value', 'wait']
CREATE = f'{CTL}/sem/create'
GONE = ('ENOENT', 'ESTALE', 'EIDRM')


def native(name, *args):
    return output(start(PEER, 'posix', name, *args))


def names():
    return sorted(n[4:] for n in os.listdir(SHM) if n.startswith('sem.'))


# What the native calls promise, and the rest of this file relies on.

def test_native_promises():
    s = make_posix('s', 2)
    eq(os.stat(f'{SHM}/sem.s').st_size, 32, 'size of the file')
    s.take()
    s.take()
    refused('EAGAIN', s.take)
    refused('ETIMEDOUT', s.wait, 0.01)
    eq(s.value(), 0, 'value')
    p = start(PEER, 'posix', 's', 'wait', '1')
    wait_until(lambda: s.waiters() == 1, 'a waiter is counted')
    s.post()
    eq(output(p), ('took\n', 0), 'a native waiter')
    eq(s.waiters(), 0, 'waiters')
    refused('EEXIST', make_posix, 's')
    unlink_posix('s')
    refused('ENOENT', PosixSem, 's')
    s.close()


@daemon_only
def test_mkdir_and_rmdir():
    eq(bash('mkdir $SEM/made'), ('', 0), 'mkdir')
    eq(native('made', 'value'), ('0\n', 0), 'its value, natively')
    st = os.stat(f'{SHM}/sem.made')
    eq((st.st_mode, st.st_size), (0o100644, 32), 'mode of mkdir with umask 022, size')
    os.umask(0)
    for mode in (0o777, 0o600, 0o711, 0o222, 0o1777, 0):
        os.mkdir(f'{SEM}/moded', mode)
        eq(os.stat(f'{SHM}/sem.moded').st_mode & 0o7777, mode & 0o666, f'mode of mkdir {mode:o}')
        os.rmdir(f'{SEM}/moded')
    os.umask(0o22)
    eq(os.listdir(SEM), ['made'], 'ls sem')
    eq(sorted(os.listdir(f'{SEM}/made')), FILES, 'ls sem/made')
    st = os.stat(f'{SEM}/made')
    ok(stat.S_ISDIR(st.st_mode), 'a directory')
    refused('EEXIST', os.mkdir, f'{SEM}/made')
    user = User(1001, 1002)
    eq(user(os.mkdir, f'{SEM}/users', 0o600), None, 'mkdir as a user')
    st = os.stat(f'{SHM}/sem.users')
    eq((st.st_uid, st.st_gid, st.st_mode), (1001, 1002, 0o100600), 'owner of it')
    refused(('EPERM', 'EACCES'), User.__call__, user, os.rmdir, f'{SEM}/made')
    eq(user(os.rmdir, f'{SEM}/users'), None, 'rmdir as its owner')
    user.end()
    eq(bash('rmdir $SEM/made'), ('', 0), 'rmdir')
    eq((names(), os.listdir(SEM)), ([], []), 'what is left')
    refused('ENOENT', os.rmdir, f'{SEM}/made')
    refused('ENOENT', PosixSem, 'made')


@daemon_only
def test_native_semaphores_appear():
    s = make_posix('n', 7, 0o640)
    eq((os.listdir(SEM), read(f'{SEM}/n/value')), (['n'], b'7\n'), 'listed, and its value')
    os.chown(f'{SHM}/sem.n', 11, 22)
    st = os.stat(f'{SEM}/n')
    eq((st.st_uid, st.st_gid), (11, 22), 'owner')
    ok(st.st_mode & 0o666 == 0o640, f'mode {st.st_mode:o}')
    unlink_posix('n')
    eq((os.listdir(SEM), attempt(os.stat, f'{SEM}/n')), ([], 'ENOENT'), 'after sem_unlink')
    s.close()


@daemon_only
def test_value():
    s = make_posix('v', 3)
    eq(bash('cat $SEM/v/value'), ('3\n', 0), 'cat value')
    for value in (0, 1, 10, 2, 1000, 0):
        eq(bash(f'echo {value} > $SEM/v/value'), ('', 0), f'echo {value} > value')
        eq((s.value(), read(f'{SEM}/v/value')), (value, b'%d\n' % value), 'set')
    eq((write(f'{SEM}/v/value', b'5'), s.value()), (1, 5), 'without newline')
    fd = os.open(f'{SEM}/v/value', os.O_RDONLY)
    eq(os.pread(fd, 10, 0), b'5\n', 'pread')
    s.post()
    eq((os.pread(fd, 10, 0), os.pread(fd, 10, 2)), (b'6\n', b''), 'rendered at each read from its start')
    os.close(fd)
    for bad in (b'x', b'-1', b'1 2', b'1.5', b'0x', b'99999999999999999999999'):
        refusal(f'{SEM}/v/value', bad + b'\n', (errno.EINVAL, errno.ERANGE), '')
    refusal(f'{SEM}/v/value', b'2147483648\n', (errno.EINVAL, errno.ERANGE), '2147483648')
    eq(s.value(), 6, 'after refused ones')


@daemon_only
def test_post():
    s = make_posix('p')
    total = 0
    for line, count in (('echo > $SEM/p/post', 1), ('echo 3 > $SEM/p/post', 3), ('printf 2 > $SEM/p/post', 2),
                        ('echo 1 >> $SEM/p/post', 1), ('echo go > $SEM/p/post', 1), ('echo hello world > $SEM/p/post', 1)):
        eq(bash(line), ('', 0), line)
        total += count
        eq(s.value(), total, line)
    fd = os.open(f'{SEM}/p/post', os.O_WRONLY)
    for _ in range(10):
        os.write(fd, b'2\n')
    os.close(fd)
    eq(s.value(), total + 20, 'ten writes of one handle')
    write(f'{SEM}/p/value', b'0')
    # The highest value is that of sem_post(3).
    with open(f'{SHM}/sem.p', 'r+b') as f:
        f.write((2**31 - 3).to_bytes(4, 'little'))
    eq((s.value(), write(f'{SEM}/p/post', b'2\n')), (2**31 - 3, 2), 'up to SEM_VALUE_MAX')
    refused('EOVERFLOW', s.post)
    for data in (b'1\n', b'\n', b'2000000000\n'):
        refused(('EOVERFLOW', 'ERANGE', 'EINVAL'), write, f'{SEM}/p/post', data)
    eq(s.value(), 2**31 - 1, 'after refused ones')


@daemon_only
def test_wait():
    s = make_posix('w', 5)
    eq(bash('cat $SEM/w/wait'), ('4\n', 0), 'cat wait prints the value left and ends')
    eq(s.value(), 4, 'one was taken')
    fd = os.open(f'{SEM}/w/wait', os.O_RDONLY | os.O_NONBLOCK)
    eq([os.read(fd, 100) for _ in range(4)], [b'3\n', b'', b'2\n', b''], 'a message and its end')
    eq([os.read(fd, 1) for _ in range(3)], [b'1', b'\n', b''], 'byte after byte')
    s.take()
    refused('EAGAIN', os.read, fd, 100)
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    eq(poll.poll(0), [], 'poll without a unit')
    s.post()
    eq(poll.poll(SOON * 1000), [(fd, select.POLLIN)], 'poll')
    eq((s.value(), os.read(fd, 10)), (1, b'0\n'), 'poll takes nothing, the read does')
    os.close(fd)
    fd = os.open(f'{SEM}/w/wait', os.O_RDONLY | os.O_DIRECT | os.O_NONBLOCK)
    s.post(2)
    eq([os.read(fd, 10) for _ in range(2)], [b'1\n', b'0\n'], 'packet mode')
    refused('EAGAIN', os.read, fd, 10)
    os.close(fd)
    for line in ('timeout 0.3 cat $SEM/w/wait', 'timeout 0.3 head -c1 $SEM/w/wait'):
        eq(bash(line), ('', 124), line)
    s.post()
    eq(s.value(), 1, 'the timeout took nothing')
    eq(bash('n=$(cat $SEM/w/wait) && echo "left $n"'), ('left 0\n', 0), 'n=$(cat wait)')
    p = shell('exec cat $SEM/w/wait')
    wait_blocked(p.pid)
    s.post()
    eq(output(p), ('0\n', 0), 'a blocked cat')
    refused(('EACCES', 'EPERM', 'EINVAL', 'EBADF'), write, f'{SEM}/w/wait', b'x')
    eq((read(f'{SEM}/w/post'), s.value()), (b'', 0), 'what has no other direction does nothing in it')


@daemon_only
def test_select_and_epoll():
    s = make_posix('e')
    fds = [os.open(f'{SEM}/e/wait', os.O_RDONLY) for _ in range(3)]
    epoll = select.epoll()
    for fd in fds:
        epoll.register(fd, select.EPOLLIN | select.EPOLLET)
    eq(epoll.poll(0.1), [], 'epoll without a unit')
    write(f'{SEM}/e/post', b'1\n')
    ok(epoll.poll(SOON), 'edge-triggered epoll after a post')
    eq(select.select(fds, [], [], SOON)[0], fds, 'select')
    eq((s.value(), os.read(fds[0], 10), os.read(fds[0], 10)), (1, b'0\n', b''), 'the read')
    eq(select.select(fds, [], [], 0)[0], [], 'select after it')
    p = start(sys.executable, '-c', f'import select; select.select([open("{SEM}/e/wait")], [], [], 10)')
    time.sleep(0.3)
    s.post()
    eq(output(p), ('', 0), 'select of another process')
    for fd in fds:
        os.close(fd)


@daemon_only
def test_hold():
    s = make_posix('lock', 1)
    for line in ('exec 9<$SEM/lock/hold', 'exec 9>$SEM/lock/hold', 'exec 9<>$SEM/lock/hold', 'exec 9>>$SEM/lock/hold'):
        for program in ('bash', 'dash'):
            p = start(program, '-c', f'{line}; echo in; read x; exec 9>&-; echo out; read x', stdin=-1)
            eq(said(p), b'in\n', line)
            eq(s.value(), 0, f'value in {line}')
            refused('EAGAIN', os.open, f'{SEM}/lock/hold', os.O_RDONLY | os.O_NONBLOCK)
            p.stdin.write(b'\n')
            p.stdin.flush()
            eq(said(p), b'out\n', line)
            wait_value(s, 1, f'after {line} is closed')
            p.communicate(b'\n', 5)
    eq(bash('( exec 9<$SEM/lock/hold; cat $SEM/lock/value ); sleep 0.1; cat $SEM/lock/value'), ('0\n1\n', 0), 'a subshell')
    eq(bash('{ cat $SEM/lock/value; } 9< $SEM/lock/hold; sleep 0.1; cat $SEM/lock/value'), ('0\n1\n', 0), 'a group')
    fd = os.open(f'{SEM}/lock/hold', os.O_RDWR)
    for op in (lambda: os.read(fd, 1), lambda: os.write(fd, b'x')):
        got = attempt(op)
        ok(got in ('EINVAL', 'EBADF', 'EPERM', 'EOPNOTSUPP', 'EACCES', b''), f'reading or writing hold: {got}')
    os.close(fd)
    wait_value(s, 1, 'in the end')


@daemon_only
def test_create():
    for line, want in (('a', (0, 0o666 & ~0o22)), ('b value=3 mode=0660', (3, 0o660)), ('c mode=0600', (0, 0o600)),
                       ('d value=2147483647', (2147483647, None)), ('e mode=0644 value=1', (1, 0o644))):
        eq(bash(f'echo "{line}" > $CTL/sem/create'), ('', 0), line)
        name = line.split()[0]
        eq(PosixSem(name).value(), want[0], f'value after {line}')
        ok(want[1] in (None, os.stat(f'{SHM}/sem.{name}').st_mode & 0o7777) or 'mode' not in line, f'mode after {line}')
    for line, want, word in (('a', errno.EEXIST, ''), ('bad value=-1', errno.EINVAL, 'value=-1'),
                             ('bad value=x', errno.EINVAL, 'value=x'), ('bad value=', errno.EINVAL, 'value='),
                             ('bad value', errno.EINVAL, 'value'), ('bad value=2147483648', errno.EINVAL, 'value=2147483648'),
                             ('bad color=red', errno.EINVAL, 'color'), ('bad mode=888', errno.EINVAL, 'mode=888'),
                             ('bad value=1 value=2', errno.EINVAL, 'value'), ('a/b', (errno.EINVAL, errno.ENOENT, errno.EACCES), 'a/b'),
                             ('x' * 252, (errno.EINVAL, errno.ENAMETOOLONG), '')):
        refusal(CREATE, line.encode() + b'\n', want, word)
    eq(names(), list('abcde'), 'semaphores afterwards')


@daemon_only
def test_names():
    for name in (b'with space', b'\xc3\xa4\xc3\xb6', b'\xff\xfe\x01', b'-dash', b'.hidden', b'sem.', b'*', b'a\nb', b'"q"',
                 b'x' * 251):
        path = os.fsencode(SEM) + b'/' + name
        os.mkdir(path)
        eq(os.path.exists(os.fsencode(SHM) + b'/sem.' + name), True, f'the file of {name[:20]}')
        write(path + b'/post', b'2\n')
        eq((read(path + b'/wait'), os.listdir(os.fsencode(SEM))), (b'1\n', [name]), f'used: {name[:20]}')
        s = PosixSem(os.fsdecode(name))
        eq(s.value(), 1, f'natively: {name[:20]}')
        s.close()
        os.rmdir(path)
        make_posix(os.fsdecode(name)).close()
        eq(os.listdir(os.fsencode(SEM)), [name], f'made natively: {name[:20]}')
        json.loads(read(f'{CTL}/sem/list.json').decode(errors='surrogateescape'))
        os.rmdir(path)
    refused('ENAMETOOLONG', os.mkdir, f'{SEM}/' + 'x' * 252)
    eq(attempt(os.stat, f'{SEM}/' + 'x' * 252) in ('ENOENT', 'ENAMETOOLONG'), True, 'stat of too long a name')
    s = make_posix('s')
    for fn in (os.rename, os.link):
        refused(('EPERM', 'EXDEV', 'EACCES'), fn, f'{SEM}/s', f'{SEM}/t')
        refused(('EPERM', 'EXDEV', 'EACCES'), fn, f'{SEM}/s/value', f'{SEM}/s/other')
    refused(('EPERM', 'EACCES', 'EISDIR'), os.unlink, f'{SEM}/s')
    for fn, *args in ((os.unlink,), (os.truncate, 5), (os.chmod, 0o777)):
        got = attempt(fn, f'{SEM}/s/wait', *args)
        ok(isinstance(got, str), f'{fn.__name__} of sem/s/wait: {got}')
    for fn, path in ((os.mkdir, f'{SEM}/s/x'), (os.mkdir, f'{SEM}/s/value'), (os.mknod, f'{SEM}/f'), (os.rmdir, SEM)):
        ok(isinstance(attempt(fn, path), str), f'{fn.__name__} {path}')
    refused(('EPERM', 'EACCES', 'EISDIR', 'EINVAL'), os.open, f'{SEM}/file', os.O_CREAT | os.O_RDWR)
    refused(('EPERM', 'EACCES', 'ENOENT'), os.open, f'{SEM}/s/file', os.O_CREAT | os.O_RDWR)
    eq((names(), s.value()), (['s'], 0), 'what is left')


@daemon_only
def test_planted_files():
    """What is no semaphore does not show, and is neither opened nor followed, nor removed."""
    os.symlink('sem.target', f'{SHM}/sem.link')
    os.mkfifo(f'{SHM}/sem.fifo')
    os.mkdir(f'{SHM}/sem.dir')
    for name, data in (('short', b'\1\0\0\0'), ('empty', b'')):
        with open(f'{SHM}/sem.{name}', 'wb') as f:
            f.write(data)
    make_posix('target', 4)
    for name in ('link', 'fifo', 'dir', 'short', 'empty'):
        for file in ('value', 'wait', 'post', 'hold'):
            with_time = bash(f'timeout 3 cat {SEM}/{name}/{file}; timeout 3 bash -c "echo > {SEM}/{name}/{file}"')
            ok(with_time[1] not in (0, 124), f'{name}/{file}: {with_time}')
    eq([n for n in os.listdir(SEM) if n in ('link', 'fifo', 'dir')], [], 'listed')
    eq(PosixSem('target').value(), 4, 'the target of the link')
    for name in ('link', 'fifo', 'dir'):
        refused(('ENOENT', 'EPERM', 'EACCES', 'ENOTDIR'), os.rmdir, f'{SEM}/{name}')
        ok(os.path.lexists(f'{SHM}/sem.{name}'), f'{name} is there')
        ok(isinstance(attempt(os.mkdir, f'{SEM}/{name}'), str), f'mkdir over {name}')
    json.loads(read(f'{CTL}/sem/list.json'))
    eq(bash('cat $CTL/sem/list > /dev/null; ls -lR $SEM > /dev/null')[1] in (0, 1), True, 'lists')


@daemon_only
def test_rights():
    """What a mode allows of the native semaphore it allows here: sem_open needs both reading and writing."""
    diffs = Diffs()
    users = [User(1001, 1001), User(1002, 1002, (2000,)), User(1003, 1003), User(0, 0)]
    for mode in (0o000, 0o600, 0o660, 0o666, 0o606, 0o060, 0o644, 0o400, 0o200):
        make_posix('r', 50).close()
        os.chown(f'{SHM}/sem.r', 1001, 2000)
        os.chmod(f'{SHM}/sem.r', mode)
        for user in users:
            native_open = user(attempt, open_native)
            readable = user(os.access, f'{SHM}/sem.r', os.R_OK)
            for file, flags in (('wait', os.O_RDONLY), ('post', os.O_WRONLY), ('value', os.O_WRONLY), ('hold', os.O_RDONLY)):
                got = user(attempt, try_open, f'{SEM}/r/{file}', flags | os.O_NONBLOCK)
                diffs.same(native_open, got, f'{file} of {mode:o} by {user.uid}')
                if user.uid:
                    eq(user(os.access, f'{SEM}/r/{file}', os.W_OK if flags == os.O_WRONLY else os.R_OK),
                       native_open is None, f'rights shown of {file} of {mode:o} by {user.uid}')
            diffs.same(None if readable else 'EACCES', user(attempt, try_open, f'{SEM}/r/value', os.O_RDONLY),
                       f'reading value of {mode:o} by {user.uid}')
        unlink_posix('r')
    for user in users:
        user.end()
    diffs.finish(150)


def open_native():
    PosixSem('r').close()


def try_open(path, flags):
    os.close(os.open(path, flags))


@daemon_only
def test_chmod_and_chown():
    make_posix('c', 0, 0o600).close()
    os.chmod(f'{SEM}/c', 0o640)
    os.chown(f'{SEM}/c', 5, 6)
    st = os.stat(f'{SHM}/sem.c')
    eq((st.st_mode & 0o7777, st.st_uid, st.st_gid), (0o640, 5, 6), 'chmod, chown')
    user = User(5, 5)
    eq(user(attempt, os.chmod, f'{SEM}/c', 0o660), None, 'chmod as the owner')
    refused('EPERM', User.__call__, user, os.chown, f'{SEM}/c', 7, -1)
    user.end()
    user = User(1001, 1001)
    refused('EPERM', User.__call__, user, os.chmod, f'{SEM}/c', 0o666)
    user.end()
    eq(os.stat(f'{SHM}/sem.c').st_mode & 0o7777, 0o660, 'mode')
    refused('EPERM', os.chown, SEM, 5, 5)
    refused('EPERM', os.chmod, SEM, 0o777)


@daemon_only
def test_state_and_lists():
    s = make_posix('st', 3, 0o640)
    make_posix('b c').close()
    os.chown(f'{SHM}/sem.st', 11, 22)
    want = {'name': 'st', 'value': '3', 'waiters': '0', 'mode': '0640', 'uid': '11', 'gid': '22'}
    got = state(f'{CTL}/sem/st')
    eq({k: got.get(k) for k in want}, want, 'state')
    o = json.loads(read(f'{CTL}/sem/st/state.json'))
    eq({k: str(o.get(k)) for k in want}, want, 'state.json')
    listed = json.loads(read(f'{CTL}/sem/list.json'))
    eq(sorted(x['name'] for x in listed), ['b c', 'st'], 'list.json')
    eq([x for x in listed if x['name'] == 'st'], [o], 'list.json beside state.json')
    lines = read(f'{CTL}/sem/list').decode().splitlines()
    row = dict(zip(lines[0].split(), [l for l in lines[1:] if l.split()[0] == 'st'][0].split()))
    eq({k: row.get(k) for k in want}, want, 'list')
    ok(re.search(r': 2147483647$', read(f'{CTL}/sem/limits').decode(), re.M), f'limits: {read(f"{CTL}/sem/limits")}')
    write(f'{SEM}/st/value', b'0\n')
    for count, (program, path) in enumerate((('native', ''), ('mount', '')), 1):
        p = start(PEER, 'posix', 'st', 'wait', '1') if program == 'native' else shell('exec cat $SEM/st/wait')
        wait_until(lambda: state(f'{CTL}/sem/st')['waiters'] != '0', f'waiters with a {program} one')
        wait_until(lambda: s.waiters() > 0, f'waiters, natively, with a {program} one')
        s.post()
        eq(output(p)[1], 0, f'the {program} waiter')
        wait_until(lambda: state(f'{CTL}/sem/st')['waiters'] == '0' and s.waiters() == 0, 'waiters afterwards')
    readme = read(f'{CTL}/README').decode()
    for word in ('value', 'post', 'wait', 'hold'):
        ok(re.search(rf'\bsem/.*\b{word}\b', readme), f'ctl/README has no line on sem/…/{word}')


@daemon_only
def test_looking_takes_nothing():
    s = make_posix('look', 3)
    begin = time.monotonic()
    for line in ('ls -lR $SEM > /dev/null', 'find $SEM $CTL -ls > /dev/null', 'grep -r nothing-like-it $CTL; [ $? = 1 ]',
                 'tar cf - $CTL | wc -c > /dev/null', 'du -a $SEM $CTL > /dev/null', 'stat $SEM/*/* > /dev/null',
                 'cat $CTL/sem/list $CTL/sem/list.json $CTL/sem/limits $CTL/sem/look/state $CTL/README > /dev/null',
                 'test -r $SEM/look/wait -a -w $SEM/look/post -a -r $SEM/look/hold', 'file=$(echo $SEM/look/*)'):
        eq(bash(line, 30)[1], 0, line)
    eq((s.value(), s.waiters()), (3, 0), f'the semaphore after {time.monotonic() - begin:.1f} s of looking')


@daemon_only
def test_removal():
    """rmdir takes the name; who waits on the semaphore waits on, as natively, and its users can still serve him."""
    s = make_posix('gone')
    waiting = shell('exec cat $SEM/gone/wait')
    wait_blocked(waiting.pid)
    fd = os.open(f'{SEM}/gone/value', os.O_RDONLY)
    os.rmdir(f'{SEM}/gone')
    eq(names(), [], 'the name')
    refused('ENOENT', os.stat, f'{SEM}/gone/wait')
    time.sleep(0.1)
    eq(waiting.poll(), None, 'the waiter waits on, as natively')
    s.post()
    eq(output(waiting), ('0\n', 0), 'a native post reaches him')
    print('  value of a removed one, through an old handle:', attempt(os.pread, fd, 10, 0))
    os.close(fd)
    os.mkdir(f'{SEM}/gone')
    eq((read(f'{SEM}/gone/value'), s.value()), (b'0\n', 0), 'a new one of the name')
    write(f'{SEM}/gone/post', b'2\n')
    eq((read(f'{SEM}/gone/value'), s.value()), (b'2\n', 0), 'the new one and the old one')
    s.close()


main(globals(), after=clean_semaphores)
