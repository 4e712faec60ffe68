# SPDX-License-Identifier: MIT
"""sysv/shm/: how segments come to be: a name first and its size after, several creators, ctl/sysv/shm/create, limits.

usage: sysvshmmake.py SEGMENT-PROGRAM (segment.c)
"""
import json
import os
import re

from mounttest import CTL, PASSTHROUGH, User, attempt, daemon_only, eq, get, in_child, main, ok, refused
from queues import bash, output, shell, sysctl, wait_until
from segments import (CREATE, CTL_SHM, EXCLUSIVE, KEY, NAME, PAGE, SYSV, Shm, all_shm, by_key, clean_segments,
                      control, finish, ipcs, make_by_mount, make_shm, mapping, mapping_of, names, nothing_there,
                      restore_limits, write)

@daemon_only
def test_creation():
    eq(bash(f'truncate -s 1M {SYSV}/by-key/0x2a'), ('', 0), 'truncate by-key/0x2a')
    s = Shm(KEY)
    s.settles(0, 'after the close')
    row = [l.split() for l in ipcs().splitlines() if l.startswith(NAME)]
    eq(row, [[NAME, str(s.id), 'root', '644', '1048576', '0']], 'ipcs -m')
    eq(names(), ([NAME], [str(s.id)]), 'ls')
    a, b = os.stat(by_key()), os.stat(s.path)
    eq((a.st_ino, a.st_nlink, a.st_size, a.st_mode), (b.st_ino, 2, 1 << 20, 0o100644), 'one object with two names')
    eq((b.st_nlink, b.st_size), (2, 1 << 20), 'by id')
    eq(os.stat(f'{SYSV}/by-key/0x2A').st_ino, a.st_ino, 'the key in other digits')
    private = make_shm(0)
    eq((os.stat(private.path).st_nlink, names()[0]), (1, [NAME]), 'a private one has an id alone')
    for name in (f'0{s.id}', f'+{s.id}', f'{s.id} ', '99999999999', '-1', 'x'):
        refused('ENOENT', os.stat, f'{SYSV}/by-id/{name}')
    # The first write: its end is the size.
    for key, flags, op, want in ((0x30, CREATE, lambda fd: os.write(fd, b'hello'), b'hello'),
                                 (0x31, os.O_CREAT | os.O_WRONLY, lambda fd: os.pwrite(fd, b'hello', 100) - 5,
                                  bytes(100) + b'hello'),
                                 (0x32, EXCLUSIVE, lambda fd: os.writev(fd, [b'ab', b'cd']), b'abcd')):
        fd = os.open(by_key(key), flags, 0o600)
        op(fd)
        eq((Shm(key).stat()['size'], os.fstat(fd).st_size), (len(want), len(want)), f'size of {key:#x}')
        os.close(fd)
        eq((Shm(key).read(), get(by_key(key))), (want, want), f'content of {key:#x}')
        ok(os.stat(by_key(key)).st_ino == os.stat(Shm(key).path).st_ino, 'inode numbers')
    eq(bash(f'echo hello > {SYSV}/by-key/0x33; cat {SYSV}/by-key/0x33'), ('hello\n', 0), 'echo')
    eq(bash(f'head -c 100000 /dev/zero | tr "\\0" x | dd of={SYSV}/by-key/0x34 bs=100000 iflag=fullblock status=none'),
       ('', 0), 'dd')
    eq(Shm(0x34).read(), b'x' * 100000, 'written by dd')
    # A key with its highest bit, and the umask.
    os.umask(0o27)
    with open(by_key(0xffffffff), 'wb') as f:
        f.truncate(10)
    os.umask(0o22)
    eq((Shm(-1).stat()['mode'], Shm(-1).stat()['size']), (0o640, 10), 'key -1')


@daemon_only
def test_creation_by_a_user():
    user = User(1001, 1002)
    user(make_by_mount, 0xbbb)
    s = Shm(0xbbb).stat()
    eq({k: s[k] for k in ('uid', 'gid', 'cuid', 'cgid', 'mode', 'size')},
       {'uid': 1001, 'gid': 1002, 'cuid': 1001, 'cgid': 1002, 'mode': 0o600, 'size': PAGE}, 'owner and creator')
    refused('EEXIST', user, make_by_mount, 0xbbb)
    user.end()


@daemon_only
def test_nothing_before_a_size():
    """O_CREAT alone makes nothing that anybody sees."""
    fd = os.open(by_key(), CREATE, 0o640)
    nothing_there('after O_CREAT')
    refused('ENOENT', os.stat, by_key())
    refused('ENOENT', os.open, by_key(), os.O_RDWR)
    refused('ENOENT', os.stat, control())
    eq((os.fstat(fd).st_size, os.read(fd, 10), os.write(fd, b'')), (0, b'', 0), 'the descriptor')
    eq(json.loads(get(f'{CTL_SHM}/list.json')), [], 'list.json')
    got = attempt(os.ftruncate, fd, 0)
    ok(got in (None, 'EINVAL'), f'ftruncate to 0: {got}')
    for size in (-1, 1 << 62):
        refused(('EINVAL', 'ENOMEM', 'ENOSPC', 'EFBIG'), os.ftruncate, fd, size)
    nothing_there('after refused sizes')
    refused('ENODEV', mapping_of, fd)
    os.ftruncate(fd, 3 * PAGE)
    s = Shm(KEY)
    eq((s.stat()['mode'], s.stat()['size'], os.fstat(fd).st_size), (0o640, 3 * PAGE, 3 * PAGE), 'then the size')
    eq((os.fstat(fd).st_ino, os.fstat(fd).st_nlink), (os.stat(by_key()).st_ino, 2), 'the descriptor is the object')
    refused('ENODEV', mapping_of, fd)
    os.pwrite(fd, b'written on the creating descriptor', 100)
    eq(s.read(100, 7), b'written', 'a write on it')
    s.write(200, b'natively')
    eq(os.pread(fd, 8, 200), b'natively', 'a read on it')
    if PASSTHROUGH:
        m = mapping(by_key(), 3 * PAGE)
        eq(m.read(100, 7), b'written', 'mapped by another descriptor')
        m.close()
    os.close(fd)
    s.settles(0, 'after the close')
    s.remove()
    eq(bash(f': > {by_key()}'), ('', 0), 'redirection of nothing')
    nothing_there('after a redirection of nothing')
    # Whose creator dies has made nothing.
    p = shell(f'exec 9<> {by_key()}; echo open; exec sleep 60')
    eq(p.stdout.readline(), b'open\n', 'the creator')
    p.kill()
    output(p)
    nothing_there('after the death of the creator')


def start_making(key, mode):
    """The descriptor stays open in the process of the user."""
    return os.open(by_key(key), CREATE, mode)


@daemon_only
def test_rights_of_a_creator():
    """A file has the rights it was created with, whatever its mode; but none on what others made of its key meanwhile."""
    user = User(1001, 1001)
    for mode in (0o000, 0o400, 0o200):
        fd = user(start_making, KEY, mode)
        user(os.ftruncate, fd, PAGE)
        eq((user(os.pwrite, fd, b'by me', 0), user(os.pread, fd, 5, 0)), (5, b'by me'), f'created with mode {mode:o}')
        eq((Shm(KEY).stat()['mode'], Shm(KEY).stat()['uid']), (mode, 1001), 'the segment')
        refused('EACCES', user, os.open, by_key(), os.O_RDWR)
        user(os.close, fd)
        Shm(KEY).settles(0, 'after')
        user(os.unlink, by_key())
    fds = [user(start_making, KEY, 0o600) for _ in range(2)]
    s = make_shm(KEY, PAGE, 0o600)
    s.write(0, b'of root')
    refused('EACCES', user, os.ftruncate, fds[0], PAGE)
    refused('EACCES', user, os.pwrite, fds[1], b'stolen', 0)
    ok(user(attempt, os.pread, fds[0], 7, 0) in (b'', 'EACCES'), 'reading by a creator who came too late')
    eq((s.read(0, 7), s.stat()['nattch']), (b'of root', 0), 'the segment of root')
    for fd in fds:
        user(os.close, fd)
    user.end()


@daemon_only
def test_two_creators():
    fds = [os.open(by_key(), CREATE, 0o600) for _ in range(2)]
    os.ftruncate(fds[0], 8192)
    refused('EINVAL', os.ftruncate, fds[1], 4096)
    got = attempt(os.ftruncate, fds[1], 8192)
    eq(got, None, 'the second creator gives the same size')
    eq(os.pwrite(fds[1], b'second', 10), 6, 'and writes')
    eq((os.pread(fds[0], 6, 10), Shm(KEY).read(10, 6), len(all_shm())), (b'second', b'second', 1), 'one segment')
    for fd in fds:
        os.close(fd)
    Shm(KEY).settles(0, 'after both')
    refused('EEXIST', os.open, by_key(), EXCLUSIVE)
    Shm(KEY).remove()
    # Exclusive ones: the second hears of the first at the latest when it would make the segment.
    for finish in (lambda fd: os.ftruncate(fd, 8192), lambda fd: os.write(fd, b'x' * 8192)):
        fds = [attempt(os.open, by_key(), EXCLUSIVE, 0o600) for _ in range(2)]
        ok(isinstance(fds[0], int), f'the first: {fds[0]}')
        finish(fds[0])
        if fds[1] != 'EEXIST':
            refused('EEXIST', finish, fds[1])
            os.close(fds[1])
        os.close(fds[0])
        eq(len(all_shm()), 1, 'segments')
        Shm(KEY).remove()
        wait_until(lambda: not all_shm(), 'gone')
    # A native creator is one, too.
    fds = [os.open(by_key(), flags, 0o600) for flags in (EXCLUSIVE, CREATE, CREATE)]
    s = make_shm(KEY, 1000)
    refused('EEXIST', os.ftruncate, fds[0], 1000)
    refused('EINVAL', os.ftruncate, fds[1], 2000)
    eq(attempt(os.ftruncate, fds[2], 1000), None, 'the size of the native one')
    os.write(fds[2], b'joined')
    eq(s.read(0, 6), b'joined', 'the native segment')
    for fd in fds:
        os.close(fd)


def racer(go, flags, slot):
    """Exits with 0 where it made or joined the segment, 17 where it was told EEXIST."""
    os.read(go, 1)
    try:
        fd = os.open(by_key(), flags, 0o600)
        os.ftruncate(fd, 4096)
        os.pwrite(fd, b'%08d' % slot, 8 * slot)
        os.close(fd)
    except FileExistsError:
        return 17
    return 0


@daemon_only
def test_a_race_of_creators():
    for round_, flags in enumerate([CREATE, EXCLUSIVE] * 10):
        go, start_ = os.pipe()
        pids = [in_child(racer, go, flags, slot) for slot in range(5)]
        os.write(start_, b'.' * 5)
        statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        os.close(go), os.close(start_)
        eq(len(all_shm()), 1, f'round {round_}: segments')
        good = [slot for slot, status in enumerate(statuses) if status == 0]
        eq(set(statuses) - {0, 17}, set(), f'round {round_}: statuses {statuses}')
        eq(len(good), 1 if flags == EXCLUSIVE else 5, f'round {round_}: statuses {statuses}')
        want = b''.join(b'%08d' % slot if slot in good else bytes(8) for slot in range(5))
        eq(Shm(KEY).read(0, 40), want, f'round {round_}: all wrote into one segment')
        Shm(KEY).remove()
        wait_until(lambda: not all_shm(), 'gone')


@daemon_only
def test_create_by_control_file():
    path = f'{CTL_SHM}/create'
    write(path, b'0x2b size=64K mode=0640\n')
    s = Shm(0x2b)
    eq((s.stat()['size'], s.stat()['mode'], s.stat()['nattch']), (65536, 0o640, 0), 'created')
    write(path, b'0x0000002c size=5000 noreserve=1\n')
    eq((Shm(0x2c).stat()['size'], Shm(0x2c).stat()['mode']), (5000, 0o600), 'noreserve')
    for line, word in (('0x2d', 'size'), ('0x2d size=0', 'size'), ('0x2d size=x', 'size=x'), ('0x2d size=1 size=2', 'size=2'),
                       ('0x2d size=1 mode=999', 'mode=999'), ('0x2d size=1 colour=3', 'colour'), ('0x2d 5', '5'), ('', ''),
                       ('0 size=5', '0'), ('0x0 size=5', '0'), ('key size=5', 'key'), ('0x123456789 size=5', 'key'),
                       ('0x2d size=99999999999999999999999', 'size'), ('0x2d size=17179869183G', 'larger')):
        fd = os.open(path, os.O_RDWR)
        got = attempt(os.write, fd, line.encode() + b'\n')
        ok(got == 'EINVAL' or (line == '' and got == 1) or (got in ('ENOMEM', 'ENOSPC') and 'G' in line),
           f'create with {line!r}: {got}')
        if got == 'EINVAL':
            reason = os.read(fd, 1000).decode()
            ok(word in reason and len(reason) > len(word) + 3, f'the reason for {line!r}: {reason!r}')
            last = get(f'{CTL}/last-error').decode().strip()
            ok(last.endswith(reason.strip()), f'last-error {last!r}, the reason {reason!r}')
        os.close(fd)
    eq(sorted(s['key'] for s in all_shm()), [0x2b, 0x2c], 'segments')
    refused('EEXIST', write, path, b'0x2b size=64K\n')
    user = User(1001, 1002)
    user(write, path, b'0x2e size=1\n')
    eq((Shm(0x2e).stat()['cuid'], Shm(0x2e).stat()['gid']), (1001, 1002), 'created by a user')
    user.end()


@daemon_only
def test_over_the_limits():
    """ENOSPC of shmmni and shmall, EINVAL of shmmax, each with its reason."""
    keep = [make_shm(0x90 + i) for i in range(3)]
    fd = os.open(by_key(), CREATE)
    for name, value, want in (('shmmni', 3, 'ENOSPC'), ('shmall', 4, 'ENOSPC'), ('shmmax', 8 * PAGE - 1, 'EINVAL')):
        sysctl(f'kernel/{name}', value)
        refused(want, os.ftruncate, fd, 8 * PAGE)
        refused(want, os.pwrite, fd, b'x', 8 * PAGE - 1)
        other = os.open(f'{CTL_SHM}/create', os.O_RDWR)
        refused(want, os.write, other, f'{NAME} size={8 * PAGE}\n'.encode())
        reason = os.read(other, 1000).decode()
        ok(name in reason, f'the reason of {want} over {name}: {reason!r}')
        ok(name in get(f'{CTL}/last-error').decode(), f'last-error: {get(f"{CTL}/last-error")}')
        os.close(other)
        eq(len(all_shm()), 3, 'segments')
        restore_limits()
    os.ftruncate(fd, 8 * PAGE)
    eq((len(all_shm()), Shm(KEY).stat()['size']), (4, 8 * PAGE), 'the same descriptor, when there is room')
    os.close(fd)
    for s in keep:
        s.remove()


@daemon_only
def test_no_pages_for_a_creation():
    with open('/proc/meminfo') as f:
        if int(re.search(r'HugePages_Free:\s+(\d+)', f.read()).group(1)):
            print('  skipped: the machine has free huge pages')
            return
    refused(('ENOMEM', 'EINVAL'), write, f'{CTL_SHM}/create', b'0x2a size=2M hugepage=1\n')
    nothing_there('without huge pages')


@daemon_only
def test_mknod_makes_nothing():
    """mknod(2) gives no size: nothing may appear."""
    got = attempt(os.mknod, by_key(), 0o100600)
    ok(got in (None, 'EPERM', 'EOPNOTSUPP', 'EINVAL'), f'mknod: {got}')
    nothing_there('after mknod')


main(globals(), after=clean_segments)
finish()
