#!/usr/bin/env bash
# Finalizers work as in any Lua, except that they can be stopped.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >gc.lua <<'LUA'
local function collected(what, f) print(what) f() collectgarbage() collectgarbage() end
collected("in reverse order", function()
  for i = 1, 3 do setmetatable({i}, {__gc = function(t) print(t[1]) end}) end
end)
collected("by the __gc of then", function()
  local mt = {__gc = print}
  setmetatable({}, mt)
  mt.__gc = function() print "new" end
end)
collected("only if there was one", function()
  local mt = {}
  setmetatable({}, mt)
  mt.__gc = function() print "NEVER" end
end)
collected("once", function()
  local t = setmetatable({}, {__gc = function() print "first" end})
  setmetatable(t, {__gc = function() print "second" end})
end)
local back
collected("what comes back", function() setmetatable({5}, {__gc = function(t) back = t end}) end)
collected("lives", function() print(back[1]) back = nil end)
collected("and may be finalized again", function()
  local mt = {}
  mt.__gc = function(t) print "again" if not back then back = setmetatable(t, mt) end end
  setmetatable({}, mt)
end)
collected("by then", function() back = nil end)
local mt = {__gc = type}
print(getmetatable(setmetatable({}, mt)) == mt, rawget(mt, "__gc") == type)
print(pcall(setmetatable, setmetatable({}, {__metatable = 1}), mt))
print(pcall(setmetatable, {}))
last = setmetatable({}, {__gc = function() print "at the end" end})
LUA
serve size=1M hooks=gc.lua
stopped
is "$(cat log)" "in reverse order
3
2
1
by the __gc of then
new
only if there was one
once
second
what comes back
lives
5
and may be finalized again
again
by then
again
true	true
false	cannot change a protected metatable
false	bad argument #2 to 'setmetatable' (nil or table expected, got no value)
at the end
again" "what runs when"
done_testing
