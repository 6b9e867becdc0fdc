#!/usr/bin/env bash
# The functions of rules see the request, may fail it, and their mistakes become EIO
# and a message.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

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
    like "$(cat log)" "error: fault rule ${rule/:/ \\(functions.lua:[0-9]+\\):}: .*$message" "$rule: $message"
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

# A repeated mistake is logged more and more rarely, and counted at the end.
serve size=1M lua='fault { op = "read", when = function() error "again" end, error = "EIO" }'
python 'from clients import *
for i in range(25): outcome(h.pread, 1, i)'
stop
is "$(grep -c again log) $(grep -c '(10 times so far)' log) $(grep -c 'lua:1 (fault rule 1 (lua:1): when): it failed 25 times' log)" "2 1 1" "mistakes are not logged each time"
done_testing
