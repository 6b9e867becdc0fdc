#!/usr/bin/env bash
# A hook that runs without end is stopped after hook-timeout, whatever it does to
# prevent that.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

# Each loop has its own server, so that one that can't be stopped is found.
# loop NAME OUTCOME SCRIPT
loop ()
{
    serve size=1M hook-timeout=0.1 lua="local function spin() while true do end end $3"
    # If the loop is not stopped, the alarm of clients.py ends the client.
    python 'from clients import *
signal.alarm(30)
print(outcome(h.pread, 1, 0), outcome(h.pwrite, b"x", 0), outcome(h.pread, 1, 512))' >out
    is "$(cat out)" "$2 ok ok" "$1" || { tail -3 log | sed 's/^/# /'; kill -KILL "$server"; }
    [ "$(cat out)" != "$2 ok ok" ] || stopped
}
on='function on.read(req) if req.offset > 0 then return end'
loop "a loop" EIO "$on spin() end"
like "$(cat log)" 'on\.read: .*ran for 0\.1 s.*hook-timeout' "the log says why"
loop "around pcall" EIO "$on while true do pcall(spin) end end"
loop "around pcall, with a handler" EIO "$on while true do xpcall(spin, debug.traceback) end end"
loop "in the handler" EIO "$on xpcall(spin, spin) end"
loop "in a coroutine" EIO "$on coroutine.wrap(spin)() end"
loop "around coroutines" EIO "$on while true do pcall(coroutine.wrap(spin)) end end"
loop "a coroutine that yields" EIO "$on for _ in coroutine.wrap(function() while true do coroutine.yield(1) end end) do end end"
loop "in __gc" EIO "$on setmetatable({}, {__gc = spin}) collectgarbage() spin() end"
loop "in __gc that comes later" EIO "$on local mt = {__gc = true} setmetatable({}, mt) mt.__gc = spin collectgarbage() end"
loop "in __gc that can be called" EIO "$on setmetatable({}, {__gc = setmetatable({}, {__call = spin})}) collectgarbage() end"
loop "in __gc, by way of debug" EIO "$on debug.setmetatable({}, {__gc = spin}) collectgarbage() end"
loop "in __gc of files" EIO "$on getmetatable(io.stderr).__gc = spin io.open('/dev/null') collectgarbage() spin() end"
loop "in __close" EIO "$on local a <close> = setmetatable({}, {__close = spin}) end"
loop "in __close, after an error" EIO "$on local a <close> = setmetatable({}, {__close = spin}) error 'x' end"
loop "in __close, after fail" ENOSPC "$on local a <close> = setmetatable({}, {__close = spin}) fail 'ENOSPC' end"
loop "in __close, after a loop" EIO "$on local a <close> = setmetatable({}, {__close = spin}) spin() end"
loop "in __tostring of the error" EIO "$on error(setmetatable({}, {__tostring = spin})) end"
loop "in sort" EIO "$on table.sort({3, 2, 1}, spin) end"
loop "in __close, after sort" EIO "$on local a <close> = setmetatable({}, {__close = spin}) table.sort({3, 2, 1}, spin) end"
loop "in __close, after sort that was caught" EIO "$on local a <close> = setmetatable({}, {__close = spin}) pcall(table.sort, {3, 2, 1}, spin) error 'x' end"
co='local function f() local a <close> = setmetatable({}, {__close = spin}) table.sort({3, 2, 1}, spin) end'
loop "in __close of a coroutine, after sort" EIO "$on $co coroutine.wrap(f)() end"
loop "the same, closed" EIO "$on $co local c = coroutine.create(f) coroutine.resume(c) pcall(coroutine.close, c) error 'x' end"
loop "in gsub" EIO "$on (('x'):rep(1000)):gsub('.', function() pcall(spin) end) end"
loop "in on.fill, for disk:read" EIO "$on disk:read(0, 1) end function on.fill() if not done then done = true spin() end end"
loop "in on.fill" EIO "function on.fill() if not done then done = true spin() end end"
loop "of short runs" EIO "$on while true do local n = 0 for i = 1, 100 do n = n + i end end end"
loop "of tail calls" EIO "$on local function f() return f() end f() end"
loop "of goto" EIO "$on ::again:: goto again end"
loop "of C functions" EIO "$on while true do string.len('') end end"

# After a hook's time was over, the next one is as fast as before: a coroutine that
# ended well although its time was over is used again.
[ "$WATCH" = valgrind ] && much=20000 || much=1000000
serve size=1M hook-timeout=0.1 lua='
function on.read(req)
  if req.offset == 0 then return pcall(function() while true do end end) end
  local n = 0
  for i = 1, '"$much"' do n = n + i end
  print("ended", debug.gethook())
end'
python 'from clients import *
print(outcome(h.pread, 1, 0) in ("ok", "EIO"), outcome(h.pread, 1, 512))' >out
like "$(cat out)" '^True' "pcall as the last thing"
like "$(grep ended log)" '^ended	.*	1000$' "the next is looked at as rarely as others"
stopped

# on.open, on.close, and many at once.
serve size=1M hook-timeout=0.1 lua='
function on.open(c) if c.id == 2 then while true do end end end
function on.close(c) if c.id == 3 then while true do end end end
function on.write() while true do end end'
is "$(python 'from clients import *
print(outcome(connect))
connect()
cs = [connect() for i in range(3)]
print(*[o for c, k in [(c, [c.aio_pwrite(nbd.Buffer(1), i) for i in range(2)]) for c in cs] for o in finish(c, k)])
print(outcome(h.pread, 1, 0))')" "ENOENT
EIO EIO EIO EIO EIO EIO
ok" "on.open, on.close, and many at once"
stopped
done_testing
