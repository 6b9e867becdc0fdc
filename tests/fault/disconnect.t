#!/usr/bin/env bash
# disconnect = true cuts the connection where nbdkit can do that.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

version=$(nbdkit --version | sed -E 's/^nbdkit ([0-9]+)\.([0-9]+).*/\1 * 1000 + \2/')
can=$((version >= 1034))

# Where a connection can't be cut, the request fails, and the start says so.  In
# either case it is not performed, except for the part that is kept.
cat >disconnect.lua <<'LUA'
fault { op = "write", count = 4096, disconnect = true, name = "d" }
fault { op = "write", offset = 4096, count = 4096, disconnect = true, keep = 1, name = "k" }
fault { op = "read", offset = 8192, count = 4096, disconnect = true, delay = "1ms" }
LUA
cat >disconnect.py <<'PY'
from clients import *
eye = connect()
def end(f, *args):
    o = outcome(f, *args)
    # Clients may report a connection that was cut in different ways.
    return "ended" if not h.aio_is_ready() else o
for f, args in ("pwrite", (b"xx", 0)), ("pwrite", (b"xx", 4096)), ("pread", (1, 8192)):
    h = connect()
    print(f, end(getattr(h, f), *args))
print(eye.pread(2, 0), eye.pread(2, 4096), outcome(eye.flush))
PY
serve size=1M hooks=disconnect.lua
if [ $can = 1 ]; then what=ended; else what=ESHUTDOWN; fi
is "$(python "$(cat disconnect.py)")" "pwrite $what
pwrite $what
pread $what
bytearray(b'\x00\x00') bytearray(b'x\x00') ok" "disconnect"
[ $can = 1 ] || like "$(cat log)" "this nbdkit can't cut a connection \(1.34 and newer can\): the request fails with ESHUTDOWN" "the start says what it can't"
stopped

# A stand-in for an nbdkit that can: it only notes that it was called.
"${CC:-cc}" -shared -fPIC -o cut.so -x c - <<'C'
#include <stdio.h>
int nbdkit_disconnect (int force);
int nbdkit_disconnect (int force) { fprintf (stderr, "cut %d\n", force); return 0; }
C
if [ -z "$WATCH" ] && [ $can = 0 ]; then
    watch=(env "LD_PRELOAD=$scratch/cut.so")
    serve size=1M hooks=disconnect.lua
    watch=()
    python "$(cat disconnect.py)" >/dev/null
    is "$(cat log)" $'cut 1\ncut 1\ncut 1' "where nbdkit has the call, it is used"
    stopped
fi
done_testing
