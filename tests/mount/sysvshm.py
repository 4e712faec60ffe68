# SPDX-License-Identifier: MIT
"""sysv/shm/: the one size of a segment, IPC_SET and permission, states, lists and limits, what is refused, huge pages.

usage: sysvshm.py SEGMENT-PROGRAM (segment.c)
"""
import ctypes
import errno
import fcntl
import json
import os
import re
import signal
import struct
import subprocess

from mounttest import PASSTHROUGH, Diffs, User, attempt, daemon_only, eq, get, in_child, main, metrics, ok, refused
from queues import bash, sysctl
from segments import (CTL_SHM, EXCLUSIVE, KEY, NAME, PAGE, READ, RW, SHM_HUGETLB, SHM_NORESERVE, SHM_RDONLY, SYSV,
                      Peer, Shm, all_shm, by_key, clean_segments, control, finish, flags_of, ipcs, make_by_mount,
                      make_shm, mapping_of, names, nothing_there, state, write)


def test_native_promises():
    """What the native calls do, and the rest of this file relies on."""
    s = make_shm(KEY, 1000, 0o640)
    eq((s.read(), s.stat()['size'], s.stat()['nattch']), (bytes(1000), 1000, 0), 'a new segment')
    peer = Peer(KEY)
    eq((s.stat()['nattch'], s.stat()['lpid']), (1, peer.process.pid), 'attached')
    s.remove()
    t = s.stat()
    eq((t['flags'], t['key']), ({'dest'}, 0), 'removed while attached: the key goes, the id stays')
    again = make_shm(KEY)
    ok(again.id != s.id, 'the key is free')
    peer.store(0, 'still here')
    peer.kill()
    s.vanishes('the last attachment')
    refused('EINVAL', s.stat)
    refused('EINVAL', Shm, KEY, 0o600, PAGE + 1)
    refused('EINVAL', make_shm, 0x2c, 0)


# ---- the one size ----

@daemon_only
def test_the_size_is_fixed():
    s = make_shm(KEY, 5000)
    s.write(0, b'0123456789')
    refused('EINVAL', os.truncate, by_key(), 0)
    fd = os.open(by_key(), os.O_RDWR)
    for size in (0, 1, 4999, 5001, 8192, 1 << 40):
        refused('EINVAL', os.ftruncate, fd, size)
        if size:  # of 0 the kernel does not say, while it is open, whether it is an O_TRUNC
            refused('EINVAL', os.truncate, by_key(), size)
    os.truncate(s.path, 5000)
    os.ftruncate(fd, 5000)
    for flags in (os.O_RDWR | os.O_TRUNC, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_TRUNC | os.O_CREAT):
        os.close(os.open(by_key(), flags))
    eq(s.read(0, 10), b'0123456789', 'after O_TRUNC')
    eq(bash(f'echo x > {by_key()}'), ('', 0), 'echo')
    eq(s.read(0, 10), b'x\n23456789', 'the first two bytes')
    eq([attempt(os.pwrite, fd, b'y' * 100, at) for at in (4990, 5000, 5001, 1 << 40)], [10, 'EFBIG', 'EFBIG', 'EFBIG'],
       'writes at the end')
    eq((s.read(4989, 11), os.pread(fd, 100, 4990)), (b'\0' + b'y' * 10, b'y' * 10), 'the part that fits')
    eq([os.pread(fd, 100, at) for at in (5000, 5001, 8192, 1 << 40)], [b''] * 4, 'reads past the end')
    eq(len(get(by_key())), 5000, 'all there is')
    out, status = bash(f'echo more >> {by_key()}')
    ok(status and 'File too large' in out, f'>>: status {status}, {out!r}')
    refused('EFBIG', write, by_key(), b'z', os.O_APPEND)
    ok(isinstance(attempt(os.posix_fallocate, fd, 0, 20000), str), 'fallocate past the end')
    with open('/etc/passwd', 'rb') as f:
        os.lseek(fd, 4999, os.SEEK_SET)
        eq([attempt(os.sendfile, fd, f.fileno(), 0, 100) for _ in range(2)], [1, 'EFBIG'], 'sendfile across the end')
    r, w = os.pipe()
    os.write(w, b'spliced')
    eq([attempt(os.splice, r, fd, 4, offset_dst=at) for at in (4998, 5000)], [2, 'EFBIG'], 'splice across the end')
    os.close(r), os.close(w), os.close(fd)
    eq((s.stat()['size'], os.stat(by_key()).st_size, len(s.read())), (5000, 5000, 5000), 'the size at last')
    eq(os.lseek(os.open(by_key(), os.O_RDONLY), 0, os.SEEK_END), 5000, 'SEEK_END')
    rows = [r for r in all_shm() if r['shmid'] == s.id]
    ok(rows[0]['rss'] <= 8192, f'the memory of it did not grow: {rows}')


# ---- IPC_SET and permission ----

@daemon_only
def test_attributes():
    s = make_shm(KEY, PAGE, 0o600)
    for path in (by_key(), s.path):
        os.chmod(path, 0o640)
        os.chown(path, 1001, 1002)
        t = s.stat()
        eq((t['mode'], t['uid'], t['gid'], t['cuid'], t['cgid']), (0o640, 1001, 1002, 0, 0), 'IPC_SET')
        st = os.stat(path)
        eq((st.st_mode, st.st_uid, st.st_gid), (0o100640, 1001, 1002), 'stat')
        ok(re.search(rf'{s.id}\s+640\s+root\s+root\s+1001\s+1002', ipcs('-c')), f'ipcs -c: {ipcs("-c")}')
        os.chown(path, -1, 7)
        eq((s.stat()['uid'], s.stat()['gid']), (1001, 7), 'chgrp')
        fd = os.open(path, os.O_RDONLY)
        os.fchmod(fd, 0o600)
        os.fchown(fd, 0, 0)
        os.close(fd)
        eq((s.stat()['mode'], s.stat()['uid']), (0o600, 0), 'fchmod, fchown')
    os.chown(by_key(), 1001, 1001)
    os.chmod(by_key(), 0o666)
    owner, other = User(1001, 1001), User(1002, 1002)
    refused('EPERM', other, os.chmod, by_key(), 0o600)
    refused('EPERM', other, os.chown, by_key(), 1002, -1)
    refused('EPERM', other, os.unlink, by_key())
    refused('EPERM', other, os.unlink, s.path)
    eq((s.stat()['mode'], s.stat()['flags']), (0o666, set()), 'untouched')
    owner(os.chmod, by_key(), 0o660)
    owner(os.unlink, by_key())
    refused('EINVAL', s.stat)
    # Its creator may remove it, too, when it belongs to somebody else by now.
    owner(make_by_mount, 0x66)
    os.chown(by_key(0x66), 1002, 1002)
    owner(os.unlink, by_key(0x66))
    eq(all_shm(), [], 'removed by the creator')
    owner.end(), other.end()


def native_attach(flags):
    Shm(KEY).attach(flags).detach()


def mount_open(path, flags):
    os.close(os.open(path, flags))


@daemon_only
def test_permissions_as_native():
    """Reading asks for what shmat(SHM_RDONLY) does, anything else for what shmat(0) does."""
    diffs = Diffs()
    users = [User(1001, 1001), User(1002, 1002, (2000,)), User(1003, 1003), User(0, 0)]
    for mode in (0o000, 0o400, 0o200, 0o600, 0o640, 0o620, 0o660, 0o060, 0o020, 0o006, 0o004, 0o002, 0o666):
        s = make_shm(KEY)
        os.chown(by_key(), 1001, 2000)
        os.chmod(by_key(), mode)
        for user in users:
            for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_CREAT):
                native = user(attempt, native_attach, SHM_RDONLY if flags == os.O_RDONLY else 0)
                for path in (by_key(), s.path):
                    diffs.same(native, user(attempt, mount_open, path, flags),
                               f'{path} of {mode:o} by {user.uid} with {flags:#o}')
        s.settles(0, 'after all')
        s.remove()
    for user in users:
        user.end()
    diffs.finish(13 * 4 * 5 * 2)


def read_only_tricks():
    """What somebody who may only read tries, all of which must fail."""
    fd = os.open(by_key(), os.O_RDONLY)
    got = [attempt(os.pwrite, fd, b'x', 0), attempt(os.open, f'/proc/self/fd/{fd}', os.O_RDWR),
           attempt(os.truncate, by_key(), 1), attempt(os.open, by_key(), os.O_RDONLY | os.O_TRUNC)]
    eq(get(by_key())[:4], b'mine', 'reading is allowed')
    if PASSTHROUGH:
        got.append(attempt(mapping_of, fd, RW))
        m = mapping_of(fd, READ)
        eq(m.read(0, 4), b'mine', 'a mapping for reading')
        libc = ctypes.CDLL(None, use_errno=True)
        result = libc.mprotect(ctypes.c_void_p(m.address), ctypes.c_size_t(PAGE), RW)
        got.append(errno.errorcode[ctypes.get_errno()] if result < 0 else result)
    return got


@daemon_only
def test_other_users_objects():
    user, group = User(1001, 1001), User(1002, 1002, (2000,))
    s = make_shm(KEY, PAGE, 0o600)
    s.write(0, b'mine')
    before = s.stat()
    for mode in (0o600, 0o604, 0o602):  # the kernel lets those through who may do half of what they want
        os.chmod(by_key(), mode)
        for path in (by_key(), s.path):
            for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
                if (mode, flags) != (0o604, os.O_RDONLY):
                    refused('EACCES', user, mount_open, path, flags)
    os.chmod(by_key(), 0o600)
    refused('EACCES', user, os.truncate, by_key(), PAGE)
    eq((s.stat()['atime'], s.stat()['lpid']), (before['atime'], before['lpid']), 'who is refused attaches nothing')
    os.chown(by_key(), 0, 2000)
    os.chmod(by_key(), 0o640)
    eq(group(get, by_key())[:4], b'mine', 'the group reads')
    refused('EACCES', group, mount_open, by_key(), os.O_RDWR)
    refused('EACCES', user, mount_open, by_key(), os.O_RDONLY)
    os.chmod(by_key(), 0o644)
    # With root's own open at the same time: what is attached for him is not theirs.
    fd = os.open(by_key(), os.O_RDWR)
    got = user(read_only_tricks)
    ok(set(got[:1]) == {'EBADF'} and set(got[1:]) == {'EACCES'}, f'somebody who may only read: {got}')
    os.chmod(by_key(), 0o600)
    refused('EACCES', user, mount_open, by_key(), os.O_RDONLY)
    eq(os.pread(fd, 4, 0), b'mine', 'nobody changed it')
    os.close(fd)
    user.end(), group.end()


# ---- state, lists, limits ----

def agrees(s, where):
    t = s.stat()
    row = next(r for r in all_shm() if r['shmid'] == s.id)
    want = {k: str(t[k]) for k in ('uid', 'gid', 'cuid', 'cgid', 'size', 'nattch', 'cpid', 'lpid')}
    want |= {'key': f'{t["key"] & 0xffffffff:#010x}', 'id': str(s.id), 'mode': f'{t["mode"]:04o}',
             'rss': str(row['rss']), 'swap': str(row['swap'])}
    text, o = state(where), json.loads(get(f'{where}/state.json'))
    eq({k: text.get(k) for k in want}, want, f'{where}/state')
    eq({k: str(o.get(k)) for k in want}, want, f'{where}/state.json')
    for source in (text['flags'], o['flags']):
        eq(flags_of(source), t['flags'], 'flags')
    for name in ('atime', 'dtime', 'ctime'):
        eq(o[name] or 0, t[name], name)
        eq(name in text, t[name] != 0, f'{name} in state: {text}')
    return o


@daemon_only
def test_state():
    s, private = make_shm(KEY, 3 * PAGE + 1, 0o640), make_shm(0)
    s.write(PAGE, b'touched')
    for where in (control(), s.control):
        agrees(s, where)
    agrees(private, private.control)
    os.chown(by_key(), 1001, 1002)
    peer = Peer(KEY)
    o = agrees(s, control())
    eq((o['nattch'], o['lpid']), (1, peer.process.pid), 'attached')
    row = next(l.split() for l in ipcs('-p').splitlines() if l.startswith(str(s.id)))
    eq(row[2:], [str(o['cpid']), str(o['lpid'])], 'ipcs -p')
    lsipc = json.loads(subprocess.run(['lsipc', '-m', '-J', '-b', '-o', 'KEY,ID,PERMS,CUID,CGID,UID,GID,SIZE,NATTCH,CPID,LPID',
                                       '-P'], capture_output=True, text=True, check=True).stdout)
    line = next(r for r in next(iter(lsipc.values())) if int(r['id']) == s.id)
    for field in ('cuid', 'cgid', 'uid', 'gid', 'size', 'nattch', 'cpid', 'lpid'):
        eq(str(line[field]), str(o[field]), f'{field} of lsipc')
    s.remove()
    eq(flags_of(agrees(s, s.control)['flags']), {'dest'}, 'removed while attached')
    eq(state(s.control)['key'], '0x00000000', 'its key')
    refused('ENOENT', get, f'{control()}/state')
    peer.end()
    s.vanishes('the last attachment')
    refused('ENOENT', get, f'{s.control}/state')


@daemon_only
def test_lock():
    s = make_shm()
    for where in (control(), s.control):
        eq(bash(f'echo 1 > {where}/lock'), ('', 0), 'echo 1 > lock')
        eq((s.stat()['flags'], flags_of(state(where)['flags'])), ({'locked'}, {'locked'}), 'locked')
        ok('locked' in ipcs(), f'ipcs -m: {ipcs()}')
        eq(bash(f'echo 0 > {where}/lock'), ('', 0), 'echo 0 > lock')
        eq((s.stat()['flags'], flags_of(state(where)['flags'])), (set(), set()), 'unlocked')
    for bad in ('x', '2', '-1', '1 1', ' ', '99999999999999999999'):
        refused('EINVAL', write, f'{control()}/lock', bad.encode() + b'\n')
    os.chmod(by_key(), 0o666)
    user = User(1001, 1001)
    refused(('EPERM', 'EACCES'), user, write, f'{control()}/lock', b'1\n')
    user.end()
    eq((s.stat()['flags'], s.stat()['nattch'], s.stat()['lpid']), (set(), 0, 0), 'afterwards')


@daemon_only
def test_lists():
    segments = [make_shm(0x1000 + i if i % 3 else 0, 1 + i * 1000, 0o600 + i % 64) for i in range(100)]
    segments[5].write(0, b'x')
    os.chown(segments[7].path, 1001, 1002)
    os.chown(segments[8].path, 2000, -1)
    peer = Peer(f'id:{segments[9].id}')
    segments[9].remove()
    native = all_shm()
    objects = json.loads(get(f'{CTL_SHM}/list.json'))
    eq(sorted(o['id'] for o in objects), sorted(s.id for s in segments), 'ids in list.json: each segment once')
    lines = get(f'{CTL_SHM}/list').decode().splitlines()
    table = {int(r['id']): r for r in (dict(zip(lines[0].split(), l.split())) for l in lines[1:])}
    eq((len(lines), len(table)), (101, 100), 'lines of list')
    ipcs_rows = {int(l.split()[1]): l.split() for l in ipcs().splitlines() if l.startswith('0x')}
    for row, o in zip(sorted(native, key=lambda r: r['shmid']), sorted(objects, key=lambda o: o['id'])):
        want = {'id': row['shmid'], 'mode': f'{row["perms"] & 0o777:04o}', 'key': f'{row["key"] & 0xffffffff:#010x}'}
        want |= {k: row[k] for k in ('uid', 'gid', 'cuid', 'cgid', 'size', 'nattch', 'cpid', 'lpid', 'rss', 'swap')}
        eq({k: o[k] for k in want}, want, 'list.json beside /proc/sysvipc/shm')
        eq({k: table[o['id']][k] for k in want}, {k: str(v) for k, v in want.items()}, 'list')
        listed = ipcs_rows[o['id']]
        eq((o['key'], f'{int(o["mode"], 8):o}', str(o['size']), str(o['nattch'])),
           (listed[0], listed[3], listed[4], listed[5]), 'ipcs -m')
    eq({o['id'] for o in objects if 'dest' in flags_of(o['flags'])}, {segments[9].id}, 'removed ones')
    eq(set(os.listdir(f'{SYSV}/by-id')), {str(s.id) for s in segments}, 'ls by-id')
    eq(len(os.listdir(f'{SYSV}/by-key')), 66, 'ls by-key')
    peer.end()


@daemon_only
def test_limits():
    for name, value in (('shmmni', 123), ('shmmax', 1 << 30), ('shmall', 1 << 20)):
        sysctl(f'kernel/{name}', value)
    text = get(f'{CTL_SHM}/limits').decode()
    for name, values in (('shmmni', (123,)), ('shmmax', (1 << 30,)), ('shmall', (1 << 20, PAGE << 20))):
        ok(re.search(rf'^{name}: ({"|".join(map(str, values))})$', text, re.M), f'{name} in limits: {text}')
    native = ipcs('-l')
    ok('max number of segments = 123\n' in native and f'max seg size (kbytes) = {1 << 20}\n' in native, f'ipcs -l: {native}')
    if os.path.exists(f'{CTL_SHM}/limits.json'):
        eq(json.loads(get(f'{CTL_SHM}/limits.json'))['shmmni'], 123, 'limits.json')


# ---- what is refused ----

@daemon_only
def test_refusals():
    s = make_shm()
    for fn in (os.rename, os.link):
        refused('EPERM', fn, by_key(), by_key(0x33))
        refused('EPERM', fn, s.path, f'{SYSV}/by-id/33')
    for where in ('by-key', 'by-id'):
        for fn, args in ((os.mkdir, ()), (os.mkfifo, ()), (os.rmdir, ())):
            refused('EPERM' if fn != os.rmdir else ('ENOENT', 'EPERM', 'ENOTDIR'), fn, f'{SYSV}/{where}/0x00000044', *args)
        refused('EPERM', os.symlink, 'x', f'{SYSV}/{where}/0x00000044')
        refused('EPERM', os.rmdir, f'{SYSV}/{where}')
        refused('EPERM', os.chmod, f'{SYSV}/{where}', 0o700)
    for bad in ('0', '0x0', '0x00000000', 'key', '0x100000000', '-1', '0x', '0x2b ', '0xg', '0x000000002b', '2b', '42'):
        refused('EINVAL', make_named, bad)
    for bad in ('5', '12345', 'x'):
        refused(('EPERM', 'EACCES', 'EINVAL'), os.open, f'{SYSV}/by-id/{bad}', EXCLUSIVE)
    refused('EEXIST', os.open, by_key(), EXCLUSIVE)
    refused('ENOENT', os.unlink, by_key(0x77))
    fd = os.open(by_key(), os.O_RDWR)
    refused('EOPNOTSUPP', fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    refused('EOPNOTSUPP', fcntl.flock, fd, fcntl.LOCK_SH)
    for command in (fcntl.F_SETLK, fcntl.F_OFD_SETLK, fcntl.F_SETLKW):
        refused('EOPNOTSUPP', fcntl.fcntl, fd, command, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))
    os.close(fd)
    eq([r['shmid'] for r in all_shm()], [s.id], 'segments')
    eq(names(), ([NAME], [str(s.id)]), 'names')


def make_named(name):
    fd = os.open(f'{SYSV}/by-key/{name}', EXCLUSIVE)
    os.close(fd)


# ---- huge pages ----

@daemon_only
def test_huge_pages_that_are_not_there():
    """SHM_NORESERVE promises pages that may not come: natively SIGBUS, here an error, and the daemon lives on."""
    huge = 2 << 20
    with open('/proc/meminfo') as f:
        free = int(re.search(r'HugePages_Free:\s+(\d+)', f.read()).group(1))
    if free:
        print(f'  skipped: the machine has {free} free huge pages')
        return
    s = attempt(make_shm, KEY, huge, 0o600, SHM_HUGETLB | SHM_NORESERVE)
    if isinstance(s, str):
        print(f'  skipped: no segment of huge pages without any: {s}')
        return
    pid = in_child(lambda: s.read(0, 1) and 0)
    eq(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), -signal.SIGBUS, 'a native reader')
    eq(os.stat(by_key()).st_size, huge, 'size')
    for flags in (os.O_RDONLY, os.O_RDWR):
        fd = os.open(by_key(), flags)
        got = attempt(os.pread, fd, 100, 0)
        ok(isinstance(got, str), f'read of pages that are not there: {got!r}')
        if flags == os.O_RDWR:
            wrote = attempt(os.pwrite, fd, b'x', 0)
            ok(isinstance(wrote, str), f'write to pages that are not there: {wrote!r}')
        refused('ENODEV', mapping_of, fd, READ)
        os.close(fd)
    print(f'  read: {got}, write: {wrote}')
    s.settles(0, 'after the close')
    ok(metrics()['ipcfs_handles'] <= 1, 'handles')
    os.unlink(by_key())
    nothing_there('removed')


@daemon_only
def test_huge_pages():
    with open('/proc/meminfo') as f:
        free = int(re.search(r'HugePages_Free:\s+(\d+)', f.read()).group(1))
    if not free:
        print('  SKIPPED: the machine has no free huge pages')
        return
    write(f'{CTL_SHM}/create', b'0x2a size=2M hugepage=1\n')
    s = Shm(KEY)
    fd = os.open(by_key(), os.O_RDWR)
    os.pwrite(fd, b'huge', 100)
    eq((s.read(100, 4), os.pread(fd, 4, 100)), (b'huge', b'huge'), 'data')
    refused('EFBIG', os.pwrite, fd, b'x', 2 << 20)
    refused('ENODEV', mapping_of, fd)
    os.close(fd)


main(globals(), after=clean_segments)
finish()
