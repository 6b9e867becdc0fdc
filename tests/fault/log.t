#!/usr/bin/env bash
# log=FILE: a line of JSON for each fault that happened, complete and in order,
# and never what holds up the disk.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh python3

# read_log FILE CODE: run Python on the lines, as a list of objects.  A line
# that is no JSON stops it.
cat >read_log.py <<'PY'
import json, sys
lines = []
with open(sys.argv[1], "rb") as f:
    for line in f:
        lines.append(json.loads(line.decode("utf-8")))
        if not line.endswith(b"}\n"):
            print("not a line:", line)
def show(l):
    """All but what is different each time."""
    l = {k: v for k, v in l.items() if k not in ("time", "seq")}
    print(json.dumps(l, separators=(",", ":")))
exec(sys.argv[2])
PY
read_log () { python3 read_log.py "$@" 2>&1; }

# Each action, each origin of a fault, all kinds of names.
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
{"rule":"removed","matched":0,"fired":0,"never_fired":true,"removed":true}
{"rule":"cleared","matched":0,"fired":0,"never_fired":true,"removed":true}
{"medium":"disk:readonly","op":"write","offset":81920,"count":512,"conn":1,"did":{"error":"EPERM"}}
{"medium":"disk:limit","op":"write","offset":81920,"count":512,"conn":1,"did":{"error":"ENOSPC"}}
{"rule":"1","matched":2,"fired":2}
{"rule":"2","matched":1,"fired":1}
{"rule":"3","matched":1,"fired":1}
{"rule":"4","matched":1,"fired":1}
{"rule":"5","matched":1,"fired":1}
{"rule":"a \"name\"\\\n\t\u0001\u007f","matched":1,"fired":1}
{"rule":"\u00ff\u00fe\u00e9\u00ed\u00a0\u0080","matched":1,"fired":1}
{"rule":"both","matched":1,"fired":1}
{"rule":"hang","matched":1,"fired":1}
{"rule":"not","matched":0,"fired":0,"never_fired":true}
{"rule":"second flush","matched":3,"fired":1}
{"rule":"perhaps","matched":3,"fired":0}' "what the log says"
is "$(read_log the.log 'import re
print([l["seq"] for l in lines] == list(range(1, len(lines) + 1)),
      all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", l["time"]) for l in lines))')" \
    "True True" "numbers and times"

# Rules that are cleared.
serve size=1M log=clear.log lua='fault { op = "read", offset = disk.size / 2, count = 512, error = "EIO", name = "half" }
fault { op = "trim", error = "EIO", name = "none" } function on.flush() fault.clear() end'
python 'from clients import *
print(outcome(h.pread, 1, 1 << 19), outcome(h.pread, 1, 0), outcome(h.flush))' >got
is "$(cat got)" "EIO ok ok" "a rule for the second half"
stop
is "$(read_log clear.log 'for l in lines: show(l)' | tail -2)" '{"rule":"half","matched":1,"fired":1,"removed":true}
{"rule":"none","matched":0,"fired":0,"never_fired":true,"removed":true}' "fault.clear() has a line for each"

# Where a function fails, the other rules do nothing; doors are logged too; and
# no more bits flip than there are.
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

# What hooks change leaves a line, and so does what they fail.  Of a request that
# is tried again, only how it came out in the end counts.
cat >hooks.lua <<'LUA'
disk:bad("64K", 4096)
fault { op = "flush", times = 1, error = "EIO", name = "once" }
tries = 0
function on.read(req)
  local offset, data = req.offset, ("x"):rep(req.count)
  if offset == 0 then req:run() req.data = data end
  if offset == 1 then req.data = data req:run() end
  if offset == 2 then req:skip() end
  if offset == 3 then req:run() req:skip() end
  if offset == 4 then req.data = data fail "EPERM" end
  if offset == 5 then req.data = data error "oops" end
  if offset >= 64 << 10 then
    for i = 1, 7 do if select(2, req:run()) ~= "EIO" then return end tries = tries + 1 disk:heal(offset, offset == 64 << 10 and i == 3 and 1 or 0) end
    if offset == (64 << 10) + 512 then req.data = data end
    if offset == (64 << 10) + 1024 then fail "ENOSPC" end
  end
end
function on.write(req) req.data = ("y"):rep(req.count) end
function on.write(req) req:skip() end
function on.flush(req) if not req:run() then req:run() end end
LUA
serve size=1M log=hooks.log hooks=hooks.lua
is "$(python 'from clients import *
print(*[outcome(h.pread, 1, i) for i in range(6)], *[outcome(h.pread, 1, (64 << 10) + i * 512) for i in range(4)])
print(outcome(h.pwrite, b"abc", 0), outcome(h.flush))')" "ok ok ok ok EPERM EIO ok ok ENOSPC EIO
ok ok" "hooks that change, fail, skip and try again"
stop
is "$(read_log hooks.log 'for l in lines:
    if "did" in l: print(l.get("hook") or l.get("medium") or l.get("rule"), l["op"], l["offset"], l["did"])')" \
"read read 0 {'data': True}
read read 2 {'skip': True}
read read 4 {'error': 'EPERM'}
read read 5 {'error': 'EIO'}
read read 66048 {'data': True}
read read 66560 {'error': 'ENOSPC'}
disk:bad read 67072 {'error': 'EIO'}
write write 0 {'data': True}
write write 0 {'skip': True}
once flush 0 {'error': 'EIO'}" "each leaves one line, and what came out well none"
like "$(grep -c "error" log)" "^2$" "nbdkit's log has the mistake alone, and how often"

# How waiting ended: in rules, in their functions, and in hooks.
cat >waits.lua <<'LUA'
fault { op = "read", offset = 0, count = 1, hang = true, name = "released" }
fault { op = "read", offset = 1, count = 1, hang = true, name = "removed" }
fault { op = "read", offset = 2, count = 1, hang = true, delay = "1us", name = "left" }
fault { op = "read", offset = 3, count = 1, delay = 300, name = "late" }
fault { op = "read", offset = 4, count = 1, when = function() hang() end, error = "EIO", name = "function", optional = true }
fault { op = "read", offset = 5, count = 1, hang = true, call = function() end, name = "call" }
fault { op = "read", offset = 6, count = 1, delay = "1us", name = "in time" }
function on.write() hang() end
LUA
for how in left ends; do
    serve size=1M control="$scratch/ctl" log=waits.log hooks=waits.lua
    HOW=$how at_work nbdsh -u "$uri" -c 'from clients import *
cs = [connect() for i in range(4)]
for i in range(7): cs[0].aio_pread(nbd.Buffer(1), i)
cs[1].aio_pwrite(nbd.Buffer(1), 0)
until(lambda: sum(r["fired"] for r in rules().values()) == 6)
until(lambda: control("disk:stats().read.requests") == 1)
control("fault.get([[released]]):release() fault.get([[removed]]):remove()")
until(lambda: control("disk:stats().read.requests") == 3)
open("ready", "w").close()
if os.environ["HOW"] == "ends":
    until(lambda: open("waits.log").read().count("server ends") == 5)'
    if [ $how = left ]; then
        wait "$client"
        until [ "$(grep -c 'client left' waits.log)" -ge 5 ]; do sleep 0.02; done
    fi
    stop
    why="client left"
    [ $how = left ] || why="server ends"
    is "$(read_log waits.log 'for l in lines:
    if "did" in l: print(l.get("hook") or l.get("rule"), l["did"])' | sort)" "call {'hang': True, 'ended': '$why'}
function {'ended': '$why'}
in time {'delay': 1e-06}
late {'delay': 300}
late {'ended': '$why'}
left {'delay': 1e-06, 'hang': True}
left {'ended': '$why'}
released {'ended': 'released'}
released {'hang': True}
removed {'ended': 'removed'}
removed {'hang': True}
write {'ended': '$why'}" "how waiting ended: $why"
done

# Under load: each fault a line, in order.
random_work 100000 5000
serve size=1M log=load.log lua='fault { op = "read", delay = 0.000001, name = "slow" }'
cat >load.py <<'PY'
from clients import *
def client():
    c = connect()
    for n in range(int(os.environ["WORK"]) // 8):
        while c.aio_in_flight() >= 16:
            c.poll(-1)
        c.aio_pread(nbd.Buffer(1), n % 4096, completion=lambda _: 1)
    while c.aio_in_flight():
        c.poll(-1)
children = []
for i in range(8):
    child = os.fork()
    if child == 0:
        client()
        os._exit(0)
    children.append(child)
print({os.waitpid(c, 0)[1] for c in children})
PY
is "$(python - <load.py)" "{0}" "eight clients, $WORK faults"
stopped
is "$(read_log load.log 'last = lines.pop()
print(len(lines), [l["seq"] for l in lines] == list(range(1, len(lines) + 1)),
      sorted(l["time"] for l in lines) == [l["time"] for l in lines],
      len({l["conn"] for l in lines}), all(l["did"] for l in lines))
show(last)')" "$((WORK / 8 * 8)) True True 8 True
{\"rule\":\"slow\",\"matched\":$((WORK / 8 * 8)),\"fired\":$((WORK / 8 * 8))}" "as many lines, in order"

# A pipe whose reader sleeps: what does not fit is dropped, and said to be.
# The long name makes it soon.
mkfifo pipe
cat >slow.py <<'PY'
import os, sys, time
# Not blocking, or it would wait for the server.
fd = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
os.set_blocking(fd, True)
f = open(fd, "rb")
open("reading", "w").close()
while not os.path.exists("go on"):
    time.sleep(0.02)
sys.stdout.buffer.write(f.read())
PY
# slow_reader FILE: such a reader, in the background.
slow_reader ()
{
    rm -f reading "go on"
    python3 slow.py >"$1" &
    reader=$!
    at_exit+=("kill $reader 2>/dev/null")
    until [ -e reading ]; do sleep 0.02; done
}
slow_reader slow.log
serve size=1M log=pipe lua='fault { op = "read", error = "EIO", name = ("n"):rep(50000) }
fault { op = "write", delay = "1ms", name = "w" }'
cat >faults.py <<'PY'
from clients import *
for i in range(1000):
    outcome(h.pread, 512, 0)
h.pwrite(b"x", 0)
open("go on", "w").close()
PY
is "$(python - <faults.py)" "" "a thousand faults with nobody to read of them"
# The reader has begun: the log has room again some time later.
is "$(python 'from clients import *
for i in range(100):
    outcome(h.pread, 512, 0)
    time.sleep(0.01)')" "" "more faults when it is read"
stop
wait "$reader"
is "$(read_log slow.log 'events = [l for l in lines if "did" in l]
dropped = [l["dropped"] for l in lines if "dropped" in l]
print(len(events) + sum(dropped), len(events) > 150 or len(events), len(dropped) > 0)
seq = 0
for l in lines:
    seq += l.get("dropped", 1)
    if "dropped" not in l and l["seq"] != seq: print("at", seq, l["seq"])
print([(l["matched"], l["fired"]) for l in lines if "matched" in l])')" "1101 True True
[(1100, 1100), (1, 1)]" "the lines and what was dropped add up"
like "$(cat log)" "log=.*/pipe: [0-9]+ lines were lost: they came faster" "the server says so"

# Several at once wait for a reader who is slow, but reads: each line has a number
# of its own.
cat >sips.py <<'PY'
import os, sys, time
fd = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
os.set_blocking(fd, True)
open("reading", "w").close()
# Until the server opens it, there is nothing to read.
while not (data := os.read(fd, 65536)):
    time.sleep(0.0005)
while data := data or os.read(fd, 65536):
    sys.stdout.buffer.write(data)
    data = b""
    if not os.path.exists("go on"):
        time.sleep(0.0005)
PY
rm -f reading "go on"
python3 sips.py >sips.log &
reader=$!
at_exit+=("kill $reader 2>/dev/null")
until [ -e reading ]; do sleep 0.02; done
serve size=1M log=pipe lua='fault { op = "read", error = "EIO", name = ("n"):rep(60000) }'
is "$(python 'from clients import *
for i in range(8):
    if os.fork() == 0:
        c = connect()
        for i in range(1000): outcome(c.pread, 512, 0)
        os._exit(0)
for i in range(8): os.wait()
open("go on", "w").close()')" "" "eight clients that wait for the log"
stop
wait "$reader"
is "$(read_log sips.log 'seq = 0
for l in lines:
    seq += l.get("dropped", 1)
    if "dropped" not in l and l["seq"] != seq: print("at", seq, l["seq"])
print(seq)')" "8001" "no number comes twice, and none is left out"

# Nobody reads at all: the server ends.
slow_reader /dev/null
serve size=1M log=pipe lua='fault { op = "read", error = "EIO", name = ("n"):rep(50000) }'
python 'from clients import *
for i in range(10): outcome(h.pread, 512, 0)'
stopped
like "$(cat log)" "log=.*/pipe: [0-9]+ lines were lost" "it says what was lost"
kill "$reader"

# The reader goes: no signal, and the disk serves on.
slow_reader /dev/null
serve size=1M log=pipe lua='fault { op = "read", error = "EIO" }'
kill "$reader"
wait "$reader"
is "$(python 'from clients import *
for i in range(100): outcome(h.pread, 512, 0)
print(outcome(h.flush))')" "ok" "the reader goes"
stopped
is "$(grep -c "log=.*/pipe: 101 lines were lost: Broken pipe" log)" 1 "said once"

# A full file system.
serve size=1M log=/dev/full lua='fault { op = "read", error = "EIO" }'
is "$(python 'from clients import *
for i in range(100): outcome(h.pread, 512, 0)
print(outcome(h.flush))')" "ok" "a full file system"
stopped
is "$(grep -c "log=/dev/full: 101 lines were lost: No space left on device" log)" 1 "said once"

# One that is full for a while: 8 KiB is all that the file may have.  No line
# stays half written, and a line says how many are missing.
serve size=1M log=limited.log lua='fault { op = "read", error = "EIO", name = ("n"):rep(700) }'
cat >limited.py <<'PY'
from clients import *
import resource
pid = int(open("server.pid").read())
def limit(n):
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (n, resource.RLIM_INFINITY))
def faults(n):
    for i in range(n):
        outcome(h.pread, 512, 0)
# Nine lines, of which each is whole.
def full():
    lines = open("limited.log").read()
    return 8192 - 1000 < len(lines) <= 8192 and lines.endswith("}\n")
limit(8192)
faults(15)
until(full)
faults(15)
until(full)
limit(resource.RLIM_INFINITY)
faults(1)
until(lambda: os.path.getsize("limited.log") > 8192)
faults(5)
PY
is "$(python - <limited.py)" "" "the file grows no more, then it does"
stopped
# What came while it could not grow need not be lost.
is "$(read_log limited.log 'seq = 0
for l in lines:
    seq += l.get("dropped", 1)
    if "dropped" not in l and l["seq"] != seq: print("at", seq, l["seq"])
print(seq, lines[-1]["fired"])
print(0 < sum(l.get("dropped", 0) for l in lines) < 25)')" "37 36
True" "no line is half, and those missing are counted"
like "$(cat log)" "log=.*/limited.log: [0-9]+ lines were lost: File too large" "the server says why"

# One that stays full: what it has at the end are whole lines.
serve size=1M log=limited.log lua='fault { op = "read", error = "EIO", name = ("n"):rep(700) }'
python 'from clients import *
import resource
resource.prlimit(int(open("server.pid").read()), resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
for i in range(15): outcome(h.pread, 512, 0)'
stopped
is "$(read_log limited.log 'print([l["seq"] for l in lines if "seq" in l] == list(range(1, 10)))')" "True" "full to the end: no line is half"
like "$(cat log)" "log=.*/limited.log: 7 lines were lost: File too large" "and the server says how many are missing"

# Another one empties the file, and writes to it.
serve size=1M log=shared.log lua='fault { op = "read", error = "EIO", name = "r" }'
python 'from clients import *
outcome(h.pread, 1, 0)
until(lambda: os.path.getsize("shared.log") > 0)
os.truncate("shared.log", 0)
outcome(h.pread, 1, 1)
until(lambda: os.path.getsize("shared.log") > 0)
with open("shared.log", "a") as f: f.write("{\"note\":1}\n")
outcome(h.pread, 1, 2)'
stopped
is "$(read_log shared.log 'print(*[l.get("offset", l.get("note", "end")) for l in lines])')" "1 1 2 end" "a file that is emptied, and written to by others"

# Two servers: the second one is refused, and leaves the first one's log alone.
serve size=1M log=both.log lua='fault { op = "read", error = "EIO", name = "r" }'
python 'from clients import *
outcome(h.pread, 1, 0)
until(lambda: os.path.getsize("both.log") > 0)'
like "$(nbdkit_run -U x.sock size=1M log=both.log --run true 2>&1)" "log=.*/both.log: another server writes to it" "refused: a log that is in use"
python 'from clients import *
outcome(h.pread, 1, 1)'
stopped
is "$(read_log both.log 'print(*[l.get("offset", "end") for l in lines])')" "0 1 end" "... which is not disturbed"
check "when that server has ended, the next may have it" nbdkit_run -U x.sock size=1M log=both.log --run true
is "$(cat both.log)" "" "and empties it"

# What can't be opened stops the start.
for path in /nonexistent/log . "$scratch"; do
    like "$(nbdkit_run -U x.sock size=1M log="$path" --run true 2>&1)" "log=.*: (No such file|Is a directory)" "refused: $path"
done
like "$(timeout 60 "${watch[@]}" nbdkit -f -U x.sock "$SO" size=1M log=pipe --run true 2>&1)" "log=.*/pipe: nobody reads" \
    "refused: a pipe that nobody reads"

# In the background, the path is still the one that was meant.
echo old content >daemon.log
"${watch[@]}" nbdkit -U "$scratch/daemon.sock" -P "$scratch/daemon.pid" "$SO" size=1M log=daemon.log lua='fault { op = "read", error = "EIO" }'
until [ -s daemon.pid ]; do sleep 0.02; done
pid=$(cat daemon.pid)
at_exit+=("end $pid")
nbdsh -u "nbd+unix:///?socket=$scratch/daemon.sock" -c 'try: h.pread(1, 0)
except nbd.Error: pass'
like "$(nbdkit_run -U x.sock size=1M log=daemon.log --run true 2>&1)" "log=.*/daemon.log: another server writes to it" "refused: that of a server in the background"
end "$pid"
is "$(read_log daemon.log 'for l in lines: show(l)')" '{"rule":"1","op":"read","offset":0,"count":1,"conn":1,"did":{"error":"EIO"}}
{"rule":"1","matched":1,"fired":1}' "in the background, with a relative path"
is "$(nbdkit_run -U - size=1M log=/dev/stdout lua='fault { op = "read", error = "EIO" }' --run true 2>/dev/null | cut -d, -f3-)" \
    '"rule":"1","matched":0,"fired":0,"never_fired":true}' "log=/dev/stdout"
done_testing
