#!/usr/bin/env bash
# Parameters that the plugin does not know are for the scripts.  If no script looks one
# up, that is an error that names it.
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
is "$(start a=1 a=2 lua='print(param.a)')" $'2\nstatus 0' "the last of the same name counts"
is "$(start a= lua='print(#param.a)')" $'0\nstatus 0' "an empty one"
is "$(start lua='local x = param.a' lua='local x = param.b' a=1 b=2)" "status 0" "each script may look"
like "$(start bed=8K lua='local x = param.bad')" '^nbdkit: error: bed=8K: .*did you mean bad' "an unused one, with the nearest"
like "$(start bed=8K lua='')" '^nbdkit: error: bed=8K: ' "an unused one, where none is like it"
like "$(start late=1 lua='function on.read() local x = param.late end')" '^nbdkit: error: late=1: ' \
     "one that only a hook would look up"
like "$(start lua='param.a = 1')" "lua:1: param\.a can't be set" "they can't be set"
is "$(start lua='print(bytes("4K"), bytes(12), bytes("1s"), bytes("2M"))')" \
   $'4096\t12\t512\t2097152\nstatus 0' "bytes reads sizes"
like "$(start lua='bytes("4X")')" 'lua:1: .*expected bytes' "and refuses what is none"
done_testing
