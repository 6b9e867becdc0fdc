#!/usr/bin/env bash
# disk:stats().unflushed counts what is volatile: requests, sectors and bytes.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4196
rows '
def unflushed():
    u = control("disk:stats().unflushed")
    return u["requests"], u["sectors"], u["bytes"]
fresh()
same("nothing", unflushed(), (0, 0, 0))
write(h, "AB")
same("a W over two sectors", unflushed(), (1, 2, 1024))
write(h, "C", 2)
zero(h, 2, 4)
same("a W and a ZERO", unflushed(), (3, 5, 2560))
write(h, b"x" * 100, offset=4096)
same("the short sector at the end", unflushed(), (4, 6, 2660))
write(h, "D", 4, fua=True)
same("FUA makes one durable", unflushed(), (4, 5, 2148))
write(h, "D", 5, fua=True)
same("a request of which nothing is left is not pending", unflushed(), (3, 4, 1636))
s = state("all+cache")
s.pwrite(b"R" * 512, 3 * 512)
same("states are not counted", unflushed(), (3, 4, 1636))
leave(s)
flush(h)
same("flushed", unflushed(), (0, 0, 0))
w = Held("after", h, "write", "A")
same("one in flight", unflushed(), (1, 1, 512))
flush(connect())
same("which the flush does not cover", unflushed(), (1, 1, 512))
w.go()
control("disk:cut([[none]])")
same("cut", unflushed(), (0, 0, 0))
same("the power is off", control("disk:stats().power"), "off")
control("disk:power_on()")
same("and on", control("disk:stats().power"), "on")
'
stopped
serve size=4K control=ctl
is "$("$TOP/memctl" ctl 'disk:stats().unflushed == nil and disk:stats().power == nil')" true "without a cache there is none"
stopped
done_testing
