#!/usr/bin/env bash
# log=FILE: the file is emptied at the start and appended to, also if somebody else
# changes it, or the server is in the background; one that can't be opened stops the
# start.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdsh python3

# Somebody else empties the file, and writes to it.
serve size=1M log=shared.log lua='fault { op = "read", error = "EIO", name = "r" }'
python 'from clients import *
outcome(h.pread, 1, 0)
until(lambda: "result" in open("shared.log").read())
os.truncate("shared.log", 0)
outcome(h.pread, 1, 1)
until(lambda: "result" in open("shared.log").read())
with open("shared.log", "a") as f: f.write("{\"note\":1}\n")
outcome(h.pread, 1, 2)'
stopped
is "$(read_log shared.log 'print(*[l.get("offset", l.get("note", "end")) for l in lines])')" "1 1 2 end" "a file that is emptied, and written to by others"

# Two servers: the second one is refused, and leaves the first one's log alone.
serve size=1M log=both.log lua='fault { op = "read", error = "EIO", name = "r" }'
python 'from clients import *
outcome(h.pread, 1, 0)
until(lambda: os.path.getsize("both.log") > 0)'
like "$(nbdkit_run -U x.sock size=1M log=both.log --run true 2>&1)" "log=.*/both.log: another server writes to it" "refused: a log that is in use"
python 'from clients import *
outcome(h.pread, 1, 1)'
stopped
is "$(read_log both.log 'print(*[l.get("offset", "end") for l in lines])')" "0 1 end" "... which is not disturbed"
serve size=1M log=both.log
alive "when that server has ended, the next may have it"
stopped
is "$(read_log both.log 'print([set(l) & {"start", "stop"} for l in every])')" "[{'start'}, {'stop'}]" "and empties it"

# A file that can't be opened stops the start.
for path in /nonexistent/log . "$scratch"; do
    like "$(nbdkit_run -U x.sock size=1M log="$path" --run true 2>&1)" "log=.*: (No such file|Is a directory)" "refused: $path"
done
mkfifo pipe
like "$(timeout 60 "${watch[@]}" nbdkit -f -U x.sock "$SO" size=1M log=pipe --run true 2>&1)" "log=.*/pipe: nobody reads" \
    "refused: a pipe that nobody reads"

# In the background, a relative path is still relative to where nbdkit was started.
echo '{"old":"content"}' >daemon.log
daemon size=1M log=daemon.log lua='fault { op = "read", error = "EIO" }'
python 'from clients import *
outcome(h.pread, 1, 0)'
like "$(nbdkit_run -U x.sock size=1M log=daemon.log --run true 2>&1)" "log=.*/daemon.log: another server writes to it" "refused: that of a server in the background"
end "$server"
is "$(read_log daemon.log 'for l in lines: show(l)')" '{"rule":"1","op":"read","offset":0,"count":1,"conn":1,"did":{"error":"EIO"}}
{"rule":"1","text":"op=\"read\" error=\"EIO\"","where":"lua:1","matched":1,"fired":1}' "in the background, with a relative path"
is "$(nbdkit_run -U - size=1M log=/dev/stdout lua='fault { op = "read", error = "EIO" }' --run true 2>/dev/null | grep matched | cut -d, -f4-)" \
    '"rule":"1","text":"op=\"read\" error=\"EIO\"","where":"lua:1","matched":0,"fired":0,"never_fired":true}' "log=/dev/stdout"

# A start that fails leaves the last log as it was.
echo '{"last":"run"}' >last.log
: >file
refused ()
{
    local name=$1
    shift
    timeout 60 "${watch[@]}" nbdkit -f "$@" >refused.out 2>&1
    is "$?, $(cat last.log)" '1, {"last":"run"}' "not emptied: $name"
}
serve size=1M
refused "the socket of the disk is in use" -U "$sock" "$SO" size=1M log=last.log --run true
refused "control= is wrong" -U x.sock "$SO" size=1M log=last.log control=file --run true
stopped

# What is no log is not emptied.
echo 'function on.read(req) end' >script.lua
like "$(nbdkit_run -U x.sock size=1M hooks=script.lua log=script.lua --run true 2>&1)" \
    "log=.*/script.lua: is not a log of this plugin .it does not begin with \{.: choose another name, or remove it" \
    "refused: a script"
is "$(cat script.lua)" 'function on.read(req) end' "... which is as it was"

# Standard output and standard error may be files that others write to.
can_run || done_testing
lua='fault { op = "read", error = "EIO" }'
for stream in /dev/stdout /proc/self/fd/1 /dev/fd/1; do
    echo before >all.out
    (echo between; nbdkit_run -U - size=1M log="$stream" lua="$lua" --run 'echo during' 2>/dev/null; echo after) >>all.out
    is "$(grep -v '"start"\|"declared"\|"stop"' all.out | sed 's/^{.*/{}/')" "$(printf '%s\n' before between during {} after)" "$stream is appended to"
    (echo between; nbdkit_run -U - size=1M log="$stream" lua="$lua" --run 'echo during' 2>/dev/null; echo after) >all.out
    is "$(grep -v '"start"\|"declared"\|"stop"' all.out | sed 's/^{.*/{}/')" "$(printf '%s\n' between during {} after)" "... and shared"
done
nbdkit_run -U - size=1M log=/dev/stderr lua="$lua; print \"hello\"" --run true 2>all.out
is "$(head -1 all.out) $(grep -c '"never_fired":true}' all.out)" "hello 1" "log=/dev/stderr"
done_testing
