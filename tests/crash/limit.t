#!/usr/bin/env bash
# At most 1,000 states are open at once; one more is refused, and one that goes makes
# room.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"
[ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 3000 ] || skip_all "too few files may be open"
ulimit -n 3000
[ "$WATCH" != valgrind ] || skip_all "valgrind knows too few threads"

# A connection with one thread is served by nbdkit without one of its own.
cached 4K --threads=1
rows '
fresh()
write(h, "ABCDEFGH")
open = [state(f"sectors-{i}") for i in range(1000)]
says("the 1,001st is refused", refused("sectors-1000"), "1,?000")
says("in Lua, too", control("select(2, pcall(function() return disk:get([[crash/now/sectors-1000]]):read(0, 1) end))"), "1,?000")
twice = state("sectors-7")
same("one that is open is not one more", disk(twice), disk(open[7]))
same("all are what they should be", [disk(c) for c in open],
     ["".join(chosen(f"sectors-{i}", [versions(f"o 1:{c}") for c in "ABCDEFGH"])) for i in range(1000)])
leave(twice)
says("it goes on being open", refused("sectors-1000"), "1,?000")
leave(open.pop())
same("one that goes makes room", disk(state("all")), "ABCDEFGH")
same("the live disk is well", disk(h), "ABCDEFGH")
leave(*open)
'
stopped
done_testing
