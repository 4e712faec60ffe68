# SPDX-License-Identifier: MIT
"""Processes that can not be looked at: each closes a file in the middle of an execve(2), and the file system that it is
of does not answer. Until it does, whoever asks for the process waits (exec_update_lock, Linux fs/exec.c), for most of what
/proc tells."""
import ctypes
import os
import select
import signal
import struct
import traceback

from mounttest import SCRATCH, ok

libc = ctypes.CDLL(None, use_errno=True)
POINT = f'{SCRATCH}/silent'
INIT, GETATTR, OPEN, FLUSH, FORGET, INTERRUPT = 26, 3, 14, 25, 2, 36  # linux/fuse.h
PR_SET_PDEATHSIG, MNT_DETACH = 1, 2


class Silent:
    """A file system of one file, whose server never answers a flush."""

    def __init__(self):
        os.close(os.open(POINT, os.O_CREAT | os.O_WRONLY, 0o666))
        fd = os.open('/dev/fuse', os.O_RDWR)
        options = f'fd={fd},rootmode=100666,user_id=0,group_id=0,allow_other'
        ok(libc.mount(b'silent', POINT.encode(), b'fuse', 0, options.encode()) == 0, 'mount')
        self.flushed, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            serve(fd, tell)
        os.close(fd)
        os.close(tell)

    def end(self):
        """What waits for it goes on."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.flushed)
        ok(libc.umount2(POINT.encode(), MNT_DETACH) == 0, 'umount')
        os.unlink(POINT)

    def stuck(self, user=0, first=None, then=None):
        """A child that is now in such an execve(2), and before that has done `first`, and `then` as that user. Of what it has
        opened it keeps descriptors 0 to 2."""
        pid = os.fork()
        if pid == 0:
            try:
                if first:
                    first()
                if user:
                    os.setgroups([])
                    os.setresgid(user, user, user)
                    os.setresuid(user, user, user)
                if then:
                    then()
                os.closerange(3, 1000)
                os.open(POINT, os.O_RDONLY)  # not to be inherited
                os.execl('/bin/sleep', 'sleep', '1000')
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(97)
        ok(select.select([self.flushed], [], [], 10)[0] and os.read(self.flushed, 1), 'it is closing the file')
        return pid


def serve(fd, tell):
    while True:
        try:
            request = os.read(fd, 1 << 16)
            opcode, unique = struct.unpack_from('<4xIQ', request)
            answer = respond(opcode, unique)
            if opcode == FLUSH:
                os.write(tell, b'x')
            if answer:
                os.write(fd, answer)
        except InterruptedError:
            pass
        except OSError:
            os._exit(1)


def respond(opcode, unique):
    if opcode in (FLUSH, FORGET, INTERRUPT):
        return None
    error, body = 0, b''
    if opcode == INIT:
        body = struct.pack('<4I2H2I36x', 7, 31, 0, 0, 0, 0, 4096, 0)
    elif opcode == GETATTR:
        body = struct.pack('<QII6Q10I', 1000, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o100666, 1, 0, 0, 0, 4096, 0)
    elif opcode == OPEN:
        body = struct.pack('<QIi', 1, 0, 0)
    else:
        error = -38  # ENOSYS
    return struct.pack('<IiQ', 16 + len(body), error, unique) + body
