-- A spinning disk: a request that does not begin where the one before ended waits for the arm, then half a turn.
-- nbdkit ./memory.so size=1G hooks=scripts/spinning-disk.lua rpm=7200 seek_min=0.5ms seek_max=15ms
-- seek_min= to the next track (0.5ms), seek_max= across the whole disk (15ms), and between them with the square root
-- of the distance; rpm= (7200).  It has an arm for each request: nbdkit --threads=1 and one client use only one.

local params = require "lib.params"
local head, turn = 0, 60 / params.number("rpm", 7200, 1)
local least, most = params.time("seek_min", 0.0005), params.time("seek_max", 0.015)
if most < least then error("seek_max=" .. most .. ": expected seek_min at least, which is " .. least, 0) end

fault { op = { "read", "write" }, name = "seek", optional = true, delay = function(req)
  local distance = math.abs(req.offset - head)
  head = req.offset + req.count
  return distance > 0 and least + (most - least) * math.sqrt(distance / disk.size) + turn / 2 or 0
end }
