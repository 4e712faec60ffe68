# SPDX-License-Identifier: MIT
"""ctl/graph.dot, as dot(1) reads it, beside what a known system does (scene.py).  usage: graph.py [PICTURE.svg]"""
import json
import os
import subprocess
import sys
import time

import scene
from mounttest import CTL, MNT, attempt, eq, get, main, ok
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
            open(sys.argv[1], 'wb').write(subprocess.run(['dot', '-T' + sys.argv[1].split('.')[-1]], input=text, capture_output=True, check=True).stdout)
            open(sys.argv[1] + '.dot', 'wb').write(text)
    finally:
        scene.end_all(commands)


if __name__ == '__main__':
    main(globals())
