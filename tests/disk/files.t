#!/usr/bin/env bash
# disk:load and disk:save copy files byte for byte, and holes stay holes.
. "$(dirname "$0")/../lib/lib.sh"
need nbdinfo nbdcopy cmp

# 64 MiB: data at odd places, the rest holes.
truncate -s 64M image
for at in 0 4095 131071 1048577 33554432 67100000; do
    head -c 5000 /dev/urandom | dd of=image bs=1 seek=$at conv=notrunc status=none
done
head -c 1234567 /dev/urandom >odd
: >empty

serve size=80M lua='
print(disk:load("image", "8M"), disk:load("empty"), disk:load("odd", 1))
for _, f in ipairs {"a", "b"} do disk:save(f) end'
is "$(cat log)" $'67108864\t0\t1234567' "load returns the size"
check "the client gets a copy" nbdcopy "$uri" got
truncate -s 80M expected
dd if=image of=expected bs=1M seek=8 conv=notrunc,sparse status=none
dd if=odd of=expected bs=1M seek=1 oflag=seek_bytes conv=notrunc status=none
check "which is what was loaded" cmp got expected
check "save wrote it" cmp a expected
like "$(nbdinfo --map --totals "$uri")" '^ +12[0-9]{5} +[0-9.]+% +0 data' "holes stay holes on the disk"
ok $(($(stat -c '%b * %B' a) > 4000000)) "and in the file that is saved"
stopped

serve size=80M lua='disk:random(0, disk.size) disk:load("a") disk:save("c") disk:save("a")'
check "a hole replaces what was there" cmp c expected
check "an existing file is overwritten" cmp a expected
like "$(nbdinfo --map --totals "$uri")" '^ +12[0-9]{5} +[0-9.]+% +0 data' "and gives the memory back"
stopped

# Save cuts a file that is longer than the disk.  A disk of odd size survives a round
# trip.
serve size=1234567 lua='disk:load("odd") disk:save("c") print(pcall(disk.load, disk, "odd", 1))'
check "a round trip" cmp c odd
like "$(cat log)" '^false.*odd: has 1234567 bytes, but from offset 1 on the disk has 1234566' "an image that is too large"
stopped


# In the background, relative names are those of /, and messages say so.
can_run && is "$(nbdkit_run -U - size=1M lua='io.stderr:write(disk:save "saved.img")' --run : 2>&1)" "$(pwd -P)/saved.img" "save returns the path"
daemon size=1M control=ctl.sock
memctl () { "$TOP/memctl" ctl.sock "$1" 2>&1; }
is "$(memctl 'disk:load "none.img"')" "memctl: control:1: none.img: No such file or directory (relative to /)" "a relative name in the background"
is "$(memctl 'disk:save "none/none.img"')" "memctl: control:1: none/none.img: No such file or directory (relative to /)" "... where to save"
is "$(memctl 'disk:load "/none.img"')" "memctl: control:1: /none.img: No such file or directory" "an absolute one"
end "$server"
is "$(nbdkit_run -U - size=1M lua='disk:load "none.img"' --run : 2>&1)" "nbdkit: error: lua:1: none.img: No such file or directory" "one in the foreground"
done_testing
