#!/usr/bin/env bash
# disk:limit and initial content, which takes no memory until a part of a page is
# changed, also by a zero, or by a trim if there is room.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

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
done_testing
