-- A disk that turns read-only, as a worn out SSD does: after so many writes, or so many errors.
-- nbdkit ./memory.so size=1G hooks=scripts/turns-readonly.lua after_writes=1000 after_errors=3 control=ctl.sock
-- after_writes= counts writes, zeroes and trims; after_errors= the requests that bad sectors, fault rules or hooks of
-- later scripts failed.  Writes then fail with EPERM.  memctl ctl.sock 'disk:readonly(false)' makes it writable again.

local params = require "lib.params"
local writes, errors = params.number("after_writes"), params.number("after_errors", nil, 1)
if not writes and not errors then error("turns-readonly.lua: say when: after_writes=N or after_errors=N", 0) end

if writes then
  fault { op = { "write", "zero", "trim" }, nth = writes + 1, name = "turns read-only",
          call = function() disk:readonly(true) end }
end

for op in (errors and "read write zero trim flush cache" or ""):gmatch "%w+" do
  on[op] = function(req)
    if req:run() then return end
    errors = errors - 1
    if errors == 0 then disk:readonly(true) end
  end
end
