# SPDX-License-Identifier: MIT
"""What the tests of pipe/ and sock/ share: a native directory beside them, in which the same has to happen."""
import os
import stat
import threading
import time

from mounttest import MNT, SCRATCH, attempt, ok

PIPE, SOCK = MNT + '/pipe', MNT + '/sock'
TWIN = SCRATCH + '/twin'  # in a tmpfs, as the runtime directory is; for all, as /tmp
SOON = 10  # seconds in which "at once" must have happened, on a machine that has other work


def clean_directory(where):
    for name in attempt(os.listdir, os.fsencode(where)):
        path = os.fsencode(where) + b'/' + name
        if stat.S_ISDIR(os.lstat(path).st_mode):
            os.rmdir(path)
        else:
            os.unlink(path)


def clean_twins():
    for where in (PIPE, SOCK, TWIN):
        if os.path.isdir(where):
            clean_directory(where)


def make_twin():
    os.makedirs(TWIN, exist_ok=True)
    os.chmod(TWIN, 0o1777)


def twice(tree):
    """Runs a test natively and then in that directory of the mount: what it expects is what the kernel does."""
    def decorate(fn):
        def run():
            make_twin()
            for where in (TWIN, tree):
                try:
                    fn(where)
                except AssertionError as e:
                    raise AssertionError(f'in {where}: {e}').with_traceback(e.__traceback__) from None
                clean_directory(where)
        run.__name__ = fn.__name__
        return run
    return decorate


def wait_until(condition, what, seconds=SOON):
    end = time.monotonic() + seconds
    while not condition():
        ok(time.monotonic() < end, f'{what} within {seconds} s')
        time.sleep(0.002)


def sleeps(pid):
    with open(f'/proc/{pid}/stat') as f:
        return f.read().rpartition(')')[2].split()[0] == 'S'


class Thread(threading.Thread):
    """A thread whose result, or exception, join() gives back; one that does not end is an error."""

    def __init__(self, fn, *args):
        super().__init__(daemon=True)
        self.fn, self.args, self.value, self.error = fn, args, None, None
        self.start()

    def run(self):
        try:
            self.value = self.fn(*self.args)
        except BaseException as e:
            self.error = e

    def result(self, what, seconds=10 * SOON):
        self.join(seconds)
        ok(not self.is_alive(), f'{what}: still waits after {seconds} s')
        if self.error:
            raise self.error
        return self.value
