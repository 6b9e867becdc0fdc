-- How fast the disk is filled, in MB/s of CPU time, and how long a snapshot takes, in ms.
-- nbdkit ./memory.so size=1G hooks=bench/speed.lua file=IMAGE --run true

local size = disk.size

local function seconds(work)
  local start = os.clock()
  work()
  return os.clock() - start
end

-- Into memory that the store has yet to allocate, and once more into the same.
local function both(name, work)
  for _, memory in ipairs { "fresh", "touched" } do
    print(name, memory, size / 1e6 / seconds(work))
  end
end

local fills = {
  fill = function() disk:fill(0, size, "nbdkit") end,
  random = function() disk:random(0, size) end,
  load = function() disk:load(param.file) end,
}
for _, name in ipairs { "fill", "random", "load" } do
  both(name, fills[name])
  if name == "load" then
    print("snapshot", "ms", 1000 * seconds(function() disk:snapshot "now" end))
  end
  disk:zero(0, size)
end
