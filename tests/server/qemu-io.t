#!/usr/bin/env bash
# qemu-io writes patterns and reads them back, zeroes and discards.
. "$(dirname "$0")/../lib/lib.sh"
need qemu-io

# io COMMAND...: qemu-io prints nothing except statistics if all is well; if data
# differs, it says "Pattern verification failed", with status 1.
io ()
{
    local args=() c
    for c; do
        args+=(-c "$c")
    done
    qemu-io -f raw "${args[@]}" "$uri"
}

serve size=8M
check "zeroes at first" io "read -P 0 0 8M"
check "write and read" io "write -P 0xa5 0 1M" "read -P 0xa5 0 1M"
check "the rest is still zero" io "read -P 0 1M 7M"
check "odd sizes" io "write -P 0x11 511 1025" "read -P 0xa5 0 511" "read -P 0x11 511 1025" "read -P 0xa5 1536 4k"
check "across pages" io "write -P 0x22 4095 2" "read -P 0x22 4095 2" "read -P 0xa5 4097 1000"
check "the last byte" io "write -P 0x33 8388607 1" "read -P 0x33 8388607 1" "read -P 0 8388600 7"
check "zeroes" io "write -z 4000 10000" "read -P 0 4000 10000" "read -P 0xa5 14000 1000" "read -P 0xa5 3000 1000"
check "zeroes with unmap" io "write -z -u 64k 64k" "read -P 0 64k 64k" "read -P 0xa5 128k 64k"
check "discard" io "discard 256k 256k" "read -P 0 256k 256k" "read -P 0xa5 128k 128k" "read -P 0xa5 512k 512k"
check "discard of part of a page" io "write -P 0x44 1M 8k" "discard 1049576 5000" "read -P 0x44 1M 1000" "read -P 0x44 1054576 2192"
check "FUA and flush" io "write -f -P 0x55 2M 64k" "flush" "read -P 0x55 2M 64k"
check "many at once" io "aio_write -P 0x66 3M 1M" "aio_write -P 0x77 4M 1M" "aio_flush" \
    "read -P 0x66 3M 1M" "read -P 0x77 4M 1M"
check "vectors" io "writev -P 0x88 5M 512 1024 4k" "readv -P 0x88 5M 4k 1024 512"

# The checks above can fail.
like "$(io "read -P 0xff 0 512" 2>&1)" "Pattern verification failed" "a wrong pattern is noticed"
stopped
done_testing
