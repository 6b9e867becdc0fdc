#!/usr/bin/env bash
# control=-: a private socket, whose name is $control for the command of --run, and
# which goes away with the server.  With $control, memctl needs no SOCKET.
# The commands of --run are for other shells.
# shellcheck disable=SC2016
. "$(dirname "$0")/../lib/lib.sh"
need nbdinfo
[ "$WATCH" != tsan ] || skip_all "the commands of --run do not work under tsan"

memctl=$TOP/memctl
export memctl
mkdir tmp
export TMPDIR=$scratch/tmp

# private COMMAND [PARAMETER...]: what a command prints that --run has started.
private ()
{
    "${watch[@]}" nbdkit -U - "$SO" size=1M control=- "${@:2}" --run "$1" 2>&1
}

{
is "$(private '$memctl 1+1')" 2 "a chunk finds the socket"
is "$(ls tmp)" "" "nothing is left"
is "$(private 'echo 2+2 | $memctl')" 4 "so does standard input"
is "$(private 'echo 2+2 | $memctl -  2>/dev/null')" 4 "so does the prompt"
like "$(private '$memctl --status')" '^disk  1M, ' "so does --status"
is "$(private '$memctl --stop; echo $?')" 0 "so does --stop"
is "$(private '$memctl $control 3+3; cd /; $memctl ${control#/} 4+4; cd ${control%/*}; $memctl control 5+5')" \
    $'6\n8\n10' "a SOCKET: it has a slash, or is one"
is "$(private '$memctl "10 / 2"; $memctl "return 7"; $memctl -1')" $'5\n7\n-1' "a chunk: it has a blank, or is none"
like "$(private '$memctl nosuch/sock 1; echo $?')" \
    "^memctl: nosuch/sock: No such file" "the SOCKET is not there"
like "$(private '$memctl --status nosuch/sock; echo $?')" \
    "^memctl: nosuch/sock: No such file" "nor for --status"
is "$(private '$memctl disk.size/2; $memctl "#disk:read(0,16)/4"')" $'524288\n4' "a chunk: it has a slash, and names no file"
like "$(private '$memctl nosuch/sock; echo $?' | tr '\n' ' ')" \
    "'nosuch'.* memctl: nosuch/sock was taken as the CHUNK, because there is no such file and .control is set 1 $" "... which says that it was taken as one"
is "$(private '$memctl --stat; echo $?')" $'memctl: unknown option --stat; did you mean --status?; try memctl --help\n1' "a misspelt option"
is "$(private 'stat -c "%a %F" "$control" "${control%/*}"')" $'600 socket\n700 directory' "nobody else may use it"
}

# The server ends before the command does.
like "$(private 'until [ -s pid ]; do sleep 0.02; done; kill "$(cat pid)"; until [ -z "$(ls "$TMPDIR")" ]; do sleep 0.02; done; echo gone' -P pid)" \
    "^gone" "they go away with the server"

# Wrong uses.
for args in "" "-U sock"; do
    read -ra words <<<"$args"
    nbdkit_run "${words[@]}" size=1M control=- >out 2>&1 </dev/null
    is "$? $(cat out)" "1 nbdkit: error: control=-: only the command of --run could find a private socket; name one, such as control=ctl.sock, or use --run" \
        "without --run: $args"
done
long=$scratch/$(printf 'x%.0s' {1..100})
mkdir "$long"
like "$(TMPDIR=$long private true)" "^nbdkit: error: control=- in .*x: the path is too long for a socket" "too long a TMPDIR"
like "$(TMPDIR=/nonexistent private true)" "^nbdkit: error: control=- in /nonexistent: No such file" "no such TMPDIR"
is "$(find tmp "$long" -mindepth 1)" "" "nothing is left of those"
for args in --run=true --ru=true "--ru true"; do
    read -ra words <<<"$args"
    check "$args" timeout 60 "${watch[@]}" nbdkit -U - "$SO" size=1M control=- "${words[@]}"
done

# A named socket is $control, too, wherever the command goes.
is "$("${watch[@]}" nbdkit -U - "$SO" size=1M control=ctl.sock --run 'cd /; $memctl 1+1' 2>&1)" 2 "a named one"

# Without $control.
unset control
"$memctl" 'fault.list()' >out 2>&1
is "$? $(cat out)" '1 memctl: a chunk needs a SOCKET before it, or in $control; try memctl --help' "no \$control"
"$memctl" 10/2 >out 2>&1
is "$? $(cat out)" "2 memctl: 10/2 is taken as the SOCKET, because \$control is not set
memctl: 10/2: No such file or directory" "it says what a single argument is"
"$memctl" >out 2>&1
is "$? $(cat out)" '1 memctl: which SOCKET? ($control is not set); try memctl --help' "nothing at all"
done_testing
