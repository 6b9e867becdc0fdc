#!/usr/bin/env bash
# A rule is shown as it was written, and where: in rule.text and rule.where, in the log,
# and in the message that it never fired.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdinfo python3

mkdir lib
cat >lib/helper.lua <<'LUA'
local helper = {}
function helper.flush(n)
  fault { op = "flush", nth = n, error = "EIO", optional = true }
end
fault { op = "flush", after = 1, name = "in a module", error = "EIO", optional = true }
return helper
LUA
mkdir elsewhere
cat >elsewhere/faults.lua <<'LUA'
package.path = "./?.lua"
local show = function(rule) print(rule.name, rule.where, rule.text) end
show(fault { error = "EIO", optional = true, nth = 3, op = "flush" })
show(fault { times = 9, p = "10%", seq = "--x", after = 0, every = 2, data = 'a"\\\n\x01\xff\u{e9}',
             when = function() end, fua = true, export = "*", conn = 1, count = "1K", offset = 512,
             op = { "read", "write" }, name = "selectors", optional = true,
             call = function() end })
show(fault { op = "write", delay = { "1ms", 2 }, shutdown = false, hang = true, corrupt = 3,
             keep = { { 0, 100 }, { 200, "4K" } }, misdirect = "-1M", optional = true })
local long = fault { op = "write", data = ("\u{20ac}"):rep(100), error = "EIO", optional = true }
print(#long.text, long.text:sub(-6))
for n = 156, 157 do
  local rule = fault { op = "write", data = ("x"):rep(n), error = "EIO", optional = true }
  print(#rule.text, rule.text:sub(-6))
end
show(fault { op = "write", when = print, error = "EIO", optional = true })
show(fault.get "in a module")
LUA
sed -i '2i local helper = require "lib.helper"' elsewhere/faults.lua
echo 'helper.flush(2)
show(fault.list()[#fault.list()])
fault { op = "read", error = "EIO" }' >>elsewhere/faults.lua
serve size=1M log=the.log hooks=elsewhere/faults.lua
stop
is "$(grep -v 'nbdkit:' log)" '2	faults.lua:4	op="flush" nth=3 optional=true error="EIO"
selectors	faults.lua:5	op={ "read", "write" } offset=512 count="1K" conn=1 export="*" fua=true data="a\"\\\n\x01\xffé" when=function (faults.lua:6) every=2 after=0 seq="--x" p="10%" times=9 optional=true call=function (…
4	faults.lua:9	op="write" optional=true delay={ "1ms", 2 } hang=true misdirect="-1M" keep={ { 0, 100 }, { 200, "4K" } } corrupt=3
200	€…
200	="EIO"
200	r="…
8	faults.lua:17	op="write" when=function (C) optional=true error="EIO"
in a module	helper.lua:5	op="flush" after=1 optional=true error="EIO"
9	faults.lua:19	op="flush" nth=2 optional=true error="EIO"' "texts and places"
like "$(cat log)" 'error: fault rule 10 \(faults.lua:21: op="read" error="EIO"\) never fired \(it matched 0 requests\)$' "a rule that never fired"
is "$(read_log the.log 'l = lines[-1]
print(l["rule"], l["where"], l["text"], l["never_fired"])')" '10 faults.lua:21 op="read" error="EIO" True' "its line in the log"
done_testing
