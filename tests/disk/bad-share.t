#!/usr/bin/env bash
# disk:bad { p = } makes a share of the sectors bad, the same ones for the same seed.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >share.lua <<'LUA'
local function mark(of)
  disk:heal()
  disk:bad(of)
  local text, sectors = {}, 0
  for i, r in ipairs(disk:bad()) do
    text[i] = r.offset .. "+" .. r.count
    sectors = sectors + (r.count + 511) // 512
  end
  return table.concat(text, " "), sectors
end
local function same(what, ...) print(what, mark {...} == mark {...}) end
local function share(p, least, most, of)
  of = of or {}
  of.p = p
  local _, sectors = mark(of)
  print("share", p, sectors >= least and sectors <= most or sectors)
end
-- 2^20 sectors, and the bounds are six standard deviations off.
share(0.001, 1048 - 195, 1048 + 195)
share("1%", 10485 - 612, 10485 + 612)
share("1:4", 262144 - 2661, 262144 + 2661)
share(0.999, 1047527 - 195, 1047527 + 195)
share(0, 0, 0)
share(1, 1 << 20, 1 << 20)
share(0.5, 2048 - 193, 2048 + 193, { offset = "1M", count = "2M" })
share(0.5, 0, 0, { offset = 100, count = 0 })
print("same", mark { p = 0.01 } == mark { p = 0.01 }, mark { p = 0.01, seed = 1 } == mark { p = 0.01, seed = 1 })
print("other", mark { p = 0.01, seed = 1 } == mark { p = 0.01, seed = 2 }, mark { p = 0.01, seed = param.seed } == mark { p = 0.01 })
local inside = true
disk:heal()
disk:bad { p = 0.5, offset = "1M", count = "2M" }
for _, r in ipairs(disk:bad()) do inside = inside and r.offset >= 1 << 20 and r.offset + r.count <= 3 << 20 end
print("inside", inside)
LUA
serve size=512M seed=5 hooks=share.lua
is "$(cat log)" "share	0.001	true
share	1%	true
share	1:4	true
share	0.999	true
share	0	true
share	1	true
share	0.5	true
share	0.5	true
same	true	true
other	false	true
inside	true" "by chance: the share, the same for the same seed, only in the range"
stopped
done_testing
