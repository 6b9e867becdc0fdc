#!/usr/bin/env bash
# shutdown = true ends the server, and what else the rule does to the request still
# happens.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

for rule in 'shutdown = true' 'shutdown = true, error = "EIO"' 'shutdown = true, lose = true'; do
    serve size=1M lua="fault { op = 'flush', nth = 3, $rule }"
    python 'from clients import *
for i in range(3): outcome(h.flush)' >/dev/null
    ended "$server"
    is $? 0 "$rule: the server ends by itself"
    is "$(cat log)" "" "... and says nothing"
done
done_testing
