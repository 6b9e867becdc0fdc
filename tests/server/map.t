#!/usr/bin/env bash
# Block status tells data from holes to the page of 4 KiB, merges neighbours,
# and follows writes, zeroes and trims, which touch nothing beside them.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh nbdinfo

# map: offset, length and kind of each extent, on one line.
map () { nbdinfo --map "$uri" | awk '{ printf "%s%s+%s:%s", s, $1, $2, $3; s = " " }'; }

serve size=1M
is "$(map)" "0+1048576:3" "a fresh disk is one hole that reads as zeroes"

python 'h.pwrite(b"x", 4096)'
is "$(map)" "0+4096:3 4096+4096:0 8192+1040384:3" "one byte makes one page data"
python 'h.pwrite(b"x", 8191 + 4096)'
is "$(map)" "0+4096:3 4096+8192:0 12288+1036288:3" "neighbours are merged"
python 'h.pwrite(b"x" * 2, 20479)'
is "$(map)" "0+4096:3 4096+8192:0 12288+4096:3 16384+8192:0 24576+1024000:3" \
   "a write across a page boundary makes two pages data"
python 'h.pwrite(b"x" * 4096, 12288)'
is "$(map)" "0+4096:3 4096+20480:0 24576+1024000:3" "filling the gap merges all"
python 'h.trim(4096, 8192)'
is "$(map)" "0+4096:3 4096+4096:0 8192+4096:3 12288+12288:0 24576+1024000:3" \
   "trim makes a hole"
python 'h.zero(4096, 12288)'
is "$(map)" "0+4096:3 4096+4096:0 8192+8192:3 16384+8192:0 24576+1024000:3" \
   "so does zero, and holes are merged"
python 'h.zero(4096, 65536, nbd.CMD_FLAG_NO_HOLE); print(h.pread(4096, 65536) == bytes(4096))' >out
is "$(cat out)" True "zero with the flag no-hole reads as zeroes"
python 'h.pwrite(b"x" * (1 << 20), 0)'
is "$(map)" "0+1048576:0" "a full disk is one extent of data"
python 'h.trim(1 << 20, 0)'
is "$(map)" "0+1048576:3" "trimming it all leaves one hole"

# Pages that a trim or zero covers only in part keep their bytes outside.
python - >out <<'PY'
for what in h.trim, h.zero:
    for first, last in ((4000, 9000), (4096, 8192), (4097, 8191), (1, 2),
                        (100, 4096), (4096, 70000), (65535, 65537), (5000, 140001)):
        old = bytes(range(1, 251)) * 800
        h.pwrite(old, 0)
        what(last - first, first)
        new = h.pread(len(old), 0)
        if new[:first] + new[last:] != old[:first] + old[last:]:
            print(what.__name__, first, last, "changed its neighbours")
        if what is h.zero and any(new[first:last]):
            print(what.__name__, first, last, "left something")
        a, b = -(-first // 4096) * 4096, last // 4096 * 4096
        if any(new[a:b]):
            print(what.__name__, first, last, "left something in whole pages")
PY
is "$(cat out)" "" "partial pages keep their neighbours' bytes"
stopped

# One extent with REQ_ONE, all without; never more than was asked for.
serve size=10G
python - >out <<'PY'
import os
from functools import partial
import clients
h = nbd.NBD()
h.add_meta_context("base:allocation")
h.connect_uri(os.environ["uri"])
for i in range(10):
    h.pwrite(b"x", i << 30)
def answer(count, offset, flags=0):
    """The extents of one answer."""
    got = []
    h.block_status(count, offset,
                   lambda context, start, entries, err: got.extend(entries), flags)
    return list(zip(got[::2], got[1::2]))
extents = partial(clients.extents, h)
print(answer(1 << 30, 0, nbd.CMD_FLAG_REQ_ONE))
print(extents(1 << 30, 0))
print(extents(1 << 31, 1 << 30)[:4])
print(extents(100, 50))
print(answer(4096, 8192, nbd.CMD_FLAG_REQ_ONE))
print(sum(n for n, _ in answer(100, 50)), sum(n for n, _ in answer(1, 1 << 30)))
print(extents(1, (10 << 30) - 1))
print(len(extents(0xffffffff, 0)), sum(n for n, _ in extents(0xffffffff, 0)))
PY
is "$(cat out)" "[(4096, 0)]
[(4096, 0), (1073737728, 3)]
[(4096, 0), (1073737728, 3), (4096, 0), (1073737728, 3)]
[(100, 0)]
[(4096, 3)]
100 1
[(1, 3)]
8 4294967295" "each request gets its extents, and no more than it asked for"
stopped
done_testing
