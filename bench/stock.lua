-- A disk for nbdkit's own Lua plugin, with its data in Lua: blocks of 4 KiB, and whole ones only.
-- nbdkit lua bench/stock.lua size=64M

local size, blocks, zeroes = 1 << 26, {}, ("\0"):rep(4096)

function config(_, value) size = tonumber((value:gsub("M$", ""))) << 20 end
function open() return {} end
function get_size() return size end

function pread(_, count, offset)
  if count == 4096 then return blocks[offset >> 12] or zeroes end
  local parts = {}
  for o = offset, offset + count - 1, 4096 do parts[#parts + 1] = blocks[o >> 12] or zeroes end
  return table.concat(parts)
end

function pwrite(_, data, offset)
  for i = 0, #data - 1, 4096 do blocks[(offset + i) >> 12] = data:sub(i + 1, i + 4096) end
end
