-- For scripts, not for hooks=: local bits = require "lib.bits".  Changed copies of strings.
local bits = {}

-- The byte at PLACE, counted from 1, if there is one, becomes HOW(the byte).
function bits.change_byte(data, place, how)
  local byte = data:byte(place)
  return byte and data:sub(1, place - 1) .. string.char(how(byte)) .. data:sub(place + 1) or data
end

return bits
