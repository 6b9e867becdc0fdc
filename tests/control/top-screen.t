#!/usr/bin/env bash
# memctl --top on a terminal of any size: what it shows, its keys, and a terminal
# that is as before, whatever ends it.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh tmux

tmux () { command tmux -u -S "$scratch/tmux" -f /dev/null "$@"; }
pane () { tmux capture-pane -p "$@"; }
keys () { tmux send-keys "$@"; }
at_exit+=('tmux kill-server 2>/dev/null')
serve size=64M control=ctl.sock lua='local _ = sleep
fault { op = "read", p = 0.5, error = "EIO", name = "lücky" }
fault { op = "flush", hang = true, name = "stuck" }
disk:bad("1M", 512) disk:limit("32M")'

# shows REGEX NAME: the terminal does, now or soon.
shows ()
{
    local i
    for ((i = 0; i < 1200; i++)); do
        pane >shown
        grep -Eq -- "$1" shown && break
        sleep 0.05
    done
    like "$(cat shown)" "$1" "$2"
}

# top [ENVIRONMENT]: start it at the shell's prompt.  It has been run as often.
runs=0
top ()
{
    runs=$((runs + 1))
    keys "clear; echo before; stty -g >stty.before; $* $TOP/memctl --top -d 0.1 ctl.sock; echo \"run $runs exit \$?\"; stty -g >stty.after" Enter
    shows "^memctl top  ctl.sock" "run $runs: it shows itself"
}

# left STATUS NAME: it has ended, and the terminal is as before.
left ()
{
    shows "^run $runs exit $1\$" "$2: its exit code"
    await [ -s stty.after ]
    is "$(grep -c before shown) $(grep -c '^rule' shown) $(tmux display -p '#{alternate_on} #{cursor_flag}') $(cmp stty.before stty.after)" \
        "1 0 0 1 " "$2: the terminal is as before"
    rm -f stty.after
}

LC_ALL=C.UTF-8 tmux new-session -d -x 80 -y 24 "PS1='$ ' sh"
top LC_ALL=C.UTF-8
pane >shown
is "$(tmux display -p '#{alternate_on} #{cursor_flag}')" "1 0" "it uses another screen"
shows "^no requests yet" "no requests"
python 'from clients import *
for i in range(100): outcome(h.pread, 4096, 8192 * i)
h.pwrite(b"x" * (16 << 20), 16 << 20)
hanging = h.aio_flush()
until(lambda: Client()("disk:stats().flush.waiting")["result"] == 1)
open("ready", "w").close()
until(lambda: os.path.exists("go on"))
Client()("fault.get [[stuck]]:remove()")
finish(h, [hanging])' >client.out &
client=$!
await_from $client "the client" [ -e ready ]
shows "^read .* 100 +[0-9]+\$" "the operations"
shows "^disk 64.0M  memory 16.0M \\[\\|{3} {7}\\] 25%  clients 1  limit 32.0M  bad ranges 1\$" "the disk"
shows "^write .* 1 +0\$" "what was written"
shows "^flush .* 1 +0 +0\$" "what waits"
shows "^lücky +on .* 100 +[0-9]+\$" "the rules"
shows "^stuck +on +0 +0 +1 +1 +1\$" "what hangs"
shows "^ +[0-9]+ req/s  [▁█]+  max" "a graph"
shows "q quit" "the keys"
is "$(($(LC_ALL=C.UTF-8 wc -L <shown) <= 80))" 1 "no line is too long"
keys r
shows "since start" "r: since the start"
keys r
keys p
shows "paused" "p: it pauses"
touch "go on"
wait $client
shows "paused" "... although time passes"
keys ' '
shows "^flush .* 0 +1 +0\$" "space: one look"
shows paused "it still pauses"
keys p C
shows "^trim|^write" "it goes on"
until ! pane | grep -q lücky; do sleep 0.05; done
is "$("$TOP/memctl" ctl.sock '#fault.list()')" 0 "c: the rules are cleared"
keys q
left 0 "q"

# Small terminals.
"$TOP/memctl" ctl.sock 'for i = 1, 50 do fault { op = "read", error = "EIO", name = "rule " .. i } end' >/dev/null
top
shows "and [0-9]+ more" "more rules than there is room for"
tmux resize-window -x 60 -y 10
shows "^ +req/s +bytes/s +err/s +p50 +p99 +max\$" "narrow: without totals"
is "$(grep -c 'q quit' shown) $(($(wc -l <shown) <= 10))" "0 1" "low: without keys"
tmux resize-window -x 40 -y 4
shows "^read" "smaller"
tmux resize-window -x 5 -y 1
sleep 0.3
tmux resize-window -x 80 -y 24
shows "q quit" "smallest, and large again"

# What stops and ends it.
keys C-z
shows "Stopped|suspended" "Ctrl-Z: it stops"
is "$(tmux display -p '#{alternate_on} #{cursor_flag}')" "0 1" "... and gives the terminal back"
keys "fg" Enter
shows "^memctl top" "fg: it goes on"
keys C-c
shows "before" "Ctrl-C ends it"
is "$(tmux display -p '#{alternate_on} #{cursor_flag}')" "0 1" "... and gives the terminal back"
keys Enter
for signal in TERM HUP SEGV ABRT; do
    tmux respawn-pane -k "PS1='$ ' sh"
    top
    kill -$signal "$(pgrep -P "$(tmux display -p '#{pane_pid}')")"
    left '[0-9]+' "signal $signal"
done

# Colours are not needed.
tmux respawn-pane -k "PS1='$ ' sh"
top
python 'from clients import *
while not os.path.exists("enough"): outcome(h.pread, 1, 0)' >client.out &
client=$!
until pane -e | grep -q $'\e\[[0-9;]*31m'; do sleep 0.05; done
ok 0 "errors are red"
keys q
left 0 "q"
top NO_COLOR=1
shows "^read +[1-9]" "without colours"
is "$(pane -e | grep -c $'\e\[[0-9;]*3[0-7]m')" 0 "NO_COLOR: none"
touch enough
wait $client

# The volatile cache.
stop
left 2 "the server ends under it"
serve size=64M write-cache=volatile control=ctl.sock
top
shows "^disk .*  clients 0  unflushed 0\$" "nothing is unflushed"
python 'h.pwrite(b"x" * 1536, 0)'
shows "^disk .*  unflushed 1.5K\$" "what is unflushed"
"$TOP/memctl" ctl.sock 'disk:cut() disk:limit("32M")' >/dev/null
shows "^disk .*  clients 0  power off  limit 32.0M\$" "the power is off"
"$TOP/memctl" ctl.sock 'disk:power_on()' >/dev/null
shows "^disk .*  unflushed 0  limit" "and on again"

# The server's end.
stop
left 2 "the server ends"
shows "memctl: ctl.sock: the server has ended" "that is said"
done_testing
