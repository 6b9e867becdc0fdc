#!/usr/bin/env bash
# A crash state is a disk of its own: writable, private, shared by the connections that
# name it, of the moment when it was first opened, and gone with the last of them.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K
rows '
other = connect()
fresh()
write(h, "ABCD")
a, b, c = state("none"), state("none"), state("all")
same("two states", [disk(a), disk(b), disk(c)], ["oooooooo", "oooooooo", "ABCDoooo"])
a.pwrite(b"R" * 512, 512)
b.zero(512, 0)
c.pwrite(b"S" * 100, 1000)
same("recovery writes to one", [disk(a), disk(b)], ["0Roooooo"] * 2)
same("and to the other", disk(c), "A[B488S24][S76C436]Doooo")
same("not to the live disk", disk(h), "ABCDoooo")
write(h, "E", 7)
flush(other)
same("the live disk goes on, the states do not move", [disk(a), disk(c)],
     ["0Roooooo", "A[B488S24][S76C436]Doooo"])
d = state("none")
same("who comes later shares what is open", disk(d), "0Roooooo")
leave(a, b)
same("as long as one is left", disk(d), "0Roooooo")
leave(d)
same("then the name is of a new moment", image("none"), "ABCDoooE")
e = state("all")
same("of each name alone", disk(e), "A[B488S24][S76C436]Doooo")
leave(c, e)

# The spelling tells names apart.
fresh()
write(h, "AB")
x, y = state("prefix-0"), state("none")
x.pwrite(b"R" * 512, 0)
same("another spelling is another disk", [disk(x), disk(y)], ["Rooooooo", "oooooooo"])
leave(x, y)

# All kinds of requests.
fresh()
write(h, "ABCDEFGH")
s = state("all")
s.trim(512, 0)
s.zero(1024, 512)
s.pwrite(b"x" * 512, 2048, FUA)
s.flush()
s.cache(512, 0)
same("trim, zero, FUA, flush", disk(s), "000DxFGH")
same("size", s.get_size(), 4096)
same("more than one connection", s.can_multi_conn(), True)
m = connect("crash/now/all")
same("a map", sum(n for n, _ in extents(m, 4096)), 4096)
same("flags", [s.can_fua(), s.can_zero(), s.can_trim(), s.can_flush(), s.is_read_only()], [True, True, True, True, False])
leave(s, m)

# Out of bounds is refused as on any disk.
s = state("none")
s.set_strict_mode(0)
same("past the end", outcome(s.pread, 512, 4096), "EINVAL")
leave(s)
row("the live disk", *[f"o 1:{c}" for c in "ABCDEFGH"])

# A state may be opened read-only by some, and seen by Lua.
fresh()
write(h, "A")
r = control("local s = disk:get([[crash/now/none]]) return { s.name, s.size, s:read(0, 1), s:read(511, 2) }")
same("in Lua", r, ["crash/now/none", 4096, "o", "oo"])
s = state("all")
s.pwrite(b"R" * 512, 512)
same("Lua sees what is open", control("disk:get([[crash/now/all]]):read(0, 513):sub(512)"), "AR")
control("disk:get([[crash/now/all]]):save([[all.img]])")
with open("all.img", "rb") as f:
    same("save", show(f.read()), "ARoooooo")
control("disk:get([[crash/now/none]]):save([[none.img]])")
with open("none.img", "rb") as f:
    same("save what nobody has open", show(f.read()), "oooooooo")
says("one that can not be", control("select(2, pcall(disk.get, disk, [[crash/now/state-2]]))"), "2")
same("extents", control("""local n = 0
  for o, c, k in disk:get([[crash/now/none]]):extents() do n = n + c end return n"""), 4096)
leave(s)
'
stopped

# Large ones: states share what the live disk has, wherever it lies.
cached 1G
rows '
rest = 512 << 20
h.pwrite(b"D" * 4096, rest)
h.flush()
h.pwrite(b"V" * 1024, rest + 1536)
h.zero(1 << 20, 0)
a, b = state("all"), state("none")
same("all", show(a.pread(4096, rest)), "DDDVVDDD")
same("none", show(b.pread(4096, rest)), "DDDDDDDD")
a.pwrite(b"R" * 700, rest + 1600)
same("recovery", show(a.pread(4096, rest)), "DDD[V64R448][R252V260]DDD")
h.pwrite(b"L" * 4096, rest)
h.flush()
same("not of each other", [show(a.pread(4096, rest)), show(b.pread(4096, rest))],
     ["DDD[V64R448][R252V260]DDD", "DDDDDDDD"])
'
stopped
done_testing
