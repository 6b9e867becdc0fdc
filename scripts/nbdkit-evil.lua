-- nbdkit's evil filter: some bits are wrong when they are read.
-- nbdkit ./memory.so size=1G hooks=scripts/nbdkit-evil.lua evil=stuck-bits evil-probability=1:100000
-- evil=cosmic-rays: bits flip, others in each read; stuck-bits (the default): bits of the disk read as 0, or as 1;
-- stuck-wires: bits of each request do, counted from its start.  evil-probability= of each bit (1e-8, 1e-6 for wires);
-- evil-stuck-probability= that such a bit is stuck this time (1); evil-seed= (seed=).  Other bits than the filter's.

local bits, luck, params = require "lib.bits", require "lib.luck", require "lib.params"
local mode = params.choice("evil", { ["cosmic-rays"] = 1, ["stuck-bits"] = 2, ["stuck-wires"] = 3 }, 2)
local p = params.rate("evil-probability", mode == 3 and 1e-6 or 1e-8)
local stuck = params.rate("evil-stuck-probability", 1)
local seed = luck.mix(params.number("evil-seed", params.number("seed", 0)))
local BLOCK <const> = 4096

function on.read(req)
  local changes, first, count = {}, 0, req.count * 8
  local function add(n, random)
    n = n + first
    if n < 0 or n >= count then return end
    if mode == 1 then changes[#changes + 1] = { n }
    elseif stuck == 1 or chance(stuck) then changes[#changes + 1] = { n, random & 1 == 1 } end
  end
  if mode == 1 and chance(luck.any(count, p)) then
    luck.choose(count, p, luck.mix(seed ~ req.offset) ~ luck.draw(), add, true)
  elseif mode == 2 then
    for block = req.offset // BLOCK, (req.offset + req.count - 1) // BLOCK do
      first = (block * BLOCK - req.offset) * 8
      luck.choose(BLOCK * 8, p, seed ~ luck.mix(block), add)
    end
  elseif mode == 3 then
    luck.choose(count, p, seed, add)
  end
  if #changes > 0 and req:run() then req.data = bits.change(req.data, changes) end
end
