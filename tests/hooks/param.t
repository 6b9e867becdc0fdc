#!/usr/bin/env bash
# Parameters that the plugin does not know are the scripts'.  One that no
# script knows is an error that names it, and so is one that is given twice,
# unless a script takes all of its values.
. "$(dirname "$0")/../lib/lib.sh"
[ "$WATCH" != tsan ] || skip_all "what nbdkit --run starts does not bear the sanitizer, and there is one thread"

# start ARGUMENTS: prints what nbdkit says; returns its status.
start ()
{
    nbdkit_run -U - size=1M "$@" --run : 2>&1
    echo "status $?"
}
is "$(start b=2 lua='print(param.a, param.b, param.none, param["odd-key"])' a=1 odd-key='x = y')" \
   $'1\t2\tnil\tx = y\nstatus 0' "strings, or nil"
twice="$(printf '%s\n' 'nbdkit: error: a=2: the parameter is given more than once, and no script takes all of its values' 'status 1')"
is "$(start a=1 a=2 lua='print(param.a)')" "$twice" "given twice"
is "$(start a=1 a=2 b=1 lua='function on.read() return param.a, param.b end')" "$twice" "given twice, for a hook"
is "$(start a=1 lua='print(param.a)' a=2 lua='print(#param "a")')" "$twice" "given twice, and one script is content with that"
is "$(start a=2 b=1 a=1 lua='print(table.concat(param "a", ","), #param "c", #param("b"))')" $'2,1\t0\t1\nstatus 0' "a list"
is "$(start a=2 a=1 seed=5 lua='local all = param "a"' lua='print(param("seed")[1], pcall(function() return param.a end))' 2>&1)" \
   $'5\tfalse\ta=1: the parameter is given more than once, and no script takes all of its values\nstatus 0' \
   "which does not make it a single value"
is "$(start a= lua='print(#param.a)')" $'0\nstatus 0' "an empty one"
is "$(start lua='local x = param.a' lua='local x = param.b' a=1 b=2)" "status 0" "each script may look"
like "$(start bed=8K lua='local x = param.bad')" '^nbdkit: error: bed=8K: .*did you mean bad' "an unused one, with the nearest"
like "$(start bed=8K lua='')" '^nbdkit: error: bed=8K: ' "an unused one, where none is like it"
is "$(start late=1 lua='function on.read() fail(param.late) end')" "nbdkit: error: hook on.read (lua:1) was never called
status 0" "one that only a hook looks up"
is "$(start late=1 lua='local get = load [[return function() return param["late"] end]] get()')" "status 0" \
   "one that only a function from load looks up"
echo 'return { f = function() return param.late end }' >late.lua
is "$(start late=1 lua='package.path = "./?.lua" require "late"')" "status 0" "one that only a function of a module looks up"
like "$(start lete=1 lua='function on.read() fail(param.late) end')" '^nbdkit: error: lete=1: .*did you mean late' \
     "the nearest of those"
like "$(start hook=1 lua='')" '^nbdkit: error: hook=1: .*did you mean hooks' "the nearest of the plugin's own"
like "$(start bed=8K lua='error(param.bad or "no bad=")')" 'lua:1: no bad= \(bed: did you mean bad\?\)' "a script that fails because of it"
is "$(start bed=8K lua='error("no " .. tostring(param.xyzzy), 0)' 2>&1 | grep -c mean)" 0 "... and where none is like it"
like "$(start lua='param.a = 1')" "lua:1: param\.a can't be set" "they can't be set"
is "$(start lua='print(bytes("4K"), bytes(12), bytes("1s"), bytes("2M"))')" \
   $'4096\t12\t512\t2097152\nstatus 0' "bytes reads sizes"
like "$(start lua='bytes("4X")')" 'lua:1: .*expected bytes' "and refuses what is none"
done_testing
