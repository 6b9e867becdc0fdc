#!/usr/bin/env bash
# badblocks finds the bad sectors of the disk, and writing to them heals them.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/mounts.sh"
need badblocks

size=$((8 << 20))
serve size=$size control="$scratch/control"
fuse_disk || skip_all "$why"
head -c $size /dev/urandom >source

# The bad blocks, each of one page, because badblocks reads those with direct I/O.  It
# would read smaller ones through the cache, which reads whole pages, so that all eight
# sectors of a page would seem bad.
bad_blocks () { badblocks -b 4096 "$@" fuse/disk 2>badblocks.out | tr '\n' ' '; }

# sector N: read it with direct I/O, so that nothing else is read.
sector () { dd if=fuse/disk bs=512 skip="$1" count=1 iflag=direct status=none 2>dd.out; }

# rewrite N: write the sector's content from the source.
# shellcheck disable=SC2317,SC2329 # called through check
rewrite ()
{
    dd if=source of=fuse/disk bs=512 skip="$1" seek="$1" count=1 \
        conv=notrunc oflag=direct status=none
}

check "the disk is filled" dd if=source of=fuse/disk bs=1M conv=notrunc status=none
is "$(bad_blocks)" "" "at first no block is bad"

check "four sectors go bad" control 'disk:bad("1M", 512)
    disk:bad((2 << 20) + 512, 1024)
    disk:bad(disk.size - 512, 512)'
is "$(bad_blocks)" "256 512 2047 " "badblocks finds them"
sector 4097 >got
ok $((! $?)) "a bad sector can't be read"
like "$(cat dd.out)" "Input/output error" "... because of EIO"
sector 4096 >got
is "$(cmp got <(tail -c +$((4096 * 512 + 1)) source | head -c 512) 2>&1)" "" "its neighbour is good"
is "$(bad_blocks -n)" "256 512 2047 " "trying to keep what is there, badblocks can't write"
is "$(bad_blocks)" "256 512 2047 " "... so they stay bad"

check "one is rewritten" rewrite 2048
is "$(bad_blocks)" "512 2047 " "it is good, and the others stay bad"
check "another is" rewrite 4097
is "$(bad_blocks)" "512 2047 " "the other sector of its block is still bad"
sector 4098 >got
ok $((! $?)) "... as can be seen"
check "it is rewritten, too" rewrite 4098
is "$(bad_blocks)" "2047 " "the block is good"
check "the last is healed" control 'disk:heal(disk.size - 512, 512)'
is "$(bad_blocks)" "" "... without a write"
check "nothing is lost" cmp fuse/disk source

check "others go bad" control 'disk:bad("4M", "64K")'
is "$(bad_blocks | wc -w)" 16 "new bad sectors are found"
is "$(bad_blocks -w -t 0xaa)" "" "badblocks -w writes first, and finds none"
is "$(bad_blocks)" "" "... then or later"

fuse_stopped
stopped
done_testing
