#!/usr/bin/env bash
# stale: a read gets what a snapshot holds.  Without that snapshot the rule matches
# nothing.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdsh

cat >stale.py <<'PY'
from clients import *
control = Control()
def at(offset, n=4): return bytes(h.pread(n, offset))
def rule():
    r = control('return fault.get "old"')
    return r["hits"], r["fired"]
h.pwrite(b"new1", 0); h.pwrite(b"new2", 8192)
print(at(0), rule())                # it comes later
control('disk:snapshot "before"')
h.pwrite(b"NEW1", 0); h.pwrite(b"NEW2", 8192)
print(at(0), at(8192), at(4090, 12), rule())
h.pwrite(b"own!", 0)                # is stored, however it is read
print(at(0), rule(), control("return disk:read(0, 4)"))
before = connect("before"); before.pwrite(b"snap", 0)
print(at(0), bytes(before.pread(4, 0)))
print(outcome(h.pread, 512, 2048))  # a bad sector is bad
control('disk:drop "before"')
print(at(0), rule())
PY
serve size=1M control=ctl.sock log=the.log lua='
disk:bad(2048, 512)
fault { op = "read", offset = 0, count = 4096, stale = "before", name = "old" }'
is "$(python "$(cat stale.py)")" "b'new1' (0, 0)
b'new1' b'NEW2' b'\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00' (2, 2)
b'new1' (3, 3) own!
b'snap' b'snap'
EIO
b'own!' (5, 5)" "what the client reads"
stopped
is "$(read_log the.log 'show(lines[0])')" \
   '{"rule":"old","op":"read","offset":0,"count":4,"conn":1,"did":{"stale":"before"}}' "the log"

# With other actions: moved first, then damaged; the first snapshot counts; a snapshot
# that is dropped while a read waits is kept for it.
serve size=1M control=ctl.sock lua='
disk:write(4096, "old!") disk:snapshot "one"
disk:fill(0, disk.size, "o") disk:snapshot "two"
disk:fill(0, disk.size, "n")
fault { op = "read", offset = 0, count = 512, stale = "one", misdirect = 4096 }
fault { op = "read", offset = 0, count = 512, stale = "two" }
fault { op = "read", offset = 8192, count = 512, stale = "two", corrupt = 3 }
fault { op = "read", offset = 16384, count = 512, stale = "two", hang = true, name = "hang" }
fault { op = "any", offset = 32768, count = 512, stale = "two", nth = 2 }'
is "$(python 'from clients import *
h = connect()
print(bytes(h.pread(4, 0)), sum(bin(a ^ 111).count("1") for a in h.pread(512, 8192)))
buf = nbd.Buffer(4)
waits = h.aio_pread(buf, 16384)
control = Control()
control("""fault.get("hang"):off() disk:drop "two" fault.get("hang"):release()""") if control("""return fault.get("hang"):wait(60)""") else 0
finish(h, [waits])
print(bytes(buf.to_bytearray()), outcome(h.zero, 512, 32768), extents(h, 512, 32768))')" "b'old!' 3
b'oooo' ok [(512, 0)]" "with others"
stop
like "$(cat log)" 'rule 5 .*never fired .*matched 0' "a rule whose snapshot is gone"

# The export "marks" is smaller than the disk, and no copy of it.
serve size=16M control=ctl.sock write-cache=volatile history=1M lua='local may = sleep
fault { op = "read", stale = "marks" }'
is "$(python 'from clients import *
marks, h = connect("marks"), connect()
h.pwrite(b"new", 8 << 20)
print(bytes(h.pread(3, 8 << 20)))
print(Control()("return select(2, pcall(disk.get, disk, [[marks]]))"))')" \
    "b'new'
disk:get: there is no snapshot 'marks'" "the marks are no snapshot"
stop
done_testing
