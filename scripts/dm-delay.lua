-- dm-delay: reads, writes and flushes take so many milliseconds longer.
-- nbdkit ./memory.so size=1G hooks=scripts/dm-delay.lua delay=50 write_delay=100 flush_delay=333 control=ctl.sock
-- write_delay= is delay= where it is not given, flush_delay= is write_delay=.  Zeroes and trims are writes.
-- memctl ctl.sock 'dm_delay(0, 500)' changes them, as a reload of the table does.

local params = require "params"
local rules = {}

local function add(op, ms)
  if ms > 0 then rules[#rules + 1] = fault { op = op, delay = ms / 1000 } end
end

function dm_delay(delay, write_delay, flush_delay)
  for _, rule in ipairs(rules) do rule:remove() end
  rules, write_delay = {}, write_delay or delay
  add("read", delay)
  add({ "write", "zero", "trim" }, write_delay)
  add("flush", flush_delay or write_delay)
end

local function ms(name, default) return params.number(name, default, 0, nil, "milliseconds") end
dm_delay(ms("delay", 0), ms("write_delay"), ms("flush_delay"))
