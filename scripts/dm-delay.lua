-- dm-delay: reads, writes and flushes take so many milliseconds longer.
-- nbdkit ./memory.so size=1G hooks=scripts/dm-delay.lua delay=50 write_delay=100 flush_delay=333 control=ctl.sock
-- write_delay= is delay= where it is not given, flush_delay= is write_delay=.  Zeroes and trims are writes.
-- memctl ctl.sock 'dm_delay(0, 500)' changes them, as a reload of the table does.

local params = require "lib.params"
local rules = {}

function dm_delay(delay, write_delay, flush_delay)
  local p = params.of { delay = tostring(delay), write_delay = write_delay, flush_delay = flush_delay }
  local new, ops = {}, {}       -- what has no delay of its own has the next one
  for name, all in ("flush_delay=flush write_delay=write,zero,trim delay=read"):gmatch "(%g+)=(%g+)" do
    local ms = p.number(name, nil, 0, 0xffffffff, "milliseconds")
    for op in all:gmatch "%a+" do ops[#ops + 1] = op end
    if ms then
      new[#new + 1] = ms > 0 and { op = ops, delay = ms / 1000, name = "dm-delay " .. name } or nil
      ops = {}
    end
  end
  for _, rule in ipairs(rules) do rule:remove() end
  rules = {}
  for i, rule in ipairs(new) do rules[i] = fault(rule) end
end
dm_delay(param.delay or 0, param.write_delay, param.flush_delay)
