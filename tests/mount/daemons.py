# SPDX-License-Identifier: MIT
"""Daemons that a test starts and ends itself (run --no-daemon)."""
import os
import re
import signal
import subprocess

from mounttest import MNT, SCRATCH, attempt, eq
from queues import MQ, wait_until

IPCFS = os.environ['IPCFS']
BOUND = 15


class Daemon:
    def __init__(self, *options, **how):
        with open(f'{SCRATCH}/log', 'wb') as log:
            self.process = subprocess.Popen([IPCFS, '-f', *options, MNT], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            **how)
        wait_until(lambda: attempt(os.path.isdir, MQ), 'the mount', BOUND)

    def ended(self):
        status = self.process.wait(BOUND)
        eq([l for l in open('/proc/self/mountinfo') if l.split()[4] == MNT], [], 'mounts')
        return status

    def parked(self):
        with open(f'{MNT}/ctl/metrics') as f:
            return int(re.search(r'^ipcfs_parked (\d+)$', f.read(), re.M).group(1))


def end_daemons():
    """A failed test must not leave its daemons and mounts to the next one."""
    for pid in filter(str.isdigit, os.listdir('/proc')):
        if os.path.basename(attempt(os.readlink, f'/proc/{pid}/exe')) == os.path.basename(IPCFS):
            os.kill(int(pid), signal.SIGKILL)
    while any(l.split()[4] == MNT for l in open('/proc/self/mountinfo')):
        subprocess.run(['umount', '-l', MNT], check=True)
