"""STOMP over a raw WebSocket: frames, versions, receipts, refusals (cases O-01 to O-16)."""

import json

from harness import WireCase, tip
from stomp import Stomp, open_stomp, unescape
from ws import BINARY, Closed, WebSocket

CONNECT12 = "CONNECT\naccept-version:1.2\nhost:h\n\n\0"


class StompCase(WireCase):
    def tip(self, room, amount="1"):
        return self.create("/api/tips", tip(room, amount=amount)).json

    def open(self, versions="1.2", **options):
        return open_stomp(self, versions, **options)

    def fresh(self):
        """A WebSocket on which nothing has been said."""
        client = Stomp(WebSocket(self.daemon.address))
        self.addCleanup(client.close)
        return client

    def check_silent(self, client, room):
        """Nothing of what was posted before may still come: a receipt overtakes nothing."""
        client.frame("SUBSCRIBE", [("id", "quiet-check"), ("destination", "/topic/rooms/" + room + "-nobody"), ("receipt", "quiet")])
        self.assertEqual(client.expect("RECEIPT")["receipt-id"], "quiet")


class FrameTest(StompCase):
    def test_headers_are_escaped_by_version(self):
        new, old = self.open(), self.open("1.0", protocols=())
        new.send("SUBSCRIBE\nid:s\ndestination:/topic/rooms/a\\cb\nreceipt:x\n\n\0")
        new.expect("RECEIPT")
        old.subscribe("/topic/rooms/a:b", "o")
        self.tip("a:b")
        got = new.expect("MESSAGE")
        self.assertIn("destination:/topic/rooms/a\\cb", got.lines)
        self.assertIn("destination:/topic/rooms/a:b", old.expect("MESSAGE").lines)

    def test_cr_escape_is_of_1_2_only(self):
        client = self.open("1.2")
        client.send("SUBSCRIBE\nid:s\ndestination:/topic/rooms/a\\rb\nreceipt:x\n\n\0")
        client.expect("RECEIPT")
        client = self.open("1.1")
        client.send("SUBSCRIBE\nid:s\ndestination:/topic/rooms/a\\rb\nreceipt:x\n\n\0")
        error, code = client.expect_error()
        self.assertIn("escape", error["message"])
        self.assertEqual(code, 1002)

    def test_undefined_escape_is_fatal(self):
        client = self.open()
        client.send("SUBSCRIBE\nid:s\ndestination:/topic/rooms/a\\tb\nreceipt:x\n\n\0")
        error, _ = client.expect_error()
        self.assertEqual(error["receipt-id"], "x")

    def test_connect_is_never_unescaped(self):
        client = self.fresh()
        client.send("CONNECT\naccept-version:1.2\nhost:h\nlogin:u\npasscode:p\\tq:z\nx-unknown:1\n\n\0")
        self.assertEqual(client.expect("CONNECTED")["version"], "1.2")

    def test_first_of_repeated_headers_counts(self):
        client = self.open()
        client.send("SUBSCRIBE\nid:first\nid:second\ndestination:/topic/rooms/r3\ndestination:/topic/rooms/other\nreceipt:q\n\n\0")
        client.expect("RECEIPT")
        self.tip("r3")
        self.tip("other")
        got = client.expect("MESSAGE")
        self.assertEqual((got["subscription"], got.json["roomId"]), ("first", "r3"))
        client.send("UNSUBSCRIBE\nid:first\nreceipt:u\n\n\0")
        self.assertEqual(client.expect("RECEIPT")["receipt-id"], "u")
        self.tip("r3")
        self.check_silent(client, "r3")

    def test_content_length_beats_nul(self):
        body = "x\0SUBSCRIBE\nid:evil\ndestination:/topic/rooms/r1\n\n\0y"
        client = self.open()
        client.send("SEND\ndestination:/app/none\ncontent-length:%d\n\n%s\0" % (len(body), body))
        client.subscribe("/topic/rooms/r1", "good")
        self.tip("r1")
        self.assertEqual(client.expect("MESSAGE")["subscription"], "good")
        self.check_silent(client, "r1")

    def test_content_length_that_misses_its_nul(self):
        client = self.open()
        client.send("SEND\ndestination:/app/none\ncontent-length:2\n\nabc\0")
        error, code = client.expect_error()
        self.assertIn("content-length", error["message"])

    def test_crlf_line_ends(self):
        client = self.fresh()
        client.send("CONNECT\r\naccept-version:1.2\r\nhost:h\r\n\r\n\0\r\n")
        self.assertEqual(client.expect("CONNECTED")["version"], "1.2")
        client.send("SEND\ndestination:/app/none\nreceipt:b\n\nok\r\n\r\nend\0")
        client.send("SUBSCRIBE\r\nid:7\r\ndestination:/topic/rooms/r5\r\nreceipt:c\r\n\r\n\0")
        self.assertEqual(client.expect("RECEIPT").lines, ["receipt-id:b"])
        self.assertEqual(client.expect("RECEIPT").lines, ["receipt-id:c"])
        self.tip("r5")
        self.assertIn("subscription:7", client.expect("MESSAGE").lines)

    def test_heart_beats_and_empty_messages_are_no_frames(self):
        client = self.fresh()
        for text in ("\n", CONNECT12, "\n", "\r\n", "", "\n\n\nSUBSCRIBE\nid:0\ndestination:/topic/rooms/r6\nreceipt:k\n\n\0\n\n"):
            client.send(text)
        client.expect("CONNECTED")
        self.assertEqual(client.expect("RECEIPT")["receipt-id"], "k")

    def test_frames_cut_and_joined(self):
        client = self.fresh()
        for text in ("CONN", "ECT\naccept-version:1.2\nho", "st:h\n\n", "\0"):
            client.send(text)
        client.expect("CONNECTED")
        client.send("SUBSCRIBE\nid:1\ndestination:/topic/rooms/x1\nreceipt:1\n\n\0\nSUBSCRIBE\nid:2\ndestination:/topic/rooms/x2\nreceipt:2\n\n\0SUBSCR")
        client.send("IBE\nid:3\ndestination:/topic/rooms/x3\nreceipt:3\n\n\0")
        self.assertEqual([client.expect("RECEIPT")["receipt-id"] for _ in range(3)], ["1", "2", "3"])
        client.send("SUBSCRIBE\nid:4\nreceipt:4\ndestination:/topic/rooms/a\\")
        client.send("cb\n\n\0")
        client.expect("RECEIPT")
        self.tip("a:b")
        self.assertEqual(client.expect("MESSAGE")["subscription"], "4")

    def test_every_byte_a_message(self):
        client = self.fresh()
        for byte in CONNECT12 + "SUBSCRIBE\nid:1\ndestination:/topic/rooms/y\nreceipt:1\n\n\0":
            client.send(byte)
        client.expect("CONNECTED")
        self.assertEqual(client.expect("RECEIPT")["receipt-id"], "1")

    def test_binary_frames(self):
        client = self.fresh()
        client.channel.send(CONNECT12, BINARY)
        client.expect("CONNECTED")
        client.channel.send("SUBSCRIBE\nid:1\ndestination:/topic/rooms/bin\nreceipt:1\n\n\0", BINARY)
        client.expect("RECEIPT")
        self.tip("bin")
        client.expect("MESSAGE")  # as text: receive refuses any other opcode

    def test_a_room_name_cannot_forge_headers(self):
        """1.0 has no escapes, so a line end within a room's name may not come out as one; later versions escape it."""
        names = ("a\nseq:999", 'a\n\n{"amount":999}', "back\\slash", "q:z", " lead", "trail ", "*")
        clients = {version: self.open(version, protocols=()) for version in ("1.0", "1.1", "1.2")}
        for client in clients.values():
            client.subscribe("/topic/**", "x")
        for name in names:
            made = self.tip(name)
            for version, client in clients.items():
                with self.subTest(name, version=version):
                    got = client.expect("MESSAGE")
                    self.assertEqual([line.split(":")[0] for line in got.lines], ["destination", "content-type", "subscription", "message-id", "seq", "content-length"])
                    self.assertEqual(got.json, made)
                    if version != "1.0":
                        self.assertEqual(unescape(got["destination"]), "/topic/rooms/" + name)

    def test_ids_come_back_escaped(self):
        for version, sent in (("1.2", "a\\cb\\\\\\n\\r"), ("1.1", "a\\cb\\\\\\n"), ("1.0", "a:b\\c")):
            client = self.open(version, protocols=())
            client.send("SUBSCRIBE\nid:%s\ndestination:/topic/rooms/esc\nreceipt:%s\n\n\0" % (sent, sent))
            self.assertEqual(client.expect("RECEIPT").lines, ["receipt-id:" + sent])
            self.tip("esc")
            got = client.expect("MESSAGE")
            self.assertEqual((got["subscription"], got["message-id"]), (sent, got["seq"] + "-" + sent))
            client.frame("UNSUBSCRIBE", [("id", sent), ("receipt", "u")])
            client.expect("RECEIPT")
            self.tip("esc")
            self.check_silent(client, "esc")

    def test_headers_are_utf8(self):
        for data in (b"SUBSCRIBE\nid:\xff\ndestination:/topic/rooms/x\n\n\0", b"SUBSCRIBE\nid:1\ndestination:/topic/rooms/\xc0\x80\n\n\0", b"SUB\xed\xa0\x80\n\n\0"):
            client = self.open()
            client.channel.send(data, BINARY)  # in a text message WebSocket itself would refuse it
            error, code = client.expect_error()
            self.assertEqual(code, 1002)

    def test_message_headers(self):
        client = self.open()
        client.subscribe("/topic/rooms/hdr", "my sub")
        made = self.create("/api/tips", tip("hdr", amount="2.50"))
        got = client.expect("MESSAGE")
        self.assertEqual([line.split(":")[0] for line in got.lines], ["destination", "content-type", "subscription", "message-id", "seq", "content-length"])
        self.assertEqual(got.body, made.text)
        self.assertEqual(int(got["content-length"]), len(made.body))
        self.assertEqual(got["content-type"], "application/json")
        self.assertEqual(got["message-id"], "%s-my sub" % got["seq"])


class SessionTest(StompCase):
    def test_receipts(self):
        client = self.open()
        client.send("SUBSCRIBE\nid:0\ndestination:/topic/rooms/r8\nreceipt:a\\cb\n\n\0")
        self.assertEqual(client.expect("RECEIPT").lines, ["receipt-id:a\\cb"])
        self.tip("r8")
        for command in ("ACK", "NACK", "BEGIN", "COMMIT", "ABORT"):
            client.send("%s\nid:1\ntransaction:t\nreceipt:%s\n\n\0" % (command, command))
        client.send("DISCONNECT\nreceipt:77\n\n\0")
        got = []
        with self.assertRaises(Closed) as end:
            while True:
                got.append(client.receive())
        self.assertEqual(end.exception.code, 1000)
        self.assertEqual([f["receipt-id"] for f in got if f.command == "RECEIPT"], ["ACK", "NACK", "BEGIN", "COMMIT", "ABORT", "77"])
        self.assertEqual([f.command for f in got].count("MESSAGE"), 1)
        self.assertEqual(got[-1]["receipt-id"], "77")

    def test_disconnect_delivers_what_is_committed_first(self):
        for i in range(30):
            client = self.open()
            client.subscribe("/topic/rooms/last")
            made = self.tip("last")
            client.send("DISCONNECT\nreceipt:77\n\n\0")
            self.assertEqual(client.expect("MESSAGE").json, made)
            client.expect("RECEIPT")

    def test_versions(self):
        for accept, version in (("1.0,1.1,2.0", "1.1"), ("1.1,3.14159,1.0", "1.1"), ("1.2,1.1,1.0", "1.2"), ("1.1, 1.2", "1.2"), (None, "1.0")):
            with self.subTest(accept=accept):
                client = self.fresh()
                client.frame("CONNECT", [("accept-version", accept)] if accept else [])
                self.assertEqual(client.expect("CONNECTED")["version"], version)
        client = self.fresh()
        client.frame("STOMP", [("accept-version", "1.2")])
        self.assertEqual(client.expect("CONNECTED")["version"], "1.2")

    def test_no_common_version(self):
        client = self.fresh()
        client.frame("CONNECT", [("accept-version", "2.0"), ("host", "h")])
        error, code = client.expect_error()
        self.assertEqual(error["version"], "1.0,1.1,1.2")
        self.assertEqual(code, 1002)

    def test_subscribe_without_id(self):
        for version in ("1.1", "1.2"):
            client = self.open(version)
            client.frame("SUBSCRIBE", [("destination", "/topic/rooms/r10"), ("receipt", "z")])
            error, _ = client.expect_error()
            self.assertEqual(error["receipt-id"], "z")
            self.assertIn("id", error["message"])
        client = self.open("1.0", protocols=())
        client.frame("SUBSCRIBE", [("destination", "/topic/rooms/r10"), ("receipt", "z")])
        client.expect("RECEIPT")
        self.tip("r10")
        client.expect("MESSAGE")
        client.frame("UNSUBSCRIBE", [("destination", "/topic/rooms/r10"), ("receipt", "u")])
        client.expect("RECEIPT")
        self.tip("r10")
        self.check_silent(client, "r10")

    def test_errors_say_what_is_wrong(self):
        """Everything that a person needs: the frame, the header, the receipt; and after it nothing but the close."""
        client = self.open()
        client.subscribe("/topic/rooms/err")
        client.frame("SUBSCRIBE", [("id", "2"), ("destination", "/nowhere"), ("receipt", "q\\c")])
        error, code = client.expect_error()
        self.assertEqual([line.split(":")[0] for line in error.lines], ["message", "receipt-id", "content-type", "content-length"])
        self.assertEqual((error["receipt-id"], error["content-type"], code), ("q\\c", "text/plain", 1002))
        self.assertEqual(int(error["content-length"]), len(error.body.encode()))
        self.assertTrue(error.body.startswith("SUBSCRIBE: ") and "destination" in error.body, error.body)

    def test_what_follows_an_error_is_not_done(self):
        client, watcher = self.open(), self.open()
        watcher.subscribe("/topic/rooms/after")
        client.send("BOO\n\n\0SUBSCRIBE\nid:1\ndestination:/topic/rooms/after\nreceipt:1\n\n\0")
        client.expect_error()
        self.tip("after")
        watcher.expect("MESSAGE")
        self.assertTrue(client.channel.connection.closed_by_peer())

    def test_disconnect_without_receipt(self):
        client = self.open()
        client.send("DISCONNECT\n\n\0SUBSCRIBE\nid:1\ndestination:/topic/rooms/x\nreceipt:late\n\n\0")
        self.assertEqual(client.channel.expect_close(), (1000, []))

    def test_unsubscribe_what_is_not_there(self):
        client = self.open()
        client.frame("UNSUBSCRIBE", [("id", "nobody"), ("receipt", "u")])
        self.assertEqual(client.expect("RECEIPT")["receipt-id"], "u")

    def test_receipts_keep_their_order_under_load(self):
        """Fifty rooms come and go in one message while their tips are posted: a receipt is a fence between what came before and after."""
        client = self.open()
        for round in range(20):
            client.send("".join("SUBSCRIBE\nid:%d\ndestination:/topic/rooms/fence\nreceipt:s%d\n\n\0" % (i, i) for i in range(50)))
            self.assertEqual([client.expect("RECEIPT")["receipt-id"] for _ in range(50)], ["s%d" % i for i in range(50)])
            self.tip("fence")
            client.send("".join("UNSUBSCRIBE\nid:%d\nreceipt:u%d\n\n\0" % (i, i) for i in range(50)))
            got, left = [], 0
            while left < 50:
                f = client.receive()
                if f.command == "RECEIPT":
                    self.assertEqual(f["receipt-id"], "u%d" % left)
                    left += 1
                else:
                    self.assertGreaterEqual(int(f["subscription"]), left, "a MESSAGE after its UNSUBSCRIBE")
                    got.append(f["subscription"])
            self.assertEqual(len(got), len(set(got)))

    def test_same_id_twice(self):
        client = self.open()
        client.subscribe("/topic/rooms/r11a", "0")
        client.frame("SUBSCRIBE", [("id", "0"), ("destination", "/topic/rooms/r11b")])
        error, code = client.expect_error()
        self.assertIn("id", error["message"])
        self.assertEqual(code, 1002)

    def test_what_must_not_be_said(self):
        for name, text in {
            "frame before CONNECT": "SUBSCRIBE\nid:0\ndestination:/topic/rooms/r15\n\n\0",
            "unknown command": CONNECT12 + "SUBSCRIB\nid:0\n\n\0",
            "second CONNECT": CONNECT12 + CONNECT12,
            "header without colon": CONNECT12 + "SUBSCRIBE\nid\n\n\0",
            "header without name": CONNECT12 + "SUBSCRIBE\n:x\n\n\0",
            "NUL in the head": CONNECT12 + "SUBSCRIBE\nid:0\0",
            "no destination": CONNECT12 + "SUBSCRIBE\nid:0\n\n\0",
            "nothing published there": CONNECT12 + "SUBSCRIBE\nid:0\ndestination:/topic/room/x\n\n\0",
            "queue": CONNECT12 + "SUBSCRIBE\nid:0\ndestination:/queue/x\n\n\0",
            "after-seq": CONNECT12 + "SUBSCRIBE\nid:0\ndestination:/topic/rooms/x\nafter-seq:-1\n\n\0",
            "heart-beat": "CONNECT\naccept-version:1.2\nheart-beat:x\n\n\0",
            "body on SUBSCRIBE": CONNECT12 + "SUBSCRIBE\nid:0\ndestination:/topic/rooms/x\n\nbody\0",
            "content-length": CONNECT12 + "SEND\ndestination:/app/x\ncontent-length:x\n\n\0",
            "UNSUBSCRIBE without id": CONNECT12 + "UNSUBSCRIBE\n\n\0",
        }.items():
            with self.subTest(name):
                client = self.fresh()
                client.send(text)
                got = client.receive()
                if got.command == "CONNECTED":
                    got = client.receive()
                self.assertEqual(got.command, "ERROR", got)
                self.assertTrue(got["message"])
                self.assertEqual(client.channel.expect_close(), (1002, []))

    def test_nobody_forges_a_tip(self):
        victim, forger = self.open(), self.open()
        victim.subscribe("/topic/rooms/r16")
        forger.send('SEND\ndestination:/topic/rooms/r16\ncontent-type:application/json\nreceipt:f\n\n{"id":1,"roomId":"r16","amount":999.00}\0')
        error, _ = forger.expect_error()
        self.assertEqual(error["receipt-id"], "f")
        self.check_silent(victim, "r16")

    def test_frames_that_never_end(self):
        for name, begin, piece in (
            ("value", "SEND\nx:", "A" * 16384),
            ("headers", "SEND\n", "a:b\n" * 4096),
            ("body", "SEND\ndestination:/app/x\n\n", "A" * 16384),
        ):
            with self.subTest(name):
                client = self.open()
                client.send(begin)
                try:
                    for _ in range(64):
                        client.send(piece)
                except OSError:
                    pass  # it was cut off meanwhile
                error = client.receive()
                self.assertEqual(error.command, "ERROR")
                self.assertIn(client.channel.expect_close()[0], (1002, 1009, None))
        client = self.open()
        client.send("SEND\ndestination:/app/x\ncontent-length:9999999999\n\n")
        error, code = client.expect_error()
        self.assertIn("65536", error["message"])
        self.assertEqual(code, 1009)

    def test_largest_frame(self):
        client = self.open()
        head = "SEND\ndestination:/app/x\nreceipt:big\n\n"
        client.send(head + "b" * (65536 - len(head)) + "\0")
        self.assertEqual(client.expect("RECEIPT")["receipt-id"], "big")
        client.send(head + "b" * (65536 - len(head) + 1) + "\0")
        _, code = client.expect_error()
        self.assertEqual(code, 1009)

    def test_subscriptions_have_a_limit(self):
        client = self.open()
        for i in range(256):
            client.frame("SUBSCRIBE", [("id", i), ("destination", "/topic/rooms/m%d" % i)])
        client.frame("SUBSCRIBE", [("id", "one more"), ("destination", "/topic/rooms/x"), ("receipt", "r")])
        error, _ = client.expect_error()
        self.assertIn("256", error["message"])

    def test_many_headers(self):
        client = self.open()
        client.frame("SEND", [("destination", "/app/x"), ("receipt", "ok")] + [("h%d" % i, i) for i in range(62)])
        client.expect("RECEIPT")
        client.frame("SEND", [("destination", "/app/x")] + [("h%d" % i, i) for i in range(64)])
        _, code = client.expect_error()
        self.assertEqual(code, 1009)

    def test_json_text_is_that_of_rest(self):
        client = self.open()
        client.subscribe("/topic/rooms/json")
        made = self.create("/api/tips", tip("json", message='zoë "\U0001f469\u200d\U0001f680" \u2028 / < \\', amount="0.01"))
        self.assertEqual(client.expect("MESSAGE").body, made.text)
        json.loads(made.text)
