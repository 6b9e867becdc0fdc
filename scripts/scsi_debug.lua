-- scsi_debug: medium errors, and commands that fail or are never answered, each Nth of them.
-- nbdkit ./memory.so size=1G hooks=scripts/scsi_debug.lua opts=2 medium_error_start=4660 medium_error_count=10
-- opts= is a sum.  2: sectors of 512 bytes can't be read: medium_error_count= (10) from medium_error_start= (4660)
-- on; writing does not cure them.  4: each Nth command hangs.  16: it fails.  every_nth=N (0: none), or -N: all from
-- the Nth on.  Bits that NBD has nothing for do nothing: 1 (noise), 8 (recovered errors), 32 and 64 (DIF, DIX), ...
-- With control=SOCKET, memctl SOCKET 'scsi_debug { opts = 4, every_nth = -1 }' changes some and counts anew.

local params = require "params"
local rules, now = {}, {
  opts = params.number("opts", 0), every_nth = params.number("every_nth", 0, math.mininteger),
  medium_error_start = params.number("medium_error_start", 0x1234),
  medium_error_count = params.number("medium_error_count", 10, 1),
}

function scsi_debug(changes)
  for name, value in pairs(changes) do
    if not now[name] then error("scsi_debug: there is no " .. name, 0) end
    now[name] = value
  end
  for _, rule in ipairs(rules) do rule:remove() end
  rules = {}
  if now.opts & 2 ~= 0 then
    rules[1] = fault { op = "read", offset = now.medium_error_start * 512, count = now.medium_error_count * 512,
                       error = "EIO", name = "medium_error" }
  end
  if now.opts & (4 | 16) ~= 0 and now.every_nth ~= 0 then
    rules[#rules + 1] = fault {
      op = { "read", "write", "flush", "trim", "zero", "cache" }, name = "every_nth",
      every = now.every_nth > 0 and now.every_nth or nil, after = math.max(-now.every_nth - 1, 0),
      hang = now.opts & 4 ~= 0, error = now.opts & 4 == 0 and "EIO" or nil,
    }
  end
end
scsi_debug {}
