-- A sparse disk shaped like a VM image: an MBR, a partition at 1 MiB, and clusters of random data,
-- 4 KiB to 4 MiB each, over full= of it.  variant= gives another layout, seed= other data.
-- nbdkit ./memory.so size=2G hooks=scripts/vm-image.lua full=10% variant=2

local full = tonumber((param.full or "10%"):match "^([%d.]+)%%?$")
if not full or full <= 0 or full > 100 then
  error("vm-image.lua: full=" .. param.full .. ": expected how much holds data, such as 10%", 0)
end
local variant = math.tointeger(tonumber(param.variant or 1))
  or error("vm-image.lua: variant=" .. param.variant .. ": expected a whole number", 0)

local start, stop = 1 << 20, disk.size // 4096 * 4096
if stop <= start then error("vm-image.lua: the disk must be larger than 1M", 0) end
disk:write(440, string.pack("<c6Bc3Bc3I4I4c48c2", "nbdk", 0x80, "\xfe\xff\xff", 0x83, "\xfe\xff\xff", start // 512,
                            math.min((stop - start) // 512, 0xffffffff), "", "\x55\xaa"))

-- Each cluster lies somewhere in a region of which it is that share.  All in pages of 4 KiB.
math.randomseed(variant)
local page, last = start / 4096, stop / 4096
while page < last do
  local data = math.random(1 << math.random(0, 10))
  local region = data * 100 / full
  if region > last - page then
    region = last - page
    data = math.floor(region * full / 100)
  end
  disk:random(math.floor(page + math.random() * (region - data)) * 4096, data * 4096)
  page = page + region
end
