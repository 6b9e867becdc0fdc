#!/usr/bin/env bash
# The control socket's file: made before the server is there, refused where it
# would take something away, and gone with the server, however that ends.
. "$(dirname "$0")/../lib/lib.sh"
need nbdinfo python3

memctl=$TOP/memctl

# refused REGEX PATH NAME
refused ()
{
    like "$(nbdkit_run -U refused.sock size=1M control="$2" --run true 2>&1)" "control=.*: $1" "refused: $3"
}

# gone NAME: the file ctl.sock goes away; a server may still be at it.
gone ()
{
    local i
    for ((i = 0; i < 6000; i++)); do
        [ -e ctl.sock ] || break
        sleep 0.02
    done
    [ ! -e ctl.sock ]
    ok $? "$1"
}

for signal in TERM INT QUIT HUP; do
    serve size=1M control=ctl.sock
    is "$(timeout 600 "$memctl" ctl.sock 1)" 1 "a server"
    kill -s "$signal" "$server"
    wait "$server"
    is $? 0 "ends with SIG$signal"
    [ ! -e ctl.sock ]
    ok $? "the socket is gone"
done

# A client of the disk keeps the server alive: control goes on meanwhile.
serve size=1M control=ctl.sock
python3 -c 'import raw_nbd, os, signal
c = raw_nbd.Raw(os.environ["sock"])
open("connected", "w").close()
signal.pause()' &
client=$!
until [ -e connected ]; do sleep 0.02; done
kill "$server"
is "$(timeout 600 "$memctl" ctl.sock 1)" 1 "there is control while a client keeps the server from ending"
kill "$client"
stopped
[ ! -e ctl.sock ]
ok $? "the socket is gone"

# In the background, where the working directory is another.
mkdir dir
"${watch[@]}" nbdkit -U "$scratch/dir/nbd.sock" -P "$scratch/dir/pid" "$SO" size=1M control=dir/ctl.sock
ln -s dir/ctl.sock link
background=$(cat dir/pid)
pids+=("$background")
is "$(timeout 600 "$memctl" dir/ctl.sock disk.size)" 1048576 "a relative path in the background"
is "$(timeout 600 "$memctl" link disk.size)" 1048576 "through a link"
refused 'there is a file that is no socket' link "a link, also to a socket"
end "$background"
[ ! -e dir/ctl.sock ]
ok $? "the socket is gone after that"

# One socket has one server.
serve size=1M control=ctl.sock
refused 'a server is listening on it already' ctl.sock "the socket of a live server"
is "$(timeout 600 "$memctl" ctl.sock 1)" 1 "which is not disturbed"
# A program that a script has started is not the server.
timeout 600 "$memctl" ctl.sock 'os.execute("exit 3")' >out
[ "$WATCH" = tsan ] || is "$(cat out)" '[null,"exit",3]' "a chunk runs a command"
is "$(timeout 600 "$memctl" ctl.sock 1)" 1 "which does not take the socket away"
kill -KILL "$server"
{ wait "$server"; } 2>/dev/null
[ -S ctl.sock ]
ok $? "a server that was killed leaves its socket"
serve size=2M control=ctl.sock
is "$(timeout 600 "$memctl" ctl.sock disk.size)" 2097152 "and the next one takes its place"
stopped

# Nor does a server that ends take away what another one has made there since.
serve size=1M control=ctl.sock
first=$server
rm ctl.sock
serve size=2M control=ctl.sock
kill "$first"
wait "$first"
is "$(timeout 600 "$memctl" ctl.sock disk.size)" 2097152 "a server ends whose socket was replaced"
stopped
[ ! -e ctl.sock ]
ok $? "the socket is gone with its own server"

echo precious >file
refused 'there is a file that is no socket' file "a file"
is "$(cat file)" precious "which is not touched"
refused 'there is a file that is no socket' dir "a directory"
ln -s nowhere dangling
refused 'there is a file that is no socket' dangling "a link to nothing"
refused 'No such file or directory' none/ctl.sock "a directory that is not there"
refused 'the path is too long for a socket' "$(printf 'x%.0s' {1..200})" "too long a path"
like "$(nbdkit_run -U refused.sock size=1M control= --run true 2>&1)" 'error' "refused: no path"

# 107 bytes are just short enough.
long=$scratch/$(printf 'x%.0s' {1..110})
long=${long:0:107}
serve size=1M control="$long"
is "$(timeout 600 "$memctl" "$long" disk.size)" 1048576 "a path just short enough"
stopped
refused 'the path is too long for a socket' "${long}x" "one byte more"

# A start that fails afterwards leaves nothing.
nbdkit_run -U none/nbd.sock size=1M control=ctl.sock >out 2>&1
ok $((! $?)) "a start that fails"
[ ! -e ctl.sock ]
ok $? "leaves no socket"

# The shell does not bear TSan's library, which it gets from the server.
if [ "$WATCH" = tsan ]; then
    skip "--run" "the shell can't be watched by TSan"
    done_testing
fi

# --run: the server is a child.
out=$(nbdkit_run -U - size=1M control=ctl.sock --run "$memctl ctl.sock disk.size" 2>&1)
is "$out" 1048576 "--run"
gone "the socket is gone after --run"
out=$(nbdkit_run -U - size=1M control=ctl.sock --run "kill -KILL \$(cat run.pid); until ! kill -0 \$(cat run.pid) 2>/dev/null || grep -qs '^State:.*Z' /proc/\$(cat run.pid)/status; do sleep 0.02; done; timeout 600 $memctl ctl.sock 1; echo \$?" -P run.pid 2>&1)
like "$out" "^2$" "--run, and the server dies: nobody waits for it"
like "$out" "ctl.sock: Connection refused" "for the command does not hold the socket"
done_testing
