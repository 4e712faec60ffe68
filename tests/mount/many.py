# SPDX-License-Identifier: MIT
"""100,000 objects where there is time, otherwise fewer: complete listings, little memory a node, and forgotten nodes are given back."""
import os
import re
import subprocess
import time

from forget import forget
from mounttest import ASAN, LONG, NATIVE, SHM, TREE, daemon_only, eq, main, metrics, ok, put

COUNT = 5_000 if ASAN else 100_000 if LONG else 20_000
BYTES_A_NODE = 512


def make():
    for i in range(COUNT):
        fd = os.open(f'{SHM}/object-{i:06d}', os.O_CREAT | os.O_WRONLY, 0o600 + i % 64)
        if i % 1000 == 0:
            os.write(fd, b'x' * (i // 1000))
        os.close(fd)


def rss():
    with open(f'/proc/{os.environ["IPCFS_PID"]}/status') as f:
        return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1)) * 1024


def ls(*args):
    return subprocess.run(['ls', '-U', *args], capture_output=True, text=True, check=True).stdout.splitlines()


def check_listings():
    want = [f'object-{i:06d}' for i in range(COUNT)]
    start = time.monotonic()
    eq(sorted(ls(TREE)), want, f'ls of {COUNT}')
    middle = time.monotonic()
    lines = ls('-ln', TREE)[1:]
    print(f'  ls {middle - start:.2f} s, ls -l {time.monotonic() - middle:.2f} s', flush=True)
    eq(len(lines), COUNT, 'lines of ls -l')
    eq(sorted(lines, key=lambda l: l[-13:]), sorted(ls('-ln', SHM)[1:], key=lambda l: l[-13:]), 'ls -l')
    with os.scandir(TREE) as entries:
        eq(sum(e.is_file(follow_symlinks=False) for e in entries), COUNT, 'entries that readdir calls files')


def forget_down_to(at_most, bound=30):
    """Makes the kernel forget the nodes; gives the number that is left."""
    end = time.monotonic() + bound
    while True:
        forget()
        nodes = metrics()['ipcfs_nodes']
        if nodes <= at_most or time.monotonic() > end:
            return nodes
        time.sleep(0.2)


def test_listings():
    make()
    if NATIVE:
        return check_listings()
    ls(TREE)  # the first use of everything
    nodes, memory = metrics()['ipcfs_nodes'], rss()
    check_listings()
    peak_nodes, peak = metrics()['ipcfs_nodes'], rss()
    print(f'  nodes {nodes:g} -> {peak_nodes:g}, VmRSS {memory >> 10} -> {peak >> 10} KiB, '
          f'{(peak - memory) / COUNT:.0f} bytes an object')
    ok(peak_nodes <= COUNT + nodes + 100, f'{peak_nodes:g} nodes for {COUNT} objects')
    if not ASAN:
        ok(peak - memory <= COUNT * BYTES_A_NODE, f'{(peak - memory) / COUNT:.0f} bytes of memory an object')
    left = forget_down_to(nodes + 50)
    ok(left <= nodes + 50, f'{left:g} nodes are left after the kernel forgot them, {nodes:g} at the start')

    # A second round must live in the memory of the first.
    check_listings()
    again = rss()
    print(f'  after a second round VmRSS {again >> 10} KiB')
    if not ASAN:
        ok(again <= peak + peak // 10 + (4 << 20), f'VmRSS grew from {peak} to {again} in the second round')


@daemon_only
def test_nodes_of_held_objects_stay():
    """What is open survives the forgetting."""
    put(f'{SHM}/held', b'still here')
    fd = os.open(f'{TREE}/held', os.O_RDWR)
    forget_down_to(1, bound=1)
    eq(os.pread(fd, 100, 0), b'still here', 'read')
    eq(os.fstat(fd).st_size, 10, 'size')
    os.unlink(f'{SHM}/held')
    forget_down_to(1, bound=1)
    eq((os.fstat(fd).st_nlink, os.pread(fd, 100, 0)), (0, b'still here'), 'removed, and held')
    os.close(fd)


@daemon_only
def test_forget_storm():
    """Lookups, opens and forgets race; the counts come out even."""
    for i in range(200):
        put(f'{SHM}/storm{i}', b'%d' % i)
    start = forget_down_to(50, bound=5)
    for _ in range(20):
        for i in range(200):
            with open(f'{TREE}/storm{i}', 'rb') as f:
                eq(f.read(), b'%d' % i, 'content')
        forget()
    left = forget_down_to(start + 20, bound=10)
    ok(left <= start + 20, f'{left:g} nodes left, {start:g} before')


main(globals())
