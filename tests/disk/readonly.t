#!/usr/bin/env bash
# disk:readonly: from now on, the disk can't be changed.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

serve -v size=1M control=ctl.sock
cat >readonly.py <<'PY'
from clients import *
import threading
control = Control()
calls = (lambda c: c.pread(512, 0)), (lambda c: c.pwrite(b"x", 0)), (lambda c: c.zero(512, 0)), \
    (lambda c: c.trim(512, 0)), (lambda c: c.pwrite(b"x", 0, nbd.CMD_FLAG_FUA)), \
    (lambda c: c.zero(1, 0, nbd.CMD_FLAG_FAST_ZERO)), (lambda c: c.flush()), (lambda c: c.cache(512, 0))
def all(c):
    return " ".join(str(outcome(call, c)) for call in calls)
h.pwrite(b"data", 0)
control("disk:snapshot 'then'")
for chunk in "disk:readonly()", "disk:readonly(true)", "disk:readonly(false)":
    control(chunk)
    before = h.pread(4, 0)
    print(chunk, all(h), before == h.pread(4, 0))
    control("disk:write(0, 'data')")    # nothing of the medium
control("disk:readonly()")
print(all(connect("then")))
for chunk in "disk:readonly(1)", "disk:readonly(nil)", "disk.readonly(true)":
    try:
        control(chunk)
        print("accepted", chunk)
    except RuntimeError as e:
        pass
# The disk turns read-only while clients write, each until a write fails: the disk then
# holds the last write of each that succeeded.
control("disk:readonly(false)")
h.zero(4 * 4096, 0)
last = [0] * 4
def write(n):
    c, i = connect(), 0
    while outcome(c.pwrite, (i + 1).to_bytes(4, "big"), n * 4096) == "ok":
        i += 1
    last[n] = i
threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
for t in threads:
    t.start()
until(lambda: min(h.pread(4, n * 4096) for n in range(4)) > b"\0\0\0\x10")
control("disk:readonly()")
for t in threads:
    t.join()
print([int.from_bytes(h.pread(4, n * 4096), "big") for n in range(4)] == last)
PY
is "$(python - <readonly.py)" "disk:readonly() ok EPERM EPERM EPERM EPERM EPERM ok ok True
disk:readonly(true) ok EPERM EPERM EPERM EPERM EPERM ok ok True
disk:readonly(false) ok ok ok ok ok ok ok ok False
ok ok ok ok ok ok ok ok
True" "writes fail with EPERM, and only they"
like "$(cat log)" 'write of 1 bytes at offset 0: .*disk:readonly' "the log says why"
stopped
done_testing
