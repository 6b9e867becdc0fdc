-- nbdkit's delay filter: requests take longer.
-- nbdkit ./memory.so size=1G hooks=scripts/nbdkit-delay.lua rdelay=50ms wdelay=0.1
-- delay-OP=TIME for OP read, write, zero, trim, extents, cache, open; rdelay= is delay-read=, wdelay= is for write,
-- zero and trim.  delay-fast-zero=false: a zero request that has to be fast fails at once.
-- There is no delay-close=: when nbdkit tells a plugin that a client leaves, the connection has ended.

local params = require "lib.params"

local function add(name, ops)
  local delay = params.time(name, 0)
  if delay > 0 and #ops > 0 then fault { op = ops, delay = delay, name = name } end
end

-- A rule for each parameter: the operations that have none of their own share one.
local shared = { rdelay = {}, wdelay = {} }
local general = { read = "rdelay", write = "wdelay", zero = "wdelay", trim = "wdelay" }
for op in ("read write zero trim extents cache open"):gmatch "%w+" do
  local name, ops = "delay-" .. op, shared[general[op]]
  if param[name] or not ops then add(name, { op }) else ops[#ops + 1] = op end
end
add("rdelay", shared.rdelay)
add("wdelay", shared.wdelay)

if not params.flag("delay-fast-zero", true) then
  function on.zero(req)
    if req.fast then fail "ENOTSUP" end
  end
end
