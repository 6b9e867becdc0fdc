#!/usr/bin/env bash
# Snapshots are exports: listed, private and writable.  If one is dropped, it stays
# for the clients that are connected to it.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh nbdinfo

serve size=16M lua='
disk:write(0, "old") disk:fill("1M", "1M", "x")
disk:snapshot "first"
disk:write(0, "new") disk:zero("1M", "64K")
disk:snapshot "second, with \"quotes\" and spaces"
disk:snapshot "third"
disk:drop "third"
disk:snapshot "ünï"
function on.flush()
  if not pcall(disk.drop, disk, "first") then disk:snapshot "first" end
end'
is "$(nbdinfo --list "$uri" | grep '^export=')" 'export="":
export="first":
export="second, with \"quotes\" and spaces":
export="ünï":' "they are listed" || nbdinfo --list "$uri" | grep '^export=' | sed 's/^/# /'
cat >private.py <<'PY'
from clients import *
h = connect()
first = connect("first")
also = connect("first")
print(h.pread(3, 0), first.pread(3, 0), first.pread(1, 1 << 20), h.pread(1, 1 << 20))
h.pwrite(b"liv", 0)
first.pwrite(b"pri", 0)
first.zero(1 << 20, 1 << 20)
h.pwrite(b"odd", 4095)
print(h.pread(3, 0), first.pread(3, 0), also.pread(3, 0), first.pread(3, 4095))
print(h.pread(1, (1 << 21) - 1), also.pread(1, (1 << 21) - 1))
print(extents(h, 1 << 20, 1 << 20), extents(also, 1 << 20, 1 << 20))
h.flush()
print(first.pread(3, 0), outcome(connect, "first"))
first.pwrite(b"yet", 0)
print(also.pread(3, 0))
h.flush()
anew = connect("first")
print(anew.pread(3, 0), also.pread(3, 0))
PY
is "$(python "$(cat private.py)")" "bytearray(b'new') bytearray(b'old') bytearray(b'x') bytearray(b'\\x00')
bytearray(b'liv') bytearray(b'pri') bytearray(b'pri') bytearray(b'\\x00\\x00\\x00')
bytearray(b'x') bytearray(b'\\x00')
[(65536, 3), (983040, 0)] [(1048576, 3)]
bytearray(b'pri') ENOENT
bytearray(b'yet')
bytearray(b'liv') bytearray(b'yet')" "private and writable, shared by its clients, kept by those who are there"
python 'from clients import *; print(outcome(connect, "fist"))' >out
is "$(cat out)" ENOENT "an unknown export is refused"
like "$(cat log)" 'no export "fist"; there are "", "second, .*", "ünï", "first"' "with the names of those that exist"
stopped

# Snapshots are made while clients write: each shows one moment of a counter that is
# written to two places, one after the other.
serve size=16M lua='
local n = 0
function on.flush()
  n = n + 1
  disk:snapshot("s" .. n)
  if n > 3 then disk:drop("s" .. n - 3) end
end'
cat >moments.py <<'PY'
from clients import *
import threading
done = False
def writer():
    w = connect()
    for i in range(1, 1 << 30):
        w.pwrite(i.to_bytes(8, "big"), 0)
        w.pwrite(i.to_bytes(8, "big"), 9 << 20)
        if done:
            return
t = threading.Thread(target=writer)
t.start()
last = 0
for n in range(1, 101):
    h.flush()
    s = connect(f"s{n}")
    a, b = (int.from_bytes(s.pread(8, o), "big") for o in (0, 9 << 20))
    if a - b not in (0, 1) or a < last:
        print("snapshot", n, "holds", a, b, "after", last)
    last = a
done = True
t.join()
PY
is "$(python "$(cat moments.py)")" "" "each is the disk at one moment"
stopped
done_testing
