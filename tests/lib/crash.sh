# crash.sh - what the tests of the volatile write cache share: source it after lib.sh.
# shellcheck shell=bash

need nbdsh

# cached SIZE PARAMETERS: a server with a volatile cache and a control socket, ctl.  Its
# script mentions sleep, so that old versions of nbdkit, too, serve requests at the same
# time.
cached ()
{
    local size=$1
    shift
    rm -f ctl
    serve "size=$size" write-cache=volatile control=ctl lua='local may = sleep' "$@"
}

# rows CODE: run Python that imports crash.  Each line "ok NAME" or "not ok NAME" is a
# check, lines with # say what is wrong, and nothing else may be printed.
rows ()
{
    local line
    python "from crash import *
$1
print('end')" >rows.out
    while IFS= read -r line; do
        case $line in
        "ok "*) ok 0 "${line#ok }" ;;
        "not ok "*) ok 1 "${line#not ok }" ;;
        "# "*) tell <<<"${line#\# }" ;;
        end) ;;
        *) tell <<<"$line" ;;
        esac
    done <rows.out
    is "$(grep -v '^ok \|^not ok \|^# \|^end$' rows.out)$(tail -n 1 rows.out)" end "to the end"
}
