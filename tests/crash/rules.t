#!/usr/bin/env bash
# Hooks, rules and the medium concern the live disk: crash states meet none of them, and
# are not counted, unless a rule names them.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K
rows '
rules_text = """
fault { op = "any", name = "live", error = "EIO", p = 0 }
fault { op = "write", name = "named", export = "crash/now/all", error = "ENOSPC", times = 1 }
fault { op = "read", name = "other", export = "crash/now/none", error = "EPERM" }
hooks = 0
function count(req) hooks = hooks + 1 end
on.read, on.write, on.flush, on.zero, on.trim, on.extents, on.cache = count, count, count, count, count, count, count
disk:bad(512, 512)
disk:readonly(true)
"""
fresh()
write(h, "A")
control(rules_text)
s = connect("crash/now/all")
same("reads", disk(s), "Aooooooo")
same("a rule that names it", outcome(s.pwrite, b"R" * 512, 0), "ENOSPC")
s.pwrite(b"R" * 512, 0)
s.zero(512, 1024)
s.trim(512, 1536)
s.cache(512, 0)
s.flush()
extents(s, 4096)
same("writes, also where the live disk is bad or read-only", disk(s), "Ro00oooo")
n = connect("crash/now/none")
same("another rule that names one", outcome(n.pread, 1, 0), "EPERM")
hits = rules()
same("hits", [hits[n]["hits"] for n in ("live", "named", "other")], [0, 2, 1])
same("no hook was called", control("hooks"), 0)
same("the live disk meets all", [outcome(h.pread, 512, 512), outcome(h.pwrite, b"x", 0)], ["EIO", "EPERM"])
same("hooks too", control("hooks"), 2)
same("and rules", rules()["live"]["hits"], 2)
leave(s, n)

# A rule for all exports, and one for a name that is not open yet.
control("""fault.clear() disk:heal() disk:readonly(false)
  fault { op = "read", name = "star", export = "*", error = "EIO", p = 0 }
  fault { op = "open", name = "door", export = "crash/now/state-1", error = "EIO" }
  fault { op = "flush", name = "cut", export = "crash/now/none", cut = "none", optional = true }""")
same("an open that a rule refuses", outcome(state, "state-1"), outcome(connect, "no such"))
same("another is let in", image("state-0"), "oooooooo")
control("fault.clear()")

# Flushes and FUA of a state make nothing of the live disk durable.
fresh()
write(h, "A")
s, c = state("all"), state("none+cache")
for x in s, c:
    x.flush()
    x.pwrite(b"R" * 512, 0, FUA)
    x.flush()
leave(s, c)
row("W, flush on a state", "o 1:A")
write(h, "B", 1)
row("its requests have no numbers of the live disk", "o 1:A", "o 2:B")
'
stopped

# Connections to states are those of the server.
cached 4K
rows '
control("""opened = {} function on.open(conn) opened[#opened + 1] = conn.export end""")
leave(state("none"))
same("on.open", [n for n in control("opened") if n != ""] in ([], ["crash/now/none"]), True)
'
stopped
done_testing
