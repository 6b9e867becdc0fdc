#!/usr/bin/env bash
# Bad sectors: a read that touches one fails, as does a write that covers a
# part of one; a write, zero or trim that covers it as a whole makes it good.
# All others, and what is stored, stay as they are.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

# Random requests and changes of the medium, compared with a model.
random_work 4000 400
cat >oracle.py <<'PY'
from clients import *
import random
control = Control()
h = connect()
clients = [h, connect(), connect()]
size = h.get_size()
random.seed(f"{os.environ['SEED']} {size}")
length = min(size, 300001)
base = (size - length) // 512 * 512
length = size - base
sectors = (length + 511) // 512
model = bytearray(random.randbytes(length))
bad = set()
h.pwrite(model, base)

def touched(offset, count):
    return range(offset // 512, (offset + count + 511) // 512) if count else range(0)

def whole(offset, count):
    end = sectors if offset + count == length else (offset + count) // 512
    return range((offset + 511) // 512, end)

# The outcome of a request, which changes the model.
def expect(what, offset, count, data):
    met = bad.intersection(touched(offset, count))
    if what in ("write", "zero"):
        met -= set(whole(offset, count))
    if what != "trim" and met:
        return "EIO"
    if what in ("write", "zero", "trim"):
        bad.difference_update(whole(offset, count))
        model[offset:offset + count] = data or bytes(count)
    return "ok"

def listed():
    ranges = []
    for s in sorted(bad):
        if ranges and ranges[-1][1] == s:
            ranges[-1][1] = s + 1
        else:
            ranges.append([s, s + 1])
    return [{"offset": base + s * 512, "count": min(e * 512, length) - s * 512} for s, e in ranges]

def some_range():
    count = random.choice((1, 2, 511, 512, 513, 1024, 4096, 5000, random.randrange(1, 30000)))
    offset = random.randrange(length - count + 1)
    if random.random() < 0.5:
        offset -= offset % 512
    if random.random() < 0.1:
        offset = length - count
    return offset, count

def differs(n, what, got, expected):
    if got != expected:
        print(f"request {n}: {what}: {got}, not {expected}")
        os._exit(1)

work = int(os.environ["WORK"])
for n in range(work):
    what = random.choice(("bad", "bad", "heal", "read", "read", "read", "write", "write", "zero", "trim", "cache"))
    offset, count = some_range()
    who = random.choice(clients)
    if what == "bad":
        count = min(count, 3000)
        control(f"disk:bad({base + offset}, {count})")
        bad.update(touched(offset, count))
    elif what == "heal":
        control(f"disk:heal({base + offset}, {count})")
        bad.difference_update(touched(offset, count))
    elif what == "read":
        got = "EIO"
        try:
            got = who.pread(count, base + offset)
        except nbd.Error as e:
            differs(n, what, e.errno, "EIO")
        if expect(what, offset, count, None) == "EIO":
            differs(n, f"read at {offset} of {count}", got, "EIO")
        elif got != model[offset:offset + count]:
            differs(n, f"read at {offset} of {count}", "wrong data", "data")
    else:
        data = random.randbytes(count) if what == "write" else None
        got = outcome(who.pwrite, data, base + offset) if data else outcome(getattr(who, what), count, base + offset)
        differs(n, f"{what} at {offset} of {count}", got, expect(what, offset, count, data))
    if n % 50 == 0:
        differs(n, "list", control("disk:bad()"), listed())
differs("end", "list", control("disk:bad()"), listed())
control("disk:heal()")
differs("end", "list", control("disk:bad()"), [])
if h.pread(length, base) != model:
    print("the data has changed")
PY
for size in 200001 $(((1 << 63) - 1)); do
    serve size=$size control=ctl.sock
    is "$(python - <oracle.py)" "" "$WORK random requests on a disk of $size bytes" || sed 's/^/# /' log
    stopped
done

# Share by chance.  Each is a disk of its own.
cat >share.lua <<'LUA'
local function mark(of)
  disk:heal()
  disk:bad(of)
  local text, sectors = {}, 0
  for i, r in ipairs(disk:bad()) do
    text[i] = r.offset .. "+" .. r.count
    sectors = sectors + (r.count + 511) // 512
  end
  return table.concat(text, " "), sectors
end
local function same(what, ...) print(what, mark {...} == mark {...}) end
local function share(p, least, most, of)
  of = of or {}
  of.p = p
  local _, sectors = mark(of)
  print("share", p, sectors >= least and sectors <= most or sectors)
end
-- 2^20 sectors, and the bounds are six standard deviations off.
share(0.001, 1048 - 195, 1048 + 195)
share("1%", 10485 - 612, 10485 + 612)
share("1:4", 262144 - 2661, 262144 + 2661)
share(0.999, 1047527 - 195, 1047527 + 195)
share(0, 0, 0)
share(1, 1 << 20, 1 << 20)
share(0.5, 2048 - 193, 2048 + 193, { offset = "1M", count = "2M" })
share(0.5, 0, 0, { offset = 100, count = 0 })
print("same", mark { p = 0.01 } == mark { p = 0.01 }, mark { p = 0.01, seed = 1 } == mark { p = 0.01, seed = 1 })
print("other", mark { p = 0.01, seed = 1 } == mark { p = 0.01, seed = 2 }, mark { p = 0.01, seed = param.seed } == mark { p = 0.01 })
local inside = true
disk:heal()
disk:bad { p = 0.5, offset = "1M", count = "2M" }
for _, r in ipairs(disk:bad()) do inside = inside and r.offset >= 1 << 20 and r.offset + r.count <= 3 << 20 end
print("inside", inside)
LUA
serve size=512M seed=5 hooks=share.lua
is "$(cat log)" "share	0.001	true
share	1%	true
share	1:4	true
share	0.999	true
share	0	true
share	1	true
share	0.5	true
share	0.5	true
same	true	true
other	false	true
inside	true" "by chance: the share, the same for the same seed, only in the range"
stopped

# The largest disk costs no more than a small one.
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
bad argument (reaches past the end of the disk)
bad argument (number expected, got no value)" "huge disks"
stopped

# Memory in proportion to the ranges.
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
# (In KiB.  What watches the server has a use for more.)
most = 65536 if os.environ["WATCH"] else 4096
print(resident() - before < most or resident() - before, len(control("disk:bad()")))
PY
is "$(python - <memory.py)" "EIO ok ok
True 2" "the largest disk, bad as a whole, costs next to nothing"
stopped

# Many ranges: to list them lets others in, and stops when nobody waits for it; to
# heal them costs next to nothing.
serve size=2G control=ctl.sock lua='reads, lists = 0, 0
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

# Changes while clients work: nothing but EIO happens, a sector that was healed
# stays so, and snapshots have a medium of their own.
random_work 1500 200
serve size=4M control=ctl.sock
cat >changes.py <<'PY'
from clients import *
import random
import threading
control = Control()
random.seed(os.environ["SEED"])
h.pwrite(b"a" * (4 << 20), 0)
control("disk:snapshot 'before'")
seen = set()
done = False
def work(n):
    r = random.Random(n)
    c = connect()
    while not done:
        offset = r.randrange(8192 - 64) * 512
        for call in (lambda: c.pread(4096, offset), lambda: c.pwrite(b"a" * 4096, offset), lambda: c.cache(512, offset)):
            seen.add(outcome(call))
threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
for t in threads:
    t.start()
for n in range(int(os.environ["WORK"])):
    offset = random.randrange(8192) * 512
    control(f"disk:{random.choice(('bad', 'bad', 'heal'))}({offset}, 512)")
    if n % 50 == 0:
        control("return #disk:bad()")
done = True
for t in threads:
    t.join()
print(sorted(seen, key=str))
control("disk:bad(0, '4M')")
s = connect("before")
print(outcome(h.pread, 512, 0), outcome(s.pread, 512, 0), outcome(s.pwrite, b"b", 77))
control("disk:snapshot 'after'")
print(outcome(connect("after").pread, 512, 0), outcome(h.pread, 512, (4 << 20) - 512))
control("disk:heal()")
print(h.pread(4 << 20, 0) == b"a" * (4 << 20))
PY
is "$(python - <changes.py)" "['EIO', 'ok']
EIO ok ok
ok EIO
True" "changes while clients work; snapshots"
alive "the server is alive"
stopped
done_testing
