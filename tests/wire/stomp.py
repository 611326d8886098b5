"""A small STOMP client on anything that sends and receives texts."""

import json

from ws import Closed, WebSocket

ESCAPES = {"\\n": "\n", "\\c": ":", "\\\\": "\\", "\\r": "\r"}


def unescape(text):
    out, at = "", 0
    while at < len(text):
        pair = text[at : at + 2]
        out += ESCAPES[pair] if pair in ESCAPES else text[at]
        at += 2 if pair in ESCAPES else 1
    return out


class Frame:
    def __init__(self, text):
        if not text.endswith("\0"):
            raise AssertionError("a frame without its NUL: %r" % text)
        head, _, body = text[:-1].partition("\n\n")
        lines = head.split("\n")
        self.raw, self.command, self.lines, self.body = text, lines[0], lines[1:], body
        self.headers = {}
        for line in self.lines:
            name, _, value = line.partition(":")
            self.headers.setdefault(name, value)

    def __getitem__(self, name):
        return self.headers.get(name)

    @property
    def seq(self):
        return int(self.headers["seq"])

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return repr(self.raw)


class Stomp:
    """channel: has send(text), receive(timeout) -> text, close()."""

    def __init__(self, channel):
        self.channel = channel

    def close(self):
        self.channel.close()

    def send(self, text):
        self.channel.send(text)

    def frame(self, command, headers=(), body=""):
        self.send("\n".join([command, *("%s:%s" % pair for pair in headers)]) + "\n\n" + body + "\0")

    def receive(self, timeout=None):
        """The next frame; heart-beats are passed over."""
        while True:
            text = self.channel.receive(timeout)
            if text not in ("\n", "\r\n"):
                return Frame(text)

    def expect(self, command, timeout=None):
        got = self.receive(timeout)
        if got.command != command:
            raise AssertionError("%s instead of %s" % (got, command))
        return got

    def connect(self, versions="1.2", beats=None):
        headers = [("accept-version", versions)] if versions else []
        if beats:
            headers.append(("heart-beat", beats))
        self.frame("CONNECT", [*headers, ("host", "h")])
        return self.expect("CONNECTED")

    def subscribe(self, destination, id="sub-0", after=None):
        """Returns the RECEIPT: from here on everything that is committed comes."""
        headers = [("id", id), ("destination", destination), ("receipt", "r-" + id)]
        if after is not None:
            headers.append(("after-seq", after))
        self.frame("SUBSCRIBE", headers)
        receipt = self.expect("RECEIPT")
        if receipt["receipt-id"] != "r-" + id:
            raise AssertionError("another receipt: %s" % receipt)
        return receipt

    def expect_error(self):
        """The ERROR frame and the WebSocket close code after it; nothing may come before it."""
        error = self.expect("ERROR")
        try:
            extra = self.channel.receive()
        except Closed as closed:
            return error, closed.code
        raise AssertionError("after an ERROR came %r" % extra)


def open_stomp(case, versions="1.2", path="/ws", protocols=("v12.stomp",), daemon=None, beats=None):
    """A connected client of the case's daemon, closed when the test ends."""
    client = Stomp(WebSocket((daemon or case.daemon).address, path, protocols))
    case.addCleanup(client.close)
    client.connect(versions, beats)
    return client
