#!/usr/bin/env bash
# disk:stats counts requests, their bytes and their failures, and measures how long
# they took.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

serve size=1M control=ctl.sock lua='disk:snapshot "then"
fault { op = "flush", delay = "60ms" }
fault { op = "trim", nth = 2, delay = "200ms" }
fault { op = "write", offset = 4096, count = 1, error = "EIO", export = "*" }'
cat >stats.py <<'PY'
from clients import *
import threading
control = Control()
h = connect()
ops = "read", "write", "flush", "trim", "zero", "extents", "cache"
def show():
    s = control("disk:stats()")
    print(s["size"], s["allocated"], *[f"{op}:{s[op]['requests']}/{s[op]['bytes']}/{s[op]['errors']}" for op in ops if s[op]["requests"]])
    return s
s = show()
print(sorted(s, key=str), *{str(sorted(s[op].items())) for op in ops})
h.pread(1000, 5)
h.pwrite(b"x" * 1000, 5)
outcome(h.pwrite, b"x", 4096)
h.zero(5000, 1)
h.cache(7, 0)
h.flush()
for i in range(4):
    h.trim(512, 0)
extents(h, 4096)
s = show()
print("delays", s["flush"]["latency"] >= 0.06, s["trim"]["latency"] >= 0.05, s["trim"]["latency_max"] >= 0.2,
      s["trim"]["latency"] < s["trim"]["latency_max"], 0 < s["read"]["latency"] <= s["read"]["latency_max"])
control("disk:bad(0, 512) disk:limit(0)")
print(outcome(h.pread, 512, 0), outcome(h.pwrite, b"x" * 512, 8192))
control("disk:heal() disk:limit()")
show()
# More connections than there are processors, on both disks.
def work(export):
    c = connect(export)
    for i in range(200):
        c.pread(100, i)
        outcome(c.pwrite, b"x", 4096)
threads = [threading.Thread(target=work, args=(("", "then")[n % 2],)) for n in range(40)]
for t in threads:
    t.start()
for t in threads:
    t.join()
show()
try:
    control("disk.stats()")
except RuntimeError as e:
    print("disk:stats" in str(e))
PY
is "$(python - <stats.py)" "1048576 0
['allocated', 'cache', 'connections', 'connections_total', 'exports', 'extents', 'flush', 'hooks', 'medium', 'read', 'seed', 'size', 'started', 'stored', 'time', 'trim', 'version', 'write', 'zero'] [('bytes', 0), ('errors', 0), ('errors_by', {}), ('fua', 0), ('histogram', []), ('in_flight', 0), ('latency', 0), ('latency_max', 0), ('latency_sum', 0), ('requests', 0), ('waiting', 0)]
1048576 4096 read:1/1000/0 write:2/1000/1 flush:1/0/0 trim:4/2048/0 zero:1/5000/0 extents:1/4096/0 cache:1/7/0
delays True True True True True
EIO ENOSPC
1048576 4096 read:2/1000/1 write:3/1000/2 flush:1/0/0 trim:4/2048/0 zero:1/5000/0 extents:1/4096/0 cache:1/7/0
1048576 4096 read:8002/801000/1 write:8003/1000/8002 flush:1/0/0 trim:4/2048/0 zero:1/5000/0 extents:1/4096/0 cache:1/7/0
True" "the figures of many requests" || sed 's/^/# /' log
stopped

# Hooks and modules of a script can call it too.
cat >asks.lua <<'LUA'
return function() local s = disk:stats() return s.read.requests .. " " .. s.read.bytes end
LUA
echo 'local asks = require "asks"
function on.flush() print(asks()) end' >script.lua
serve size=1M hooks=script.lua
python 'for i in range(3): h.pread(100, 0)
h.flush()'
is "$(cat log)" "3 300" "a module of a script asks"
stopped
done_testing
