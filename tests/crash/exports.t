#!/usr/bin/env bash
# What a server's crash states show to clients is what the model allows, after random
# requests of several clients, failures, lies, cuts and changes of the medium.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

export PYTHONPATH=$TOP/tests/crash:$PYTHONPATH
random_work 24 2
images=0
for ((n = 0; n < WORK; n++)); do
    read -ra parameters <<<"$(python3 "$TOP/tests/crash/exports.py" "$SEED.$n")"
    serve "${parameters[@]}" control=ctl
    PLAN=$SEED.$n python - >out <<'PY'
import os
from clients import connect, Control
import exports
exports.nbd = nbd
print(exports.compare(os.environ["PLAN"], 60, connect, Control("ctl")))
PY
    same=$(cat out)
    [[ $same =~ ^[0-9]+$ ]]
    ok $? "trace $SEED.$n: its images are those of the model" || tell <out
    [[ ! $same =~ ^[0-9]+$ ]] || images=$((images + same))
    stopped
done
echo "# $images images"
done_testing
