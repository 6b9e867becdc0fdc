#!/usr/bin/env bash
# A plain disk serves any export name, as nbdkit's own memory plugin, except those of
# crash states, and the marks.  With a script or a control socket, only names that exist are served,
# and no name can forge a line of nbdkit's log.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh nbdinfo

serve size=1M
is "$(nbdinfo --size "nbd+unix:///any?socket=$sock")" 1048576 "any name"
is "$(python 'from clients import *
for name in "x" * 4096, "two\nlines", "ünï":
    print(connect(name).get_size(), end=" ")
connect("a").pwrite(b"one", 0)
print(connect("b").pread(3, 0))')" "1048576 1048576 1048576 bytearray(b'one')" "long ones and odd ones, all the same disk"
is "$(nbdinfo --list "$uri" | grep '^export=')" 'export="":' "one is listed"
# Whoever forgot write-cache=volatile must not test the live disk in place of a power cut.
is "$(python 'from clients import *
print(outcome(connect, "crash/now/none"), outcome(connect, "crash/x"), outcome(connect, "marks"), outcome(connect, "crash"))')" \
    "ENOENT ENOENT ENOENT ok" "names of crash states and of the marks are refused"
like "$(cat log)" 'crash states need a volatile cache: start the server with write-cache=volatile' "with what is missing"
stopped

for strict in lua='disk:snapshot "snap"' control=ctl log=faults.log; do
    serve size=1M "$strict"
    is "$(python 'from clients import *
print(outcome(connect, "any"), outcome(connect, "two\nnbdkit: error: lines"), outcome(connect, ""))')" \
        "ENOENT ENOENT ok" "$strict: names are exact"
    is "$(grep -c '^nbdkit: error: lines' log)" 0 "$strict: a name makes no line of its own"
    like "$(cat log)" 'there is no export "two\\nnbdkit: error: lines"; there are ""' "$strict: it is quoted"
    stopped
done

# Names of snapshots.
serve size=1M control=ctl
name ()
{
    "$TOP/memctl" ctl "disk:snapshot($1)" 2>&1
}
like "$(name '("é"):rep(2048)')" '^\{"name":"é' "4096 bytes"
is "$(python 'from clients import *; print(connect("é" * 2048).get_size())')" 1048576 "are served"
for wrong in '("é"):rep(2048) .. "x"' '""' '"\xff"' '"a\0b"' '"\xed\xa0\x80"'; do
    like "$(name "$wrong")" 'expected a name of 1 to 4096 bytes of UTF-8' "$wrong"
done
stopped
done_testing
