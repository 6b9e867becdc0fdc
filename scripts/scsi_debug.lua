-- scsi_debug: medium errors, and commands that fail or are never answered, each Nth of them.
-- nbdkit ./memory.so size=1G hooks=scripts/scsi_debug.lua opts=2 medium_error_start=4660 medium_error_count=10
-- opts= is a sum.  2: sectors of 512 bytes can't be read: medium_error_count= (10) from medium_error_start= (4660)
-- on; writing does not cure them.  4: each Nth command hangs.  16: it fails.  every_nth=N (0: none), or -N: all from
-- the Nth on.  Bits that NBD has nothing for do nothing: 1 (noise), 8 (recovered errors), 32 and 64 (DIF, DIX), ...
-- With control=SOCKET, memctl SOCKET 'scsi_debug { opts = 4, every_nth = -1 }' changes some and restarts the count.

local params = require "lib.params"
local rules, now = {}, { opts = 0, every_nth = 0, medium_error_start = 0x1234, medium_error_count = 10 }

local function set(p)
  local new, last = {
    opts = p.number("opts", now.opts), every_nth = p.number("every_nth", now.every_nth, -0x80000000, 0x7fffffff),
    medium_error_start = p.number("medium_error_start", now.medium_error_start),
    medium_error_count = p.number("medium_error_count", now.medium_error_count, 1, math.maxinteger // 512),
  }, (disk.size - 1) // 512
  if new.opts & 2 ~= 0 and new.medium_error_start > last then
    error(("medium_error_start=%d: expected a sector of the disk, up to %d"):format(new.medium_error_start, last), 0)
  end
  now = new
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
set(params)
function scsi_debug(changes) set(params.of(changes, "opts every_nth medium_error_start medium_error_count")) end
