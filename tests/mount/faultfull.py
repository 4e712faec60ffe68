# SPDX-License-Identifier: MIT
"""No room: /dev/shm and the runtime directory full to the last inode and page, System V limits at their edge, a daemon that is
started with few descriptors. What is asked for is done in full, or refused as natively; what was there stays as it was."""
import os
import resource
import subprocess

from daemons import IPCFS, Daemon, end_daemons
from faults import CREATE, PIPE, SOCK, SYSV, makers, objects, opened
from listeners import line_of, put_line
from mounttest import ASAN, CTL, MNT, SHM, TREE, attempt, clean as clean_shm, eq, get, main, ok, put, refused
from queues import IPC_CREAT, MQ, MSG, check, clean_queues, libc, make_msg, mount_mqfs, sysctl, wait_until
from semaphores import SEM, SSEM, Set, all_sets, make_posix, make_set, write

RUN = '/run'
PAGE = 4096
AT_MOST = 12  # so many inodes or pages are enough for anything
WORDS = {SHM: ('size=2g', 'nr_inodes=1m'), RUN: ('size=1g', 'nr_inodes=1m')}


def remount(where, option):
    subprocess.run(['mount', '-o', f'remount,{option}', where], check=True)


def leave(where, what, more):
    """From now on there are `more` inodes or pages free."""
    st = os.statvfs(where)
    if what == 'nr_inodes':
        remount(where, f'nr_inodes={st.f_files - st.f_ffree + more}')
    else:
        remount(where, f'size={(st.f_blocks - st.f_bfree + more) * PAGE}')


def leave_all(where):
    for words in WORDS[where]:
        remount(where, words)


def works():
    """What is there needs no room."""
    eq((get(f'{TREE}/old'), line_of(f'{SEM}/old/value'), get(f'{SOCK}/file')), (b'content', '3', b'content'), 'what is there')
    eq(write(f'{MQ}/old', b'word'), 4, 'a message')
    eq(get(f'{MQ}/old'), b'word', 'a message')
    fd = os.open(f'{TREE}/old', os.O_RDWR)
    eq(os.pwrite(fd, b'c', 0), 1, 'a page that is there')
    os.close(fd)
    connected = os.open(f'{SOCK}/old/connect', os.O_RDWR)
    accepted = os.open(f'{SOCK}/old/accept', os.O_RDWR)
    eq((os.write(connected, b'x'), os.read(accepted, 9)), (1, b'x'), 'a connection')
    os.close(connected)
    os.close(accepted)


def make_world():
    for where in (SHM, RUN):
        put(f'{where}/filler', bytes(PAGE))
    put(f'{TREE}/old', b'content')
    make_posix('old', 3).close()
    opened(f'{MQ}/old', CREATE)
    os.mkfifo(f'{PIPE}/old')
    put(f'{SOCK}/file', b'content')
    os.mkdir(f'{SOCK}/old')


def end_world():
    os.unlink(f'{PIPE}/old')
    os.unlink(f'{SOCK}/file')
    os.rmdir(f'{SOCK}/old')
    os.unlink(f'{RUN}/filler')


def stop(daemon):
    daemon.process.terminate()
    eq(daemon.ended(), 0, 'status')


def test_full():
    daemon, needed = Daemon(), {}
    make_world()
    before = objects()
    for where in (SHM, RUN):
        for what in ('nr_inodes', 'size'):
            for name, make, remove in makers():
                for more in range(AT_MOST):
                    leave(where, what, more)
                    try:
                        got = attempt(make)
                        works()
                    finally:
                        leave_all(where)
                    if got is None:
                        remove()
                    eq(objects(), before, f'{name} with {more} of {what} in {where}: {got}; what is there')
                    if got is None:
                        break
                    eq(got, 'ENOSPC', f'{name} with {more} of {what} in {where}')
                eq(got, None, f'{name} with {more} of {what} in {where}')
                if more:
                    needed[f'{name} in {where}, {what}'] = more
    print(' ', needed)
    ok(len(needed) >= 10, 'room was short')
    end_world()
    stop(daemon)


def test_kept():
    """A type or a number that cannot be written down is refused, and what was before is so on, also after a restart."""
    daemon = Daemon()
    make_world()
    put_line(f'{SOCK}/old/type', 'seqpacket')
    put_line(f'{SOCK}/old/backlog', '7')
    leave(RUN, 'size', 0)
    for file, word in (('type', 'dgram'), ('backlog', '9')):
        refused('ENOSPC', put_line, f'{SOCK}/old/{file}', word)
    eq((line_of(f'{SOCK}/old/type'), line_of(f'{SOCK}/old/backlog')), ('seqpacket', '7'), 'type and backlog')
    fd = os.open(f'{SOCK}/file', os.O_WRONLY | os.O_APPEND)
    eq(attempt(os.write, fd, b'x' * 2 * PAGE), PAGE - 7, 'a write that has the rest of a page')
    refused('ENOSPC', os.write, fd, b'x')
    os.close(fd)
    stop(daemon)
    daemon = Daemon()  # its directory is full
    eq((line_of(f'{SOCK}/old/type'), line_of(f'{SOCK}/old/backlog')), ('seqpacket', '7'), 'after a restart')
    eq((sorted(os.listdir(SOCK)), os.listdir(PIPE), os.stat(f'{SOCK}/file').st_size), (['file', 'old'], ['old'], PAGE), 'what is there')
    leave_all(RUN)
    end_world()
    stop(daemon)


def test_start_without_room():
    """It starts without the kinds that have no place, and says so; with room it has them."""
    subprocess.run(['rm', '-rf', f'{RUN}/ipcfs'], check=True)
    for more in range(AT_MOST):
        leave(RUN, 'nr_inodes', more)
        leave(SHM, 'nr_inodes', 0)
        daemon = Daemon()
        left_out, = [l for l in get(f'{CTL}/version').decode().splitlines() if l.startswith('left_out: ')]
        for kind in ('pipe', 'sock'):
            eq(not os.path.isdir(f'{MNT}/{kind}'), kind in left_out, f'{kind} with {more} inodes: {left_out}')
        eq('No space left' in left_out, left_out != 'left_out: nothing', f'why: {left_out}')
        opened(f'{MQ}/new', CREATE)
        os.unlink(f'{MQ}/new')
        leave_all(SHM)
        opened(f'{TREE}/new', CREATE)
        os.unlink(f'{TREE}/new')
        leave_all(RUN)
        stop(daemon)
        if left_out == 'left_out: nothing':
            break
    ok(0 < more < AT_MOST - 1, f'{more} inodes')
    daemon = Daemon()
    os.mkfifo(f'{PIPE}/p')
    os.unlink(f'{PIPE}/p')
    stop(daemon)


# ---- System V ----

def errors(native, mount, what):
    """Both are refused, with one errno."""
    one, other = attempt(native), attempt(mount)
    ok(isinstance(one, str) and one == other, f'{what}: natively {one}, through the mount {other}')


def set_by(name, values):
    with open(f'/proc/sys/kernel/{name}') as f:
        old = f.read()
    sysctl(f'kernel/{name}', values)
    return old


def test_system_v():
    """What the native call says at each limit; nothing is there after it, and what was is as before."""
    daemon, q, s = Daemon(), make_msg(0x77), make_set(0x77, 1, 32767)
    before = objects()
    msg, sets = f'{MSG}/by-key', f'{SSEM}/by-key'
    for name, values, native, mount in (
            ('msgmni', 1, lambda: make_msg(0x88), lambda: opened(f'{msg}/0x88', CREATE)),
            ('msgmni', 1, lambda: make_msg(0x88), lambda: put_line(f'{CTL}/sysv/msg/create', '0x88')),
            ('sem', '250 32000 500 1', lambda: make_set(0x88, 1), lambda: os.mkdir(f'{sets}/0x88')),
            ('sem', '250 32000 500 1', lambda: make_set(0x88, 1), lambda: put_line(f'{CTL}/sysv/sem/create', '0x88 nsems=1')),
            ('sem', '4 32000 500 9', lambda: Set(0x88, 5, IPC_CREAT | 0o600), lambda: put_line(f'{CTL}/sysv/sem/create', '0x88 nsems=5')),
            ('sem', '250 32000 2 9', lambda: s.op((0, 1), (0, 1), (0, 1)), lambda: write(f'{sets}/0x77/op', b'0:+1 0:+1 0:+1')),
            ('sem', '250 32000 500 9', lambda: s.op((1, 1)), lambda: write(f'{sets}/0x77/op', b'1:+1')),
            ('shmmni', 0, lambda: make_shm(0x88, 9), lambda: put_line(f'{CTL}/sysv/shm/create', '0x88 size=9')),
            ('shmall', 0, lambda: make_shm(0x88, 9), lambda: opened(f'{SYSV}/by-key/0x88', CREATE, lambda fd: os.write(fd, b'x'))),
            ('shmmax', 8, lambda: make_shm(0x88, 9), lambda: opened(f'{SYSV}/by-key/0x88', CREATE, lambda fd: os.ftruncate(fd, 9)))):
        old = set_by(name, values)
        try:
            errors(native, mount, f'{name} {values}')
        finally:
            set_by(name, old)
        eq((objects(), q.stat()['qnum'], s.values()), (before, 0, [1, 32767]), f'after {name} {values}')
    stop(daemon)


def make_shm(key, size):
    return check(libc.shmget(key, size, IPC_CREAT | 0o600), 'shmget')


# ---- descriptors at the start ----

def test_start_with_few_descriptors():
    """It says why it does not start, or it starts; then it shows what it is, and its names are there or are refused."""
    started = {}
    for number in range(20 if ASAN else 3, 40):  # the sanitizer does not end without any
        p = subprocess.Popen([IPCFS, '-f', MNT], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (number, number)))
        wait_until(lambda: p.poll() is not None or is_mounted(), f'it starts with {number}, or ends', 15)
        version = attempt(get, f'{CTL}/version')
        if isinstance(version, bytes) or version in ('EMFILE', 'ENFILE'):
            started[number] = version
            listed = attempt(os.listdir, MQ)
            ok(listed in ([], 'EMFILE', 'ENFILE', 'ENOENT'), f'mq with {number}: {listed}')
            p.terminate()
        out = p.communicate(timeout=15)[0].decode()  # also of one that has mounted, and then lacks something
        ok(not is_mounted(), f'mounts after {number}')
        if number in started:
            eq(p.returncode, 0, f'status with {number}')
        else:
            ok(p.returncode > 0 and out, f'status {p.returncode} with {number}: {out}')
            print(f'  {number}: {out.strip().splitlines()[-1][:120]}')
    ok(started, 'it starts with 39')
    print(f'  starts with {min(started)}')


def is_mounted():
    with open('/proc/self/mountinfo') as f:
        return any(l.split()[4] == MNT for l in f)


def clean():
    for where in (SHM, RUN):
        leave_all(where)
    end_daemons()
    for semid in all_sets():
        Set.by_id(semid).remove()
    clean_queues()
    clean_shm()


mount_mqfs()
sysctl('fs/mqueue/msgsize_default', 1024)  # queues of all namespaces count for their user
main(globals(), cleaner=clean, about_daemon=True)
