#!/usr/bin/env bash
# Scripts run in the order of the command line, and hooks of the same name
# wrap each other: the first is outermost.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >a.lua <<'LUA'
print("load a", disk.size)
order = {"a"}
function on.write(req)
  print("a before", req.data)
  if req.offset == 512 then fail "ENOSPC" end
  print("a after", req:run())
end
LUA
cat >b.lua <<'LUA'
order[#order + 1] = "b"
print("load b", table.concat(order, " "))
function on.write(req)
  print("b before", req.data)
  if req.offset == 1024 then fail "EPERM" end
  if req.offset == 2048 then req:skip() end
end
function on.write(req)
  print("c before", req.data)
end
function on.read(req)
  req:run()
  req.data = req.data:gsub("2", "3")
end
LUA
# Three scripts before and after the size, in both forms.
serve hooks=a.lua lua='order[2] = "lua"
function on.write(req) req.data = req.data:gsub("1", "2") end' size=1M hooks=b.lua
is "$(cat log)" $'load a\t1048576\nload b\ta lua b' "scripts run in order, when the size is known"

# lines CODE: what the server prints for one request, without nbdkit's own lines.
lines ()
{
    local before
    before=$(wc -l <log)
    python "from clients import *
$1"
    tail -n "+$((before + 1))" log | grep -v '^nbdkit:'
}
is "$(lines 'print(outcome(h.pwrite, b"1", 0), h.pread(1, 0).decode())')" \
   $'ok 3\na before\t1\nb before\t2\nc before\t2\na after\ttrue' "the first wraps the second, and so on"
is "$(lines 'print(outcome(h.pwrite, b"1", 512))')" $'ENOSPC\na before\t1' "what fails outside does not get inside"
is "$(lines 'print(outcome(h.pwrite, b"1", 1024))')" \
   $'EPERM\na before\t1\nb before\t2\na after\tnil\tEPERM' "what fails inside is seen outside"
is "$(lines 'print(outcome(h.pwrite, b"1", 2048), h.pread(1, 2048))')" \
   $'ok bytearray(b\'\\x00\')\na before\t1\nb before\t2\na after\ttrue' "what is skipped inside ends there"
stopped

serve size=1M lua='for i = 1, 16 do function on.read() print(i) end end
print(pcall(function() function on.read() end end))
on.flush = function() print "gone" end
on.flush = nil
print(on.flush, type(on.read))
local first = true
function on.write()
  if first then on.read = nil first = false end
end'
is "$(lines 'h.pread(1, 0)' | tr '\n' ' ')" "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 " "sixteen of one name"
like "$(cat log)" '^false.*more than 16 hooks' "not seventeen"
like "$(cat log)" '^nil	function$' "on.NAME is the hook, or nil"
is "$(lines 'h.flush(); h.pwrite(b"x", 0); h.pread(1, 0)')" "" "on.NAME = nil takes them away, at any time"
stopped
done_testing
