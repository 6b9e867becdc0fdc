#!/usr/bin/env bash
# mark = "ready": a rule begins with a mark, which disk:mark or a write to the export marks
# sets; rule.last_request says what it hit last.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

rule='fault { name = "r", mark = "ready", op = "write", nth = 2, error = "EIO" }'
work='
mark = lambda text: control(f"disk:mark [[{text}]]")
outcomes = lambda n: [write(h, "A", k) for k in range(n)]
same("before the mark nothing matches", outcomes(4), ["ok"] * 4)
same("nor counts", control("fault.get [[r]].hits"), 0)
same("nor was anything hit", control("fault.get [[r]].last_request"), None)
mark("other")
same("nor after another mark", outcomes(2), ["ok"] * 2)
mark("ready")
same("then it counts from 1", outcomes(3), ["ok", "EIO", "ok"])
mark("ready")
same("and only the first one counts", outcomes(3), ["ok"] * 3)
same("what was hit", control("fault.get [[r]].last_request"), {"op": "write", "offset": 512, "count": 512, "conn": 1, "number": 2})
same("in lists", control("fault.list()")[0]["last_request"]["offset"], 512)
says("as it was written", control("fault.get [[r]].text"), "mark=.ready. nth=2")
'
cached 4K history=1M lua="$rule"
rows "$work"
rows '
control("fault { name = [[w]], mark = [[by write]], op = [[flush]], error = [[ENOSPC]] }")
same("no mark yet", flush(h), "ok")
m = connect("marks"); m.pwrite(b"by write\n", 0); leave(m)
same("a mark by a write", flush(h), "ENOSPC")
# Chance does not count what came before the mark either.
luck = """ op = [[write]], p = 0.5, error = [[EIO]], name = """
control("fault.clear() fault { name = [[a]], mark = [[x]], " + luck[:-8] + "}")
before = [write(h, "B", 1) for _ in range(20)]
control("disk:mark [[x]]")
first = [write(h, "B", 1) for _ in range(20)]
control("fault.clear() fault { name = [[a]], mark = [[y]], " + luck[:-8] + "} disk:mark [[y]]")
same("chance begins with the mark", [write(h, "B", 1) for _ in range(20)], first)
same("which is not always the same", len(set(first)), 2)
control("fault.clear() fault { name = [[t]], mark = [[z]], op = [[write]], to = [[1000m]], error = [[EIO]] }")
same("to: not yet", write(h), "ok")
control("disk:mark [[z]]")
same("to: from the mark on", write(h), "EIO")
'
stopped

# Without a history, marks are for rules, if there ever was one; without that it is a slip.
cached 4K
rows '
says("none waits for marks", control("select(2, pcall(disk.mark, disk, [[a]]))"), "history=1G")
try:
    connect("marks")
    same("nor by a write", "refused", "opened")
except nbd.Error as e:
    pass
'
stopped
cached 4K lua="$rule"
rows "$work"
rows '
control("fault { name = [[w]], mark = [[by write]], op = [[flush]], error = [[ENOSPC]] }")
m = connect("marks"); m.pwrite(b"by write\n", 0)
same("a mark by a write", flush(h), "ENOSPC")
control("fault.clear()")
same("when all rules are lifted", control("disk:mark [[a]]"), None)
m.pwrite(b"still\n", 0); leave(m)
'
stopped

rm -f ctl
serve size=4K control=ctl lua="$rule" log=faults.log
rows '
control("disk:mark [[ready]]")
same("a plain disk", [write(h, "A"), write(h, "A")], ["ok", "EIO"])
control("fault { name = [[w]], mark = [[by write]], op = [[flush]], error = [[ENOSPC]] }")
m = connect("marks"); m.pwrite(b"by write\n", 0); leave(m)
same("where a write sets it", flush(h), "ENOSPC")
for wrong in "[[]]", "7", "true", "([[x]]):rep(257)":
    says(f"mark = {wrong}", control(f"select(2, pcall(fault, {{ op = [[write]], error = [[EIO]], mark = {wrong} }}))"), "fault: mark: expected")
'
stopped
done_testing
