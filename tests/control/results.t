#!/usr/bin/env bash
# Each result of a chunk becomes JSON.  Its errors are one line, and leave nothing
# in the server's log.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh python3

serve size=1M control=ctl.sock hook-timeout=100

# Each line is a chunk, a tab, and its answer: a Python expression, or "!" and a
# regular expression for the whole error.
cat >cases <<'CASES'
	NONE
-- nothing	NONE
local x = 1	NONE
nil	None
undefinedvar	!there is no global 'undefinedvar'
_G.undefinedvar	None
(undefinedvar)	None
nil, nil	[None, None]
true, false	[True, False]
0	0
math.maxinteger	9223372036854775807
math.mininteger	-9223372036854775808
0.1	0.1
1e300 * 10	1e301
2^53	2.0 ** 53
1/3	1 / 3
-0.0	-0.0
0/0, 1/0, -1/0	[None, None, None]
""	""
"a\nb\t\"\\\0\127\x1b/"	"a\nb\t\"\\\0\x7f\x1b/"
"\u{e9}\u{20ac}\u{10ffff}"	"\u00e9\u20ac\U0010ffff"
"\xff\xc3(\xed\xa0\x80\xf4\x90\x80\x80\xc0\x80\xe2\x82"	"\xff\xc3(\xed\xa0\x80\xf4\x90\x80\x80\xc0\x80\xe2\x82"
{}	[]
{1, "two", {3}}	[1, "two", [3]]
{a = 1, b = {c = {}}}	{"a": 1, "b": {"c": []}}
{1, nil, 3}	{"1": 1, "3": 3}
{1, nil, 3, x = 1}	{"1": 1, "3": 3, "x": 1}
{[0] = 1}	{"0": 1}
{[1.5] = 1, [true] = 2}	{"1.5": 1, "true": 2}
{["a\xffb"] = 1}	{"a\xffb": 1}
table.unpack({}, 1, 200)	[None] * 200
setmetatable({}, {__tojson = function() return {1} end})	[1]
setmetatable({}, {__index = error, __len = error, __pairs = error})	[]
#tostring(print) > 10 and type(print)	"function"
(tostring(fault):gsub("0x.*", ""))	"table: "
fault.list()	[]
fault { op = "read", error = "EIO", name = "r" }	{"name": "r", "hits": 0, "fired": 0, "on": True, "text": 'op="read" error="EIO"', "where": "control:1"}
fault.get("r"):off()	{"name": "r", "hits": 0, "fired": 0, "on": False, "text": 'op="read" error="EIO"', "where": "control:1"}
{ fault.list(), n = 1 }	{"1": [{"name": "r", "hits": 0, "fired": 0, "on": False, "text": 'op="read" error="EIO"', "where": "control:1"}], "n": 1}
fault.get("r"):remove()	NONE
fault.clear()	NONE
disk.size	1 << 20
disk:read(0, 3)	"\0\0\0"
x = 7 return x, x	[7, 7]
x	7
...	!.*the result is a function: is its call, with parentheses, missing\?
disk:extents(0, 4096)	!.*the result is an iterator for a for loop: for offset, count, kind in disk:extents\(\) do \.\.\. end
fault.clear	!.*the result is a function: is its call, with parentheses, missing\?
{print} ~= nil	True
#("x"):rep(2^20)	1 << 20
t = {} for i = 1, 49 do t = {t} end	NONE
#t, t	[1, eval("[" * 50 + "]" * 50)]
on = { read = print }	!on can't be replaced: write function on.read\(req\) or on.read = \.\.\.
on.read	None
disk, fault = 1	!fault can't be replaced: call it, as in fault { op = "read", error = "EIO" }
disk = nil error "x"	!control:1: x
disk.size	1 << 20
{t}	!the result is nested deeper than 50 tables
t = {} t.t = t	NONE
t	!the result is nested deeper than 50 tables
setmetatable({}, {__tojson = function() error "no JSON" end})	!control:1: no JSON
("x"):rep(17 << 20)	!the result is longer than 16 MiB
("\0"):rep(2 << 20)	"\0" * (2 << 20)
("\0"):rep(3 << 20)	!the result is longer than 16 MiB
("\0"):rep(10922) .. ("\0"):rep(2^16)	"\0" * (10922 + 2**16)
("x"):rep(2^16 - 1) .. ("\u{e9}"):rep(2^16)	"x" * (2**16 - 1) + "\u00e9" * 2**16
("x"):rep(2^16 - 1) .. ("\u{20ac}"):rep(2^16)	"x" * (2**16 - 1) + "\u20ac" * 2**16
("\u{20ac}"):rep(2^18)	"\u20ac" * 2**18
("x"):rep(2^16 - 2) .. ("\u{10ffff}"):rep(2^16)	"x" * (2**16 - 2) + "\U0010ffff" * 2**16
("x"):rep(2^16 - 3) .. ("\u{10ffff}"):rep(2^16)	"x" * (2**16 - 3) + "\U0010ffff" * 2**16
("x"):rep(2^16 - 1) .. ("\xe2\x82"):rep(2^16)	"x" * (2**16 - 1) + "\xe2\x82" * 2**16
("x"):rep(2^16 - 1) .. "\xe2" .. ("\x82"):rep(2^16)	"x" * (2**16 - 1) + b"\xe2\x82\x82".decode() + "\x82" * (2**16 - 2)
{[("k\u{20ac}"):rep(2^16)] = {1}, [("\0"):rep(2^16 + 1)] = 2}	{"k\u20ac" * 2**16: [1], "\0" * (2**16 + 1): 2}
{[("\0"):rep(3 << 20)] = 1}	!the result is longer than 16 MiB
(function() local t = {} for i = 1, 40 do t = {t, t} end return t end)()	!the result is longer than 16 MiB
error "boom"	!control:1: boom
error("boom", 0)	!boom
error("a\0b", 0)	!a\0b
error()	!control:1: nil
error(nil)	!control:1: nil
error({})	!control:1: table: 0x[0-9a-f]+
error(17)	!control:1: 17
error(print)	!control:1: function: builtin.*|control:1: function: 0x[0-9a-f]+
error(setmetatable({}, {__tostring = function() return "told" end}))	!control:1: told
error(setmetatable({}, {__tostring = function() error "worse" end}))	!control:1: worse
error(setmetatable({}, {__tostring = function() return {} end}))	!.*__tostring.*
fail "EIO"	!control:1: EIO
fail "EOI"	!control:1: NBD has no 'EOI'; did you mean 'EIO'\?
fail "EOVERFLOW"	!control:1: NBD can't send EOVERFLOW; it can send EPERM, EIO, .*ENOTSUP
fault { op = "read", error = "EAGAIN" }	!control:1: .*NBD can't send EAGAIN; it can send EPERM, .*
fail "EOVERFLOWN"	!control:1: NBD has no 'EOVERFLOWN', but EPERM, EIO, .*
nosuch.field	!control:1: attempt to index a nil value \(global 'nosuch'\)
nosuch()	!control:1: attempt to call a nil value \(global 'nosuch'\)
1 + {}	!control:1: attempt to perform arithmetic on a table value
a b	!control:1: syntax error near 'b'
(	!control:1: unexpected symbol near <eof>
x = = 1	!control:1: unexpected symbol near '='
"abc	!control:1: unfinished string near <eof>
)(	!control:1: .*near '\)'
\27Lua	!control:1: .*
disk:wriet(1)	!control:1: disk has no 'wriet'; did you mean 'write'\?
disk:read(1 << 20, 1)	!control:1: bad argument #2 to 'read' .*
disk:read()	!control:1: bad argument #1 to 'read' .*
fault.get("none")	!control:1: there is no fault rule 'none'
fault { op = "read" }	!control:1: fault: there is no action, such as error = "EIO" or cut = "none" \(in quotes\)
os.exit()	!control:1: os.exit: a script can't end the server
coroutine.yield(1)	!control:1: a hook can't use coroutine.yield outside of coroutines of its own
(function() local function f() return f() + 1 end return f() end)()	!control:1: stack overflow.*
("x"):rep(1 << 30)	!.*not enough memory
table.sort({3, 2, 1}, function() sleep(1) end)	!control:1: sleep can't be used inside a function that C code calls.*
_G.req	None
nosuch.field -- ours	!control:1: attempt to index a nil value \(global 'nosuch'\)
1 -- one	1
 1 	1
CASES
cat >loops <<'CASES'
while true do end	!control:1: stopped, because it (ran for 0.5|took 10) seconds .*
while true do pcall(function() while true do end end) end	!control:1: stopped, because it (ran for 0.5|took 10) seconds .*
coroutine.wrap(function() while true do end end)()	!control:1: stopped, because it (ran for 0.5|took 10) seconds .*
1	1
CASES
cat >cases.py <<'PY'
import json, re, signal, socket, sys
signal.alarm(600)
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[2])
f = s.makefile("rwb")
def same(a, b):
    return type(a) == type(b) and repr(a) == repr(b)
for line in open(sys.argv[1], encoding="latin-1"):
    chunk, expected = line.rstrip("\n").split("\t")
    f.write(chunk.encode("latin-1") + b"\n")
    f.flush()
    raw = f.readline()
    got = json.loads(raw)
    if expected == "NONE":
        ok = got == {}
    elif expected.startswith("!"):
        ok = list(got) == ["error"] and re.fullmatch(expected[1:], got["error"])
    elif chunk in ("...",):
        ok = got["result"].startswith(eval(expected))
    else:
        want = eval(expected)
        ok = list(got) == ["result"] and (got["result"] == want if isinstance(want, (dict, float, list))
                                          else same(got["result"], want))
    # Bytes that break terminals, or lines, are escaped.
    ok = ok and raw.endswith(b"\n") and not re.search(rb"[\0-\x1f\x7f]", raw[:-1])
    print("ok" if ok else "not ok", chunk if ok else (chunk, raw[:300], expected[:100]))
PY
python3 cases.py cases ctl.sock >got 2>&1
is "$(grep -v '^ok ' got)" "" "every answer is as expected"
is "$(grep -c '^ok ' got)" "$(wc -l <cases)" "all were answered"
is "$(cat log)" "" "nothing of this is in the server's log"

# The same chunks with too little memory for some of them.
serve size=1M control=ctl.2 lua-memory=300K hook-timeout=100
python3 cases.py cases ctl.2 >got 2>&1
is "$(grep -v '^ok ' got | grep -v 'not enough memory')" "" "with too little memory, that is the error"
is "$(grep -c '' got)" "$(wc -l <cases)" "and all are answered"
alive "the server is alive"
stopped

# Chunks that do not end.
serve size=1M control=ctl.3 hook-timeout=0.5
python3 cases.py loops ctl.3 >got 2>&1
is "$(grep -v '^ok ' got)" "" "endless loops are stopped"
is "$(grep -c '^ok ' got) $(cat log)" "4 " "and all is well then"
stopped

# The objects that are tables without fields of their own.
cat >two.lua <<'LUA'
function on.read() end

function on.write() end
LUA
serve size=1M control=ctl.4 hooks=two.lua lua='_ = param.word, param.list function on.read() end' word=some
memctl () { "$TOP/memctl" ctl.4 "$1" 2>&1; }
is "$(memctl on)" '{"read":["two.lua:1","lua:1"],"write":["two.lua:3"]}' "on: where the hooks are"
is "$(memctl 'on.read = nil on.write = nil return on')" '{}' "on: none"
like "$(memctl param)" '"word":"some"' "param"
is "$(memctl '{ disk }' | tr , '\n' | grep -c 'size":1048576\|"snapshots":\[\]\|allocated":0')" 3 "disk"
like "$(memctl 'disk:write(0, "x") disk:snapshot("b") disk:snapshot("a") return disk')" '"snapshots":\["b","a"\]' "disk: its snapshots"
is "$(memctl 'disk:limit("8M") disk:readonly() disk:throttle{iops=500} disk:bad(0, 1) disk:bad(4096, 1) return disk')" \
    '{"allocated":4096,"bad_ranges":2,"limit":8388608,"readonly":true,"size":1048576,"snapshots":["b","a"],"throttle":{"iops":500}}' "disk: what is wrong with its medium"
is "$(memctl 'disk:limit() disk:readonly(false) disk:throttle{bps="1M"} disk:heal() return disk')" \
    '{"allocated":4096,"bad_ranges":0,"readonly":false,"size":1048576,"snapshots":["b","a"],"throttle":{"bps":1048576}}' "... and what is no more"
like "$(memctl 'disk:throttle() return disk')" '"snapshots":\["b","a"\]\}$' "... all of it"
stopped
done_testing
