# SPDX-License-Identifier: MIT
"""Programs that walk through the mount meanwhile, and are killed when their time is over: then they must be gone at once.

Who may not read a queue can not take from it: such walks go over everything. Of root, who may, those that read keep to what
a walk may read without taking. And one user owns objects of all kinds, and walks into all of them: whatever he takes and
whatever he then waits for is his own.
"""
import os
import random
import signal
import subprocess
import time

from mounttest import ASAN, MNT, SEED

GONE_BOUND = 20 if ASAN else 5  # seconds, on a machine that has more to do than it can
LOOKS = ('find . -type f', 'ls -lR .', 'du -a .', "find . -xdev -printf '%p %y %s %T@ %i\\n'")
READS = ('grep -rs x .', 'tar c . | cat', 'find . -type f -exec cat {} +', 'grep -rs zzz ctl')
SAFE = ('grep -rs x ctl proc shm sysv/shm', 'tar c ctl proc shm sysv/shm | cat', 'find ctl proc -type f -exec cat {} +')
NOBODY, OWNER = 1234, 1235
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGKILL)


class Walker:
    """One program after another."""

    def __init__(self, name, user, lines, longest):
        self.name, self.user, self.lines, self.longest = name, user, lines, longest
        self.random = random.Random(f'{SEED} {name}')
        self.process, self.walks, self.killed, self.slowest = None, 0, 0, 0.0

    def start(self):
        self.line = self.random.choice(self.lines)
        self.process = subprocess.Popen(['bash', '-c', self.line], cwd=MNT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, user=self.user, group=self.user, extra_groups=[],
                                        start_new_session=True)
        self.end = time.monotonic() + self.random.uniform(0.1, self.longest)
        self.walks += 1

    def all_gone(self):
        """The program, and what it has started."""
        if self.process.poll() is None:
            return False
        try:
            os.killpg(self.process.pid, 0)
            return False
        except ProcessLookupError:
            return True

    def kill(self):
        """None, or what is wrong."""
        number = self.random.choice(SIGNALS)
        begin = time.monotonic()
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass
        while not self.all_gone():
            if time.monotonic() - begin > GONE_BOUND:
                return f"'{self.line}' of user {self.user} is not gone {GONE_BOUND} s after {number.name}"
            time.sleep(0.002)
        self.killed += 1
        self.slowest = max(self.slowest, time.monotonic() - begin)
        return None

    def look(self):
        if self.process is None:
            self.start()
        elif self.process.poll() is not None and self.all_gone():
            self.process = None
        elif time.monotonic() > self.end:
            return self.stop()
        return None

    def stop(self):
        wrong = self.process and self.kill()
        self.process = None
        return wrong


def make_walkers():
    return [Walker('walk as root', 0, LOOKS + SAFE, 4), Walker('walk as nobody', NOBODY, LOOKS + READS, 4),
            Walker('walk as owner', OWNER, LOOKS + READS, 3)]
