#!/usr/bin/env bash
# disk:limit and the memory of snapshots: what the disk and its snapshots hold
# together counts.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

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

done_testing
