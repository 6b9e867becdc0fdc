#!/usr/bin/env bash
# FUA makes the version of its request durable when it succeeds, in its own sectors only,
# and takes older versions away, not later ones.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K
rows '
other = connect()
same("FUA is native", h.can_fua(), True)

fresh()
write(h, "A")
write(h, "B", fua=True)
row("W(A1), W(A2) with FUA", "B")

fresh()
write(h, "A")
write(other, "B", fua=True)
row("W(A0) on one connection, W(A) with FUA on another", "B")

fresh()
write(h, "A", fua=True)
write(h, "B")
row("W(A) with FUA, then W(B)", "A 2:B")

fresh()
write(h, "A")
write(h, "B", 1, fua=True)
row("W(A), then FUA to another sector", "o 1:A", "B")

fresh()
write(h, "AAAA")
write(h, "BB", 1, fua=True)
row("FUA to some of the sectors of a W", "o 1:A", "B", "B", "o 1:A")

for op in zero, trim:
    fresh()
    write(h, "AAA")
    op(h, 2, 1, fua=True)
    row(f"{op.__name__} with FUA", "o 1:A", "0", "0")

fresh()
write(h, "A")
write(h, b"B" * 100, offset=200, fua=True)
row("FUA of 100 bytes over a volatile W of that sector", "[A200B100A212]")

fresh()
w = Held("after", h, "write", "ABCDEFGH", fua=True)
row("an unfinished FUA write over 8 sectors", *[f"o 1:{c}" for c in "ABCDEFGH"])
same("it succeeds", w.go(), "ok")
row("then", *"ABCDEFGH")

fresh()
a = Held("after", h, "write", "A", fua=True)
b = Held("after", other, "write", "B", fua=True)
row("two FUA in flight on one sector, applied A then B", "o 1:A 2:B")
b.go()
row("B succeeds", "B")
a.go()
row("then A", "B")

fresh()
a = Held("after", h, "write", "A", fua=True)
b = Held("after", other, "write", "B", fua=True)
a.go()
row("two FUA in flight on one sector, A succeeds first", "A 2:B")
b.go()
row("then B", "B")

fresh()
a = Held("after", h, "write", "AAA", fua=True)
write(other, "B")
write(other, "C", 1, fua=True)
a.go()
row("versions applied after a FUA write stay, and newer durable ones", "A 2:B", "C", "A")

fresh()
a = Held("after", h, "write", "AA", fua=True)
write(other, "B")
flush(other)
row("a flush covers a later version, and so takes that of a FUA in flight away", "B", "o 1:A")
a.go()
row("it succeeds", "B", "A")

fresh()
a = Held("after", h, "write", "A")
write(other, "B", fua=True)
row("a FUA takes away that of a W in flight", "B")
a.go()
row("which succeeds", "B")

fresh()
same("a FUA write that fails", failing(h, "write", "A", fua=True), "EIO")
row("makes nothing durable", "o 1:A")
flush(h)
row("a flush after it does", "A")
'
stopped
done_testing
