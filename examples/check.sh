#!/bin/sh
# shellcheck disable=SC2154 # disktorture sets what they get
sqlite3 "$dir/db" "select n from t" >"$TMPDIR/found" || { test ! -s "$acked"; exit; }
missing=$(grep -vxFf "$TMPDIR/found" "$acked" | xargs)
test -z "$missing" || { echo "lost: $missing"; exit 1; }
