#!/usr/bin/env bash
# Requests in flight promise nothing, and what they have applied may survive.  A flush
# covers them only if they were complete when it came in.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K
rows '
other = connect()

fresh()
w = Held("before", h, "write", "A")
row("a W that was not applied yet")
w.go()
row("and then is", "o 1:A")

fresh()
w = Held("after", h, "write", "A")
row("a W that was applied and is in flight", "o 1:A")
same("a flush", flush(other), "ok")
row("in flight when the flush came in", "o 1:A")
w.go()
row("it completes", "o 1:A")
flush(other)
row("another flush", "A")

fresh()
w = Held("after", h, "write", "A")
f = Held("before", other, "flush")
w.go()
f.go()
row("a W that completes while a flush is under way", "o 1:A")

for op in "zero", "trim":
    fresh()
    w = Held("after", h, op, 2)
    flush(other)
    row(f"a {op} in flight", "o 1:0", "o 1:0")
    w.go()

fresh()
w = Held("after", h, "write", "A")
write(other, "B")
flush(other)
row("the flush covers a W over one in flight", "B")
w.go()
row("which completes", "B")

fresh()
write(h, "A")
w = Held("after", h, "write", "B")
write(other, "C", 1)
flush(other)
row("the flush covers what is beneath one in flight", "A 2:B", "C")
w.go()

fresh()
a = Held("after", h, "write", "AAAAA")
b = Held("after", other, "write", "BBBBB", 3)
row("two overlapping W in flight over 8 sectors", *["o 1:A"] * 3, *["o 1:A 2:B"] * 2, *["o 2:B"] * 3)
b.go()
flush(h)
row("the second completes, and is flushed", *["o 1:A"] * 3, *"BBBBB")
a.go()
flush(h)
row("then the first", *"AAABBBBB")

# Numbers are in the order of application, not of entry.
fresh()
a = Held("before", h, "write", "A")
write(other, "B")
numbered(-2)
a.go()
numbered(2)
row("W that came first and is applied last", "o 1:B 2:A")
'
# All 6561 states of eight sectors, in Lua, because so many connections take long.
rows '
other = connect()
fresh()
a = Held("after", h, "write", "A" * 8)
b = Held("after", other, "write", "B" * 8)
seen = set()
for first in range(0, 3**8, 729):
    data = control(f"""
      local all = {{}}
      for i = {first}, {first} + 728 do
        local state = disk:get("crash/now/state-" .. i):read(0, 4096)
        for at = 1, 4096, 512 do
          assert(state:sub(at, at + 511) == state:sub(at, at):rep(512))
          all[#all + 1] = state:sub(at, at)
        end
      end
      return table.concat(all)""")
    seen |= {data[i:i + 8] for i in range(0, len(data), 8)}
same("two W in flight over the same 8 sectors: all of 6561 states", seen,
     {"".join(s) for s in itertools.product("oAB", repeat=8)})
says("and no other", refused("state-6561"), "6561")
a.go()
b.go()
'
stopped
done_testing
