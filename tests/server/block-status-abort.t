#!/usr/bin/env bash
# A client that asks for the block status of nearly 4 GiB at once kills the
# stock memory plugin's nbdkit 1.32.5 (CVE-2025-47711), but not our server.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

serve size=8G
ask=$(cat <<'PY'
h.set_strict_mode(0)
for offset in 0, 1, 4095, 1 << 32, (1 << 32) + 1:
    for flags in 0, nbd.CMD_FLAG_REQ_ONE:
        got = []
        h.block_status(0xffffffff, offset,
                       lambda context, start, entries, err: got.extend(entries), flags)
        if sum(got[::2]) > 0xffffffff or 0 in got[::2]:
            print("wrong answer", got)
PY
)
connect='
import os
h = nbd.NBD()
h.add_meta_context("base:allocation")
h.connect_uri(os.environ["uri"])
'
is "$(python "$connect$ask")" "" "an empty disk answers"
alive "the server is alive"
is "$(python 'h.pwrite(b"x", 5 << 30)')" "" "a byte is written at 5G"
is "$(python "$connect$ask")" "" "a disk with a page at 5G answers"
alive "the server is alive"
is "$(python 'h.pwrite(b"x", 0); h.pwrite(b"x", (1 << 32) - 1)')" "" "bytes are written at 0 and 4G - 1"
is "$(python "$connect$ask")" "" "that disk answers"
alive "the server is alive"
stopped
done_testing
