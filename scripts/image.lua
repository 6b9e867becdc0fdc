-- Loads an image, to the start of the disk or to offset=; holes in the file stay holes.
-- nbdkit ./memory.so size=1G hooks=scripts/image.lua file=LICENSE

local file = param.file or error("image.lua: say which image to load: file=NAME", 0)
local ok, offset = pcall(bytes, param.offset or 0)

if not ok then
  error("image.lua: offset=" .. param.offset .. ": expected bytes, such as 1M", 0)
end
disk:load(file, offset)
