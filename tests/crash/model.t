#!/usr/bin/env bash
# All crash states of random traces are those of a model in another language, and no
# others: requests in flight, partial sectors, failures, lies, cuts, nested caches.
. "$(dirname "$0")/../lib/lib.sh"
need python3

machine=$TOP/${BUILD:-build}/tests/crash/machine
[ -x "$machine" ] || bail "run make ${BUILD:-build}/tests/crash/machine first"

python3 "$TOP/tests/crash/rows.py" >rows.out 2>&1
is "$(grep -v '^ok' rows.out)" "" "the model allows what its table says"

random_work 1000000 20000
python3 "$TOP/tests/crash/compare.py" "$machine" "$SEED" "$WORK" >compare.out 2>&1
like "$(cat compare.out)" "^[0-9]+ images are the same$" "$WORK images are those of the model"
cat compare.out

# The claim on which disk:states without a point rests.
python3 "$TOP/tests/crash/points.py" "$SEED" $((WORK / 5000 + 20)) >points.out 2>&1
like "$(cat points.out)" "^[0-9]+ points suffice for [0-9]+ moments$" "some points suffice"
cat points.out
done_testing
