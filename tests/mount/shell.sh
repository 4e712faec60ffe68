#!/bin/bash
# SPDX-License-Identifier: MIT
# Shell basics through the mount, the native side watched at each step, and the other way round.
# usage: shell.sh NATIVE-PROGRAM (native.c)
# shellcheck disable=SC2010,SC2012  # what ls prints is what is tested
set -euo pipefail

native=$1
T=$MNT/shm
failures=0

is() { # WHAT EXPECTED GOT
    if [[ $2 != "$3" ]]; then
        printf 'FAILED line %s: %s: expected %q, got %q\n' "${BASH_LINENO[0]}" "$1" "$2" "$3"
        failures=$((failures + 1))
    fi
}

fails() { # ERROR-TEXT COMMAND...: the command must fail and say this
    local want=$1 out
    shift
    if out=$("$@" 2>&1); then
        is "$* must fail" "$want" "success"
    elif [[ $out != *"$want"* ]]; then
        is "$*" "$want" "$out"
    fi
}

look() { stat -c '%s %a %u %g %h %b %X %Y %Z' "$1"; }
size() { "$native" stat "$1" | cut -d' ' -f1; }
same() { # both views of a name agree: status and content
    is "stat of $1" "$(look "$SHM/$1")" "$(look "$T/$1")"
    is "content of $1" "$(sha256sum < "$SHM/$1")" "$(sha256sum < "$T/$1")"
}

umask 022

# The lines of the promise, natively watched.
echo hello > "$T/a"
is 'native sees the echo' hello "$("$native" read a)"
is 'native fstat after the echo' '6 0644 0 0 1' "$("$native" stat a)"
is 'cat' hello "$(cat "$T/a")"
truncate -s 1M "$T/a"
is 'native size after truncate' 1048576 "$(size a)"
is 'start is kept by truncate' hello "$(head -c 5 "$SHM/a")"
is 'ls -l' "$(ls -l --time-style=full-iso "$SHM" | tail -n +2)" "$(ls -l --time-style=full-iso "$T" | tail -n +2)"
is 'ls -l size' 1048576 "$(ls -l "$T/a" | awk '{print $5}')"
same a
rm "$T/a"
fails 'No such file' "$native" stat a
fails 'No such file' stat "$T/a"

# The same, made natively and seen through the mount.
"$native" create b 4096 0640
is 'a native object is listed' b "$(ls "$T")"
is 'its status' '4096 640' "$(stat -c '%s %a' "$T/b")"
"$native" store b 0 'by mmap'
is 'a native store is read' 'by mmap' "$(head -c 7 "$T/b")"
"$native" resize b 9000
is 'a native resize' 9000 "$(stat -c %s "$T/b")"
chmod 0604 "$SHM/b"
is 'a native chmod' 604 "$(stat -c %a "$T/b")"
chown 1234:4321 "$SHM/b"
is 'a native chown' 1234:4321 "$(stat -c %u:%g "$T/b")"
touch -d '2001-02-03 04:05:06.789 UTC' "$SHM/b"
is 'a native touch -d' "$(stat -c %y "$SHM/b")" "$(stat -c %y "$T/b")"
mv "$SHM/b" "$SHM/c"
is 'a native rename' c "$(ls "$T")"
fails 'No such file' cat "$T/b"
is 'the renamed content' 'by mmap' "$(head -c 7 "$T/c")"
same c
"$native" unlink c
is 'a native unlink' '' "$(ls -A "$T")"
fails 'No such file' cat "$T/c"

# Append, overwrite and no-clobber redirections.
echo one > "$T/r"
echo two >> "$T/r"
is 'append' $'one\ntwo' "$(cat "$SHM/r")"
echo three >> "$SHM/r"
is 'native append' $'one\ntwo\nthree' "$(cat "$T/r")"
echo short > "$T/r"
is 'overwrite' short "$(cat "$SHM/r")"
fails 'cannot overwrite' bash -c "set -C; echo x > '$T/r'"
exec 3<> "$T/r"
echo longer-text >&3
exec 3>&-
is 'exec <>' longer-text "$(cat "$SHM/r")"

# cp, both ways and inside; mv; ln; -p and -u keep their promises.
head -c 300000 /dev/urandom > "$SCRATCH/blob"
cp "$SCRATCH/blob" "$T/blob"
cmp "$SCRATCH/blob" "$SHM/blob" || is 'cp in' same different
cp "$T/blob" "$SCRATCH/back"
cmp "$SCRATCH/blob" "$SCRATCH/back" || is 'cp out' same different
cp -p "$T/blob" "$T/copy"
is 'cp -p keeps the times' "$(stat -c '%y %a' "$SHM/blob")" "$(stat -c '%y %a' "$SHM/copy")"
same copy
mv "$T/copy" "$T/moved"
is 'mv' $'blob\nmoved\nr' "$(ls "$SHM")"
mv -f "$T/moved" "$T/blob"
is 'mv over' $'blob\nr' "$(ls "$SHM")"
cmp "$SCRATCH/blob" "$SHM/blob" || is 'mv over keeps content' same different
ln "$T/blob" "$T/link"
is 'ln' 2 "$(stat -c %h "$SHM/blob")"
is 'ln: one inode natively' "$(stat -c %i "$SHM/blob")" "$(stat -c %i "$SHM/link")"
is 'ln: one inode through the mount' "$(stat -c %i "$T/blob")" "$(stat -c %i "$T/link")"
[[ $(stat -c %i "$T/blob") != "$(stat -c %i "$T/r")" ]] || is 'inode numbers of two objects' different equal
ln "$SHM/r" "$SHM/r2"
is 'a native ln' 2 "$(stat -c %h "$T/r")"
echo through-link > "$T/r2"
is 'written by one name, read by the other' through-link "$(cat "$T/r")"
fails 'File exists' ln "$T/r" "$T/blob"
rm "$T/link" "$T/r2"
is 'rm of a link' '1 1' "$(stat -c %h "$SHM/blob") $(stat -c %h "$SHM/r")"
mv "$T/r" "$SCRATCH/out"
is 'mv out of the mount' 'through-link' "$(cat "$SCRATCH/out")"
fails 'No such file' stat "$SHM/r"
mv "$SCRATCH/out" "$T/in"
is 'mv into the mount' 'through-link' "$(cat "$SHM/in")"

# Sizes and space.
truncate -s 5 "$T/in"
is 'truncate shorter' throu "$(cat "$SHM/in")"
truncate -s +3 "$T/in"
is 'truncate longer gives zeros' '7468726f75000000' "$(od -An -v -tx1 "$SHM/in" | tr -d ' \n')"
fallocate -l 128K "$T/in"
is 'fallocate size' 131072 "$(size in)"
is 'fallocate blocks' 256 "$(stat -c %b "$SHM/in")"
same in
fallocate -p -o 0 -l 64K "$T/in"
is 'punch hole blocks' '131072 128' "$(stat -c '%s %b' "$SHM/in")"
same in
fallocate -n -o 128K -l 64K "$T/in"
is 'fallocate -n keeps the size' '131072 256' "$(stat -c '%s %b' "$SHM/in")"
same in
is 'du' "$(du -k "$SHM/in" | cut -f1)" "$(du -k "$T/in" | cut -f1)"
is 'df' "$(df --output=size,used,avail,itotal,iused,iavail "$SHM" | tail -1)" \
    "$(df --output=size,used,avail,itotal,iused,iavail "$T" | tail -1)"
is 'statfs' "$(stat -f -c '%s %S %b %f %a %c %d %l' "$SHM")" "$(stat -f -c '%s %S %b %f %a %c %d %l' "$T/in")"

# Attributes.
touch -d '1999-12-31 23:59:59.123456789 UTC' "$T/in"
is 'touch -d' '1999-12-31 23:59:59.123456789' "$(TZ=UTC stat -c %y "$SHM/in" | cut -c1-29)"
touch -a -d '2030-01-01 UTC' "$T/in"
is 'touch -a leaves mtime' '1999-12-31' "$(TZ=UTC stat -c %y "$SHM/in" | cut -c1-10)"
is 'touch -a' '2030-01-01' "$(TZ=UTC stat -c %x "$SHM/in" | cut -c1-10)"
touch -r "$T/blob" "$T/in"
is 'touch -r' "$(stat -c '%X %Y' "$SHM/blob")" "$(stat -c '%X %Y' "$SHM/in")"
touch "$T/new"
is 'touch creates' '0 644' "$(stat -c '%s %a' "$SHM/new")"
for mode in 000 400 755 1644 4755 2755 7777; do
    chmod "$mode" "$T/in"
    is "chmod $mode" "$((8#$mode))" "$((8#$(stat -c %a "$SHM/in")))"
    is "chmod $mode seen" "$(stat -c %A "$SHM/in")" "$(stat -c %A "$T/in")"
done
chmod u=rw,go= "$T/in"
is 'symbolic chmod' 600 "$(stat -c %a "$SHM/in")"
chown 11:22 "$T/in"
is 'chown' 11:22 "$(stat -c %u:%g "$SHM/in")"
chown :33 "$T/in"
is 'chgrp' 11:33 "$(stat -c %u:%g "$SHM/in")"
same in
(umask 077; echo x > "$T/masked")
is 'umask' 600 "$(stat -c %a "$SHM/masked")"

# Names: what shows, what does not; the directory itself.
touch "$T/.hidden" "$T/with space" "$T/-dash" "$T/sem"
is 'names made through the mount' "$(ls -A "$SHM")" "$(ls -A "$T")"
is 'dot files need -A' 0 "$(ls "$T" | grep -c hidden || true)"
is 'directory status' "$(stat -c '%A %u %g' "$SHM")" "$(stat -c '%A %u %g' "$T")"
is 'globbing' "$T/-dash" "$(echo "$T"/-*)"
is 'find' "$(find "$SHM" -type f -printf '%P\n' | sort)" "$(find "$T" -type f -printf '%P\n' | sort)"
is 'grep -r' "$T/in" "$(printf through > "$SHM/in"; grep -rl through "$T")"
if [[ $IPCFS_NATIVE == 0 ]]; then
    touch "$SHM/sem.x" "$SHM/.ipcfs.y"
    fails 'No such file' stat "$T/sem.x"
    fails 'No such file' cat "$T/.ipcfs.y"
    is 'hidden names are not listed' "$(ls -A "$SHM" | grep -v -e '^sem\.' -e '^\.ipcfs\.')" "$(ls -A "$T")"
    rm "$SHM/sem.x" "$SHM/.ipcfs.y"
    fails 'Operation not permitted' touch "$T/sem.x"
    fails 'Operation not permitted' bash -c "echo x > '$T/.ipcfs.y'"
    fails 'Operation not permitted' mv "$T/in" "$T/sem.in"
    is 'a refused rename leaves the object' yes "$([[ -e $SHM/in && ! -e $SHM/sem.in ]] && echo yes)"
    is 'the root' $'ctl\nmq\npipe\nproc\nsem\nshm\nsock\nsysv' "$(ls "$MNT")"
fi

rm -f -- "$T"/* "$T"/.hidden
is 'rm of all' '' "$(ls -A "$SHM")"
((failures == 0)) || { echo "$failures failures"; exit 1; }
echo 'ok'
