-- For scripts, not for hooks=: local bits = require "lib.bits".  Changed copies of strings.
local bits = {}

-- CHANGES is a list, in the order of the bits, of { the bit, counted from 0; true or false, its new value, or nil: it
-- flips }.
function bits.change(data, changes)
  local parts, from = {}, 1
  for _, change in ipairs(changes) do
    local place, mask, value = (change[1] >> 3) + 1, 1 << (change[1] & 7), change[2]
    if place >= from then
      parts[#parts + 1], from = data:sub(from, place), place + 1
    end
    local last = parts[#parts]
    local byte = last:byte(-1)
    if value == nil then value = byte & mask == 0 end
    parts[#parts] = last:sub(1, -2) .. string.char(value and byte | mask or byte & ~mask)
  end
  return table.concat(parts) .. data:sub(from)
end

-- The byte at PLACE, counted from 1, if there is one, becomes HOW(the byte).
function bits.change_byte(data, place, how)
  local byte = data:byte(place)
  return byte and data:sub(1, place - 1) .. string.char(how(byte)) .. data:sub(place + 1) or data
end

return bits
