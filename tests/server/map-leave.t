#!/usr/bin/env bash
# A client that asks for a map and leaves without reading the answer does no harm.
# (nbdkit before 1.34 aborts when it sends a second extent to a client that has
# gone.)
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh python3

serve size=1G lua='for i = 0, 99 do disk:write(i * 65536, "x") end'
cat >leave.py <<'PY'
import os
from raw_nbd import BLOCK_STATUS, Meta

for i in range(int(os.environ["WORK"])):
    client = Meta(os.environ["sock"])
    client.send(client.header(BLOCK_STATUS, 0, 1 << 24) * (1 + i % 3))
    client.socket.close()
PY
random_work 2000 100
check "$WORK clients leave" python3 leave.py
alive "the server is alive"
is "$(python 'from clients import *; print(len(extents(connect(), 100 * 65536)))')" 200 "and answers all, to those who stay"
stopped

# The plain disk, too.
serve size=1G
python 'for i in range(100): h.pwrite(b"x", i * 65536)'
check "$WORK clients leave a plain disk" python3 leave.py
alive "the server is alive"
stopped
done_testing
