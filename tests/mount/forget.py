# SPDX-License-Identifier: MIT
"""Memory pressure for one mount alone; writing to /proc/sys/vm/drop_caches would empty the caches of the whole machine."""
import ctypes
import os

FSPICK, FSCONFIG, FSCONFIG_CMD_RECONFIGURE, AT_FDCWD = 433, 431, 7, -100  # numbers of calls are those of all machines


def forget(mount=None):
    """The kernel forgets every name of the mount that nothing has open, and the inodes with them: a reconfiguration that
    changes nothing does that too (fs/super.c: reconfigure_super() calls shrink_dcache_sb())."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(FSPICK, AT_FDCWD, os.fsencode(mount or os.environ['MNT']), 0)
    if fd < 0:
        raise OSError(ctypes.get_errno(), 'fspick')
    result = libc.syscall(FSCONFIG, fd, FSCONFIG_CMD_RECONFIGURE, None, None, 0)
    error = ctypes.get_errno()
    os.close(fd)
    if result < 0:
        raise OSError(error, 'fsconfig')
