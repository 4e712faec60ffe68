# SPDX-License-Identifier: MIT
"""Control files that are written: shells and programs use them; the keys of sysv/ftok are those of ftok(3)."""
import ctypes
import os
import subprocess
import threading

from mounttest import CTL, MNT, SCRATCH, User, attempt, eq, get, main, ok, refused

FTOK = f'{MNT}/sysv/ftok'
libc = ctypes.CDLL(None, use_errno=True)


def native_key(path, project):
    key = libc.ftok(os.fsencode(path), project)
    return b'0x%08x\n' % (key & 0xffffffff) if key != -1 else None


def ask(line):
    """Writes a line and reads the answer of the same descriptor."""
    fd = os.open(FTOK, os.O_RDWR)
    try:
        count = attempt(os.write, fd, line)
        return count, os.read(fd, 4096), os.read(fd, 4096)
    finally:
        os.close(fd)


def shell(script, status=0):
    r = subprocess.run(['bash', '-c', script], capture_output=True, timeout=20, env=os.environ | {'F': FTOK, 'LC_ALL': 'C'})
    eq(r.returncode, status, f'status of {script!r}: {r.stderr!r}')
    return r.stdout


def test_keys():
    os.mkdir(f'{SCRATCH}/a b')
    os.symlink('a b', f'{SCRATCH}/link')
    for path in ('/', '/etc', '/etc/passwd', '/dev/null', '/proc', f'{SCRATCH}/link', f'{SCRATCH}/a b', '/bin/sh', '/dev/shm'):
        for project in (1, 65, 255):
            line = f'{path} {project}\n'.encode()
            eq(ask(line), (len(line), native_key(path, project), b''), line)
    eq(ask(b'/etc A')[1], native_key('/etc', ord('A')), 'a character')


def test_shell():
    key = native_key('/etc/passwd', 5)
    eq(shell('exec 3<>"$F"; echo "/etc/passwd 5" >&3; cat <&3'), key, 'cat of the answer')
    eq(shell('exec 3<>"$F"; echo "/etc/passwd 5" >&3; read -r key <&3; echo "$key"'), key, 'read of the answer')
    eq(shell('echo "/etc 1" >"$F" && echo "/etc 1" >>"$F" && cat "$F"'), b'', 'redirections')
    eq(shell('echo "etc 1" >"$F"', 1), b'', 'a refused line')
    ok(get(f'{CTL}/last-error').endswith(b'Z sysv/ftok: etc: not an absolute path\n'), 'last-error')


def test_no_position():
    fd = os.open(FTOK, os.O_RDWR | os.O_TRUNC)
    refused('ESPIPE', os.lseek, fd, 0, os.SEEK_SET)
    refused('ESPIPE', os.pread, fd, 10, 0)
    eq(os.write(fd, b'/etc 1\n/nowhere 1\n/etc 1\n'), 7, 'bytes before the refused line')
    refused('ENOENT', os.write, fd, b'/nowhere 1\n/etc 1\n')
    eq(os.read(fd, 4096), b'/nowhere: No such file or directory\n', 'the reason')
    refused('EINVAL', os.write, fd, b'x' * 5000)
    os.close(fd)
    os.truncate(FTOK, 0)  # as O_TRUNC does it: means nothing
    refused('EPERM', os.truncate, FTOK, 1)


def test_last_error_is_everybodys_own():
    user = User(1001, 1001)
    refused('EINVAL', os.write, os.open(FTOK, os.O_WRONLY), b'roots 1')
    eq(user(get, f'{CTL}/last-error'), b'', 'before the user wrote anything')
    os.mkdir(f'{SCRATCH}/closed', 0o700)
    eq(user(ask, os.fsencode(f'{SCRATCH}/closed/x 1'))[0], 'EACCES', 'the rights of the user')
    ok(user(get, f'{CTL}/last-error').endswith(b'/closed/x: Permission denied\n'), 'the last error of the user')
    ok(get(f'{CTL}/last-error').endswith(b'roots: not an absolute path\n'), 'the last error of root')
    user.end()


def test_paths_in_the_mount():
    """As many as there can be, at once: every one is refused, and none waits for the daemon itself."""
    os.symlink(f'{MNT}/shm', f'{SCRATCH}/into')
    lines = [f'{p} 1'.encode() for i in range(20) for p in
             (MNT, f'{MNT}/shm/none{i}', f'{SCRATCH}/into/none{i}', f'{SCRATCH}/into/../none{i}', f'{MNT}/../none{i}/..')]
    got = []
    threads = [threading.Thread(target=lambda l=l: got.append((l, ask(l)))) for l in lines]
    for t in threads:
        t.start()
    for t in threads:
        t.join(20)
        ok(not t.is_alive(), 'an answer')
    eq({(r[0], r[1].split(b': ')[-1]) for _, r in got}, {('EINVAL', b'inside the mount\n')}, 'answers')


main(globals(), about_daemon=True)
