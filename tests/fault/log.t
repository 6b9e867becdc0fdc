#!/usr/bin/env bash
# log=FILE: each fault that happened has a line of JSON, which is complete and
# true.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdsh python3

# Each action, each origin of a fault, and all kinds of names.
cat >actions.lua <<'LUA'
disk:snapshot 'the "snapshot"'
local at = 0
local function rule(spec)
  spec.offset, spec.count, at = at, 512, at + 4096
  if not spec.op then spec.op = "write" end
  return fault(spec)
end
rule { error = "ENOSPC", export = "*" }
rule { delay = "1ms" }
rule { lose = true }
rule { keep = { { 0, 100 }, { 200, 50 } } }
rule { misdirect = -4096 }
rule { op = "read", corrupt = 3, name = 'a "name"\\\n\t\1\x7f' }
rule { call = function() fail "EPERM" end, name = "\xff\xfe\xc3\xa9\xed\xa0\x80" }
rule { op = "zero", error = "EIO", delay = "1ms", name = "both" }
rule { op = "read", hang = true, name = "hang" }
rule { op = "trim", when = function() return false end, error = "EIO", name = "not" }
rule { op = "trim", error = "EIO", name = "removed" }
rule { op = "trim", error = "EIO", name = "cleared" }
fault { op = "flush", nth = 2, error = "EIO", name = "second flush" }
fault { op = "flush", nth = 99, error = "EIO", name = "perhaps", optional = true }
function on.cache(req) if req.count == 7 then fail "EINVAL" end fault.get("removed"):remove() end
disk:bad("512K", 512)
LUA
cat >actions.py <<'PY'
from clients import *
def write(i):
    outcome(h.pwrite, b"x" * 512, i * 4096)
for i in range(5):
    write(i)
h.pread(512, 5 * 4096)
write(6)
outcome(h.zero, 512, 7 * 4096)
hanging = h.aio_pread(nbd.Buffer(512), 8 * 4096)
until(lambda: '"hang":true' in open("the.log", encoding="latin-1").read())
Control()('fault.get("hang"):release()')
finish(h, [hanging])
h.trim(512, 9 * 4096)
for i in range(3):
    outcome(h.flush)
outcome(h.cache, 7, 0)
outcome(h.pread, 1, 512 << 10)
outcome(connect('the "snapshot"').pwrite, b"x", 0)
outcome(h.cache, 8, 0)
Control()("disk:readonly() fault.get 'cleared':remove()")
write(20)
Control()("disk:readonly(false) disk:limit(0)")
write(20)
PY
serve size=1M control=ctl.sock log=the.log hooks=actions.lua
is "$(python - <actions.py)" "" "requests of all kinds"
stop
is "$(read_log the.log 'for l in lines: show(l)')" '{"rule":"1","op":"write","offset":0,"count":512,"conn":1,"did":{"error":"ENOSPC"}}
{"rule":"2","op":"write","offset":4096,"count":512,"conn":1,"did":{"delay":0.001}}
{"rule":"3","op":"write","offset":8192,"count":512,"conn":1,"did":{"lose":true}}
{"rule":"4","op":"write","offset":12288,"count":512,"conn":1,"did":{"keep":[[0,100],[200,50]]}}
{"rule":"5","op":"write","offset":16384,"count":512,"conn":1,"did":{"misdirect":-4096}}
{"rule":"a \"name\"\\\n\t\u0001\u007f","op":"read","offset":20480,"count":512,"conn":1,"did":{"corrupt":3}}
{"rule":"\u00ff\u00fe\u00e9\u00ed\u00a0\u0080","op":"write","offset":24576,"count":512,"conn":1,"did":{"call":true,"error":"EPERM"}}
{"rule":"both","op":"zero","offset":28672,"count":512,"conn":1,"did":{"delay":0.001,"error":"EIO"}}
{"rule":"hang","op":"read","offset":32768,"count":512,"conn":1,"did":{"hang":true}}
{"rule":"hang","op":"read","offset":32768,"count":512,"conn":1,"did":{"ended":"released"}}
{"rule":"second flush","op":"flush","offset":0,"count":0,"conn":1,"did":{"error":"EIO"}}
{"hook":"cache","op":"cache","offset":0,"count":7,"conn":1,"did":{"error":"EINVAL"}}
{"medium":"disk:bad","op":"read","offset":524288,"count":1,"conn":1,"did":{"error":"EIO"}}
{"rule":"1","op":"write","offset":0,"count":1,"conn":2,"export":"the \"snapshot\"","did":{"error":"ENOSPC"}}
{"rule":"removed","text":"op=\"trim\" offset=40960 count=512 error=\"EIO\"","where":"actions.lua:6","matched":0,"fired":0,"never_fired":true,"removed":true}
{"rule":"cleared","text":"op=\"trim\" offset=45056 count=512 error=\"EIO\"","where":"actions.lua:6","matched":0,"fired":0,"never_fired":true,"removed":true}
{"medium":"disk:readonly","op":"write","offset":81920,"count":512,"conn":1,"did":{"error":"EPERM"}}
{"medium":"disk:limit","op":"write","offset":81920,"count":512,"conn":1,"did":{"error":"ENOSPC"}}
{"rule":"1","text":"op=\"write\" offset=0 count=512 export=\"*\" error=\"ENOSPC\"","where":"actions.lua:6","matched":2,"fired":2}
{"rule":"2","text":"op=\"write\" offset=4096 count=512 delay=\"1ms\"","where":"actions.lua:6","matched":1,"fired":1}
{"rule":"3","text":"op=\"write\" offset=8192 count=512 lose=true","where":"actions.lua:6","matched":1,"fired":1}
{"rule":"4","text":"op=\"write\" offset=12288 count=512 keep={ { 0, 100 }, { 200, 50 } }","where":"actions.lua:6","matched":1,"fired":1}
{"rule":"5","text":"op=\"write\" offset=16384 count=512 misdirect=-4096","where":"actions.lua:6","matched":1,"fired":1}
{"rule":"a \"name\"\\\n\t\u0001\u007f","text":"op=\"read\" offset=20480 count=512 corrupt=3","where":"actions.lua:6","matched":1,"fired":1}
{"rule":"\u00ff\u00fe\u00e9\u00ed\u00a0\u0080","text":"op=\"write\" offset=24576 count=512 call=function (actions.lua:14)","where":"actions.lua:6","matched":1,"fired":1}
{"rule":"both","text":"op=\"zero\" offset=28672 count=512 delay=\"1ms\" error=\"EIO\"","where":"actions.lua:6","matched":1,"fired":1}
{"rule":"hang","text":"op=\"read\" offset=32768 count=512 hang=true","where":"actions.lua:6","matched":1,"fired":1}
{"rule":"not","text":"op=\"trim\" offset=36864 count=512 when=function (actions.lua:17) error=\"EIO\"","where":"actions.lua:6","matched":0,"fired":0,"never_fired":true}
{"rule":"second flush","text":"op=\"flush\" nth=2 error=\"EIO\"","where":"actions.lua:20","matched":3,"fired":1}
{"rule":"perhaps","text":"op=\"flush\" nth=99 optional=true error=\"EIO\"","where":"actions.lua:21","matched":3,"fired":0,"optional":true}' "what the log says"
is "$(read_log the.log 'import re
print([l["seq"] for l in every] == list(range(1, len(every) + 1)),
      all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", l["time"]) for l in every))')" \
    "True True" "numbers and times"

# Rules that are cleared.
serve size=1M log=clear.log lua='fault { op = "read", offset = disk.size / 2, count = 512, error = "EIO", name = "half" }
fault { op = "trim", error = "EIO", name = "none" } function on.flush() fault.clear() end'
python 'from clients import *
print(outcome(h.pread, 1, 1 << 19), outcome(h.pread, 1, 0), outcome(h.flush))' >got
is "$(cat got)" "EIO ok ok" "a rule for the second half"
stop
is "$(read_log clear.log 'for l in lines: show(l)' | tail -2)" '{"rule":"half","text":"op=\"read\" offset=524288.0 count=512 error=\"EIO\"","where":"lua:1","matched":1,"fired":1,"removed":true}
{"rule":"none","text":"op=\"trim\" error=\"EIO\"","where":"lua:2","matched":0,"fired":0,"never_fired":true,"removed":true}' "fault.clear() has a line for each"

# If a function fails, the other rules do nothing.  Faults of opening are logged too.
# No more bits flip than there are.
cat >failing.lua <<'LUA'
fault { op = "read", name = "a", delay = "1ms", shutdown = true, error = "ENOSPC" }
fault { op = "read", name = "b", when = function() fail "EPERM" end, error = "EIO" }
fault { op = "read", name = "c", call = function() end }
fault { op = "write", name = "d", corrupt = 100 }
fault { op = "zero", name = "g", call = function() fail "EPERM" end }
fault { op = "zero", name = "h", delay = "1ms", error = "ENOSPC" }
fault { op = "trim", name = "i", keep = 1 }
fault { op = "trim", name = "j", keep = 2 }
fault { op = "open", name = "e", when = function(conn) if conn.id == 2 then fail "EPERM" end end, error = "EIO" }
fault { op = "open", name = "f", delay = function(conn) if conn.id == 3 then return "x" end end }
function on.open(conn) if conn.id == 4 then fail "EINVAL" end end
LUA
serve size=1M log=failing.log hooks=failing.lua
is "$(python 'from clients import *
print(outcome(h.pread, 1, 0), outcome(h.pwrite, b"x", 0), outcome(h.flush), outcome(h.zero, 1, 0), outcome(h.trim, 1, 0))
for i in range(3): outcome(connect)')" "EPERM ok ok EPERM ok" "functions that fail"
stop
is "$(read_log failing.log 'for l in lines:
    if "did" in l: show(l)')" '{"rule":"b","op":"read","offset":0,"count":1,"conn":1,"did":{"error":"EPERM"}}
{"rule":"a","op":"read","offset":0,"count":1,"conn":1,"did":{}}
{"rule":"c","op":"read","offset":0,"count":1,"conn":1,"did":{}}
{"rule":"d","op":"write","offset":0,"count":1,"conn":1,"did":{"corrupt":8}}
{"rule":"g","op":"zero","offset":0,"count":1,"conn":1,"did":{"call":true,"error":"EPERM"}}
{"rule":"h","op":"zero","offset":0,"count":1,"conn":1,"did":{"delay":0.001}}
{"rule":"i","op":"trim","offset":0,"count":1,"conn":1,"did":{"keep":[[0,1]]}}
{"rule":"j","op":"trim","offset":0,"count":1,"conn":1,"did":{}}
{"rule":"e","op":"open","offset":0,"count":0,"conn":2,"did":{"error":"EPERM"}}
{"rule":"f","op":"open","offset":0,"count":0,"conn":3,"did":{"error":"EIO"}}
{"hook":"open","op":"open","offset":0,"count":0,"conn":4,"did":{"error":"EINVAL"}}' "what was done, and what not"
done_testing
