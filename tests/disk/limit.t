#!/usr/bin/env bash
# disk:limit: a thin pool.  What the disk and its snapshots have allocated never
# exceeds it, and all of it can be used; what is trimmed or zeroed is free again.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

# Random requests and limits, compared with a model that counts pages.
random_work 3000 300
cat >oracle.py <<'PY'
from clients import *
import random
control = Control()
h = connect()
size = h.get_size()
random.seed(f"{os.environ['SEED']} {size}")
page = 4096
length = min(size, 500001)
base = (size - length) // page * page
length = size - base
model = bytearray(length)
used = set()
limit = 1 << 70

def pages(offset, count):
    return set(range(offset // page, (offset + count + page - 1) // page)) if count else set()

def inside(offset, count):
    end = (length + page - 1) // page if offset + count == length else (offset + count) // page
    return set(range((offset + page - 1) // page, end))

def check(n, what, got, expected):
    if got != expected:
        print(f"request {n}: {what}: {got}, not {expected}")
        os._exit(1)

for n in range(int(os.environ["WORK"])):
    what = random.choice(("write", "write", "write", "trim", "zero", "limit"))
    count = random.choice((1, 100, page - 1, page, page + 1, 3 * page, random.randrange(1, 60000)))
    offset = random.randrange(length - count + 1)
    if random.random() < 0.4:
        offset -= offset % page
    if random.random() < 0.1:
        offset = length - count
    if what == "limit":
        limit = random.choice((0, len(used) * page, len(used) * page + 8191, random.randrange(length), 1 << 70))
        control(f"disk:limit({'' if limit == 1 << 70 else limit})")
        continue
    if what == "write":
        data = random.randbytes(count)
        new = used | pages(offset, count)
        expected = "ENOSPC" if len(new) > len(used) and len(new) * page > limit else "ok"
        check(n, f"write at {offset} of {count}", outcome(h.pwrite, data, base + offset), expected)
        if expected == "ok":
            used = new
            model[offset:offset + count] = data
    else:
        check(n, what, outcome(getattr(h, what), count, base + offset), "ok")
        used -= inside(offset, count)
        model[offset:offset + count] = bytes(count)
    if n % 20 == 0:
        check(n, "allocated", control("disk:stats().allocated"), len(used) * page)
check("end", "allocated", control("disk:stats().allocated"), len(used) * page)
check("end", "data", h.pread(length, base) == model, True)
PY
for size in 200001 $(((1 << 63) - 1)); do
    serve size=$size control=ctl.sock
    is "$(python - <oracle.py)" "" "$WORK random requests on a disk of $size bytes" || sed 's/^/# /' log
    stopped
done

# Eight clients write as long as they can, and free some at times, while
# somebody watches.
random_work 60 6
serve --threads=4 size=1G control=ctl.sock
cat >clients8.py <<'PY'
from clients import *
import random
import threading
control = Control()
limit = 4 << 20
problems = []
counts = [0] * 8

def fill(n, r):
    c, refused = connect(), 0
    while refused < 20:
        count = r.choice((4096, 4096, 8192, 5000))
        offset = r.randrange(0, 1 << 18) * 4096
        if r.random() < 0.1:
            c.trim(65536, min(offset, (1 << 30) - 65536))
            continue
        got = outcome(c.pwrite, bytes([n + 1]) * count, offset)
        if got == "ENOSPC":
            refused += 1
        elif got != "ok":
            problems.append(got)
    # To the last page.
    while outcome(c.pwrite, b"x" * 4096, r.randrange(0, 1 << 18) * 4096) == "ok":
        counts[n] += 1

done = False
most = 0
def watch():
    global most
    control = Control()
    while not done:
        most = max(most, control("disk:stats().allocated"))

watcher = threading.Thread(target=watch)
watcher.start()
full = []
for n in range(max(1, int(os.environ["WORK"]) // 20)):
    control(f"disk:limit({limit})")
    threads = [threading.Thread(target=fill, args=(i, random.Random(f"{os.environ['SEED']} {n} {i}"))) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    full.append(control("disk:stats().allocated"))
    if n % 2:
        h.trim(1 << 30, 0)
        # Nothing is left.
        full[-1] += control("disk:stats().allocated")
done = True
watcher.join()
print(problems, most <= limit or most, set(full) == {limit} or full)
PY
is "$(python - <clients8.py)" "[] True True" "eight clients fill it exactly"
stopped

# Limits at run time, and what does not count.
serve size=1G control=ctl.sock
cat >cases.py <<'PY'
from clients import *
control = Control()
M = 1 << 20
def allocated():
    return control("disk:stats().allocated")
control("disk:limit('16M')")
print("too large as a whole", outcome(h.pwrite, bytes(32 * M), 0), allocated())
print("exactly", outcome(h.pwrite, b"a" * 16 * M, 5 * M), allocated() == 16 * M)
print("overwrite", outcome(h.pwrite, b"b" * 16 * M, 5 * M), outcome(h.pwrite, b"c", 6 * M))
print("a byte more", outcome(h.pwrite, b"c", 0), outcome(h.pwrite, b"c" * M, 21 * M - 4096), bytes(h.pread(1, 21 * M - 1)))
control("disk:limit(4096)")
print("less than is used", outcome(h.pwrite, b"d" * M, 5 * M), outcome(h.pwrite, b"d", 0))
h.trim(16 * M - 4096, 5 * M)
print("after trim", outcome(h.pwrite, b"d", 0), allocated())
h.zero(M, 20 * M)
print("after zero", outcome(h.pwrite, b"d", 0), outcome(h.pwrite, b"d", M), allocated())
h.zero(4096, 0, nbd.CMD_FLAG_NO_HOLE)
print("no hole", allocated())
control("disk:limit(0)")
h.trim(4096, 0)
print("nothing", outcome(h.pwrite, b"d", 0), outcome(h.zero, M, 77), outcome(h.flush))
control("disk:limit()")
print("lifted", outcome(h.pwrite, b"d" * 64 * M, 0), allocated() == 64 * M)
control("disk:limit('64M') disk:snapshot 'then'")
s = connect("then")
def stored():
    return control("disk:stats().stored")
print("snapshots", allocated() - 64 * M, outcome(s.pwrite, b"e" * 4 * M, 100 * M), outcome(s.pwrite, b"e" * M, 3), allocated() - 64 * M == 5 * M + 4096, stored() == 64 * M)
print("what they share", outcome(h.pwrite, b"f" * M, 32 * M), outcome(h.pwrite, b"f", 64 * M), outcome(h.pwrite, b"f" * M, 4096), bytes(h.pread(1, 32 * M)))
print("scripts", control("disk:write('100M', 'x') return disk:stats().allocated") - 69 * M - 4096)
control("disk:drop 'then'")
s.shutdown()
until(lambda: allocated() == 64 * M + 4096)
print("dropped", outcome(h.pwrite, b"f" * M, 32 * M), outcome(h.pwrite, b"f", 65 * M))
control("disk:limit(nil)")
print("lifted", outcome(h.pwrite, b"d", 200 * M))
PY
is "$(python - <cases.py)" "too large as a whole ENOSPC 0
exactly ok True
overwrite ok ok
a byte more ENOSPC ENOSPC b'b'
less than is used ok ENOSPC
after trim ENOSPC 4096
after zero ok ENOSPC 4096
no hole 0
nothing ENOSPC ok ok
lifted ok True
snapshots 0 ok ok True True
what they share ENOSPC ENOSPC ok b'd'
scripts 4096
dropped ok ENOSPC
lifted ok" "limits at run time, huge requests, snapshots"
stopped

# What a snapshot holds counts, also in the memory that the server has: a page is
# held for each that differs, and no more.
serve size=64M control=ctl.sock
export WATCH
cat >overwrite.py <<'PY'
from clients import *
control = Control()
M = 1 << 20
def resident():
    with open(f"/proc/{open('server.pid').read().strip()}/status") as f:
        return next(int(l.split()[1]) * 1024 for l in f if l.startswith("VmRSS"))
def figures():
    s = control("disk:stats()")
    return s["allocated"] // 4096, s["stored"] // 4096
control("disk:limit '1M'")
h.pwrite(b"a" * M, 0)
control("disk:snapshot 'then'")
print("full", outcome(h.pwrite, b"b" * M, 0), outcome(h.pwrite, b"b", 0), figures())
control("disk:limit '2M'")
print("twice", outcome(h.pwrite, b"b" * M, 0), outcome(h.pwrite, b"b", M), figures())
control("disk:limit()")
h.trim(M, 0)
print("trimmed", figures(), connect("then").pread(M, 0) == b"a" * M)
h.pwrite(b"c" * 32 * M, 0)
control("disk:drop 'then' disk:snapshot 'then'")
before = resident(), figures()[0]
# A sector in each 64 KiB.
for i in range(512):
    h.pwrite(b"d" * 512, i << 16)
pages = figures()[0] - before[1]
print("scattered", pages, h.pread(1024, 5 << 16) == b"d" * 512 + b"c" * 512)
# (What watches the server has a use for more.)
most = (64 if os.environ["WATCH"] else 8) * M
print("resident", resident() - before[0] < most or resident() - before[0])
PY
is "$(python - <overwrite.py)" "full ENOSPC ENOSPC (256, 256)
twice ok ENOSPC (512, 256)
trimmed (256, 0) True
scattered 512 True
resident True" "the memory of a disk and its snapshots"
stopped

# Long trims of initial content cost next to nothing.
serve size=64T control=ctl.sock lua='function on.fill(offset, count) return ("i"):rep(count) end'
cat >trims.py <<'PY'
from clients import *
def resident():
    with open(f"/proc/{open('server.pid').read().strip()}/status") as f:
        return next(int(l.split()[1]) * 1024 for l in f if l.startswith("VmRSS"))
before = resident()
for i in range(2000):
    h.trim((1 << 32) - 4096, i << 33)
most = (64 if os.environ["WATCH"] else 4) << 20
print(resident() - before < most or resident() - before, bytes(h.pread(2, (777 << 33) + (1 << 32) - 4097)))
PY
is "$(python - <trims.py)" "True b'\\x00i'" "2000 trims of 4 GiB"
stopped

# Initial content takes no memory until a part of a page is changed, also by a
# zero, or by a trim if there is room.
serve size=100M control=ctl.sock lua='disk:limit(8192)
function on.fill(offset, count) return ("i"):rep(count) end'
cat >fill.py <<'PY'
from clients import *
control = Control()
def allocated():
    return control("disk:stats().allocated")
print(bytes(h.pread(3, 0)), allocated())
print(outcome(h.zero, 4096 * 5, 4096), outcome(h.trim, 4096 * 5, 0), allocated())
print(outcome(h.zero, 1, 100 * 4096), outcome(h.trim, 1, 101 * 4096), allocated())
def parts(call, page):
    print(outcome(call, 1, page * 4096), outcome(call, 4097, page * 4096), outcome(call, 4098, page * 4096 - 1), outcome(call, 4096, page * 4096 - 1))
parts(h.zero, 200)
print(h.pread(4100, 200 * 4096 - 2) == b"i" * 4100, allocated())
# A trim does as much as it can.
parts(h.trim, 300)
print(h.pread(4100, 300 * 4096 - 2) == b"ii" + bytes(4096) + b"ii", allocated())
print(outcome(h.zero, 100, 100 * 4096 + 50), outcome(h.pwrite, b"w", 200 * 4096), outcome(h.pwrite, b"w", 101 * 4096))
print(outcome(h.trim, 4096, 100 * 4096), outcome(h.pwrite, b"w", 200 * 4096 + 1), bytes(h.pread(3, 200 * 4096)), allocated())
PY
is "$(python - <fill.py)" "b'iii' 0
ok ok 0
ok ok 8192
ENOSPC ENOSPC ENOSPC ENOSPC
True 8192
ok ok ok ok
True 8192
ok ENOSPC ok
ok ok b'iwi' 8192" "initial content"
stopped

# The limit can be changed while a write waits for on.fill.
serve size=1M control=ctl.sock lua='disk:limit "1M"
waiting = false
function on.fill(offset, count)
  if offset == 0 then waiting = true; while waiting do sleep "10ms" end end
  return ("i"):rep(count)
end'
cat >slow.py <<'PY'
from clients import *
control = Control()
a = h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(b"w")), 1)
until(lambda: control("waiting"))
control("disk:limit(8192) disk:bad(65536, 1) disk:readonly(false) disk:throttle{}")
b = h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(b"w" * 5000)), 40960)
control("waiting = false")
print(finish(h, [a, b]), bytes(h.pread(3, 0)), control("disk:stats().allocated"))
PY
like "$(python - <slow.py)" "^\['ok', '(ok|ENOSPC)'\] .* (4096|8192)$" "disk:limit does not wait for on.fill"
stopped

# With all allocated at start, there is nothing that could grow.
serve size=1M allocator=malloc lua='disk:limit(4096)'
is "$(python 'h.pwrite(b"x" * 100000, 5)
print(bytes(h.pread(1, 5)))')" "b'x'" "allocator=malloc"
stopped
done_testing
