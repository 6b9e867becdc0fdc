#!/usr/bin/env bash
# scripts/persist.lua: what the disk holds at the end, it holds at the next start.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

serve "${usage[@]}"
sees 'h.pwrite(b"first", 0); h.pwrite(b"x" * 4096, 512 << 20); print(w(0, 1))' ok "a disk without a file"
is "$(ls -A ./*img* 2>/dev/null)" "" "there is none before the end"
stopped
is "$(stat -c %s disk.img) $(head -c 5 disk.img)" "1073741824 wirst" "but then"
ok $(($(stat -c '%b * %B' disk.img) > 1 << 20)) "as a sparse file"

# In the background, where the working directory is another one.
daemon "${usage[@]}"
sees 'print(h.pread(5, 0), h.pread(1, 512 << 20), h.pread(1, 1 << 29 | 4096)); h.pwrite(b"F", 0)' \
    "bytearray(b'wirst') bytearray(b'x') bytearray(b'\\x00')" "loaded again"
end "$server"
is "$(head -c 5 disk.img)" First "saved again"

# What other scripts make of the disk is saved, too; a crash leaves the old file.
script file=other.img lua='disk:write(8, "made")'
stopped
is "$(tail -c +9 other.img | head -c 4)" made "other scripts"
script file=other.img
python 'h.pwrite(b"lost", 8)'
kill -KILL "$server"
ended "$server" 2>/dev/null
script file=other.img
sees 'print(h.pread(4, 8))' "bytearray(b'made')" "what was there before a crash"
stopped
is "$(ls -A ./*img*)" "./disk.img
./other.img" "and nothing else"

refused 'persist.lua: say where the disk is kept: file=NAME'
refused 'persist.lua: file=disk.img: has 1073741824 bytes, but the disk has 1048576' file=disk.img
is "$(head -c 5 disk.img)" First "an image of another size stays"
refused 'persist.lua: file=\.: has ' file=.
refused 'scripts/persist.lua:[0-9]+: missing/disk.img: No such file or directory' file=missing/disk.img
chmod 0 other.img
[ "$(id -u)" = 0 ] || refused 'persist.lua: file=other.img: Permission denied' file=other.img
done_testing
