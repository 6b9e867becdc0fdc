#!/usr/bin/env bash
# A cut may tear the sectors of requests in flight inside, or leave them bad until they
# are rewritten, if it is asked to; other sectors become what they may.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K
rows '
other = connect()
fresh()
write(h, "AA")
w = Held("after", other, "write", "BBBB", 3)
control("disk:cut{[[all]], torn = true}")
same("the W in flight", w.go(), "ESHUTDOWN")
control("disk:power_on()")
data = h.pread(4096, 0)
same("what was complete is whole", [show(data[:1536]), show(data[3584:])], ["AAo", "o"])
torn = data[1536:3584]
same("what was in flight has old bytes and new ones", {chr(b) for b in torn} <= set("oB"), True)
parts = [show(torn[i:i + 512]) for i in range(0, 2048, 512)]
same("a sector is torn inside", any(len(p) > 1 for p in parts), True)
same("reads are stable", h.pread(4096, 0) == data == other.pread(4096, 0), True)

fresh()
write(h, "AA")
w = Held("after", other, "write", "BBBB", 3)
control("disk:cut{[[all]], bad = true}")
w.go()
control("disk:power_on()")
reads = lambda: ["".join(show(h.pread(512, 512 * i)) if outcome(h.pread, 512, 512 * i) == "ok" else "!"
                         for i in range(8))]
got = reads()[0]
same("only sectors in flight are bad", re.fullmatch("AAo[oB!]{4}o", got) is not None, True)
same("some are", "!" in got, True)
at = got.index("!")
same("and fail with EIO", outcome(h.pread, 512, 512 * at), "EIO")
h.pwrite(b"C" * 512, 512 * at)
same("until rewritten", show(h.pread(512, 512 * at)), "C")
numbered(1)

fresh()
write(h, "AA")
control("disk:cut{[[none]], torn = true, bad = true} disk:power_on()")
same("nothing was in flight: nothing is torn", disk(h), "oooooooo")
'
stopped
done_testing
