#!/usr/bin/env bash
# disktorture keeps no file system of others mounted: what is unmounted while it runs is gone.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/torture.sh"
need unshare
unshare --mount --propagation private mount --make-rshared / 2>shared.out || skip_all "$(tail -1 shared.out)"
mount_needed
export scratch
mkdir other

cat >work.sh <<'SH'
[ ! -e "$scratch/done" ] || exit 0
there () { grep -c " $scratch/other " /proc/self/mountinfo; }
there >"$scratch/before"
touch "$scratch/begun.new" && mv "$scratch/begun.new" "$scratch/begun"
until [ -e "$scratch/unmounted" ]; do sleep 0.02; done
there >"$scratch/after"
touch "$scratch/done"
SH
# Mounts that are shared, as on most systems, which nobody else sees.
# shellcheck disable=SC2016 # the other shell expands it
unshare --mount --propagation private bash -c '
    mount --make-rshared / && mount -t tmpfs none other || exit
    disktorture --size 8M --mount ext4 --out found --workload "sh $scratch/work.sh" \
        --check true >out 2>&1 </dev/null &
    until [ -e begun ]; do
        kill -0 $! || exit
        sleep 0.02
    done
    umount other
    touch unmounted
    wait $!' 2>shell.out
is "$? $(tail -n 1 out)" "0 good      no state failed" "it ends well" || tell <out
is "$(cat before after)" "1
0" "what was unmounted has gone there, too"
done_testing
