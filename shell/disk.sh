# disk.sh - a disk that fails as you wish, for tests in sh or bash: source it.
#
#   disk SIZE [KEY=VALUE...]  start a disk: sets uri, and socket, control, messages (files)
#   lua CHUNK                 run Lua in its server, such as lua 'disk:bad("1M", 512)'
#   fault NAME KEYS           declare a rule: fault full 'op="write", nth=3, error="ENOSPC"'
#   fired NAME                end a rule, and fail if it has never fired
#   end_disk                  end the disk, and fail if a rule never fired
#
# One disk at a time.  It ends with the shell, also if that is killed.  memory.so and memctl
# are $NBDKIT_MEMORY_SO and $MEMCTL, or else the installed ones.
# shellcheck shell=sh disable=SC2034

disk ()
{
    size=$1; shift
    disk_dir=$(mktemp -d) || return
    socket=$disk_dir/disk control=$disk_dir/control messages=$disk_dir/messages
    uri="nbd+unix:///?socket=$socket"
    nbdkit -f --exit-with-parent -U "$socket" -P "$disk_dir/pid" \
        "${NBDKIT_MEMORY_SO:-/usr/local/lib/nbdkit-memory-plugin/memory.so}" \
        "size=$size" "control=$control" "$@" >"$messages" 2>&1 </dev/null &
    disk_pid=$!
    until [ -s "$disk_dir/pid" ]; do
        kill -0 "$disk_pid" 2>/dev/null || { end_disk; return 1; }
        sleep 0.05
    done
}

lua () { "${MEMCTL:-memctl}" "$control" "$1"; }
fault () { lua "fault { name = '$1', $2 } return"; }
fired () { lua "local r = fault.get('$1'):wait(0) r:remove() return"; }

end_disk ()
{
    kill "$disk_pid" 2>/dev/null
    wait "$disk_pid" && ! grep -q 'never fired' "$messages"
    set -- $?
    [ "$1" -eq 0 ] || cat "$messages" >&2
    rm -rf "$disk_dir"; return "$1"
}
