#!/usr/bin/env bash
# Scripts read, write, zero, fill and randomise the disk byte for byte, at odd
# offsets too.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >content.lua <<'LUA'
-- The same on a string, slowly.
local model = ("\0"):rep(disk.size)
local function put(offset, data)
  model = model:sub(1, offset) .. data .. model:sub(offset + #data + 1)
end
local function same(what)
  if disk:read(0, disk.size) ~= model then print(what, "DIFFERS") end
end
-- Around pages of 4096 and pieces of 65536.
local ranges = {{0, 1}, {1, 4095}, {4095, 2}, {4096, 4096}, {65535, 3}, {65000, 70001},
                {131071, 131073}, {disk.size - 1, 1}, {disk.size - 70000, 70000}, {0, disk.size}}
for i, r in ipairs(ranges) do
  local offset, count = r[1], r[2]
  for _, pattern in ipairs {"x", "abc", ("0123456789"):rep(7000), "\0"} do
    disk:fill(offset, count, pattern)
    put(offset, pattern:rep(count // #pattern + 1):sub(1, count))
    same("fill " .. i)
  end
  disk:write(offset, ("w%d"):format(i):rep(count):sub(1, count))
  put(offset, ("w%d"):format(i):rep(count):sub(1, count))
  same("write " .. i)
  local middle = count // 3
  disk:zero(offset + middle, middle)
  put(offset + middle, ("\0"):rep(middle))
  same("zero " .. i)
end
for i, r in ipairs(ranges) do
  if disk:read(r[1], r[2]) ~= model:sub(r[1] + 1, r[1] + r[2]) then print("read", i, "DIFFERS") end
end

-- Random bytes depend on the seed and their offset alone.
disk:random(0, disk.size, 5)
local whole = disk:read(0, disk.size)
disk:zero(0, disk.size)
for offset = 0, disk.size - 1, 69997 do
  disk:random(offset, math.min(69997, disk.size - offset), 5)
end
print("in pieces", disk:read(0, disk.size) == whole)
disk:random(4095, 10000, 6)
print("another seed", disk:read(4095, 10000) ~= whole:sub(4096, 14095))
print("the rest", disk:read(0, 4095) == whole:sub(1, 4095), disk:read(14095, disk.size - 14095) == whole:sub(14096))
disk:random(0, 16)
local hex = disk:read(0, 16):gsub(".", function(c) return ("%02x"):format(c:byte()) end)
print("seed=", hex)
local seen = {}
for i = 1, #whole - 8, 8 do seen[whole:sub(i, i + 7)] = true end
local n = 0
for _ in pairs(seen) do n = n + 1 end
print("words that differ", n)

disk:zero(0, disk.size)
disk:fill("4K", "1s", "<>")
disk:write("64k", "end")
LUA
serve size=300001 hooks=content.lua seed=42
is "$(cat log)" "in pieces	true
another seed	true
the rest	true	true
seed=	04721065bafae1575540b2fe43d1abf4
words that differ	37500" "as on a string"
is "$(python 'print(h.pread(514, 4095).count(b"<>"), h.pread(3, 65536).decode(), sum(h.pread(300001, 0)))')" \
   "256 end $((256 * (60 + 62) + 101 + 110 + 100))" "clients read the same"
stopped

# In a hook too, whatever the hook's disk is.
serve size=1M lua='
function on.flush()
  disk:write(3, "hook") disk:fill(100, 5, "ab") disk:zero(4, 1) disk:random(200, 4)
  print(disk:read(2, 6), #disk:read(0, disk.size))
end'
is "$(python 'h.flush(); print(h.pread(6, 2), h.pread(6, 100), any(h.pread(4, 200)))')" \
   "bytearray(b'\\x00h\\x00ok\\x00') bytearray(b'ababa\\x00') True" "in a hook"
stopped
done_testing
