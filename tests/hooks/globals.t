#!/usr/bin/env bash
# A script that removes or breaks what the server's own Lua code might need harms only
# itself.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >break.lua <<'LUA'
local coroutine, disk, on, fail, sleep, print, pairs, error = coroutine, disk, on, fail, sleep, print, pairs, error
local setmetatable, getmetatable, debug, G = setmetatable, getmetatable, debug, _G
function on.read(req)
  req:run()
  req.data = req.data
  sleep(0)
  if req.offset == 512 then fail "EPERM" end
  if req.offset == 1024 then error "plain" end
  if req.offset == 1536 then error {} end
end
function on.write(req)
  for name in pairs(G) do G[name] = nil end
  setmetatable(G, {__index = function(_, k) error("no " .. k) end, __newindex = function() error "no" end})
  getmetatable("").__index = nil
  getmetatable("").__add = error
  for _, v in pairs {true, 1, print} do
    debug.setmetatable(v, {__index = error, __call = error, __tostring = error, __gc = error, __close = error, __name = 5})
  end
  debug.setmetatable(nil, {__index = error, __call = error, __tostring = error})
end
LUA
serve size=1M hooks=break.lua
cat >after.py <<'PY'
from clients import *
def round():
    print(*[outcome(h.pread, 512, i * 512) for i in range(4)], len(connect().pread(512, 0)))
round()
print(outcome(h.pwrite, b"x", 0), outcome(h.pwrite, b"x", 0))
round()
PY
is "$(python "$(cat after.py)")" "ok EPERM EIO EIO 512
ok ok
ok EPERM EIO EIO 512" "before and after" || sed 's/^/# /' log
alive "the server is alive"
stopped

# The debug library does not reach what C code trusts.
cat >debug.lua <<'LUA'
local ways = {
  function() for k in pairs(debug.getregistry()) do debug.getregistry()[k] = nil end end,
  function() debug.setupvalue(load, 2, 0) load "x = 1" end,
  function(req) debug.getmetatable(req).__gc = error end,
  function(req) debug.setmetatable(req, {__index = error}) end,
  function(req) debug.getmetatable(io.stderr).__index.write(debug.setmetatable(req, getmetatable(io.stderr)), "x") end,
  function() select(2, debug.getupvalue(getmetatable, 1)).offset = io.stderr end,
  function(req)
    req.data = ("z"):rep(req.count)
    debug.setuservalue(req, nil, 1)
  end,
  function(req)
    req.data = ("z"):rep(req.count)
    for i = 1, 20 do debug.setlocal(3, i, nil) end
  end,
}
function on.write(req)
  print(pcall(ways[req.n], req))
  collectgarbage()
end
print(#ways)
LUA
serve size=1M hooks=debug.lua
is "$(python 'from clients import *; print(*[outcome(h.pwrite, b"x" * 5000, i) for i in range(8)])')" "ok ok ok ok ok ok ok ok" \
   "by way of debug"
is "$(head -1 log) $(grep -c ^false log)" "8 8" "each is an error" || sed 's/^/# /' log
stopped

# Programs that nbdkit --run starts do not run with the sanitizer.
[ "$WATCH" != tsan ] || done_testing

# While loading: the second script fails or works, and nothing crashes.
for code in 'package = nil' 'package.path = nil' 'package.path = {}' 'string = nil table = nil io = nil' \
            'setmetatable(_G, {__index = error, __newindex = error})' 'for k in pairs(_G) do _G[k] = nil end' \
            'on = nil disk = nil param = nil' 'package.searchers = nil package.searchpath = nil'; do
    echo 'x = 1' >second.lua
    nbdkit_run -U - size=1M lua="$code" hooks=second.lua key=1 lua='y = param and param.key' --run : >out 2>&1
    status=$?
    like "$status $(cat out)" '^(0 $|[01] nbdkit: error: )' "$code"
done

# Each of these would change nothing at all, and nobody would notice.
while IFS=$'\t' read -r code message; do
    is "$(nbdkit_run -U - size=1M lua="$code" --run : 2>&1)" "nbdkit: error: lua: $message" "refused: $code"
done <<'CASES'
on = { read = function() end }	on can't be replaced: write function on.read(req) or on.read = ...
function fault() end	fault can't be replaced: call it, as in fault { op = "read", error = "EIO" }
rawset(_G, "disk", nil)	disk can't be replaced: choose another name, or local disk = ...
param = {}	param can't be replaced: choose another name, or local param = ...
CASES
echo 'on = nil' >on.lua
like "$(nbdkit_run -U - size=1M hooks=on.lua --run : 2>&1)" "nbdkit: error: .*on.lua: on can't be replaced" "... in a file"
check "but not local ones" nbdkit_run -U - size=1M lua='local on, disk = 1, 2' --run :
done_testing
