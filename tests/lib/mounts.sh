# mounts.sh - the disk as a file, and file systems on it, for tests with real
# software: source it after lib.sh.
#
# All that is mounted, attached or started here is first registered with at_exit,
# so nothing stays behind, wherever the test ends.
# shellcheck shell=bash
# lib.sh sets uri and scratch, and tests read why and fuse2fs.
# shellcheck disable=SC2154,SC2034

# unmount DIRECTORY: now, or as soon as nobody uses it.
unmount ()
{
    umount "$1" 2>/dev/null || fusermount3 -u "$1" 2>/dev/null ||
        fusermount -u "$1" 2>/dev/null || umount -l "$1" 2>/dev/null ||
        fusermount3 -uz "$1" 2>/dev/null
}

# fuse_disk: show the disk at $uri as the file fuse/disk.  If that is not possible,
# it fails and sets why to the reason, as the functions below do.
fuse_disk ()
{
    why="nbdfuse is not installed"
    command -v nbdfuse >/dev/null || return
    why="/dev/fuse can't be used here"
    [ -w /dev/fuse ] || return
    mkdir fuse
    nbdfuse -P fuse.pid fuse/disk "$uri" >fuse.out 2>&1 &
    fuse=$!
    at_exit+=("unmount fuse; end $fuse")
    until [ -s fuse.pid ] && [ -e fuse/disk ]; do
        if ! kill -0 "$fuse" 2>/dev/null; then
            why="nbdfuse does not work here: $(head -1 fuse.out)"
            return 1
        fi
        sleep 0.02
    done
}

# fuse_stopped: a test that called fuse_disk should end with this, before stopped.
fuse_stopped ()
{
    check "nbdfuse ends" unmount fuse
    wait "$fuse"
}

loop=
# shellcheck disable=SC2317,SC2329 # called through at_exit
detach ()
{
    [ -z "$loop" ] || losetup -d "$loop"
    loop=
}

# kernel_mount OPTIONS: the kernel mounts the file system on fuse/disk at
# mounted, through a loop device with direct I/O: only the file system's own
# cache is between it and the disk.
kernel_mount ()
{
    local status
    mkdir -p mounted
    why="only root can mount"
    [ "$(id -u)" -eq 0 ] || return
    at_exit+=(detach "unmount mounted")
    if ! loop=$(losetup --direct-io=on --find --show fuse/disk 2>mount.out); then
        loop=
        why="no loop device: $(head -1 mount.out)"
        return 1
    fi
    mount -o "nosuid,nodev,$1" "$loop" mounted >mount.out 2>&1
    status=$?
    why="no mount: $(head -1 mount.out)"
    # Once it is mounted, the loop device goes with the mount.
    detach
    return $status
}

# kernel_unmount: unmount it, and wait until the kernel has let go of the disk.  A process
# that has mounts of its own, such as disktorture in another test, has a copy of each mount
# that there is when it starts.  Until it ends, the file system lives on, and then it writes
# its superblock over what is on the disk by then.
kernel_unmount ()
{
    umount mounted || return
    while grep -qsxF "$PWD/fuse/disk" /sys/block/loop*/loop/backing_file; do sleep 0.02; done
}

# fuse2fs_mount: the same in user space, without a loop device.
fuse2fs_mount ()
{
    mkdir -p mounted
    why="fuse2fs is not installed"
    command -v fuse2fs >/dev/null || return
    fuse2fs -f fuse/disk mounted >fuse2fs.out 2>&1 &
    fuse2fs=$!
    at_exit+=("unmount mounted; end $fuse2fs")
    until grep -qF " $PWD/mounted " /proc/self/mounts; do
        if ! kill -0 "$fuse2fs" 2>/dev/null; then
            why="fuse2fs does not work here: $(head -1 fuse2fs.out)"
            return 1
        fi
        sleep 0.02
    done
}

# control CHUNK: run Lua in the server, which has control=$scratch/control.
control () { "$TOP/memctl" "$scratch/control" "$1"; }

# fired NAME: how often that rule fired.
fired () { control "fault.get('$1').fired"; }
