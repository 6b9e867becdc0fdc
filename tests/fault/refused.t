#!/usr/bin/env bash
# Rules that make no sense stop the start, with a message that says why.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdsh

refused "expected a function" 'fault { op = "read", when = true, error = "EIO" }'
refused "expected a function" 'fault { op = "read", call = "x" }'
refused "data: no read request has that" 'fault { op = "read", data = "x", error = "EIO" }'
refused "data: no (zero|trim) request has that" 'fault { op = {"zero", "trim"}, data = "x", error = "EIO" }'
refused "fua: no flush request has that" 'fault { op = "flush", fua = true, error = "EIO" }'
refused "fua: no flush request has that" 'fault { op = "flush", fua = false, error = "EIO" }'
refused "offset: no flush request has that" 'fault { op = "flush", offset = 0, error = "EIO" }'
refused "count: no open request has that" 'fault { op = "open", count = 1, error = "EIO" }'
refused "past the end of the disk" 'fault { op = "read", offset = "1M", error = "EIO" }'
refused "past the end of the disk" 'fault { op = "read", offset = "1M", count = 1, error = "EIO" }'
refused "count: expected at least one byte" 'fault { op = "read", count = 0, error = "EIO" }'
refused "offset: expected bytes, .* got -1" 'fault { op = "read", offset = -1, error = "EIO" }'
refused "offset: expected bytes" 'fault { op = "read", offset = 1.5, error = "EIO" }'
refused "op: the list is empty" 'fault { op = {}, error = "EIO" }'
refused "op has no 'reed'; did you mean 'read'" 'fault { op = {"write", "reed"}, error = "EIO" }'
refused "op has no 'close'" 'fault { op = "close", error = "EIO" }'
refused "keep: does nothing to op 'read'" 'fault { op = {"write", "read"}, keep = 512 }'
refused "stale: does nothing to op 'write'" 'fault { op = {"read", "write"}, stale = "x" }'
refused "misdirect: does nothing to op 'extents'" 'fault { op = {"read", "extents"}, misdirect = 512 }'
refused "lose: does nothing to op 'open'" 'fault { op = "open", lose = true }'
refused "disconnect: does nothing to op 'open'" 'fault { op = "open", disconnect = true }'
for pair in 'error = "EIO", disconnect = true' 'error = "EIO", lose = true' 'error = "EIO", misdirect = 1' 'error = "EIO", corrupt = 1' \
    'disconnect = true, lose = true' 'lose = true, keep = 1' 'lose = true, misdirect = 1'; do
    refused "[a-z]+ and [a-z]+ contradict each other" "fault { op = 'write', $pair }"
done
for action in 'error = "EIO"' 'disconnect = true' 'lose = true'; do
    refused "[a-z]+ and stale contradict each other" "fault { op = 'read', stale = 'x', $action }"
done
for value in 5 true '""' '"a\0b"' '{}'; do
    refused "fault: stale: " "fault { op = 'read', stale = $value }"
done
for value in 'error = "ENOENT"' 'error = 5' 'error = true' 'delay = "soon"' 'delay = -1' 'delay = {1}' 'delay = {1, 2, 3}' 'delay = {2, 1}' 'delay = {"1s"; b = 2}' \
    'hang = 1' 'corrupt = 0' 'corrupt = 1.5' 'corrupt = "3"' 'keep = -1' 'keep = {1}' 'keep = {{1}}' 'keep = {{1, 2}, 3}' 'keep = {{-1, 2}}' 'lose = "yes"' \
    'misdirect = 0' 'misdirect = "1X"' 'misdirect = 1.5' 'misdirect = "--1"' 'shutdown = 1' 'call = 1' 'nth = 0' 'every = 0' 'after = -1' 'times = 0' 'seq = ""' \
    'seq = "--"' 'seq = 5' 'p = -1' 'p = 1.1' 'p = "101%"' 'p = "1:0"' 'p = "0:0"' 'p = "x"' 'p = 0/0' 'conn = 0' 'conn = "1"' 'export = 1' 'fua = "yes"' 'data = 1' \
    'name = 5' 'name = "5"' 'name = ""' 'offset = "1X"' 'count = {}'; do
    extra='error = "EIO"'
    [[ $value != @(error|lose|misdirect|corrupt)* ]] || extra='delay = 0'
    refused "fault: |NBD can't send" "fault { op = 'write', $extra, $value }"
done
for value in 'name = "a\0b"' 'seq = "x\0y"' 'export = "\0"' 'error = "EIO\0"'; do
    refused "fault: [a-z]+: has a zero byte" "fault { op = 'write', delay = 0, $value }"
done
for nothing in '' 'hang = false' 'lose = false, shutdown = false' 'p = 1, name = "x"'; do
    refused "there is no action" "fault { op = 'read', $nothing }"
done
refused "bad argument|expected" 'fault()'
refused "there is no fault rule 'x'" 'fault.get "x"'
refused "fault has no 'remove'" 'fault.remove()'
refused "a rule has no 'fire'; did you mean 'fired'" 'print(fault { op = "read", error = "EIO" }.fire)'
refused 'op has no .all., but read, .*, "any" for all requests, and lists such as \{ "read", "write" \}' 'fault { op = "all", error = "EIO" }'
for op in '"*"' '"read,write"' '"read|write"' '{ "read write" }' '"close"'; do
    refused 'op has no .*"any" for all requests, and lists such as' "fault { op = $op, error = 'EIO' }"
done
refused "op has no 'amy'; did you mean 'any'" 'fault { op = "amy", error = "EIO" }'
for slip in 'err error' 'errno error' 'size count' 'length count' 'len count' 'probability p' 'latency delay'; do
    refused "fault has no '${slip% *}'; did you mean '${slip#* }'" "fault { op = 'read', error = 'EIO', ${slip% *} = 1 }"
done
refused 'fault: "write" has no name before it; did you mean op = "write"' 'fault { "write", error = "EIO" }'
refused "name: expected a name of at least one character" 'fault { op = "read", error = "EIO", name = "" }'
for method in 'off()' 'on()' 'release()' 'remove()'; do
    refused "call it as rule:${method%()}\\(\\), with a colon" "fault { op = 'read', error = 'EIO' }.$method"
done
refused "call it as rule:wait\\(time\\), with a colon" 'fault { op = "read", error = "EIO" }.wait(1)'
done_testing
