#!/usr/bin/env bash
# scripts/image.lua: files are on the disk, each from its offset on, and their
# holes are holes.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"
need nbdcopy nbdinfo cmp truncate

serve "${usage[@]}"
check "copy it back" nbdcopy "$uri" out
check "the file is there" cmp -n "$(stat -c %s LICENSE)" LICENSE out
check "and once more at 1 MiB" cmp -n "$(stat -c %s LICENSE)" -i 0:1M LICENSE out
is "$(nbdinfo --map --totals "$uri" | awk '{ print $1, $3 }')" "8192 0
1073733632 3" "and nothing else"
stopped

# Data at both ends, and 64 MiB between.
truncate -s 64M image
printf start | dd of=image conv=notrunc status=none
printf end >>image
script size=1G file=image offset=1M
check "copy it back" nbdcopy "$uri" out
check "what lies from the offset on is the file" cmp -n $(((64 << 20) + 3)) -i 0:1048576 image out
is "$(nbdinfo --map "$uri" | awk '{ printf "%s+%s:%s ", $1, $2, $3 }')" \
   "0+1048576:3 1048576+4096:0 1052672+67104768:3 68157440+4096:0 68161536+1005580288:3 " \
   "holes in the file are holes"
stopped

# A file whose name ends as if by an offset; one after which there is no offset.
printf one >a@1M
printf two >b@c
script size=4M file=b@c@3M file=a@1M@2M file=b@c offset=1M
is "$(python 'print([bytes(h.pread(3, i << 20)) for i in range(4)])')" \
   "[b'\\x00\\x00\\x00', b'two', b'one', b'two']" "names with an @"
stopped

refused 'image.lua: .*file=NAME' size=1M
refused 'scripts/image.lua:[0-9]+: nowhere: No such file' size=1M file=nowhere
refused 'scripts/image.lua:[0-9]+: image: has 67108867 bytes' size=1M file=image
refused 'offset=x: expected bytes' size=1M file=LICENSE offset=x
refused 'image.lua: file=b@c: say where' size=1M file=LICENSE file=b@c
refused 'offset=2: .*more than once' size=1M file=LICENSE offset={1,2}
refused 'scripts/image.lua:[0-9]+: a@1X: No such file' size=1M file=a@1X
refused '.*past the end of the disk' size=1M file=LICENSE offset=2M
refused 'offsets=1M: .*did you mean offset' size=1M file=LICENSE offsets=1M
done_testing
