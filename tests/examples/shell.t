#!/usr/bin/env bash
# shell/disk.sh: a disk for a test in any shell, which ends with it; examples/copy.sh uses it.
# The scripts below stand in single quotes: their variables are their own.
# shellcheck disable=SC2016
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

# ends SHELL SCRIPT: its exit status and all that it says, and what it leaves.
ends ()
{
    mkdir tmp
    printf 'set -eu\n. "$TOP/shell/disk.sh"\n%s\n' "$2" >ends.sh
    TMPDIR=$scratch/tmp "$1" ends.sh >out 2>&1
    # (From nbdkit 1.42 on, one that refuses a client tells why.)
    echo "$?" | cat - out | grep -v "refused the connection"
    ls tmp
    rm -r tmp
}
echo "fault { op = 'open', error = 'EIO', shutdown = true }" >down.lua
for shell in bash sh; do
    is "$(ends $shell 'disk 1M hoks=a')" "1
nbdkit: error: hoks=a: no script looks this parameter up; did you mean hooks?" "set -e, and no start, in $shell"
    is "$(ends $shell 'disk 1M; lua "fault { op = [[trim]], error = [[EIO]], optional = true } return"
"$MEMCTL" --stop "$control" >/dev/null; while kill -0 "$disk_pid" 2>/dev/null; do sleep 0.05; done
end_disk; echo ended')" "0
ended" "... a server that was stopped"
    is "$(ends $shell 'disk 1M hooks=down.lua; fault two "op = [[trim]], error = [[EIO]]"
qemu-io -f raw -c "read 0 512" "$uri" >/dev/null 2>&1 || :
while kill -0 "$disk_pid" 2>/dev/null; do sleep 0.05; done
end_disk; echo not here')" '1
nbdkit: error: fault rule two (control:1: op="trim" error="EIO") never fired (it matched 0 requests)' \
        "... one that a rule has stopped"
    is "$(ends $shell 'disk 1M lua="print [[fault rule: never fired]]"; end_disk; end_disk; echo ended')" "0
ended" "... what a script says is no complaint; twice the same result"
    is "$(ends $shell 'disk 1M lua="function on.trim() end on.zero = on.trim"; end_disk || :; end_disk')" "1
nbdkit: error: hooks on.trim, on.zero (lua:1) were never called" "... hooks that were never called"
    is "$(ends $shell 'disk 1x 2>/dev/null || :; end_disk || echo "result: $?"')" "0
result: 1" "... the end of what never started"
    is "$(ends $shell 'disk 1M; first=$uri; disk 1M || echo "second: $?"
[ "$uri" = "$first" ]; lua "disk.size"; end_disk')" "0
disk: there is a disk: end_disk ends it
second: 1
1048576" "... a second disk"
    is "$(ends $shell 'trap "echo \"mine \$?\"" EXIT
disk 1M; end_disk; disk 1M; exit 5')" "5
mine 5" "... an exit before the end, with a trap"
done
is "$(ends bash 'trap "echo outer" EXIT; (disk 1M; end_disk; echo inner); echo after')" "0
inner
after
outer" "a subshell does not run the trap of its parent"

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
