#!/usr/bin/env bash
# What was written, zeroed or trimmed and not flushed: after a cut each sector holds what
# is durable or any version since then, whatever the other sectors hold.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K
rows '
fresh()
row("nothing was written")

fresh()
write(h, "A")
row("W(A)", "o 1:A")
h.pread(4096, 0)
h.cache(4096, 0)
extents(connect(), 4096)
row("W(A), then reads", "o 1:A")

fresh()
write(h, "A")
write(h, "B")
row("W(A1), W(A2)", "o 1:A 2:B")

fresh()
write(h, "ABCDEFGH")
row("one W over 8 sectors: all 256", *[f"o 1:{c}" for c in "ABCDEFGH"])
write(h, "IJ", 3)
write(h, "K", 4)
row("and over some of them, twice", "o 1:A", "o 1:B", "o 1:C", "o 1:D 2:I", "o 1:E 2:J 3:K",
    "o 1:F", "o 1:G", "o 1:H")

fresh()
write(h, "A", 1)
write(connect(), "B", 1)
write(h, "A", 6)
row("the same content twice is two versions, also of several clients", "o",
    "o 1:A 2:B", "o", "o", "o", "o", "o 3:A")
write(h, "A", 6)
row("also if nothing changes", "o", "o 1:A 2:B", "o", "o", "o", "o", "o 3:A 4:A")

fresh()
zero(h)
row("ZERO", "o 1:0")

fresh()
trim(h, 2)
row("TRIM", "o 1:0", "o 1:0")

fresh()
write(h, "ABCD")
zero(h, 2, 1)
trim(h, 2, 2)
write(h, "E", 3)
row("W, ZERO, TRIM, W", "o 1:A", "o 1:B 2:0", "o 1:C 2:0 3:0", "o 1:D 3:0 4:E")

fresh()
write(h, b"A" * 100, offset=200)
row("100 bytes inside a sector", "o 1:[o200A100o212]")

fresh()
write(h, "A")
write(h, b"B" * 12, offset=500)
write(h, b"C" * 12, offset=506)
row("parts of sectors carry the newest content beneath them",
    "o 1:A 2:[A500B12] 3:[A500B6C6]", "o 3:[C6o506]")

fresh()
write(h, b"A" * 1200, offset=300)
row("ends that are parts of sectors", "o 1:[o300A212]", "o 1:A", "o 1:[A476o36]")

fresh()
flags = nbd.CMD_FLAG_NO_HOLE
h.zero(512, 0, flags)
h.zero(512, 512, nbd.CMD_FLAG_FAST_ZERO)
numbered(2)
row("all kinds of ZERO", "o 1:0", "o 2:0")
'
stopped
done_testing
