-- A flush that fails once and then lies: what was written since the last good flush is lost, the next flush says OK.
-- nbdkit ./memory.so size=1G hooks=scripts/fsync-lies.lua nth=2 control=ctl.sock
-- nth= which flush fails, with EIO (1).  memctl ctl.sock 'fsync_fails()' makes the next one fail as well.
-- Until then what was written reads back, as from a disk's cache.  Writes with FUA are kept.  What is overwritten
-- between two flushes takes memory of the scripts (lua-memory=).

local params = require "lib.params"
local left = params.number("nth", 1, 1)
local old, durable = {}, {}     -- what was there before, and what FUA writes left, since the last flush

function fsync_fails() left, old, durable = 1, {}, {} end

local function note(list, req)
  for offset, count, kind in disk:extents(req.offset, req.count) do
    list[#list + 1] = { offset, count, kind == "data" and disk:read(offset, count) }
  end
end

local function restore(part)
  if part[3] then disk:write(part[1], part[3]) else disk:zero(part[1], part[2]) end
end

local function change(req)
  if left < 1 or req.export ~= "" then return end
  note(old, req)
  if req:run() and req.fua then note(durable, req) end
end
on.write, on.zero, on.trim = change, change, change

function on.flush(req)
  if left < 1 or req.export ~= "" then return end
  left = left - 1
  if left == 0 then
    for i = #old, 1, -1 do restore(old[i]) end
    for _, part in ipairs(durable) do restore(part) end
  end
  old, durable = {}, {}
  if left == 0 then fail "EIO" end
end
