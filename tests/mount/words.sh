# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# What shell tests have in common, to be read by them (.): `UNDER` is the shell under test, `about` what is tested, if that is
# several things.
failures=0

is() { # WHAT EXPECTED GOT
    if [ "$2" != "$3" ]; then
        echo "FAILED under $UNDER: ${about:+$about: }$1: expected '$2', got '$3'"
        failures=$((failures + 1))
    fi
}

# dash says of its own echo no more than "I/O error": these lines have env's.
fails() { # ERROR-TEXT COMMAND: the line must fail and say this
    if out=$(timeout 10 "$UNDER" -c "$2" 2>&1); then
        is "$2 must fail" "$1" success
    else
        case $out in *"$1"*) ;; *) is "$2" "$1" "$out" ;; esac
    fi
}
