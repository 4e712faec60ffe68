#!/bin/bash
# SPDX-License-Identifier: MIT
# Who comes through the mount has his turn beside native programs that wait for the same queue.  usage: rivals.sh PROGRAM
set -uo pipefail

status=0
for way in send receive; do
    "$1" "$MNT" "$way" || status=1
done
exit $status
