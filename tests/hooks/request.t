#!/usr/bin/env bash
# req says what the client asked for.  Only its own hook can use it, until that
# returns.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >fields.lua <<'LUA'
disk:snapshot "snap"
local kept, done
for _, op in ipairs {"read", "write", "flush", "trim", "zero", "extents", "cache"} do
  on[op] = function(req)
    print(req.op, req.offset, req.count, req.fua, req.conn, req.export, req.n, req.data)
  end
end
local function try(f, ...) print(select(2, pcall(f, ...))) end
function on.cache(req)
  if req.offset == 0 then
    kept = req
    try(function() req.offset = 5 end)
    try(function() req.run = print end)
    try(function() return req.ofset end)
    try(function() req.dat = 5 end)
    try(function() req[1] = 5 end)
    try(function() req.data = "x" end)
    try(function() req.run() end)
    try(function() req.run(io.stderr) end)
    try(function() req.skip() end)
    try(function() req:fail "EIO" end)
    try(function() req:sleep(1) end)
    print(getmetatable(req), pcall(setmetatable, req, {}))
  else
    try(function() return kept.op end)
    try(function() kept.data = "x" end)
    try(function() kept:run() end)
    try(function() kept:skip() end)
    -- Not even by a way around the metatable.
    try(function() return debug.getmetatable(req).__index(5, "op") end)
    try(function() return debug.getmetatable(req).__index(io.stderr, "op") end)
  end
end
LUA
cat >fields.py <<'PY'
from clients import *
h = connect()
h.pread(3, 4)
h.pwrite(b"abc", 5)
h.pwrite(b"def", 8, nbd.CMD_FLAG_FUA)
h.flush()
h.trim(512, 1024)
h.zero(513, 1025, nbd.CMD_FLAG_FUA)
extents(h, 4096, 8192)
connect("snap").pread(1, 0)
PY
serve size=1M hooks=fields.lua
python "$(cat fields.py)"
is "$(cat log)" "read	4	3	false	2		1	nil
write	5	3	false	2		1	abc
write	8	3	true	2		2	def
flush	0	0	false	2		1	nil
trim	1024	512	false	2		1	nil
zero	1025	513	true	2		1	nil
extents	8192	4096	false	2		1	nil
read	0	1	false	3	snap	2	nil" "its fields"
lines=$(wc -l <log)
is "$(python 'from clients import *; print(outcome(h.cache, 512, 0), outcome(h.cache, 512, 512))')" "ok ok" "mistakes can be caught"
is "$(tail -n "+$((lines + 1))" log | grep -v '^nbdkit\|^cache' | sed 's/^fields.lua:[0-9]*: //; s/\(bad argument\).*/\1/; s/"//g')" "req.offset can't be set
req.run can't be set
req has no 'ofset'; did you mean 'offset'?
req has no 'dat'; did you mean 'data'?
req has no '1', but op, offset, count, fua, fast, conn, export, n, data, run, skip
req.data: a cache carries no data
call it as req:run(), with a colon
call it as req:run(), with a colon
call it as req:skip(), with a colon
req has no 'fail'; use fail EIO
req has no 'sleep'; use sleep 50ms
request	false	bad argument
this request is over
this request is over
this request is over
this request is over
bad argument
bad argument" "and say what is wrong"
alive "the server is alive"
stopped

# No number is lost or given twice under many connections.
serve size=1M lua='
local seen, most = {}, 0
function on.write(req)
  if seen[req.n] then print("TWICE", req.n) end
  seen[req.n] = true
  if req.n > most then most = req.n end
  if req.n % 7 == 0 then sleep(0) end
end
function on.flush() print(#seen, most) end'
is "$(python 'from clients import *
cs = [connect() for i in range(10)]
cookies = [[c.aio_pwrite(nbd.Buffer(1), i) for i in range(50)] for c in cs]
print(*{o for c, k in zip(cs, cookies) for o in finish(c, k)})
h.flush()')" ok "many requests at the same time"
is "$(cat log)" "500	500" "each has its own number"
stopped
done_testing
