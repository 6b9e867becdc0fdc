#!/usr/bin/env bash
# shell/disk.sh: a disk for a test in any shell, which ends with it; examples/copy.sh uses it.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/helper.sh"
need nbdcopy qemu-io

ok $(($(wc -l <"$TOP/shell/disk.sh") > 40)) "it has 40 lines"
is "$(bash "$TOP/examples/copy.sh" 2>/dev/null)" PASSED "the example passes"
mkdir -p fake shell
cp "$TOP/shell/disk.sh" shell
sed 's/nth = 3/nth = 300/' "$TOP/examples/copy.sh" >fake/copy.sh
bash fake/copy.sh >out 2>&1
is "$? $(cat out)" "1 FAILED: nbdcopy did not notice" "... and fails if the fault does not happen"

cat >all.sh <<'SH'
. "$TOP/shell/disk.sh"
io () { qemu-io -f raw -c "$1" "$uri" | grep -v ops; }
disk 1M seed=5 lua='disk:bad("64K", 1)' || exit
lua 'return { disk.size, param.seed }'
io "read 64K 512"
lua 'disk:nonsense()' 2>/dev/null; echo "wrong Lua: $?"
fault one 'op = "write", error = "EIO"'
fired one 2>/dev/null; echo "fired: $?"
io "write 0 512"
fired one; echo "fired: $?"
end_disk; echo "end: $?"
disk 1M
fault two 'op = "flush", error = "EIO"'
end_disk 2>&1; echo "end: $?"
disk 1x 2>&1; echo "start: $?"
[ ! -e "$disk_dir" ]; echo "removed: $?"
SH
expected='[1048576,"5"]
read failed: Input/output error
wrong Lua: 1
fired: 1
write failed: Input/output error
fired: 0
end: 0
nbdkit: error: fault rule two (control:1: op="flush" error="EIO") never fired (it matched 0 requests)
end: 1
nbdkit: error: size=1x: expected a number of bytes up to 2^63-1, such as 512, 64K, 1M or 10G
start: 1
removed: 0'
export TOP
for shell in bash sh; do
    is "$($shell all.sh 2>&1)" "$expected" "all that it has, in $shell"
done

# A test that is killed.  (What is in TMPDIR stays.)
bash -c '. "$TOP/shell/disk.sh"; disk 1M; echo "$disk_pid" >ready; sleep 1000 & echo $! >sleep; wait' &
client=$!
await_from $client "the test" [ -s sleep ]
kill -KILL $client
wait $client 2>/dev/null
# shellcheck disable=SC2317,SC2329 # called through await
gone () { ! running "$(cat ready)"; }
await gone
ok 0 "the disk of a test that is killed ends"
kill "$(cat sleep)"
done_testing
