# Sourced by the other scripts: where the tree is, how to complain, whether a FUSE mount can be had.
# shellcheck shell=bash disable=SC2034

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
self=scripts/$(basename "$0")

say() { printf '%s: %s\n' "$self" "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

# Leaves with one line, saying what to do, unless this process can open /dev/fuse and mount.
need_fuse() {
    [ "$(id -u)" = 0 ] || fail "run this as root"
    [ -c /dev/fuse ] || modprobe fuse 2>/dev/null || true
    [ -c /dev/fuse ] || fail "/dev/fuse is missing: run 'modprobe fuse', or start the container with" \
        "--device /dev/fuse --cap-add SYS_ADMIN"
    (: <>/dev/fuse) 2>/dev/null || fail "/dev/fuse can't be opened: start the container with --device /dev/fuse"
    unshare -m true 2>/dev/null ||
        fail "mounting is not permitted here: start the container with --cap-add SYS_ADMIN (and, where" \
            "AppArmor is on, --security-opt apparmor=unconfined)"
}
