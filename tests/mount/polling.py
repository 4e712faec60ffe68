# SPDX-License-Identifier: MIT
"""-o poll: the device is polled while requests come in quick succession, within the share, and never by an idle daemon."""
import os
import re
import signal
import threading
import time

from daemons import BOUND, Daemon, end_daemons
from mounttest import ASAN, CTL, MNT, attempt, eq, get, main, ok
from queues import MQ, clean_queues, make_mq, mount_mqfs, output, shell, wait_blocked

SECONDS = 1
READERS = 50


class Polled(Daemon):
    def __init__(self, *options):
        super().__init__(*options)
        self.device = next(fd for fd in os.listdir(self.path('fd')) if attempt(os.readlink, self.path('fd', fd)) == '/dev/fuse')

    def path(self, *parts):
        return os.path.join(f'/proc/{self.process.pid}', *parts)

    def polls(self):
        """Now: whether the device's file is O_NONBLOCK."""
        with open(self.path('fdinfo', self.device)) as f:
            return bool(int(re.search(r'^flags:\s*(\d+)', f.read(), re.M).group(1), 8) & os.O_NONBLOCK)

    def cpu(self):
        """Seconds of CPU time of all its threads."""
        found = (attempt(lambda t: open(t).read(), self.path('task', t, 'schedstat')) for t in os.listdir(self.path('task')))
        return sum(int(line.split()[0]) for line in found if line != 'ESRCH') / 1e9

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        eq(self.ended(), 0, 'status')


def percent():
    return int(dict(l.split(': ', 1) for l in get(f'{CTL}/version').decode().splitlines())['poll_percent'])


def ask(pause=0.0, seconds=SECONDS):
    """Requests, a `pause` after each; how many."""
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        os.statvfs(f'{MNT}/mq')
        count += 1
        if pause:
            time.sleep(pause)
    return count


def ever_polls(daemon):
    """Whether it is seen to poll, while requests come."""
    asking = threading.Thread(target=ask)
    asking.start()
    seen = False
    while asking.is_alive():
        seen = seen or daemon.polls()
    asking.join()
    return seen


def with_cpus(cpus, options):
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        return Polled(*options)
    finally:
        os.sched_setaffinity(0, before)


def test_when():
    cpus = os.sched_getaffinity(0)
    default = 50 if len(cpus) > 1 else 0
    for options, of, want in (((), cpus, default), (('-o', 'poll=off'), cpus, 0), (('-o', 'poll=30'), cpus, 30),
                              ((), {min(cpus)}, 0), (('-o', 'poll=30'), {min(cpus)}, 30)):
        daemon = with_cpus(of, options)
        eq(percent(), want, f'poll_percent with {options} and {len(of)} CPUs')
        if len(of) > 1 or want == 0:  # beside it, on the same CPU, nobody looks while it polls
            eq(ever_polls(daemon), want > 0, f'polls with {options} and {len(of)} CPUs')
        daemon.end()


def used(share, pause):
    """Of one CPU, and requests, in a second of requests with pauses."""
    daemon = Polled('-o', f'poll={share}')
    before = daemon.cpu()
    count = ask(pause)
    spent = daemon.cpu() - before
    daemon.end()
    return spent / SECONDS, count


def test_share():
    for pause in (0, 0.00002, 0.0002, 0.001):
        plain, plain_count = used(0, pause)
        polled, count = used(5, pause)
        bound = 2 * plain * count / plain_count + 0.05 + 0.02
        print(f'  pause {pause}: {polled:.3f} of a CPU for {count}, {plain:.3f} for {plain_count} without, bound {bound:.3f}')
        ok(polled <= bound, f'with pauses of {pause} s: {polled:.3f} of a CPU, at most {bound:.3f}')


def test_idle():
    daemon = Polled('-o', 'poll=100')
    make_mq('empty')
    blocked = [shell(f'exec cat {MQ}/empty') for _ in range(READERS)]
    for p in blocked:
        wait_blocked(p.pid)
    ask(seconds=0.2)
    time.sleep(0.2)
    before, polls = daemon.cpu(), daemon.polls()
    time.sleep(1)
    spent = daemon.cpu() - before
    # Somebody looks now and then whether he who waits was passed over, and TSan has a thread.
    ok(not polls and spent <= (0.01 if ASAN else 0.0005), f'an idle daemon has had {spent} s of CPU time, polls: {polls}')
    daemon.end()
    for p in blocked:
        output(p, BOUND)
    clean_queues()


def test_end():
    """While it polls: by a signal, and by an umount."""
    for end in (lambda d: d.process.send_signal(signal.SIGTERM), lambda d: os.system(f'umount -l {MNT}')):
        daemon = Polled('-o', 'poll=100')
        asking = threading.Thread(target=lambda: attempt(ask))
        asking.start()
        time.sleep(0.2)
        end(daemon)
        eq(daemon.ended(), 0, 'status')
        asking.join(BOUND)
        ok(not asking.is_alive(), 'whoever asked goes on')


def end_all():
    end_daemons()
    clean_queues()


mount_mqfs()
main(globals(), after=end_all, about_daemon=True)
