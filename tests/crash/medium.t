#!/usr/bin/env bash
# What a script does with the disk is durable at once, replaces all versions of the
# sectors that it touches, and has no number; what it reads is the newest content.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

python3 -c 'open("image", "wb").write(b"L" * 1024)'
cached 4K
rows '
fresh()
write(h, "AB")
write(h, "C")
same("disk:read", control("disk:read(511, 2)"), "CB")
control("disk:write(512, ([[M]]):rep(1024))")
row("disk:write", "o 1:A 2:C", "M", "M")
control("disk:write(0, [[m]])")
row("a part of a sector: the rest keeps its newest content, now durable", "[m1C511]", "M", "M")
write(h, "D", 7)
row("it has no number", "[m1C511]", "M", "M", "o", "o", "o", "o", "o 3:D")

fresh()
write(h, "AAAAAAAA")
control("disk:zero(0, 512) disk:fill(512, 600, [[F]]) disk:load([[image]], 2048)")
row("zero, fill, load", "0", "F", "[F88A424]", "o 1:A", "L", "L", "o 1:A", "o 1:A")

fresh()
control("disk:snapshot([[old]])")
write(h, "AB")
control("disk:write(1024, [[x]])")
control("disk:revert([[old]])")
row("revert")
write(h, "C")
row("then W", "o 2:C")
control("disk:drop([[old]])")

fresh()
w = Held("after", h, "write", "AAA", fua=True)
control("disk:write(512, ([[M]]):rep(512))")
row("over a request in flight", "o 1:A", "M", "o 1:A")
w.go()
row("which then succeeds", "A", "M", "A")

fresh()
write(h, "AA")
f = Held("before", h, "flush")
control("disk:write(512, ([[M]]):rep(512))")
f.go()
row("while a flush is under way", "A", "M")

fresh()
write(h, "ABC")
same("extents", control("""local n = 0 for o, c in disk:extents() do n = n + c end return n"""), 4096)
control("disk:save([[out.img]])")
with open("out.img", "rb") as f:
    same("disk:save", show(f.read()), "ABCooooo")
row("reading makes nothing durable", "o 1:A", "o 1:B", "o 1:C")

fresh()
write(h, "AAAAAAAA")
control("disk:random(0, 512)")
data = bytes(h.pread(512, 0))
same("disk:random", bytes(state("none").pread(512, 0)) == data != b"A" * 512, True)
control("disk:bad(3584, 512)")
same("a bad sector of the live disk", outcome(h.pread, 512, 3584), "EIO")
same("is none in states", [show(state(s).pread(512, 3584)) for s in ("all", "state-0")], ["A", "o"])
control("disk:heal()")
'
stopped

# What a script does before the disk is served.
serve size=4K write-cache=volatile control=ctl lua='disk:fill(0, 4096, "o") disk:write(512, ("M"):rep(512)) _ = sleep'
rows '
write(h, "A")
row("at start", "o 1:A", "M")
'
stopped

# Initial content is durable.
serve size=4K write-cache=volatile control=ctl \
    lua='function on.fill(offset, count) return ("o"):rep(count) end _ = sleep'
rows '
write(h, b"A" * 100, offset=700)
zero(h, 1, 3)
row("on.fill", "o", "o 1:[o188A100o224]", "o", "o 2:0")
flush(h)
row("flushed", "o", "[o188A100o224]", "o", "0")
'
stopped
done_testing
