# SPDX-License-Identifier: MIT
"""What the mount tests share: the two views, checks, children that are other users, the daemon's counters."""
import errno
import os
import pickle
import re
import signal
import socket
import sys
import time
import traceback

MNT = os.environ['MNT']
SHM = os.environ['SHM']
TREE = MNT + '/shm'
CTL = MNT + '/ctl'
SCRATCH = os.environ['SCRATCH']
NATIVE = os.environ['IPCFS_NATIVE'] == '1'
PASSTHROUGH = os.environ['PASSTHROUGH'] == 'on'
ASAN = os.environ['ASAN'] == '1'
LONG = os.environ.get('IPCFS_LONG') == '1'  # storms and crowds of full length: by hand, for hours
os.umask(0o22)
SEED = int(os.environ.get('IPCFS_SEED', '20251'))


def clip(value):
    text = repr(value)
    return text if len(text) <= 1500 else f'{text[:1000]} … {text[-500:]}'


def eq(got, want, what):
    if got != want:
        raise AssertionError(f'{what}: got {clip(got)}, expected {clip(want)}')


def ok(condition, what):
    if not condition:
        raise AssertionError(what)


ERRNO = dict(errno.errorcode) | {errno.EOPNOTSUPP: 'EOPNOTSUPP'}  # the number has two names


def attempt(fn, *args, **kwargs):
    """What a call gives, or the name of its errno: two sides are compared by it."""
    try:
        return fn(*args, **kwargs)
    except OSError as e:
        return ERRNO.get(e.errno, e.errno)


def refused(want, fn, *args, **kwargs):
    """The call must fail with this errno (or one of these)."""
    got = attempt(fn, *args, **kwargs)
    wants = (want,) if isinstance(want, str) else tuple(want)
    what = f'{getattr(fn, "__name__", fn)}{args}'
    if got not in wants:
        raise AssertionError(f'{what}: got {got!r}, expected {" or ".join(wants)}')


def both(*parts):
    """The same name natively and through the mount."""
    name = os.path.join(*parts)
    return SHM + '/' + name, TREE + '/' + name


def put(path, data=b'', mode=0o644):
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        os.fchmod(fd, mode)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view):]
    finally:
        os.close(fd)


def get(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        return b''.join(iter(lambda: os.read(fd, 1 << 20), b''))
    finally:
        os.close(fd)


STAT = ('st_mode', 'st_nlink', 'st_uid', 'st_gid', 'st_size', 'st_blocks', 'st_atime_ns', 'st_mtime_ns', 'st_ctime_ns')


def fields(st, names=STAT):
    return {n: getattr(st, n) for n in names}


class Diffs:
    """Many comparisons of one table: shows the first differences and counts the others."""

    def __init__(self, shown=25, alike=()):
        self.shown, self.alike, self.count, self.done = shown, alike, 0, 0

    def same(self, native, mount, what):
        self.done += 1
        if native != mount and not (native in self.alike and mount in self.alike):
            self.count += 1
            if self.count <= self.shown:
                print(f'  differs: {what}: native {native!r}, mount {mount!r}', flush=True)

    def finish(self, at_least):
        ok(self.done >= at_least, f'only {self.done} comparisons were made, meant: {at_least}')
        ok(self.count == 0, f'{self.count} of {self.done} comparisons differ')


class User:
    """A child process with another identity that runs functions for the test, one after another."""

    def __init__(self, uid, gid, groups=()):
        self.uid, self.gid, self.groups = uid, gid, tuple(groups)
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            try:
                self._serve(theirs.makefile('rwb'))
            finally:
                os._exit(0)
        theirs.close()
        self.file = ours.makefile('rwb')
        ours.close()

    def _serve(self, file):
        os.setgroups(self.groups)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        os.umask(0o22)
        while True:
            fn, args = pickle.load(file)
            if fn is None:
                return
            try:
                answer = (True, fn(*args))
            except Exception as e:
                answer = (False, e)
            pickle.dump(answer, file)
            file.flush()

    def __call__(self, fn, *args):
        pickle.dump((fn, args), self.file)
        self.file.flush()
        good, value = pickle.load(self.file)
        if not good:
            raise value
        return value

    def end(self):
        pickle.dump((None, ()), self.file)  # other children hold copies of our end: closing it would not end it
        self.file.close()
        os.waitpid(self.pid, 0)


def in_child(fn, *args):
    """Runs fn in a forked child; gives its exit status (0 good), negative for a signal."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = fn(*args) or 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(status)
    return pid


def join(pids, what, seconds=30):
    """Waits with a bound for children; all must have ended well."""
    end = time.monotonic() + seconds
    pids = list(pids)
    bad = []
    while pids:
        for pid in list(pids):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                pids.remove(pid)
                if status:
                    bad.append(os.waitstatus_to_exitcode(status))
        if pids and time.monotonic() > end:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            raise AssertionError(f'{what}: {len(pids)} children still run after {seconds} s')
        time.sleep(0.01)
    ok(not bad, f'{what}: children failed with status {bad}')


SAMPLE = re.compile(r'^(\w+)(?:\{op="(\w+)"\})? ([0-9.eE+-]+)$')


def forgotten(row):
    """Whether the kernel has forgotten when a thread that waits has run last (backends/inspect/task_clock.h): not known, then."""
    with open(f'/proc/{row["pid"]}/task/{row["tid"]}/sched', encoding='ascii', errors='replace') as sched:
        return row['since'] is None and bool(re.search(r'^se.exec_start *: *0\.0+$', sched.read(), re.M))


def metrics():
    """ctl/metrics: name or op of ipcfs_requests_total -> value. Always costs the daemon the same requests."""
    fd = os.open(CTL + '/metrics', os.O_RDONLY)
    text = os.read(fd, 1 << 17).decode()
    os.close(fd)
    ok(text.endswith('# EOF\n'), f'ctl/metrics does not come in one read or has no # EOF: {text[-80:]!r}')
    out = {}
    for line in text.splitlines():
        m = SAMPLE.match(line)
        if m and m.group(2) and m.group(1) == 'ipcfs_requests_total':
            out[m.group(2)] = int(float(m.group(3)))
        elif m and not m.group(2):
            out[m.group(1)] = float(m.group(3))
    return out


class Requests:
    """Counts the requests that reach the daemon between entry and exit, without those of the counting."""

    def __enter__(self):
        first = metrics()
        self.before = metrics()
        self.cost = {k: v - first.get(k, 0) for k, v in self.before.items()}
        return self

    def __exit__(self, *_):
        now = metrics()
        self.made = {k: v - self.before.get(k, 0) - self.cost.get(k, 0) for k, v in now.items()
                     if not k.startswith('ipcfs_')}

    def __getitem__(self, op):
        return self.made.get(op, 0)


def clean():
    """Removes every object of the test natively; what the daemon itself made there stays to be found."""
    for name in os.listdir(os.fsencode(SHM)):
        path = os.fsencode(SHM) + b'/' + name
        if name.startswith(b'.ipcfs.'):
            continue
        try:
            os.unlink(path)
        except IsADirectoryError:
            os.rmdir(path)


def main(names, after=None, about_daemon=False, cleaner=clean):
    """Runs every test_* function, cleaner() and after() behind each. In the environment ONLY=word takes those with it in the
    name, and LEAVE_OUT names, with spaces between, those that can not run where this one does."""
    left_out = os.environ.get('LEAVE_OUT', '').split()
    failed = []
    ran = 0
    for name, fn in list(names.items()):
        if not name.startswith('test_') or os.environ.get('ONLY', '') not in name:
            continue
        if NATIVE and (about_daemon or getattr(fn, 'daemon_only', False)):
            print(f'-- {name}: only about the daemon')
            continue
        if name in left_out:
            print(f'-- {name}: left out')
            continue
        start = time.monotonic()
        ran += 1
        try:
            fn()
            print(f'ok {name} ({time.monotonic() - start:.2f} s)', flush=True)
        except Exception as e:
            failed.append(name)
            if not isinstance(e, AssertionError):
                traceback.print_exc()
            else:
                where = traceback.extract_tb(e.__traceback__)
                here = [f for f in where if not f.filename.endswith('mounttest.py')]
                print(f'  at line {here[-1].lineno}: {here[-1].line}')
            print(f'FAILED {name}: {e}', flush=True)
        os.chmod(SHM, 0o1777)
        if cleaner:
            cleaner()
        if after:
            after()
    if failed or (not ran and not NATIVE):
        sys.exit(f'{len(failed)} of {ran} failed: {" ".join(failed)}')


def daemon_only(fn):
    fn.daemon_only = True
    return fn
