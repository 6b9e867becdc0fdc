#!/usr/bin/env bash
# A rule for which there is no memory is not added.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >memory.lua <<'LUA'
local spec = { op = "read", when = function() return true end, error = "EIO" }
local failed
for size = 1, 30 do
  fault.clear()
  collectgarbage() collectgarbage "stop"
  local fill, added, ok = {}, 0, nil
  pcall(function() while true do fill[#fill + 1] = ("x"):rep(1000) .. #fill end end)
  for _ = 1, size do fill[#fill] = nil end
  collectgarbage() collectgarbage "stop"
  repeat
    ok = pcall(fault, spec)
    if ok then added = added + 1 else failed = true end
  until not ok or added == 3000
  fill = nil
  collectgarbage()
  if #fault.list() ~= added then print("added", added, "there", #fault.list()) end
end
fault.clear()
print(failed)
LUA
serve size=1M hooks=memory.lua lua-memory=1M
stopped
is "$(sort -u log)" "true" "no memory for a rule"
done_testing
