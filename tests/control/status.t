#!/usr/bin/env bash
# memctl --status: one table of what the disk and the rules have done; and help at the
# prompt.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

memctl=$TOP/memctl

# status NAME EXPECTED: the table, where times are T and spaces are one.
status ()
{
    is "$(timeout 600 "$memctl" --status ctl.sock 2>&1 | sed -E 's/ *$//; s/ +(<1|[0-9.]+) (us|ms|s)\>/ T/g; s/ +/ /g')" "$2" "$1"
}

serve size=256M control=ctl.sock
status "at first" "disk 256M, 0 in memory

no requests yet

no fault rules"
"$memctl" ctl.sock 'fault { op = "read", offset = "1M", error = "EIO", name = "bad" }
    fault { op = "write", every = 2, delay = "2ms" } fault { op = "trim", error = "EIO", name = "off" }:off()
    fault { op = "trim", error = "EIO", name = "ne\nver" .. ("é"):rep(30) }
    return 0' >/dev/null
python '
h.pwrite(b"x" * 40000, 0)
for i in range(4): h.pwrite(b"x" * 512, 0)
for i in range(2): h.pread(512, 0)
try: h.pread(1536, 1 << 20)
except nbd.Error: pass
h.flush()'
status "after some requests" "disk 256M, 40K in memory

 requests bytes errors mean max
read 3 1K 1 T T
write 5 41.1K 0 T T
flush 1 0 0 T T

rule state hits fired
bad on 1 1
2 on 5 2
off off 0 0 never fired
ne?ver$(printf 'é%.0s' {1..30}) on 0 0 never fired"
table=$(timeout 600 "$memctl" --status ctl.sock)
# lengths PATTERN: how many different lengths the lines have that match, in characters.
lengths () { grep -E "$1" <<<"$table" | sed -E 's/ *never fired//; s/é/e/g' | awk '{ print length }' | sort -u | wc -l; }
is "$(lengths '^(rule|bad|2|off|ne)')" 1 "the columns of the rules are straight, whatever the names"
is "$(lengths '^(read|write|flush|  .*requests)')" 1 "so are those of the requests"
is "$("$memctl" ctl.sock 'local r = fault.get "off" local a = r.state r:remove() return a, r.state')" '["off","removed"]' "rule.state"
like "$table" '^write .* [0-9.]+ (us|ms|s) +[0-9.]+ m?s$' "times have units"

stopped

# The volatile cache.
serve size=4K write-cache=volatile control=ctl.sock
python 'h.pwrite(b"x" * 1024, 0)
h.zero(512, 1536)'
like "$(timeout 600 "$memctl" --status ctl.sock)" '^cache 1.5K unflushed: requests 2, sectors 3$' "what is unflushed"
python 'h.flush()'
like "$(timeout 600 "$memctl" --status ctl.sock)" '^cache 0 unflushed: requests 0, sectors 0$' "flushed"
"$memctl" ctl.sock 'disk:cut()' >/dev/null
table=$(timeout 600 "$memctl" --status ctl.sock)
is "$(grep -cx 'power off' <<<"$table") $(grep -c unflushed <<<"$table")" "1 0" "the power is off"
"$memctl" ctl.sock 'disk:power_on()' >/dev/null
is "$(timeout 600 "$memctl" --status ctl.sock | grep -c 'power\|^cache 0')" 1 "and on again"
stopped

# help at the prompt: on standard error, which leaves standard output to JSON.
serve size=16M control=ctl.sock
out=$(printf 'help\n1+1\n' | timeout 600 "$memctl" ctl.sock - 2>err)
is "$out" 2 "help is no JSON"
for what in disk:read disk:stats fault.list fault.clear 'function on.read' param Ctrl-D; do
    like "$(cat err)" "$what" "help names $what"
done
# What it shows works.
sed -n 's/^  //p' err | grep -oE '(disk|fault)[:.{][^ ].*' | sed -E 's/ {2,}/\n/g' |
    grep -E '^(disk|fault)' | grep -vE 'on.read|a fault rule' >lines
ok $(($(wc -l <lines) < 12)) "it shows many lines"
is "$(timeout 600 "$memctl" ctl.sock - <lines 2>&1 >/dev/null | grep memctl)" "" "each works"
"$memctl" --status nowhere 2>err
is "$? $(cat err)" "2 memctl: nowhere: No such file or directory" "no server"
"$memctl" --status ctl.sock >/dev/full 2>err
is "$? $(cat err)" "1 memctl: standard output: No space left on device" "a table that can't be written"
stopped
for wrong in '--status ctl.sock 1' '--status --timeout 5 ctl.sock' '--status' '--status --top'; do
    read -ra words <<<"$wrong"
    "$memctl" "${words[@]}" 2>err
    is "$? $(grep -c 'try memctl --help' err)" "1 1" "refused: memctl $wrong"
done
done_testing
