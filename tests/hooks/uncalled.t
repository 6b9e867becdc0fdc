#!/usr/bin/env bash
# Hooks that were never called are pointed out at the end, and functions that look like
# hooks at the start.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >hooks.lua <<'LUA'
for _, op in ipairs { "read", "write" } do on[op] = function() end end
for _, op in ipairs { "zero", "trim" } do on[op] = function() end end
function on.close() end
function on.extents() fail "EIO" end
function on.open() end
function on.flush() end
on.flush = nil
on.fill = pattern
function on.cache() end
function on.cache() end
function on.cache(req) req:skip() end
LUA
serve size=1M hooks=hooks.lua
python 'h.pread(1, 0); h.cache(1, 0)'
stop
is "$(grep -o 'error: .*' log)" "error: hooks on.trim, on.zero (hooks.lua:2) were never called
error: hook on.extents (hooks.lua:4) was never called" "hooks that were never called"

serve size=1M control=ctl.sock
python 'from clients import *
Control()("function on.read() end")'
stop
is "$(grep -o 'error: .*' log)" "error: hook on.read (control:1) was never called" "one that was set at run time"

# Which functions look like hooks.
cat >slips.lua <<'LUA'
function write() end
function read() end
on.read = function() end
local function flush() end
trim = print
function wriet() end
zero = "zero"
setmetatable(_G, { __index = function(_, key) error(key) end })
LUA
serve size=1M hooks=slips.lua lua='function fill() end'
python 'h.pread(1, 0)'
stop
is "$(cat log)" "slips.lua:1: note: the function write is no hook: requests call on.write
lua:1: note: the function fill is no hook: requests call on.fill" "functions with the names of hooks"
done_testing
