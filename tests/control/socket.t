#!/usr/bin/env bash
# The control socket's file is made before the server is ready, refused where it
# would replace something, and removed by the server, however that ends.
. "$(dirname "$0")/../lib/lib.sh"
need nbdinfo python3

memctl=$TOP/memctl

# refused REGEX PATH NAME
refused ()
{
    like "$(nbdkit_run -U refused.sock size=1M control="$2" --run true 2>&1)" "control=.*: $1" "refused: $3"
}

# gone NAME: the file ctl.sock goes away, perhaps not yet.
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
    ended "$server"
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
await_from "$client" "the client" [ -e connected ]
kill "$server"
is "$(timeout 600 "$memctl" ctl.sock 1)" 1 "there is control while a client keeps the server from ending"
kill "$client"
stopped
[ ! -e ctl.sock ]
ok $? "the socket is gone"

# In the background, where the server has a different working directory.
mkdir dir
daemon size=1M control=dir/ctl.sock
ln -s dir/ctl.sock link
is "$(timeout 600 "$memctl" dir/ctl.sock disk.size)" 1048576 "a relative path in the background"
is "$(timeout 600 "$memctl" link disk.size)" 1048576 "through a link"
refused 'there is a file that is no socket' link "a link, also to a socket"
end "$server"
[ ! -e dir/ctl.sock ]
ok $? "the socket is gone after that"

# One socket has one server.
serve size=1M control=ctl.sock
refused 'a server is listening on it already' ctl.sock "the socket of a live server"
is "$(timeout 600 "$memctl" ctl.sock 1)" 1 "which is not disturbed"
# A program that a script starts does not count as the server.
timeout 600 "$memctl" ctl.sock 'os.execute("exit 3")' >out
[ "$WATCH" = tsan ] || is "$(cat out)" '[null,"exit",3]' "a chunk runs a command"
is "$(timeout 600 "$memctl" ctl.sock 1)" 1 "which does not take the socket away"
kill -KILL "$server"
{ ended "$server"; } 2>/dev/null
[ -S ctl.sock ]
ok $? "a server that was killed leaves its socket"
serve size=2M control=ctl.sock
is "$(timeout 600 "$memctl" ctl.sock disk.size)" 2097152 "and the next one takes its place"
stopped

# A server that ends does not remove what another one has made there since.
serve size=1M control=ctl.sock
first=$server
rm ctl.sock
serve size=2M control=ctl.sock
kill "$first"
ended "$first"
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

# 107 bytes are the most that a socket's path can have.
long=$scratch/$(printf 'x%.0s' {1..110})
long=${long:0:107}
serve size=1M control="$long"
is "$(timeout 600 "$memctl" "$long" disk.size)" 1048576 "a path just short enough"
stopped
refused 'the path is too long for a socket' "${long}x" "one byte more"

# If the start fails later on, no socket is left.
nbdkit_run -U none/nbd.sock size=1M control=ctl.sock >out 2>&1
ok $((! $?)) "a start that fails"
[ ! -e ctl.sock ]
ok $? "leaves no socket"

# The shell, which inherits TSan's library from the server, does not run with it.
if [ "$WATCH" = tsan ]; then
    skip "--run" "the shell can't be watched by TSan"
    done_testing
fi

# --run: the server is a child.
out=$(nbdkit_run -U - size=1M control=ctl.sock --run "'$memctl' ctl.sock disk.size" 2>&1)
is "$out" 1048576 "--run"
gone "the socket is gone after --run"
cat >killed.sh <<SH
until [ -s run.pid ]; do sleep 0.02; done
pid=\$(cat run.pid)
kill -KILL \$pid
while grep -qs '^State:[[:space:]][^ZX]' /proc/\$pid/status; do sleep 0.02; done
timeout 600 '$memctl' ctl.sock 1
echo \$?
SH
out=$(nbdkit_run -U - size=1M control=ctl.sock -P run.pid --run '. ./killed.sh' 2>&1)
like "$out" "^2$" "--run, and the server dies: nobody waits for it"
like "$out" "ctl.sock: Connection refused" "because the command does not hold the socket"
done_testing
