#!/usr/bin/env bash
# fio writes at random from several jobs, and finds its checksums again.
. "$(dirname "$0")/../lib/lib.sh"
need fio
fio --enghelp 2>/dev/null | grep -q '[[:space:]]nbd' || skip_all "fio has no nbd engine"

random_work 2000 50
# The engine prints a line of its own, hence --output.  It wants threads.
# shellcheck disable=SC2317,SC2329 # called through check
run ()
{
    fio --name=verify --ioengine=nbd --uri="$uri" --thread --output=fio.out \
        --randseed="$SEED" --verify=crc32c --verify_fatal=1 --verify_dump=0 \
        --size=64M --io_size="${WORK}0k" --group_reporting "$@" || {
        cat fio.out
        return 1
    }
}

serve size=256M
check "random writes of 4 KiB by four jobs" run --rw=randwrite --bs=4k --iodepth=16 \
    --numjobs=4 --offset_increment=64M
check "random writes of odd sizes" run --rw=randwrite --bsrange=512-128k \
    --blockalign=512 --iodepth=8 --numjobs=2 --offset_increment=64M
check "reads and writes mixed" run --rw=randrw --bs=4k --iodepth=16 --numjobs=2 \
    --offset_increment=128M
check "writes in sequence" run --rw=write --bs=256k --iodepth=4
stopped
done_testing
