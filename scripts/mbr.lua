-- An MBR with up to four partitions of these sizes ("rest": what is left), each at a whole MiB;
-- types= in hexadecimal, 83 (Linux) where there is none.
-- nbdkit ./memory.so size=1G hooks=scripts/mbr.lua parts=100M,200M,rest types=c,82

local parts = param.parts or error("mbr.lua: say how large the partitions are: parts=100M,rest", 0)

local types = {}
for t in (param.types or "83"):gmatch "[^,]*" do
  types[#types + 1] = t:match "^%x%x?$" and tonumber(t, 16)
    or error("mbr.lua: types=" .. param.types .. ": expected 1 to ff, such as c,82", 0)
end

local entries, MiB, start = {}, 1 << 20, 1 << 20
for part in parts:gmatch "[^,]*" do
  local n, room = #entries + 1, math.max(disk.size - start, 0)
  local ok, size = pcall(bytes, part == "rest" and room or part)
  if not ok or size < 512 or size > room then
    error(("mbr.lua: parts=%s: \"%s\": %s"):format(parts, part, room < 512 and "no room is left on the disk"
          or "expected 512 to " .. room .. ", which is left of the disk, or rest"), 0)
  elseif n > 4 or (start + size) // 512 > 1 << 32 then
    error("mbr.lua: an MBR has 4 partitions, all in the first 2 TiB; try gpt.lua", 0)
  end
  -- Not bootable; its type; first sector and count.  FE FF FF: not told as cylinder, head, sector.
  entries[n] = string.pack("<Bc3Bc3I4I4", 0, "\xfe\xff\xff", types[n] or 0x83, "\xfe\xff\xff",
                           start // 512, size // 512)
  start = (start + size + MiB - 1) // MiB * MiB
end
disk:write(440, string.pack("c6c64c2", "nbdk", table.concat(entries), "\x55\xaa"))
