#!/usr/bin/env bash
# Each command accepts each flag that NBD has for it, and does the same with it.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

serve size=1M
python - >out <<'PY'
FUA, NO_HOLE, FAST = nbd.CMD_FLAG_FUA, nbd.CMD_FLAG_NO_HOLE, nbd.CMD_FLAG_FAST_ZERO

def expect(name, data):
    if h.pread(len(data), 4000) != data:
        print(name, "left other data than it should")

h.set_strict_mode(0)
data = bytes(range(1, 201)) * 50
for flags in 0, FUA:
    h.pwrite(data, 4000, flags)
    expect(f"write with flags {flags}", data)
    data = data[::-1]

for flags in (0, FUA, NO_HOLE, FAST, FUA | NO_HOLE, FUA | FAST, NO_HOLE | FAST,
              FUA | NO_HOLE | FAST):
    h.pwrite(data, 4000)
    h.zero(len(data) - 200, 4100, flags)
    expect(f"zero with flags {flags}", data[:100] + bytes(len(data) - 200) + data[-100:])

# A trim may leave old bytes or zeroes.
for flags in 0, FUA:
    h.pwrite(data, 4000)
    h.trim(len(data) - 200, 4100, flags)
    got = h.pread(len(data), 4000)
    if got[:100] != data[:100] or got[-100:] != data[-100:]:
        print("trim with flags", flags, "touched its neighbours")
    if any(n not in (0, m) for n, m in zip(got, data)):
        print("trim with flags", flags, "left something else")

h.pwrite(data, 4000)
h.cache(1 << 20, 0)
h.cache(1, 4097)
expect("cache", data)
h.flush()
expect("flush", data)
h.zero(1 << 20, 0, FAST)
expect("fast zero of all", bytes(len(data)))
if h.pread(len(data), 4000, nbd.CMD_FLAG_DF) != bytes(len(data)):
    print("read with flag DF")
PY
is "$(cat out)" "" "every command with every flag"

# A second client sees what was flushed, written with FUA, or just written.
python - >out <<'PY'
import os
other = nbd.NBD()
other.connect_uri(os.environ["uri"])
h.pwrite(b"one", 0)
h.flush()
assert other.pread(3, 0) == b"one"
h.pwrite(b"two", 0, nbd.CMD_FLAG_FUA)
assert other.pread(3, 0) == b"two"
h.pwrite(b"three", 0)
other.flush()
assert other.pread(5, 0) == b"three"
PY
is "$(cat out)" "" "flush, FUA and plain writes reach other clients"
stopped
done_testing
