#!/usr/bin/env bash
# disk:extents says what is stored, as clients see it.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

P=$((1 << 50))
serve size=8P lua='
disk:write(4095, "xx") disk:write("1P", "y") disk:write(disk.size - 1, "z")
local function show(what, ...)
  print(what)
  for o, c, k in disk:extents(...) do print(o, c, k) end
end
show("all") show("part", 4097, 8192) show("rest", disk.size - 4097) show("none", disk.size)
print "changed meanwhile"
for o, c, k in disk:extents(0, "1M") do print(o, c, k) disk:zero(0, "1M") end
function on.flush() show("hook", 0, "1P") end'
is "$(cat log)" "all
0	8192	data
8192	$((P - 8192))	hole
$P	4096	data
$((P + 4096))	$((7 * P - 8192))	hole
$((8 * P - 4096))	4096	data
part
4097	4095	data
8192	4097	hole
rest
$((8 * P - 4097))	1	hole
$((8 * P - 4096))	4096	data
none
changed meanwhile
0	8192	data
8192	$(((1 << 20) - 8192))	hole" "of the whole disk, or of a part"
python 'h.flush()'
is "$(tail -2 log)" "hook
0	$P	hole" "in a hook"
is "$(python 'from clients import *; print(extents(connect(), 8192, 1 << 50))')" "[(4096, 0), (4096, 3)]" "clients see the same"
stopped
done_testing
