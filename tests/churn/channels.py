"""Every transport as a channel: send(text), receive(timeout) -> text, close(). A channel that has ended raises Closed, whatever ended it."""

import json
import socket
import time
import uuid

from client import Client, Connection, WireError, build_request
from ws import Closed, WebSocket


def reset(sock):
    """Goes without a goodbye, as a phone in a tunnel does."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
    except OSError:
        pass


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
        self.socket = WebSocket(address, "/ws/0/%s/websocket" % uuid.uuid4())

    def send(self, text):
        self.socket.send(json.dumps([text]))

    def receive(self, timeout=None):
        while not self.pending:
            self.take(self.socket.receive(timeout))
        return self.pending.pop(0)

    def close(self):
        reset(self.socket.connection.sock)


class XhrPolling(SockJSFrames):
    def __init__(self, address):
        super().__init__()
        self.url = "/ws/0/%s" % uuid.uuid4()
        self.polls, self.sends = Client(address), Client(address)
        self.poll()

    def poll(self):
        answer = self.polls.request("POST", self.url + "/xhr", "")
        if answer.status != 200:
            raise Closed(None)
        self.take(answer.text[:-1])

    def send(self, text):
        if self.sends.request("POST", self.url + "/xhr_send", json.dumps([text])).status != 204:
            raise Closed(None)

    def receive(self, timeout=None):
        self.polls.timeout = timeout or 10
        if self.polls.connection:
            self.polls.connection.timeout = self.polls.timeout
        while not self.pending:
            self.poll()
        return self.pending.pop(0)

    def close(self):
        for client in (self.polls, self.sends):
            if client.connection:
                reset(client.connection.sock)
            client.connection = None


class XhrStreaming(SockJSFrames):
    def __init__(self, address):
        super().__init__()
        self.address, self.url = address, "/ws/0/%s" % uuid.uuid4()
        self.sends, self.stream = Client(address), None
        self.open()

    def open(self):
        if self.stream:
            self.stream.close()
        self.stream = Connection(self.address)
        self.stream.send(build_request("POST", self.url + "/xhr_streaming", self.stream.host, ""))
        self.stream._read_until(b"\r\n\r\n", time.monotonic() + 10)

    def chunk(self, timeout):
        deadline = time.monotonic() + timeout
        size = int(self.stream._read_until(b"\r\n", deadline), 16)
        data = self.stream._read_exactly(size, deadline)
        self.stream._read_until(b"\r\n", deadline)
        return data.decode()

    def send(self, text):
        if self.sends.request("POST", self.url + "/xhr_send", json.dumps([text])).status != 204:
            raise Closed(None)

    def receive(self, timeout=None):
        while not self.pending:
            data = self.chunk(timeout or 10)
            if not data:
                self.open()  # the response had its 128 KiB: the session lives on
            elif not data.startswith("hh"):
                self.take(data[:-1])
        return self.pending.pop(0)

    def close(self):
        reset(self.stream.sock)
        if self.sends.connection:
            reset(self.sends.connection.sock)


class RawWebSocket(WebSocket):
    def close(self):
        reset(self.connection.sock)


class EventStream:
    """Server-sent events: no STOMP, the position goes in Last-Event-ID."""

    def __init__(self, address, target, after):
        self.connection = Connection(address)
        self.connection.send(build_request("GET", target, self.connection.host, None, [("Last-Event-ID", str(after))]))
        head = self.connection._read_until(b"\r\n\r\n", time.monotonic() + 10)
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise Closed(None)

    def receive(self, timeout):
        """(name, id, data); comments and settings are passed over."""
        while True:
            fields = dict(line.split(": ", 1) for line in self.connection._read_until(b"\n\n", time.monotonic() + timeout).decode().split("\n") if ": " in line)
            if "data" in fields:
                return fields.get("event", "message"), int(fields["id"]), fields["data"]

    def close(self):
        reset(self.connection.sock)
