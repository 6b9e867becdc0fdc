#!/usr/bin/env bash
# Clients that leave with many requests under way, because one of them failed,
# do no harm to a server with a control socket.  (nbdkit before 1.34 may abort
# then, if it serves the requests of a connection at the same time.)
. "$(dirname "$0")/../lib/lib.sh"
need nbdcopy

serve size=64M control="$scratch/ctl" lua='disk:random(0, disk.size)
fault { op = "read", every = 40, error = "EIO" }'
failures=0
for _ in {1..30}; do
    nbdcopy --requests=64 "$uri" null: 2>/dev/null || failures=$((failures + 1))
done
is $failures 30 "thirty copies fail"
alive "the server is alive"
stopped
done_testing
