# torture.sh - what the tests of disktorture share: source it after lib.sh.
# shellcheck shell=bash disable=SC2154 # why is of mounts.sh

[ -z "$WATCH" ] || skip_all "disktorture starts servers of its own, unwatched"
. "$TOP/tests/lib/mounts.sh"
need nbdfuse

export TMPDIR="$scratch/t m&p"
mkdir "$TMPDIR"
export PATH=$TOP:$PATH          # commands are those of the manual

# fuse_needed, mount_needed: skip the test where a disk can't be seen as a file, or mounted.
fuse_needed ()
{
    serve size=1M
    fuse_disk || skip_all "$why"
    fuse_stopped
    rmdir fuse mounted 2>mkdir.err
    stopped
}
mount_needed ()
{
    need mkfs.ext4 losetup
    [ "$(id -u)" = 0 ] || skip_all "only root can mount"
    serve size=8M
    fuse_disk || skip_all "$why"
    mkfs.ext4 -q -F fuse/disk 2>/dev/null
    kernel_mount ro || skip_all "$why"
    kernel_unmount
    detach
    fuse_stopped
    rmdir fuse mounted 2>mkdir.err
    stopped
}

# scripts NAME...: each script of the manual page as a file; there it is indented by a space.
scripts ()
{
    for name; do
        awk -v name="F<$name>" '$0 == "" && inside > 1 { exit }
            index ($0, name) == 1 { inside = 1 }
            inside && sub (/^ /, "") { inside = 2; print }' "$TOP/docs/disktorture.pod" >"$name"
        chmod +x "$name"
    done
}

# left: what runs have left behind.  The kernel takes its time with a loop device; and so
# does a run of another test, which sees copies of all mounts until it ends.
left ()
{
    for _ in {1..3000}; do
        losetup -a | grep -qF "$TMPDIR" || break
        sleep 0.02
    done
    ls "$TMPDIR"
    pgrep -af "$TMPDIR"
    losetup -a | grep -F "$TMPDIR"
    grep -F "${TMPDIR// /\\040}" /proc/mounts
}
