-- Each 8 bytes hold their offset, big endian, as in nbdkit-pattern-plugin; this takes no memory.
-- nbdkit ./memory.so size=8P hooks=scripts/pattern.lua

-- Within 64 KiB only the last two of eight bytes change.
local low = {}
for i = 0, 0xffff, 8 do low[#low + 1] = string.pack(">I2", i) end

function on.fill(offset, count)
  local parts, last = {}, offset + count - 1
  while offset <= last do
    local high = string.pack(">I8", offset):sub(1, 6)
    local stop = math.min(offset | 0xffff, last)
    parts[#parts + 1] = high .. table.concat(low, high, (offset & 0xffff) // 8 + 1,
                                             (stop & 0xffff) // 8 + 1)
    offset = stop + 1
  end
  return table.concat(parts):sub(1, count)
end
