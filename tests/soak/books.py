# SPDX-License-Identifier: MIT
"""What must be as it was, or as the actors' accounts say, when all are at rest."""
import os
import re
import time

from forget import forget
from mounttest import ASAN, MNT, SHM, attempt, metrics
from objects import KEYS, UNITS, by_key, names
from queues import MQ
from semaphores import PosixSem, Set, read

SETTLE_BOUND = 30 if ASAN else 10
PID = int(os.environ['IPCFS_PID'])
LOG_EXPECTED = re.compile(r'mounted on ')
GAUGES = ('handles', 'backing_ids', 'parked', 'keepers', 'jobs_running', 'jobs_queued')
# Bytes that the daemon's memory may grow by between two times of rest: what an allocator does not give back, and what a
# request may have left. A leak of a few bytes in each of a common sort of request is more than that.
GROWTH, GROWTH_PER_REQUEST = 6 << 20, 1


def status(name):
    with open(f'/proc/{PID}/status') as f:
        return int(re.search(rf'^{name}:\s*(\d+)', f.read(), re.M).group(1))


def children():
    """Of the daemon, zombies too."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/stat') as f:
                words = f.read().rpartition(')')[2].split()
        except OSError:
            continue
        if int(words[1]) == PID or words[0] == 'Z':
            found.append(f'{pid} {words[0]} of {words[1]}')
    return found


class Rest:
    """The daemon when all are at rest."""

    def __init__(self):
        values = metrics()
        self.gauges = {name: int(values[f'ipcfs_{name}']) for name in GAUGES}
        self.gauges['handles'] -= 1  # by which this was read
        self.nodes = int(values['ipcfs_nodes'])
        self.threads, self.rss = status('Threads'), (status('RssAnon') + status('VmSwap')) * 1024
        self.fds = len(os.listdir(f'/proc/{PID}/fd'))
        self.requests = sum(v for k, v in values.items() if not k.startswith('ipcfs_'))

    def differs(self, first):
        """From what it was at first, but for what a daemon keeps of the first uses of things, and threads that end when they
        have had nothing to do for a while."""
        wrong = [f'{value} {name}' for name, value in self.gauges.items() if value]
        if self.nodes > first.nodes + 4:
            wrong.append(f'{self.nodes} nodes, at first {first.nodes}')
        if self.fds > first.fds + 16:
            wrong.append(f'{self.fds} descriptors, at first {first.fds}')
        if self.threads > first.threads + 24:
            wrong.append(f'{self.threads} threads, at first {first.threads}')
        return wrong + [f'process {child}' for child in children()]


def settled(first):
    """The daemon at rest, and what is wrong with it that does not go away."""
    end = time.monotonic() + SETTLE_BOUND
    while True:
        forget()
        rest = Rest()
        wrong = rest.differs(first or rest)
        if not wrong or time.monotonic() > end:
            return rest, wrong
        time.sleep(0.1)


def grown(early, last):
    """What is wrong with its memory after two rests with the same load between them."""
    allowed = GROWTH + GROWTH_PER_REQUEST * (last.requests - early.requests)
    if ASAN or last.rss - early.rss <= allowed:
        return []
    return [f'memory grew from {early.rss} to {last.rss} in {last.requests - early.requests:.0f} requests, '
            f'{(last.rss - early.rss) / (last.requests - early.requests):.1f} bytes in each']


def semaphores(accounts, made):
    """Values natively and by the mount: what was posted and not taken."""
    posix = {name: PosixSem(name) for name in ('units', 'slots', 'idle')}
    want = {'units': accounts['sem'][0] - accounts['sem'][1], 'slots': UNITS, 'idle': 0}
    wrong = [f'sem/{name} is {sem.value()}, not {want[name]}' for name, sem in posix.items() if sem.value() != want[name]]
    for sem in posix.values():
        sem.close()
    want = {'units': accounts['set'][0] - accounts['set'][1], 'slots': UNITS, 'set': 0}
    wrong += [f'the set {name} is {Set.by_id(made[name]).value()}, not {value}' for name, value in want.items()
              if Set.by_id(made[name]).value() != value]
    shown = [int(read(f'{MNT}/{path}')) for path in ('sem/units/value', by_key('sem', 'units') + '/0/value')]
    ours = [accounts['sem'][0] - accounts['sem'][1], want['units']]
    return wrong + ([f'the mount shows {shown}, posted and not taken are {ours}'] if shown != ours else [])


def books(accounts, made, known):
    """All that is wrong with the accounts of an epoch and with the objects. Pipes are checked by their readers."""
    wrong = semaphores(accounts, made)
    for name in ('calls', 'bound'):
        if accounts[name][0] != accounts[name][1]:
            wrong.append(f'{accounts[name][0]} calls of sock/{name} were made and {accounts[name][1]} served')
    for name in ('slots', 'set slots', 'flock', 'fcntl'):
        if accounts[name][0]:
            wrong.append(f'somebody is inside {name}: {accounts[name][0]}')
    now = names()
    wrong += [f'objects of {kind} are {now[kind]}, at first {known[kind]}' for kind in known if now[kind] != known[kind]]
    left = [n for n in os.listdir(SHM) if n not in known['shm'] and not n.startswith('sem.')]
    return wrong + ([f'left in the tmpfs: {left}'] if left else [])


def log_lines():
    """What the daemon has said that it need not have."""
    with open(os.environ['IPCFS_LOG'], errors='replace') as f:
        return [line.rstrip() for line in f if line.strip() and not LOG_EXPECTED.search(line)]
