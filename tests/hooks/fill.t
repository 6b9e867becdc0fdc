#!/usr/bin/env bash
# With on.fill a disk of any size has content at once, and stores only what was
# written.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh nbdinfo

cat >pattern.lua <<'LUA'
function on.fill(offset, count)
  assert(offset % 4096 == 0 and (count % 4096 == 0 or offset + count == disk.size))
  assert(count > 0 and count <= 256 * 1024 and host == nil)
  local t = {}
  for o = offset, offset + count + 7, 8 do t[#t + 1] = string.pack(">I8", o) end
  return table.concat(t):sub(1, count)
end
LUA
cat >pattern.py <<'PY'
from clients import *
def pattern(offset, count):
    first = offset // 8 * 8
    data = b"".join(o.to_bytes(8, "big") for o in range(first, offset + count, 8))
    return data[offset - first:offset - first + count]
h = connect()
size = h.get_size()
page = 4096
def same(offset, count, model=pattern, who=h):
    got = who.pread(count, offset)
    if got != model(offset, count):
        at = next(i for i in range(count) if got[i] != model(offset, count)[i])
        print("offset", offset, "count", count, "differs at", offset + at)
PY
cat pattern.py - >right.py <<'PY'
for offset in 0, 1, 4095, 4096, 1 << 20, (1 << 40) - 3, 1 << 52, (1 << 53) - 70000, size - 300000:
    for count in 1, 7, 4096, 4097, 65536, 299999:
        same(offset, min(count, size - offset))
print(h.pread(1, size - 1) == pattern(size - 1, 1))
# A part of a page that is written, zeroed or trimmed leaves the rest.
for i, change in enumerate((lambda o: h.pwrite(b"hello", o), lambda o: h.zero(5, o), lambda o: h.trim(5, o))):
    new = b"hello" if i == 0 else bytes(5)
    for offset in (i << 30) + 100, (i << 31) + page * 3 - 2, (i << 32) + page * 7:
        offset += 1 << 45
        change(offset)
        def model(o, c):
            was = bytearray(pattern(offset - page, 3 * page))
            was[page:page + 5] = new
            return was[o - offset + page:][:c]
        same(offset - page, 3 * page, model)
# Whole pages that are trimmed are holes; those that are written are not.
h.trim(4 * page, 1 << 50)
h.pwrite(b"x" * page, (1 << 50) + page)
h.pwrite(bytes(page), (1 << 50) + 2 * page)
print(extents(h, 6 * page, 1 << 50), any(h.pread(page, 1 << 50)), any(h.pread(page, (1 << 50) + 2 * page)))
same((1 << 50) + 4 * page, page)
same((1 << 50) - page, page)
print(extents(h, 1 << 31, 0))
h.zero(1 << 31, 0)
print(extents(h, 3 << 30, 0)[0], any(h.pread(1 << 20, 1 << 30)))
same(1 << 31, page)
# Zeroes that are written are data, not initial content, however they are stored.
h.pwrite(bytes(3 * page), 1 << 51)
print(any(h.pread(3 * page, 1 << 51)))
PY
serve size=$(((1 << 53) - 5)) hooks=pattern.lua -v -D memory.stats=1
is "$(python "$(cat right.py)")" "True
[(4096, 3), (8192, 0), (4096, 3), (8192, 0)] False False
[(2147483648, 0)]
(2147483648, 3) False
False" "the pattern, and what became of it" || grep -v debug log | sed 's/^/# /'
kb=$(awk '/^VmRSS/ { print $2 }' "/proc/$server/status")
[ -n "$WATCH" ] || ok $((kb > 200000)) "8 PiB take $kb KiB"
stopped
bytes=$(sed -n 's/.*memory: \([0-9]*\) bytes allocated.*/\1/p' log)
ok $((bytes > 4 << 20)) "$bytes bytes were allocated"

# Snapshots start with the same content, and then change independently.
serve size=8P hooks=pattern.lua lua='
disk:write(8192, "before")
disk:snapshot "a"
disk:zero(0, 8192)
disk:write(8192, "after!")
print(disk:read(4096 * 3, 8) == string.pack(">I8", 4096 * 3), disk:read(0, 1) == "\0", disk:read(8190, 4) == "\0\0af")
for o, c, k in disk:extents(0, 16384) do print(o, c, k) end
function on.flush() disk:write(12289, "hook") disk:snapshot "b" end'
is "$(cat log)" "true	true	true
0	8192	hole
8192	8192	data" "disk sees the content too"
cat pattern.py - >snapshots.py <<'PY'
a = connect("a")
same(0, 8192, who=a)
a.trim(page, 1 << 40)
a.pwrite(b"a", (1 << 41) + 1)
same(1 << 40, page)
same(1 << 41, page)
h.trim(page, 1 << 42)
same(1 << 42, page, who=a)
h.flush()
b = connect("b")
print(a.pread(6, 8192), b.pread(6, 8192), any(b.pread(8192, 0)), any(b.pread(page, 1 << 42)), any(a.pread(page, 1 << 40)))
print(a.pread(3, 1 << 41), b.pread(6, 12288))
same(1 << 40, 3 * page, who=b)
print(extents(b, 8192, 1 << 42), extents(a, 8192, 1 << 40))
PY
is "$(python "$(cat snapshots.py)")" "bytearray(b'before') bytearray(b'after!') False False False
bytearray(b'\\x00a\\x02') bytearray(b'\\x00hook\\x00')
[(4096, 3), (4096, 0)] [(4096, 3), (4096, 0)]" "snapshots"
stopped

# If there are several, the first that returns a string decides.
serve size=1M lua='function on.fill(offset, count) if offset < 4096 then return ("a"):rep(count) end end
function on.fill(offset, count) if offset < 8192 then return ("b"):rep(count) end end'
is "$(python 'print(h.pread(1, 0), h.pread(1, 4096), h.pread(1, 8192))')" \
   "bytearray(b'a') bytearray(b'b') bytearray(b'\\x00')" "several of them"
stopped
serve size=1M lua='function on.fill(o, c) return ("a"):rep(c) end on.fill = nil
print(pcall(function() on.fill = 5 end))
for o, c, k in disk:extents() do print(o, c, k) end
function on.flush() on.fill = function() end end'
is "$(python 'from clients import *; print(h.pread(1, 0), outcome(h.flush))')" "bytearray(b'\\x00') EIO" "none any more"
like "$(cat log)" '^0	1048576	hole' "holes again"
like "$(cat log)" 'on\.fill can be set only while scripts load' "not while serving"
stopped
like "$(nbdkit_run -U - 1M allocator=malloc hooks=pattern.lua --run : 2>&1)" "can't be combined with on.fill" "not with malloc"
done_testing
