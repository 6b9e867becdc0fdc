-- nbdkit's error filter: requests fail at random.
-- nbdkit ./memory.so size=1G hooks=scripts/nbdkit-error.lua error=ENOSPC error-pwrite-rate=10%
-- error= which one (EIO), error-rate= how often (0); error-OP= and error-OP-rate= for one operation: pread, pwrite,
-- trim, zero, extents, cache.  Instead of error-file=: inject=false starts without errors, and with control=SOCKET
-- memctl SOCKET 'inject(true)' or 'inject(false)' begins or ends them.

local params = require "params"
local rules = {}
local all, all_rate = params.errno("error", "EIO"), params.rate("error-rate", 0)

-- In a fixed order: the luck of a rule depends on its number.
for name, op in ("pread=read pwrite=write trim=trim zero=zero extents=extents cache=cache"):gmatch "(%w+)=(%w+)" do
  name = "error-" .. name
  local errno, rate = params.errno(name, all), params.rate(name .. "-rate", all_rate)
  if rate > 0 then rules[#rules + 1] = fault { op = op, p = rate, error = errno, name = name } end
end

function inject(on)
  for _, rule in ipairs(rules) do
    if on then rule:on() else rule:off() end
  end
end
inject(params.flag("inject", true))
