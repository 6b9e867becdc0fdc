#!/usr/bin/env bash
# Does a copy notice that the disk is full, and work once it is not?
#     NBDKIT_MEMORY_SO=./memory.so MEMCTL=./memctl examples/copy.sh
. "$(dirname "$0")/../shell/disk.sh"
set -e

disk 64M
# Random, because nbdcopy does not write zeroes: it sends requests to zero, or nothing.
head -c 1M /dev/urandom >"$disk_dir/image"

fault full 'op = "write", nth = 3, error = "ENOSPC"'
if nbdcopy "$disk_dir/image" "$uri"; then
    echo "FAILED: nbdcopy did not notice" >&2
    exit 1
fi
fired full
nbdcopy "$disk_dir/image" "$uri"

end_disk
echo PASSED
