#!/usr/bin/env bash
# A history is saved, and served by another server: all names show what they showed.  Tools
# that read logs of dm-log-writes read the file, too.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"
memctl=$TOP/memctl

# The names and digests of all states at the points that suffice, and what happened.
listed ()
{
    "$memctl" ctl 'local t = {}
        for s in disk:states { how = "random", units = "sectors", count = 20 } do t[#t + 1] = s.name .. " " .. s.digest .. tostring(s.legal) end
        for s in disk:states { how = "lose-one" } do t[#t + 1] = s.name .. " " .. s.digest .. s.sectors end
        return t'
    "$memctl" ctl 'local t = {} for e in disk:history() do t[#t + 1] = e end return t'
}

# replayed ARGUMENTS: serve the file history.
replayed ()
{
    rm -f ctl
    serve replay=history control=ctl lua='local may = sleep' "$@"
}

# refused TEXT NAME ARGUMENTS: the server does not start, and says why.
refused ()
{
    local text=$1 name=$2
    shift 2
    is "$(nbdkit_run -U - "$@" --run 'echo served' 2>said; echo $?)" 1 "$name"
    like "$(cat said)" "$text" "$name: it is said why"
    is "$(grep -c 'error' said)" 1 "$name: in one line"
}

cached 10K history=16M
rows '
other = connect()
mark = lambda text: control(f"disk:mark [[{text}]]")
control("disk:write(0, ([[o]]):rep(disk.size))")
write(h, "ABC"); flush(h); write(h, "D", 1); mark("ack 1/2"); zero(h, 3, 2, fua=True)
write(h, b"bytes", offset=1000)
held = Held("after", h, "write", "E", 4)
write(other, "FG", 4); flush(other); trim(h, 8, 8)
control("fault { op = [[flush]], lose = true, times = 1 }")
flush(h)
held.go()
mark("ack 2"); failing(h, "write", "X", 7)
control("fault { op = [[flush]], error = [[EIO]], lose = true, times = 1 }")
flush(h)
write(h, "HI", 9); control("disk:cut [[sectors-5]]"); control("disk:power_on()")
write(h, "JKLM", 12); control("disk:zero(512, 1024)"); write(h, b"y" * 700, offset=9500)
write(h, "N", 3, fua=True); write(h, "O", 3)
mark("last")
same("it is saved", control("disk:save_history [[history]]")[-8:], "/history")
same("what is at the end", len(set(disk(h))) > 5, True)
open("end.img", "wb").write(h.pread(h.get_size(), 0))
for point, file in ("mark-ack%201%2F2", "first.img"), ("mark-ack%202", "second.img"):
    c = state("all", point); open(file, "wb").write(c.pread(c.get_size(), 0)); leave(c)
'
listed >before.txt
stopped

replayed
listed >after.txt
is "$(wc -l <before.txt)$(cmp before.txt after.txt 2>&1)" 2 "all states and events are the same"
rows '
same("the live disk is what it was at the end", open("end.img", "rb").read() == h.pread(h.get_size(), 0), True)
same("and durable", image("none"), disk(h))
says("what is not in the file", refusal("none", lambda c: state(c, "99")), "requests are recorded in the file; the moment")
before = [image("sectors-3", "end"), image("all", "3")]
write(h, "ZZ", 3)
same("it can be written to", disk(h)[3:5], "ZZ")
same("which changes no name", [image("sectors-3", "end"), image("all", "3")], before)
says("nor is it recorded", refusal("none", lambda c: state(c, "end/only-99")), "no")
s = state("none+cache", "3"); write(s, "Q"); s.flush()
same("states have histories of their own", image("all", "3/none+cache/crash/flush-1")[0], "Q")
leave(s)
same("saved again, it is the same file", control("disk:save_history [[again]]")[-6:], "/again")
'
is "$(cmp history again 2>&1)" "" "byte for byte"
stopped

replayed atomic=4096
says=$("$memctl" ctl 'local t = {} for s in disk:states { point = "before-flush-1", how = "lose-one", units = "sectors" } do t[#t + 1] = s.name end return #t' 2>&1)
is "$says" 1 "atomic= is chosen at the start"
stopped

# With other sectors: a request survives as a whole, or not.
cached 10K history=16M
rows '
write(h, "ABCDEFGH"); write(h, "IJ", 10); flush(h); write(h, "KLMNOPQR", 8)
control("disk:save_history [[other]]")
'
stopped
rm -f ctl
serve replay=other sector=4096 control=ctl lua='local may = sleep'
rows '
sector_size(4096)
same("nothing is torn within a sector", {image(f"sectors-{i}", "1") for i in range(40)},
     {image(c, "1") for c in ("none", "all")})
'
stopped

# A file that was saved before, on another machine: its names are what they were.
gunzip -c "$TOP/tests/crash/data/history-1.log.gz" >history-1.log
rm -f ctl
serve replay=history-1.log control=ctl
"$memctl" ctl 'local t = {}
    for _, query in ipairs { { how = "lose-one", units = "sectors" }, { how = "random", units = "sectors", count = 3 } } do
        for s in disk:states(query) do t[#t + 1] = s.name .. " " .. s.digest .. " " .. tostring(s.legal) end
    end
    return t' | tr -d '[]"' | tr ',' '\n' >got.txt
is "$(diff got.txt "$TOP/tests/crash/data/history-1.txt" && wc -l <got.txt)" 145 "an older file"
stopped

# By the documentation of the format.
for at in "ack 1/2:first" "ack 2:second" ":end"; do
    python3 "$TOP/tests/crash/writes_log.py" history "${at%:*}" log.img >entries.txt 2>&1
    truncate -s 10K log.img
    is "$(cmp log.img "${at#*:}.img" 2>&1)" "" "another reader, at '${at%:*}'"
done
like "$(cat entries.txt)" "^write 0 20 *
write 0 3 *
flush
write 1 1 *
mark ack 1/2
discard 2 3 FUA
" "its entries"

# What can't be served.
refused 'history: leave it out: with replay= it is that of the file' "history=" replay=history history=1M
refused 'size: leave it out' "size=" replay=history size=1M
refused 'write-cache=none: leave it out' "write-cache=" replay=history write-cache=none
refused 'history: a flush that failed has lost whole sectors: leave sector= out' "other sectors, after a flush that lost some" replay=history sector=4096
refused 'on.fill: leave it out: with replay= the file says' "initial content" \
    replay=history lua='function on.fill() return nil end'
refused 'replay=.*nothing: No such file' "no file" replay=nothing
refused 'replay=.*: Is a directory' "a directory" replay=.
refused 'replay=.*: is no history' "another file" replay="$TOP/LICENSE"
refused 'atomic=.* less than a sector' "atomic=" replay=history atomic=512 sector=4096
: >empty
refused 'replay=.*empty: is no history' "an empty one" replay=empty
python3 - <<'PY'
data = open("history", "rb").read()
open("log", "wb").write(data[:320] + bytes(192) + data[512:])
PY
refused 'replay=.*log: is a log of dm-log-writes, or a history of another version' "one of the kernel" replay=log

# Cut off and damaged at many places: nothing is served, and no server crashes.
python3 - <<'PY'
import random
data, rnd = open("history", "rb").read(), random.Random(1)
for i in range(55):
    n = rnd.randrange(len(data))
    with open(f"bad{i}", "wb") as f:
        f.write(data[:n] if i < 15 else data[:n] + bytes([data[n] ^ 1 << rnd.randrange(8)]) + data[n + 1:])
PY
good=0
for i in {0..54}; do
    nbdkit_run -U - replay="bad$i" --run 'echo served' >out 2>&1 \
        || { [[ $(cat out) =~ ^[^$'\n']*/bad$i:\ (it\ )?is\ [^$'\n']*$ ]] && good=$((good + 1)); }
done
is $good 55 "what is damaged or cut off is refused in one line"

# Smaller sectors: a write of a part of one touches no more than it did, and no more does
# what a script writes.
cached 8K history=1M sector=4096
rows '
h.pwrite(b"a" * 512, 1024)
control("disk:write(2048, [[b]])  disk:save_history [[large]]")
'
stopped
rm -f ctl
serve replay=large sector=512 control=ctl
is "$("$memctl" ctl 'local n = 0 for s in disk:states { point = "end", units = "sectors" } do n = n + 1 end return n')" 2 \
    "a write of 512 bytes is there or not"
stopped

# What can't be saved.
cached 4K history=1M lua='function on.fill(offset, count) return ("F"):rep(count) end'
rows '
refused = lambda: control("select(2, pcall(disk.save_history, disk, [[x]]))")
says("initial content", refused(), "save_history: .*on.fill: write what")
write(h, "ABCDEFGH")
says("nor what was written over", refused(), "save_history: .*on.fill: write what")
'
stopped
cached 4K
rows 'says("no history", control("select(2, pcall(disk.save_history, disk, [[x]]))"), "disk:save_history needs a history: start")'
is "$(find . -name 'x*')" "" "no file is left"
stopped
done_testing
