#!/bin/bash
# SPDX-License-Identifier: MIT
# Conservation of messages (conserve.c), on a POSIX and on a System V queue, with receivers that are killed and without.
# usage: conserve.sh CONSERVE-PROGRAM     (IPCFS_SECONDS: of each of the six parts; ONLY=word: parts of it)
set -euo pipefail

program=$1
status=0
# Longer where a wrong use of memory shows; a data race shows at once.
short=1 long=2
if grep -q __asan_init "$IPCFS" 2>/dev/null; then short=4 long=20; fi
[[ ${IPCFS_LONG:-} == 1 ]] && short=$long
export IPCFS_SECONDS=${IPCFS_SECONDS:-$short}

part() { # KIND QUEUE CONTROL
    for kills in spare kill kill-lines; do
        [[ "$1 $kills" == *"${ONLY:-}"* ]] || continue
        if [[ $IPCFS_NATIVE == 1 ]]; then
            "$program" "$1" - - "$kills" || status=1
        else
            "$program" "$1" "$MNT/$2" "$MNT/ctl/$2" "$kills" || status=1
        fi
    done
}

part mq mq/conserve
part sysv sysv/msg/by-key/0x000000c0
exit $status
