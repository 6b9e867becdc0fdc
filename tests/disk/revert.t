#!/usr/bin/env bash
# disk:revert makes the live disk what a snapshot holds: its bytes, extents and memory,
# for clients that are connected; what is wrong with the medium, and rules, stay.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >revert.lua <<'LUA'
disk:write(0, "old")
disk:fill("1M", "64K", "o")
disk:snapshot "before"
disk:bad("2M", 512)
fault { op = "read", offset = "3M", count = 512, error = "EPERM" }
function on.flush() disk:revert "before" end
function on.cache()
  local s = disk:stats()
  print(s.stored, s.allocated)
end
LUA
cat >revert.py <<'PY'
from clients import *
h = connect()
other, before = connect(), connect("before")
def change():
    h.pwrite(b"new", 0); h.zero(1 << 16, 1 << 20); h.pwrite(b"n" * (1 << 20), 5 << 20)
    h.cache(1, 0)
change()
h.flush()
for c in h, other:
    print(c.pread(4, 0), c.pread(1, 1 << 20), c.pread(1, 5 << 20), extents(c, 6 << 20, 0))
h.cache(1, 0)
print(outcome(h.pread, 512, 2 << 20), outcome(h.pread, 512, 3 << 20))
# The two share nothing that one of them changes.
h.pwrite(b"N", 0); before.pwrite(b"B", 1)
print(h.pread(4, 0), before.pread(4, 0))
change()
h.flush()
print(other.pread(4, 0), before.pread(4, 0))
# What was bad when it was written is good, and stays so.
h.zero(512, 2 << 20); h.flush()
print(outcome(h.pread, 512, 2 << 20))
PY
serve size=8M hooks=revert.lua
is "$(python "$(cat revert.py)")" "bytearray(b'old\\x00') bytearray(b'o') bytearray(b'\\x00') [(4096, 0), (1044480, 3), (65536, 0), (5177344, 3)]
bytearray(b'old\\x00') bytearray(b'o') bytearray(b'\\x00') [(4096, 0), (1044480, 3), (65536, 0), (5177344, 3)]
EIO EPERM
bytearray(b'Nld\\x00') bytearray(b'oBd\\x00')
bytearray(b'oBd\\x00') bytearray(b'oBd\\x00')
ok" "content, extents, medium and rules"
is "$(cat log)" "1052672	1122304
69632	69632
1052672	1122304" "memory: stored and allocated"
stopped

# Limits and write protection stay; memory is what the disk has then.
serve size=8M lua='
disk:snapshot "empty"
disk:limit("1M")
function on.flush() disk:revert "empty" end
function on.cache() disk:readonly(true) end'
is "$(python 'from clients import *
for i in range(2):
    print(outcome(h.pwrite, bytes(1 << 20), 0), outcome(h.pwrite, b"x", 4 << 20)); h.flush()
h.pwrite(b"kept", 0); h.cache(1, 0); h.flush()
print(h.pread(4, 0), outcome(h.pwrite, b"x", 0))')" "ok ENOSPC
ok ENOSPC
bytearray(b'\\x00\\x00\\x00\\x00') EPERM" "limit and write protection"
stopped

# Initial content comes back, and what was trimmed then is trimmed again.
serve size=8P lua='
on.fill = pattern
disk:zero(0, "8K") disk:write("16K", "old")
disk:snapshot "before"
function on.flush() disk:revert "before" end'
is "$(python 'from clients import *
h = connect()
def look(): print(h.pread(1, 4096), h.pread(8, 8192)[-2:], h.pread(4, 16384), h.pread(8, (1 << 40) + 4096)[-6:-4], extents(h, 12288, 4096))
look()
h.pwrite(b"new", 16384); h.pwrite(b"n", 4096); h.trim(1 << 20, 1 << 40); h.zero(4096, 8192)
print(extents(h, 12288, 4096), h.pread(1, (1 << 40) + 4098))
h.flush()
look()
h.pwrite(b"x", 8192 + 9)
print(h.pread(10, 8192)[-4:])')" "bytearray(b'\\x00') bytearray(b' \\x00') bytearray(b'old\\x00') bytearray(b'\\x01\\x00') [(4096, 3), (8192, 0)]
[(4096, 0), (4096, 3), (4096, 0)] bytearray(b'\\x00')
bytearray(b'\\x00') bytearray(b' \\x00') bytearray(b'old\\x00') bytearray(b'\\x01\\x00') [(4096, 3), (8192, 0)]
bytearray(b' \\x00\\x00x')" "initial content"
stopped

# A snapshot from before on.fill was set lies on zeroes; one from before it was taken
# away reads as the disk does.
serve size=1M lua='
disk:write(0, "x") disk:snapshot "zeroes"
function on.fill(o, c) return ("f"):rep(c) end
disk:snapshot "filled"
disk:revert "zeroes"
print(disk:read(0, 2) == "x\0", disk:read(8192, 1) == "\0")
disk:revert "filled"
print(disk:read(0, 2) == "x\0", disk:read(8192, 1))
on.fill = nil
disk:write(4096, "y")
disk:revert "filled"
print(disk:read(0, 2) == "x\0", disk:read(4096, 1) == "\0")'
is "$(cat log)" "true	true
true	f
true	true" "initial content that one of them has"
stopped
# What was all allocated stays so.
serve 1M allocator=malloc control=ctl lua='disk:snapshot "a" disk:write(0, "x") disk:revert "a"'
is "$(python 'from clients import *
print(extents(connect(), 1 << 20), h.pread(1, 0))')" "[(1048576, 0)] bytearray(b'\\x00')" "allocator=malloc"
is "$("$TOP/memctl" ctl 'disk:stats().read.errors_by')" "{}" "no errors: an object"
stopped
done_testing
