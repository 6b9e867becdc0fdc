#!/usr/bin/env bash
# disk:limit at run time: huge requests, snapshots, what is freed, and what does not
# count.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

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

# If all is allocated at the start, nothing can grow.
serve size=1M allocator=malloc lua='disk:limit(4096)'
is "$(python 'h.pwrite(b"x" * 100000, 5)
print(bytes(h.pread(1, 5)))')" "b'x'" "allocator=malloc"
stopped
done_testing
