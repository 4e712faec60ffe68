# SPDX-License-Identifier: MIT
"""ctl/graph.dot, as dot(1) reads it, beside what a known system does (scene.py).  usage: graph.py [PICTURE]

    ONLY=scene tests/mount/run build/ipcfs graph.py "$PWD/doc/graph.svg"    makes the picture of the README
"""
import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree

import scene
from mounttest import CTL, SHM, eq, get, in_child, main, ok
from queues import wait_until


def graph_text():
    return get(f'{CTL}/graph.dot')


class Graph:
    """Nodes by what the first line of their label says, and edges, as dot(1) understood them."""

    def __init__(self, text):
        out = subprocess.run(['dot', '-Tjson'], input=text, capture_output=True, check=True)
        eq(out.stderr, b'', 'what dot says')
        self.all = json.loads(out.stdout)
        self.clusters = {o['label']: [self.label(i) for i in o.get('nodes', [])] for o in self.all.get('objects', [])
                         if o['name'].startswith('cluster')}
        self.labels = {o['_gvid']: o['label'] for o in self.all.get('objects', []) if 'nodes' not in o}
        self.edges = {self.edge(e) for e in self.all.get('edges', [])}

    def label(self, gvid):
        return self.all['objects'][gvid]['label'].split('\\n')[0]

    def edge(self, edge):
        """Process, object, direction of the data as the process sees it, and what is written at it."""
        tail, head = self.all['objects'][edge['tail']], self.all['objects'][edge['head']]
        arrows = edge.get('dir', 'forward')
        words = ' '.join(filter(None, (edge.get('label', '').replace('semtimedop', 'semop'),
                                       'waits' if edge.get('style') == 'dashed' else '', 'thick' if edge.get('penwidth') else '')))
        from_object = tail['name'].startswith('o')
        how = {'both': 'rw', 'none': '', 'forward': 'r' if from_object else 'w'}[arrows]
        process, other = (head, tail) if from_object else (tail, head)
        return process['label'].split('\\n')[0], other['label'].split('\\n')[0], how, words


def expected_edge(node, use, ids):
    what, name, *access = use
    name = f'id {ids[name]}' if name in ids else name
    if what in ('map', 'attach'):
        return node, name, access[0], 'thick'
    if what in ('mq', 'file'):
        return node, name.split('/')[-1], access[0], ''
    calls = {'receive': 'mq_timedreceive', 'msgrcv': 'msgrcv', 'semop': 'semop', 'sem_wait': 'futex'}
    if what in calls:
        return (node, name) + (('rw', 'futex waits thick') if what == 'sem_wait' else ('r', f'{calls[what]} waits'))
    return (node, name) + {'sem': ('rw', 'thick'), 'hold': ('r', 'hold'), 'listen': ('rw', ''), 'connect': ('rw', ''),
                           'accept': ('rw', 'accept')}[what]


def expected_edges(ids):
    return {expected_edge(f'{command} ×{count}' if count > 1 else command, use, ids)
            for command, count, uses in scene.ROLES for use in uses if use[0] != 'channel'}


def is_named(edge):
    return not edge[1].startswith(('pipe:', 'socket:'))


def connections(graph):
    """Which processes are at the ends of what has no name."""
    ends = {}
    for process, other, _, _ in (e for e in graph.edges if not is_named(e)):
        ends.setdefault(other, set()).add(process)
    return sorted(sorted(e) for e in ends.values())


def test_scene():
    ids = scene.make_objects()
    commands = scene.start_all()
    waits = sum(use[0] in scene.WAITS for _, _, uses in scene.ROLES for use in uses)
    try:
        text = wait_until(lambda: graph_text().count(b'dashed') == waits and graph_text(), 'all who wait')
        graph = Graph(text)
        eq({e for e in graph.edges if is_named(e)}, expected_edges(ids), 'edges')
        eq(connections(graph), [['camera', 'scheduler'], ['importer', 'indexer']], 'what has no name')
        eq(set(graph.clusters['POSIX shared memory']), set(scene.SHM_OBJECTS) - {'nobody'}, 'shared memory')
        eq(set(graph.clusters), {'POSIX shared memory', 'POSIX message queues', 'POSIX named semaphores', 'System V shared memory',
                                 'System V message queues', 'System V semaphore sets', 'Named pipes', 'UNIX sockets',
                                 'Without a name'}, 'groups')
        labels = set(graph.labels.values())
        for label in ('frames\\n8 MiB', 'tiles\\n1.5 MiB', 'statistics\\n16 KiB', 'alerts\\n3 messages', 'jobs\\nempty'):
            ok(label in labels, f'no {label!r} in {sorted(labels)}')
        if len(sys.argv) > 1:
            subprocess.run(['dot', '-Tsvg', '-o', sys.argv[1]], input=text, check=True)
    finally:
        scene.end_all(commands)


NAMES = ['"]; x [label="b', 'a\\nb', 'new\nline', '{a|<b>}', '&amp;', '&', '<b>bold</b>', "it's", 'tab\t', 'ä', '$(touch BAD)', '\\']


def shown(name):
    """As in the lists, but that blanks stay."""
    return ''.join(f'\\{ord(c):03o}' if ord(c) < 32 or c == '\\' else c for c in name)


def hold_named(name, told):
    scene.libc.prctl(scene.PR_SET_NAME, name.encode(), 0, 0, 0)
    kept = os.open(f'{SHM}/{name}'.replace('</b>', '<b>'), os.O_CREAT | os.O_WRONLY)
    os.write(told, b'x')
    os.close(told)
    while kept:
        signal.pause()


def test_names():
    """Whatever objects and processes are called, dot(1) shows that and nothing else."""
    pids = []
    for name in NAMES:
        ready, told = os.pipe()
        pids.append(in_child(hold_named, name, told))
        os.close(told)
        eq(os.read(ready, 1), b'x', 'ready')
        os.close(ready)
    try:
        out = subprocess.run(['dot', '-Tsvg'], input=graph_text(), capture_output=True, check=True)
        texts = [t.text for t in xml.etree.ElementTree.fromstring(out.stdout).iter('{http://www.w3.org/2000/svg}text')]
        texts = [t.replace('\u00a0', ' ') for t in texts]
        for name in NAMES:
            ok(shown(name.replace('</b>', '<b>')) in texts, f'no {shown(name)!r} in {texts}')
            ok(shown(name)[:15] in [t[:15] for t in texts], f'no command {shown(name)!r} in {texts}')
        eq(len(texts), 2 + 4 * len(NAMES), 'lines')
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


if __name__ == '__main__':
    main(globals())
