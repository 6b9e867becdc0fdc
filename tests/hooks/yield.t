#!/usr/bin/env bash
# Where Lua can't yield, sleep, hang and run are errors that say why; elsewhere they
# work.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >yield.lua <<'LUA'
local function in_sort(f) table.sort({3, 2, 1}, function(a, b) f() return a < b end) end
local function in_gsub(f) return (("x"):gsub(".", f)) end
local function in_tostring(f) return tostring(setmetatable({}, {__tostring = function() f() return "" end})) end
local function in_wrap(f) coroutine.wrap(f)() end
local function in_gc(f)
  local e
  setmetatable({}, {__gc = function() e = select(2, pcall(f)) end})
  collectgarbage()
  error(e, 0)
end
local function in_load(f) assert(load(function() f() end)) end
local wrong = {in_sort, in_gsub, in_tostring, in_wrap, in_gc, in_load}
local function plainly(f) f() end
local function in_pcall(f) assert(pcall(f)) end
local function in_xpcall(f) assert(xpcall(f, debug.traceback)) end
local function in_index(f) return setmetatable({}, {__index = function() f() end}).x end
local function in_add(f) return setmetatable({}, {__add = function() f() end}) + 1 end
local function in_for(f) for _ in function(_, n) f() return not n or nil end do end end
local function in_close(f) local c <close> = setmetatable({}, {__close = function() f() end}) end
local function in_dofile(f) yielder = f dofile("dofile.lua") end
local function own_coroutine(f)
  local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
  assert(co() == 1) f() assert(co() == 2) f() assert(co() == 3)
end
local right = {plainly, in_pcall, in_xpcall, in_index, in_add, in_for, in_close, in_dofile, own_coroutine}
function on.read(req)
  for i, within in ipairs(wrong) do
    for _, f in ipairs {function() sleep "1ms" end, hang, function() req:run() end} do
      print(i, (select(2, pcall(within, f))))
    end
  end
end
function on.write(req)
  for i, within in ipairs(right) do
    within(function() sleep(0) end)
    within(function() assert(req:run()) end)
  end
  print("right", #right)
end
function on.flush() coroutine.yield() end
function on.trim() coroutine.yield("x", {}) print "NEVER" end
function on.zero(req) pcall(coroutine.yield, req) print "NEVER" end
function on.cache(req)
  local co = coroutine.create(function() coroutine.yield() end)
  coroutine.resume(co)
  print("still", coroutine.isyieldable(), coroutine.status(co))
end
LUA
echo 'yielder()' >dofile.lua
serve size=1M hooks=yield.lua
is "$(python 'from clients import *
print(outcome(h.pread, 1, 0), outcome(h.pwrite, b"x", 0), outcome(h.flush), outcome(h.trim, 512, 0), outcome(h.zero, 512, 0), outcome(h.cache, 512, 0))
print(outcome(h.pread, 1, 0))')" "ok ok EIO EIO EIO ok
ok" "what the client sees"
is "$(grep -Ec '^[1-6]	.*(sleep|hang|req:run) can.t be used (inside a function that C code calls|in a coroutine that the hook has made)' log)" 36 \
   "each says why it can't" || grep '^[1-6]' log | grep -v 'inside a function that\|in a coroutine that' | sed 's/^/# /'
like "$(cat log)" '^right	9$' "where it can, it works"
is "$(grep -c "on\.[a-z]*: a hook can't use coroutine.yield" log) $(grep -c NEVER log)" "3 0" "coroutine.yield has nowhere to go"
like "$(cat log)" '^still	true	suspended$' "but coroutines of the hook's own are fine"
stopped

# on.fill may sleep for a client, but not for a script.
serve size=1M lua='
function on.fill(o, c) sleep "1ms" return ("x"):rep(c) end
function on.flush() print(select(2, pcall(disk.read, disk, 0, 1))) end'
is "$(python 'from clients import *; h.flush(); print(h.pread(1, 0))')" "bytearray(b'x')" "on.fill may sleep for a client"
like "$(cat log)" "^lua:2: sleep can't be used" "but not for disk:read"
stopped
done_testing
