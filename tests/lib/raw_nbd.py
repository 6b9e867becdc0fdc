"""NBD by hand, for requests that libnbd refuses to send."""

import socket
import struct

READ, WRITE, DISC, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS = range(8)

# The protocol's errno codes, which may differ from this system's.
ERRORS = {0: "done", 1: "EPERM", 5: "EIO", 12: "ENOMEM", 22: "EINVAL",
          28: "ENOSPC", 75: "EOVERFLOW", 95: "ENOTSUP", 108: "ESHUTDOWN"}


class Raw:
    """A connection with simple replies, one request at a time."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.receive(18)                        # magics and flags
        self.send(struct.pack(">I", 3))         # fixed newstyle, no zeroes
        self.send(b"IHAVEOPT" + struct.pack(">II", 1, 0))
        self.size, self.flags = struct.unpack(">QH", self.receive(10))

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError("the server closed the connection")
            data += more
        return data

    def header(self, command, offset, count, flags=0):
        return struct.pack(">IHHQQI", 0x25609513, flags, command, 42,
                           offset, count)

    def request(self, command, offset, count, payload=b"", flags=0):
        """The name of the answer: "done", an error, or "closed"."""
        try:
            self.send(self.header(command, offset, count, flags) + payload)
            magic, error, cookie = struct.unpack(">IIQ", self.receive(16))
            if (magic, cookie) != (0x67446698, 42):
                return "a broken reply"
            if error == 0 and command == READ:
                self.receive(count)
            return ERRORS.get(error, f"error {error}")
        except (EOFError, ConnectionError):
            return "closed"
