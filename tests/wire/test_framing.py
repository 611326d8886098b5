"""HTTP/1.1 framing on a raw socket: cases O-23 to O-27, pipelining, limits of heads and bodies (RFC 9110, RFC 9112)."""

import socket
import subprocess
import time
import unittest

from client import WireError, build_request
from harness import OwnDaemonCase, WireCase, tip

JSON = ("Content-Type", "application/json")


class FramingCase(WireCase):
    def raw(self, data, timeout=10.0):
        connection = self.connect(timeout)
        connection.send(data)
        return connection

    def head(self, *lines, request="POST /api/tips HTTP/1.1"):
        """A request head with our own Host, further lines as given."""
        return "\r\n".join([request, "Host: %s:%d" % self.daemon.address, *lines]) + "\r\n\r\n"

    def count(self):
        return self.page("/api/tips?size=1")["totalElements"]

    def check_refused(self, data, statuses, path=None):
        """Exactly one answer with one of the statuses, then the peer closes, whatever follows in the same write."""
        connection = self.raw(data)
        answers = connection.read_all_responses()
        self.assertEqual([True], [answer.status in statuses for answer in answers], answers)
        self.assertEqual((answers[0].header("Connection") or "").lower(), "close", answers)
        if path is not None:
            self.check_error(answers[0], answers[0].status, path)
        return answers[0]


class LengthTest(FramingCase):
    SMUGGLED = "GET /api/tips/1 HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def test_content_length_with_transfer_encoding(self):
        """O-23"""
        for lines in (("Content-Length: 6", "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked", "Content-Length: 6")):
            with self.subTest(lines=lines):
                self.check_refused(self.head("Content-Type: application/json", *lines) + "0\r\n\r\n" + self.SMUGGLED, (400,), "/api/tips")

    def test_transfer_encoding_other_than_chunked(self):
        for value in ("gzip", "identity", "chunked, identity", "gzip, chunked", "xchunked", "chunked\r\nTransfer-Encoding: chunked", "\x0bchunked", ""):
            with self.subTest(value=value):
                self.check_refused(self.head("Content-Type: application/json", "Transfer-Encoding: " + value) + "0\r\n\r\n" + self.SMUGGLED, (400, 501))

    def test_malformed_content_lengths(self):
        """O-27"""
        for value in ("+10", "0x1A", "-1", "1 0", "99999999999999999999", "10,10", "1e1", "", "10;", "\u0661", "18446744073709551626"):
            with self.subTest(value=value):
                self.check_refused(self.head("Content-Type: application/json", "Content-Length: " + value) + self.SMUGGLED, (400,))

    def test_doubled_content_length(self):
        for second in ("7", "6"):
            with self.subTest(second=second):
                self.check_refused(
                    self.head("Content-Type: application/json", "Content-Length: 6", "Content-Length: " + second) + "abcdef" + self.SMUGGLED, (400,)
                )

    def test_post_without_any_length_is_an_empty_body(self):
        """O-27: answered at once, without waiting for the end of the stream."""
        connection = self.raw(self.head("Content-Type: application/json"))
        begun = time.monotonic()
        answer = connection.read_response()
        self.assertIn(answer.status, (400, 411))
        self.assertLess(time.monotonic() - begun, 1.0)
        self.check_error(answer, answer.status, "/api/tips")

    def test_body_over_the_limit_is_refused_unread(self):
        begun = time.monotonic()
        answer = self.check_refused(self.head("Content-Type: application/json", "Content-Length: 1048577"), (413,), "/api/tips")
        self.assertLess(time.monotonic() - begun, 2.0, answer)

    def test_body_at_the_limit_is_taken(self):
        text = tip("limit")
        body = text + " " * (1048576 - len(text))
        self.create("/api/tips", body)

    def test_chunked_body_over_the_limit(self):
        connection = self.raw(self.head("Content-Type: application/json", "Transfer-Encoding: chunked"))
        try:
            for _ in range(20):
                connection.send("10000\r\n" + " " * 65536 + "\r\n")
        except OSError:
            pass  # closed on us: the answer is what counts
        answer = connection.read_response()
        self.assertEqual(answer.status, 413)
        self.assertTrue(connection.closed_by_peer())


class ChunkedTest(FramingCase):
    def test_chunked_post_with_two_pipelined_gets(self):
        """O-25"""
        body = tip("chunked").encode()
        a, b, c = body[:5], body[5:30], body[30:]
        data = self.head("Content-Type: application/json", "Transfer-Encoding: chunked", "Trailer: X-Sum").encode()
        data += b"5;x=y\r\n" + a + b"\r\n" + b"%X\r\n" % len(b) + b + b"\r\n" + b'%x ; q="a;b"\r\n' % len(c) + c + b"\r\n"
        data += b"0\r\nX-Sum: 12\r\n\r\n"
        data += build_request("GET", "/api/tips?size=1", "localhost") + build_request("GET", "/nope", "localhost")
        connection = self.raw(data)
        answers = [connection.read_response() for _ in range(3)]
        self.assertEqual([answer.status for answer in answers], [201, 200, 404])
        self.assertEqual(answers[1].json["content"][0], answers[0].json)

    def test_chunked_body_byte_by_byte(self):
        body = tip("bytewise").encode()
        data = self.head("Content-Type: application/json", "Transfer-Encoding: chunked").encode()
        data += b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
        connection = self.connect()
        for i in range(len(data)):
            connection.send(data[i : i + 1])
        self.assertEqual(connection.read_response().status, 201)

    def test_malformed_chunks(self):
        for chunks in (
            "zz\r\nabc\r\n0\r\n\r\n",
            "-1\r\n\r\n",
            "\r\n",
            "0x5\r\nabcde\r\n0\r\n\r\n",
            "5\r\nabcdeXX0\r\n\r\n",
            "FFFFFFFFFFFFFFFFF\r\n",
            "5\nabcde\n0\n\n",
            "FFFFFFFFFFFFFFFF\r\nabc",
            " 5\r\nabcde\r\n0\r\n\r\n",
            "5" + ";x=" + "y" * 100000 + "\r\n",
            "0\r\n" + "X: " + "y" * 100000 + "\r\n\r\n",
        ):
            with self.subTest(chunks=chunks[:40]):
                self.check_refused(self.head("Content-Type: application/json", "Transfer-Encoding: chunked") + chunks + LengthTest.SMUGGLED, (400, 413, 431))

    def test_trailers_change_nothing(self):
        """A trailer is no header: a key there must not count."""
        body = tip("trailer")
        data = self.head("Content-Type: application/json", "Transfer-Encoding: chunked") + "%x\r\n%s\r\n0\r\nIdempotency-Key: trailer\r\n\r\n" % (
            len(body),
            body,
        )
        for _ in range(2):
            self.assertEqual(self.raw(data).read_response().status, 201)


class ExpectTest(FramingCase):
    """O-24"""

    def expecting(self, length, version="HTTP/1.1", expect="100-continue"):
        return self.head("Content-Type: application/json", "Expect: " + expect, "Content-Length: %d" % length, request="POST /api/tips " + version)

    def test_continue_comes_at_once(self):
        body = tip("expect")
        waits = []
        for _ in range(5):
            connection = self.raw(self.expecting(len(body)))
            begun = time.monotonic()
            interim = connection.read_response()
            waits.append(time.monotonic() - begun)
            self.assertEqual((interim.status, interim.headers), (100, []))
            connection.send(body)
            self.assertEqual(connection.read_response().status, 201)
        self.assertLess(sorted(waits)[2], 0.1)

    def test_continue_before_a_chunked_body(self):
        connection = self.raw(self.head("Content-Type: application/json", "Expect: 100-Continue", "Transfer-Encoding: chunked"))
        self.assertEqual(connection.read_response().status, 100)
        body = tip("expect-chunked")
        connection.send("%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        self.assertEqual(connection.read_response().status, 201)

    def test_no_continue_for_http_1_0(self):
        body = tip("expect10")
        connection = self.raw(self.expecting(len(body), "HTTP/1.0") + body)
        self.assertEqual([answer.status for answer in connection.read_all_responses()], [201])

    def test_no_continue_when_no_body_is_due(self):
        connection = self.raw(self.expecting(0))
        self.assertEqual(connection.read_response().status, 400)

    def test_final_status_instead_of_continue(self):
        self.check_refused(self.expecting(1048577), (413,))

    def test_other_expectation(self):
        answer = self.raw(self.expecting(4, expect="a-pony") + "null").read_response()
        self.assertEqual(answer.status, 417)

    def test_curl_does_not_stall(self):
        command = [
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %{time_total}",
            "-H",
            "Expect: 100-continue",
            "-H",
            "Content-Type: application/json",
            "-d",
            tip("curl"),
            "http://127.0.0.1:%d/api/tips" % self.daemon.address[1],
        ]
        times = []
        for _ in range(3):
            code, total = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.split()
            self.assertEqual(code, "201")
            times.append(float(total))
        self.assertLess(min(times), 0.2)


class HeadTest(FramingCase):
    def test_malformed_heads(self):
        host = "Host: localhost\r\n"
        cases = {
            "bare LF": "GET /livez HTTP/1.1\nHost: localhost\n\n",
            "no host": "GET /livez HTTP/1.1\r\n\r\n",
            "two hosts": "GET /livez HTTP/1.1\r\n" + host + host + "\r\n",
            "space before colon": "GET /livez HTTP/1.1\r\n" + host + "X : 1\r\n\r\n",
            "folded": "GET /livez HTTP/1.1\r\n" + host + "X: 1\r\n 2\r\n\r\n",
            "folded first": "GET /livez HTTP/1.1\r\n X: 1\r\n" + host + "\r\n",
            "NUL in value": "GET /livez HTTP/1.1\r\n" + host + "X: a\0b\r\n\r\n",
            "CR in value": "GET /livez HTTP/1.1\r\n" + host + "X: a\rb\r\n\r\n",
            "control in value": "GET /livez HTTP/1.1\r\n" + host + "X: a\x01b\r\n\r\n",
            "no colon": "GET /livez HTTP/1.1\r\n" + host + "nonsense\r\n\r\n",
            "empty name": "GET /livez HTTP/1.1\r\n" + host + ": x\r\n\r\n",
            "bad name": "GET /livez HTTP/1.1\r\n" + host + "a(b): x\r\n\r\n",
            "bad method": "G(T /livez HTTP/1.1\r\n" + host + "\r\n",
            "space in target": "GET /livez /x HTTP/1.1\r\n" + host + "\r\n",
            "control in target": "GET /li\x01vez HTTP/1.1\r\n" + host + "\r\n",
            "no version": "GET /livez\r\n" + host + "\r\n",
            "garbage": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        }
        for name, data in cases.items():
            with self.subTest(name):
                self.check_refused(data.encode("latin-1") + LengthTest.SMUGGLED.encode(), (400,))

    def test_other_versions(self):
        for version in ("HTTP/2.0", "HTTP/3.0"):
            self.check_refused("GET /livez %s\r\nHost: localhost\r\n\r\n" % version, (505,))
        for version in ("HTTP/1.1x", "http/1.1", "HTTP/11"):
            with self.subTest(version):
                self.check_refused("GET /livez %s\r\nHost: localhost\r\n\r\n" % version, (400, 505))

    def test_http_1_0(self):
        plain = self.raw("GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n")
        self.assertEqual([answer.status for answer in plain.read_all_responses()], [200])
        kept = self.raw("GET /livez HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
        self.assertEqual(kept.read_response().status, 200)

    def test_connection_close_is_honoured(self):
        connection = self.connect()
        answer = connection.request("GET", "/livez", headers=[("Connection", "close")])
        self.assertEqual((answer.status, answer.header("Connection").lower()), (200, "close"))
        self.assertTrue(connection.closed_by_peer())

    def test_absolute_form(self):
        host = "%s:%d" % self.daemon.address
        self.assertEqual(self.connect().request("GET", "http://%s/livez" % host).status, 200)

    def test_limits_of_the_head(self):
        self.check_refused("GET /" + "a" * 9000 + " HTTP/1.1\r\nHost: localhost\r\n\r\n", (414, 431))
        self.check_refused(self.head("X: " + "y" * 100000, request="GET /livez HTTP/1.1"), (431,))
        self.check_refused(self.head(*["X%d: 1" % i for i in range(200)], request="GET /livez HTTP/1.1"), (431,))
        self.assertEqual(self.connect().request("GET", "/livez", headers=[("X%d" % i, "1") for i in range(90)]).status, 200)

    def test_date_and_length_on_every_answer(self):
        for target in ("/livez", "/api/tips", "/api/tips/99999", "/nope"):
            answer = self.http.get(target)
            self.assertRegex(answer.header("Date"), r"\A(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\Z")
            self.assertEqual(answer.all("Content-Length"), [str(len(answer.body))])


class PipelineTest(FramingCase):
    def test_a_hundred_in_one_write(self):
        """Inline and worker handlers mixed: the answers keep the order of the requests, and reads see the writes before them."""
        data = b""
        for i in range(34):
            data += build_request("POST", "/api/tips", "localhost", tip("pipeline-%d" % i), [JSON])
            data += build_request("GET", "/api/tips?roomId=pipeline-%d" % i, "localhost")
            data += build_request("HEAD", "/api/tips?roomId=pipeline-%d" % i, "localhost")
        connection = self.raw(data)
        for i in range(34):
            created = connection.read_response()
            listed = connection.read_response()
            headed = connection.read_response("HEAD")
            self.assertEqual((created.status, listed.status, headed.status), (201, 200, 200))
            self.assertEqual(created.json["roomId"], "pipeline-%d" % i)
            self.assertEqual(listed.json["content"], [created.json])
            self.assertEqual(headed.header("Content-Length"), str(len(listed.body)))

    def test_requests_after_a_framing_error_are_not_served(self):
        before = self.count()
        good = build_request("POST", "/api/tips", "localhost", tip("after-error"), [JSON])
        answers = self.raw(good + b"GET / HTTP/1.1\r\nbroken line\r\n\r\n" + good).read_all_responses()
        self.assertEqual([answer.status for answer in answers], [201, 400])
        self.assertEqual(self.count(), before + 1)

    def test_half_closed_client_gets_its_answer(self):
        connection = self.raw(build_request("POST", "/api/tips", "localhost", tip("half-closed"), [JSON]))
        connection.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.read_response().status, 201)

    def test_client_gone_before_the_answer(self):
        """The event is stored or not, and the daemon goes on."""
        for _ in range(50):
            connection = self.raw(build_request("POST", "/api/tips", "localhost", tip("gone"), [JSON]))
            connection.close()
        self.assertEqual(self.http.get("/livez").status, 200)
        self.assertLessEqual(self.page("/api/tips?roomId=gone")["totalElements"], 50)

    def test_request_byte_by_byte(self):
        connection = self.connect()
        data = build_request("GET", "/livez", "localhost")
        for i in range(len(data)):
            connection.send(data[i : i + 1])
        self.assertEqual(connection.read_response().status, 200)


class DeadlineTest(OwnDaemonCase):
    """O-26 with one socket each and short deadlines; test_slow.py has the five hundred."""

    def drip(self, daemon, start, seconds=8.0):
        """Sends a byte every 100 ms until the peer ends it; returns (seconds it took, statuses seen)."""
        with daemon.connect(1.0) as connection:
            begun = time.monotonic()
            connection.send(start)
            seen = []
            while time.monotonic() - begun < seconds:
                try:
                    if connection.closed_by_peer(0.1):
                        return time.monotonic() - begun, seen
                    connection.send("a")
                except WireError:
                    seen.append(connection.read_response().status)
                except OSError:
                    return time.monotonic() - begun, seen
            self.fail("still open after %.0f s of dripping" % seconds)

    def test_dripping_does_not_extend_deadlines(self):
        daemon = self.launch("--header-deadline-ms", "1000", "--body-deadline-ms", "1000", "--idle-timeout-ms", "1000")
        host = "Host: localhost\r\n"
        for name, start in {
            "head": "GET / HTTP/1.1\r\nX: ",
            "body": "POST /api/tips HTTP/1.1\r\n" + host + "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n",
        }.items():
            with self.subTest(name):
                took, seen = self.drip(daemon, start)
                self.assertIn(seen, ([], [408]))
                self.assertGreater(took, 0.8)
                self.assertLess(took, 4.0)
        with self.subTest("idle"), daemon.connect() as connection:
            self.assertEqual(connection.request("GET", "/livez").status, 200)
            begun = time.monotonic()
            self.assertTrue(connection.closed_by_peer(5.0))
            self.assertGreater(time.monotonic() - begun, 0.5)
        daemon.stop_clean()


if __name__ == "__main__":
    unittest.main()
