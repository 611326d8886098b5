"""What the SockJS tests of the services and of the daemon share."""

import time
import uuid

from client import Connection, build_request

UNCACHED = "no-store, no-cache, no-transform, must-revalidate, max-age=0"


def session():
    return "/000/" + str(uuid.uuid4())


class Stream:
    """A streaming response, chunk by chunk."""

    def __init__(self, case, method, target, version="1.1"):
        self.connection = Connection(case.address)
        case.addCleanup(self.connection.close)
        request = build_request(method, target, self.connection.host, "" if method == "POST" else None, [("Origin", "http://localhost:1")])
        self.connection.send(request.replace(b"HTTP/1.1", b"HTTP/" + version.encode(), 1))
        lines = self.connection._read_until(b"\r\n\r\n", time.monotonic() + 10).decode().split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}

    def chunk(self, timeout=10):
        deadline = time.monotonic() + timeout
        size = int(self.connection._read_until(b"\r\n", deadline), 16)
        data = self.connection._read_exactly(size, deadline).decode()
        self.connection._read_until(b"\r\n", deadline)
        return data


class Cases:
    """Helpers for both servers: self.address, self.http."""

    def post(self, target, body="", headers=()):
        return self.http.request("POST", target, body, headers)

    def check_cors(self, answer, origin):
        self.assertEqual(answer.header("Access-Control-Allow-Origin"), origin or "*")
        self.assertEqual(answer.header("Access-Control-Allow-Credentials"), "true" if origin else None)

    def check_uncached(self, answer):
        self.assertEqual(answer.header("Cache-Control"), UNCACHED)
        self.assertIsNone(answer.header("Expires"))
        self.assertIsNone(answer.header("Last-Modified"))

    def check_type(self, answer, content_type):
        self.assertEqual(answer.header("Content-Type").replace(" ", ""), content_type)

    def check_options(self, target, methods, origins=("http://localhost:1", "null")):
        for origin in origins:
            answer = self.http.request("OPTIONS", target, None, [("Origin", origin), ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "a, b, c")])
            self.assertIn(answer.status, (200, 204))
            self.assertRegex(answer.header("Cache-Control"), "public")
            self.assertRegex(answer.header("Cache-Control"), "max-age=[1-9][0-9]{6}")
            self.assertTrue(answer.header("Expires"))
            self.assertGreater(int(answer.header("Access-Control-Max-Age")), 1000000)
            self.assertEqual(answer.header("Access-Control-Allow-Headers"), "a, b, c")
            for method in methods:
                self.assertIn(method, answer.header("Access-Control-Allow-Methods"))
            self.assertFalse(answer.body)
            self.check_cors(answer, origin)
        answer = self.http.request("OPTIONS", target, None, [("Origin", origins[0]), ("Access-Control-Request-Headers", "")])
        self.assertIsNone(answer.header("Access-Control-Allow-Headers"))

    def open_session(self, base):
        url = base + session()
        answer = self.post(url + "/xhr")
        self.assertEqual((answer.status, answer.text), (200, "o\n"))
        return url
