# SPDX-License-Identifier: MIT
"""Who runs in this namespace, and where each stands: for `run`, and for tests that want to tell more of a hang."""
import glob
import os
import subprocess
import sys


def others():
    """Processes of this namespace besides process 1 and this one; zombies do not count."""
    found = {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        if int(pid) in (1, os.getpid()):
            continue
        try:
            with open(f'/proc/{pid}/stat') as f:
                state = f.read().rpartition(')')[2].split()[0]
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                cmd = f.read().replace(b'\0', b' ').decode(errors='replace').strip()
        except OSError:
            continue
        if state != 'Z':
            found[int(pid)] = f'{state} {cmd[:120]}'
    return found


def read_if(path):
    try:
        with open(path, errors='replace') as f:
            return f.read().strip()
    except OSError as e:
        return e.strerror


def is_daemon(pid, ipcfs):
    try:
        return os.readlink(f'/proc/{pid}/exe') == os.path.realpath(ipcfs)
    except OSError:
        return False


def stacks(ipcfs):
    """Prints where every process of this namespace stands; of the daemon all threads."""
    for pid, what in sorted(others().items()):
        print(f'--- process {pid}: {what}', file=sys.stderr)
        if is_daemon(pid, ipcfs):
            try:
                out = subprocess.run(['gdb', '-nx', '-batch', '-p', str(pid), '-ex', 'thread apply all bt'],
                                     capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
                print(out.stdout[-20000:], file=sys.stderr)
            except (OSError, subprocess.TimeoutExpired) as e:
                print(f'(gdb: {e})', file=sys.stderr)
        for task in sorted(glob.glob(f'/proc/{pid}/task/*')):
            print(f'  task {os.path.basename(task)} wchan {read_if(task + "/wchan")}'
                  f' syscall {read_if(task + "/syscall")}', file=sys.stderr)
            print('    ' + read_if(task + '/stack').replace('\n', '\n    '), file=sys.stderr)
    sys.stderr.flush()
