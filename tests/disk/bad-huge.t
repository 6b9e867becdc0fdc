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
# Many ranges: to list them lets others in, and stops when nobody waits for it; to
# heal them costs next to nothing.
serve size=2G control=ctl.sock lua='reads, lists, ended = 0, 0, false
function on.read() reads = reads + 1 end
function on.flush()
  local guard <close> = setmetatable({}, { __close = function() ended = true end })
  for i = 1, 1000 do disk:bad(); lists = i end
end'
cat >many.py <<'PY'
from clients import *
control = Control()
def cpu():
    with open(f"/proc/{open('server.pid').read().strip()}/stat") as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")
control("disk:bad{p=0.5, count='800M'}")
done = False
def read():
    c = connect()
    while not done:
        outcome(c.pread, 1, 1 << 30)
thread = threading.Thread(target=read)
thread.start()
until(lambda: control("reads > 0"))
n, meanwhile = control("local before, list = reads, disk:bad() return { #list, reads - before }")
done = True
thread.join()
print(n > 350000, meanwhile > 0)
child = os.fork()
if child == 0:
    connect().flush()
    os._exit(0)
until(lambda: control("lists > 0"))
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
until(lambda: control("ended"))
print(control("lists < 500"))
control("disk:heal() disk:bad{p=0.5}")
before = cpu()
for chunk in "disk:heal(512, '1G')", "disk:heal()":
    control(chunk)
# As a tree it took a second.
print(cpu() - before < 0.3 or cpu() - before, control("#disk:bad()"))
PY
is "$(python - <many.py)" "True True
True
True 0" "a million ranges"
stopped

done_testing
