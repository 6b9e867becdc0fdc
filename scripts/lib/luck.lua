-- For scripts, not for hooks=: local luck = require "lib.luck".  Random choices that depend on a seed alone, or, in a
-- hook, on seed=, the request and how often it came before.
local luck = {}

-- A different number for each number (a step of splitmix64).
function luck.mix(n)
  n = n + 0x9E3779B97F4A7C15
  n = (n ~ n >> 30) * 0xBF58476D1CE4E5B9
  n = (n ~ n >> 27) * 0x94D049BB133111EB
  return n ~ n >> 31
end

-- In a hook: one of 65536 numbers.
function luck.draw()
  local n = 0
  for i = 0, 15 do
    if chance(0.5) then n = n | 1 << i end
  end
  return n
end

local function rate(p)
  return p < 1e-6 and p or p < 1 and -math.log(1 - p) or 1e9
end

-- The probability that any of COUNT things happens that have probability P each.
function luck.any(count, p)
  return 1 - math.exp(-rate(p) * count)
end

-- Choose among the numbers from 0 to COUNT-1, each with probability P: calls EACH(number, a random number), in order.
-- SOME says that at least one is chosen.
function luck.choose(count, p, seed, each, some)
  local n, none = 0, some and 1 - luck.any(count, p) or 0
  while n < count and p > 0 do
    seed = luck.mix(seed)
    local gap = -math.log(none + (1 - none) * ((seed >> 11) + 1) * 0x1p-53) / rate(p)
    if gap >= count - n then return end
    n, none = n + math.floor(gap), 0
    each(n, luck.mix(seed + 1))
    n = n + 1
  end
end

return luck
