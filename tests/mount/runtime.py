# SPDX-License-Identifier: MIT
"""The runtime directory: what it keeps over an end of the daemon, whatever that is, and what may stand in its way."""
import ctypes
import json
import os
import pwd
import re
import select
import shutil
import signal
import socket
import stat
import subprocess

from daemons import BOUND, IPCFS, Daemon, end_daemons
from mounttest import MNT, SCRATCH, SHM, attempt, eq, fields, get, in_child, join, main, ok, put, refused
from queues import IPC_CREAT, IPC_RMID, check, libc
from twins import PIPE, SOCK, Thread, wait_until

RUN = '/run/ipcfs'
HERE = RUN + '/' + MNT.strip('/').replace('/', '-')
RW, NB = os.O_RDWR, os.O_NONBLOCK


def mode(path):
    return oct(stat.S_IMODE(os.lstat(path).st_mode))


def log():
    return get(f'{SCRATCH}/log').decode()


def version():
    return dict(l.split(': ', 1) for l in get(f'{MNT}/ctl/version').decode().splitlines())


def end(daemon, sig=signal.SIGTERM):
    daemon.process.send_signal(sig)
    if sig == signal.SIGKILL:
        daemon.process.wait(BOUND)
        subprocess.run(['umount', '-l', MNT], check=True)
    else:
        eq(daemon.ended(), 0, 'status')


def left_out(daemon, why, base=''):
    """The kinds of nodes are not there, it is said why, and the rest works."""
    eq(version()['left_out'], f'pipe ({why}), sock ({why})', 'left out')
    said = '.*' if base is None else f'no runtime directory {re.escape(base)}.*: {why}'
    wait_until(lambda: re.search(said, log()), f'the log says {said}')
    eq({'pipe', 'sock'} & set(os.listdir(MNT)), set(), 'kinds that are left out')
    eq({'pipe', 'sock'} & set(os.listdir(MNT + '/ctl')), set(), 'kinds that are left out, in ctl/')
    refused('ENOENT', os.mkfifo, PIPE + '/p')
    put(MNT + '/shm/x', b'works')
    eq(get(SHM + '/x'), b'works', 'the rest')
    os.unlink(SHM + '/x')
    end(daemon)


def bind(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen()
    return s


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect(path)
    except OSError:
        s.close()
        raise
    return s


# ---- what it is ----

def test_modes():
    for umask in (0o22, 0o77, 0):
        shutil.rmtree(RUN, ignore_errors=True)
        os.umask(umask)
        d = Daemon()
        os.umask(0o22)
        got = {name: mode(f'{HERE}/{name}') for name in ('..', '.', 'nodes', 'nodes/pipe', 'nodes/sock', 'listen')}
        eq(got, {'..': '0o711', '.': '0o711', 'nodes': '0o700', 'nodes/pipe': '0o1777', 'nodes/sock': '0o1777',
                 'listen': '0o711'}, f'modes, umask {umask:o}')
        eq({os.lstat(f'{HERE}/{n}').st_uid for n in ('..', '.', 'nodes', 'nodes/pipe', 'listen')}, {0}, 'owners')
        end(d)
    for name in ('nodes', 'nodes/pipe', 'nodes/sock', 'listen'):
        os.chmod(f'{HERE}/{name}', 0o777)
    d = Daemon()
    eq([mode(f'{HERE}/{n}') for n in ('nodes', 'nodes/pipe', 'listen')], ['0o700', '0o1777', '0o711'], 'modes put right')
    os.mkfifo(PIPE + '/p')
    os.chmod(PIPE + '/p', 0o666)

    def user():
        os.setresuid(1001, 1001, 1001)
        for name in ('nodes/pipe/p', 'nodes/pipe', 'nodes', 'listen', '.'):
            refused('EACCES', os.open, f'{HERE}/{name}', os.O_RDONLY | NB)
        os.close(os.open(PIPE + '/p', RW))
    join([in_child(user)], 'what a user reaches natively')
    os.unlink(PIPE + '/p')
    end(d)


def test_starts_without_a_word():
    """In the background, too: nothing to say."""
    r = subprocess.run([IPCFS, MNT], capture_output=True, text=True, timeout=BOUND, stdin=subprocess.DEVNULL)
    eq((r.returncode, r.stdout, r.stderr), (0, '', ''), 'start')
    ok({'pipe', 'sock'} <= set(os.listdir(MNT)), 'kinds')
    eq(version()['left_out'], 'nothing', 'left out')
    subprocess.run(['umount', MNT], check=True)
    wait_until(lambda: not attempt(os.listdir, MNT), 'the end')


# ---- what it keeps ----

def populate():
    os.mkfifo(PIPE + '/roots', 0o600)
    os.link(PIPE + '/roots', PIPE + '/link')
    for uid in (1001, 1002):
        os.mkfifo(f'{PIPE}/of {uid}', 0o640)
        os.chown(f'{PIPE}/of {uid}', uid, uid + 1000)
    os.mkfifo(os.fsencode(PIPE) + b'/\xff\n', 0o666)
    bind(SOCK + '/socket').close()
    os.chmod(SOCK + '/socket', 0o750)
    os.chown(SOCK + '/socket', 1001, 2001)
    put(SOCK + '/file', b'content', 0o620)
    os.chown(SOCK + '/file', 1002, 2002)
    for i, path in enumerate((PIPE + '/roots', PIPE + '/of 1001', SOCK + '/socket')):
        os.utime(path, ns=(10**18 + i, 2 * 10**18 + i))


def births(where):
    return subprocess.run(['stat', '--printf', '%W %w\n', *(os.fsencode(where) + b'/' + n for n in sorted(os.listdir(
        os.fsencode(where))))], capture_output=True, check=True).stdout


def picture():
    content = get(SOCK + '/file')
    names = [os.fsencode(w) + b'/' + n for w in (PIPE, SOCK) for n in sorted(os.listdir(os.fsencode(w)))]
    listed = {e.name: e.inode() for w in (PIPE, SOCK) for e in os.scandir(w)}
    all_fields = ('st_ino', 'st_mode', 'st_nlink', 'st_uid', 'st_gid', 'st_size', 'st_atime_ns', 'st_mtime_ns', 'st_ctime_ns')
    return {n: fields(os.lstat(n), all_fields) for n in names}, births(PIPE), births(SOCK), listed, content


def test_restart():
    """Names, owners, modes, times, inode numbers, contents: as before, however the daemon ended."""
    d = Daemon()
    populate()
    before = picture()
    eq(len(before[0]), 7, 'names')
    for how in (signal.SIGTERM, signal.SIGKILL, 'umount'):
        if how == 'umount':
            subprocess.run(['umount', MNT], check=True)
            eq(d.process.wait(BOUND), 0, 'status')
        else:
            end(d, how)
        d = Daemon()
        for now, then in zip(picture(), before):
            differs = {k: v for k, v in now.items() if then.get(k) != v} if isinstance(now, dict) else now
            eq(now, then, f'what is there after {how}: {differs}')
    for path in (b'/roots', b'/link', b'/of 1001', b'/of 1002', b'/\xff\n'):
        os.unlink(os.fsencode(PIPE) + path)
    os.unlink(SOCK + '/socket')
    os.unlink(SOCK + '/file')
    end(d)
    d = Daemon()
    eq((os.listdir(PIPE), os.listdir(SOCK)), ([], []), 'what is removed stays so')
    end(d)


def test_open_pipes_outlive_the_daemon():
    for how in (signal.SIGTERM, signal.SIGKILL):
        d = Daemon()
        os.mkfifo(PIPE + '/p')
        r, w = os.open(PIPE + '/p', os.O_RDONLY | NB), os.open(PIPE + '/p', os.O_WRONLY | NB)
        os.mkfifo(PIPE + '/q')
        other = os.open(PIPE + '/q', RW)
        waiter = Thread(os.read, other, 100)
        os.write(w, b'before ')
        end(d, how)
        os.write(w, b'after')
        eq(os.read(r, 100), b'before after', f'data over {how}')
        os.write(other, b'for the waiter')
        eq(waiter.result('a read that waits over the end'), b'for the waiter', 'data')
        p = select.poll()
        p.register(r)
        eq(p.poll(0), [], 'nothing to read')
        os.write(w, b'x' * 5000)
        d = Daemon()
        new = os.open(PIPE + '/p', RW | NB)
        os.write(new, b'new')
        eq((os.read(new, 100), len(os.read(r, 10000))), (b'new', 5000), 'after a remount: a new pipe, and the old one')
        os.close(w)
        eq(os.read(r, 1), b'', 'the end of the old one')
        for fd in (r, other, new):
            os.close(fd)
        os.unlink(PIPE + '/p')
        os.unlink(PIPE + '/q')
        end(d)


def test_connections_outlive_the_daemon():
    for how in (signal.SIGTERM, signal.SIGKILL):
        d = Daemon()
        server = bind(SOCK + '/s')
        c = connect(SOCK + '/s')
        s, _ = server.accept()
        end(d, how)
        c.send(b'still there')
        eq(s.recv(100), b'still there', f'data over {how}')
        refused('ENOENT', connect, SOCK + '/s')
        d = Daemon()
        refused('ECONNREFUSED', connect, SOCK + '/s')
        refused('EADDRINUSE', bind, SOCK + '/s')
        os.unlink(SOCK + '/s')
        again = bind(SOCK + '/s')
        connect(SOCK + '/s').close()
        for x in (server, c, s, again):
            x.close()
        os.unlink(SOCK + '/s')
        end(d)


# ---- whose it is ----

def test_second_start_at_the_same_mount_point():
    d = Daemon()
    os.mkfifo(PIPE + '/p')
    for flags in ((), ('-f',)):
        r = subprocess.run([IPCFS, *flags, MNT], capture_output=True, text=True, timeout=BOUND, stdin=subprocess.DEVNULL)
        ok(r.returncode > 0 and re.fullmatch(r'ipcfs: [^\n]+\n', r.stderr), f'second start: {r}')
    os.unlink(PIPE + '/p')
    end(d)


def test_runtime_directory_in_use():
    """The same mount point in another mount namespace: two daemons can not have one directory."""
    d = Daemon()
    os.mkfifo(PIPE + '/p')
    script = f'''umount {MNT}; "$IPCFS" -f {MNT} 2> {SCRATCH}/second & pid=$!
        for i in $(seq 300); do [ -e {MNT}/ctl/version ] && break; sleep 0.02; done
        grep left_out {MNT}/ctl/version; ls -x {MNT}; mkfifo {PIPE}/second
        echo works > {MNT}/shm/x; cat {SHM}/x; rm {MNT}/shm/x
        kill $pid; wait $pid; echo "status $?"'''
    r = subprocess.run(['unshare', '-m', 'bash', '-c', script], capture_output=True, text=True, timeout=2 * BOUND)
    ok(re.search(r'^left_out: pipe \(Device or resource busy\), sock \(Device or resource busy\)$', r.stdout, re.M), f'{r}')
    told, tree, content, status = r.stdout.splitlines()
    ok('shm' in tree and 'pipe' not in tree and 'sock' not in tree, f'the tree of the second: {tree}')
    eq((content, status), ('works', 'status 0'), 'what works, and its end')
    ok(f'{HERE}: Device or resource busy\n' in get(f'{SCRATCH}/second').decode(), 'what its log says')
    eq(os.listdir(PIPE), ['p'], 'the first has all its own')
    os.unlink(PIPE + '/p')
    end(d)


def test_two_mounts():
    """Each mount point has pipes and sockets of its own."""
    names = ['a-b', 'a/b', 'ä b', '.x', 'a\\b', 'x' * 100]
    places = [f'{SCRATCH}/{n}' for n in names]
    running = []
    for place in places:
        os.makedirs(place, exist_ok=True)
        running.append(subprocess.Popen([IPCFS, '-f', place], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_until(lambda p=place: os.path.isdir(f'{p}/pipe'), f'the mount at {place}')
    fds = []
    for i, place in enumerate(places):
        os.mkfifo(f'{place}/pipe/p', 0o600 + i)
        fds.append(os.open(f'{place}/pipe/p', RW | NB))
        os.write(fds[-1], place.encode())
    for fd, place in zip(fds, places):
        eq(os.read(fd, 1000), place.encode(), 'content')
        eq(os.listdir(f'{place}/pipe'), ['p'], 'names')
        os.unlink(f'{place}/pipe/p')
        os.close(fd)
    for p in running:
        p.terminate()
        eq(p.wait(BOUND), 0, 'status')
    eq(len(os.listdir(RUN)), len(names), f'directories: {os.listdir(RUN)}')


def test_bind_mount():
    """The same mount at another place is the same pipe."""
    d = Daemon()
    other = f'{SCRATCH}/other'
    os.mkdir(other)
    subprocess.run(['mount', '--bind', PIPE, other], check=True)
    os.mkfifo(PIPE + '/p')
    a, b = os.open(PIPE + '/p', RW | NB), os.open(other + '/p', RW | NB)
    os.write(a, b'one pipe')
    eq(os.read(b, 100), b'one pipe', 'content')
    os.close(a)
    os.close(b)
    os.unlink(other + '/p')
    subprocess.run(['umount', other], check=True)
    end(d)


# ---- -o runtime= ----

def test_chosen_directory():
    """One that is there stays as it is; one that is missing is made."""
    for had in (0o755, 0o1777, 0o700, None):
        base = f'{SCRATCH}/base'
        if had is not None:
            os.mkdir(base)
            os.chmod(base, had)
        d = Daemon('-o', f'runtime={base}')
        eq(version()['left_out'], 'nothing', f'left out with a base of mode {had}')
        eq(mode(base), oct(had or 0o711), 'mode of the base')
        os.mkfifo(PIPE + '/p', 0o640)
        ok(os.path.exists(f'{base}/{os.path.basename(HERE)}/nodes/pipe/p'), 'the node')
        end(d)
        d = Daemon('-o', f'runtime={base}')
        eq((mode(PIPE + '/p'), mode(base)), ('0o640', oct(had or 0o711)), 'modes after a restart')
        end(d)
        shutil.rmtree(base)


def test_unsafe_directory():
    """Where others could put something in its place, it is not used."""
    base = f'{SCRATCH}/base'
    for uid, had in ((0, 0o777), (0, 0o775), (1001, 0o755)):
        os.mkdir(base)
        os.chmod(base, had)
        os.chown(base, uid, 0)
        left_out(Daemon('-o', f'runtime={base}'), 'Operation not permitted', base)
        eq((mode(base), os.stat(base).st_uid, os.listdir(base)), (oct(had), uid, []), 'what was there')
        shutil.rmtree(base)


def test_impossible_directory():
    put(f'{SCRATCH}/file', b'')
    os.symlink(SCRATCH, f'{SCRATCH}/link')
    no = 'Not a directory'
    for base, word in (('missing/parent', 'No such file or directory'), ('file', no), ('file/x', no), ('link', no),
                       ('x' * 300, 'File name too long')):
        left_out(Daemon('-o', f'runtime={SCRATCH}/{base}'), word)
    r = subprocess.run([IPCFS, '-o', 'runtime=relative', MNT], capture_output=True, text=True, timeout=BOUND)
    ok(r.returncode > 0 and re.fullmatch(r'ipcfs: [^\n]*runtime=relative[^\n]*\n', r.stderr), f'a relative path: {r}')
    os.unlink(f'{SCRATCH}/file')
    os.unlink(f'{SCRATCH}/link')


def test_long_mount_point():
    """Its name does not fit: pipes and sockets are left out."""
    place = SCRATCH + ('/' + 'y' * 120) * 3
    os.makedirs(place)
    p = subprocess.Popen([IPCFS, '-f', place], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: os.path.isdir(f'{place}/shm'), 'the mount')
    ok(b'pipe (File name too long)' in get(f'{place}/ctl/version'), 'left out')
    p.terminate()
    eq(p.wait(BOUND), 0, 'status')


# ---- what stands in its way ----

def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def test_planted():
    """Links, files and directories of others in place of its own: not followed, not taken."""
    trap = f'{SCRATCH}/trap'
    shutil.rmtree(RUN, ignore_errors=True)
    cases = {
        RUN: 'link file foreign', HERE: 'link file foreign', f'{HERE}/nodes': 'link file foreign',
    }
    for path, hows in cases.items():
        for how in hows.split():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.makedirs(trap, exist_ok=True)
            if how == 'link':
                os.symlink(trap, path)
            elif how == 'file':
                put(path, b'')
            else:
                os.mkdir(path)
                os.chown(path, 1001, 1001)
            left_out(Daemon(), 'Operation not permitted' if how == 'foreign' else 'Not a directory', None)
            eq(os.listdir(trap), [], f'what a link at {path} leads to')
            if how == 'foreign':
                eq((os.stat(path).st_uid, os.listdir(path)), (1001, []), 'what was there')
            remove(RUN)
    for kind in ('pipe', 'sock'):
        os.makedirs(f'{HERE}/nodes')
        os.symlink(trap, f'{HERE}/nodes/{kind}')
        d = Daemon()
        eq(version()['left_out'], f'{kind} (Not a directory)', 'left out')
        eq({'pipe', 'sock'} & set(os.listdir(MNT)), {'pipe', 'sock'} - {kind}, 'the other kind is there')
        end(d)
        shutil.rmtree(RUN)


def test_foreign_nodes():
    """What the administrator puts there and is no object does not show, and is not opened."""
    d = Daemon()
    for kind, makes in (('pipe', stat.S_IFREG), ('sock', stat.S_IFIFO)):
        native = f'{HERE}/nodes/{kind}'
        os.mknod(native + '/device', stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.symlink('/etc/passwd', native + '/link')
        os.mknod(native + '/other', makes | 0o666)
        eq(os.listdir(f'{MNT}/{kind}'), [], f'names in {kind}/')
        for name in ('device', 'link', 'other'):
            refused('ENOENT', os.lstat, f'{MNT}/{kind}/{name}')
            refused('ENOENT', os.unlink, f'{MNT}/{kind}/{name}')
            refused('EEXIST', os.mknod, f'{MNT}/{kind}/{name}', stat.S_IFIFO if kind == 'pipe' else stat.S_IFSOCK)
            os.unlink(f'{native}/{name}')
    os.mkfifo(PIPE + '/p')
    os.mkfifo(SCRATCH + '/p')
    subprocess.run(['mount', '--bind', SCRATCH + '/p', f'{HERE}/nodes/pipe/p'], check=True)
    eq(attempt(os.open, PIPE + '/p', RW), 'ENOENT', 'a node that something is mounted on')
    subprocess.run(['umount', f'{HERE}/nodes/pipe/p'], check=True)
    os.close(os.open(PIPE + '/p', RW))
    os.chmod(f'{HERE}/nodes/pipe/p', 0o604)
    os.mkfifo(f'{HERE}/nodes/pipe/native', 0o600)
    eq((mode(PIPE + '/p'), sorted(os.listdir(PIPE))), ('0o604', ['native', 'p']), 'what is changed natively is seen at once')
    os.unlink(f'{HERE}/nodes/pipe/p')
    refused('ENOENT', os.open, PIPE + '/p', RW)
    os.unlink(PIPE + '/native')
    end(d)


def test_overlay():
    """On an overlayfs whose files have another device than its directories, as a container's /run may be."""
    over = f'{SCRATCH}/over'
    for name in ('lower', 'upper'):
        os.makedirs(f'{over}/{name}')
        subprocess.run(['mount', '-t', 'tmpfs', 'none', f'{over}/{name}'], check=True)
    for name in ('upper/files', 'upper/work', 'merged'):
        os.mkdir(f'{over}/{name}')
    options = f'xino=off,lowerdir={over}/lower,upperdir={over}/upper/files,workdir={over}/upper/work'
    subprocess.run(['mount', '-t', 'overlay', '-o', options, 'none', f'{over}/merged'], check=True)
    base = f'{over}/merged/run'
    d = Daemon('-o', f'runtime={base}')
    os.mkfifo(PIPE + '/p', 0o640)
    node = f'{base}/{os.path.basename(HERE)}/nodes/pipe/p'
    ok(os.stat(node).st_dev != os.stat(os.path.dirname(node)).st_dev, 'two devices')
    os.close(os.open(PIPE + '/p', RW))
    server = bind(SOCK + '/s')
    connect(SOCK + '/s').close()
    server.close()
    end(d)
    d = Daemon('-o', f'runtime={base}')
    eq((os.listdir(PIPE), mode(PIPE + '/p'), os.listdir(SOCK)), (['p'], '0o640', ['s']), 'after a restart')
    os.unlink(PIPE + '/p')
    os.unlink(SOCK + '/s')
    end(d)
    subprocess.run(['umount', f'{over}/merged', f'{over}/lower', f'{over}/upper'], check=True)


def test_no_run():
    """/run read-only, not there, or full."""
    shutil.rmtree(RUN, ignore_errors=True)
    subprocess.run(['mount', '-o', 'remount,ro', '/run'], check=True)
    left_out(Daemon(), 'Read-only file system', RUN)
    subprocess.run(['mount', '-o', 'remount,rw', '/run'], check=True)
    d = Daemon()
    subprocess.run(['mount', '-o', 'remount,ro', '/run'], check=True)
    refused('EROFS', os.mkfifo, PIPE + '/p')
    refused('EROFS', bind, SOCK + '/s')
    refused('EROFS', os.open, SOCK + '/f', RW | os.O_CREAT)
    subprocess.run(['mount', '-o', 'remount,rw,nr_inodes=60', '/run'], check=True)
    made = 0
    while attempt(os.mkfifo, f'{PIPE}/{made}') is None:
        made += 1
    ok(10 < made < 60, f'{made} pipes')
    refused('ENOSPC', os.mkfifo, PIPE + '/p')
    refused('ENOSPC', bind, SOCK + '/s')
    os.unlink(PIPE + '/0')
    os.mkfifo(PIPE + '/p')
    os.unlink(PIPE + '/p')
    for i in range(1, made):
        os.unlink(f'{PIPE}/{i}')
    subprocess.run(['mount', '-o', 'remount,nr_inodes=100000', '/run'], check=True)
    end(d)


def test_directory_lost():
    """As at a reboot of what keeps /run, or by an administrator's rm -rf: clear errors, and the next mount has it again."""
    for what in (RUN, HERE, f'{HERE}/nodes', f'{HERE}/nodes/pipe'):
        d = Daemon()
        os.mkfifo(PIPE + '/p')
        os.mkfifo(PIPE + '/q')
        fd = os.open(PIPE + '/p', RW | NB)
        server = bind(SOCK + '/s')
        put(SOCK + '/file', b'content')
        held = os.open(SOCK + '/file', RW)
        shutil.rmtree(what)
        os.write(fd, b'goes on')
        eq(os.read(fd, 100), b'goes on', 'an open pipe')
        for fn in (os.stat, os.unlink, os.mkfifo, lambda p: os.open(p, RW), lambda p: os.rename(p, p + 'x')):
            refused('ENOENT', fn, PIPE + '/p')
        refused('ENOENT', os.mkfifo, PIPE + '/new')
        eq(os.listdir(PIPE), [], 'names')
        if not what.endswith('pipe'):
            refused('ENOENT', bind, SOCK + '/new')
            refused('ENOENT', connect, SOCK + '/s')
            refused('ENOENT', os.open, SOCK + '/new', RW | os.O_CREAT)
            refused('ENOENT', os.mkdir, SOCK + '/directory')
            eq((os.pread(held, 10, 0), os.listdir(SOCK)), (b'content', []), 'an open file')
        get(MNT + '/ctl/metrics')
        end(d)
        os.close(fd)
        refused('ENOTCONN', os.close, held)
        server.close()
        d = Daemon()
        eq(version()['left_out'], 'nothing', 'left out at the next mount')
        os.mkfifo(PIPE + '/p')
        os.unlink(PIPE + '/p')
        for name in os.listdir(SOCK):
            os.unlink(f'{SOCK}/{name}')
        end(d)


# ---- mount options, ordinary users ----

def test_read_only_mount():
    d = Daemon()
    os.mkfifo(PIPE + '/p')
    end(d)
    d = Daemon('-o', 'ro')
    refused('EROFS', os.mkfifo, PIPE + '/new')
    refused('EROFS', os.unlink, PIPE + '/p')
    refused('EROFS', bind, SOCK + '/s')
    fd = os.open(PIPE + '/p', RW)
    os.write(fd, b'data')
    eq(os.read(fd, 9), b'data', 'a pipe of a mount that is read-only')
    os.close(fd)
    end(d)
    d = Daemon('-o', 'nodev,nosuid,noexec')
    os.close(os.open(PIPE + '/p', RW))
    os.unlink(PIPE + '/p')
    end(d)


def use_pipes_and_sockets(where):
    os.mkfifo(f'{where}/pipe/p', 0o600)
    fd = os.open(f'{where}/pipe/p', RW)
    os.write(fd, b'mine')
    eq((os.read(fd, 9), os.fstat(fd).st_uid), (b'mine', os.getuid()), 'a pipe')
    s = bind(f'{where}/sock/s')
    connect(f'{where}/sock/s').close()
    s.close()
    os.unlink(f'{where}/sock/s')


def test_ordinary_user():
    """His runtime directory is in XDG_RUNTIME_DIR."""
    os.mknod(f'{SCRATCH}/fuse', stat.S_IFCHR | 0o666, os.makedev(10, 229))
    os.chmod(f'{SCRATCH}/fuse', 0o666)
    subprocess.run(['mount', '--bind', f'{SCRATCH}/fuse', '/dev/fuse'], check=True)
    nobody = pwd.getpwnam('nobody')
    where, xdg, program = f'{SCRATCH}/users', f'{SCRATCH}/xdg', f'{SCRATCH}/{os.path.basename(IPCFS)}'
    for d in (where, xdg):
        os.mkdir(d, 0o700)
        os.chown(d, nobody.pw_uid, nobody.pw_gid)
    shutil.copy(IPCFS, program)
    os.chmod(program, 0o755)
    try:
        for runtime in (xdg, None, 'relative'):
            env = {k: v for k, v in os.environ.items() if k != 'XDG_RUNTIME_DIR'}
            if runtime:
                env['XDG_RUNTIME_DIR'] = runtime
            r = subprocess.run([program, where], user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], capture_output=True,
                               text=True, timeout=BOUND, stdin=subprocess.DEVNULL, env=env)
            eq((r.returncode, r.stdout, r.stderr), (0, '', ''), 'start by a user')

            def user():
                os.setgroups([])
                os.setresgid(nobody.pw_gid, nobody.pw_gid, nobody.pw_gid)
                os.setresuid(nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)
                eq(os.path.isdir(f'{where}/pipe'), runtime == xdg, f'there is pipe/ with {runtime}')
                if runtime == xdg:
                    use_pipes_and_sockets(where)
                    ok(os.path.exists(f'{xdg}/ipcfs/mnt-scratch-users/nodes/pipe/p'), 'the node')
                    os.unlink(f'{where}/pipe/p')
            join([in_child(user)], 'what the user does')
            subprocess.run(['fusermount3', '-u', where], user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], check=True)
    finally:
        subprocess.run(['umount', '-l', '/dev/fuse'], check=True)


# ---- which daemons there were ----

def make_segments(uid, told):
    """One through the mount and one natively, by a process of that user, which goes on."""
    os.setresuid(uid, uid, uid)
    with open(f'{MNT}/ctl/sysv/shm/create', 'w') as f:
        f.write('0x77 size=4096\n')
    check(libc.shmget(0x78, ctypes.c_size_t(4096), IPC_CREAT | 0o600), 'shmget')
    os.write(told, b'x')
    while True:
        signal.pause()


def segments():
    """By key, the creator's state and the verdict."""
    keys = {l.split()[1]: int(l.split()[0]) for l in get('/proc/sysvipc/shm').decode().splitlines()[1:]}
    rows = json.loads(get(f'{MNT}/ctl/orphans.json'))
    return {keys[r['name']]: (r['creator_state'], r['verdict']) for r in rows if r['kind'] == 'sysv/shm'}


def start_again(daemon):
    end(daemon, signal.SIGKILL)
    return Daemon()


def test_made_by_a_daemon_that_ended():
    """It is not told to be safe: it was made for somebody, who may live."""
    daemon = Daemon()
    out, into = os.pipe()
    maker = in_child(make_segments, 4321, into)
    os.read(out, 1)
    os.close(out)
    os.close(into)
    try:
        alive = {0x77: ('unknown', 'unknown'), 0x78: ('alive', 'unknown')}
        eq(segments(), alive, 'of a daemon that lives')
        daemon = start_again(start_again(daemon))
        eq(len(get(f'{HERE}/daemons').splitlines()), 4, 'lines of the record')
        eq(mode(f'{HERE}/daemons'), '0o600', 'its mode')
        eq(segments(), alive, 'of one that was killed')
        os.rename(HERE, f'{RUN}/other')
        daemon = start_again(daemon)
        eq(segments(), alive, 'of one that had another mount')
    finally:
        os.kill(maker, signal.SIGKILL)
        os.waitpid(maker, 0)
    wait_until(lambda: segments()[0x77][1] == 'likely', 'the user is gone')
    gone = {0x77: ('gone', 'likely'), 0x78: ('dead', 'safe')}
    eq(segments(), gone, 'when its maker has ended')
    record = get(f'{RUN}/other/daemons')
    for what, planted in (('another boot', record.swapcase()[::-1]), ('a boot', record[:37]), ('nothing', b''), ('noise', b'\0\xff\n' * 9999)):
        put(f'{RUN}/other/daemons', planted)
        eq(segments()[0x77], ('dead', 'safe'), f'with the record of {what}')
    put(f'{RUN}/other/daemons', record + b'\n' * 65536)
    eq(segments(), {0x77: ('gone', 'likely'), 0x78: ('gone', 'likely')}, 'with a record that is full')
    put(f'{RUN}/other/daemons', record)
    os.chown(f'{RUN}/other/daemons', 4321, 4321)
    eq(segments()[0x77], ('dead', 'safe'), "with another user's record")
    os.unlink(f'{RUN}/other/daemons')
    os.mkfifo(f'{RUN}/other/daemons')
    os.symlink('/dev/zero', f'{RUN}/link')
    eq(segments()[0x77], ('dead', 'safe'), 'with a FIFO')
    for key in (0x77, 0x78):
        check(libc.shmctl(check(libc.shmget(key, ctypes.c_size_t(0), 0), 'shmget'), IPC_RMID, None), 'IPC_RMID')
    end(daemon)


def test_record_begins_anew():
    """After a boot; and what cannot be written is said, and makes nothing safe."""
    daemon = Daemon()
    end(daemon)
    boot = get('/proc/sys/kernel/random/boot_id')
    put(f'{HERE}/daemons', b'0' * 36 + b'\n1\n2\n')
    daemon = Daemon()
    eq(get(f'{HERE}/daemons'), boot + b'%d\n' % daemon.process.pid, 'the record')
    end(daemon)
    os.unlink(f'{HERE}/daemons')
    os.mkdir(f'{HERE}/daemons')
    daemon = Daemon()
    wait_until(lambda: f'{HERE}/daemons cannot be written: Is a directory' in log(), 'the log')
    join([in_child(lambda: check(libc.shmget(0x78, ctypes.c_size_t(4096), IPC_CREAT | 0o600), 'shmget') and 0)], 'shmget')
    eq(segments()[0x78][1], 'unknown', 'without a record')
    check(libc.shmctl(check(libc.shmget(0x78, ctypes.c_size_t(0), 0), 'shmget'), IPC_RMID, None), 'IPC_RMID')
    end(daemon)


def clean():
    end_daemons()
    for what in ('base', 'users', 'xdg'):
        subprocess.run(['umount', '-l', f'{SCRATCH}/{what}'], stderr=subprocess.DEVNULL)
        shutil.rmtree(f'{SCRATCH}/{what}', ignore_errors=True)
    subprocess.run(['mount', '-o', 'remount,rw', '/run'], check=True)
    shutil.rmtree(RUN, ignore_errors=True)


main(globals(), clean, about_daemon=True)
