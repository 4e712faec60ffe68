# SPDX-License-Identifier: MIT
"""What others plant in the world-writable tmpfs is not shown, not followed, not opened: only regular files exist."""
import ctypes
import os
import select
import socket
import stat
import struct
import subprocess
import time

from mounttest import (CTL, LONG, SCRATCH, SHM, TREE, User, attempt, clean, daemon_only, eq, get, in_child, main, ok, put,
                       refused)

libc = ctypes.CDLL(None, use_errno=True)
IN_ACCESS, IN_MODIFY, IN_ATTRIB, IN_OPEN = 1, 2, 4, 0x20
SECRET, ZERO = f'{SCRATCH}/secret', f'{SCRATCH}/zero'
ODD = ('link-out', 'link-in', 'link-dangling', 'link-dir', 'link-device', 'fifo', 'socket', 'device', 'block', 'directory')


class Watch:
    """Sees every open, read, write and change of the files it watches, whoever makes it."""

    def __init__(self, *paths, mask=IN_OPEN | IN_ACCESS | IN_MODIFY | IN_ATTRIB):
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self.paths = {}
        for p in paths:
            wd = libc.inotify_add_watch(self.fd, p.encode(), mask | 0x02000000)  # IN_DONT_FOLLOW
            ok(wd > 0, f'inotify_add_watch {p}')
            self.paths[wd] = p

    def events(self):
        found = []
        while True:
            data = attempt(os.read, self.fd, 65536)
            if isinstance(data, str):
                return found
            at = 0
            while at < len(data):
                wd, mask, _, length = struct.unpack_from('iIII', data, at)
                name = data[at + 16:at + 16 + length].rstrip(b'\0').decode()
                if not mask & 0x8000:  # IN_IGNORED: the watched file itself is gone
                    found.append((self.paths[wd], name, hex(mask)))
                at += 16 + length

    def close(self):
        os.close(self.fd)


def plant():
    put(SECRET, b'secret content', 0o666)
    put(f'{SHM}/good', b'good')
    os.symlink(SECRET, f'{SHM}/link-out')
    os.symlink('good', f'{SHM}/link-in')
    os.symlink('nowhere', f'{SHM}/link-dangling')
    os.symlink(SCRATCH, f'{SHM}/link-dir')
    os.mknod(ZERO, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    os.symlink(ZERO, f'{SHM}/link-device')
    os.mkfifo(f'{SHM}/fifo', 0o666)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(f'{SHM}/socket')
    os.mknod(f'{SHM}/device', stat.S_IFCHR | 0o666, os.makedev(1, 5))
    os.mknod(f'{SHM}/block', stat.S_IFBLK | 0o666, os.makedev(7, 0))
    os.mkdir(f'{SHM}/directory')
    put(f'{SHM}/directory/inside', b'inside')
    put(f'{SHM}/sem.x', b'sem')


def unplant():
    os.unlink(f'{SHM}/directory/inside')
    os.unlink(ZERO)


def touches(path):
    """Every way to reach a name that must all say: there is nothing."""
    flags = (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_NONBLOCK, os.O_WRONLY | os.O_NONBLOCK,
             os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND, os.O_PATH, os.O_PATH | os.O_NOFOLLOW, os.O_DIRECTORY,
             os.O_RDONLY | os.O_NOFOLLOW)
    calls = [lambda f=f: os.close(os.open(path, f)) for f in flags]
    calls += [lambda: os.stat(path), lambda: os.lstat(path), lambda: os.readlink(path), lambda: os.listdir(path),
              lambda: os.truncate(path, 1), lambda: os.chmod(path, 0o777), lambda: os.chown(path, 7, 7),
              lambda: os.lchown(path, 7, 7), lambda: os.utime(path), lambda: os.utime(path, (1, 1), follow_symlinks=False),
              lambda: os.unlink(path), lambda: os.rmdir(path), lambda: os.rename(path, f'{TREE}/stolen'),
              lambda: os.link(path, f'{TREE}/stolen', follow_symlinks=False), lambda: os.stat(path + '/inside'),
              lambda: os.stat(path + '/secret'), lambda: socket.socket(socket.AF_UNIX).connect(path)]
    return calls


def reach_all(path):
    return [attempt(c) for c in touches(path)]


def same_things(before):
    eq({n: snapshot(n) for n in before}, before, 'the planted things afterwards')


def snapshot(name):
    st = os.lstat(f'{SHM}/{name}')
    return st.st_mode, st.st_uid, st.st_ino, st.st_nlink, st.st_mtime_ns, st.st_atime_ns, st.st_ctime_ns


@daemon_only
def test_neither_shown_nor_reached():
    plant()
    everything = [f'{SHM}/{n}' for n in ODD] + [SECRET, ZERO, f'{SHM}/directory/inside', f'{SHM}/sem.x']
    before = {n: snapshot(n) for n in ODD}
    watch = Watch(*everything)
    eq(os.listdir(TREE), ['good'], 'listing')
    eq([n for n in os.listdir(f'{CTL}/shm') if n not in ('list', 'list.json', 'limits', 'limits.json', 'create')], ['good'], 'listing of ctl/shm')
    user = User(1001, 1001)
    for name in ODD + ('sem.x',):
        start = time.monotonic()
        for got in (reach_all(f'{TREE}/{name}'), user(reach_all, f'{TREE}/{name}')):
            eq(got, ['ENOENT'] * len(got), f'answers for {name}')
        for ctl in (f'{CTL}/shm/{name}', f'{CTL}/shm/{name}/state', f'{CTL}/shm/{name}/native'):
            refused('ENOENT', os.lstat, ctl)
        ok(time.monotonic() - start < 5, f'{name} blocks')
    user.end()
    for tool in (['grep', '-r', 'secret', TREE], ['find', '-L', TREE, '-name', 'inside']):
        r = subprocess.run(tool, capture_output=True, text=True, timeout=20)
        eq((r.stdout, r.stderr), ('', ''), ' '.join(tool))
    eq(get(f'{CTL}/shm/list').decode().count('\n'), 2, 'lines of ctl/shm/list')
    eq(watch.events(), [], 'opens, reads, writes and changes seen by inotify')
    watch.close()
    same_things(before)
    eq(get(SECRET), b'secret content', 'the file outside')
    unplant()


CREATING = [os.O_CREAT | os.O_RDWR, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, os.O_CREAT | os.O_EXCL | os.O_RDWR,
            os.O_CREAT | os.O_RDONLY, os.O_CREAT | os.O_RDONLY | os.O_NONBLOCK, os.O_CREAT | os.O_WRONLY | os.O_APPEND]


def create_all(path):
    """Every way to make something at a name that is taken by what is not shown."""
    calls = [lambda f=f: os.close(os.open(path, f, 0o666)) for f in CREATING]
    calls += [lambda: os.mknod(path, stat.S_IFREG | 0o600), lambda: os.link(f'{TREE}/good', path)]
    return [attempt(c) for c in calls]


@daemon_only
def test_creating_at_a_planted_name():
    """It fails, promptly, without touching what is there or what a link points to (also where that does not exist)."""
    plant()
    watch = Watch(*[f'{SHM}/{n}' for n in ODD], SECRET, ZERO)
    before = {n: snapshot(n) for n in ODD}
    user = User(1001, 1001)
    for name in ODD:
        start = time.monotonic()
        for got in (create_all(f'{TREE}/{name}'), user(create_all, f'{TREE}/{name}')):
            ok(all(g in ('EEXIST', 'EPERM', 'ELOOP', 'EACCES', 'EISDIR', 'ENOTDIR') for g in got), f'answers for {name}: {got}')
        ok(time.monotonic() - start < 5, f'{name} blocks')
    user.end()
    eq(watch.events(), [], 'opens, reads, writes and changes seen by inotify')
    watch.close()
    same_things(before)
    ok(not os.path.exists(f'{SHM}/nowhere'), 'the target of the dangling link was made')
    eq((get(SECRET), get(f'{SHM}/good')), (b'secret content', b'good'), 'files')
    unplant()


def rename_over(base, name):
    return attempt(os.rename, f'{base}/good', f'{base}/{name}')


@daemon_only
def test_rename_over_a_planted_name():
    """Takes the name's place as natively, where the sticky rule allows that, and leaves alone what a link points to."""
    user = User(1001, 1001)
    for who in (user, lambda fn, *args: fn(*args)):
        for name in ODD:
            answers = []
            for base in (SHM, TREE):
                plant()
                if who is user:
                    os.chown(f'{SHM}/good', 1001, 1001)
                watch = Watch(*[f'{SHM}/{n}' for n in ODD], SECRET, ZERO, mask=IN_OPEN | IN_ACCESS | IN_MODIFY)
                got = who(rename_over, base, name)
                answers.append((got, stat.S_IFMT(os.lstat(f'{SHM}/{name}').st_mode), os.path.exists(f'{SHM}/good')))
                eq(watch.events(), [], 'opens, reads and writes seen by inotify')
                watch.close()
                eq((get(SECRET), os.path.exists(f'{SHM}/nowhere')), (b'secret content', False), 'what the links point to')
                unplant()
                clean()
            eq(answers[1], answers[0], f'rename over {name} by uid {1001 if who is user else 0}: answer, what is there, source')
    user.end()


@daemon_only
def test_fifo_ends_see_no_opener():
    """A reader that waits sees no writer come, a writer sees no reader."""
    os.mkfifo(f'{SHM}/fifo', 0o666)
    reader = os.open(f'{SHM}/fifo', os.O_RDONLY | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    got = reach_all(f'{TREE}/fifo')
    eq(got, ['ENOENT'] * len(got), 'answers with a reader there')
    eq(poll.poll(0), [], 'POLLHUP would tell that a writer was there')
    writer = os.open(f'{SHM}/fifo', os.O_WRONLY)
    os.close(reader)
    watch = Watch(f'{SHM}/fifo')
    got = reach_all(f'{TREE}/fifo')
    eq(got, ['ENOENT'] * len(got), 'answers with a writer there')
    eq(watch.events(), [], 'opens')
    watch.close()
    os.close(writer)


def goes_on(begin, *counts):
    """For a while, and until there was a race to speak of."""
    lasts = time.monotonic() - begin
    return lasts < (4 if LONG else 1.5) or lasts < 25 and min(counts) <= 50


def swapper(stop):
    """Puts, over and over, a good file, then a link, a FIFO, a device, under one name, each by rename."""
    signal_end = time.monotonic() + 30
    i = 0
    while not os.path.exists(stop) and time.monotonic() < signal_end:
        kind = i % 5
        tmp = f'{SHM}/sem.tmp'
        if kind in (0, 2):
            put(tmp, b'good' * 1000, 0o666)
        elif kind == 1:
            os.symlink(SECRET, tmp)
        elif kind == 3:
            os.mkfifo(tmp, 0o666)
        else:
            os.mknod(tmp, stat.S_IFCHR | 0o666, os.makedev(1, 5))
        os.rename(tmp, f'{SHM}/x')
        i += 1
    os.unlink(f'{SHM}/x')


FLAGS = [os.O_RDONLY, os.O_RDWR, os.O_WRONLY, os.O_CREAT | os.O_RDWR, os.O_RDONLY | os.O_NONBLOCK]


def check_descriptor(fd, flags):
    st = os.fstat(fd)
    ok(stat.S_ISREG(st.st_mode), f'opened a thing of mode {st.st_mode:o}')
    if flags & os.O_ACCMODE != os.O_WRONLY:
        data = os.read(fd, 8000)
        ok(data in (b'', b'good' * 1000) or set(data) <= set(b'good\0'), f'read {data[:40]!r}')
    return 1


@daemon_only
def test_swapped_in_while_opens_run():
    """A race of opens with swaps: nothing but the good file is ever opened, and nothing blocks."""
    put(SECRET, b'secret content', 0o666)
    put(f'{SHM}/x', b'good' * 1000, 0o666)
    watch = Watch(SECRET)
    stop = f'{SCRATCH}/stop'
    pid = in_child(swapper, stop)
    opened = refusals = 0
    slowest = 0
    begin = time.monotonic()
    i = 0
    while goes_on(begin, opened, refusals):
        flags = FLAGS[i % len(FLAGS)]
        i += 1
        start = time.monotonic()
        fd = attempt(os.open, f'{TREE}/x', flags, 0o666)
        slowest = max(slowest, time.monotonic() - start)
        if isinstance(fd, int):
            opened += check_descriptor(fd, flags)
            os.close(fd)
        else:
            refusals += 1
            ok(fd == 'ENOENT' or flags & os.O_CREAT and fd in ('EEXIST', 'EPERM', 'ELOOP'), f'open {flags:#o}: {fd}')
        for name in os.listdir(TREE):
            ok(name == 'x', f'{name} is listed')
        st = attempt(os.lstat, f'{TREE}/x')
        ok(st == 'ENOENT' or stat.S_ISREG(st.st_mode), f'lstat shows {st}')
    open(stop, 'w').close()
    eq(os.waitpid(pid, 0)[1], 0, 'status of the swapper')
    print(f'  {opened} opened, {refusals} refused, slowest {slowest * 1000:.0f} ms')
    ok(opened > 50 and refusals > 50, f'the race did not happen: {opened} opened, {refusals} refused')
    ok(slowest < 2, f'an open took {slowest:.1f} s')
    eq(watch.events(), [], 'opens of what the links lead to')
    watch.close()
    eq(get(SECRET), b'secret content', 'the file outside')


def flipper(stop, result):
    """A FIFO, a device and a good file take turns at one name; counts who opens the first two."""
    odd = ('sem.fifo', 'sem.device')
    os.mkfifo(f'{SHM}/sem.fifo', 0o666)
    os.mknod(f'{SHM}/sem.device', stat.S_IFCHR | 0o666, os.makedev(1, 5))
    put(f'{SHM}/sem.good', b'good', 0o666)
    watch = Watch(*[f'{SHM}/{n}' for n in odd], mask=IN_OPEN)
    end = time.monotonic() + 30
    while not os.path.exists(stop) and time.monotonic() < end:
        for name in odd + ('sem.good',):
            os.rename(f'{SHM}/{name}', f'{SHM}/y')
            time.sleep(0.0001)
            os.rename(f'{SHM}/y', f'{SHM}/{name}')
    with open(result, 'w') as f:
        f.write(str(len(watch.events())))
    for name in odd + ('sem.good',):
        os.unlink(f'{SHM}/{name}')


@daemon_only
def test_fifo_and_device_in_the_race_are_never_opened():
    stop, result = f'{SCRATCH}/stop2', f'{SCRATCH}/opens'
    pid = in_child(flipper, stop, result)
    opened = refusals = 0
    begin = time.monotonic()
    while goes_on(begin, opened, refusals):
        for flags in FLAGS[:3] + FLAGS[4:]:
            fd = attempt(os.open, f'{TREE}/y', flags)
            if isinstance(fd, int):
                ok(stat.S_ISREG(os.fstat(fd).st_mode), 'opened something else')
                os.close(fd)
                opened += 1
            else:
                eq(fd, 'ENOENT', 'open')
                refusals += 1
    open(stop, 'w').close()
    eq(os.waitpid(pid, 0)[1], 0, 'status of the flipper')
    print(f'  {opened} opened, {refusals} refused')
    ok(opened > 50 and refusals > 50, f'the race did not happen: {opened} opened, {refusals} refused')
    eq(get(result), b'0', 'opens of the FIFO and the device')


main(globals())
