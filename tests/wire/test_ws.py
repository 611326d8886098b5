"""WebSocket framing and handshake (RFC 6455; cases O-12, O-13, O-21, O-22)."""

import struct

from client import Connection, WireError
from harness import WireCase, tip
from stomp import Stomp
from ws import BINARY, CLOSE, PING, PONG, TEXT, WebSocket, frame, handshake_headers

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
CONNECT12 = "CONNECT\naccept-version:1.2\nhost:h\n\n\0"


class HandshakeTest(WireCase):
    def shake(self, headers, path="/ws", method="GET"):
        connection = self.connect()
        return connection.request(method, path, None, headers)

    def test_tolerance(self):
        answer = self.shake([
            ("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket"), ("sec-websocket-key", KEY), ("sec-websocket-version", "13"),
            ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
        ])
        self.assertEqual(answer.status, 101)
        self.assertEqual(answer.header("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        self.assertIsNone(answer.header("Sec-WebSocket-Extensions"))
        self.assertIsNone(answer.header("Content-Length"))
        two = self.shake([("Connection", "keep-alive"), ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Version", "13")])
        self.assertEqual(two.status, 101)

    def test_protocols(self):
        for offered, chosen in (
            (("v10.stomp", "v11.stomp"), ("v10.stomp", "v11.stomp")), (("v12.stomp",), ("v12.stomp",)), ((), (None,)), (("mqtt",), (None,)), (("mqtt", "v11.stomp"), ("v11.stomp",)),
        ):
            with self.subTest(offered):
                answer = self.shake(handshake_headers(KEY, offered))
                self.assertEqual(answer.status, 101)
                self.assertLessEqual(len(answer.all("Sec-WebSocket-Protocol")), 1)
                self.assertIn(answer.header("Sec-WebSocket-Protocol"), chosen)

    def test_refusals(self):
        good = dict(handshake_headers(KEY))
        for name, change, status in (
            ("version", {"Sec-WebSocket-Version": "12"}, 426), ("no version", {"Sec-WebSocket-Version": None}, 426), ("no key", {"Sec-WebSocket-Key": None}, 400),
            ("short key", {"Sec-WebSocket-Key": "dGhl"}, 400), ("no base64", {"Sec-WebSocket-Key": "?" * 24}, 400),
        ):
            with self.subTest(name):
                headers = [(k, v) for k, v in {**good, **change}.items() if v is not None]
                answer = self.shake(headers)
                self.assertEqual(answer.status, status)
                if status == 426:
                    self.assertEqual(answer.header("Sec-WebSocket-Version"), "13")

    def test_foreign_origin(self):
        self.assertEqual(self.shake(handshake_headers(KEY, extra=[("Origin", "https://evil.example")])).status, 403)
        self.assertEqual(self.shake(handshake_headers(KEY, extra=[("Origin", "http://localhost:3000")])).status, 101)
        self.assertEqual(self.shake(handshake_headers(KEY, extra=[("Host", "evil.example")])).status, 421)

    def test_what_clients_put_around_it(self):
        good = handshake_headers(KEY)
        self.assertEqual(self.shake(good, "/ws?token=x&t=1").status, 101)
        self.assertEqual(self.shake(good, "/ws/websocket").status, 101)
        self.assertEqual(self.shake([*good, ("Sec-WebSocket-Key", KEY)]).status, 400)
        self.assertEqual(self.shake([("Sec-WebSocket-Version", "8, 13"), *[pair for pair in good if pair[0] != "Sec-WebSocket-Version"]]).status, 426)
        connection = self.connect()
        self.assertEqual(connection.request("GET", "/livez").status, 200)
        self.assertEqual(connection.request("GET", "/ws", None, good).status, 101)  # as a proxy's kept connection does

    def test_refused_and_tried_again_on_one_connection(self):
        connection = self.connect()
        self.assertEqual(connection.request("GET", "/ws", None, handshake_headers("short")).status, 400)
        self.assertEqual(connection.request("GET", "/ws", None, handshake_headers(KEY)).status, 101)

    def test_frames_that_come_with_the_handshake(self):
        connection = self.connect()
        lines = "".join("%s: %s\r\n" % pair for pair in handshake_headers(KEY))
        connection.send(b"GET /ws HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (connection.host.encode(), lines.encode()) + frame(CONNECT12))
        self.assertEqual(connection.read_response().status, 101)
        self.assertEqual(connection._read_exactly(2, connection_deadline()), b"\x81\x2f")  # CONNECTED has 47 bytes


def connection_deadline():
    import time

    return time.monotonic() + 10


class FramingTest(WireCase):
    def open(self):
        socket = WebSocket(self.daemon.address)
        self.addCleanup(socket.close)
        return socket

    def connected(self):
        socket = self.open()
        socket.send(CONNECT12)
        self.assertTrue(socket.receive().startswith("CONNECTED"))
        return socket

    def test_protocol_errors(self):
        for name, data, code in (
            ("RSV1", frame("x", rsv=4), 1002), ("RSV3", frame("x", rsv=1), 1002), ("unmasked", frame("x", mask=None), 1002), ("opcode 3", frame("x", 3), 1002),
            ("opcode 11", frame("x", 11), 1002), ("continuation of nothing", frame("x", 0), 1002), ("text within text", frame("x", fin=False) + frame("y"), 1002),
            ("fragmented ping", frame("x", PING, fin=False), 1002), ("long ping", frame("x" * 126, PING), 1002), ("length not minimal", frame("x", length_bytes=2), 1002),
            ("length not minimal in 8", frame("x" * 200, length_bytes=8), 1002), ("length above 63 bits", b"\x82\xff" + b"\xff" * 8 + b"\0\0\0\0", 1009),
            ("close of one byte", frame(b"\x03", CLOSE), 1002), ("close 1005", frame(b"\x03\xed", CLOSE), 1002), ("close 2999", frame(b"\x0b\xb7", CLOSE), 1002),
            ("close reason", frame(b"\x03\xe8\xff", CLOSE), 1007), ("overlong", frame(b"\xc0\x80"), 1007), ("surrogate", frame(b"\xed\xa0\x80"), 1007),
            ("cut character", frame(b"\xf0\x9f"), 1007), ("too long", b"\x81\xff" + struct.pack(">Q", 128 * 1024 + 1) + b"\0\0\0\0", 1009),
            ("too long in fragments", b"".join(frame("x" * 60000, TEXT if i == 0 else 0, fin=False) for i in range(3)), 1009),
        ):
            with self.subTest(name):
                socket = self.open()
                socket.send_raw(data)
                self.assertEqual(socket.expect_close(), (code, []))
                self.assertTrue(socket.connection.closed_by_peer())

    def test_utf8_over_fragments(self):
        socket = self.connected()
        text = "SUBSCRIBE\nid:\U0001f525\ndestination:/topic/rooms/r22\nreceipt:u\n\n\0".encode()
        cut = text.index(b"\xf0\x9f") + 2
        socket.send(text[:cut], fin=False)
        socket.send(text[cut:], 0)
        self.assertEqual(socket.receive(), "RECEIPT\nreceipt-id:u\n\n\0")
        self.create("/api/tips", tip("r22"))
        self.assertIn("subscription:\U0001f525\n", socket.receive())

    def test_fragments_with_pings_between(self):
        socket = self.open()
        for i, byte in enumerate(CONNECT12):
            socket.send(byte, TEXT if i == 0 else 0, fin=i == len(CONNECT12) - 1, mask=b"\x01\x02\x03\x04")
            socket.send("%d" % i, PING, mask=b"\xff\x00\xff\x00")
            self.assertEqual(socket.receive_frame() if i < len(CONNECT12) - 1 else (PONG, b"%d" % i), (PONG, b"%d" % i))
        self.assertTrue(socket.receive().startswith("CONNECTED"))

    def test_pings_and_pongs(self):
        socket = self.open()
        for payload in (b"", b"x" * 125):
            socket.send(payload, PING)
            self.assertEqual(socket.receive_frame(), (PONG, payload))
        socket.send("unasked", PONG)
        socket.send(b"", PING)
        self.assertEqual(socket.receive_frame(), (PONG, b""))

    def test_close_is_answered(self):
        for payload, code in ((struct.pack(">H", 1000) + b"bye", 1000), (struct.pack(">H", 4001), 4001), (b"", 1000)):
            socket = self.connected()
            socket.send(payload, CLOSE)
            self.assertEqual(socket.expect_close(), (code, []))
            self.assertTrue(socket.connection.closed_by_peer())

    def test_nothing_counts_after_a_close(self):
        socket = self.connected()
        late = "SUBSCRIBE\nid:1\ndestination:/topic/rooms/x\nreceipt:late\n\n\0"
        socket.send_raw(frame(struct.pack(">H", 1000), CLOSE) + frame(late) + frame("x", PING))
        self.assertEqual(socket.expect_close(), (1000, []))
        self.assertTrue(socket.connection.closed_by_peer())

    def test_a_close_between_fragments(self):
        socket = self.connected()
        socket.send("SUBSC", fin=False)
        socket.send(struct.pack(">H", 1001), CLOSE)
        self.assertEqual(socket.expect_close(), (1001, []))

    def test_the_end_without_a_goodbye(self):
        """A laptop that is shut: the connection goes in the middle of a frame, of a message, of nothing."""
        for last in (b"", frame("SUBSC")[:4], frame("SUBSC", fin=False), frame("x", PING)[:1]):
            socket = self.connected()
            socket.send_raw(last)
            socket.close()
        self.connected()

    def test_masks_and_lengths(self):
        socket = self.open()
        for size in (0, 1, 7, 8, 125, 126, 127, 4095, 65535, 65536, 100000):
            socket.send(b"\n" * size, BINARY, mask=b"\x9a\x01\xff\x42")
        socket.send(CONNECT12, mask=b"\x9a\x01\xff\x42")
        self.assertTrue(socket.receive().startswith("CONNECTED"))

    def test_a_message_in_many_packets(self):
        socket = self.open()
        for byte in frame(CONNECT12, mask=b"abcd"):
            socket.send_raw(bytes([byte]))
        self.assertTrue(socket.receive().startswith("CONNECTED"))

    def test_halves_in_text_and_binary(self):
        client = Stomp(self.open())
        client.channel.send(CONNECT12[:20])
        client.channel.send(CONNECT12[20:], BINARY)
        client.expect("CONNECTED")


class OtherRequestsTest(WireCase):
    def test_no_upgrade_is_the_greeting(self):
        answer = self.http.get("/ws")
        self.assertEqual((answer.status, answer.text), (200, "Welcome to SockJS!\n"))
        self.assertEqual(self.http.request("POST", "/ws", "").status, 405)
        self.assertEqual(self.http.get("/wsx").status, 404)

    def test_http_1_0(self):
        connection = Connection(self.daemon.address)
        self.addCleanup(connection.close)
        lines = "".join("%s: %s\r\n" % pair for pair in handshake_headers(KEY))
        connection.send("GET /ws HTTP/1.0\r\nHost: localhost\r\n%s\r\n" % lines)
        try:
            self.assertEqual(connection.read_response().status, 400)
        except WireError:
            self.fail("no answer")
