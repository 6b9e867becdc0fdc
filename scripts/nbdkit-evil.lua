-- nbdkit's evil filter: some bits are wrong when they are read.
-- nbdkit ./memory.so size=1G hooks=scripts/nbdkit-evil.lua evil=stuck-bits evil-probability=1:100000
-- evil=cosmic-rays: bits flip, others in each read; stuck-bits (the default): bits of the disk read as 0, or as 1;
-- stuck-wires: bits of each request do, counted from its start.  evil-probability= of each bit (1e-8, 1e-6 for wires);
-- evil-stuck-probability= that such a bit is stuck this time (1); evil-seed= (seed=).  Other bits than the filter's.

local params = require "lib.params"
local modes = { ["cosmic-rays"] = "rays", cosmic = "rays", ["stuck-bits"] = "bits", ["stuck-bit"] = "bits",
                stuck = "bits", ["stuck-wires"] = "wires", ["stuck-wire"] = "wires" }
local mode = params.choice("evil", modes, params.choice("evil-mode", modes, "bits"))
local p = params.rate("evil-probability", mode == "wires" and 1e-6 or 1e-8)
local stuck, seed = params.rate("evil-stuck-probability", 1), params.number("evil-seed")

function on.read(req)
  local data = req:run()
  local offset = mode == "bits" and req.offset or mode == "wires" and 0 or nil
  if data then req.data = flip(data, p, { offset = offset, seed = seed, stuck = offset and stuck }) end
end
