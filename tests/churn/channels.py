"""Every transport as a channel: send(text), receive(timeout) -> text, close().

How a channel ends is told apart: Closed, or an OSError, when the peer has gone, with or without a goodbye; Silent when nothing came in time; everything else is a peer that
breaks the protocol.
"""

import json
import socket
import time
import uuid

from client import Client, Connection, WireError, build_request
from ws import Closed, WebSocket

PRELUDE = b"h" * 2048
ANSWER_S = 20.0  # for what is answered at once: a minute's load of a small machine may be between


class Silent(Exception):
    """Nothing came in time."""


def told_apart(error):
    """What a WireError means: the client of tests/wire has one class for all three."""
    text = str(error)
    if text.startswith("closed "):
        return Closed(None, text)
    return Silent(text) if text.startswith("no answer in time") else error


def reset(sock):
    """Goes without a goodbye, as a phone in a tunnel does."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
    except OSError:
        pass


class RawWebSocket(WebSocket):
    def __init__(self, address):
        super().__init__(address, timeout=ANSWER_S)

    def close(self):
        reset(self.connection.sock)


class SockJSFrames:
    """Frames o, h, a[...], c[...] as messages."""

    def __init__(self):
        self.pending = []

    def take(self, frame):
        if frame[:1] == "a":
            self.pending += json.loads(frame[1:])
        elif frame[:1] == "c":
            raise Closed(json.loads(frame[1:])[0])
        elif frame not in ("o", "h"):
            raise WireError("not a SockJS frame: %r" % frame[:200])


class SockJSWebSocket(SockJSFrames):
    def __init__(self, address):
        super().__init__()
        self.socket = WebSocket(address, "/ws/0/%s/websocket" % uuid.uuid4(), timeout=ANSWER_S)

    def send(self, text):
        self.socket.send(json.dumps([text]))

    def receive(self, timeout=None):
        while not self.pending:
            self.take(self.socket.receive(timeout))
        return self.pending.pop(0)

    def close(self):
        reset(self.socket.connection.sock)


class SockJSSends(SockJSFrames):
    """What the transports over plain HTTP share: each text goes by a POST of its own."""

    def __init__(self, address):
        super().__init__()
        self.address, self.url = address, "/ws/0/%s" % uuid.uuid4()
        self.sends = Client(address, ANSWER_S)

    def send(self, text):
        answer = self.sends.request("POST", self.url + "/xhr_send", json.dumps([text]))
        if answer.status != 204:
            raise WireError("xhr_send: %r" % answer)

    def close(self):
        if self.sends.connection:
            reset(self.sends.connection.sock)


class XhrPolling(SockJSSends):
    def __init__(self, address):
        super().__init__(address)
        self.polls = Client(address, ANSWER_S)
        self.poll()

    def poll(self):
        answer = self.polls.request("POST", self.url + "/xhr", "")
        if answer.status != 200:
            raise WireError("xhr: %r" % answer)
        self.take(answer.text[:-1])

    def receive(self, timeout=None):
        self.polls.timeout = timeout or ANSWER_S
        if self.polls.connection:
            self.polls.connection.timeout = self.polls.timeout
        while not self.pending:
            self.poll()
        return self.pending.pop(0)

    def close(self):
        super().close()
        if self.polls.connection:
            reset(self.polls.connection.sock)


class XhrStreaming(SockJSSends):
    def __init__(self, address):
        super().__init__(address)
        self.stream, self.rest = None, b""
        self.open()

    def open(self):
        if self.stream:
            self.stream.close()
        self.stream = Connection(self.address)
        self.stream.send(build_request("POST", self.url + "/xhr_streaming", self.stream.host, ""))
        head = self.stream._read_until(b"\r\n\r\n", time.monotonic() + ANSWER_S)
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise WireError("xhr_streaming: %r" % head)

    def chunk(self, timeout):
        deadline = time.monotonic() + timeout
        size = int(self.stream._read_until(b"\r\n", deadline), 16)
        data = self.stream._read_exactly(size, deadline)
        self.stream._read_until(b"\r\n", deadline)
        return data

    def receive(self, timeout=None):
        while not self.pending:
            data = self.chunk(timeout or ANSWER_S)
            if data:
                *frames, self.rest = (self.rest + data).split(b"\n")
                for frame in frames:
                    if frame != PRELUDE:
                        self.take(frame.decode())
            elif self.rest:
                raise WireError("a response that ends within a frame: %r" % self.rest[:200])
            else:
                self.open()  # the response had its 128 KiB: the session lives on
        return self.pending.pop(0)

    def close(self):
        super().close()
        if self.stream:
            reset(self.stream.sock)


class EventStream:
    """Server-sent events: no STOMP, the position goes in Last-Event-ID."""

    def __init__(self, address, target, after):
        self.connection = Connection(address)
        self.connection.send(build_request("GET", target, self.connection.host, None, [("Last-Event-ID", str(after))]))
        head = self.connection._read_until(b"\r\n\r\n", time.monotonic() + ANSWER_S)
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise WireError("%s: %r" % (target, head))

    def receive(self, timeout):
        """(name, id or None, data); comments and settings are passed over."""
        while True:
            lines = self.connection._read_until(b"\n\n", time.monotonic() + timeout).decode().split("\n")
            fields = dict(line.split(": ", 1) for line in lines if ": " in line)
            if "data" in fields:
                return fields.get("event", "message"), int(fields["id"]) if "id" in fields else None, fields["data"]

    def close(self):
        reset(self.connection.sock)
