# SPDX-License-Identifier: MIT
"""The end of the daemon and of the mount while operations are blocked: everybody ends, nothing is left, nothing is lost."""
import os
import select
import signal
import subprocess
import time

from daemons import BOUND, Daemon, end_daemons
from mounttest import ASAN, MNT, attempt, eq, in_child, main, ok
from queues import (MQ, MSG, SOON, bash, clean_queues, make_mq, make_msg, mount_mqfs, output, shell, wait_blocked,
                    wait_until)


def waiters():
    """A waiter of each kind: processes, and the queues as they are natively."""
    empty, full, msg, full_msg = make_mq('empty'), make_mq('full', 1, 10), make_msg(0x66), make_msg(0x67)
    full.send(b'kept')
    while attempt(full_msg.send, b'x' * 4096, 1, 0o4000) is None:
        pass
    keys, ctl = f'{MSG}/by-key', f'{MNT}/ctl'
    found = [shell(line) for line in (
        f'exec cat {MQ}/empty', f'exec cat {ctl}/mq/empty/lines', f'echo x > {MQ}/full', f'exec seq 9 > {ctl}/mq/full/lines',
        f'exec cat {keys}/0x00000066', f'exec cat {ctl}/sysv/msg/by-key/0x00000066/type/-4', f'echo x > {keys}/0x00000067',
        f'exec cat {ctl}/events > /dev/null')]
    for p in found:
        wait_blocked(p.pid)
    selecting = shell(f'exec python3 -c "import select; select.select([open(\'{MQ}/empty\')], [], [])"')
    time.sleep(0.2)
    return found + [selecting], (empty, full, msg, full_msg)


def all_end(found):
    for p in found:
        out, status = output(p, BOUND)
        ok(status != 0 or 'select' in str(p.args), f'{p.args} ends with status {status}: {out}')


def check_kept(queues):
    empty, full, msg, full_msg = queues
    eq((empty.attr()['curmsgs'], full.take(), msg.stat()['qnum'], full_msg.stat()['qnum']), (0, [(b'kept', 0)], 0, 4),
       'messages afterwards')


def test_sigterm_ends_waits():
    for sig in (signal.SIGTERM, signal.SIGINT):
        daemon = Daemon()
        found, queues = waiters()
        begin = time.monotonic()
        daemon.process.send_signal(sig)
        eq(daemon.ended(), 0, f'status on {sig.name}')
        ok(time.monotonic() - begin < 5 * SOON, f'{sig.name}: the end takes {time.monotonic() - begin:.1f} s')
        all_end(found)
        check_kept(queues)
        clean_queues()


def test_killed_daemon():
    daemon = Daemon()
    found, queues = waiters()
    daemon.process.kill()
    daemon.process.wait(BOUND)
    all_end(found)
    check_kept(queues)
    subprocess.run(['umount', '-l', MNT], check=True)


def test_lazy_umount():
    """Who waits keeps the mount until he is served or dies; then the daemon ends."""
    daemon = Daemon()
    found, queues = waiters()
    subprocess.run(['umount', '-l', MNT], check=True, timeout=BOUND)
    eq(attempt(os.stat, MQ), 'ENOENT', 'the tree after umount -l')
    time.sleep(0.2)
    ok(daemon.process.poll() is None, 'the daemon ends though somebody waits')
    queues[0].send(b'for a waiter')
    # Not only out of the queue: a reader killed between its receive and its print takes the message with him.
    printed, _, _ = select.select([p.stdout for p in found[:2]], [], [], BOUND)
    ok(printed, 'no waiter gets a message after umount -l')
    for p in found:
        p.kill()
    got = [output(p)[0].strip() for p in found]
    eq(sorted(got[:2]), ['', 'for a waiter'], 'what the two readers print')
    eq(daemon.ended(), 0, 'status after umount -l')
    check_kept(queues)


def test_umount_is_busy():
    daemon = Daemon()
    q = make_mq('q')
    p = shell(f'exec cat {MQ}/q')
    wait_blocked(p.pid)
    r = subprocess.run(['umount', MNT], capture_output=True, text=True, timeout=BOUND)
    ok(r.returncode != 0 and 'busy' in r.stderr, f'umount beside a waiter: {r}')
    q.send(b'message')
    eq(output(p), ('message', 0), 'the waiter')
    eq(subprocess.run(['umount', MNT], timeout=BOUND).returncode, 0, 'umount')
    eq(daemon.ended(), 0, 'status')


def test_sigterm_while_thousands_wait():
    """And while they come and go."""
    daemon = Daemon()
    for i in range(20):
        make_mq(f'q{i}', 1, 10).close()
    n = 200 if ASAN else 1000

    def many():
        import threading
        fds = [os.open(f'{MQ}/q{i % 20}', os.O_RDWR) for i in range(n)]
        threading.stack_size(65536)
        for fd in fds:
            threading.Thread(target=lambda f=fd: attempt(os.read, f, 10), daemon=True).start()
        time.sleep(BOUND * 4)

    def churn():
        while True:
            got = attempt(bash, f'timeout 0.01 cat {MQ}/q3; timeout 0.01 cat {MQ}/q4')
            if not os.path.isdir(MQ):
                return 0
            ok(got, 'churn')
    pids = [in_child(many), in_child(churn), in_child(churn)]
    wait_until(lambda: daemon.parked() >= n, f'{n} parked', 30)
    begin = time.monotonic()
    daemon.process.terminate()
    eq(daemon.ended(), 0, 'status')
    print(f'  ended in {time.monotonic() - begin:.2f} s beside {n} waiters')
    os.kill(pids[0], signal.SIGKILL)
    for pid in pids:
        os.waitpid(pid, 0)


def end_all():
    end_daemons()
    clean_queues()


mount_mqfs()
main(globals(), after=end_all, about_daemon=True)
