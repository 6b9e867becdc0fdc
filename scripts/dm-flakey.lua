-- dm-flakey: a disk that is reliable for up_interval= seconds, then not for down_interval= seconds, and so on.
-- nbdkit ./memory.so size=1G hooks=scripts/dm-flakey.lua up_interval=60 down_interval=10 drop_writes=true
-- While it is down: error_reads=true, error_writes=true; drop_writes=true: writes are lost, without an error;
-- corrupt_bio_byte="NTH r|w VALUE 0": that byte of each read or write is VALUE (the last number, bio flags, must be 0);
-- random_read_corrupt=N, random_write_corrupt=N: with N in 10^9, one bit (not byte) flips.  None of these: all fails.
-- Features that contradict each other are refused, as there.
-- With control=SOCKET, memctl SOCKET 'flakey(0, 5)' sets other intervals, from now on.

local bits, params = require "lib.bits", require "lib.params"
local up, down, since

function flakey(up_interval, down_interval)
  local p = params.of { up_interval = tostring(up_interval), down_interval = tostring(down_interval) }
  local new_up = p.number("up_interval", nil, 0, 0xffffffff, "seconds")
  local new_down = p.number("down_interval", nil, 0, 0xffffffff, "seconds")
  if new_up + new_down == 0 then error("dm-flakey.lua: up_interval= and down_interval= are both 0", 0) end
  up, down, since = new_up, new_down, now()
end
flakey(param.up_interval or 0, param.down_interval or 0)

local function is_down() return (now() - since) % (up + down) >= up end
local spec = param.corrupt_bio_byte
local nth, direction, value = (spec or ""):match "^([1-9]%d*) ([rw]) (%d+) 0$"
if spec then
  nth, value = tonumber(nth), tonumber(value)
  if not value or value > 255 then error("corrupt_bio_byte=" .. spec .. ": expected such as \"32 r 255 0\"", 0) end
  on[direction == "r" and "read" or "write"] = function(req)
    if not is_down() or direction == "r" and not req:run() then return end
    req.data = bits.change_byte(req.data, nth, function() return value end)
  end
end

-- The features, and those that are asked for.
local WRITES <const>, asked = { "write", "zero", "trim", "flush" }, {}
if spec then asked["corrupt_bio_byte " .. direction] = true end
local function feature(name, on, rule)
  asked[name], rule.name, rule.when, rule.optional = on or nil, name, is_down, up > 0
  if on then fault(rule) end
end
feature("error_reads", params.flag("error_reads", false), { op = { "read", "cache" }, error = "EIO" })
feature("error_writes", params.flag("error_writes", false), { op = WRITES, error = "EIO" })
feature("drop_writes", params.flag("drop_writes", false), { op = WRITES, lose = true })
for _, op in ipairs { "read", "write" } do
  local name = "random_" .. op .. "_corrupt"
  local n = params.number(name, 0, 0, 1000000000)
  feature(name, n > 0, { op = op, p = n / 1e9, corrupt = 1 })
end
feature("down", not next(asked), { op = { "read", "cache", table.unpack(WRITES) }, error = "EIO" })

for _, pair in ipairs {
  { "drop_writes", "error_writes" }, { "drop_writes", "corrupt_bio_byte w" }, { "drop_writes", "random_write_corrupt" },
  { "error_writes", "corrupt_bio_byte w" }, { "error_writes", "random_write_corrupt" },
  { "error_reads", "corrupt_bio_byte r" }, { "error_reads", "random_read_corrupt" },
} do
  local a, b = pair[1], pair[2]
  if asked[a] and asked[b] then error("dm-flakey.lua: " .. a .. " contradicts " .. b, 0) end
end
