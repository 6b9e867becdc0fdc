"""Reads a log of the kernel's dm-log-writes target, by its documentation: a superblock,
then entries, each in a sector of its own, with the data of writes behind them.

    writes_log.py LOG MARK IMAGE    what the disk held at the first such mark ("": at the
                                    end) is put into a file; prints the entries
"""

import struct
import sys

MAGIC = 0x6a736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


def entries(log):
    """Each entry: sector, sectors, flags, mark, data; and the size of a sector."""
    magic, version, count, size = struct.unpack("<QQQI", log.read(28))
    if (magic, version) != (MAGIC, 1):
        raise SystemExit("this is no log")
    log.seek(size)
    for _ in range(count):
        block = log.read(size)
        sector, sectors, flags, length = struct.unpack("<QQQQ", block[:32])
        if flags & MARK:
            yield sector, sectors, flags, block[32:32 + length], b""
            continue
        if block[32] != 0:
            raise SystemExit("byte 32 of an entry that is no mark is for old readers")
        has_data = not flags & DISCARD
        yield sector, sectors, flags, None, log.read(sectors * size) if has_data else b""
    if log.read():
        raise SystemExit("there is more than the superblock says")


def main():
    name, mark, image = sys.argv[1:]
    with open(name, "rb") as log, open(image, "wb") as disk:
        log.seek(24)
        size, = struct.unpack("<I", log.read(4))
        log.seek(0)
        for sector, sectors, flags, text, data in entries(log):
            if text is not None:
                print("mark", text.decode())
                if mark and text.decode() == mark:
                    return
            elif flags & DISCARD:
                print("discard", sector, sectors, "FUA" if flags & FUA else "")
                for i in range(sectors):
                    disk.seek((sector + i) * size)
                    disk.write(bytes(size))
            elif sectors:
                print("write", sector, sectors, "FUA" if flags & FUA else "")
                if len(data) != sectors * size:
                    raise SystemExit("the log is cut off")
                disk.seek(sector * size)
                disk.write(data)
            else:
                print("flush" if flags & FLUSH else "nothing")


if __name__ == "__main__":
    main()
