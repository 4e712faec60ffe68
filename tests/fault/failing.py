# SPDX-License-Identifier: MIT
"""Allocations of a daemon that fail on purpose (failalloc.c), one after another, while an operation runs."""
import bisect
import mmap
import os
import signal
import struct
import subprocess
import time

from daemons import IPCFS, Daemon
from mounttest import ERRNO, SCRATCH, metrics, ok

LIMIT = 20  # seconds that an operation may take
FRAMES = 32
PINNED = 0.3  # seconds after which the daemon has let go of what is not asked for again (fs/pins.h)
CONTROL = f'{SCRATCH}/failalloc'


class Control:
    """What the preloaded library reads and writes; struct control of failalloc.c."""

    def __init__(self):
        with open(CONTROL, 'w+b') as f:
            f.truncate(mmap.PAGESIZE)
            self.map = mmap.mmap(f.fileno(), mmap.PAGESIZE)

    def arm(self, number, every):
        struct.pack_into('=4I', self.map, 0, 0, every, 0, 0)
        struct.pack_into('=q', self.map, 24, 0)
        struct.pack_into('=I', self.map, 0, number)

    def disarm(self):
        struct.pack_into('=I', self.map, 0, 0)
        return self.failed()

    def failed(self):
        return struct.unpack_from('=I', self.map, 8)[0]

    def progress(self):
        return struct.unpack_from('=3I', self.map, 0)

    def live(self):
        return struct.unpack_from('=q', self.map, 16)[0]

    def frames(self):
        depth = struct.unpack_from('=I', self.map, 12)[0]
        return struct.unpack_from(f'={FRAMES}Q', self.map, 32)[:depth]


control = Control()


class Fault:
    """`with fault:` an operation runs while an allocation fails. Its OSError is kept in `error`, its result, which it sets
    itself, in `got`."""

    def __init__(self, where, number=0, every=False):
        self.where, self.number, self.every, self.failed, self.error, self.got = where, number, every, 0, None, None
        self.allowed = {'ENOMEM'}

    def __enter__(self):
        self.failed, self.error, self.got = 0, None, None
        control.arm(self.number, self.every)
        return self

    def __exit__(self, kind, value, _):
        self.failed = control.disarm()
        if kind is None or not issubclass(kind, OSError):
            return False
        self.error, self.got = ERRNO.get(value.errno, value.errno), None
        ok(self.failed, f'{self.error} though no allocation failed ({value})')
        ok(self.error in self.allowed, f'{self.error} ({value})')
        return True


def too_slow(*_):
    control.disarm()
    raise AssertionError(f'it takes more than {LIMIT} s')


signal.signal(signal.SIGALRM, too_slow)


class FailingDaemon(Daemon):
    def __init__(self, library, *options):
        # What is freed is overwritten, so that a use of it shows.
        super().__init__('-o', ','.join(('loglevel=info',) + options),
                         env=os.environ | {'LD_PRELOAD': library, 'FAILALLOC': CONTROL, 'MALLOC_PERTURB_': '165'})
        self.pid = self.process.pid

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.pid}/fd'))

    def holding(self):
        """What it has now, when all who let go of something have been heard."""
        with open('/proc/sys/vm/drop_caches', 'w') as f:
            f.write('2')
        end = time.monotonic() + 2
        last = None
        while time.monotonic() < end:
            now = (control.live(), self.descriptors())
            if now == last:
                break
            last = now
            time.sleep(0.01)
        return dict(zip(('allocations', 'descriptors'), now)) | {
            name: metrics()[f'ipcfs_{name}'] for name in ('handles', 'parked', 'jobs_running', 'jobs_queued')}

    def alive(self):
        return self.process.poll() is None

    def log(self):
        with open(f'{SCRATCH}/log', errors='replace') as f:
            return f.read()

    def where(self):
        """Who asked for the memory that was not to be had."""
        with open(f'/proc/{self.pid}/maps') as f:
            rows = [line.split() for line in f]
        starts = [int(row[0].split('-')[0], 16) for row in rows]
        found = []
        for address in control.frames()[2:12]:
            row = rows[bisect.bisect(starts, address) - 1]
            if row[-1].endswith('libfailalloc.so'):
                continue
            if len(row) > 5 and row[5] == IPCFS:
                base = next(start for start, r in zip(starts, rows) if len(r) > 5 and r[5] == IPCFS)
                out = subprocess.run(['addr2line', '-fse', IPCFS, hex(address - base - 1)], capture_output=True, text=True)
                found.append(' '.join(out.stdout.split()))
            elif len(row) > 5:
                found.append(os.path.basename(row[5]))
        return ' < '.join(found)


def numbers(often):
    """Which allocations fail: the first ones, and then fewer and fewer, unless all shall."""
    n = 1
    while True:
        yield n
        n += 1 if os.environ.get('EVERY') or n < often else 1 + n // 10


def growth(before, after):
    return {name: after[name] - before[name] for name in after if after[name] > before[name]}


class Sweep:
    """An operation, again and again, each time with the next allocation failing, until none is left to fail."""

    def __init__(self, daemon, operation, often=60):
        self.daemon, self.operation, self.often, self.failures = daemon, operation, often, 0
        self.name = operation.__name__

    def once(self, number=0, every=False):
        """Whether there was such an allocation."""
        fault = Fault(self.daemon.where, number, every)
        signal.alarm(LIMIT)
        try:
            self.operation(fault)
        except Exception as e:
            where = self.daemon.where() if self.daemon.alive() and number else ''
            raise AssertionError(f'{self.name}, allocation {number}{" and all behind it" if every else ""}: {e!r}; {where}') from e
        finally:
            control.disarm()
            signal.alarm(0)
        ok(self.daemon.alive(), f'{self.name}, allocation {number}: the daemon died')
        self.failures += fault.failed > 0
        return fault.failed > 0

    def sweep(self):
        for every in (False, True):
            for number in numbers(self.often):
                if not self.once(number, every):
                    break
                self.once()

    def left(self):
        """What a sweep leaves in the daemon."""
        before = self.daemon.holding()
        self.sweep()
        left = growth(before, self.daemon.holding())
        if left:
            time.sleep(PINNED)
            left = growth(before, self.daemon.holding())
        return left

    def run(self):
        """What is kept for the next time comes once; what is lost comes again."""
        self.once()
        self.once()
        left = self.left()
        for _ in range(3):
            if not left:
                return
            again = self.left()
            left = {name: count for name, count in again.items() if name in left}
        if left:
            raise AssertionError(f'{self.name} leaves {left}: {self.culprits(next(iter(left)))}')

    def culprits(self, what):
        """The allocations whose failure leaves it."""
        found = []
        for every in (False, True):
            for number in numbers(self.often):
                before = self.daemon.holding()[what]
                for _ in range(5):
                    more = self.once(number, every)
                where = self.daemon.where()
                if self.daemon.holding()[what] >= before + 5:
                    found.append((number, every, where))
                if not more or len(found) > 2:
                    break
        return found
