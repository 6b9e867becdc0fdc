#!/usr/bin/env bash
# The disk says what it can do: to clients, to programs that probe the plugin, and in
# its help.
. "$(dirname "$0")/../lib/lib.sh"
need nbdinfo

serve size=1G
nbdinfo --no-content "$uri" >info
while read -r line; do
    grep -Eq "^[[:space:]]*$line( |$)" info
    ok $? "nbdinfo: $line" || sed 's/^/# /' info
done <<'LINES'
export-size: 1073741824
is_rotational: false
is_read_only: false
can_cache: true
can_df: true
can_fast_zero: true
can_flush: true
can_fua: true
can_multi_conn: true
can_trim: true
can_zero: true
block_size_minimum: 1
block_size_preferred: 4096
block_size_maximum: 4294967295
base:allocation
LINES
stopped

serve -r size=1M
like "$(nbdinfo --no-content "$uri")" 'is_read_only: true' "nbdkit -r makes it read only"
stopped

"${watch[@]}" nbdkit --dump-plugin "$SO" >dump
while read -r line; do
    grep -Eqx "$line" dump
    ok $? "--dump-plugin: $line" || sed 's/^/# /' dump
done <<'LINES'
name=memory
version=[0-9]+[.][0-9]+[.][0-9]+
max_thread_model=parallel
magic_config_key=size
memory_hooks=lua5[.]4
mlock=yes
zstd=no
has_block_size=1
has_can_fua=1
LINES
"${watch[@]}" nbdkit --dump-plugin "$SO" size=1M lua='error("scripts are not run")' >dump2
is "$(cat dump2)" "$(cat dump)" "--dump-plugin runs no scripts"

"${watch[@]}" nbdkit --help "$SO" >help
for parameter in '\[size=\]SIZE' hooks=FILE lua=CODE allocator=sparse; do
    like "$(cat help)" "^$parameter" "--help: $parameter"
done

serve -v -D memory.stats=1 size=1M
python 'h.pwrite(b"x" * 5000, 0)'
stopped
like "$(cat log)" 'memory: 8192 bytes allocated of 1048576' "-D memory.stats=1 says what was stored"
done_testing
