#!/usr/bin/env bash
# scripts/thin-pool.lua: it is full, grows, and has room again after a trim.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

serve "${usage[@]}"
sees 'print(ctl("pool.status()"), w(0), ctl("pool.status()"))
print(t(h.pwrite, bytes(range(256)) * 4096, 1 << 39), ctl("pool.status()"))' \
"{'size': 1073741824, 'used': 0} ok {'size': 1073741824, 'used': 4096}
ok {'size': 1073741824, 'used': 1052672}" "the usage line"
stopped

script pool=16K control=ctl.sock
sees 'K = 4096
print(*[w(i * K) for i in range(6)], w(0, 5))
print(ctl("pool.grow([[4K]])"), w(4 * K), w(5 * K))
print(t(h.trim, K, 0), w(5 * K), w(0), r(0))
for arg in "[[x]]", "", "-1", "1 << 62": print(ctl("pool.grow(%s)" % arg))
print(ctl("pool.grow(1 << 62)"), ctl("pool.status().size"))' "ok ok ok ok ENOSPC ENOSPC ok
{'size': 20480, 'used': 16384} ok ENOSPC
ok ok ENOSPC ok
grow=x: expected bytes, such as 512 or 4K
grow=nil: expected bytes, such as 512 or 4K
grow=-1: expected bytes, such as 512 or 4K
{'size': 4611686018427408384, 'used': 20480}
grow=4611686018427387904: expected less than 8E in all 4611686018427408384" "full, larger, full, and room again"
stopped

script pool=4K no_space_timeout=300 control=ctl.sock
sees 'w(0)
c = h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(b"x" * 512)), 4096)
for i in range(20): h.poll(10)
print(h.aio_command_completed(c), ctl("pool.grow([[4K]]).size"))
while not h.aio_command_completed(c): h.poll(-1)
print(h.pread(1, 4096))' "False 8192
bytearray(b'x')" "a write waits for room"
stopped
script pool=4K no_space_timeout=200ms
sees 'start = time.monotonic()
print(w(0), w(4096), time.monotonic() - start >= .2)' "ok ENOSPC True" "but not for ever"
stopped

# The first one waits for a second; then thirty fail at once, and the pool has its
# patience again when it has grown, or something was trimmed.
script pool=4K no_space_timeout=1s control=ctl.sock
sees 'start = time.monotonic()
def waited():
    global start
    now = time.monotonic()
    long = now - start
    start = now
    return long
w(0)
print(w(4096), waited() >= 1)
print({w(4096 * i) for i in range(1, 31)}, waited() < 15)
ctl("pool.grow(4096)"); print(w(4096)); waited()
print(w(8192), waited() >= 1)
print(t(h.trim, 4096, 4096), w(8192)); waited()
print(w(4096), waited() >= 1)' "ENOSPC True
{'"'ENOSPC'"'} True
ok
ENOSPC True
ok ok
ENOSPC True" "no room: it waits once"
stopped

refused 'thin-pool.lua: say how large the pool is'
refused 'pool=x: expected bytes' pool=x
refused 'no_space_timeout=x: expected a time' pool=1M no_space_timeout=x
done_testing
