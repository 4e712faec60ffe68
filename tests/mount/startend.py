# SPDX-License-Identifier: MIT
"""Start and end of the daemon: what it says when it can't start, and that nothing is left when it ends."""
import fcntl
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import time

from mounttest import ASAN, MNT, SCRATCH, SHM, attempt, eq, get, in_child, main, ok, put, refused

IPCFS = os.environ['IPCFS']
BOUND = 15


def run(*args, uid=None, gid=None, mode='on', **kwargs):
    """Runs the program until it returns; a background daemon must not keep our pipe open, or this takes too long."""
    opts = () if mode is None else ('-o', f'passthrough={mode}')
    ident = {} if uid is None else dict(user=uid, group=gid or uid, extra_groups=[])
    return subprocess.run([kwargs.pop('program', IPCFS), *opts, *args], capture_output=True, text=True, timeout=BOUND,
                          stdin=subprocess.DEVNULL, **ident, **kwargs)


def daemons():
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        exe = attempt(os.readlink, f'/proc/{pid}/exe')
        if os.path.basename(exe) == os.path.basename(IPCFS) and exe.startswith('/'):
            found.append(int(pid))
    return found


def mounts(where=MNT):
    with open('/proc/self/mountinfo') as f:
        return [l.split() for l in f if l.split()[4] == where]


def wait_for(condition, what):
    end = time.monotonic() + BOUND
    while not condition():
        ok(time.monotonic() < end, f'{what} within {BOUND} s')
        time.sleep(0.01)


def start(*args, notice='', **kwargs):
    r = run(*args, MNT, **kwargs)
    eq((r.returncode, r.stdout), (0, ''), f'start with {args}: {r.stderr}')
    ok(re.fullmatch(notice, r.stderr), f'start with {args} says {r.stderr!r}')
    eq(len(mounts()), 1, 'mounts when the program returns')
    ok({'shm', 'ctl'} <= set(os.listdir(MNT)), 'the tree when the program returns')
    pids = daemons()
    eq(len(pids), 1, 'daemons')
    return pids[0]


def is_gone(what):
    wait_for(lambda: not daemons(), f'{what}: the process ends')
    eq(mounts(), [], f'{what}: mounts')
    eq(os.listdir(MNT), [], f'{what}: the mount point')
    eq([n for n in os.listdir(SHM) if n.startswith('.ipcfs.')], [], f'{what}: own objects')


def end(pid, sig=signal.SIGTERM):
    os.kill(pid, sig)
    is_gone(signal.Signals(sig).name)


def version():
    return dict(l.split(': ', 1) for l in get(f'{MNT}/ctl/version').decode().splitlines())


def test_failed_starts():
    """One line on stderr that says what is wrong, a status that is not 0, and nothing is left."""
    put(f'{SCRATCH}/file', b'')
    os.makedirs(f'{SCRATCH}/roots', 0o700, exist_ok=True)
    cases = {
        'no such mount point': (('/nonexistent/mnt',), ('/nonexistent/mnt',)),
        'a file as mount point': ((f'{SCRATCH}/file',), (f'{SCRATCH}/file',)),
        'no arguments': ((), ()),
        'two mount points': ((MNT, SCRATCH), ()),
        'unknown mount option': (('-o', 'bogus', MNT), ('bogus',)),
        'unknown mount option with a value': (('-o', 'bogus=1', MNT), ('bogus',)),
        'unknown option beside known ones': (('-o', 'ro,bogus2,noexec', MNT), ('bogus2',)),
        'unknown flag': (('-X', MNT), ('X',)),
        'unknown long option': (('--bogus', MNT), ('bogus',)),
        'bad passthrough': (('-o', 'passthrough=maybe', MNT), ('passthrough',)),
        'empty passthrough': (('-o', 'passthrough=', MNT), ('passthrough',)),
        'bad max_threads': (('-o', 'max_threads=many', MNT), ('max_threads',)),
        'negative max_threads': (('-o', 'max_threads=-1', MNT), ('max_threads',)),
        'no max_threads': (('-o', 'max_threads=0', MNT), ('max_threads',)),
        'trailing max_threads': (('-o', 'max_threads=4x', MNT), ('max_threads',)),
        'bad loglevel': (('-o', 'loglevel=loud', MNT), ('loglevel',)),
        '-o without value': (('-o',), ()),
    }
    for foreground in ((), ('-f',)):
        for what, (args, words) in cases.items():
            r = run(*foreground, *args, mode=None)
            check_failed(what, r, words)


def check_failed(what, r, words=()):
    ok(r.returncode > 0, f'{what}: status {r.returncode}')
    eq(r.stdout, '', f'{what}: stdout')
    ok(re.fullmatch(r'ipcfs: [^\n]+\n', r.stderr), f'{what}: stderr is not one line "ipcfs: …": {r.stderr!r}')
    for word in words:
        ok(word in r.stderr, f'{what}: {word} is not named in {r.stderr!r}')
    eq((mounts(), daemons()), ([], []), f'{what}: mounts, processes')


def reachable_copy():
    """The program where any user can run it."""
    path = f'{SCRATCH}/copy/{os.path.basename(IPCFS)}'
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy(IPCFS, path)
    os.chmod(path, 0o755)
    return path


def test_no_permission():
    """A user who may not open /dev/fuse, and one who may not mount there."""
    program = reachable_copy()
    check_failed("a user on root's directory", run(MNT, uid=1001, mode='auto', program=program))
    os.makedirs(f'{SCRATCH}/roots', 0o700, exist_ok=True)
    check_failed('a directory a user cannot reach', run(f'{SCRATCH}/roots/x', uid=1001, mode='auto', program=program))


def test_no_device():
    put(f'{SCRATCH}/empty')
    script = 'mount --bind "$SCRATCH/empty" /dev/fuse && exec "$IPCFS" "$MNT"'
    r = subprocess.run(['unshare', '-m', 'sh', '-c', script], capture_output=True, text=True, timeout=BOUND)
    check_failed('no /dev/fuse', r)


def test_help_and_version():
    for flag in ('-h', '--help'):
        r = run(flag, mode=None)
        eq((r.returncode, r.stderr), (0, ''), flag)
        for word in ('usage', 'MOUNTPOINT', '-f', '-d', '-o', 'passthrough', 'max_threads', 'loglevel', '--version'):
            ok(word.lower() in r.stdout.lower(), f'{flag} does not tell about {word}: {r.stdout}')
        ok(re.search(r'passthrough\W.*\b(on|off|not? available|available)\b', r.stdout, re.I),
           f'{flag} does not say which mode of passthrough is on: {r.stdout}')
    for flag in ('-V', '--version'):
        r = run(flag, mode=None)
        eq((r.returncode, r.stderr), (0, ''), flag)
        ok(re.match(r'ipcfs \d+\.\d+', r.stdout), f'{flag}: {r.stdout!r}')
    eq((mounts(), daemons()), ([], []), 'mounts, processes')


def test_background():
    """It returns when the mount answers, lets go of everything of its starter, and each signal ends it."""
    for sig in (signal.SIGTERM, signal.SIGINT):
        for i in range(5 if not ASAN else 2):
            pid = start()
            put(f'{MNT}/shm/x', b'works')
            eq(get(f'{SHM}/x'), b'works', 'content')
            os.unlink(f'{SHM}/x')
            end(pid, sig)


def test_background_is_detached():
    pid = start()
    eq(os.readlink(f'/proc/{pid}/cwd'), '/', 'working directory')
    eq(os.getsid(pid) == os.getsid(0), False, 'own session')
    for fd in (0, 1, 2):
        target = os.readlink(f'/proc/{pid}/fd/{fd}')
        ok(target == '/dev/null' or target.startswith('socket:'), f'descriptor {fd} is {target}')
    end(pid)


def test_umount():
    for command in (['umount', MNT], ['umount', '-l', MNT]):
        start()
        eq(subprocess.run(command, capture_output=True, text=True, timeout=BOUND).stderr, '', ' '.join(command))
        is_gone(' '.join(command))


def test_foreground_statuses():
    for sig in (signal.SIGTERM, signal.SIGINT):
        for flag in ('-f', '-d'):
            with open(f'{SCRATCH}/log', 'wb') as log:
                p = subprocess.Popen([IPCFS, flag, MNT], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            wait_for(lambda: mounts() and 'shm' in os.listdir(MNT), 'the mount')
            p.send_signal(sig)
            eq(p.wait(BOUND), 0, f'status of {flag} after {sig.name}')
            is_gone(f'{flag} {sig.name}')
            log = get(f'{SCRATCH}/log').decode()
            ok(re.search('passthrough.*(on|off)', log), f'the log of {flag} does not tell the mode:\n{log[:2000]}')


def test_umount_in_foreground():
    p = subprocess.Popen([IPCFS, '-f', MNT], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: mounts() and 'shm' in os.listdir(MNT), 'the mount')
    eq(subprocess.run(['umount', MNT], timeout=BOUND).returncode, 0, 'umount')
    eq(p.wait(BOUND), 0, 'status after umount')
    is_gone('umount')


def test_end_while_busy():
    """Open descriptors and running clients do not keep the daemon alive, and no client hangs."""
    pid = start()
    fd = os.open(f'{MNT}/shm/held', os.O_CREAT | os.O_RDWR)

    def client():
        while True:
            if attempt(os.stat, f'{MNT}/shm/held') in ('ENOTCONN', 'ENOENT', 'ECONNABORTED'):
                return 0
    native = os.open(f'{SHM}/held', os.O_RDWR)
    fcntl.flock(native, fcntl.LOCK_EX)

    def waiter():
        got = attempt(fcntl.flock, os.open(f'{MNT}/shm/held', os.O_RDWR), fcntl.LOCK_EX)
        ok(got in ('ENOTCONN', 'ECONNABORTED'), f'who waits for a lock gets {got}')
    clients = [in_child(client) for _ in range(3)] + [in_child(waiter) for _ in range(3)]
    time.sleep(0.1)
    eq(attempt(fcntl.lockf, fd, fcntl.LOCK_EX), None, 'a lock that is held at the end')
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: pid not in daemons(), 'the end with a descriptor open')
    wait_for(lambda: not mounts(), 'the mount is gone')
    for c in clients:
        eq(os.waitpid(c, 0)[1], 0, 'status of a client')
    eq(attempt(os.close, fd), 'ENOTCONN', 'close, which tells the daemon')
    eq(attempt(fcntl.lockf, native, fcntl.LOCK_EX | fcntl.LOCK_NB), None, 'what was locked is free')
    os.close(native)
    os.unlink(f'{SHM}/held')
    is_gone('SIGTERM while busy')


def test_stale_mount_point():
    """After kill -9 the mount point is dead; the next start clears it."""
    for _ in range(3):
        pid = start()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not daemons(), 'the end')
        wait_for(lambda: attempt(os.listdir, MNT) == 'ENOTCONN', 'the mount point is dead')
        pid = start(notice='(ipcfs: [^\n]*\n)?')
        put(f'{MNT}/shm/x', b'again')
        os.unlink(f'{SHM}/x')
        end(pid)


def test_double_mount():
    pid = start()
    for flags in ((), ('-f',)):
        r = run(*flags, MNT)
        ok(r.returncode > 0 and re.fullmatch(r'ipcfs: [^\n]+\n', r.stderr), f'second start: {r}')
        ok(MNT in r.stderr, f'the mount point is not named: {r.stderr}')
        eq((len(mounts()), daemons()), (1, [pid]), 'mounts, processes after the second start')
        ok('shm' in os.listdir(MNT), 'the first mount answers')
    end(pid)


def test_two_mounts_elsewhere():
    """Two daemons at two places show the same objects."""
    other = f'{SCRATCH}/second'
    os.mkdir(other)
    pid = start()
    eq(run(other).returncode, 0, 'second mount')
    put(f'{MNT}/shm/x', b'one')
    eq(get(f'{other}/shm/x'), b'one', 'content')
    os.unlink(f'{other}/shm/x')
    refused('ENOENT', os.stat, f'{MNT}/shm/x')
    second = [p for p in daemons() if p != pid]
    eq(len(second), 1, 'daemons')
    os.kill(second[0], signal.SIGTERM)
    wait_for(lambda: daemons() == [pid], 'the end of the second')
    eq(mounts(other), [], 'second mount')
    end(pid)


def test_mode_in_version():
    kernel = os.uname().release
    for mode, want in (('on', 'on'), ('off', 'off'), ('auto', 'on')):
        pid = start(mode=mode)
        v = version()
        for name in ('version', 'libfuse', 'kernel_protocol', 'passthrough', 'passthrough_reason', 'default_request_timeout',
                     'max_request_timeout', 'threads'):
            ok(v.get(name), f'{name} in ctl/version: {v}')
        eq(v['passthrough'], want, f'passthrough in ctl/version with passthrough={mode} on Linux {kernel}')
        ok(re.fullmatch(r'7\.\d+', v['kernel_protocol']), f'kernel_protocol {v["kernel_protocol"]}')
        for name in ('default_request_timeout', 'max_request_timeout'):
            path = f'/proc/sys/fs/fuse/{name}'
            if os.path.exists(path):
                eq(v[name].split()[0], get(path).decode().strip(), name)
        ok(run('--version', mode=None).stdout.split()[1] == v['version'], f'--version and ctl/version {v["version"]}')
        end(pid)


def test_mount_options():
    pid = start('-o', 'fsname=odd name,noexec,nosuid,nodev,max_threads=1,loglevel=debug')
    (m,) = mounts()
    eq(m[m.index('-') + 2], r'odd\040name', 'source')
    ok(m[m.index('-') + 1].startswith('fuse'), 'type')
    ok({'noexec', 'nosuid', 'nodev'} <= set(m[5].split(',')), f'flags {m[5]}')
    ok({'allow_other', 'default_permissions'} <= set(m[-1].split(',')), f'options {m[-1]}')
    put(f'{MNT}/shm/x', b'one thread')
    eq(get(f'{SHM}/x'), b'one thread', 'content')
    os.unlink(f'{SHM}/x')
    end(pid)
    put(f'{SHM}/y', b'read only')
    pid = start('-o', 'ro')
    eq(get(f'{MNT}/shm/y'), b'read only', 'content')
    refused('EROFS', os.open, f'{MNT}/shm/y', os.O_RDWR)
    refused('EROFS', os.unlink, f'{MNT}/shm/y')
    refused('EROFS', os.open, f'{MNT}/shm/z', os.O_RDWR | os.O_CREAT)
    end(pid)
    os.unlink(f'{SHM}/y')
    pid = start()
    flags = set(mounts()[0][5].split(','))
    ok(not {'noexec', 'ro'} & flags, f'flags without options: {flags}')
    end(pid)


def test_relative_mount_point():
    here = os.getcwd()
    os.chdir(os.path.dirname(MNT))
    try:
        r = run(os.path.basename(MNT))
        eq((r.returncode, r.stderr), (0, ''), 'start with a relative mount point')
        end(daemons()[0])
        r = run(os.path.basename(MNT) + '/')
        eq((r.returncode, len(mounts())), (0, 1), 'start with a trailing slash')
        end(daemons()[0])
    finally:
        os.chdir(here)


def use_as_a_user(mountpoint, uid, gid):
    """As a user: what he makes is his, natively and through his own mount."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    put(f'{mountpoint}/shm/mine', b'mine')
    st = os.stat(f'{SHM}/mine')
    eq((st.st_uid, st.st_gid, st.st_size), (uid, gid, 4), 'the object')
    eq(get(f'{mountpoint}/shm/mine'), b'mine', 'content')
    refused('EACCES', os.open, f'{mountpoint}/shm/roots', os.O_RDONLY)
    os.unlink(f'{mountpoint}/shm/mine')


def test_unprivileged_user():
    """With fusermount3 a user mounts for himself: no passthrough, his rights only, ended by SIGTERM and fusermount3 -u."""
    ok(shutil.which('fusermount3'), 'fusermount3 is missing (Debian: fuse3)')
    os.mknod(f'{SCRATCH}/fuse', stat.S_IFCHR | 0o666, os.makedev(10, 229))
    os.chmod(f'{SCRATCH}/fuse', 0o666)
    subprocess.run(['mount', '--bind', f'{SCRATCH}/fuse', '/dev/fuse'], check=True)
    where = f'{SCRATCH}/users'
    os.mkdir(where)
    nobody = pwd.getpwnam('nobody')  # fusermount3 wants a user with a name
    uid, gid = nobody.pw_uid, nobody.pw_gid
    os.chown(where, uid, gid)
    put(f'{SHM}/roots', b'', 0o600)
    program = reachable_copy()
    try:
        r = run(where, uid=uid, gid=gid, mode='on', program=program)
        check_failed('passthrough=on for a user', r, ('passthrough',))
        for finish in ('SIGTERM', 'fusermount3'):
            r = run(where, uid=uid, gid=gid, mode='auto', program=program)
            eq((r.returncode, r.stdout, r.stderr), (0, '', ''), 'start by a user')
            (m,) = mounts(where)
            ok(f'user_id={uid}' in m[-1] and 'allow_other' not in m[-1] and 'default_permissions' in m[-1], f'options {m[-1]}')
            pid, = daemons()
            eq(os.stat(f'/proc/{pid}').st_uid, uid, 'uid of the daemon')
            eq(os.waitpid(in_child(use_as_a_user, where, uid, gid), 0)[1], 0, 'what the user does')
            if finish == 'SIGTERM':
                os.kill(pid, signal.SIGTERM)
            else:
                r = subprocess.run(['fusermount3', '-u', where], user=uid, group=gid, extra_groups=[], capture_output=True,
                                   text=True, timeout=BOUND)
                eq((r.returncode, r.stderr), (0, ''), 'fusermount3 -u')
            wait_for(lambda: not daemons(), f'{finish}: the end of the daemon')
            eq(mounts(where), [], f'{finish}: mounts')
    finally:
        subprocess.run(['umount', '-l', '/dev/fuse'], check=True)


def end_all():
    """A failed test must not leave its daemons and mounts to the next one."""
    for pid in daemons():
        os.kill(pid, signal.SIGKILL)
    for where in [f'{SCRATCH}/second', f'{SCRATCH}/users', SCRATCH, MNT]:
        while mounts(where):
            subprocess.run(['umount', '-l', where], check=True)


main(globals(), end_all, about_daemon=True)
