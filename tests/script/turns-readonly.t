#!/usr/bin/env bash
# scripts/turns-readonly.lua: the disk is writable until so many writes or errors.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

serve "${usage[@]}" lua='fault { op = "read", offset = "1M", error = "EIO" }'
sees 'print(r(1 << 20), r(1 << 20), w(0), r(1 << 20), w(0), r(0), t(h.flush))
print(ctl("disk:readonly(false)"), r(1 << 20), w(0))' "EIO EIO ok EIO EPERM ok ok
None EIO ok" "after three errors, until it is made writable"
stopped

script after_writes=3
sees 'print(w(0), t(h.zero, 512, 0), r(0), t(h.trim, 512, 0), w(0), t(h.zero, 512, 0), t(h.trim, 512, 0), r(0))' \
    "ok ok ok ok EPERM EPERM EPERM ok" "after three writes"
stopped
script after_writes=0
sees 'print(w(0), r(0))' "EPERM ok" "from the start"
stopped

refused 'turns-readonly.lua: say when: after_writes=N'
refused 'after_writes=x: expected a whole number' after_writes=x
refused 'after_errors=0: expected a whole number from 1' after_errors=0
done_testing
