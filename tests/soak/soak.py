# SPDX-License-Identifier: MIT
"""The soak: a mixed load of all kinds, natively and through the mount, for as long as asked. See soak.h for its actors.

    tests/mount/run IPCFS tests/soak/soak.py SOAK-PROGRAM CONSERVE-PROGRAM [SECONDS]      (scripts/soak does that)

Every few seconds all come to rest: then nothing may be lost, doubled or left. IPCFS_SEED repeats what was random. EPOCH:
seconds between two rests.
"""
import os
import random
import signal
import subprocess
import sys
import time

from books import books, grown, log_lines, settled
from everything import remove_all
from forget import forget
from mounttest import ASAN, CTL, MNT, PASSTHROUGH, SCRATCH, SEED, SHM, attempt
from objects import GROUP, KEYS, PAGES, UNITS, by_key, feed, make_objects, names
from stacks import stacks
from walkers import make_walkers

PROGRAM, CONSERVE = sys.argv[1:3]
SECONDS = float(sys.argv[3]) if len(sys.argv) > 3 else 60
EPOCH = float(os.environ.get('EPOCH', max(4, min(10, SECONDS / 6))))
GAP_BOUND = 60 if ASAN else 12  # seconds in which each actor does something: it is hangs that this is to find
REST_BOUND = 120 if ASAN else 40
KILLS = ('spare', 'kill', 'spare', 'kill-lines')
LEDGER = f'{SCRATCH}/ledger'
ACCOUNTS = ('stream', 'other', 'bound', 'calls', 'sem', 'set', 'slots', 'set slots', 'flock', 'fcntl')
USERS = (0, 1001, 1002)
# What an actor's work is counted as, by the first word of its name.
KIND_OF = {'stream': 'pipe', 'other': 'pipe', 'bound': 'sock', 'server': 'sock', 'client': 'sock', 'native': 'sock', 'sem': 'sem',
           'set': 'sysv/sem', 'flock': 'locks', 'fcntl': 'locks', 'shm': 'shm', 'segment': 'sysv/shm', 'names': 'names', 'looker': 'ctl',
           'parker': 'waits', 'follower': 'events'}


class Wrong(Exception):
    """What the soak has found, a line each."""


def soak(*words):
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=True).stdout


def roles(made):
    """(name, role, arguments): several of each, natively and through the mount."""
    number = {name: str(i) for i, name in enumerate(ACCOUNTS)}
    for pipe in ('stream', 'other'):
        yield f'{pipe} writer', 'pipe-write', f'{MNT}/pipe/{pipe}', number[pipe]
        yield f'{pipe} reader', 'pipe-read', f'{MNT}/pipe/{pipe}', number[pipe]
    yield 'bound server', 'bound-serve', f'{MNT}/sock/bound', number['bound']
    yield 'bound client', 'bound-call', f'{MNT}/sock/bound', number['bound']
    for i in '12':
        yield f'server {i}', 'directory-serve', f'{MNT}/sock/calls', number['calls']
    yield 'client', 'directory-call', f'{MNT}/sock/calls', number['calls']
    yield 'native client', 'native-call', f'{MNT}/sock/calls', number['calls']
    sets = {name: (f'{MNT}/{by_key("sem", name)}/0', 'sysv', str(made[name])) for name in ('units', 'slots')}
    for kind, units, slots, inside in (('sem', (f'{MNT}/sem/units', 'posix', '/units'), (f'{MNT}/sem/slots', 'posix', '/slots'), 'slots'),
                                       ('set', sets['units'], sets['slots'], 'set slots')):
        yield f'{kind} poster', 'post', *units, number[kind]
        for i in '12':
            yield f'{kind} taker {i}', 'take', *units, number[kind]
        for i in '123':
            yield f'{kind} holder {i}', 'hold', *slots, number[inside], str(UNITS)
    for kind in ('flock', 'fcntl'):
        for i in '12':
            yield f'{kind} {i}', 'lock', f'{MNT}/shm/{kind}', f'{SHM}/{kind}', kind, number[kind]
    mapped = 'on' if PASSTHROUGH else 'off'
    for page in '01':
        yield f'shm owner {page}', 'region', f'{MNT}/shm/region', 'posix', f'{SHM}/region', page, mapped
        yield f'segment owner {page}', 'region', f'{MNT}/{by_key("shm", "segment")}', 'sysv', str(made['segment']), page, mapped
    for i in '123':
        yield f'names {i}', 'name', MNT
    for i in '12':
        yield f'looker {i}', 'look', CTL
        yield f'parker {i}', 'park', MNT
    yield 'follower', 'follow', CTL


class Actors:
    """The processes of the program, and what they have told."""

    def __init__(self, made):
        soak('make', LEDGER, str(SEED))
        self.processes, self.began = {}, {}
        for slot, (name, *role) in enumerate(roles(made)):
            user = USERS[slot % len(USERS)]
            self.processes[name] = subprocess.Popen([PROGRAM, 'act', LEDGER, str(slot), name, *role], user=user, group=GROUP, extra_groups=[],
                                                    umask=0o002, stdin=subprocess.DEVNULL)

    def report(self):
        """Rows of all that have begun; accounts by name."""
        self.rows, self.accounts = {}, {}
        for line in soak('report', LEDGER).splitlines():
            word, *rest = line.split('\t')
            if word == 'account' and int(rest[0]) < len(ACCOUNTS):
                self.accounts[ACCOUNTS[int(rest[0])]] = int(rest[1]), int(rest[2])
            elif word == 'actor':
                keys = ('slot', 'name', 'pid', 'sink', 'rests', 'steps', 'gap', 'step', 'longest', 'longest_step', 'failure')
                row = dict(zip(keys, rest))
                self.rows[row['name']] = row
        return self.rows

    def check(self):
        """Nobody has failed, died, or stands still."""
        self.report()
        wrong = []
        for name, process in self.processes.items():
            row = self.rows.get(name)
            if process.poll() is not None:
                wrong.append(f'{name} ended with status {process.returncode}: {row and row["failure"]}')
            elif row and float(row['gap']) > GAP_BOUND * 1000:
                wrong.append(f'{name} stands still in "{row["step"]}" for {float(row["gap"]) / 1000:.1f} s')
            elif row and float(row['longest']) > GAP_BOUND * 1000:
                wrong.append(f'{name} took {float(row["longest"]) / 1000:.1f} s for "{row["longest_step"]}"')
        if wrong:
            raise Wrong('\n'.join(wrong))

    def wait(self, wanted, what, bound=REST_BOUND):
        end = time.monotonic() + bound
        while True:
            self.check()
            missing = [name for name in self.processes if not (name in self.rows and wanted(self.rows[name]))]
            if not missing:
                return
            if time.monotonic() > end:
                raise Wrong('\n'.join(f'{name} {what}, in "{self.rows.get(name, {}).get("step")}"' for name in missing))
            time.sleep(0.02)

    def rest(self):
        """Sources first: what they have sent still has to come to the sinks."""
        soak('phase', LEDGER, 'ending')
        self.wait(lambda row: row['sink'] == '1' or row['rests'] == '1', 'does not come to rest')
        soak('phase', LEDGER, 'rest')
        self.wait(lambda row: row['rests'] == '1', 'does not come to rest')

    def end(self):
        for process in self.processes.values():
            process.kill()
            process.wait()

    def steps(self):
        """Operations by kind of object, or of what is done."""
        sums = {}
        for name, row in self.rows.items():
            kind = KIND_OF[name.split()[0]]
            sums[kind] = sums.get(kind, 0) + int(row['steps'])
        return sums


class Conserve:
    """Senders and receivers of messages of all sorts, for one epoch: tests/mount/conserve.c."""

    def __init__(self, kind, queue, kills, number):
        env = os.environ | {'IPCFS_SECONDS': str(EPOCH), 'IPCFS_SEED': str(SEED + number), 'IPCFS_BESIDE': '1'}
        self.name = f'{kind}, {kills}'
        self.process = subprocess.Popen([CONSERVE, kind, f'{MNT}/{queue}', f'{CTL}/{queue}', kills], env=env, text=True, errors='replace',
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)

    def end(self):
        """How many messages there were."""
        try:
            out = self.process.communicate(timeout=EPOCH + REST_BOUND + 40)[0]
        except subprocess.TimeoutExpired:
            raise Wrong(f'messages of {self.name}: no end') from None
        said = dict((line.split()[1], float(line.split()[0])) for line in out.splitlines() if ' messages, ' in line)
        gap = [float(line.split()[2]) for line in out.splitlines() if 'longest gap' in line]
        if self.process.returncode or not said or not gap or gap[0] > GAP_BOUND:
            raise Wrong(f'messages of {self.name}: status {self.process.returncode}, longest gap {gap}\n{out}')
        return int(said['messages,']), gap[0]

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Soak:
    def __init__(self):
        self.walkers = make_walkers()
        self.epochs, self.messages, self.conserve, self.longest_queue_gap = 0, {'mq': 0, 'sysv/msg': 0}, [], 0.0
        self.rests = []
        self.first, _ = settled(None)
        self.made = make_objects()
        self.known = names()
        self.actors = Actors(self.made)

    def work(self):
        """Until it is time to rest."""
        end = time.monotonic() + EPOCH
        next_check = 0
        while time.monotonic() < end:
            for walker in self.walkers:
                wrong = walker.look()
                if wrong:
                    raise Wrong(wrong)
            if time.monotonic() > next_check:
                self.actors.check()
                feed()
                next_check = time.monotonic() + 0.25
            time.sleep(0.02)

    def epoch(self):
        kills = KILLS[self.epochs % len(KILLS)]
        self.epochs += 1
        self.conserve = [Conserve('mq', 'mq/load', kills, self.epochs), Conserve('sysv', by_key('msg', 'load'), kills, self.epochs)]
        soak('phase', LEDGER, 'work')
        self.work()
        wrong = [w for w in (walker.stop() for walker in self.walkers) if w]
        if wrong:
            raise Wrong('\n'.join(wrong))
        for kind, conserve in zip(self.messages, self.conserve):
            count, gap = conserve.end()
            self.messages[kind] += count
            self.longest_queue_gap = max(self.longest_queue_gap, gap)
        self.conserve = []
        self.actors.rest()
        self.checkpoint()

    def checkpoint(self):
        """All are at rest."""
        wrong = books(self.actors.accounts, self.made, self.known)
        rest, left = settled(self.first)
        self.rests.append(rest)
        wrong += left + [f'in the log: {line}' for line in log_lines()]
        # The first rests are those of a daemon that meets everything for the first time.
        if len(self.rests) > 2:
            wrong += grown(self.rests[1], rest)
        self.progress(rest)
        if wrong:
            raise Wrong('\n'.join(wrong))

    def progress(self, rest):
        rates = ', '.join(f'{kind} {count / (EPOCH * self.epochs):.0f}' for kind, count in
                          (self.actors.steps() | self.messages).items())
        before = self.rests[-2] if len(self.rests) > 1 else self.first
        print(f'{self.epochs}: {(rest.requests - before.requests) / EPOCH:.0f} requests/s, {rest.rss >> 10} KiB, {rest.nodes} nodes, '
              f'{rest.fds} descriptors, {rest.threads} threads; per second: {rates}', flush=True)

    def summary(self):
        print('operations: ' + ', '.join(f'{kind} {count}' for kind, count in (self.actors.steps() | self.messages).items()))
        slow = max(self.actors.rows.values(), key=lambda row: float(row['longest']))
        print(f'longest gap: {float(slow["longest"]) / 1000:.2f} s, of {slow["name"]} in "{slow["longest_step"]}"; '
              f'of the queues {self.longest_queue_gap:.2f} s')
        for walker in self.walkers:
            print(f'{walker.name}: {walker.walks} walks, {walker.killed} killed on the way, the slowest was gone after {walker.slowest:.3f} s')
        first, last = self.rests[min(1, len(self.rests) - 1)], self.rests[-1]
        print(f'memory: {first.rss >> 10} KiB early, {last.rss >> 10} KiB at the end, {last.requests - first.requests:.0f} requests between')

    def evidence(self):
        """What can be told of a soak that went wrong, before anything is ended."""
        for row in self.actors.rows.values():
            print('  ' + ' '.join(f'{k}={v!r}' for k, v in row.items() if v and k != 'slot'))
        print('accounts (in, out):', self.actors.accounts)
        for file in ('ctl/metrics', 'ctl/waits'):
            said = subprocess.run(['timeout', '-s', 'KILL', '10', 'cat', f'{MNT}/{file}'], capture_output=True, text=True, errors='replace')
            lines = [line for line in said.stdout.splitlines() if not line.startswith(('#', 'ipcfs_limit', 'ipcfs_request')) or
                     line.startswith('ipcfs_requests_total')]
            print(f'--- {file}', *lines[:200], sep='\n')
        sys.stdout.flush()
        stacks(os.environ['IPCFS'])

    def run(self):
        end = time.monotonic() + SECONDS
        while time.monotonic() + EPOCH <= end or self.epochs < 4:
            self.epoch()
        soak('phase', LEDGER, 'over')
        for name, process in self.actors.processes.items():
            if process.wait(10):
                raise Wrong(f'{name} ended with status {process.returncode}')

    def end(self):
        for walker in self.walkers:
            walker.stop()
        for conserve in self.conserve:
            conserve.kill()
        self.actors.end()
        attempt(remove_all)  # the daemon may be no more
        attempt(forget)


def main():
    print(f'soak: seed {SEED}, {SECONDS:g} s, a rest every {EPOCH:g} s', flush=True)
    random.seed(SEED)
    state = Soak()
    try:
        state.run()
        state.summary()
    except Wrong as wrong:
        print(f'FAILED in epoch {state.epochs} (seed {SEED}):\n{wrong}', flush=True)
        state.evidence()
        state.end()
        sys.exit(1)
    state.end()


main()
