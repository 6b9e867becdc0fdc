# torture.sh - what the tests of disktorture share: source it after lib.sh.
# shellcheck shell=bash disable=SC2154 # why is of mounts.sh

[ -z "$WATCH" ] || skip_all "disktorture starts servers of its own, unwatched"
. "$TOP/tests/lib/mounts.sh"
need nbdfuse

export TMPDIR="$scratch/t m%p"
mkdir "$TMPDIR"
export PATH=$TOP:$PATH          # commands are those of the manual

# can_fuse, can_mount: can a disk be seen as a file here, and mounted?  If not, $why.
can_fuse ()
{
    local status
    serve size=8M
    fuse_disk
    status=$?
    if [ $status = 0 ]; then
        if [ "${1:-}" = mount ]; then
            mkfs.ext4 -q -F fuse/disk 2>/dev/null
            kernel_mount ro && kernel_unmount
            status=$?
            detach
        fi
        unmount fuse && wait "$fuse"
    fi
    stop
    rmdir fuse mounted 2>rmdir.err
    return $status
}
can_mount ()
{
    why="only root can mount"
    [ "$(id -u)" = 0 ] || return
    why="mkfs.ext4 or losetup is missing"
    command -v mkfs.ext4 >/dev/null && command -v losetup >/dev/null && can_fuse mount
}
fuse_needed () { can_fuse || skip_all "$why"; }
mount_needed () { can_mount || skip_all "$why"; }

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
