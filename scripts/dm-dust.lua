-- dm-dust: blocks that can't be read until they are written, added at run time.
-- nbdkit ./memory.so size=1G hooks=scripts/dm-dust.lua blksz=4096 addbadblock=60,67 control=ctl.sock
-- memctl ctl.sock 'dust.enable()' begins: until then, and after dust.disable(), bad blocks are only remembered.
-- Also addbadblock(N [, COUNT]) (the first COUNT writes fail too), removebadblock(N), queryblock(N), countbadblocks(),
-- listbadblocks(), clearbadblocks(), quiet() (no messages, or again).  At start: addbadblock=LIST, enable=true.
-- Blocks are of blksz= bytes (512).  A request that touches several blocks fails as a whole.

local params = require "lib.params"
local blksz, enabled, loud = params.bytes("blksz", 512), params.flag("enable", false), true
if blksz < 512 or blksz > 1 << 30 or blksz & (blksz - 1) ~= 0 then
  error("blksz=" .. blksz .. ": expected a power of two from 512 to 1G", 0)
end
local last, blocks = (disk.size - 1) // blksz, {}       -- the bad ones: how many writes fail yet

for op in ("read cache write zero trim"):gmatch "%w+" do
  on[op] = function(req)
    if not enabled or not next(blocks) then return end
    local first, last_one, failed = req.offset // blksz, (req.offset + req.count - 1) // blksz, false
    for n = first, last_one do
      local fails = blocks[n]
      if fails and (op == "read" or op == "cache") then fail "EIO" end
      if fails and fails > 0 then blocks[n], failed = fails - 1, true end
    end
    if failed then fail "EIO" end
    for n = first, last_one do blocks[n] = nil end       -- what was written is good
  end
end

local function block(n, name) return params.of { [name] = tostring(n) }.number(name, nil, 0, last) end
local function change(what, n, is_bad, fails)
  if dust.queryblock(n) ~= is_bad then error("block " .. n .. " is " .. (is_bad and "not bad" or "bad already"), 0) end
  blocks[block(n, "block")] = fails
  if loud then print("dm-dust: " .. what, n) end
end
dust = object("dust", {
  enable = function() enabled = true end, disable = function() enabled = false end,
  quiet = function() loud = not loud end, clearbadblocks = function() blocks = {} end,
  addbadblock = function(n, count) change("bad", n, false, params.of { count = count }.number("count", 0)) end,
  removebadblock = function(n) change("removed", n, true) end,
  queryblock = function(n) return blocks[block(n, "block")] ~= nil end,
  listbadblocks = function()
    local list = {}
    for n in pairs(blocks) do list[#list + 1] = n end
    table.sort(list)
    return list
  end,
  countbadblocks = function() return #dust.listbadblocks() end,
})
for n in (param.addbadblock or ""):gmatch "[^,]+" do dust.addbadblock(block(n, "addbadblock")) end
