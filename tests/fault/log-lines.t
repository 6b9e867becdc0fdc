#!/usr/bin/env bash
# log=FILE: the first and the last line, declarations, and the lines about one request,
# which its number joins and whose last one says what the client got.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdsh python3

cat >lines.lua <<'LUA'
fault { op = "write", delay = "30ms", name = "slow", optional = true }
fault { op = "write", error = "EFBIG", name = "full", fua = true }
fault { op = "open", error = "EROFS", name = "shut", conn = 2 }
fault { op = "read", error = "EIO", name = "caught" }
disk:bad("4K", 512)
function on.read(req) local data = req:run() if not data then req.data = ("x"):rep(req.count) end end
function on.open(conn) if conn.id == 3 then fail "EPERM" end end
function on.flush() fault { op = "trim", error = "EIO", name = "late" }:remove() end
LUA
cat >lines.py <<'PY'
from clients import *
h.zero(1, 0)
h.pwrite(b"x", 0)
outcome(h.pwrite, b"x", 1, nbd.CMD_FLAG_FUA)
h.pread(1, 0)
outcome(h.cache, 1, 4096)
outcome(connect), outcome(connect)
h.flush()
PY
serve size=1M seed=7 log=the.log hooks=lines.lua
is "$(python - <lines.py)" "" "requests of all kinds"
stop
is "$(read_log the.log '
start = every[0]["start"]
print("start", every[0]["seq"], start.pop("version") != "", start)
stop = every[-1]["stop"]
print("stop", sorted(stop), stop["write"]["requests"], stop["write"]["errors_by"], stop["write"]["fua"],
      stop["write"]["histogram"][-1], stop["read"]["errors"], stop["connections_total"])
print("declared", *[l["rule"] for l in every if "declared" in l], [l["seq"] for l in every if "declared" in l][:4])
print("removed", *[(l["rule"], l["never_fired"]) for l in every if "removed" in l])
print("optional", *[(l["rule"], l["optional"]) for l in every if "optional" in l])
print("t", all(a["t"] <= b["t"] for a, b in zip(every, every[1:])), 0 < every[0]["t"], every[-1]["t"] < 1000)
requests = {}
for l in every:
    if "req" in l: requests.setdefault(l["req"], []).append(l)
for n, about in sorted(requests.items()):
    print("request", n, *[l.get("rule") or l.get("hook") or l.get("medium") or l["result"] for l in about],
          "fua" if about[0].get("fua") else "", about[-1]["latency"] >= (0.03 if about[0].get("rule") == "slow" else 0))
    for l in about[:-1]: assert "result" not in l and l["t"] <= about[-1]["t"]
')" "start 1 True {'size': 1048576, 'sector': 512, 'seed': 7}
stop ['cache', 'connections_total', 'flush', 'read', 'write', 'zero'] 2 {'EFBIG': 1} 1 2 0 3
declared slow full shut caught late [2, 3, 4, 5]
removed ('late', True)
optional ('slow', True)
t True True True
request 3 slow ok  True
request 4 slow full ENOSPC fua True
request 5 caught read ok  True
request 6 disk:bad EIO  True
request 7 shut EPERM  True
request 8 open EPERM  True" "what the lines say"

# While a request hangs it has no result.
serve size=1M control=ctl.sock log=hang.log lua='local _ = sleep fault { op = "read", hang = true, name = "stuck" }'
is "$(python 'from clients import *
c = connect()
hanging = c.aio_pread(nbd.Buffer(1), 0)
until(lambda: "stuck\",\"req" in open("hang.log").read())
print("result" in open("hang.log").read())
Client()("fault.get [[stuck]]:release()")
finish(c, [hanging])')" False "a request that hangs has its line at once"
stop
is "$(read_log hang.log 'print(*[l.get("result") or l["did"] for l in every if "req" in l])')" \
    "{'hang': True} {'ended': 'released'} ok" "its result comes in the end"
done_testing
