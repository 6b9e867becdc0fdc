#!/usr/bin/env bash
# A flush makes durable what was complete when it came in, on all connections, and
# nothing else.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K
rows '
other = connect()

fresh()
write(h, "AB")
flush(h)
row("W(A), flush", "A", "B")
write(h, "C")
row("then W(C)", "A 2:C", "B")

fresh()
write(h, "A")
flush(other)
row("W on one connection, replied; flush on another", "A")

fresh()
write(h, "A")
write(h, "BC")
flush(h)
row("W(A), W(B), flush", "B", "C")

fresh()
write(h, "AB")
zero(h, 1, 0)
trim(h, 1, 1)
flush(h)
row("W, ZERO and TRIM, flush", "0", "0")

fresh()
f = Held("before", h, "flush")
write(other, "A")
same("a W that comes while a flush is under way", f.go(), "ok")
row("is not covered", "o 1:A")

fresh()
f = Held("after", h, "flush")
write(other, "A")
f.go()
row("also if the flush was performed before", "o 1:A")

fresh()
write(h, "A")
f = Held("before", h, "flush")
row("W(A), and a flush that has not returned", "o 1:A")
write(other, "B")
same("two flushes overlap: the second returns first", flush(other), "ok")
row("W(A), flush 1 enters, W(B), flush 2 enters and returns", "B")
f.go()
row("flush 1 returns, and takes nothing back", "B")

fresh()
write(h, "A")
f = Held("before", h, "flush")
write(other, "B")
g = Held("before", other, "flush")
write(h, "C")
f.go()
row("two flushes overlap: the first returns first", "A 2:B 3:C")
g.go()
row("then the second", "B 3:C")

fresh()
write(h, "A")
f = Held("before", h, "flush")
write(other, "B")
zero(other, 1, 1)
f.go()
row("versions after the flush came in stay", "A 2:B", "o 3:0")

fresh()
flush(h)
same("a flush of nothing", flush(h), "ok")
row("changes nothing")
'
stopped
done_testing
