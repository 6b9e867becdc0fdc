#!/usr/bin/env bash
# A broken script stops the start, and nbdkit says in one line where.
. "$(dirname "$0")/../lib/lib.sh"
[ "$WATCH" != tsan ] || skip_all "what nbdkit --run starts does not bear the sanitizer, and there is one thread"

# refused REGEX NAME ARGUMENTS
refused ()
{
    local regex=$1 name=$2
    shift 2
    nbdkit_run -U - size=1M "$@" --run 'touch started' >out 2>err
    is "$? $(wc -l <err)" "1 1" "$name: no start, one line"
    like "$(cat err)" "^nbdkit: error: $regex" "$name: where and why"
}

# broken REGEX NAME: the script on standard input.
broken ()
{
    cat >broken.lua
    refused "$1" "$2" hooks=broken.lua
}

broken "broken\.lua:2: unexpected symbol near '='" "a syntax error" <<'LUA'
local a = 1
local b = = 2
LUA
broken "broken\.lua:2: attempt to index a nil value" "a runtime error" <<'LUA'
local t
print(t.x)
LUA
broken "broken\.lua:2: my words" "an error of the script's own" <<'LUA'

error "my words"
LUA
broken "broken\.lua:2: table: " "an error that is a table" <<'LUA'

error {}
LUA
broken "broken\.lua:3: nil" "an error that is nil" <<'LUA'


error()
LUA
broken "broken\.lua:1: told by the table" "an error with __tostring" <<'LUA'
error(setmetatable({}, {__tostring = function() return "told by the table" end}))
LUA
broken "broken\.lua: not enough memory" "too much memory" <<'LUA'
local s = ("x"):rep(1 << 30)
LUA
broken "broken\.lua:1: stack overflow" "a recursion without end" <<'LUA'
local function f() return 1 + f() end f()
LUA
broken "broken\.lua: .*C stack overflow" "a recursion by way of C" <<'LUA'
local function f() return (("x"):gsub("x", f)) end f()
LUA
broken "broken\.lua:1: .*os\.exit" "os.exit" <<<'os.exit(0)'
broken "broken\.lua:1: .*sleep" "sleep while loading" <<<'sleep(1)'
broken "broken\.lua:1: .*fail" "fail while loading" <<<'fail "EIO"'
broken "broken\.lua:1: .*expected a function" "a hook that is no function" <<<'on.read = 5'
broken "broken\.lua:1: .*raed.*did you mean 'read'" "a hook that does not exist" <<<'function on.raed() end'
broken "broken\.lua:1: module 'nowhere' not found" "a module that does not exist" <<<'pcall(require, "x") error((select(2, pcall(require, "nowhere")):gsub("\n.*", "")))'

refused "lua:2: unexpected symbol" "a script on the command line" lua=$'local a = 1\nx = = 1'
refused "hooks=missing\.lua: No such file" "a file that does not exist" hooks=missing.lua
refused ".*: Is a directory" "a directory" hooks=.
echo 'error "second"' >second.lua
refused "second\.lua:1: second" "the second of two scripts" lua='x = 1' hooks=second.lua

nbdkit_run -U - size=1M lua='io.open("bytecode.lua", "wb"):write(string.dump(function() end))' --run :
refused "(hooks=)?bytecode\.lua: .*binary chunk" "bytecode" hooks=bytecode.lua
nbdkit_run -U - size=1M lua='
    local code = string.dump(function() end)
    print(load(code))
    print(load(code, "x", "b"))
    print(load(code, "x", "bt", {}))
    print(load(function() local c = code; code = nil; return c end))
    print(loadfile("bytecode.lua"))
    print(loadfile("bytecode.lua", "b"))
    print(select(2, pcall(dofile, "bytecode.lua")))
    package.path = "./?.lua"
    print(select(2, pcall(require, "bytecode")))
    print(load("return 1", "x", "t")(), load("return y", "x", "t", {y = 2})(), loadfile("two.lua") == nil)' \
    --run : >out 2>err
is "$(grep -c 'attempt to load a binary chunk' err) $(tail -1 err)" $'8 1\t2\ttrue' "load, loadfile, dofile and require take text only"
is "$(ls started 2>/dev/null)" "" "none of them was served"
done_testing
