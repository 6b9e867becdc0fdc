-- Loads images: each file=NAME, or file=NAME@OFFSET, to the start of the disk or to that offset; holes stay holes.
-- nbdkit ./memory.so size=1G hooks=scripts/image.lua file=LICENSE file=LICENSE@1M
-- offset= is where a file goes that says none itself.  A name that ends as if by an offset needs one more: a@1M@0.

local params = require "lib.params"
local files, default, seen = params.list "file", params.bytes("offset", 0), false
if not files[1] then error("image.lua: say which image to load: file=NAME", 0) end

for _, file in ipairs(files) do
  local name, at = file:match "^(.+)@([^@]+)$"
  local ok, offset = pcall(bytes, at)
  if not ok then
    if seen then error("image.lua: file=" .. file .. ": say where this one goes: file=NAME@OFFSET", 0) end
    name, offset, seen = file, default, true
  end
  disk:load(name, offset)
end
