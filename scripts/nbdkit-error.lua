-- nbdkit's error filter: requests fail at random.
-- nbdkit ./memory.so size=1G hooks=scripts/nbdkit-error.lua error=ENOSPC error-pwrite-rate=10%
-- error= which one (EIO), error-rate= how often (0); error-OP= and error-OP-rate= for one operation: pread, pwrite,
-- trim, zero, extents, cache.  Instead of error-file=: inject=false starts without errors, and with control=SOCKET
-- memctl SOCKET 'inject(true)' or 'inject(false)' begins or ends them.

local params = require "lib.params"
local rules, others = {}, {}
local all, all_rate = params.errno("error", "EIO"), params.rate("error-rate", 0)

local function add(name, ops, rate, errno)
  if rate > 0 and #ops > 0 then rules[#rules + 1] = fault { op = ops, p = rate, error = errno, name = name }
  elseif param[name] and not param[name .. "-rate"] then
    print(("nbdkit-error.lua: %s=%s does nothing without %s-rate="):format(name, errno, name))
  end
end

-- A rule for each parameter: the operations that have none of their own share one.
for name, op in ("pread=read pwrite=write trim=trim zero=zero extents=extents cache=cache"):gmatch "(%w+)=(%w+)" do
  name = "error-" .. name
  local errno, rate = params.errno(name, all), params.rate(name .. "-rate", all_rate)
  if param[name] or param[name .. "-rate"] then add(name, { op }, rate, errno) else others[#others + 1] = op end
end
if #rules == 0 or all_rate > 0 then add("error", others, all_rate, all) end

function inject(on)
  if type(on) ~= "boolean" then error("inject=" .. tostring(on) .. ": expected true or false", 0) end
  for _, rule in ipairs(rules) do
    if on then rule:on() else rule:off() end
  end
end
inject(params.flag("inject", true))
