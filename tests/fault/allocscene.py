# SPDX-License-Identifier: MIT
"""An object of each kind, used and waited for, to be there while allocations fail."""
import ctypes
import os
import socket

import queues
from everything import Crowd, Wait
from mounttest import CTL, SHM
from paths import made, of, read, write
from queues import MQ, libc, make_mq, make_msg
from semaphores import SEM, make_posix, make_set
from twins import PIPE, SOCK


class Scene:
    """An object of each kind, made natively, and processes that use them and wait."""

    def __init__(self):
        self.crowd = Crowd()
        with open(f'{SHM}/a', 'wb') as f:
            f.write(b'abc' * 1000)
        self.mq, self.msg = make_mq('q', 4, 64), make_msg(0x77)
        self.sem, self.set = make_posix('s', 3), make_set(0x77, 3, 0)
        self.segment = queues.check(libc.shmget(0x77, ctypes.c_size_t(8192), queues.IPC_CREAT | 0o600), 'shmget')
        os.mkfifo(f'{PIPE}/p')
        os.mkdir(f'{SOCK}/d')
        write(f'{CTL}/sock/create', b'g type=dgram\n')
        make_mq('empty', 4, 64)
        self.crowd.start('user', self.use)
        self.crowd.start('waiter', self.wait)

    def use(self, me):
        me.open(f'{SHM}/a', 'shm/a')
        me.map(f'{SHM}/a', 'shm/a')
        me.queue('q')
        me.semaphore('s')
        me.attach(self.segment)
        me.open(f'{PIPE}/p', 'pipe/p')
        me.bound = socket.socket(socket.AF_UNIX)
        me.bound.bind(f'{SOCK}/b')
        me.bound.listen()
        me.client = os.open(f'{SOCK}/d/connect', os.O_RDWR)

    @staticmethod
    def wait(me):
        fd = me.open(f'{MQ}/empty', 'mq/empty', os.O_RDONLY)
        return Wait('mq/empty', 'read', lambda: os.read(fd, 100), parked=True)

    def end(self):
        self.crowd.end()
        for path in (f'{SHM}/a', f'{PIPE}/p', f'{SOCK}/b', f'{MQ}/q', f'{MQ}/empty'):
            os.unlink(path)
        for path in (f'{SEM}/s', f'{SOCK}/d', f'{SOCK}/g'):
            os.rmdir(path)
        self.msg.remove()
        self.set.remove()
        queues.check(libc.shmctl(self.segment, 0, None), 'IPC_RMID')
