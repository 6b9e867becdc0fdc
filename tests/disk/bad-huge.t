#!/usr/bin/env bash
# Bad sectors of the largest disk cost no more than those of a small one.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >huge.lua <<'LUA'
local function try(...) return select(2, pcall(disk.bad, disk, ...)) end
disk:bad(0, disk.size)
print(#disk:bad(), disk:bad()[1].count == disk.size)
disk:heal(1 << 62, 1)
print(#disk:bad(), disk:bad()[1].count == 1 << 62, disk:bad()[2].offset == (1 << 62) + 512)
disk:heal()
print(try { p = 0.001 })
print(try { p = 0.5, offset = "1E", count = "4E" })
print(#disk:bad())
-- Long runs of either kind.
for _, p in ipairs { 1e-12, 1 - 1e-12 } do
  disk:heal()
  disk:bad { p = p }
  local n = #disk:bad()
  print(n > 15000 and n < 22000 or n)
end
disk:heal()
disk:bad { p = 0.5, offset = (1 << 62) + 512, count = "1M" }
local n = #disk:bad()
print(n > 300 and n < 700 or n, disk:bad()[1].offset > 1 << 62)
for _, arguments in ipairs { { { p = 2 } }, { { q = 0.5 } }, { { p = 0.5, offset = disk.size, count = 1 } }, { 0, -1 }, { disk.size, 1 }, { 0 } } do
  print(try(table.unpack(arguments)))
end
LUA
serve size=$(((1 << 63) - 1)) hooks=huge.lua
sed -E 's/bad argument #-?[0-9]+ to [^ ]*/bad argument/g' log >got
is "$(cat got)" "1	true
2	true	true
disk:bad: p: that would be more than 4194304 bad ranges; choose a smaller p, or a part of the disk with offset and count
disk:bad: p: that would be more than 4194304 bad ranges; choose a smaller p, or a part of the disk with offset and count
0
true
true
true	true
disk:bad: p: expected a probability, such as 0.001, \"1%\" or \"1:1000\"
disk:bad has no 'q', but p, offset, count, seed
disk:bad: count: expected a number from 0 to 0, or a string such as \"4K\", got 1
bad argument (is negative)
bad argument (reaches past the end of the disk, which has 9223372036854775807 bytes)
bad argument (number expected, got no value)" "huge disks"
stopped

# Memory is used in proportion to the ranges.
serve size=$(((1 << 63) - 1)) control=ctl.sock
export WATCH
cat >memory.py <<'PY'
from clients import *
control = Control()
def resident():
    with open(f"/proc/{open('server.pid').read().strip()}/status") as f:
        return next(int(l.split()[1]) for l in f if l.startswith("VmRSS"))
before = resident()
control("disk:bad(0, disk.size)")
for i in range(100):
    control(f"disk:heal({i} << 50, '512T') disk:bad({i} << 50, '1P')")
print(outcome(h.pread, 512, 1 << 62), outcome(h.pwrite, bytes(4096), 1 << 62), outcome(h.pread, 4096, 1 << 62))
# (In KiB.  Sanitizers and valgrind need more.)
most = 65536 if os.environ["WATCH"] else 4096
print(resident() - before < most or resident() - before, len(control("disk:bad()")))
PY
is "$(python - <memory.py)" "EIO ok ok
True 2" "the largest disk, bad as a whole, costs next to nothing"
stopped
done_testing
