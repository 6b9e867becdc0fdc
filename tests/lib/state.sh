# state.sh - crash states as file systems: source it after mounts.sh.
# shellcheck shell=bash
# lib.sh and mounts.sh set and read these.
# shellcheck disable=SC2154,SC2034

# clean_up_here: what is mounted from now on goes with this subshell, wherever it ends.
clean_up_here ()
{
    at_exit=() pids=() scratch=$PWD loop=
    trap clean_up EXIT
    trap 'exit 1' INT TERM
}

# with_state [POINT/]CHOICE COMMAND...: cut the power of the disk at $uri, now or then, and run the
# command where what is left of its file system is mounted at mounted.  The disk
# itself goes on.  The mount replays the file system's journal.  A function can
# be the command.  Use each CHOICE once for each server: it may hear late that the
# last user of a state has gone, and show the old state once more.
with_state ()
{
    mkdir state || return
    (
        cd state || exit
        clean_up_here
        case $1 in
        */*) uri="nbd+unix:///crash/$1?socket=$sock" ;;
        *) uri="nbd+unix:///crash/now/$1?socket=$sock" ;;
        esac
        shift
        if ! fuse_disk || ! kernel_mount errors=remount-ro; then
            echo "$why"
            exit 1
        fi
        "$@"
    )
}

# ext4_mount OPTIONS: make a file system on fuse/disk that every state has, and mount
# it with these options.  Fails and sets why as kernel_mount does.
ext4_mount ()
{
    why="mkfs.ext4 failed"
    mkfs.ext4 -q -F -b 4096 fuse/disk >mkfs.out 2>&1 && sync fuse/disk &&
        kernel_mount "$1"
}
