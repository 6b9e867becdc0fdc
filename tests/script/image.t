#!/usr/bin/env bash
# scripts/image.lua: a file is on the disk, from an offset on, and its holes
# are holes.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"
need nbdcopy nbdinfo cmp truncate

serve "${usage[@]}"
check "copy it back" nbdcopy "$uri" out
check "the file is there" cmp -n "$(stat -c %s LICENSE)" LICENSE out
is "$(nbdinfo --map --totals "$uri" | awk '{ print $1, $3 }')" "4096 0
1073737728 3" "and nothing else"
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

refused 'image.lua: .*file=NAME' size=1M
refused 'scripts/image.lua:[0-9]+: nowhere: No such file' size=1M file=nowhere
refused 'scripts/image.lua:[0-9]+: image: has 67108867 bytes' size=1M file=image
refused 'image.lua: offset=x: expected bytes' size=1M file=LICENSE offset=x
refused '.*past the end of the disk' size=1M file=LICENSE offset=2M
refused 'offsets=1M: .*did you mean offset' size=1M file=LICENSE offsets=1M
done_testing
