-- A thin pool that fills up: writes for which it has no room fail with ENOSPC, until it grows or something is trimmed.
-- nbdkit ./memory.so size=1T hooks=scripts/thin-pool.lua pool=1G no_space_timeout=60 control=ctl.sock
-- pool= bytes can be stored, in pages of 4096; no_space_timeout= seconds (0; dm-thin has 60) a write waits for room.
-- memctl ctl.sock 'pool.grow "512M"' makes it larger, 'pool.status()' says how full it is.

local params = require "lib.params"
local size = params.bytes("pool") or error("thin-pool.lua: say how large the pool is: pool=SIZE", 0)
local timeout = params.time("no_space_timeout", 0)
disk:limit(size)

pool = {
  grow = function(by)
    local more = params.of { grow = tostring(by) }.bytes "grow"
    if more > math.maxinteger - size then error("grow=" .. by .. ": expected less than 8E in all", 0) end
    size = size + more
    disk:limit(size)
    return pool.status()
  end,
  status = function() return { size = size, used = disk:stats().allocated } end,
}

if timeout > 0 then
  function on.write(req)
    local ok, err = req:run()
    for _ = 1, timeout * 10 do
      if ok or err ~= "ENOSPC" then return end
      sleep(0.1)
      ok, err = req:run()
    end
  end
end
