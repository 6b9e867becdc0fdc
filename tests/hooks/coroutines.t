#!/usr/bin/env bash
# The plugin's own coroutine.wrap does what Lua's does.
. "$(dirname "$0")/../lib/lib.sh"

cat >wrap.lua <<'LUA'
local wrap = coroutine.wrap
local f = wrap(function(a, b) local c = coroutine.yield(a + b) return c, "end" end)
print(f(1, 2), f(3))
print(pcall(f))
print(pcall(wrap, 1))
print(pcall(wrap(function() error("text") end)))
print(select(2, pcall(wrap(function() error({ 7 }) end)))[1])
local closed
pcall(wrap(function() local a <close> = setmetatable({}, { __close = function() closed = true end }) error "x" end))
print(closed)
local again
again = wrap(function() return again() end)
print((select(2, pcall(again))))
for n in wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do print(n) end
print(debug.getinfo(1, "f").func == nil, debug.getinfo(print, "f").func, debug.getinfo(1, "l").currentline)
LUA
serve 1M hooks=wrap.lua
stopped
is "$(cat log)" "3	3	end
false	cannot resume dead coroutine
false	bad argument #1 to 'coroutine.wrap' (function expected, got number)
false	wrap.lua:6: text
7
true
wrap.lua:12: cannot resume non-suspended coroutine
1
2
3
false	nil	15" "as Lua's own, but that debug.getinfo gives no C function"
done_testing
