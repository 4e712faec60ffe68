# SPDX-License-Identifier: MIT
"""Locks through the mount are locks of the object: they exclude native lockers, and go with their owner."""
import fcntl
import os
import random
import signal
import socket
import struct
import subprocess
import threading
import time

from mounttest import ASAN, CTL, MNT, NATIVE, SHM, User, attempt, both, daemon_only, eq, in_child, join, main, ok, put

OFD_GETLK, OFD_SETLK, OFD_SETLKW = 36, 37, 38
FLOCK = struct.Struct('hhqqi4x')


def flock(fd, how):
    return attempt(fcntl.flock, fd, how)


def record(fd, kind, start=0, length=0, wait=False):
    return attempt(fcntl.lockf, fd, kind if wait or kind == fcntl.LOCK_UN else kind | fcntl.LOCK_NB, length, start)


def ofd(fd, kind, start=0, length=0, wait=False):
    got = attempt(fcntl.fcntl, fd, OFD_SETLKW if wait else OFD_SETLK, FLOCK.pack(kind, 0, start, length, 0))
    return None if isinstance(got, bytes) else got


def query(fd, kind=fcntl.F_WRLCK, start=0, length=0, command=fcntl.F_GETLK):
    return FLOCK.unpack(fcntl.fcntl(fd, command, FLOCK.pack(kind, 0, start, length, 0)))


# The three sorts of locks, as functions of a descriptor that take it whole: without waiting, and waiting; and the unlock.
SORTS = {
    'flock': (lambda fd: flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB), lambda fd: fcntl.flock(fd, fcntl.LOCK_EX),
              lambda fd: fcntl.flock(fd, fcntl.LOCK_UN)),
    'fcntl': (lambda fd: record(fd, fcntl.LOCK_EX), lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX),
              lambda fd: fcntl.lockf(fd, fcntl.LOCK_UN)),
    'ofd': (lambda fd: ofd(fd, fcntl.F_WRLCK), lambda fd: fcntl.fcntl(fd, OFD_SETLKW, FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0)),
            lambda fd: fcntl.fcntl(fd, OFD_SETLK, FLOCK.pack(fcntl.F_UNLCK, 0, 0, 0, 0))),
}


def soon(fn, want, what, seconds=5):
    """close(2) through the mount does not wait until the locks of the open file are gone: they are a moment later."""
    end = time.monotonic() + (0 if NATIVE else seconds)
    while (got := fn()) != want and time.monotonic() < end:
        time.sleep(0.001)
    eq(got, want, what)


def sides():
    """Each choice of sides for two who lock one object."""
    for a in both('l'):
        for b in both('l'):
            put(f'{SHM}/l', b'x' * 100)
            yield f'{a} then {b}', a, b


def pairs():
    for what, a, b in sides():
        yield what, os.open(a, os.O_RDWR), os.open(b, os.O_RDWR)


def in_other_process(fn, *args):
    """Answer of a call in another process: POSIX locks are a process's."""
    r, w = os.pipe()
    pid = in_child(lambda: os.write(w, repr(fn(*args)).encode()) * 0)
    join([pid], 'the other process')
    got = os.read(r, 1000).decode()
    os.close(r), os.close(w)
    return got


def try_record(path, kind, start=0, length=0):
    return record(os.open(path, os.O_RDWR), kind, start, length)


class Holder:
    """Another process that opens the path, locks it, and lets go when it is told to end (or is killed)."""

    def __init__(self, path, lock, flags=os.O_RDWR):
        r, w = os.pipe()
        self.r, self.end_w = os.pipe()

        def run():
            os.close(self.end_w)
            fd = os.open(path, flags)
            lock(fd)
            os.write(w, b'.')
            os.read(self.r, 1)
        self.pid = in_child(run)
        os.close(w)
        eq(os.read(r, 1), b'.', f'the holder has locked {path}')
        os.close(r), os.close(self.r)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.end_w)

    def end(self):
        os.close(self.end_w)
        join([self.pid], 'the holder')


def wait_asleep(pid):
    """Until it waits inside a lock call (fcntl or flock) of the kernel."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with open(f'/proc/{pid}/syscall') as f:
            word = f.read().split()[0]
        if word in ('72', '73'):
            time.sleep(0.02)
            return
        time.sleep(0.002)
    raise AssertionError(f'{pid} does not wait for a lock')


def lock_path(path, lock, inherited=()):
    for fd in inherited:
        os.close(fd)  # a copy would keep the holder's lock
    lock(os.open(path, os.O_RDWR))


def test_flock():
    for what, a, b in pairs():
        soon(lambda: flock(a, fcntl.LOCK_EX | fcntl.LOCK_NB), None, f'{what}: first exclusive lock')
        eq(flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB), 'EAGAIN', f'{what}: second exclusive lock')
        eq(flock(b, fcntl.LOCK_SH | fcntl.LOCK_NB), 'EAGAIN', f'{what}: shared lock')
        eq(flock(a, fcntl.LOCK_SH | fcntl.LOCK_NB), None, f'{what}: made shared')
        eq(flock(b, fcntl.LOCK_SH | fcntl.LOCK_NB), None, f'{what}: second shared lock')
        eq(flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB), 'EAGAIN', f'{what}: made exclusive, and lost')
        eq(flock(a, fcntl.LOCK_EX | fcntl.LOCK_NB), None, f'{what}: made exclusive')
        eq(flock(a, fcntl.LOCK_UN), None, f'{what}: unlock')
        eq(flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB), None, f'{what}: lock after the unlock')
        os.close(b)
        soon(lambda: flock(a, fcntl.LOCK_EX | fcntl.LOCK_NB), None, f'{what}: lock after the close')
        os.close(a)


def test_close_and_lock_again():
    """Who closes one descriptor and locks by another, both through the mount, never meets his own old lock."""
    mount = both('l')[1]
    for sort, (lock, _, _) in SORTS.items():
        put(mount, b'x')
        for i in range(300):
            a, b = os.open(mount, os.O_RDWR), os.open(mount, os.O_RDWR)
            eq(lock(a), None, f'{sort}: lock')
            os.close(a)
            eq(lock(b), None, f'{sort}: lock {i} after the close')
            os.close(b)


def test_fcntl_ranges():
    for what, a, b in sides():
        fd = os.open(a, os.O_RDWR)
        eq(record(fd, fcntl.LOCK_EX, 10, 10), None, f'{what}: lock')
        for start, length, want in ((0, 10, 'None'), (20, 10, 'None'), (0, 11, "'EAGAIN'"), (15, 1, "'EAGAIN'"), (19, 5, "'EAGAIN'"),
                                    (0, 0, "'EAGAIN'"), (20, 0, 'None')):
            got = in_other_process(try_record, b, fcntl.LOCK_EX, start, length)
            eq(got, want, f'{a} holds 10..19, {b} asks for {start}+{length}')
        eq(record(fd, fcntl.LOCK_UN, 10, 5), None, 'unlock of a part')
        eq(in_other_process(try_record, b, fcntl.LOCK_EX, 10, 5), 'None', f'{what}: the freed part')
        eq(in_other_process(try_record, b, fcntl.LOCK_SH, 15, 5), "'EAGAIN'", f'{what}: the other part')
        eq(record(fd, fcntl.LOCK_SH, 17, 1), None, 'a part made shared')
        eq(in_other_process(try_record, b, fcntl.LOCK_SH, 17, 1), 'None', f'{what}: shared with others')
        eq(in_other_process(try_record, b, fcntl.LOCK_SH, 16, 2), "'EAGAIN'", f'{what}: but not the byte before')
        eq(in_other_process(try_record, b, fcntl.LOCK_EX, 17, 1), "'EAGAIN'", f'{what}: nor exclusively')
        os.close(fd)
        eq(in_other_process(try_record, b, fcntl.LOCK_EX), 'None', f'{what}: after the close')


def test_ofd_ranges():
    for what, a, b in pairs():
        soon(lambda: ofd(a, fcntl.F_WRLCK, 10, 10), None, f'{what}: first')
        eq(ofd(b, fcntl.F_WRLCK, 19, 1), 'EAGAIN', f'{what}: second')
        eq(ofd(b, fcntl.F_WRLCK, 20, 0), None, f'{what}: behind it')
        eq(record(b, fcntl.LOCK_SH, 10, 1), 'EAGAIN', f'{what}: a process has to respect it')
        eq(ofd(a, fcntl.F_RDLCK, 10, 10), None, f'{what}: made shared')
        eq(record(b, fcntl.LOCK_SH, 10, 1), None, f'{what}: shared with a process')
        eq(ofd(a, fcntl.F_WRLCK, 10, 1), 'EAGAIN', f'{what}: which is now in the way')
        os.close(b)
        soon(lambda: ofd(a, fcntl.F_WRLCK), None, f'{what}: after the close')
        os.close(a)


def test_who_holds_it():
    """F_GETLK names the range, the type and the process; natively a lock through the mount is a file description's."""
    for what, a, b in sides():
        holder = Holder(a, lambda fd: fcntl.lockf(fd, fcntl.LOCK_SH, 5, 15))
        fd = os.open(b, os.O_RDWR)
        pid = holder.pid if NATIVE or b != f'{SHM}/l' or a == b else -1
        eq(query(fd), (fcntl.F_RDLCK, 0, 15, 5, pid), f'{what}: F_GETLK')
        eq(query(fd, command=OFD_GETLK)[:4], (fcntl.F_RDLCK, 0, 15, 5), f'{what}: F_OFD_GETLK')
        eq(query(fd, fcntl.F_RDLCK)[0], fcntl.F_UNLCK, f'{what}: a shared one could be had')
        eq(query(fd, fcntl.F_WRLCK, 0, 15)[0], fcntl.F_UNLCK, f'{what}: the part before it')
        eq(record(fd, fcntl.LOCK_EX, 50, 1), None, 'a lock of its own')
        eq(query(fd, fcntl.F_WRLCK, 40, 0)[0], fcntl.F_UNLCK, f'{what}: its own is not in its way')
        holder.end()
        eq(query(fd)[0], fcntl.F_UNLCK, f'{what}: when the holder has ended')
        os.close(fd)


def test_modes():
    """A descriptor only for reading has shared locks, one only for writing exclusive ones."""
    for path in both('l'):
        put(path, b'x')
        r, w = os.open(path, os.O_RDONLY), os.open(path, os.O_WRONLY)
        for what, call in (('fcntl', lambda fd, kind: record(fd, kind)),
                           ('ofd', lambda fd, kind: ofd(fd, fcntl.F_WRLCK if kind == fcntl.LOCK_EX else fcntl.F_RDLCK))):
            eq([call(r, fcntl.LOCK_EX), call(w, fcntl.LOCK_SH)], ['EBADF', 'EBADF'], f'{path}: {what} of the wrong sort')
            eq(call(r, fcntl.LOCK_SH), None, f'{path}: {what}, shared')
        eq(flock(r, fcntl.LOCK_EX | fcntl.LOCK_NB), None, f'{path}: flock asks for no mode')
        eq(record(w, fcntl.LOCK_EX, -1, 1), 'EINVAL', f'{path}: before the start')
        os.close(r), os.close(w)


def test_a_child_does_not_have_its_parents_locks():
    for what, a, b in sides():
        fd = os.open(a, os.O_RDWR)
        eq(record(fd, fcntl.LOCK_EX), None, 'lock')
        eq(in_other_process(record, fd, fcntl.LOCK_EX), "'EAGAIN'", f'{what}: the child is another owner')
        join([in_child(os.close, fd)], 'a child that closes')
        eq(in_other_process(try_record, b, fcntl.LOCK_EX), "'EAGAIN'", f'{what}: after its close and its end the parent holds it')
        os.close(fd)
        eq(in_other_process(try_record, b, fcntl.LOCK_EX), 'None', f'{what}: after the parent closed')


def test_any_close_drops_a_processs_locks():
    for what, a, b in sides():
        for close_by in ('dup', 'open', 'open natively'):
            fd = os.open(a, os.O_RDWR)
            eq(record(fd, fcntl.LOCK_EX), None, 'lock')
            if close_by == 'dup':
                os.close(os.dup(fd))
            else:
                os.close(os.open(f'{SHM}/l' if close_by == 'open natively' else a, os.O_RDONLY))
            # natively another descriptor of the object does it; through the mount, another one of the mount
            kept = close_by == 'open natively' and a != f'{SHM}/l' and not NATIVE
            eq(in_other_process(try_record, b, fcntl.LOCK_EX), "'EAGAIN'" if kept else 'None', f'{what}: after a close of a {close_by}')
            os.close(fd)


def test_open_files_keep_their_locks():
    """flock and OFD locks stay while anybody has the open file: by dup, in a child, on the way in a message."""
    for sort in ('flock', 'ofd'):
        lock, _, _ = SORTS[sort]
        for what, a, b in pairs():
            soon(lambda: lock(a), None, 'lock')
            copy = os.dup(a)
            os.close(a)
            eq(lock(b), 'EAGAIN', f'{what}: {sort} held by a dup')
            r, w = os.pipe()
            child = in_child(lambda: os.close(w) or os.read(r, 1) and 0)
            ours, theirs = socket.socketpair()
            socket.send_fds(ours, [b'.'], [copy])
            os.close(copy)
            eq(lock(b), 'EAGAIN', f'{what}: {sort} held by a child and a message')
            os.write(w, b'.')
            join([child], 'the child')
            os.close(r), os.close(w)
            time.sleep(0.01)
            eq(lock(b), 'EAGAIN', f'{what}: {sort} held by a message')
            _, fds, _, _ = socket.recv_fds(theirs, 1, 1)
            eq(lock(fds[0]), None, f'{what}: {sort}: the receiver holds it')
            os.close(fds[0])
            soon(lambda: lock(b), None, f'{what}: {sort} after the last close')
            ours.close(), theirs.close(), os.close(b)


def test_exec():
    """Locks go over execve(2) with their descriptor, and are lost with one that is closed by it."""
    for what, a, b in sides():
        for keeps in (True, False):
            fd = os.open(a, os.O_RDWR)
            os.set_inheritable(fd, keeps)
            r, w = os.pipe()
            pid = os.fork()
            if pid == 0:
                fcntl.lockf(fd, fcntl.LOCK_EX)
                os.dup2(r, 0)
                os.execv('/bin/cat', ['cat'])
            os.close(r)
            end = time.monotonic() + 10
            while os.readlink(f'/proc/{pid}/exe') != os.path.realpath('/bin/cat') and time.monotonic() < end:
                time.sleep(0.002)
            eq(in_other_process(try_record, b, fcntl.LOCK_EX), "'EAGAIN'" if keeps else 'None', f'{what}: inheritable: {keeps}')
            os.close(w)
            join([pid], 'cat')
            eq(in_other_process(try_record, b, fcntl.LOCK_EX), 'None', f'{what}: at its end')
            os.close(fd)


def test_blocking():
    """A waiter gets the lock when the holder lets go, whichever sides they are on."""
    for sort, (lock, wait, unlock) in SORTS.items():
        for what, a, b in sides():
            for by_close in (True, False):
                fd = os.open(a, os.O_RDWR)
                soon(lambda: lock(fd), None, 'lock')
                pid = in_child(lock_path, b, wait, [fd])
                wait_asleep(pid)
                eq(os.waitpid(pid, os.WNOHANG), (0, 0), f'{sort}, {what}: the second waits')
                os.close(fd) if by_close else unlock(fd)
                join([pid], f'{sort}, {what}: the second, after the first let go', 10)
                if not by_close:
                    os.close(fd)


def test_a_waiter_can_be_ended():
    """A waiter ends at once on a signal, and what it waited for is free for others."""
    for sort, (lock, wait, _) in SORTS.items():
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            native, mount = both('l')
            put(native, b'x')
            fd = os.open(native, os.O_RDWR)
            soon(lambda: lock(fd), None, 'lock')
            pid = in_child(lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None or lock_path(mount, wait, [fd]))
            wait_asleep(pid)
            start = time.monotonic()
            os.kill(pid, sig)
            while os.waitpid(pid, os.WNOHANG) == (0, 0):
                ok(time.monotonic() < start + 5, f'a waiter in {sort} does not end on {sig.name}')
                time.sleep(0.001)
            ok(time.monotonic() < start + 1, f'{sort}: {sig.name} took {time.monotonic() - start:.2f} s')
            eq(os.stat(mount).st_size, 1, 'the object answers')
            os.close(fd)
            join([in_child(lock_path, mount, wait)], f'{sort} after the waiter died', 10)


def test_a_handler_interrupts():
    """A waiter with a handler goes on (SA_RESTART), or gets EINTR."""
    for sort, (lock, wait, _) in SORTS.items():
        for restart in (True, False):
            native, mount = both('l')
            put(native, b'x')
            fd = os.open(native, os.O_RDWR)
            soon(lambda: lock(fd), None, 'lock')

            class Signalled(Exception):
                pass

            def handler(*_):
                if not restart:
                    raise Signalled

            def run():
                os.close(fd)
                signal.signal(signal.SIGUSR2, handler)
                try:
                    wait(os.open(mount, os.O_RDWR))
                    return 5
                except Signalled:
                    return 6
            pid = in_child(run)
            wait_asleep(pid)
            for _ in range(3):
                os.kill(pid, signal.SIGUSR2)
                time.sleep(0.02)
            if restart:
                eq(os.waitpid(pid, os.WNOHANG), (0, 0), f'{sort}: it waits on')
                os.close(fd)
            eq(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 5 if restart else 6, f'{sort}: restart {restart}')
            if not restart:
                os.close(fd)


def test_death_of_a_holder_frees():
    for sort, (_, wait, _) in SORTS.items():
        for what, a, b in sides():
            holder = Holder(a, wait)
            waiter = in_child(lock_path, b, wait)
            wait_asleep(waiter)
            holder.kill()
            join([waiter], f'{sort}, {what}: after the holder was killed', 10)


def test_change_of_a_lock_that_others_wait_for():
    """Who holds a shared lock and makes it exclusive does not wait for those who wait for him."""
    for sort, (_, wait, _) in SORTS.items():
        if sort == 'flock':
            continue  # flock(2) gives the old lock up first
        shared = (lambda fd: fcntl.lockf(fd, fcntl.LOCK_SH)) if sort == 'fcntl' else (lambda fd: eq(ofd(fd, fcntl.F_RDLCK), None, 'shared'))
        mount = both('l')[1]
        put(mount, b'x')
        third = Holder(mount, shared)
        r, w = os.pipe()
        go_r, go_w = os.pipe()

        def change():
            os.close(third.end_w)
            fd = os.open(mount, os.O_RDWR)
            shared(fd)
            os.write(w, b'.')
            os.read(go_r, 1)
            wait(fd)
        changer = in_child(change)
        eq(os.read(r, 1), b'.', 'the changer has his shared lock')
        waiter = in_child(lambda: os.close(third.end_w) or lock_path(mount, wait))
        wait_asleep(waiter)  # for both
        os.write(go_w, b'.')
        wait_asleep(changer)  # for the third, behind the waiter
        third.end()
        join([changer], f'{sort}: the change', 10)
        join([waiter], f'{sort}: the waiter', 10)
        for fd in (r, w, go_r, go_w):
            os.close(fd)


def test_close_while_a_thread_waits():
    """A thread waits for a lock by a descriptor that another closes: it gets EBADF, and nobody has the lock."""
    for what, a, b in sides():
        holder = Holder(b, lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX))
        fd = os.open(a, os.O_RDWR)
        got = []
        thread = threading.Thread(target=lambda: got.append(attempt(fcntl.lockf, fd, fcntl.LOCK_EX)))
        thread.start()
        time.sleep(0.1)
        os.close(fd)
        time.sleep(0.05)
        eq(got, [], f'{what}: it waits on')
        holder.end()
        thread.join(10)
        eq(got, ['EBADF'], f'{what}: what the waiter got')
        soon(lambda: in_other_process(try_record, b, fcntl.LOCK_EX), 'None', f'{what}: nobody has it')


def test_shell():
    """flock(1), as scripts use it, against the native file."""
    native, mount = both('x')
    for a, b in ((native, mount), (mount, native), (mount, mount)):
        script = f'''
            set -e
            exec 9<>{a}; flock 9
            ! flock -n {b} true
            ! flock -w 0.2 {b} true
            timeout 0.3 flock {b} true && exit 1
            [ $? = 124 ] || exit 1
            (sleep 0.3; flock -u 9) &
            flock -w 5 {b} true
            exec 9>&-; wait
            for i in 1 2 3 4 5 6 7 8 9 10; do flock -n {b} true; flock -n {b} true; done
        '''
        put(native)
        r = subprocess.run(['bash', '-c', script], capture_output=True, text=True, timeout=30)
        eq((r.returncode, r.stderr), (0, ''), f'{a} and {b}')


def count_up(path, lock, unlock, rounds, reopen):
    fd = os.open(path, os.O_RDWR)
    rnd = random.Random(os.getpid())
    for _ in range(rounds):
        lock(fd)
        n = int(os.pread(fd, 20, 0))
        if rnd.random() < 0.1:
            time.sleep(0)
        os.pwrite(fd, b'%019d\n' % (n + 1), 0)
        unlock(fd)
        if reopen:
            os.close(fd)
            fd = os.open(path, os.O_RDWR)


def test_nothing_is_counted_twice():
    """Processes on both sides count up one number under a lock."""
    rounds = 60 if ASAN else 300
    for sort, (_, wait, unlock) in SORTS.items():
        put(f'{SHM}/l', b'%019d\n' % 0)
        for reopen in (False, True):
            join([in_child(count_up, path, wait, unlock, rounds, reopen) for path in both('l') * 3], f'counters with {sort}', 60)
        with open(f'{SHM}/l') as f:
            eq(int(f.read()), 2 * 6 * rounds, f'counted with {sort}')


def test_random_deaths():
    """Counters on both sides are killed at random; the others go on, and a number is never counted twice."""
    rnd = random.Random(1)
    for sort, (lock, wait, unlock) in SORTS.items():
        put(f'{SHM}/l', b'%019d\n' % 0)
        children = [in_child(count_up, path, wait, unlock, 1 << 30, True) for path in both('l') * 3]
        for i in range(40):
            time.sleep(rnd.random() * 0.02)
            k = rnd.randrange(len(children))
            os.kill(children[k], signal.SIGKILL)
            os.waitpid(children[k], 0)
            children[k] = in_child(count_up, both('l')[i % 2], wait, unlock, 1 << 30, bool(i & 2))
        with open(f'{SHM}/l') as f:
            before = int(f.read())
        time.sleep(0.3)
        with open(f'{SHM}/l') as f:
            ok(int(f.read()) > before, f'{sort}: nobody counts any more')
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        join([in_child(lock_path, path, wait) for path in both('l')], f'{sort} when all are dead', 10)


def daemon_threads():
    return len(os.listdir(f'/proc/{os.environ["IPCFS_PID"]}/task'))


@daemon_only
def test_many_waiters():
    """Hundreds wait: those for the same lock in one line, those for different ranges do not wait for each other."""
    native, mount = both('l')
    for same in (True, False):
        put(native, b'x')
        before = daemon_threads()
        count = 300
        fd = os.open(native, os.O_RDWR)
        fcntl.lockf(fd, fcntl.LOCK_EX)

        def wait(i):
            os.close(fd)
            mine = os.open(mount, os.O_RDWR)
            fcntl.lockf(mine, fcntl.LOCK_EX, 1, 0 if same else i)
        pids = [in_child(wait, i) for i in range(count)]
        for pid in pids:
            wait_asleep(pid)
        threads = daemon_threads() - before
        ok(threads <= (4 if same else 256 + 4), f'{threads} threads for {count} waiters')
        if not same:
            fcntl.lockf(fd, fcntl.LOCK_UN, 1, count - 1)
            join([pids.pop()], 'the last range', 10)
            eq([os.waitpid(pid, os.WNOHANG) for pid in pids], [(0, 0)] * len(pids), 'the others wait on')
        for pid in pids[::3]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        del pids[::3]
        os.close(fd)
        join(pids, 'the waiters', 30)
        end = time.monotonic() + 10
        while daemon_threads() > before + 1 and time.monotonic() < end:
            time.sleep(0.05)
        ok(daemon_threads() <= before + 1, f'{daemon_threads()} threads are left of {before}')


@daemon_only
def test_waiters_do_not_hold_up_others():
    """While many wait for locks, everything else goes on."""
    native, mount = both('l')
    put(native, b'x')
    fd = os.open(native, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    pids = [in_child(lock_path, mount, SORTS['flock'][1], [fd]) for _ in range(40)]
    for pid in pids:
        wait_asleep(pid)
    start = time.monotonic()
    for i in range(100):
        eq(os.stat(mount).st_size, 1, 'stat')
        os.close(os.open(mount, os.O_RDWR))
        put(f'{MNT}/shm/other', b'y')
    ok(time.monotonic() - start < 20, f'{time.monotonic() - start:.2f} s for 300 operations')
    os.unlink(mount)
    os.close(fd)
    join(pids, 'waiters for the lock of a removed object', 30)


@daemon_only
def test_what_can_not_be_locked():
    fd = os.open(f'{CTL}/version', os.O_RDONLY)
    eq(flock(fd, fcntl.LOCK_SH), 'EOPNOTSUPP', 'flock of a control file')
    eq(record(fd, fcntl.LOCK_SH), 'EOPNOTSUPP', 'fcntl of a control file')
    os.close(fd)


def users_locks(native, mount):
    a, b = os.open(native, os.O_RDWR), os.open(mount, os.O_RDWR)
    r = os.open(mount, os.O_RDONLY)
    return [record(b, fcntl.LOCK_EX), ofd(a, fcntl.F_WRLCK), ofd(r, fcntl.F_RDLCK), flock(r, fcntl.LOCK_EX | fcntl.LOCK_NB),
            flock(a, fcntl.LOCK_EX | fcntl.LOCK_NB)]


def test_other_users():
    native, mount = both('l')
    user = User(2001, 2001)
    user(put, native, b'x')
    eq(user(users_locks, native, mount), [None, 'EAGAIN', 'EAGAIN', None, 'EAGAIN'], "a user's locks")
    eq(in_other_process(try_record, native, fcntl.LOCK_EX), "'EAGAIN'", 'they hold against root')
    user.end()
    eq(in_other_process(try_record, mount, fcntl.LOCK_EX), 'None', 'and go with him')


main(globals())
