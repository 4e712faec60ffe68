# SPDX-License-Identifier: MIT
"""Every allocation of the daemon fails in turn, in every operation: it answers ENOMEM, or does without; it loses and leaks
nothing, and then does the same rightly.

usage: allocations.py LIBRARY (failalloc.c) PART...     ONLY=word: operations with it in the name; EVERY=1: none is left out
"""
import os
import re
import sys
import time
import traceback

import ops_control, ops_data, ops_names, ops_sockets, ops_waits  # noqa: F401  they say what there is
from allocscene import Scene
from daemons import end_daemons
from failing import FailingDaemon, Sweep
from mounttest import ok
from paths import operations

LIBRARY, *PARTS = sys.argv[1:]


def run(daemon, part, scene):
    failed, failures = [], 0
    for operation in operations(part, scene):
        if os.environ.get('ONLY', '') not in operation.__name__:
            continue
        start = time.monotonic()
        sweep = Sweep(daemon, operation)
        try:
            sweep.run()
        except AssertionError as e:
            if os.environ.get('TRACE'):
                traceback.print_exc()
            failed.append(operation.__name__)
            print(f'FAILED {e}', flush=True)
            if not daemon.alive():
                break
        failures += sweep.failures
        print(f'{operation.__name__}: {sweep.failures} failures ({time.monotonic() - start:.2f} s)', flush=True)
    ok(failures >= 20 or 'ONLY' in os.environ, f'only {failures} allocations failed in all: is the library there?')
    return failed


def main():
    daemon = FailingDaemon(os.path.abspath(LIBRARY), 'passthrough=' + os.environ['PASSTHROUGH'])
    scene = Scene()
    failed = [name for part in PARTS for name in run(daemon, part, scene)]
    scene.end()
    daemon.process.terminate()
    status = daemon.ended()
    log = daemon.log()
    print(log[-3000:])
    ok(status == 0, f'the daemon ends with status {status}')
    ok(not re.search('without an answer|answered twice|times more than looked up', log), 'each request has one reply')
    ok(not failed, f'failed: {" ".join(failed)}')


try:
    main()
finally:
    end_daemons()
