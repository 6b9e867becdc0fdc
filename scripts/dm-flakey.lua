-- dm-flakey: a disk that is reliable for up_interval= seconds, then not for down_interval= seconds, and so on.
-- nbdkit ./memory.so size=1G hooks=scripts/dm-flakey.lua up_interval=60 down_interval=10 drop_writes=true
-- While it is down: error_reads=true, error_writes=true; drop_writes=true: writes are lost, without an error;
-- corrupt_bio_byte="NTH r|w VALUE 0": that byte of each read or write is VALUE (the last number, bio flags, must be 0);
-- random_read_corrupt=N, random_write_corrupt=N: with N in 10^9, one bit (not byte) flips.  None of these: all fails.
-- Features that contradict each other are refused, as there.
-- With control=SOCKET, memctl SOCKET 'flakey(0, 5)' sets other intervals, from now on, and
-- memctl SOCKET 'flakey(0, 5, { drop_writes = true })' other features as well, instead of those that there are.

local bits, params = require "lib.bits", require "lib.params"
local WRITES <const> = { "write", "zero", "trim", "flush" }
local FEATURES <const> = "error_reads error_writes drop_writes corrupt_bio_byte random_read_corrupt "
  .. "random_write_corrupt"
local CONTRADICT <const> = {
  { "drop_writes", "error_writes" }, { "drop_writes", "corrupt_bio_byte w" }, { "drop_writes", "random_write_corrupt" },
  { "error_writes", "corrupt_bio_byte w" }, { "error_writes", "random_write_corrupt" },
  { "error_reads", "corrupt_bio_byte r" }, { "error_reads", "random_read_corrupt" },
}
local up, down, since, byte
local rules, hooked = {}, {}

local function is_down() return (now() - since) % (up + down) >= up end

local function read_intervals(up_interval, down_interval)
  local p = params.of { up_interval = tostring(up_interval), down_interval = tostring(down_interval) }
  local new_up = p.number("up_interval", nil, 0, 0xffffffff, "seconds")
  local new_down = p.number("down_interval", nil, 0, 0xffffffff, "seconds")
  if new_up + new_down == 0 then error("dm-flakey.lua: up_interval= and down_interval= are both 0", 0) end
  return new_up, new_down
end

-- Which byte is changed in which requests; nil: none.
local function read_byte(spec)
  if spec == nil then return end
  local nth, direction, value = tostring(spec):match "^([1-9]%d*) ([rw]) (%d+) 0$"
  value = tonumber(value)
  if not value or value > 255 then
    error(("corrupt_bio_byte=%s: expected such as \"32 r 255 0\""):format(spec), 0)
  end
  return { nth = tonumber(nth), direction = direction, value = value }
end

-- The rules for what is asked for, and what they do not do: the byte.
local function read_features(source, p)
  local new, asked, new_byte = {}, {}, read_byte(source.corrupt_bio_byte)
  local function feature(name, wanted, rule)
    asked[name], rule.name, rule.when = wanted or nil, name, is_down
    if wanted then new[#new + 1] = rule end
  end
  if new_byte then asked["corrupt_bio_byte " .. new_byte.direction] = true end
  feature("error_reads", p.flag("error_reads", false), { op = { "read", "cache" }, error = "EIO" })
  feature("error_writes", p.flag("error_writes", false), { op = WRITES, error = "EIO" })
  feature("drop_writes", p.flag("drop_writes", false), { op = WRITES, lose = true })
  for _, op in ipairs { "read", "write" } do
    local name = "random_" .. op .. "_corrupt"
    local n = p.number(name, 0, 0, 1000000000)
    feature(name, n > 0, { op = op, p = n / 1e9, corrupt = 1 })
  end
  feature("down", not next(asked), { op = { "read", "cache", table.unpack(WRITES) }, error = "EIO" })
  for _, pair in ipairs(CONTRADICT) do
    local a, b = pair[1], pair[2]
    if asked[a] and asked[b] then error("dm-flakey.lua: " .. a .. " contradicts " .. b, 0) end
  end
  return new, new_byte
end

-- A hook for a direction, from when it is first asked for.
local function hook(direction)
  if hooked[direction] then return end
  hooked[direction] = true
  on[direction == "r" and "read" or "write"] = function(req)
    local b = byte
    if not b or b.direction ~= direction or not is_down() or direction == "r" and not req:run() then return end
    req.data = bits.change_byte(req.data, b.nth, function() return b.value end)
  end
end

local function set_features(new, new_byte)
  for _, rule in ipairs(rules) do rule:remove() end
  rules, byte = {}, new_byte
  if byte then hook(byte.direction) end
  for i, rule in ipairs(new) do
    rule.optional = up > 0
    rules[i] = fault(rule)
  end
end

function flakey(up_interval, down_interval, features)
  local new_up, new_down = read_intervals(up_interval, down_interval)
  local new, new_byte
  if features ~= nil then new, new_byte = read_features(features, params.of(features, FEATURES)) end
  up, down, since = new_up, new_down, now()
  if new then set_features(new, new_byte) end
end

up, down = read_intervals(param.up_interval or 0, param.down_interval or 0)
since = now()
set_features(read_features(param, params))
