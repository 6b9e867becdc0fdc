#!/usr/bin/env bash
# Rules that end connections or the server, and rules with functions: what those
# may do, and what comes of their mistakes.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

# refused REGEX CODE: such a rule stops the start.
refused ()
{
    like "$(nbdkit_run -U refused.sock size=1M lua="$2" --run true 2>&1)" "$1" "refused: $2"
}

version=$(nbdkit --version | sed -E 's/^nbdkit ([0-9]+)\.([0-9]+).*/\1 * 1000 + \2/')
can=$((version >= 1034))

# Where a connection can't be cut, the request fails, and the start says so.  In
# either case it is not performed, but for what is kept of it.
cat >disconnect.lua <<'LUA'
fault { op = "write", count = 4096, disconnect = true, name = "d" }
fault { op = "write", offset = 4096, count = 4096, disconnect = true, keep = 1, name = "k" }
fault { op = "read", offset = 8192, count = 4096, disconnect = true, delay = "1ms" }
LUA
cat >disconnect.py <<'PY'
from clients import *
eye = connect()
def end(f, *args):
    o = outcome(f, *args)
    # What a client makes of a connection that was cut is its own affair.
    return "ended" if not h.aio_is_ready() else o
for f, args in ("pwrite", (b"xx", 0)), ("pwrite", (b"xx", 4096)), ("pread", (1, 8192)):
    h = connect()
    print(f, end(getattr(h, f), *args))
print(eye.pread(2, 0), eye.pread(2, 4096), outcome(eye.flush))
PY
serve size=1M hooks=disconnect.lua
if [ $can = 1 ]; then what=ended; else what=ESHUTDOWN; fi
is "$(python "$(cat disconnect.py)")" "pwrite $what
pwrite $what
pread $what
bytearray(b'\x00\x00') bytearray(b'x\x00') ok" "disconnect"
[ $can = 1 ] || like "$(cat log)" "this nbdkit can't cut a connection \(1.34 and newer can\): the request fails with ESHUTDOWN" "the start says what it can't"
stopped

# A stand-in for a nbdkit that can: all that it does is note it.
"${CC:-cc}" -shared -fPIC -o cut.so -x c - <<'C'
#include <stdio.h>
int nbdkit_disconnect (int force);
int nbdkit_disconnect (int force) { fprintf (stderr, "cut %d\n", force); return 0; }
C
if [ -z "$WATCH" ] && [ $can = 0 ]; then
    watch=(env "LD_PRELOAD=$scratch/cut.so")
    serve size=1M hooks=disconnect.lua
    watch=()
    python "$(cat disconnect.py)" >/dev/null
    is "$(cat log)" $'cut 1\ncut 1\ncut 1' "where nbdkit has the call, it is used"
    stopped
fi

# Shutdown: of its own accord, with what happens to the request still true.
for rule in 'shutdown = true' 'shutdown = true, error = "EIO"' 'shutdown = true, lose = true'; do
    serve size=1M lua="fault { op = 'flush', nth = 3, $rule }"
    python 'from clients import *
for i in range(3): outcome(h.flush)' >/dev/null
    wait "$server"
    is $? 0 "$rule: the server ends by itself"
    is "$(cat log)" "" "... and says nothing"
done

# Functions.
cat >functions.lua <<'LUA'
local function seen(req)
  return table.concat({req.op, req.offset, req.count, tostring(req.fua), req.conn, req.export, req.n, tostring(req.data)}, " ")
end
fault { op = "any", count = 512, name = "all", call = function(req) print("call", seen(req)) end }
fault { op = "open", name = "door", call = function(conn) print("open", conn.id, conn.export, conn.readonly) if conn.id == 3 then fail "EPERM" end end }
fault { op = "write", offset = 512, count = 512, name = "change", call = function(req) req.data = ("x"):rep(req.count) end }
fault { op = "read", offset = 512, count = 512, name = "skip", when = function(req) req:skip() end, error = "EIO" }
fault { op = "write", offset = 1024, count = 512, name = "fails", call = function(req)
  if req.data == "s" then sleep "30ms" fail "ENOSPC" end
  if req.data == "e" then error("wrong") end
  if req.data == "t" then error(setmetatable({}, {__tostring = function() return "its own text" end})) end
  if req.data == "l" then while true do end end
  if req.data == "y" then coroutine.yield() end
  if req.data == "r" then req:run() end
  if req.data == "z" then fail "ENOTSUP" end
  return fail, "ignored"
end, error = "EPERM" }
fault { op = "write", offset = 2048, count = 512, name = "ask", error = "EPERM", when = function(req)
  if req.data == "s" then sleep "30ms" fail "ENOSPC" end
  if req.data == "e" then error("wrong") end
  if req.data == "0" then return 0 end
  if req.data == "n" then return end
  if req.data == "f" then return false, true end
  return req.data:rep(2) == "tt"
end }
fault { op = "write", offset = 2048, count = 512, name = "count", delay = 0 }
local me
me = fault { op = "write", offset = 4096, count = 512, name = "once", call = function(req) me:remove() me = nil collectgarbage() print("removed", seen(req)) end, error = "EIO" }
kept = fault { op = "write", offset = 8192, count = 512, name = "keeper", call = function(req) old = old or req print("old", pcall(function() return old.op end)) end }
function on.cache() for _, r in ipairs(fault.list()) do print(r.name, r.hits, r.fired) end end
LUA
cat >functions.py <<'PY'
from clients import *
h.pwrite(b"ab", 5, nbd.CMD_FLAG_FUA); h.pread(2, 1); h.pread(3, 2); h.zero(4, 3); h.trim(5, 4); extents(connect(), 512)
print(outcome(connect) != "ok")
print(outcome(h.pwrite, b"abc", 512), outcome(h.pread, 512, 512))
print(*[outcome(h.pwrite, bytes([b]), 1024) for b in b"setlyrz-"])
print(*[outcome(h.pwrite, bytes([b]), 2048) for b in b"se0nft-"])
print(*[outcome(h.pwrite, b"x", 4096) for i in range(2)], *[outcome(h.pwrite, b"x", 8192) for i in range(2)])
h.cache(1, 512)
PY
serve size=1M hooks=functions.lua hook-timeout=0.2
is "$(python "$(cat functions.py)")" "True
EIO EIO
ENOSPC EIO EIO EIO EIO EIO EIO EPERM
ENOSPC EIO EPERM ok ok EPERM ok
EIO ok ok ok" "what clients see"
is "$(grep -vE "^nbdkit|^stack|^	|^$" log)" "open	1		false
call	write 5 2 true 1  1 ab
call	read 1 2 false 1  1 nil
call	read 2 3 false 1  2 nil
call	zero 3 4 false 1  1 nil
call	trim 4 5 false 1  1 nil
open	2		false
call	extents 0 512 false 2  1 nil
open	3		false
removed	write 4096 1 false 1  18 x
old	true	write
old	false	functions.lua:29: this request is over
all	6	6
door	3	3
change	1	1
skip	0	0
fails	8	8
ask	2	2
count	7	7
keeper	2	2" "what functions see, and what is counted"
while IFS='|' read -r rule message; do
    like "$(cat log)" "error: fault rule $rule: .*$message" "$rule: $message"
done <<'EOT'
change: call|functions.lua:6: a hook can change a request, but the function of a rule can't
skip: when|a hook can change a request
fails: call|functions.lua:10: wrong
fails: call|its own text
fails: call|stopped, because it ran for 0.2 seconds
fails: call|can't use coroutine.yield
fails: call|req:run is for hooks
fails: call|only a fast zero
ask: when|functions.lua:20: wrong
EOT
is "$(grep -c 'error: on\.' log) $(grep -c ' of 1 bytes' log)" "0 0" "none is taken for a hook's, and what fails on purpose leaves no line"
stopped

# A mistake made often is logged ever more rarely, and summed up at the end.
serve size=1M lua='fault { op = "read", when = function() error "again" end, error = "EIO" }'
python 'from clients import *
for i in range(25): outcome(h.pread, 1, i)'
stop
is "$(grep -c again log) $(grep -c '(10 times so far)' log) $(grep -c 'lua:1: it failed 25 times' log)" "2 1 1" "mistakes are not logged each time"

# Rules and functions that go while they are at work.
cat >remove.py <<'PY'
from clients import *
c = connect()
for kind, gone in (("when", "ok"), ("delay", "EIO"), ("call", "EIO")):
    for how in 'fault.get("r"):remove()', 'fault.clear()', 'fault.clear() fault { op = "read", name = "r", error = "ENOSPC" }':
        control('fault.clear() go = false n = 0 fault { op = "read", name = "r", error = "EIO", %s = function() n = n + 1 while not go do sleep "1ms" end return %s end }'
                % (kind, "false" if kind == "when" else "nil"))
        cookies = [c.aio_pread(nbd.Buffer(1), 0) for i in range(8)]
        until(lambda: (c.poll(1), control("n") == 8)[1])
        control(how + ' collectgarbage() go = true')
        got = set(finish(c, cookies))
        if got != {gone}: print(kind, how, got)
# Many at once call a rule that removes itself, or all, or adds others.
for code in 'fault.get("r"):remove()', 'fault.clear()', 'fault { op = "read", offset = 512, error = "EIO" }', 'fault.get("r"):off() fault.get("r"):on()':
    control('fault.clear() fault { op = "read", name = "r", error = "EIO", call = function() sleep(0) pcall(function() %s end) end }' % code)
    got = together(*[lambda c=connect(): flood(c, [lambda done: c.aio_pread(nbd.Buffer(1), 0, completion=done)] * 100) for k in range(4)])
    print(sorted({o for g in got for o in g} - {"ok"}))
control("fault.clear()")
print(outcome(c.pread, 1, 0))
PY
# (nbdkit before 1.34 needs a script that may wait.)
serve size=1M control="$scratch/ctl" lua='local may = sleep'
is "$(python "$(cat remove.py)")" "['EIO']
['EIO']
['EIO']
['EIO']
ok" "rules that go while their functions run"
stopped

# Doors that open and close leave nothing behind.
cat >doors.py <<'PY'
from clients import *
control('fault { op = "open", when = function(conn) conn.big = ("x"):rep(100000) .. conn.id return conn.id % 2 == 0 end, error = "EIO" }')
def memory(): return control('collectgarbage() collectgarbage() return collectgarbage("count")')
def doors(n):
    for i in range(n): outcome(connect)
doors(20)
before = memory()
doors(100)
until(lambda: memory() - before < 2000)
print("ok")
PY
serve size=1M control="$scratch/ctl"
is "$(python "$(cat doors.py)")" "ok" "connections that a rule's function met, let in or not, are forgotten"
stopped

# A rule for which there is no memory is not there.
cat >memory.lua <<'LUA'
local spec = { op = "read", when = function() return true end, error = "EIO" }
local failed
for size = 1, 30 do
  fault.clear()
  collectgarbage() collectgarbage "stop"
  local fill, added, ok = {}, 0, nil
  pcall(function() while true do fill[#fill + 1] = ("x"):rep(1000) .. #fill end end)
  for _ = 1, size do fill[#fill] = nil end
  collectgarbage() collectgarbage "stop"
  repeat
    ok = pcall(fault, spec)
    if ok then added = added + 1 else failed = true end
  until not ok or added == 3000
  fill = nil
  collectgarbage()
  if #fault.list() ~= added then print("added", added, "there", #fault.list()) end
end
fault.clear()
print(failed)
LUA
serve size=1M hooks=memory.lua lua-memory=1M
stopped
is "$(sort -u log)" "true" "no memory for a rule"

# A region may reach past the end of the disk, and "any" is every operation to
# which one of the actions does something.
serve size=1M lua='fault { op = "read", offset = (1 << 20) - 1, count = math.maxinteger, error = "EIO", name = "end" }
fault { op = "any", corrupt = 1, times = 3, name = "any" }
fault { op = "any", keep = 0, delay = 0, after = 4, name = "keeps" }
function on.cache()
  print(fault.get("end").fired, fault.get("any").hits, fault.get("keeps").hits)
end'
python 'h.flush(); h.zero(512, 0); h.pwrite(b"\0" * 512, 512); a = h.pread(511, 512)
h.pwrite(b"x" * 512, 1024)
print(sum(bin(x).count("1") for x in a) in (0, 2), h.pread(512, 1024) == bytes(512))
try: h.pread(2, (1 << 20) - 2)
except nbd.Error as e: print(e.errno)
h.cache(1, 0)' >got
is "$(cat got)" $'True True\nEIO' "a region at the end, and operations that are left"
like "$(cat log)" "^1	5	7$" "... and what they matched"
stopped

# Without FUA are the requests that could have it.
serve size=1M lua='fault { op = "any", fua = false, error = "EIO" }'
is "$(python 'from clients import *
print(outcome(h.pread, 1, 0), outcome(h.flush), outcome(h.cache, 1, 0))
for f, *args in (h.pwrite, b"x", 0), (h.zero, 1, 0), (h.trim, 1, 0):
    print(outcome(f, *args), outcome(f, *args, nbd.CMD_FLAG_FUA))')" "ok ok ok
EIO ok
EIO ok
EIO ok" "requests that can't have FUA are not without it"
stopped

# Extents that a rule lets pass are given once.
serve size=1M lua='disk:write("64K", "x") fault { op = "extents", delay = "1ms", p = 1 }'
is "$(nbdinfo --map "$uri" | awk '{ print $1, $2 }')" "0 65536
65536 4096
69632 978944" "the map is that of the disk"
is "$(grep error log)" "" "... and nothing is wrong with it"
stopped

refused "expected a function" 'fault { op = "read", when = true, error = "EIO" }'
refused "expected a function" 'fault { op = "read", call = "x" }'
refused "data: no read request has that" 'fault { op = "read", data = "x", error = "EIO" }'
refused "data: no (zero|trim) request has that" 'fault { op = {"zero", "trim"}, data = "x", error = "EIO" }'
refused "fua: no flush request has that" 'fault { op = "flush", fua = true, error = "EIO" }'
refused "fua: no flush request has that" 'fault { op = "flush", fua = false, error = "EIO" }'
refused "offset: no flush request has that" 'fault { op = "flush", offset = 0, error = "EIO" }'
refused "count: no open request has that" 'fault { op = "open", count = 1, error = "EIO" }'
refused "past the end of the disk" 'fault { op = "read", offset = "1M", error = "EIO" }'
refused "past the end of the disk" 'fault { op = "read", offset = "1M", count = 1, error = "EIO" }'
refused "count: expected at least one byte" 'fault { op = "read", count = 0, error = "EIO" }'
refused "offset: expected bytes, .* got -1" 'fault { op = "read", offset = -1, error = "EIO" }'
refused "offset: expected bytes" 'fault { op = "read", offset = 1.5, error = "EIO" }'
refused "op: the list is empty" 'fault { op = {}, error = "EIO" }'
refused "op has no 'reed'; did you mean 'read'" 'fault { op = {"write", "reed"}, error = "EIO" }'
refused "op has no 'close'" 'fault { op = "close", error = "EIO" }'
refused "keep: does nothing to op 'read'" 'fault { op = {"write", "read"}, keep = 512 }'
refused "misdirect: does nothing to op 'extents'" 'fault { op = {"read", "extents"}, misdirect = 512 }'
refused "lose: does nothing to op 'open'" 'fault { op = "open", lose = true }'
refused "disconnect: does nothing to op 'open'" 'fault { op = "open", disconnect = true }'
for pair in 'error = "EIO", disconnect = true' 'error = "EIO", lose = true' 'error = "EIO", misdirect = 1' 'error = "EIO", corrupt = 1' \
    'disconnect = true, lose = true' 'lose = true, keep = 1' 'lose = true, misdirect = 1'; do
    refused "[a-z]+ and [a-z]+ contradict each other" "fault { op = 'write', $pair }"
done
for value in 'error = "ENOENT"' 'error = 5' 'error = true' 'delay = "soon"' 'delay = -1' 'delay = {1}' 'delay = {1, 2, 3}' 'delay = {2, 1}' 'delay = {"1s"; b = 2}' \
    'hang = 1' 'corrupt = 0' 'corrupt = 1.5' 'corrupt = "3"' 'keep = -1' 'keep = {1}' 'keep = {{1}}' 'keep = {{1, 2}, 3}' 'keep = {{-1, 2}}' 'lose = "yes"' \
    'misdirect = 0' 'misdirect = "1X"' 'misdirect = 1.5' 'misdirect = "--1"' 'shutdown = 1' 'call = 1' 'nth = 0' 'every = 0' 'after = -1' 'times = 0' 'seq = ""' \
    'seq = "--"' 'seq = 5' 'p = -1' 'p = 1.1' 'p = "101%"' 'p = "1:0"' 'p = "0:0"' 'p = "x"' 'p = 0/0' 'conn = 0' 'conn = "1"' 'export = 1' 'fua = "yes"' 'data = 1' \
    'name = 5' 'name = "5"' 'name = ""' 'offset = "1X"' 'count = {}'; do
    extra='error = "EIO"'
    [[ $value != @(error|lose|misdirect|corrupt)* ]] || extra='delay = 0'
    refused "fault: |NBD can't send" "fault { op = 'write', $extra, $value }"
done
for value in 'name = "a\0b"' 'seq = "x\0y"' 'export = "\0"' 'error = "EIO\0"'; do
    refused "fault: [a-z]+: has a zero byte" "fault { op = 'write', delay = 0, $value }"
done
for nothing in '' 'hang = false' 'lose = false, shutdown = false' 'p = 1, name = "x"'; do
    refused "there is no action" "fault { op = 'read', $nothing }"
done
refused "bad argument|expected" 'fault()'
refused "there is no fault rule 'x'" 'fault.get "x"'
refused "fault has no 'remove'" 'fault.remove()'
refused "a rule has no 'fire'; did you mean 'fired'" 'print(fault { op = "read", error = "EIO" }.fire)'
done_testing
