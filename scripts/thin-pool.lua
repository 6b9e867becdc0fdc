-- A thin pool that fills up: writes for which it has no room fail with ENOSPC, until it grows or something is trimmed.
-- nbdkit ./memory.so size=1T hooks=scripts/thin-pool.lua pool=1G no_space_timeout=60 control=ctl.sock
-- pool= bytes can be stored, in pages of 4096.  When it is full, writes wait for room, no_space_timeout= seconds (0;
-- dm-thin has 60) after the first one; later ones fail at once, until there was room.
-- memctl ctl.sock 'pool.grow "512M"' makes it larger, 'pool.status()' says how full it is.

local params = require "lib.params"
local size = params.bytes("pool") or error("thin-pool.lua: say how large the pool is: pool=SIZE", 0)
local timeout = params.time("no_space_timeout", 0)
local full_since        -- by now(), or nil: there was room
disk:limit(size)

pool = object("pool", {
  grow = function(by)
    local more = params.of { grow = tostring(by) }.bytes "grow"
    if more > math.maxinteger - size then error("grow=" .. by .. ": expected less than 8E in all", 0) end
    size, full_since = size + more, nil
    disk:limit(size)
    return pool.status()
  end,
  status = function() return { size = size, used = disk:stats().allocated } end,
})

if timeout > 0 then
  function on.write(req)
    local ok, err = req:run()
    while not ok and err == "ENOSPC" do
      full_since = full_since or now()
      if now() >= full_since + timeout then return end
      sleep(0.1)
      ok, err = req:run()
      if ok then full_since = nil end
    end
  end
  local function frees(req)
    if req:run() and pool.status().used < size then full_since = nil end
  end
  on.trim, on.zero = frees, frees
end
