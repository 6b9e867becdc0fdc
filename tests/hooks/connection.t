#!/usr/bin/env bash
# on.open and on.close get a table for each connection, and on.open can refuse
# a client.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >connections.lua <<'LUA'
disk:snapshot "snap"
disk:snapshot "closed"
disk:snapshot "broken"
disk:snapshot "slow"
local open = 0
function on.open(conn)
  if conn.export == "closed" then fail "EPERM" end
  if conn.export == "broken" then error "oops" end
  if conn.export == "slow" then sleep "10ms" end
  conn.mine = "kept " .. conn.id
  open = open + 1
  print("open", conn.id, conn.export, conn.readonly, open)
end
function on.open(conn) conn.second = conn.mine == nil end
function on.close(conn)
  -- More than a moment's work.
  local n = 0
  for i = 1, 5e6 do n = n + i end
  open = open - 1
  print("close", conn.id, conn.export, conn.mine, conn.second, open)
end
LUA
cat >connections.py <<'PY'
from clients import *
a = connect("snap")
print(outcome(connect, "closed"), outcome(connect, "broken"), outcome(connect, "slow"))
a.shutdown()
until(lambda: log().count("close\t") == 2)
h.shutdown()
until(lambda: log().count("close\t") == 3)
PY
# The time limit is for valgrind.
serve -v size=1M hooks=connections.lua hook-timeout=60
is "$(python "$(cat connections.py)")" "ENOENT ENOENT ok" "on.open refuses a client"
is "$(grep -v '^nbdkit' log | grep '^open')" "open	1		false	1
open	2	snap	false	2
open	5	slow	false	3" "on.open gets the connection"
is "$(grep '^close' log | cut -f 1-5 | sort)" "close	1		kept 1	false
close	2	snap	kept 2	false
close	5	slow	kept 5	false" "on.close gets the same table, and time to work"
is "$(grep '^close' log | cut -f 6 | tr '\n' ' ')" "2 1 0 " "one after the other"
like "$(cat log)" 'on\.open refused the connection: Operation not permitted' "the log says who refused"
is "$(grep -c 'connections\.lua:8: oops' log)" 1 "and what is broken"
stopped

# Clients that are refused on purpose are no errors: at most ten a second, where
# nbdkit sends the text of an error to the client (1.42 and newer).
serve -v size=1M lua='function on.open(conn) if conn.id % 2 == 0 then fail "EPERM" end end'
is "$(python 'from clients import *
begin = time.monotonic()
print(sum(outcome(connect) != "ok" for i in range(100)))
print(time.monotonic() - begin >= 0.9 or log().count("error: on.open refused") <= 10)')" "50
True" "clients that are refused"
is "$(grep -c 'on.open refused the connection' log)" 50 "... and each is told of"
if grep -q 'error: on.open refused' log; then
    sleep 1
    like "$(nbdinfo "$uri" 2>&1; nbdinfo "$uri" 2>&1)" '(default|named).*on.open refused the connection: Operation not permitted' "the client is told, too"
else
    is "$(grep -c 'debug: on.open refused the connection' log)" 50 "none is an error"
fi
stopped

# A read-only server, and scripts that have only one of the two hooks.
serve -r size=1M lua='function on.close(conn) print(conn.id, conn.readonly) end'
python 'from clients import *; h.shutdown(); until(lambda: "true" in log())'
is "$(cat log)" $'1\ttrue' "readonly, and only on.close"
stopped

# Clients that come and go leave nothing behind: 300 of them, 64 KiB each.
serve size=1M lua-memory=8M lua='
function on.open(conn) conn.data = ("x"):rep(64 << 10) end
function on.read() fail "EIO" end'
is "$(python 'from clients import *
for i in range(300):
    connect()
print(outcome(h.pread, 1, 0))')" EIO "tables of closed connections go away"
is "$(grep -c 'not enough memory' log)" 0 "there was memory enough"
stopped
done_testing
