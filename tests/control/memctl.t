#!/usr/bin/env bash
# memctl: results on standard output, errors on standard error, and the exit
# code says which it was; chunks from an argument, from standard input, or line
# by line.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh jq

memctl=$TOP/memctl

# gives STATUS OUT ERR NAME [INPUT]: what the command in the array c does.
# ERR is a regular expression for all of standard error; '' is nothing.
gives ()
{
    local status out err
    printf '%s' "${5:-}" >input
    timeout 600 "${c[@]}" <input >out 2>err
    status=$?
    out=$(cat out) err=$(cat err)
    [ "$status" = "$1" ] && [ "$out" = "$2" ] && [[ $err =~ ^${3}$ ]]
    ok $? "$4" || printf 'exit %s\nout: %s\nerr: %s\n' "$status" "$out" "$err" | sed 's/^/# /'
}

serve size=1M control=ctl.sock
c=("$memctl" ctl.sock '1 + 1')
gives 0 2 '' "a chunk as an argument"
c=("$memctl" ctl.sock 'x = 5')
gives 0 '' '' "nothing to print"
c=("$memctl" ctl.sock)
gives 0 '[5,"five"]' '' "a chunk from standard input; the state is that of before" 'return x, "five"'
gives 0 '' '' "an empty one"
gives 0 '"a\nb\nc"' '' "of several lines, and with those of DOS" $'return [[a\nb\r\nc]]\n'
gives 1 '' 'memctl: control:3: boom' "which are counted right" $'local a = 1 -- one\n\nerror "boom"'
gives 1 '' 'memctl: control:3: boom' "also those of DOS" $'local a = 1 -- one\r\n\r\nerror "boom"'
printf 'return #"a\0b"' >zero
is "$(timeout 600 "$memctl" ctl.sock <zero)" 3 "a zero byte in it"
c=("$memctl" ctl.sock $'local a = 1\nif a then\n  nosuch.thing()\nend')
gives 1 '' "memctl: control:3: attempt to index a nil value \(global 'nosuch'\)" "an argument of several lines"
c=("$memctl" ctl.sock $'function f()\n  error("bad \\"thing\\" \\\\ \\xff \xc3\xa9")\nend f()')
gives 1 '' $'memctl: control:2: bad "thing" \\\\ \xc3\xbf \xc3\xa9' "an error is plain text"
c=("$memctl" ctl.sock '1 +')
gives 1 '' "memctl: control:1: .* near .*" "a syntax error"
c=("$memctl" ctl.sock 'disk:write(-1, "x")')
gives 1 '' "memctl: control:1: bad argument #1 to 'write' \(is negative\)" "an expression says which function failed"
c=("$memctl" ctl.sock '-1')
gives 0 -1 '' "a chunk that looks like an option"

echo 'x = 6' >five.lua
c=("$memctl" ctl.sock five.lua)
gives 1 '' $'memctl: control:1: .*\nmemctl: CHUNK is Lua; for a file: memctl SOCKET <five.lua' "the name of a file"
c=("$memctl" ctl.sock ./five.lua)
gives 1 '' $'memctl: control:1: .*\nmemctl: CHUNK is Lua; for a file: memctl SOCKET <./five.lua' "... with a slash"
echo >disk.size
c=("$memctl" ctl.sock disk.size)
gives 0 1048576 '' "a chunk that happens to be one"

# Line by line.
c=("$memctl" ctl.sock -)
gives 0 $'1\n[2,3]\n7' $'> > > memctl: control:1: oops\n> > > ' "interactive" $'1\n2, 3\nerror "oops"\ny = 7\ny'
gives 0 '' '> ' "interactive, and nothing said"
gives 0 1 '> > ' "quit ends" $'1\nquit\n2'
gives 0 1 '> > ' "exit, too" $'1\nexit'
out=$(timeout 600 "$memctl" ctl.sock - <<<'{a = 1}' 2>/dev/null | jq -c .a)
is "$out" 1 "standard output is JSON alone"

# Wrong ways to call it.
for args in '' '--nonsense' 'ctl.sock a b'; do
    read -ra words <<<"$args"
    c=("$memctl" "${words[@]}")
    gives 1 '' 'memctl: .*; try memctl --help' "refused: memctl $args"
done
c=("$memctl" --nonsense)
gives 1 '' 'memctl: unknown option --nonsense; try memctl --help' "an unknown option"
c=("$memctl" ctl.sock --timout=5)
gives 1 '' 'memctl: unknown option --timout; did you mean --timeout\?; try memctl --help' "... like another, with a value"
c=("$memctl" ctl.sock '--x = 5')
gives 0 '' '' "a comment"
like "$("$memctl" --help)" "^usage: memctl \\[SOCKET\\] " "--help"
like "$("$memctl" ctl.sock --help)" "^usage: memctl \\[SOCKET\\] " "--help behind the socket"
like "$("$memctl" --version)" "^memctl [0-9.]+$" "--version"
"$memctl" ctl.sock 1 >/dev/full 2>err
is "$? $(cat err)" "1 memctl: standard output: No space left on device" "a result that can't be written"
"$memctl" ctl.sock </ 2>err
is "$? $(cat err)" "1 memctl: standard input: Is a directory" "standard input that can't be read"

# If a standard stream is closed, memctl does not mistake the socket for it.
"$memctl" ctl.sock '"quiet"' >&- 2>err
is "$? $(cat err)" "1 memctl: standard output: Bad file descriptor" "standard output is closed"
timeout 60 "$memctl" ctl.sock <&- 2>err
is "$? $(cat err)" "1 memctl: standard input: Bad file descriptor" "standard input is closed"
timeout 60 "$memctl" ctl.sock - <&- 2>err
is "$? $(cat err)" $'1 > \nmemctl: standard input: Bad file descriptor' "the same line by line"
"$memctl" ctl.sock 'closed = true' <&- >&- 2>&-
is "$? $("$memctl" ctl.sock closed)" "0 true" "all are closed, and none is needed"
"$memctl" ctl.sock 'error "oops"' 2>&-
is $? 1 "an error that can't be told"

# No server.
c=("$memctl" none.sock 1)
gives 2 '' 'memctl: none.sock: No such file or directory' "no socket"
c=("$memctl" err 1)
gives 2 '' 'memctl: err: is no socket' "no socket but a file"
c=("$memctl" "$(printf 'x%.0s' {1..200})" 1)
gives 2 '' 'memctl: x*: the path is too long for a socket' "too long a path"

# The server ends while chunks run.
timeout 600 "$memctl" ctl.sock 'print "begun" hang()' >out.1 2>err.1 &
a=$!
(echo '1'; echo 'print "begun" sleep(1000)'; echo 2) |
    timeout 600 "$memctl" ctl.sock - >out.2 2>err.2 &
b=$!
begun 2
stopped
wait "$a"
is "$? $(cat out.1 err.1)" "2 memctl: ctl.sock: the server has ended, or closed the connection" "the server is stopped while a chunk runs"
wait "$b"
is "$? $(cat out.2 err.2)" $'2 1\n> > memctl: ctl.sock: the server has ended, or closed the connection' "the same line by line"

serve size=1M control=ctl.sock
timeout 600 "$memctl" ctl.sock 'print "begun" hang()' >out 2>err &
a=$!
begun 1
kill -KILL "$server"
{ ended "$server"; } 2>/dev/null
wait "$a"
is "$? $(cat out err)" "2 memctl: ctl.sock: the server has ended, or closed the connection" "the server is killed while a chunk runs"
ended "$server" 2>/dev/null
c=("$memctl" ctl.sock 1)
gives 2 '' 'memctl: ctl.sock: Connection refused' "the socket that it left"
done_testing
