#!/bin/sh
# shellcheck disable=SC2154 # disktorture sets what they get
sqlite3 "$dir/db" "create table t (n)"
for i in 1 2 3 4 5; do
    sqlite3 "$dir/db" "insert into t values ($i)" && echo "ack $i"
done
