-- SPDK's error bdev: so many requests of a type fail, are never answered, or are corrupted.
-- nbdkit ./memory.so size=1G hooks=scripts/spdk-error.lua io_type=read error_type=failure num=3 control=ctl.sock
-- io_type= read, write, unmap, flush, or all of them; error_type= failure (EIO), nomem (ENOMEM), pending (until the
-- type gets another error or is cleared, then EIO), or corrupt_data: of reads and writes, the byte at corrupt_offset=
-- (0) is XORed with corrupt_value= (255); num= of each type (1).  There is no queue_depth.
-- memctl ctl.sock 'bdev_error_inject_error { io_type = "write", error_type = "nomem" }' adds some; "clear" ends them.

local bits, params = require "bits", require "params"
local all, clear = { "read", "write", "trim", "flush" }, { "read", "write", "trim", "flush" }
local types = { read = { "read" }, write = { "write" }, unmap = { "trim" }, flush = { "flush" },
                all = all, clear = clear }
local effects = { failure = { "EIO" }, nomem = { "ENOMEM" }, pending = { "EIO", true }, corrupt_data = {} }
local rules, corrupt = {}, {}   -- of each operation

local function inject(p)
  local ops, effect = p.choice("io_type", types, {}), p.choice("error_type", effects, effects.failure)
  local num = p.number("num", 1, 1)
  local place, value = p.number("corrupt_offset", 0) + 1, p.number("corrupt_value", 255, 1, 255)
  for _, op in ipairs(ops) do
    if rules[op] then rules[op]:remove() end
    rules[op], corrupt[op] = nil, nil
    if ops ~= clear and effect[1] then
      rules[op] = fault { op = op, times = num, error = effect[1], hang = effect[2] }
    elseif ops ~= clear then
      corrupt[op] = { left = num, place = place, value = value }
    end
  end
end
inject(params)
function bdev_error_inject_error(e) inject(params.of(e)) end

for _, op in ipairs { "read", "write" } do
  on[op] = function(req)
    local c = corrupt[op]
    if not c or c.left == 0 then return end
    c.left = c.left - 1
    if op == "write" or req:run() then
      req.data = bits.change_byte(req.data, c.place, function(byte) return byte ~ c.value end)
    end
  end
end
