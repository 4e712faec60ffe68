# SPDX-License-Identifier: MIT
"""The end of the daemon while semaphores are waited for and held: everybody ends, what was held comes back.

usage: semend.py SEMAPHORE-PROGRAM (semaphore.c), with run --no-daemon
"""
import os
import signal
import subprocess
import sys
import time

from daemons import BOUND, Daemon, end_daemons
from mounttest import ASAN, MNT, attempt, eq, in_child, main, ok
from queues import SOON, bash, output, shell, start, wait_blocked, wait_until
from semaphores import FAMILIES, clean_semaphores, said, wait_value

PEER = sys.argv[1]


def waiters(s, full):
    """A waiter of each kind for `s`, whose value is 0, and holders of both units of `full`."""
    lines = [f'exec cat {s.path}/wait', f'exec 9< {s.path}/hold', f'exec 9<> {s.path}/hold; cat <&9', f'exec 9< {full.path}/hold']
    if s.kind != 'sem':
        lines += [f'echo 0:-1 1:+1 > {s.object}/op', f'exec cat {s.object}/1/zero']
    holders = [start('bash', '-c', f'exec 9< {full.path}/hold; echo in; sleep 60; :') for _ in range(2)]
    for p in holders:
        eq(said(p), b'in\n', 'a holder')
    found = [shell(line) for line in lines]
    for p in found:
        wait_blocked(p.pid)
    selecting = shell(f'exec python3 -c "import select; select.select([open(\'{s.path}/wait\')], [], [])"')
    time.sleep(0.2)
    return found, selecting, holders


def all_end(found, selecting):
    for p in found:
        out, status = output(p, BOUND)
        ok(status != 0, f'{p.args} ends with status {status}: {out}')
    output(selecting, BOUND)  # that there is an error to read is something to select for


def kill(holders):
    for p in holders:
        end_group(p)


def end_group(p):
    with open(f'/proc/{p.pid}/task/{p.pid}/children') as f:
        children = f.read().split()
    p.kill()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    p.wait(BOUND)
    p.stdout.close()


def test_sigterm_ends_waits_and_holds():
    for cls in FAMILIES:
        for sig in (signal.SIGTERM, signal.SIGINT):
            daemon = Daemon()
            s, full = cls('s'), cls('full', 2)
            found, selecting, holders = waiters(s, full)
            eq(full.value(), 0, 'held')
            begin = time.monotonic()
            daemon.process.send_signal(sig)
            eq(daemon.ended(), 0, f'status on {sig.name}')
            ok(time.monotonic() - begin < 5 * SOON, f'{sig.name}: the end takes {time.monotonic() - begin:.1f} s')
            all_end(found, selecting)
            wait_value(full, 2, f'what is held of {cls.kind} comes back on {sig.name}')
            eq((s.value(), s.waiting()), (0, 0), 'the other')
            s.post()
            wait_value(s, 1, 'nobody is left to take')
            kill(holders)
            eq(full.value(), 2, 'once')
            clean()


def clean():
    clean_semaphores()
    for name in os.listdir('/dev/shm'):
        if name.startswith('sem.'):
            os.unlink(f'/dev/shm/{name}')


def test_killed_daemon():
    """The kernel gives back what is held of System V ones; of POSIX ones it is lost, as natively by who dies with one."""
    for cls in FAMILIES:
        daemon = Daemon()
        s, full = cls('s'), cls('full', 2)
        found, selecting, holders = waiters(s, full)
        daemon.process.kill()
        daemon.process.wait(BOUND)
        all_end(found, selecting)
        wait_value(full, 0 if cls.kind == 'sem' else 2, f'what was held of {cls.kind}')
        s.post()
        wait_value(s, 1, 'nobody is left to take')
        kill(holders)
        subprocess.run(['umount', '-l', MNT], check=True)
        daemon = Daemon()
        eq(bash(f'cat {s.path}/wait; cat {s.path}/value'), ('0\n0\n', 0), 'the next daemon')
        if cls.kind != 'sem':
            eq(bash(f'exec 9< {full.path}/hold; cat {full.path}/value'), ('1\n', 0), 'a hold of the next daemon')
        daemon.process.terminate()
        eq(daemon.ended(), 0, 'status')
        clean()


def test_umount_is_busy_while_held():
    for cls in FAMILIES:
        daemon = Daemon()
        s = cls('s', 1)
        fd = os.open(f'{s.path}/hold', os.O_RDONLY)
        r = subprocess.run(['umount', MNT], capture_output=True, text=True, timeout=BOUND)
        ok(r.returncode != 0 and 'busy' in r.stderr, f'umount beside a holder: {r}')
        os.close(fd)
        wait_value(s, 1, 'given back')
        fd = os.open(f'{s.path}/hold', os.O_RDONLY)
        subprocess.run(['umount', '-l', MNT], check=True, timeout=BOUND)
        time.sleep(0.2)
        eq((s.value(), daemon.process.poll()), (0, None), 'after umount -l it is held on')
        os.close(fd)
        eq(daemon.ended(), 0, 'status after umount -l')
        wait_value(s, 1, f'given back at the end, {cls.kind}')
        clean()


def hold_and_wait(s, count):
    """Threads of one process that wait, each with a descriptor of its own."""
    import threading
    threading.stack_size(65536)
    for i in range(count):
        how = (lambda: os.open(f'{s.path}/hold', os.O_RDONLY)) if i % 2 else (lambda: os.read(os.open(f'{s.path}/wait', os.O_RDONLY), 10))
        threading.Thread(target=lambda h=how: attempt(h), daemon=True).start()
    time.sleep(BOUND * 4)


def churn(s, takes):
    while os.path.isdir(s.path):
        attempt(bash, (f'timeout 0.01 cat {s.path}/wait; ' if takes else '') + f'timeout 0.01 bash -c "exec 9< {s.path}/hold; sleep 1";'
                f'(exec 9< {s.path}/hold; exec sleep 1) & sleep 0.005; kill $!; timeout 0.01 bash -c "exec 9< {s.path}/hold"')
    return 0


def test_sigterm_while_thousands_wait():
    n = 200 if ASAN else 1000
    for cls in FAMILIES:
        daemon = Daemon()
        s, free = cls('s'), cls('free', 3)
        pids = [in_child(hold_and_wait, s, n), in_child(churn, free, False), in_child(churn, s, True)]
        wait_until(lambda: daemon.parked() >= n, f'{n} parked', 30)
        time.sleep(0.2)
        begin = time.monotonic()
        daemon.process.terminate()
        eq(daemon.ended(), 0, 'status')
        print(f'  ended in {time.monotonic() - begin:.2f} s beside {n} waiters of {cls.kind}')
        os.kill(pids[0], signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
        wait_value(free, 3, 'what was held on and off is back')
        eq((s.value(), s.waiting()), (0, 0), 'afterwards')
        clean()


def end_all():
    end_daemons()
    clean()


main(globals(), after=end_all, about_daemon=True)
