# disk.sh - a disk that fails as you wish, for tests in sh or bash: source it.
#   disk SIZE [KEY=VALUE...]  start a disk: sets uri, and socket, control, messages (files)
#   lua CHUNK                 run Lua in its server, such as lua 'disk:bad("1M", 512)'
#   fault NAME KEYS           declare a rule: fault full 'op="write", nth=3, error="ENOSPC"'
#   fired NAME                end a rule, and fail if it has never fired
#   end_disk                  end the disk; fail if a rule never fired, a hook was never called
# One disk at a time.  It ends with the shell, also if that is killed.  memory.so and memctl
# are $NBDKIT_MEMORY_SO and $MEMCTL, or else the installed ones.
# shellcheck shell=sh disable=SC2034,SC2064,SC3028
disk ()
{
    [ -z "${disk_pid:-}" ] || { echo "disk: there is a disk: end_disk ends it" >&2; return 1; }
    disk_result=1; disk_dir=$(mktemp -d) || return; disk_trap; size=$1; shift
    socket=$disk_dir/disk control=$disk_dir/control messages=$disk_dir/messages
    uri="nbd+unix:///?socket=$socket"
    nbdkit -f --exit-with-parent -U "$socket" -P "$disk_dir/pid" \
        "${NBDKIT_MEMORY_SO:-/usr/local/lib/nbdkit-memory-plugin/memory.so}" \
        "size=$size" "control=$control" "$@" >"$messages" 2>&1 </dev/null &
    disk_pid=$!; until [ -s "$disk_dir/pid" ]; do
        kill -0 "$disk_pid" 2>/dev/null || { end_disk || :; disk_result=1; return 1; }
        sleep 0.05; done
}
lua () { "${MEMCTL:-memctl}" "$control" "$1"; }
fault () { lua "fault { name = '$1', $2 } return"; }
fired () { lua "local r = fault.get('$1'):wait(0) r:remove() return"; }
end_disk ()
{
    [ -n "${disk_pid:-}" ] || return "${disk_result:-1}" # that of the last disk
    disk_result=0; kill "$disk_pid" 2>/dev/null || : # it may have ended by itself
    wait "$disk_pid" || disk_result=$?
    ! grep -Eq '^nbdkit: .*error: (fault rule|hook).* never (fired|called)' "$messages" ||
        disk_result=1
    [ "$disk_result" -eq 0 ] || cat "$messages" >&2
    rm -rf "$disk_dir"; disk_pid=; return "$disk_result"
}
# On exit, remove the directory; then the shell's own trap.  (Bash: not in a subshell.)
disk_trap () { [ "${BASH_SUBSHELL:-0}" -eq 0 ] || return 0; trap >"$disk_dir/t"; disk_old=
    eval "$(sed 's/^trap /disk_keep /' "$disk_dir/t")"; trap "disk_exit && :; $disk_old" EXIT; }
disk_keep () { [ "$3" != EXIT ] || disk_old=${2#"disk_exit && :; "}; }
disk_exit () { set -- $?; [ -z "${disk_pid:-}" ] || rm -rf "$disk_dir"; return "$1"; }
