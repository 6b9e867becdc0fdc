#!/usr/bin/env bash
# scripts/null_blk.lua: bad blocks, that fail once, and requests done in part.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

serve "${usage[@]}" control=ctl.sock
sees 'S = 512
print(r(15 * S), r(16 * S), r(31 * S), r(32 * S), r(64 * S), r(65 * S), w(16 * S), r(16 * S), t(h.trim, S, 16 * S))
print(t(h.pwrite, b"a" * 20 * S, 10 * S), h.pread(S, 15 * S) == b"a" * S, h.pread(S, 32 * S) == bytes(S))
h.pwrite(b"b" * 6 * S, 10 * S)
print(t(h.zero, 20 * S, 14 * S), h.pread(6 * S, 10 * S) == b"b" * 4 * S + bytes(2 * S))
print(ctl("badblocks [[-18-20,-40-50,+31-33]]"), r(18 * S), r(21 * S), r(33 * S))
print(ctl("badblocks [[+0-100]]"), ctl("badblocks [[-0-99]]"), r(0, 100 * S), r(100 * S))
print(ctl("badblocks [[-5-4]]"))
for arg in "[[-0-200,+1-x]]", "5", "false", "{}": print(ctl("badblocks(%s)" % arg).split(": ")[-1])
print(ctl("badblocks()"), r(100 * S))' "ok EIO EIO ok EIO ok EIO EIO EIO
EIO True True
EIO True
['+16-17', '+21-30', '+31-33', '+64-64'] ok EIO EIO
['+0-100'] ['+100-100'] ok EIO
badblocks=-5-4: expected +FIRST-LAST or -FIRST-LAST, in sectors of the disk
expected +FIRST-LAST or -FIRST-LAST, in sectors of the disk
expected +FIRST-LAST or -FIRST-LAST, in sectors of the disk
expected +FIRST-LAST or -FIRST-LAST, in sectors of the disk
expected +FIRST-LAST or -FIRST-LAST, in sectors of the disk
['+100-100'] EIO" "bad blocks, and what comes before them"
stopped

serve size=1M hooks=scripts/null_blk.lua badblocks=+16-31,+64-64 control=ctl.sock
sees 'S = 512
print(r(20 * S), r(64 * S), ctl("badblocks [[-18-18]]"), ctl("fault.get([[badblocks +64-64]]).fired"))' \
    "EIO EIO ['+16-17', '+19-31', '+64-64'] 1" "the rules of ranges that do not change stay"
stopped
no_complaints
serve size=1M hooks=scripts/null_blk.lua badblocks=+16-31,+64-64
sees 'print(r(20 * 512))' EIO "one of two"
stopped
like "$(cat log)" 'fault rule badblocks \+64-64 \(.*\) never fired' "the other is pointed out"

serve size=1M hooks=scripts/null_blk.lua badblocks=+1-1,+3-4 badblocks_once=1
sees 'S = 512
print(t(h.pwrite, b"a" * 5 * S, 0), h.pread(S, 0) == bytes(S))
print(r(S), r(4 * S), r(3 * S), w(0, 5 * S), r(0, 5 * S))' "EIO True
ok EIO ok ok ok" "a range fails once, one at a time; nothing is done in part"
stopped

refused 'badblocks=5-6: expected \+FIRST-LAST' badblocks=5-6
refused 'badblocks=\+0-4000: expected' badblocks=+0-4000
refused 'badblocks_once=x: expected true or false' badblocks_once=x
done_testing
