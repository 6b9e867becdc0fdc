#!/usr/bin/env bash
# GDBM, which syncs after each record, loses an older record when a power cut loses one
# sector of 512 bytes of one write.  The same run on a disk with sectors of 4096 bytes, which
# replay= serves, loses none.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/mounts.sh"
. "$TOP/tests/lib/state.sh"
need mkfs.ext4 losetup nbdfuse
/usr/bin/python3 -c 'import dbm.gnu' 2>/dev/null || skip_all "python3-gdbm is not installed"

cat >store.py <<'PY'
import dbm.gnu, subprocess, sys
db = dbm.gnu.open("mounted/g", "c")
for n in range(1, 4):
    db[f"key{n}"] = f"value{n}" * 20
    db.sync()
    subprocess.run([*sys.argv[1:], f"disk:mark 'ack {n}'"], check=True, stdout=subprocess.DEVNULL)
PY

# Names of states that lose one sector of one request, each with how many records were
# acknowledged before.
cat >states.lua <<'LUA'
local acked, list = 0, {}
for e in disk:history() do
  if e.kind == "mark" then acked = acked + 1 end
  if e.kind == "flush" and acked > 0 then
    for s in disk:states { point = "before-flush-" .. e.number, how = "lose-one", units = "sectors" } do
      list[#list + 1] = s.name:sub(7) .. " " .. acked
    end
  end
end
return list
LUA

# shellcheck disable=SC2317,SC2329 # called through with_state
records ()
{
    /usr/bin/python3 -c '
import dbm.gnu
try:
    with dbm.gnu.open("mounted/g", "r") as db:
        print(*[n for n in range(1, 4) if db.get(f"key{n}") == f"value{n}".encode() * 20])
except Exception as e:
    print("unreadable:", e)' 2>&1
}

# find_lost: look at such states until an acknowledged record is not there; sets $tried, and
# $lost to the name of that state, or nothing.
find_lost ()
{
    local name wanted
    tried=0 lost=
    while read -r name wanted; do
        tried=$((tried + 1))
        [[ "$(with_state "$name" records) " == "$(seq -s ' ' "$wanted") "* ]] || lost=$name
        rm -rf state
        [ -z "$lost" ] || break
    done < <(control "$(cat states.lua)" | tr -d '[]"' | tr ',' '\n')
}

serve size=32M write-cache=volatile history=1G control="$scratch/control"
fuse_disk || skip_all "$why"
ext4_mount commit=3600 || skip_all "$why"
/usr/bin/python3 store.py "$TOP/memctl" "$scratch/control" || bail "GDBM did not store"
check "unmounted" kernel_unmount
fuse_stopped
find_lost
like "$lost" "^before-flush-[0-9]*/lose-[0-9]*:[0-9]*$" "an acknowledged record is lost, by one sector"
echo "# state $tried: $lost"
control 'disk:save_history "history"' >/dev/null
stopped
rm -rf fuse mounted "$scratch/control"
serve replay=history sector=4096 control="$scratch/control"
find_lost
check "$tried states are tried" [ "$tried" -gt 5 ]
is "$lost" "" "with sectors of 4096 bytes none has"
stopped
done_testing
