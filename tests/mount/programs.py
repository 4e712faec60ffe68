# SPDX-License-Identifier: MIT
"""Programs no one here wrote, unchanged, on the mount; where it makes sense a native process beside them."""
import re
import shutil
import sqlite3
import subprocess

from mounttest import ASAN, PASSTHROUGH, SCRATCH, SHM, TREE, both, eq, in_child, join, main, ok


def need(found, what, package):
    ok(found, f'{what} is missing (Debian package {package})')


def tool(argv, cwd=SCRATCH, timeout=100):
    r = subprocess.run(argv, capture_output=True, text=True, cwd=cwd, timeout=timeout)
    ok(r.returncode == 0, f'{" ".join(argv)}: status {r.returncode}\n{r.stdout[-3000:]}\n{r.stderr[-6000:]}')
    return r.stdout + r.stderr


def fio(engine, *options):
    need(shutil.which('fio'), 'fio', 'fio')
    out = tool(['fio', '--name=job', f'--directory={TREE}', f'--ioengine={engine}', '--size=8m', '--verify=crc32c', '--verify_fatal=1',
                '--do_verify=1', '--randrepeat=1', '--group_reporting', *options])
    ok(re.search(r'err= 0', out), f'fio reports errors:\n{out}')
    ok(re.search(r'READ: .*io=', out) and re.search(r'WRITE: .*io=', out), f'fio did not verify:\n{out}')


def test_fio_psync():
    fio('psync', '--rw=randwrite', '--bs=4k', '--numjobs=2')
    fio('psync', '--rw=write', '--bs=1m', '--fsync=4')
    fio('psync', '--rw=randrw', '--bs=512-64k', '--fallocate=posix')


def test_fio_other_engines():
    fio('sync', '--rw=randwrite', '--bsrange=1k-32k')
    fio('pvsync', '--rw=randwrite', '--bs=8k')


def test_fio_mmap():
    if PASSTHROUGH:
        fio('mmap', '--rw=randwrite', '--bs=4k', '--numjobs=2')
        fio('mmap', '--rw=randrw', '--bs=16k')


LMDB_WRITER = '''
import lmdb, sys
env = lmdb.open(sys.argv[1], subdir=False, map_size=32 << 20, writemap=sys.argv[2] == "1", max_readers=20)
for i in range(int(sys.argv[3])):
    with env.begin(write=True) as txn:
        n = int(txn.get(b"count", b"0"))
        txn.put(b"count", b"%d" % (n + 1))
        txn.put(b"key%08d" % n, b"v" * (n % 3000))
env.close()
'''
LMDB_READER = '''
import lmdb, sys
env = lmdb.open(sys.argv[1], subdir=False, map_size=32 << 20, readonly=True)
with env.begin() as txn:
    n = int(txn.get(b"count"))
    assert n == int(sys.argv[2]), (n, sys.argv[2])
    keys = [(k, v) for k, v in txn.cursor() if k.startswith(b"key")]
    assert keys == [(b"key%08d" % i, b"v" * (i % 3000)) for i in range(n)], len(keys)
'''


def test_lmdb():
    """Writers on both sides count up together; a reader on either side sees each of them."""
    need(subprocess.run(['/usr/bin/python3', '-c', 'import lmdb'], capture_output=True).returncode == 0, 'lmdb for python', 'python3-lmdb')
    if not PASSTHROUGH:
        return
    rounds = 60 if ASAN else 150
    for writemap in ('0', '1'):
        native, mount = both(f'db{writemap}')
        writers = [subprocess.Popen(['/usr/bin/python3', '-c', LMDB_WRITER, path, writemap, str(rounds)], stderr=subprocess.PIPE,
                                    text=True) for path in (mount, native, mount, native)]
        for w in writers:
            err = w.communicate(timeout=60)[1]
            eq((w.returncode, err), (0, ''), 'a writer of LMDB')
        for path in (native, mount):
            tool(['/usr/bin/python3', '-c', LMDB_READER, path, str(4 * rounds)])


def count_up(path, journal, rounds):
    db = sqlite3.connect(path, timeout=60, isolation_level=None)
    db.execute(f'pragma journal_mode={journal}')
    for _ in range(rounds):
        db.execute('begin immediate')
        n, = db.execute('select n from counter').fetchone()
        db.execute('update counter set n = ?', (n + 1,))
        db.execute('insert into log values (?, ?)', (n, path))
        db.execute('commit')
    db.close()


def test_sqlite():
    """One database, half of its writers natively and half through the mount: nothing is lost."""
    rounds = 40 if ASAN else 100
    for journal in ('delete', 'truncate', 'persist') + (('wal',) if PASSTHROUGH else ()):
        native, mount = both(f'{journal}.db')
        db = sqlite3.connect(mount)
        db.execute(f'pragma journal_mode={journal}')
        db.execute('create table counter (n)')
        db.execute('create table log (n unique, path)')
        db.execute('insert into counter values (0)')
        db.commit()
        db.close()
        join([in_child(count_up, path, journal, rounds) for path in (mount, native, mount, native)], f'writers ({journal})', 60)
        for path in (native, mount):
            db = sqlite3.connect(path)
            eq(db.execute('select n from counter').fetchone(), (4 * rounds,), f'counter, journal {journal}, by {path}')
            eq(db.execute('select count(*) from log').fetchone(), (4 * rounds,), f'rows, journal {journal}, by {path}')
            eq(db.execute('pragma integrity_check').fetchone(), ('ok',), 'integrity')
            db.close()


def test_cpython():
    """CPython's own tests of mmap, files and raw I/O, with the mount as their directory."""
    need(subprocess.run(['/usr/bin/python3', '-c', 'import test.test_mmap'], capture_output=True).returncode == 0, "CPython's tests",
         'libpython3.11-testsuite')
    modules = ['test.test_file', 'test.test_fileio', 'test.test_bufio'] + (['test.test_mmap'] if PASSTHROUGH else [])
    out = tool(['/usr/bin/python3', '-m', 'unittest', *modules], cwd=TREE, timeout=200)
    ran = int(re.search(r'Ran (\d+) tests', out).group(1))
    print(f'  {ran} tests of CPython')
    ok(ran > (120 if PASSTHROUGH else 90), f'only {ran} tests ran')


def test_shell_tools():
    """dd, cmp, sort, tar, sed -i, diff and flock with the mount as source, target and scratch directory."""
    tool(['dd', 'if=/dev/urandom', f'of={TREE}/rnd', 'bs=64k', 'count=32', 'conv=fsync'])
    tool(['dd', f'if={TREE}/rnd', f'of={TREE}/again', 'bs=1000', 'iflag=fullblock'])
    tool(['cmp', f'{SHM}/rnd', f'{TREE}/again'])
    tool(['bash', '-c', f'seq 1 20000 | shuf > {TREE}/lines && sort -n -S 1M -T {TREE} -o {TREE}/lines {TREE}/lines'])
    eq(tool(['head', '-c', '10', f'{SHM}/lines']), '1\n2\n3\n4\n5\n', 'sort')
    tool(['sed', '-i', 's/^7$/seven/', f'{TREE}/lines'])
    eq(tool(['sed', '-n', '7p', f'{SHM}/lines']), 'seven\n', 'sed -i')
    tool(['bash', '-c', f'tar -C {TREE} -cf {SCRATCH}/t.tar . && mkdir {SCRATCH}/t && tar -C {SCRATCH}/t -xf {SCRATCH}/t.tar'])
    tool(['diff', '-r', f'{SCRATCH}/t', SHM])
    for a, b in ((TREE, TREE), (TREE, SHM), (SHM, TREE)):
        tool(['bash', '-c', f'exec 9<> {a}/lock; flock -n 9 && ! flock -n {b}/lock true'])


main(globals())
