-- SPDK's error bdev: so many requests of a type fail, are never answered, or are corrupted.
-- nbdkit ./memory.so size=1G hooks=scripts/spdk-error.lua io_type=read error_type=failure num=3 control=ctl.sock
-- io_type= read, write, unmap, flush, or all of them; error_type= failure (EIO), nomem (ENOMEM), pending (until the
-- type gets another error or is cleared, then EIO), or corrupt_data: of reads and writes, the byte at corrupt_offset=
-- (0) is XORed with corrupt_value= (255); num= of each type (1).  There is no queue_depth.
-- memctl ctl.sock 'bdev_error_inject_error { io_type = "write", error_type = "nomem" }' adds some; "clear" ends them.

local bits, params = require "lib.bits", require "lib.params"
local all, clear = { "read", "write", "trim", "flush" }, { "read", "write", "trim", "flush" }
local types = { read = { "read" }, write = { "write" }, unmap = { "trim" }, flush = { "flush" },
                all = all, clear = clear }
local effects = { failure = { "EIO" }, nomem = { "ENOMEM" }, pending = { "EIO", true }, corrupt_data = {} }
local rules, corrupt = {}, {}   -- of each operation

local KEYS <const> = "io_type error_type num corrupt_offset corrupt_value"

function bdev_error_inject_error(e)
  local p = params.of(e, KEYS)
  local effect, num = p.choice("error_type", effects, effects.failure), p.number("num", 1, 1)
  local place, value = p.number("corrupt_offset", 0) + 1, p.number("corrupt_value", 255, 1, 255)
  local ops = params.of { io_type = tostring(e.io_type) }.choice("io_type", types)
  for _, op in ipairs(ops) do
    if rules[op] then rules[op]:remove() end
    rules[op], corrupt[op] = nil, nil
    if ops ~= clear and effect[1] then
      rules[op] = fault { op = op, times = num, error = effect[1], hang = effect[2], name = "bdev_error " .. op,
                          optional = ops == all }
    elseif ops ~= clear then
      corrupt[op] = { left = num, place = place, value = value }
    end
  end
end
local first = {}
for key in KEYS:gmatch "%g+" do first[key] = param[key] end
if next(first) then bdev_error_inject_error(first) end

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
