#!/usr/bin/env bash
# scripts/mbr.lua: sfdisk finds the partitions that were asked for.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"
need nbdcopy nbdinfo sha256sum

if command -v sfdisk >/dev/null; then
    serve "${usage[@]}"
    nbdcopy "$uri" image
    check "sfdisk --verify" sfdisk --verify image
    is "$(sfdisk --dump image | sed -n 's/^image//p' | tr -s ' ')" \
       "1 : start= 2048, size= 204800, type=c
2 : start= 206848, size= 409600, type=82
3 : start= 616448, size= 1480704, type=83" "three partitions, of these types"
    stopped

    script size=10M parts=512,1000K,1M,4M
    nbdcopy "$uri" image2
    check "sfdisk --verify" sfdisk --verify image2
    is "$(sfdisk --dump image2 | sed -n 's/^image2p//p' | tr -s ' ')" \
       "1 : start= 2048, size= 1, type=83
2 : start= 4096, size= 2000, type=83
3 : start= 6144, size= 2048, type=83
4 : start= 8192, size= 8192, type=83" "four partitions, each at a whole MiB"
    stopped

    script size=2T parts=rest
    python 'open("first", "wb").write(h.pread(512, 0))'
    truncate -s 2T first && check "2 TiB" sfdisk --verify first
    stopped
else
    skip "sfdisk" "sfdisk is not installed"
fi

serve "${usage[@]}"
is "$(python 'import hashlib; print(hashlib.sha256(h.pread(512, 0)).hexdigest()[:16])')" \
   f82172d2e50bdda7 "the same parameters always give these bytes"
is "$(nbdinfo --map "$uri" | awk '{ printf "%s+%s:%s ", $1, $2, $3 }')" \
   "0+4096:0 4096+1073737728:3 " "nothing else is on the disk"
stopped

# Code that was there before stays.
serve size=1G lua="disk:fill(0, 512, 'x')" hooks=scripts/mbr.lua parts=rest
is "$(python 'print(h.pread(440, 0) == b"x" * 440)')" True "boot code stays"
stopped

refused 'mbr.lua: .*parts=' size=1G
refused 'mbr.lua: parts=: "": expected 512 to' size=1G parts=
refused 'mbr.lua: parts=1M,x: "x": expected 512 to' size=1G parts=1M,x
refused 'mbr.lua: parts=1M,: "": expected 512 to' size=1G parts=1M,
refused 'mbr.lua: parts=1G: "1G": expected 512 to 1072693248' size=1G parts=1G
refused 'mbr.lua: parts=rest,1M: "1M": no room is left' size=1G parts=rest,1M
refused 'mbr.lua: .*4 partitions' size=1G parts=1M,1M,1M,1M,1M
refused 'mbr.lua: .*2 TiB; try gpt.lua' size=3T parts=rest
refused 'mbr.lua: types=0x83: expected 1 to ff' size=1G parts=rest types=0x83
refused 'type=83: .*did you mean types' size=1G parts=rest type=83
done_testing
