"""A strict RFC 6455 client over a plain socket: sends whatever frames a test wants, checks whatever comes back."""

import base64
import hashlib
import os
import struct
import time

from client import Connection, WireError

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(payload=b"", opcode=TEXT, fin=True, rsv=0, mask=b"\0\0\0\0", length_bytes=None):
    """The bytes of one client frame. mask None: unmasked, which no server may take; length_bytes: 2 or 8, to say a length longer than needed."""
    payload = payload.encode("utf-8") if isinstance(payload, str) else payload
    size = len(payload)
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 65536 else 8
    short = size if length_bytes == 0 else 126 if length_bytes == 2 else 127
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode, (0x80 if mask is not None else 0) | short])
    head += size.to_bytes(length_bytes, "big") if length_bytes else b""
    if mask is None:
        return head + payload
    key = mask * (size // 4 + 1)
    return head + mask + bytes(a ^ b for a, b in zip(payload, key))


class Closed(Exception):
    """The peer has said goodbye (code, reason), or has just gone (code None)."""

    def __init__(self, code, reason=""):
        super().__init__("closed with %r %r" % (code, reason))
        self.code, self.reason = code, reason


def handshake_headers(key, protocols=(), extra=()):
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key)]
    if protocols:
        headers.append(("Sec-WebSocket-Protocol", ", ".join(protocols)))
    return headers + list(extra)


class WebSocket:
    """Messages in, messages out. Answers no ping and sends no close by itself."""

    def __init__(self, address, path="/ws", protocols=(), extra=(), timeout=10.0):
        self.connection = Connection(address, timeout)
        self.timeout = timeout
        key = base64.b64encode(os.urandom(16)).decode()
        self.answer = self.connection.request("GET", path, None, handshake_headers(key, protocols, extra))
        if self.answer.status != 101:
            self.connection.close()
            raise WireError("no WebSocket: %r" % self.answer)
        wanted = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        if self.answer.header("Sec-WebSocket-Accept") != wanted:
            raise WireError("wrong Sec-WebSocket-Accept: %r" % self.answer.headers)

    def close(self):
        self.connection.close()

    def send(self, payload, opcode=TEXT, **options):
        self.connection.send(frame(payload, opcode, **options))

    def send_raw(self, data):
        self.connection.send(data)

    def receive_frame(self, timeout=None):
        """(opcode, payload) of the next frame, which must be whole, unmasked and minimal."""
        deadline = time.monotonic() + (timeout or self.timeout)
        try:
            first, second = self.connection._read_exactly(2, deadline)
            if first & 0x70 or not first & 0x80 or second & 0x80:
                raise WireError("a frame of a server that a client must refuse: %02x %02x" % (first, second))
            size = second & 0x7F
            if size >= 126:
                extra = 2 if size == 126 else 8
                size = int.from_bytes(self.connection._read_exactly(extra, deadline), "big")
                if size < (126 if extra == 2 else 65536):
                    raise WireError("a length that is not minimal")
            return first & 0x0F, self.connection._read_exactly(size, deadline)
        except (ConnectionResetError, BrokenPipeError):
            raise Closed(None) from None
        except WireError as error:
            if self.connection.eof:  # it may have been cut off within a frame
                raise Closed(None) from None
            raise error

    def receive(self, timeout=None):
        """The next text message; Closed when a close frame comes instead."""
        opcode, payload = self.receive_frame(timeout)
        if opcode == CLOSE:
            code = struct.unpack(">H", payload[:2])[0] if payload else 1005
            raise Closed(code, payload[2:].decode("utf-8"))
        if opcode != TEXT:
            raise WireError("opcode %d: %r" % (opcode, payload))
        return payload.decode("utf-8")

    def expect_close(self, timeout=None):
        """Reads on to the close; returns its code (None: without a close frame) and what came before it."""
        before = []
        while True:
            try:
                before.append(self.receive(timeout))
            except Closed as closed:
                return closed.code, before
