#!/usr/bin/env bash
# examples/activation.c passes, fails if the fault does not happen, and leaves no server.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/helper.sh"
need pkg-config pgrep
pkg-config --exists libnbd || skip_all "libnbd's header is not installed"

read -ra flags < <(pkg-config --cflags --libs libnbd)
check "it is built without a warning" "${CC:-cc}" -std=c11 -Wall -Wextra -Werror \
    -o activation "$TOP/examples/activation.c" "${flags[@]}"
# A name of our own in the processes' arguments.
ln -s "$SO" memory.so
is "$(./activation "$scratch/memory.so" 2>&1)" PASSED "it passes"

sed 's/nth = 2/nth = 3/' "$TOP/examples/activation.c" >other.c
"${CC:-cc}" -o other other.c "${flags[@]}"
out=$(./other "$scratch/memory.so" 2>&1)
is "$?" 1 "it fails if the fault does not happen"
like "$out" "FAILED: the second write fails" "... and says so"
# shellcheck disable=SC2317,SC2329 # called through await
no_server () { ! pgrep -f "$scratch/memory.so" >pgrep.out; }
await no_server
ok 0 "no server is left"
done_testing
