#!/usr/bin/env bash
# scripts/stale-reads.lua: some reads get what the disk held before the first change, or
# before the last Nth one.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

some='def stale(n, new):
    h.pwrite(bytes([new]) * 512 * n, 0)
    return sum(h.pread(1, i * 512) != bytes([new]) for i in range(n))
'
serve "${usage[@]}"
sees "$some
print(r(0), 0 < stale(1000, 1) < 40)" "ok True" "one in a hundred"
stopped

script p=50% control=ctl.sock lua='disk:fill(0, disk.size, "o")'
sees "$some
print(h.pread(4, 0))
print(400 < stale(1000, 110) < 600, set(h.pread(1, 0)[0] for i in range(100)))
print(ctl('stale() stale()'), set(h.pread(1, 0)[0] for i in range(100)))
print(ctl('return disk:get \"stale-reads\":read(0, 1)'))" "bytearray(b'oooo')
True {110, 111}
None {110}
n" "half of them: old data is from the end of the start, until stale()"
stopped

script p=1 every=3
sees "for i in range(1, 10):
    (h.zero(512, 512) if i % 2 else h.pwrite(bytes([i]), 0))
    print(h.pread(1, 0)[0], end=' ')
print()" "0 0 2 2 2 4 4 4 8 " "every=3"
stopped
no_complaints

refused 'p=2: expected a probability, such as' p=2
refused 'every=0: expected a whole number from 1 on' every=0
done_testing
