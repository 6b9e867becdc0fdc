-- A disk that is smaller than it says, as counterfeit flash is: what lies from real= on is nowhere, or somewhere else.
-- nbdkit ./memory.so size=64M hooks=scripts/fake-capacity.lua real=8M mode=limbo
-- mode=limbo (the default): what is written there is lost, and reads give zeroes.  mode=wrap: the byte at OFFSET is
-- that at OFFSET modulo real=.  Both are exact to the byte, also in requests that span the end.  Fault rules meet all
-- requests, but what they tear, lose, misdirect or corrupt is only what lies below real=.  Snapshots do not wrap.

local params = require "lib.params"
local real = params.bytes("real") or error("fake-capacity.lua: say how much there is: real=SIZE", 0)
local wraps = params.choice("mode", { limbo = false, wrap = true }, false)
if real < 1 or real >= disk.size then
  error(("real=%s: expected from 1 to less than the size of the disk, %d"):format(param.real, disk.size), 0)
end

-- How much of a request lies below the end.
local function good(req) return math.max(0, real - req.offset) end

-- Iterates over the rest in pieces: where they really are, their place in the request, counted from 1, and their size.
local function pieces(req)
  local from = good(req) + 1
  return function()
    if from > req.count then return end
    local at, place = from, (req.offset + from - 1) % real
    local count = math.min(real - place, req.count - from + 1)
    from = from + count
    return place, at, count
  end
end

-- A read is performed, so that rules may do what they want, and then gets other data.
function on.read(req)
  local n = good(req)
  if n >= req.count or wraps and req.export ~= "" or not req:run() then return end
  local parts = { req.data:sub(1, n) }
  if wraps then
    for place, _, count in pieces(req) do parts[#parts + 1] = disk:read(place, count) end
  else
    parts[2] = ("\0"):rep(req.count - n)
  end
  req.data = table.concat(parts)
end

-- The others are performed where they say, done once more where that really is, and nothing of them stays past the end.
local function change(again)
  return function(req)
    local n = good(req)
    if n >= req.count or req.export ~= "" then return end
    local data = wraps and req.data
    if req:run() and wraps then
      for place, from, count in pieces(req) do again(place, count, data, from) end
    end
    disk:zero(req.offset + n, req.count - n)
  end
end

on.write = change(function(place, count, data, from) disk:write(place, data:sub(from, from + count - 1)) end)
on.zero = change(function(place, count) disk:zero(place, count) end)
on.trim = on.zero

-- Of holes, clients do not ask for the content.
if wraps then
  fault { op = "extents", offset = real, lose = true, optional = true, export = "", name = "fake-capacity extents" }
end
