#!/usr/bin/env bash
# Commits of git that were acknowledged are not there after a power cut: with its defaults,
# git syncs no references.  With core.fsync=all, the last one is missing now and then, and
# the repository is whole.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/mounts.sh"
. "$TOP/tests/lib/state.sh"
need git mkfs.ext4 losetup nbdfuse
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
export GIT_CONFIG_GLOBAL=$scratch/gitconfig GIT_CONFIG_NOSYSTEM=1
git config --global safe.directory '*'

# The subjects of the commits, and what is wrong.
# shellcheck disable=SC2317,SC2329 # called through with_state
commits ()
{
    git -C mounted/r fsck --strict >fsck.out 2>&1 || echo "broken"
    git -C mounted/r log --format=%s 2>&1 | xargs
}

# run: make a repository durable, and commit three times.
run ()
{
    local n
    serve size=64M write-cache=volatile history=1G control="$scratch/control"
    fuse_disk || skip_all "$why"
    ext4_mount commit=3600 || skip_all "$why"
    git init -q mounted/r && sync -f mounted
    for n in 1 2 3; do
        echo "$n" >mounted/r/f
        git -C mounted/r add f || bail "no commit"
        git -C mounted/r commit -q -m "c$n" || bail "no commit"
        control "disk:mark 'ack $n'" >/dev/null
    done
    check "unmounted" kernel_unmount
    fuse_stopped
}

run
like "$(with_state mark-ack%203/all commits)" "does not have any commits" \
    "none of three commits is there, even if nothing of the disk is lost"
is "$(with_state end/none commits)" "c3 c2 c1" "unmounted, all are"
stopped
rm -rf fuse mounted
git config --global core.fsync all
run
for choice in none all; do
    like "$(with_state "mark-ack%203/$choice" commits)" "^(c3 )?c2 c1$" "core.fsync=all: all but the last: $choice"
done
stopped
done_testing
