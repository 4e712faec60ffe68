# SPDX-License-Identifier: MIT
"""Listening sockets made by mkdir, for the tests: by their files in the mount, and natively by the path of `socket`."""
import ctypes
import faulthandler
import fcntl
import os
import re
import signal
import socket
import struct
import time

from mounttest import CTL, MNT, attempt, eq, metrics, ok
from queues import check, libc, wait_until

SOCK = MNT + '/sock'
CREATE = CTL + '/sock/create'
PID = int(os.environ.get('IPCFS_PID', '0'))
TYPES = {'stream': socket.SOCK_STREAM, 'seqpacket': socket.SOCK_SEQPACKET, 'dgram': socket.SOCK_DGRAM}
os.environ['SOCK'] = SOCK  # for lines of shell

faulthandler.dump_traceback_later(float(os.environ.get('HANGS', '50')), repeat=True)  # where a test that hangs does so
libc.read.restype = libc.write.restype = ctypes.c_ssize_t


class Listener:
    """A directory in sock/, and its files."""

    def __init__(self, name='s', options='', made=False):
        self.name, self.path = name, f'{SOCK}/{name}'
        self.accept, self.connect, self.socket = f'{self.path}/accept', f'{self.path}/connect', f'{self.path}/socket'
        self.type, self.backlog = f'{self.path}/type', f'{self.path}/backlog'
        self.send, self.recv, self.ctl = f'{self.path}/send', f'{self.path}/recv', f'{CTL}/sock/{name}'
        if options:
            put_line(CREATE, f'{name} {options}')
        elif not made:
            os.mkdir(self.path)

    def native(self, kind='stream'):
        """A native client, connected; it blocks."""
        s = socket.socket(socket.AF_UNIX, TYPES[kind])
        s.connect(self.socket)
        return s

    def pair(self, client='mount', flags=os.O_RDWR, kind='stream'):
        """Two ends: the client's and the descriptor of accept. A native client is a socket."""
        other = os.open(self.connect, flags) if client == 'mount' else self.native(kind)
        return other, os.open(self.accept, flags)

    def remove(self):
        os.rmdir(self.path)


def put_line(path, line):
    """One write(2) of a line."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, line.encode() + b'\n')
    finally:
        os.close(fd)


def line_of(path):
    with open(path) as f:
        return f.read().strip()


def reopened(fd, flags):
    """Another descriptor of the same connection, as a shell's 4</dev/fd/3."""
    return os.open(f'/proc/self/fd/{fd}', flags)


def set_nonblocking(fd, on=True):
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK if on else flags & ~os.O_NONBLOCK)


def raw(call, *args):
    """One system call as it is: its result, or −errno. (Python's own go on after a signal.)"""
    try:
        return check(call(*args), 'call')
    except OSError as e:
        return -e.errno


def raw_open(path, flags=os.O_RDWR):
    return raw(libc.open, os.fsencode(path), flags)


def raw_read(fd, buffer):
    return raw(libc.read, fd, buffer, ctypes.c_size_t(len(buffer)))


def raw_write(fd, data):
    return raw(libc.write, fd, data, ctypes.c_size_t(len(data)))


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def read_exactly(fd, size):
    parts, left = [], size
    while left:
        part = os.read(fd, min(left, 1 << 20))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b''.join(parts)


# ---- the daemon, from outside ----

def parked():
    return metrics()['ipcfs_parked']


def daemon_fds():
    return len(os.listdir(f'/proc/{PID}/fd'))


def threads():
    return len(os.listdir(f'/proc/{PID}/task'))


def ticks():
    with open(f'/proc/{PID}/stat') as f:
        fields = f.read().rpartition(')')[2].split()
    return int(fields[11]) + int(fields[12])


def rss():
    with open(f'/proc/{PID}/status') as f:
        return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1)) * 1024


def ours_of(inodes_before=frozenset()):
    """The daemon's sockets, by inode: copies of its descriptors (pidfd_getfd(2)), as socket objects."""
    pidfd, found = os.pidfd_open(PID), {}
    try:
        for number in os.listdir(f'/proc/{PID}/fd'):
            target = attempt(os.readlink, f'/proc/{PID}/fd/{number}')
            if not target.startswith('socket:') or target in inodes_before:
                continue
            fd = raw(libc.syscall, 438, pidfd, int(number), 0)
            if fd >= 0:
                found[target] = socket.socket(fileno=fd)
    finally:
        os.close(pidfd)
    return found


def credentials(s):
    """pid, uid, gid of the other end, and its groups."""
    pid, uid, gid = struct.unpack('3i', s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    groups = s.getsockopt(socket.SOL_SOCKET, 59, 4 * 64)  # SO_PEERGROUPS
    return pid, uid, gid, sorted(struct.unpack(f'{len(groups) // 4}i', groups))


class Left:
    """What the daemon has for others at the entry must be what it has a moment after the exit."""
    NAMES = ('ipcfs_handles', 'ipcfs_parked')

    def __init__(self, what):
        self.what = what

    def now(self):
        got = metrics()
        return {n: got[n] for n in self.NAMES} | {'descriptors': daemon_fds()}

    def __enter__(self):
        self.before = self.now()
        return self

    def settled(self):
        now = self.now()
        return all(now[n] <= self.before[n] + (4 if n == 'descriptors' else 0) for n in now)

    def __exit__(self, kind, *_):
        if kind is not None:
            return
        end = time.monotonic() + 8
        while not self.settled() and time.monotonic() < end:
            time.sleep(0.02)
        ok(self.settled(), f'{self.what}: left in the daemon: {self.before} before, {self.now()} after')


def end_children():
    """A failed test must not leave its processes to the next one."""
    for task in os.listdir('/proc/self/task'):
        for pid in attempt(line_of, f'/proc/self/task/{task}/children').split():
            if pid.isdigit():
                attempt(os.kill, int(pid), signal.SIGKILL)
                attempt(os.waitpid, int(pid), 0)


OWN = {int(fd) for fd in os.listdir('/proc/self/fd')}


def clean_listeners():
    """Also what a failed test has open: it would show as left in the daemon."""
    end_children()
    for fd in os.listdir('/proc/self/fd'):
        if int(fd) not in OWN and attempt(os.readlink, f'/proc/self/fd/{fd}').startswith(SOCK):
            attempt(os.close, int(fd))
    for name in os.listdir(SOCK):
        path = f'{SOCK}/{name}'
        os.rmdir(path) if os.path.isdir(path) else os.unlink(path)


def wait_parked(n, what):
    wait_until(lambda: parked() == n, f'{what}: {n:g} parked, {parked():g} now', 20)


def gone(pid):
    eq(os.waitpid(pid, 0)[0], pid, 'a child')
