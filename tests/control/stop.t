#!/usr/bin/env bash
# A server that is told to stop does so without more work, whatever its control
# clients do, and they get no answer.
. "$(dirname "$0")/../lib/lib.sh"
need python3

# Ten clients send the same bytes.  The file "ready" says that the server has said
# "begin" for as many of them as the second argument says.  Prints their answers.
cat >ten.py <<'PY'
from control import *
import ast, sys
what, begun = ast.literal_eval(sys.argv[1]), int(sys.argv[2])
clients = [Control() for i in range(10)]
for c in clients:
    c.send(what)
until(lambda: open("log").read().count("begin") >= begun)
open("ready", "w").close()
print(*{str(c.answer()) for c in clients})
PY

# stops NAME BYTES [BEGUN]: a server with such clients stops.
stops ()
{
    serve size=1M control=ctl.sock lua='r = fault { op = "read", error = "EIO" }' hook-timeout=100000
    at_work python3 ten.py "b'''$2'''" "${3:-0}"
    stopped_at_once "$1"
    wait "$client"
    is "$(cat client.out)" closed "$1: no answer"
}
stops "clients that say nothing" ''
stops "half a line" 'half a li'
stops "sleep" 'print "begin" sleep "1000m"\n' 10
stops "sleeps" 'print "begin" while true do sleep(0) end\n' 10
stops "hang" 'print "begin" pcall(hang) print "NEVER"\n' 10
is "$(grep -c NEVER log)" 0 "what hangs does not go on"
stops "wait" 'print "begin" r:wait "1000m"\n' 10
stops "waits" 'print "begin" while true do pcall(r.wait, r, 0) pcall(r.wait, r, "10ms") end\n' 10
# While one is in a loop, the others wait for the lock.
stops "endless loops, one after the other" 'print "begin" while true do end\n' 1
stops "endless loops around pcall" 'print "begin" while true do pcall(function() while true do end end) end\n' 1
stops "answers that nobody reads" "string.rep('x', 15 << 20)\\n"
done_testing
