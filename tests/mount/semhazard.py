# SPDX-License-Identifier: MIT
"""A POSIX semaphore is a file that others may cut off or fill with anything, at any time: the daemon lives, waits end.

usage: semhazard.py SEMAPHORE-PROGRAM (semaphore.c)
"""
import errno
import os
import random
import struct
import subprocess
import sys
import time

from mounttest import ASAN, CTL, SEED, SHM, attempt, eq, in_child, main, metrics, ok, refused
from queues import SOON, Watch, bash, output, shell, start, wait_until
from semaphores import SEM, clean_semaphores, make_posix, read, wait_parked, wait_settled, write

PEER = sys.argv[1]
SECONDS = 2
LOOK = 1 + 2 * SOON  # nothing tells of a file that is cut off: who waits looks now and then
FILE = f'{SHM}/sem.x'


def alive():
    """The daemon answers, in this semaphore and in another."""
    make_posix('alive', 1).close()
    eq(bash('cat $SEM/alive/wait'), ('0\n', 0), 'another semaphore')
    os.rmdir(f'{SEM}/alive')


def waiters():
    base = metrics()['ipcfs_parked']
    lines = [f'exec cat {SEM}/x/wait', f'exec 9< {SEM}/x/hold', f'exec dd if={SEM}/x/wait iflag=direct bs=64 count=1 status=none']
    found = [shell(line) for line in lines * 3]
    wait_parked(base + 9, 'all wait')
    return found


def all_fail(found, what):
    begin = time.monotonic()
    for p in found:
        out, status = output(p, LOOK + 5)
        ok(status not in (0, None) and out, f'{p.args} after {what}: status {status}, {out!r}')
    took = time.monotonic() - begin
    ok(took < LOOK, f'all end {took:.1f} s after {what}')


def test_cut_off_beneath_waiters():
    before = metrics()
    for how in (lambda: os.truncate(FILE, 0), lambda: subprocess.run(['sh', '-c', f': > {FILE}'], check=True)):
        make_posix('x').close()
        found = waiters()
        with Watch():
            how()
            all_fail(found, 'the file was cut off')
        for file, op in (('wait', read), ('value', read), ('hold', read)):
            ok(isinstance(attempt(op, f'{SEM}/x/{file}', os.O_NONBLOCK), str), f'{file} of one that was cut off')
        for file in ('post', 'value'):
            ok(isinstance(attempt(write, f'{SEM}/x/{file}', b'1\n'), str), f'writing {file} of one that was cut off')
        alive()
        attempt(os.rmdir, f'{SEM}/x')
        attempt(os.unlink, FILE)
    wait_settled(before, 'after files that were cut off')


def test_cut_short_beneath_waiters():
    """The page is there: they wait on, as natively, and can be ended; nobody else comes to it."""
    make_posix('x').close()
    found = waiters()
    os.truncate(FILE, 4)
    for file in ('wait', 'value', 'hold'):
        ok(isinstance(attempt(read, f'{SEM}/x/{file}', os.O_NONBLOCK), str), f'{file} of one that was cut short')
    for p in found:
        p.terminate()
        ok(output(p, SOON)[1] not in (0, None), 'ended by a signal')
    alive()


def test_cut_off_and_back():
    """Who comes after it has its size again finds a semaphore; a hold from before gives back to nobody, or to it."""
    make_posix('x', 2).close()
    hold = os.open(f'{SEM}/x/hold', os.O_RDONLY)
    wait = os.open(f'{SEM}/x/wait', os.O_RDONLY | os.O_NONBLOCK)
    post = os.open(f'{SEM}/x/post', os.O_WRONLY)
    os.truncate(FILE, 0)
    ok(isinstance(attempt(os.read, wait, 10), str) and isinstance(attempt(os.write, post, b'1\n'), str), 'cut off')
    os.close(hold)
    os.truncate(FILE, 32)
    # The hold is given back a moment after close(2) has returned: before the file has its size again, or after.
    ok(attempt(os.read, wait, 10) in ('EAGAIN', 'EIDRM', 'ESTALE', b'0\n'), 'a wait on an empty one')
    wait_until(lambda: read(f'{SEM}/x/value') in (b'0\n', b'1\n'), 'value of an empty one')
    write(f'{SEM}/x/value', b'0\n')
    eq((write(f'{SEM}/x/post', b'3\n'), read(f'{SEM}/x/wait')), (2, b'2\n'), 'it can be used')
    os.close(wait)
    os.close(post)
    alive()


def poster():
    while True:
        attempt(write, f'{SEM}/x/post', b'1\n')


def taker():
    while True:
        attempt(read, f'{SEM}/x/wait', os.O_NONBLOCK)
        attempt(read, f'{SEM}/x/value')
        fd = attempt(os.open, f'{SEM}/x/hold', os.O_RDONLY | os.O_NONBLOCK)
        if isinstance(fd, int):
            os.close(fd)


def one_handle():
    wait = post = ''
    while isinstance(wait, str) or isinstance(post, str):  # one that is cut off can not be opened
        wait = attempt(os.open, f'{SEM}/x/wait', os.O_RDONLY | os.O_NONBLOCK)
        post = attempt(os.open, f'{SEM}/x/post', os.O_WRONLY)
    while True:
        attempt(os.write, post, b'2\n')
        attempt(os.read, wait, 10)
        attempt(os.read, wait, 10)


def native_posts():
    with open('/dev/null', 'wb') as null:
        while True:
            subprocess.run([PEER, 'posix', 'x', 'post', '10000'], stderr=null)  # SIGBUS is how it ends


def test_cut_off_in_use():
    """Again and again, while native and mount users are in it."""
    make_posix('x').close()
    pids = [in_child(fn) for fn in (poster, poster, taker, taker, one_handle, native_posts)]
    rng, end, cuts = random.Random(SEED), time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        time.sleep(rng.uniform(0, 0.004))
        os.truncate(FILE, rng.choice((0, 0, 1, 4, 8, 31)))
        time.sleep(rng.uniform(0, 0.002))
        os.truncate(FILE, 32)
        cuts += 1
    for pid in pids:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    print(f'  {cuts} times')
    alive()
    eq(bash(f'echo 5 > {SEM}/x/value; cat {SEM}/x/wait'), ('4\n', 0), 'it can be used afterwards')


def remount(option):
    subprocess.run(['mount', '-o', f'remount,{option}', SHM], check=True)


def test_full_tmpfs():
    """No page is to be had for a semaphore whose page is a hole, nor for a new one."""
    with open(FILE, 'wb') as f:
        f.truncate(32)
    used = os.statvfs(SHM)
    with open(f'{SHM}/filler', 'wb') as f:
        f.write(b'x' * 4096)
    remount(f'size={(used.f_blocks - used.f_bfree) * 4096 + 4096}')
    try:
        eq(read(f'{SEM}/x/value'), b'0\n', 'a hole is read')
        for data, file in ((b'1\n', 'post'), (b'3\n', 'value')):
            got = attempt(write, f'{SEM}/x/{file}', data)
            ok(got in ('EIDRM', 'ENOSPC', 'ENOMEM', 'EIO'), f'{file} without a page: {got}')
        for file in ('wait', 'hold'):
            got = attempt(read, f'{SEM}/x/{file}', os.O_NONBLOCK)
            ok(isinstance(got, str), f'{file} without a page: {got}')
        p = shell(f'exec timeout 2 cat {SEM}/x/wait')
        ok(output(p, 5)[1] != 0, 'who waits without a page')
        refused('ENOSPC', os.mkdir, f'{SEM}/new')
        got = bash('echo "new value=3" > $CTL/sem/create')
        ok(got[1] != 0 and 'No space' in got[0], f'create: {got}')
        eq(sorted(os.listdir(SHM)), ['filler', 'sem.x'], 'nothing is left of what was refused')
    finally:
        remount('size=2g')
    eq(bash(f'echo 2 > {SEM}/x/post; cat {SEM}/x/wait'), ('1\n', 0), 'with room again')
    st = os.statvfs(SHM)
    remount(f'nr_inodes={st.f_files - st.f_ffree}')
    try:
        refused('ENOSPC', os.mkdir, f'{SEM}/new')
    finally:
        remount('nr_inodes=1m')
    alive()


def test_odd_files():
    """Sparse, large, hard links, another owner's: semaphores all the same."""
    for size in (32, 33, 4096, 1 << 20, 1 << 40):
        with open(FILE, 'wb') as f:
            f.truncate(size)
        eq(bash(f'cat {SEM}/x/value; echo 3 > {SEM}/x/post; cat {SEM}/x/wait'), ('0\n2\n', 0), f'a hole of {size} bytes')
        os.unlink(FILE)
    make_posix('x', 1).close()
    os.link(FILE, f'{SHM}/sem.y')
    eq((read(f'{SEM}/y/wait'), read(f'{SEM}/x/value')), (b'0\n', b'0\n'), 'two names of one')
    eq(os.stat(f'{SEM}/x').st_ino, os.stat(f'{SEM}/y').st_ino, 'inode numbers')
    os.rmdir(f'{SEM}/x')
    eq((write(f'{SEM}/y/post', b'1\n'), read(f'{SEM}/y/value')), (2, b'1\n'), 'the other name')


def test_any_content():
    """Words that glibc would stop the program for."""
    make_posix('x').close()
    rng = random.Random(SEED)
    words = [(0, 0, 1, 0), (0, 0xffffffff, 0x80, 7), (0xffffffff, 0, 0, 0), (0x80000000, 5, 3, 0), (0x7fffffff, 0xffffffff, 0xff, 1)]
    for word in words + [tuple(rng.getrandbits(32) for _ in range(4)) for _ in range(100)]:
        with open(FILE, 'r+b') as f:
            f.write(struct.pack('4I', *word) + os.urandom(16))
        for op, file, flags in ((read, 'value', 0), (read, 'wait', os.O_NONBLOCK), (read, 'hold', os.O_NONBLOCK)):
            attempt(op, f'{SEM}/x/{file}', flags)
        for data, file in ((b'1\n', 'post'), (b'0\n', 'post'), (b'5\n', 'value') if word[0] < 1000 else (b'1\n', 'post')):
            attempt(write, f'{SEM}/x/{file}', data)
        got = bash(f'timeout 0.02 cat {SEM}/x/wait', 5) if rng.random() < 0.2 else ('', 0)
        ok(got[1] in (0, 1, 124), f'a wait with {word}: {got}')
        ok(attempt(read, f'{CTL}/sem/list.json'), 'list.json')
    alive()


def test_changed_beneath_waiters():
    """Who waits wakes by what is written there, if somebody then calls futex, or by looking; at worst he can be killed."""
    make_posix('x').close()
    found = waiters()
    os.rename(FILE, f'{SHM}/sem.renamed')
    os.symlink('/etc/passwd', FILE)
    write(f'{SEM}/renamed/post', b'9\n')
    eq([output(p)[1] for p in found], [0] * 9, 'the renamed one is still theirs')
    refused(('ENOENT', 'ENOTDIR', 'ELOOP'), read, f'{SEM}/x/value')
    eq(read(f'{SEM}/renamed/value'), b'3\n', 'three of them held, and gave back')


main(globals(), after=clean_semaphores, about_daemon=True)
