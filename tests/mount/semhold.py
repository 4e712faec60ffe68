# SPDX-License-Identifier: MIT
"""hold: what is taken by an open comes back with the last descriptor, whatever ended its process, and once.

usage: semhold.py SEMAPHORE-PROGRAM (semaphore.c)
"""
import array
import os
import random
import signal
import socket
import sys
import time

from mounttest import LONG, SEED, attempt, eq, in_child, main, metrics, ok, refused
from queues import SOON, Watch, bash, ends, output, shell, start, wait_blocked, wait_until
from semaphores import FAMILIES, clean_semaphores, said, wait_parked, wait_settled, wait_value

PEER = sys.argv[1]
SECONDS = 3 if LONG else 1.5


def says(p, word):
    eq(said(p), word.encode() + b'\n', f'{p.args}')


def holder(s, more='sleep 60', program='bash'):
    p = start(program, '-c', f'exec 9< {s.path}/hold; echo in; {more}')
    says(p, 'in')
    return p


def kill(p, sig=signal.SIGKILL):
    p.send_signal(sig)
    p.wait(10)
    p.stdout.close()


def hold_for_long(s):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.open(f'{s.path}/hold', os.O_RDONLY)
    time.sleep(60)


def test_signals_end_a_holder():
    for cls in FAMILIES:
        s = cls('s', 3)
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGSEGV, signal.SIGKILL):
            pids = [in_child(hold_for_long, s) for _ in range(3)]
            wait_value(s, 0, 'three hold')
            for n, pid in enumerate(pids, 1):
                os.kill(pid, sig)
                os.waitpid(pid, 0)
                wait_value(s, n, f'{cls.kind}: {n} killed by {sig.name}')


def test_children_that_inherit():
    """Only when the last process that has the descriptor is gone, whichever that is."""
    for cls in FAMILIES:
        s = cls('s', 1)
        for program in ('bash', 'dash'):
            p = holder(s, 'sleep 60 & echo $!; sleep 60 & echo $!; wait', program)
            children = [int(said(p)) for _ in range(2)]
            kill(p)
            time.sleep(0.1)
            eq(s.value(), 0, f'the children of a killed {program} hold')
            os.kill(children[0], signal.SIGKILL)
            time.sleep(0.1)
            eq(s.value(), 0, 'one child is left')
            os.kill(children[1], signal.SIGKILL)
            wait_value(s, 1, f'the last child is gone, {cls.kind}')
        # A subshell that closes it, and one that only has it.
        p = holder(s, '(exec 9<&-; sleep 60) & echo $!; exec 9<&-; echo closed; wait')
        child = int(said(p))
        says(p, 'closed')
        wait_value(s, 1, 'both have closed it, and live')
        os.kill(child, signal.SIGKILL)
        eq(ends(p) >= 0, True, 'the shell')


def test_dup_and_exec():
    for cls in FAMILIES:
        s = cls('s', 1)
        p = start('bash', '-c', f'exec 9< {s.path}/hold; exec 8<&9; exec 9<&-; echo in; read x; exec 8<&-; echo out; read x', stdin=-1)
        says(p, 'in')
        time.sleep(0.05)
        eq(s.value(), 0, 'a copy holds')
        p.stdin.write(b'\n')
        p.stdin.flush()
        says(p, 'out')
        wait_value(s, 1, 'the copy is closed')
        p.communicate(b'\n', 5)
        p = holder(s, 'exec sleep 60')
        time.sleep(0.1)
        eq(s.value(), 0, 'after exec')
        kill(p)
        wait_value(s, 1, 'the executed program is killed')
        p = start(sys.executable, '-c', f'import os; os.open("{s.path}/hold", os.O_RDONLY | os.O_CLOEXEC); '
                  'print("in", flush=True); os.execlp("sleep", "sleep", "60")')
        says(p, 'in')
        wait_value(s, 1, 'close on exec')
        kill(p)
        eq(s.value(), 1, 'once')


def test_passed_to_another_process():
    """Over a UNIX socket, and while nobody has it but the socket."""
    for cls in FAMILIES:
        s = cls('s', 1)
        a, b = socket.socketpair()
        fd = os.open(f'{s.path}/hold', os.O_RDONLY)
        a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))])
        os.close(fd)
        a.close()
        time.sleep(0.1)
        eq(s.value(), 0, 'on its way')
        _, [(_, _, data)], *_ = b.recvmsg(1, socket.CMSG_SPACE(4))
        b.close()
        eq(s.value(), 0, 'arrived')
        os.close(array.array('i', data)[0])
        wait_value(s, 1, f'closed by who received it, {cls.kind}')
        fd = os.open(f'{s.path}/hold', os.O_RDONLY)
        refused('EAGAIN', os.open, f'/proc/self/fd/{fd}', os.O_RDONLY | os.O_NONBLOCK)  # another open takes another one
        os.close(fd)
        wait_value(s, 1, 'closed')


def test_a_blocked_open_that_is_interrupted():
    before = metrics()
    for cls in FAMILIES:
        s, base = cls('s'), metrics()['ipcfs_parked']
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            for line in ('exec 9< $H', 'exec 9<> $H', 'exec 9> $H', 'exec cat < $H', 'exec cat $H', 'exec flock $H true'):
                with Watch():
                    p = shell(f'H={s.path}/hold; {line}')
                    wait_parked(base + 1, line)
                    time.sleep(0.02)
                    p.send_signal(sig)
                    status = ends(p)
                ok(status != 0, f'{line} on {sig.name}: status {status}')
                wait_parked(base, f'after {sig.name} to {line}')
        eq(bash(f'timeout 0.3 bash -c "exec 9< {s.path}/hold"'), ('', 124), 'timeout')
        s.post()
        wait_value(s, 1, f'nothing was taken, {cls.kind}')
        fd = os.open(f'{s.path}/hold', os.O_RDONLY | os.O_NONBLOCK)
        refused('EAGAIN', os.open, f'{s.path}/hold', os.O_RDONLY | os.O_NONBLOCK)
        os.close(fd)
        wait_value(s, 1, 'closed')
    wait_settled(before, 'after blocked opens')


def test_others_go_on():
    """Beside opens that wait: looking, posting, making and removing others."""
    for cls in FAMILIES:
        s, base = cls('s'), metrics()['ipcfs_parked']
        waiting = [shell(line) for line in (f'exec 9< {s.path}/hold', f'exec 9> {s.path}/hold', f'exec cat {s.path}/wait')]
        wait_parked(base + 3, 'they wait')
        with Watch():
            for line in (f'ls -lR {os.path.dirname(s.object)}', f'stat {s.path}/hold {s.path}/wait', f'cat {s.path}/value {s.ctl}/state',
                         f'chmod 640 {s.object}', f'chown 0:0 {s.object}', f'test -r {s.path}/hold'):
                begin = time.monotonic()
                out, status = bash(line, 5 * SOON)
                eq(status, 0, f'{line}: {out}')
                ok(time.monotonic() - begin < SOON, f'{line} takes long')
            other = cls('o', 1)
            eq(bash(f'exec 9<> {other.path}/hold; cat {other.path}/value'), ('0\n', 0), 'another semaphore')
            eq(bash(f'rmdir {other.object}'), ('', 0), 'rmdir of another')
            eq(bash(f'echo 3 > {s.path}/post'), ('', 0), 'post')
            eq([output(p)[1] for p in waiting], [0] * 3, 'all are served')
        wait_value(s, 2, 'the holds are given back, the other is taken')


def test_removed_while_held():
    for cls in FAMILIES:
        s = cls('s', 1)
        fd = os.open(f'{s.path}/hold', os.O_RDONLY)
        p = shell(f'exec 9< {s.path}/hold')
        wait_until(lambda: s.waiting() == 1, 'the open waits for the semaphore itself')  # one that is not there yet finds none
        eq(bash(f'rmdir {s.object}'), ('', 0), 'rmdir')
        refused('ENOENT', os.open, f'{s.path}/hold', os.O_RDONLY)
        if cls.kind == 'sem':
            eq(p.poll(), None, 'who waits for a POSIX one waits on, as natively')
        else:
            out, status = output(p)
            ok(status and 'Identifier removed' in out, f'who waits for a System V one: {status}, {out}')
        os.mkdir(s.object)
        with open(f'{s.path}/value') as f:
            eq(f.read(), '0\n', 'a new one of the same name')
        os.close(fd)
        if cls.kind == 'sem':
            eq(ends(p), 0, 'who waits gets what was held')
            wait_value(s, 1, 'the old one, natively')
        time.sleep(0.05)
        with open(f'{s.path}/value') as f:
            eq(f.read(), '0\n', 'the hold of the old one gives the new one nothing')
        os.rmdir(s.object)


def test_native_and_mount_holders():
    """They exclude each other; System V: both by SEM_UNDO."""
    for cls in FAMILIES:
        s = cls('s', 1)
        native = start(PEER, s.c, s.name, 'hold', stdin=-1)
        says(native, 'held')
        p = shell(f'exec 9< {s.path}/hold; echo in; read x', stdin=-1)
        wait_blocked(p.pid)
        if cls.kind == 'sem':
            native.communicate(b'', 5)
        else:
            kill(native)
        says(p, 'in')
        native = start(PEER, s.c, s.name, 'hold', stdin=-1)
        wait_until(lambda: s.waiting() == 1, 'the native one waits')
        kill(p)
        says(native, 'held')
        native.communicate(b'', 5)
        wait_value(s, 1, 'in the end')


def open_and_close(s, seed):
    rng = random.Random(seed)
    fds = []
    while True:
        for fd in [fd for fd in fds if rng.random() < 0.7]:
            fds.remove(fd)
            os.close(fd)
        if len(fds) < 2:
            got = attempt(os.open, f'{s.path}/hold', os.O_RDONLY | (os.O_NONBLOCK if rng.random() < 0.3 else 0))
            if isinstance(got, int):
                fds.append(got)
        time.sleep(rng.uniform(0, 0.003))


def test_storm():
    """Holders and those who want to be come, go and are killed at any moment; the value ends where it began."""
    before = metrics()
    for cls in FAMILIES:
        s = cls('s', 4)
        rng, kills = random.Random(SEED), 0
        pids = [in_child(open_and_close, s, i) for i in range(12)]
        end = time.monotonic() + SECONDS
        highest = 0
        with Watch():
            while time.monotonic() < end:
                time.sleep(rng.uniform(0, 0.02))
                i = rng.randrange(len(pids))
                os.kill(pids[i], signal.SIGKILL)
                os.waitpid(pids[i], 0)
                pids[i] = in_child(open_and_close, s, 100 + kills)
                kills += 1
                highest = max(highest, s.value())
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            for pid in pids:
                os.waitpid(pid, 0)
        ok(highest <= 4, f'{highest} units of 4')
        ok(kills > 5, f'only {kills} kills')
        print(f'  {cls.kind}: {kills} kills')
        wait_value(s, 4, f'all units of {cls.kind} are back')
        eq(s.waiting(), 0, 'waiters')
    wait_settled(before, 'after the storm')


main(globals(), after=clean_semaphores, about_daemon=True)
