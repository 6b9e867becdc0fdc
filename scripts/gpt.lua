-- A GPT with Linux partitions of these sizes ("rest": what is left), each at a whole MiB.
-- nbdkit ./memory.so size=1G hooks=scripts/gpt.lua parts=100M,200M,rest

local parts = param.parts or error("gpt.lua: say how large the partitions are: parts=100M,rest", 0)

local function crc32(s)
  local crc = 0xffffffff
  for i = 1, #s do
    crc = crc ~ s:byte(i)
    for _ = 1, 8 do crc = crc >> 1 ~ (crc & 1) * 0xedb88320 end
  end
  return crc ~ 0xffffffff
end

-- GUIDs: random bytes, which depend on seed=, from where the table will be.
disk:random(0, math.min(16 * 129, disk.size))

local entries, MiB, start, last = {}, 1 << 20, 1 << 20, disk.size // 512 - 1
for part in parts:gmatch "[^,]*" do
  local n, room = #entries + 1, math.max((last - 32) * 512 - start, 0)
  local ok, size = pcall(bytes, part == "rest" and room // MiB * MiB or part)
  if not ok or size < 512 or size > room or n > 128 then
    error(("gpt.lua: parts=%s: \"%s\": %s"):format(parts, part, room < 512 and "no room is left on the disk"
          or "expected 512 to " .. room .. ", which is left of the disk, or rest"), 0)
  end
  entries[n] = string.pack("<c16c16I8I8c80", "\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4",
                           disk:read(16 * n, 16), start // 512, (start + size) // 512 - 1, "")
  start = (start + size + MiB - 1) // MiB * MiB
end

local array, id = string.pack("c16384", table.concat(entries)), disk:read(0, 16)
local function header(here, there, array_at)
  local h = string.pack("<c8I4I4I8I8I8I8I8c16I8I4I4I4", "EFI PART", 0x10000, 92, 0, here, there, 34, last - 33,
                        id, array_at, 128, 128, crc32(array))
  return string.pack("<c16I4c492", h:sub(1, 16), crc32(h), h:sub(21))
end
local mbr = string.pack("<c447c3Bc3I4I4c48c2", "", "\0\2\0", 0xee, "\xff\xff\xff", 1, math.min(last, 0xffffffff),
                        "", "\x55\xaa")
disk:write(0, mbr .. header(1, last, 2) .. array)
disk:write((last - 32) * 512, array .. header(last, 1, last - 32))
