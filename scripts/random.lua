-- Random bytes over the disk, or its first count= bytes: the same for a seed=, on any machine.
-- nbdkit ./memory.so size=1G hooks=scripts/random.lua count=64M seed=7

local ok, count = pcall(bytes, param.count or disk.size)

if not ok or count > disk.size then
  error("random.lua: count=" .. param.count .. ": expected bytes up to the disk's size, such as 64M", 0)
end
disk:random(0, count)
