-- nbdkit's delay filter: requests take longer.
-- nbdkit ./memory.so size=1G hooks=scripts/nbdkit-delay.lua rdelay=50ms wdelay=0.1
-- delay-OP=TIME for OP read, write, zero, trim, extents, cache, open; rdelay= is delay-read=, wdelay= is for write,
-- zero and trim.  delay-fast-zero=false: a zero request that has to be fast fails at once.
-- There is no delay-close=: when nbdkit tells a plugin that a client leaves, the connection has ended.

local params = require "params"
local rdelay, wdelay = params.time("rdelay", 0), params.time("wdelay", 0)
local general = { read = rdelay, write = wdelay, zero = wdelay, trim = wdelay }

for op in ("read write zero trim extents cache open"):gmatch "%w+" do
  local delay = params.time("delay-" .. op, general[op] or 0)
  if delay > 0 then fault { op = op, delay = delay, name = "delay-" .. op } end
end

if not params.flag("delay-fast-zero", true) then
  function on.zero(req)
    if req.fast then fail "ENOTSUP" end
  end
end
