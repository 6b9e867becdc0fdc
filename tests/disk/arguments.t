#!/usr/bin/env bash
# Wrong arguments of disk's methods are errors at once, with the nearest valid name
# if there is one.
. "$(dirname "$0")/../lib/lib.sh"
[ "$WATCH" != tsan ] || skip_all "what nbdkit --run starts does not bear the sanitizer, and there is one thread"

echo data >file
truncate -s 2M large
mkfifo fifo
cat >wrong.lua <<'LUA'
local function try(expected, f)
  local ok, e = pcall(f)
  e = ok and "no error" or tostring(e)
  print(e:find(expected) and e:find("^wrong%.lua:%d+: ") and "good" or e .. " IS NOT " .. expected)
end
local size = disk.size
try("wirte.*did you mean 'write'", function() disk:wirte(0, "x") end)
try("'sise'; did you mean 'size'", function() return disk.sise end)
try("'sise'; did you mean 'size'", function() disk.sise = 1 end)
try("'zzzzzz'", function() disk:zzzzzz() end)
try("disk:write%(offset, data%), with a colon", function() disk.write(0, "x") end)
try("disk:read%(offset, count%), with a colon", function() disk.read(0, 1) end)

try("negative", function() disk:read(-1, 1) end)
try("negative", function() disk:read(0, -1) end)
try("past the end", function() disk:read(0, size + 1) end)
try("past the end", function() disk:read(size, 1) end)
try("past the end", function() disk:read(size + 1, 0) end)
try("past the end", function() disk:read(1, math.maxinteger) end)
try("past the end", function() disk:read(math.maxinteger, math.maxinteger) end)
try("no integer", function() disk:read(0.5, 1) end)
try("number expected", function() disk:read() end)
try("number expected", function() disk:read(0) end)
try("number expected", function() disk:read({}, 1) end)
try("expected bytes", function() disk:read("x", 1) end)
try("expected bytes", function() disk:read("-1", 1) end)
try("expected bytes", function() disk:read("", 1) end)
try("past the end", function() disk:read("1G", 1) end)

try("past the end", function() disk:write(size - 1, "xx") end)
try("past the end", function() disk:write("2M", "") end)
try("string expected", function() disk:write(0) end)
try("string expected", function() disk:write(0, {}) end)
try("past the end", function() disk:zero(1, size) end)
try("negative", function() disk:zero(0, -1) end)
try("past the end", function() disk:fill(0, size + 1, "x") end)
try("empty", function() disk:fill(0, 1, "") end)
try("string expected", function() disk:fill(0, 1) end)
try("past the end", function() disk:random(size, 1) end)
try("number", function() disk:random(0, 1, "seed") end)

try("No such file", function() disk:load("missing") end)
try("disk has", function() disk:load("large") end)
try("disk has", function() disk:load("file", size - 2) end)
try("past the end", function() disk:load("file", size + 1) end)
try("string expected", function() disk:load() end)
try("%.: is neither a file", function() disk:load(".") end)
try("null: is neither a file", function() disk:load("/dev/null") end)
try("fifo: ", function() disk:load("fifo") end)
try("No such file", function() disk:save("missing/file") end)
try("directory", function() disk:save(".") end)
try("past the end", function() disk:extents(size + 1) end)
try("past the end", function() disk:extents(1, size) end)

try("name", function() disk:snapshot("") end)
try("name", function() disk:snapshot("a\0b") end)
try("name", function() disk:snapshot(("x"):rep(4097)) end)
try("string expected", function() disk:snapshot() end)
disk:snapshot("twice")
try("'twice' already", function() disk:snapshot("twice") end)
try("no snapshot 'never'", function() disk:drop("never") end)
try("no snapshot ''", function() disk:drop("") end)

local snapshot = disk:get "twice"
try("no snapshot 'never'", function() disk:get("never") end)
try("no snapshot ''", function() disk:get("") end)
try("string expected", function() disk:get() end)
try("no snapshot 'never'", function() disk:revert("never") end)
try("no snapshot ''", function() disk:revert("") end)
try("string expected", function() disk:revert({}) end)
try("a snapshot has no 'raed'; did you mean 'read'", function() snapshot:raed(0, 1) end)
try("a snapshot has no 'zzzzzz'", function() return snapshot.zzzzzz end)
try("a snapshot has no 'sise'; did you mean 'size'", function() snapshot.sise = 1 end)
try("read of a snapshot can't be set", function() snapshot.read = print end)
try("disk:read%(offset, count%), with a colon", function() snapshot.read(0, 1) end)
try("disk:read%(offset, count%), with a colon", function() snapshot.read({}, 0, 1) end)
try("disk:read%(offset, count%), with a colon", function() disk.read(io.stderr, 0, 1) end)
try("disk:write%(offset, data%), with a colon", function() disk.write(snapshot, 0, "x") end)
try("disk:snapshot%(name%), with a colon", function() disk.snapshot(snapshot, "x") end)
try("past the end", function() snapshot:read(size, 1) end)
try("number expected", function() snapshot:read(0) end)
try("past the end", function() snapshot:extents(size + 1) end)
try("string expected", function() snapshot:save() end)
disk:drop "twice"
try("'twice' was dropped", function() snapshot:read(0, 1) end)
try("'twice' was dropped", function() snapshot:extents() end)
try("'twice' was dropped", function() snapshot:save("file") end)

try("size.*can't be set", function() disk.size = 1 end)
try("zero.*can't be set", function() disk.zero = print end)

-- Nothing of that has changed anything.
for offset, count, kind in disk:extents() do print(offset, count, kind) end
-- At the very end, and of no length.
disk:write(size - 1, "x")
disk:write(size, "")
print(disk:read(size - 1, 1), #disk:read(size, 0), disk:read("0", "0") == "")
disk:zero(size, 0) disk:fill(size, 0, "x") disk:random(size, 0)
for _ in disk:extents(size, 0) do print "an extent of nothing" end
LUA
nbdkit_run -U - size=1M hooks=wrong.lua --run : >out 2>&1
is "$?" 0 "the script runs to its end"
is "$(grep -v '^good$' out)" $'0\t1048576\thole\nx\t0\ttrue' "each mistake is named, and changes nothing"
is "$(grep -c '^good$' out)" 75 "all of them"
done_testing
