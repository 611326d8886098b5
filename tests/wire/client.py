"""A small HTTP/1.1 client over a plain socket.

http.client is not used on purpose: it repairs what a test wants to send broken (raw UTF-8 in a target, doubled headers, bad lengths) and hides what a test
wants to see (interim answers, bytes after the body, who closed first).
"""

import json
import socket
import time

TIMEOUT_S = 10.0


class WireError(Exception):
    """The peer broke the protocol, or was silent for too long."""


class Response:
    def __init__(self, status, reason, headers, body):
        self.status = status
        self.reason = reason
        self.headers = headers  # pairs, in the order sent
        self.body = body

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        values = self.all(name)
        return values[0] if values else None

    @property
    def text(self):
        return self.body.decode("utf-8")

    @property
    def json(self):
        return json.loads(self.text)

    def __repr__(self):
        return "<%d %s %r>" % (self.status, self.header("Content-Type"), self.body[:300])


def as_bytes(value):
    return value if isinstance(value, bytes) else value.encode("utf-8")


def build_request(method, target, host, body=None, headers=()):
    """The bytes of one well-formed request; a body gets its Content-Length unless headers frame it themselves."""
    names = {as_bytes(name).lower() for name, _ in headers}
    lines = [as_bytes(method) + b" " + as_bytes(target) + b" HTTP/1.1"]
    if b"host" not in names:
        lines.append(b"Host: " + as_bytes(host))
    lines += [as_bytes(name) + b": " + as_bytes(value) for name, value in headers]
    payload = b"" if body is None else as_bytes(body)
    if body is not None and b"content-length" not in names and b"transfer-encoding" not in names:
        lines.append(b"Content-Length: %d" % len(payload))
    return b"\r\n".join(lines) + b"\r\n\r\n" + payload


class Connection:
    """One TCP connection. Reads are buffered, so that pipelined answers come out one by one."""

    def __init__(self, address, timeout=TIMEOUT_S):
        self.address = address
        self.host = "%s:%d" % address
        self.timeout = timeout
        self.sock = socket.create_connection(address, timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.eof = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(as_bytes(data))

    def request(self, method, target, body=None, headers=()):
        self.send(build_request(method, target, self.host, body, headers))
        return self.read_response(method)

    def _fill(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise WireError("no answer in time, so far %r" % self.buffer[:200])
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            raise WireError("no answer in time, so far %r" % self.buffer[:200]) from None
        if not data:
            self.eof = True
        self.buffer += data
        return bool(data)

    def _read_until(self, mark, deadline):
        while mark not in self.buffer:
            if not self._fill(deadline):
                raise WireError("closed in the middle of an answer, so far %r" % self.buffer[:200])
        piece, _, self.buffer = self.buffer.partition(mark)
        return piece

    def _read_exactly(self, count, deadline):
        while len(self.buffer) < count:
            if not self._fill(deadline):
                raise WireError("closed %d bytes short of the announced body" % (count - len(self.buffer)))
        piece, self.buffer = self.buffer[:count], self.buffer[count:]
        return piece

    def _read_chunked(self, deadline):
        body = b""
        while True:
            size = int(self._read_until(b"\r\n", deadline).split(b";")[0], 16)
            if size == 0:
                while self._read_until(b"\r\n", deadline):
                    pass
                return body
            body += self._read_exactly(size, deadline)
            self._read_until(b"\r\n", deadline)

    def read_response(self, method="GET", timeout=None):
        """Exactly one answer, interim (1xx) ones included."""
        deadline = time.monotonic() + (timeout or self.timeout)
        head = self._read_until(b"\r\n\r\n", deadline).decode("utf-8").split("\r\n")
        version, status, reason = head[0].split(" ", 2)
        if version not in ("HTTP/1.1", "HTTP/1.0"):
            raise WireError("not an HTTP answer: %r" % head[0])
        headers = [tuple(part.strip() for part in line.split(":", 1)) for line in head[1:]]
        answer = Response(int(status), reason, headers, b"")
        if method == "HEAD" or answer.status < 200 or answer.status in (204, 304):
            return answer
        length = answer.header("Content-Length")
        if (answer.header("Transfer-Encoding") or "").lower() == "chunked":
            answer.body = self._read_chunked(deadline)
        elif length is not None:
            answer.body = self._read_exactly(int(length), deadline)
        else:
            while self._fill(deadline):
                pass
            answer.body, self.buffer = self.buffer, b""
        return answer

    def closed_by_peer(self, timeout=None):
        """True when the peer closes within the time and sends nothing more; False when it is still open then. Bytes are a WireError."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while True:
            if self.buffer:
                raise WireError("more bytes instead of a close: %r" % self.buffer[:200])
            if self.eof:
                return True
            try:
                self._fill(deadline)
            except ConnectionResetError:
                return True
            except WireError:
                return False

    def read_all_responses(self):
        """Every answer until the peer closes."""
        answers = []
        while self._more_comes():
            answers.append(self.read_response())
        return answers

    def _more_comes(self):
        deadline = time.monotonic() + self.timeout
        while not self.buffer and not self.eof:
            try:
                self._fill(deadline)
            except ConnectionResetError:
                return False
        return bool(self.buffer)


JSON_TYPE = ("Content-Type", "application/json")


class Client:
    """A keep-alive client for well-formed requests: reconnects after a `Connection: close`, never repeats a request."""

    def __init__(self, address, timeout=TIMEOUT_S):
        self.address = address
        self.timeout = timeout
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def request(self, method, target, body=None, headers=()):
        if self.connection is None:
            self.connection = Connection(self.address, self.timeout)
        try:
            answer = self.connection.request(method, target, body, headers)
        except (WireError, OSError):
            self.close()
            raise
        if (answer.header("Connection") or "").lower() == "close":
            self.close()
        return answer

    def get(self, target, headers=()):
        return self.request("GET", target, None, headers)

    def post(self, target, value, key=None, headers=()):
        """value: text or bytes as they are, anything else as JSON."""
        body = value if isinstance(value, (str, bytes)) else json.dumps(value, ensure_ascii=False)
        extra = list(headers)
        if not any(name.lower() == "content-type" for name, _ in extra):
            extra.append(JSON_TYPE)
        if key is not None:
            extra.append(("Idempotency-Key", key))
        return self.request("POST", target, body, extra)
