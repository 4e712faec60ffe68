# SPDX-License-Identifier: MIT
"""The daemon is denied system calls, one after another (deny.c): what can be done without is done without; the rest fails with
a plain errno, or the daemon says at its start what it lacks. It never crashes, hangs, or leaves anything behind.

usage: denied.py DENY [ERRNO...]       ONLY=call,...: those alone; SHOW=1: all outcomes; by default each is denied with ENOSYS
"""
import ctypes
import errno
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback

from denied_table import ENDS, LEAVES, LOSES, LOSES_OTHERWISE, NOT_TRIED, REFUSES, REFUSES_OTHERWISE, STUCK
from mounttest import ERRNO, MNT, SCRATCH, SHM, ok

DENY = os.path.abspath(sys.argv[1])
ERRNOS = sys.argv[2:] or ['ENOSYS']
IPCFS = os.environ['IPCFS']
AT_ONCE = 4
STEP, CASE, START = 10, 90, 10  # seconds
CLONE_NEWNS, CLONE_NEWIPC = 0x20000, 0x8000000
libc = ctypes.CDLL(None, use_errno=True)


# ---- one daemon, in a process and name spaces of its own ----

def enter():
    if libc.unshare(CLONE_NEWNS | CLONE_NEWIPC):
        raise OSError(ctypes.get_errno(), 'unshare')
    for where, options in ((SHM, 'mode=1777'), ('/run', 'mode=755'), (SCRATCH, 'mode=1777')):
        subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', where], check=True)


def mounted():
    with open('/proc/self/mountinfo') as f:
        return any(line.split()[4] == MNT for line in f)


def wait_mounted(daemon):
    end = time.monotonic() + START
    while time.monotonic() < end:
        if daemon.poll() is not None:
            return False
        if mounted():
            return True
        time.sleep(0.005)
    return False


class TooLong(Exception):
    pass


def too_long(*_):
    raise TooLong


def outcome(step):
    signal.alarm(STEP)
    try:
        step()
        return 'ok'
    except OSError as e:
        return ERRNO.get(e.errno, str(e.errno))
    except TooLong:
        return f'hangs for {STEP} s'
    except AssertionError as e:
        return f'wrong: {e}'
    finally:
        signal.alarm(0)


def use(daemon):
    from steps import STEPS
    got = {}
    for name, step in STEPS.items():
        if daemon.poll() is None:
            got[name] = outcome(step)
    return got


def left():
    run = [os.path.join(where, name) for where, _, names in os.walk('/run/ipcfs') for name in names if name != 'daemons']
    return ([MNT] if mounted() else []) + os.listdir(SHM) + run


def play(call, error):
    """What comes of it, as a dictionary."""
    enter()
    signal.signal(signal.SIGALRM, too_long)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    deny = [DENY, call, str(getattr(errno, error))] if call else []
    with open(f'{SCRATCH}/log', 'wb') as log:
        daemon = subprocess.Popen([*deny, IPCFS, '-f', '-o', 'passthrough=off,loglevel=info', MNT], stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=log, cwd='/')
    began = wait_mounted(daemon)
    result = {'began': began, 'steps': use(daemon) if began else {}, 'died': daemon.poll() is not None}
    if daemon.poll() is None:
        daemon.send_signal(signal.SIGTERM)
    try:
        result['status'] = daemon.wait(START)
    except subprocess.TimeoutExpired:
        result['status'] = f'runs {START} s after SIGTERM'
        daemon.kill()
    with open(f'{SCRATCH}/log', errors='replace') as f:
        result['log'] = f.read()
    result['left'] = left()
    return result


# ---- all of them ----

def start(case):
    out, into = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(into)
        return pid, out, time.monotonic() + CASE
    try:
        os.setsid()
        with os.fdopen(into, 'w') as f:
            json.dump(play(*case), f)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def finish(child):
    pid, out, end = child
    if select.select([out], [], [], max(0, end - time.monotonic()))[0]:
        with os.fdopen(out) as f:
            told = f.read()
    else:
        os.close(out)
        told = ''
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return json.loads(told) if told else {'began': True, 'steps': {}, 'died': True, 'status': f'no end in {CASE} s', 'left': [], 'log': ''}


def run_all(cases):
    """Yields each case and its result; several at once."""
    running = []
    cases = list(cases)
    while cases or running:
        while cases and len(running) < AT_ONCE:
            case = cases.pop(0)
            running.append((case, start(case)))
        ready = select.select([child[1] for _, child in running], [], [], 0.5)[0]
        for entry in list(running):
            case, child = entry
            if child[1] in ready or time.monotonic() > child[2]:
                running.remove(entry)
                yield case, finish(child)


def is_loss(call, error, step, got):
    may = list(LOSES.get(call, ())) + (LOSES_OTHERWISE.get(call, []) if error != 'ENOSYS' else [])
    return step in may and got not in ('EIO', 'ENOTCONN') and 'hangs' not in got


def judge(call, error, result):
    """What is wrong with it, as lines."""
    wrong = []
    refuses = REFUSES | ENDS | (REFUSES_OTHERWISE if error != 'ENOSYS' else set())
    status = result['status']
    if result['left'] and call not in LEAVES | ENDS:  # an object outlives a daemon that ends amid the steps
        wrong.append(f'it leaves {result["left"]}')
    if result['died'] or not result['began']:  # it may have been mounted for a moment
        if call not in refuses:
            wrong.append('it does not start' if not result['began'] else 'it ends by itself')
        if not isinstance(status, int) or status <= 0:
            wrong.append(f'that ends with status {status}')
        if not result['log'].strip():
            wrong.append('it does not say why')
        return wrong
    if status != int(call in STUCK):
        wrong.append(f'status {status}')
    wrong += [f'{step}: {got}' for step, got in result['steps'].items() if got != 'ok' and not is_loss(call, error, step, got)]
    return wrong + ['it is not to work'] * (call in REFUSES | ENDS and error == 'ENOSYS')


def main():
    listed = subprocess.run([DENY, '--list'], capture_output=True, text=True, check=True).stdout.split()
    only = os.environ.get('ONLY', '').split(',')
    calls = [call for call in listed if not only[0] or call in only]
    cases = [(None, None)] + [(call, error) for error in ERRNOS for call in calls if (call, error) not in NOT_TRIED]
    bad = 0
    for (call, error), result in run_all(cases):
        wrong = judge(call, error, result)
        bad += bool(wrong)
        unlike = {step: got for step, got in result['steps'].items() if got != 'ok'}
        if wrong or os.environ.get('SHOW'):
            print(f'{"FAILED " if wrong else ""}{call} denied with {error}: {"; ".join(wrong)}\n   {unlike}\n   {result["log"][-600:]!r}', flush=True)
    ok(not bad, f'{bad} of {len(cases)} are not as they have to be')
    print(f'{len(cases)} daemons')


main()
