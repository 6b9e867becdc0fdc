#!/usr/bin/env bash
# Checks and workloads that misbehave; and disktorture killed at any moment: no mount, loop
# device, process or file stays, at the latest when it is started again.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/torture.sh"
need setsid
mount_needed

# Programs that checks leave behind have a name that ends with the number of this test.
nap=nap-$$
cp "$(command -v sleep)" "$nap"
export PATH=$PWD:$PATH
all_left () { left; pgrep -af "^$nap"; }

cat >work.sh <<'SH'
echo one >"$dir/one"; sync -f "$dir"; echo "ack one"
echo two >"$dir/two"; sync -f "$dir"; echo "ack two"
SH
# torture CHECK ARGUMENTS: what it prints is in the file out.
torture ()
{
    local check=$1
    shift
    rm -rf found
    timeout 60 disktorture --size 8M --mount ext4 --out found --workload "${work:-sh work.sh}" \
        --check "$check" "$@" >out 2>&1 </dev/null
}
# finds NAME STATUS TEXT CHECK ARGUMENTS: a misbehaving check does no harm, and is told.
finds ()
{
    local name=$1 status=$2 text=$3
    shift 3
    torture "$@"
    is $? "$status" "$name: exit status"
    like "$(cat out)" "$text" "$name: what it says"
    is "$(all_left)" "" "$name: nothing is left"
}
# shellcheck disable=SC2016 # the checks have these variables
bad='test ! -e "$dir/two" || exit 0;'
good='good      no state failed'
finds "a check that leaves a daemon in \$dir" 0 "$good" "cd \"\$dir\" && (setsid $nap 1000 >&- 2>&- &) ; true"
finds "one that leaves it with its output" 0 "$good" "setsid $nap 1000 & true"
# shellcheck disable=SC2016
finds "one that fills the disk" 0 "$good" 'head -c 9M /dev/zero >"$dir/full"; test -e "$dir"'
# shellcheck disable=SC2016
finds "one that removes all" 0 "$good" 'rm -rf "$dir"/* "$image" "$acked"; echo x >"$TMPDIR/x"; chmod 0 "$TMPDIR"'
finds "one that hangs" 1 "the check does not end.*
.*
   check: it took longer than 3 s" "$bad exec $nap 1000" --timeout 3 --jobs 8
finds "one that stops itself" 1 "it took longer than 3 s" "$bad kill -STOP \$\$" --timeout 3 --jobs 8
finds "one that writes megabytes" 1 "it wrote more than a megabyte" "$bad yes"
finds "one that writes what is no text" 1 "check: .*no" "$bad head -c 5000 /dev/urandom; echo; echo '?no'; false"
finds "one that dies" 1 "the check dies of a signal.*
.*
   check: Segmentation fault" "$bad sh -c 'kill -SEGV \$\$'; exit \$?"
finds "one that is not there" 2 "the check fails on what the workload has left.*not found" "no-such-command"
finds "one that unmounts" 2 "can't unmount a state|$good" "umount \"\$dir\""
work="sh work.sh; setsid $nap 1000 & cd \"\$dir\"; $nap 1000 & true"
finds "a workload that leaves programs" 0 "$good" true
work="sh work.sh; kill -SEGV \$\$"
finds "one that dies" 2 "the workload fails on a healthy disk \(signal 11\)" true
work=

# Killed while the check runs, 12 times.
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
    rm -rf found
    disktorture --size 8M --mount ext4 --out found --workload "sh work.sh" --jobs 2 \
        --check "setsid $nap 0.5 & $nap 0.01" >out 2>&1 </dev/null &
    sleep "0.$((n * 7 % 10))"
    kill -KILL $!
    wait $! 2>/dev/null
done
torture true
is "$? $(all_left)" "0 " "killed at 12 moments: nothing is left after the next start"
rm -rf found
disktorture --size 8M --mount ext4 --out found --workload "$nap 1000" --check true >out 2>&1 </dev/null &
await_from $! disktorture pgrep -f "$nap 1000" >/dev/null
kill -INT $!
wait $!
is "$? $(cat out)$(all_left)" "2 disktorture: stopped by signal 2" "interrupted: one line, and nothing is left"
done_testing
