# SPDX-License-Identifier: MIT
"""Every allocation of the daemon's start fails in turn: it says so in a line, ends with a status other than 0, and leaves no mount,
no process and nothing in the runtime directory; or it does without, and then works.

usage: startfail.py LIBRARY (failalloc.c)
"""
import os
import re
import signal
import subprocess
import sys

from daemons import BOUND, IPCFS, end_daemons
from failing import CONTROL, control
from mounttest import MNT, SCRATCH, SHM, attempt, eq, main, ok
from queues import wait_until

LIBRARY = os.path.abspath(sys.argv[1])
LOG = f'{SCRATCH}/log'


def mounted():
    with open('/proc/self/mountinfo') as f:
        return any(line.split()[4] == MNT for line in f)


def left():
    """All there is in the runtime directory but for the record of daemons, which stays."""
    return [os.path.join(where, name) for where, _, names in os.walk('/run/ipcfs') for name in names if name != 'daemons']


def start(flag):
    """The process that was started, when it has ended or serves."""
    with open(LOG, 'wb') as log:
        process = subprocess.Popen([IPCFS, *flag, '-o', 'loglevel=info', MNT], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd='/',
                                   env=os.environ | {'LD_PRELOAD': LIBRARY, 'FAILALLOC': CONTROL})
    if flag:
        wait_until(lambda: process.poll() is not None or (mounted() and attempt(os.path.isdir, f'{MNT}/shm')), 'it begins', BOUND)
    else:
        process.wait(BOUND)
    return process


def daemons():
    return [int(pid) for pid in filter(str.isdigit, os.listdir('/proc'))
            if str(attempt(os.readlink, f'/proc/{pid}/exe')) == IPCFS]


def works(what):
    with open(f'{MNT}/shm/x', 'wb') as f:
        f.write(b'works')
    with open(f'{SHM}/x', 'rb') as f:
        eq(f.read(), b'works', what)
    os.unlink(f'{SHM}/x')


def end(what):
    pid, = daemons()
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not mounted(), f'{what}: its end', BOUND)


def try_start(what, flag):
    """Whether an allocation has failed before it served, and whether it did not start for that."""
    process = start(flag)
    failed = control.disarm()
    refused = process.poll() not in (None, 0) if flag else process.returncode != 0
    with open(LOG, errors='replace') as f:
        log = f.read()
    if refused:
        ok(failed, f'{what}: it does not start: {log}')
        ok(process.returncode > 0, f'{what}: status {process.returncode}: {log}')
        ok(re.fullmatch(r'((ipcfs|fuse): [^\n]+\n)+', log) and 'ipcfs: ' in log, f'{what}: it says {log!r}')
        wait_until(lambda: not daemons(), f'{what}: its process is gone', BOUND)
    else:
        ok('left out' not in log, f'{what}: {log}')
        works(what)
        end(what)
        if flag:
            eq(process.wait(BOUND), 0, f'{what}: status at its end')
    wait_until(lambda: not daemons(), f'{what}: its process is gone', BOUND)
    eq((mounted(), left(), os.listdir(SHM)), (False, [], []), f'{what}: mount, runtime directory, objects: {log}')
    return failed, refused


def sweep(flag, every, step):
    number = refusals = 0
    failed = True
    while failed:
        number += step
        control.arm(number, every)
        failed, refused = try_start(f'allocation {number}{" and all behind it" if every else ""} {flag}', flag)
        refusals += refused
    ok(refusals > 10 // step, f'only {refusals} starts were refused, of {number}')


def test_one():
    sweep(['-f'], False, 1)


def test_all():
    sweep(['-f'], True, 1)


def test_in_the_background():
    sweep([], False, 3)
    sweep([], True, 3)


main(globals(), end_daemons, about_daemon=True)
