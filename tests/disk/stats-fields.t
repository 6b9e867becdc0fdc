#!/usr/bin/env bash
# Each field of disk:stats and of a rule says what the man page says.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >fields.lua <<'LUA'
local _ = sleep                 -- a connection's requests are served side by side
disk:snapshot "then"
fault { op = "trim", hang = true, name = "stuck" }
fault { op = "flush", delay = "20ms", name = "slow", optional = true }
fault { op = "cache", nth = 1, error = "EFBIG", name = "big" }
fault { op = "cache", nth = 2, error = "EIO", name = "io" }
fault { op = "cache", nth = 3, error = "EIO", name = "again" }
function on.zero(req) if req.offset == 0 then sleep(1000) elseif req.offset == 1 then error "oops" end fail "EPERM" end
LUA
cat >fields.py <<'PY'
from clients import *
import re
control = Client()
h = connect()
def stats(): return control("disk:stats()")["result"]
def rule(name): return control("fault.get [[%s]]" % name)["result"]
first = stats()
print(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first["started"]) is not None,
      re.fullmatch(r"\d+\.\d+\.\d+", first["version"]) is not None, first["seed"])
a, b, c = control("now(), disk:stats().time, now()")["result"]
print("time", a <= b <= c, first["time"] < b)
print("connections", first["connections"], first["connections_total"], first["exports"])
extra = connect("then")
until(lambda: stats()["connections"] == first["connections"] + 1)
extra.shutdown()
until(lambda: stats()["connections"] == first["connections"])
outcome(connect, "no such export")
print("connections", stats()["connections_total"] - first["connections_total"])

# FUA, errors.
h.pwrite(b"x", 0, nbd.CMD_FLAG_FUA)
h.pwrite(b"x", 0)
for i in range(3): outcome(h.cache, 1, 0)
s = stats()
print("fua", s["write"]["fua"], s["write"]["requests"], "errors", s["cache"]["errors"], s["cache"]["errors_by"])

# The histogram counts all, in steps of powers of two, and ends where all are counted.
for i in range(5): h.flush()
s = stats()["flush"]
g = s["histogram"]
print("histogram", g == sorted(g), g[-1] == s["requests"] == 5, g[-2] < 5, [g[i] for i in range(24)] == [0] * 24,
      2 ** (len(g) - 1) <= s["latency_max"] * 1e9 < 2 ** len(g))
print("latency", s["latency_sum"] >= 0.1, abs(s["latency_sum"] / 5 - s["latency"]) < 1e-8, s["latency"] <= s["latency_max"])

# Requests that wait: in a rule and in a hook.
hanging = h.aio_trim(512, 0)
until(lambda: stats()["trim"]["waiting"] == 1)
sleeping = h.aio_zero(512, 0)
until(lambda: stats()["zero"]["waiting"] == 1)
s = stats()
print("waiting", [(op, s[op]["in_flight"], s[op]["waiting"], s[op]["requests"]) for op in ("trim", "zero", "flush")])
print("hanging", rule("stuck").get("hanging"), control("fault.get [[stuck]].hanging, fault.get [[slow]].hanging")["result"])
control("fault.get [[stuck]]:release()")
finish(h, [hanging])
s = stats()
print("released", s["trim"]["in_flight"], s["trim"]["waiting"], s["trim"]["requests"], "hanging" in rule("stuck"))

# Rules.
r = rule("slow")
print("rule", r["optional"], 0.1 <= r["delay_sum"] < 0.1001, 0 < r["first"] < r["last"] < stats()["time"])
r = rule("big")
print("rule", "optional" in r, "delay_sum" in r, 0 < r["first"] == r["last"])
print("rule", control("local r = fault { op = [[read]], error = [[EIO]], name = [[never]] } return r.optional, r.hanging, r.delay_sum, r.first == nil, r.last == nil")["result"], rule("never"))
control("fault.get [[never]]:remove()")

# Hooks: their runs, their mistakes, their time without what they wait for.
c = connect()
outcome(c.zero, 1, 1)
outcome(c.zero, 1, 2)
s = stats()["hooks"]
print("hooks", s["calls"], s["errors"], 0 < s["ns"] < 60e9)

# The medium.
print("medium", sorted(stats()["medium"].items()))
control("disk:bad(0, 512) disk:bad(4096, 512) disk:limit(8192)")
outcome(c.pread, 1, 0), outcome(c.pread, 1, 4096), outcome(c.pwrite, b"x", 65536), outcome(c.pwrite, b"x", 131072)
control("disk:readonly()")
outcome(c.pwrite, b"x", 8192)
control("disk:throttle{iops = 20}")
for i in range(4): c.pread(1, 8192)
m = stats()["medium"]
print(m.pop("throttled") >= 2, sorted(m.items()))
PY
serve size=1M seed=7 control=ctl.sock hooks=fields.lua
is "$(python - <fields.py)" "True True 7
time True True
connections 2 2 2
connections 1
fua 1 2 errors 3 {'EFBIG': 1, 'EIO': 2}
histogram True True True True True
latency True True True
waiting [('trim', 1, 1, 0), ('zero', 1, 1, 0), ('flush', 0, 0, 5)]
hanging 1 [1, 0]
released 0 0 1 False
rule True True True
rule False False True
rule [False, 0, 0, True, True] {'fired': 0, 'hits': 0, 'name': 'never', 'on': True, 'text': 'op=\"read\" error=\"EIO\"', 'where': 'control:1'}
hooks 2 1 True
medium [('bad_fired', 0), ('bad_ranges', 0), ('limit_fired', 0), ('readonly', False), ('readonly_fired', 0), ('throttled', 0)]
True [('bad_fired', 2), ('bad_ranges', 2), ('limit', 8192), ('limit_fired', 1), ('readonly', True), ('readonly_fired', 1)]" "each field"
stop

# A seed that is more than an integer can be, and the log.
serve size=1M seed=18446744073709551615 control=ctl.sock log=the.log lua='fault { op = "read", error = "EIO" }'
is "$("$TOP/memctl" ctl.sock 'disk:stats().seed, math.type(disk:stats().log.lines), disk:stats().log.dropped')" \
    '["18446744073709551615","integer",0]' "the largest seed, and the log"
before=$("$TOP/memctl" ctl.sock 'disk:stats().log.lines')
python 'from clients import *
outcome(h.pread, 1, 0)'
is "$(($("$TOP/memctl" ctl.sock 'disk:stats().log.lines') - before))" 2 "two lines more in the log for a fault"
stop
done_testing
