#!/usr/bin/env bash
# A snapshot is an object with read, extents and save, which shows what the snapshot
# holds now, and which does not keep it.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh cmp

serve size=1M control=ctl.sock lua='
disk:write(0, "old")
local s = disk:snapshot "first"
disk:write(0, "new") disk:write("64K", "more")
local t = disk:get "first"
print(s.name, s.size, s:read(0, 3), t:read("0", "3"), disk:read(0, 3))
for o, c, k in s:extents() do print(o, c, k) end
for o, c, k in t:extents("2K", "4K") do print(o, c, k) end
s:save "first.img"
disk:save "live.img"
function on.flush() print(s:read(0, 3)) end
function on.cache() disk:drop "first" end
function on.trim() disk:snapshot "first" end'
is "$(cat log)" "first	1048576	old	old	new
0	4096	data
4096	1044480	hole
2048	2048	data
4096	2048	hole" "read and extents"
is "$(head -c 3 first.img) $(stat -c %s first.img) $(head -c 3 live.img)" "old 1048576 new" "save"
check "first.img is the snapshot" nbdsh -u "nbd+unix:///first?socket=$sock" -c \
    'assert h.pread(1 << 20, 0) == open("first.img", "rb").read()'
python 'first = nbd.NBD(); first.set_export_name("first"); first.connect_unix(os.environ["sock"])
first.pwrite(b"its", 0); h.flush(); h.cache(1, 0)
for i in range(2):
    try: h.flush()
    except nbd.Error as e: print(e.errno)
    if i == 0: h.trim(1, 0)' >out
is "$(cat out)" "EIO
EIO" "neither dropped, nor another of the same name"
like "$(cat log)" "^its" "what clients have written"
like "$(cat log)" "error: .*the snapshot 'first' was dropped" "is said"
is "$("$TOP/memctl" ctl.sock 'return disk:get "first"')" '{"name":"first","size":1048576}' "an answer of memctl"
stopped

# What was dropped takes no memory, though a script has the object.
serve size=64M lua='all = {}
for i = 1, 20 do
  disk:random(0, disk.size, i)
  all[i] = disk:snapshot("s" .. i)
  assert(all[i]:read(0, 8) == disk:read(0, 8))
  disk:drop("s" .. i)
end
print(disk:stats().allocated)'
is "$(cat log)" 67108864 "dropped snapshots take no memory"
stopped

# An object can stand where the name can.
serve size=1M lua='
disk:write(0, "old")
local s = disk:snapshot "one"
disk:write(0, "new")
print(fault { op = "read", stale = s, name = "f" }.text)
print(disk:get(s).name)
disk:revert(s)
print(disk:read(0, 3))
disk:drop(s)
disk:snapshot "one"
for _, f in ipairs { disk.get, disk.revert, disk.drop } do print(select(2, pcall(f, disk, s))) end
print(select(2, pcall(fault, { op = "read", stale = s })))
print(pcall(disk.drop, disk, {}))'
gone="the snapshot 'one' was dropped"
is "$(grep -v "got table" log)" "op=\"read\" stale=\"one\"
one
old
$gone
$gone
$gone
$gone" "an object instead of the name"
is "$(grep -c "string expected, got table" log)" 1 "nothing else"
stopped

# A function on.fill that fails lets go of the snapshot that it was about.
serve size=1M lua='
function on.fill(offset, count) if bad then fail "EIO" end return ("f"):rep(count) end
local s = disk:snapshot "filled"
disk:write(0, "new!")
print(s:read(0, 4))
bad = true
print(pcall(s.read, s, 0, 4))
print(pcall(s.save, s, "bad.img"))
bad = false
disk:zero(0, disk.size)
disk:random(0, disk.size)
s = disk:drop "filled"
print(disk:stats().allocated)'
is "$(grep -v ^false log)" "ffff
1048576" "initial content, and errors"
is "$(grep -c ^false log)" 2 "that are raised"
stopped
done_testing
