-- power-cut: the power is cut at a request, and what survives is the disk from then on.
-- nbdkit ./memory.so size=1G write-cache=volatile hooks=scripts/power-cut.lua after=50 op=flush state=sectors-7
-- It is cut at request number after= (1) of op= (flush; any other, several such as write,zero, or any): it fails,
-- as do others under way.  state= says what survives of what was not flushed (none; all, prefix-N, sectors-S, ...).
-- torn=true: of each request under way, one sector is torn; bad=true: or can't be read until rewritten.
-- back= when the power comes back: connect, with the next client (so without it), after a time such as 2s,
-- or never.  With control=SOCKET, memctl SOCKET 'disk:power_on()' brings it back at any time.

local params = require "lib.params"
local ops, back = {}, param.back or "connect"
for op in (param.op or "flush"):gmatch "[^,]+" do ops[#ops + 1] = op end
local rule = {
  op = ops, nth = params.number("after", 1, 1), name = "power-cut",
  cut = { param.state or "none", torn = params.flag("torn", false), bad = params.flag("bad", false) },
}

-- The errors name parameters, and not what is made of them.
local function say(message)
  message = message:gsub("^.-fault: ", ""):gsub("^cut: needs a", "needs a")
  error("power-cut.lua: " .. message:gsub("^cut: '", "state='"), 0)
end
local ok, message = pcall(fault, rule)
if not ok then say(message) end

local function power_on() pcall(disk.power_on, disk) end       -- an error: it is on
if back == "connect" then
  function on.open(conn)
    if conn.export == "" then power_on() end
  end
elseif back ~= "never" then
  back = params.time "back"
  local due             -- by now()
  local function wait()
    sleep(math.max(due - now(), 0))
    power_on()
  end
  -- The request at which it is cut waits; and if its client leaves meanwhile, that client's on.close.
  for _, op in ipairs(ops[1] == "any" and { "read", "write", "flush", "trim", "zero", "extents", "cache" } or ops) do
    on[op] = function(req)
      local done, why = req:run()
      if done or why ~= "ESHUTDOWN" or due or fault.get("power-cut").fired == 0 then return end
      due = now() + back
      on.close = function() if due then wait() end end
      wait()
    end
  end
end
