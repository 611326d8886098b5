"""Amounts, strictness of the JSON reader, text: cases O-28 to O-32. Amounts are compared as text, never through a double."""

import json
import re
import time
import unittest

from harness import WireCase, reaction, tip

AMOUNT = re.compile(r'"amount":([^,}]*)')
BIG = "92233720368547758.07"


class MoneyCase(WireCase):
    path = "/api/tips"

    def total(self, path=None):
        return self.page((path or self.path) + "?size=1")["totalElements"]

    def check_refused(self, body, naming=None, path=None, seconds=None):
        """A 400 in the error shape, on a connection that goes on."""
        path = path or self.path
        begun = time.monotonic()
        answer = self.http.post(path, body)
        took = time.monotonic() - begun
        self.check_error(answer, 400, path, naming)
        if seconds is not None:
            self.assertLess(took, seconds)
        return answer


class AmountTest(MoneyCase):
    EXACT = {
        "100": "100.00",
        "100.0": "100.00",
        "100.00": "100.00",
        "100.500": "100.50",
        "1e2": "100.00",
        "1E+2": "100.00",
        "10000e-2": "100.00",
        "1.00e2": "100.00",
        '"100.00"': "100.00",
        '"1e2"': "100.00",
        "90071992547409.93": "90071992547409.93",
        BIG: BIG,
        '"%s"' % BIG: BIG,
        "0.01": "0.01",
        "0.1": "0.10",
        "1e-2": "0.01",
        "0.070e1": "0.70",
        "9223372036854775807e-2": BIG,
        "1.10": "1.10",
        "4.35": "4.35",
        "1005e-2": "10.05",
        "0.0100000000000000000000000000000000000000": "0.01",
        "100000000000000000000000000000000000000e-37": "10.00",
    }

    def test_every_digit_survives(self):
        """O-28: the same text in the 201, by id, in both kinds of list, and on a replay."""
        for number, (amount, text) in enumerate(self.EXACT.items()):
            with self.subTest(amount):
                room = "exact-%d" % number
                body = tip(room, amount=amount)
                created = self.create("/api/tips", body, key=room)
                places = {
                    "201": created,
                    "id": self.http.get("/api/tips/%d" % created.json["id"]),
                    "page": self.http.get("/api/tips?roomId=" + room),
                    "keyset": self.http.get("/api/tips?after=&roomId=" + room),
                    "replay": self.create("/api/tips", body, key=room, status=200),
                }
                self.assertEqual({name: AMOUNT.findall(answer.text) for name, answer in places.items()}, {name: [text] for name in places})

    def test_equal_amounts_are_the_same_request(self):
        """The fingerprint covers the validated record, not the bytes (design.md section 4)."""
        first = self.create("/api/tips", tip("same", amount="100"), key="same")
        for amount in ("100.00", "1e2", '"100.0"'):
            self.assertEqual(self.create("/api/tips", tip("same", amount=amount), key="same", status=200).body, first.body)

    def test_amounts_out_of_range(self):
        before = self.total()
        for amount in (
            "-0",
            "0",
            "0.00",
            "-1",
            "-0.01",
            "0.001",
            "100.005",
            "1e-3",
            "1.999",
            "92233720368547758.08",
            "92233720368547759",
            "99999999999999999.99",
            "100000000000000000",
            "1e17",
            "1e18",
            "9223372036854775808e-2",
            "18446744073709551617",
            "184467440737095516.17",
            '"-5"',
            '"0"',
            '"0.001"',
        ):
            with self.subTest(amount):
                self.check_refused(tip(amount=amount), "amount")
        for amount in ("92233720368547758.08", "1e17"):
            self.assertIn(BIG, self.check_refused(tip(amount=amount), "amount").json["message"])
        self.assertEqual(self.total(), before)

    def test_what_is_not_a_number(self):
        """O-29"""
        before = self.total()
        for amount in (
            "NaN",
            "Infinity",
            "-Infinity",
            "-",
            "+1",
            ".5",
            "1.",
            "01",
            "00",
            "-01",
            "0x10",
            "1e",
            "1e+",
            "1_000",
            "1,000",
            "1 000",
            "1f",
            "\u0661",
            '"NaN"',
            '"abc"',
            '""',
            '" 1"',
            '"1 "',
            '"+1"',
            '".5"',
            '"01"',
            '"1\\u0000"',
            '"0x10"',
            "null",
            "true",
            "[]",
            "{}",
            "[1]",
            '{"a":1}',
            "1e1000000000",
            '"1e1000000000"',
            "1e-1000000000",
            "1e99999999999999999999",
            "-1e99999999999999999999",
            "0e99999999999999999999",
            "1e-99999999999999999999",
        ):
            with self.subTest(amount):
                self.check_refused(tip(amount=amount), seconds=0.5)
        self.check_refused('{"roomId":"r","senderId":"a","recipientId":"b"}', "amount")
        self.assertEqual(self.total(), before)

    def test_a_million_digits(self):
        for amount in ("1" * 1000000, "0." + "0" * 1000000 + "1", "1." + "9" * 1000000, '"' + "1" * 1000000 + '"', "1e" + "9" * 1000000):
            with self.subTest(amount[:10]):
                self.check_refused(tip(amount=amount), seconds=0.5)


class ObjectTest(MoneyCase):
    """O-30"""

    def test_the_last_of_duplicates_counts(self):
        answer = self.create("/api/tips", '{"roomId":"r","roomId":"s","senderId":"a","recipientId":"b","amount":1,"amount":2.5}')
        self.assertEqual((answer.json["roomId"], AMOUNT.findall(answer.text)), ("s", ["2.50"]))
        answer = self.create("/api/tips", '{"roomId":"r","\\u0072oomId":"t","senderId":"a","recipientId":"b","amount":1,"message":"x","message":null}')
        self.assertEqual((answer.json["roomId"], answer.json["message"]), ("t", None))
        self.check_refused('{"roomId":"r","senderId":"a","recipientId":"b","amount":1,"amount":null}', "amount")

    def test_nesting_does_not_overflow(self):
        for bomb in ("[" * 100000, "[" * 100000 + "]" * 100000, '{"a":' * 100000, "[" * 65 + "]" * 65):
            with self.subTest(bomb[:8] + "..."):
                self.http.close()
                self.assertEqual(self.http.get("/livez").status, 200)
                connection = self.http.connection
                self.check_refused(tip()[:-1] + ', "x": %s}' % bomb)
                # The same connection serves the next request.
                self.assertEqual(self.http.get("/livez").status, 200)
                self.assertIs(self.http.connection, connection)

    def test_unknown_members_are_ignored(self):
        answer = self.create("/api/tips", tip("unknown", x={"a": [1, {"b": None}]}, id=77, createdAt="2001-01-01T00:00:00Z", seq=9))
        self.assertNotEqual(answer.json["id"], 77)
        self.assertFalse(answer.json["createdAt"].startswith("2001"))
        self.assertNotIn("x", answer.json)

    def test_text_after_the_object(self):
        good = tip("trailing")
        for tail in (" x", good, ",", "}", "\0", "\ufeff", "//"):
            with self.subTest(tail):
                self.check_refused(good + tail)
        self.assertEqual(self.create("/api/tips", " \t\r\n" + good + " \r\n\t").status, 201)

    def test_bodies_that_are_no_object(self):
        for body in (
            "",
            " ",
            "null",
            "[]",
            '"x"',
            "1",
            "true",
            "{",
            "}",
            '{"roomId"',
            "{'roomId':'r'}",
            '{roomId:"r"}',
            tip()[:-1],
            tip()[:-1] + ",}",
            tip().replace(", ", " "),
            "\ufeff" + tip(),
            "roomId=r&amount=1",
        ):
            with self.subTest(body):
                self.check_refused(body)

    def test_metadata_is_a_string(self):
        for value in ('{"a":1}', "[]", "1.5e3x"):
            with self.subTest(value):
                self.check_refused(tip()[:-1] + ', "metadata": %s}' % value)
        self.check_refused(tip(metadata={"a": 1}), "metadata")
        for text in ('{"a":1}', "{not json", "", " ", '\\/"\b\f\n\r\t\x1f\x7f', "\u2028\u2029</script>", "x" * 65536):
            with self.subTest(text[:20]):
                answer = self.create("/api/tips", tip(metadata=text))
                self.assertEqual(answer.json["metadata"], text)
                self.assertEqual(self.http.get("/api/tips/%d" % answer.json["id"]).body, answer.body)
        self.check_refused(tip(metadata="x" * 65537), "metadata")

    def test_required_members(self):
        for path, good, members in (
            ("/api/tips", json.loads(tip()), ("roomId", "senderId", "recipientId", "amount")),
            ("/api/reactions", reaction(), ("roomId", "userId", "emoji")),
        ):
            for member in members:
                for change in ("missing", None, "", "   ", "\t\u3000"):
                    with self.subTest(path=path, member=member, change=change):
                        value = {**good, member: change}
                        if change == "missing":
                            del value[member]
                        self.check_refused(json.dumps(value), member, path)
                with self.subTest(path=path, member=member, change="object"):
                    self.check_refused(json.dumps({**good, member: {"a": "b"}}), member, path)


class TextTest(MoneyCase):
    """O-31"""

    def test_octets_that_are_no_text(self):
        before = self.total()
        good = tip("text", message="@@").encode()
        for octets in (
            b"a\\u0000b",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xf5\x80\x80\x80",
            b"\xff",
            b"\xc3",
            b"\xe2\x82",
            b"\xf0\x9f\x94",
            b"\xf4\x90\x80\x80",
            b"\xe0\x80\xaf",
            b"\x80",
            b"\x01",
            b"\x1f",
            b"a\nb",
            b"\\x41",
            b"\\u12",
            b"\\u12G4",
            b"\\'",
        ):
            with self.subTest(octets):
                self.check_refused(good.replace(b"@@", octets))
        self.assertEqual(self.total(), before)
        for octets in (b"\x01", b"\xff", b"\xed\xa0\x80"):
            with self.subTest(key=octets):
                self.check_refused(tip()[:-1].encode() + b', "' + octets + b'": 1}')

    def test_lone_surrogates_never_come_out_as_such(self):
        """[POLICY] 400, or stored as U+FFFD."""
        for escape in ("\\ud83d", "\\udc00x", "\\ud83d\\ud83d\\udd25", "\\ud83dx"):
            with self.subTest(escape):
                answer = self.http.post("/api/tips", tip("surrogate", message="@@").replace("@@", escape))
                self.assertIn(answer.status, (201, 400))
                if answer.status == 201:
                    self.assertIn("\ufffd", answer.json["message"])
                answer.body.decode("utf-8", "strict")

    def test_text_survives(self):
        texts = (
            "\U0001f469\u200d\U0001f680",
            "\u2764\ufe0f",
            "a/b<>&'\u2028\u2029",
            "\ufeffbom",
            "\x7f\x80",
            "\U0010ffff\uffff",
            "e\u0301 \u00e9",
            '"\\\b\f\n\r\t',
            "\u202eRTL",
        )
        for text in texts:
            for ascii_only in (False, True):
                with self.subTest(text=text, ascii_only=ascii_only):
                    body = json.dumps(json.loads(tip("survive", message=text)), ensure_ascii=ascii_only)
                    answer = self.create("/api/tips", body)
                    self.assertEqual(answer.json["message"], text)
                    self.assertEqual(self.http.get("/api/tips/%d" % answer.json["id"]).body, answer.body)
        self.assertIn('"message":"a/b"', self.create("/api/tips", tip(message="a/b")).text)
        self.assertIn("\U0001f525".encode(), self.create("/api/tips", tip(message="@@").replace("@@", "\\ud83d\\udd25")).body)


class LengthTest(MoneyCase):
    """O-32: code points, not bytes, not UTF-16 units."""

    FIRE = "\U0001f525"

    def check_limit(self, path, make, member, unit, limit):
        with self.subTest(path=path, member=member):
            answer = self.create(path, make(**{member: unit * limit}))
            self.assertEqual(answer.json[member], unit * limit)
            self.check_refused(json.dumps(make(**{member: unit * (limit + 1)})), member, path)
            self.assertIn(str(limit), self.check_refused(json.dumps(make(**{member: "x" * (limit + 1)})), member, path).json["message"])

    def test_limits_count_code_points(self):
        def make_tip(**members):
            return {"roomId": "r", "senderId": "a", "recipientId": "b", "amount": 1, **members}

        def make_reaction(**members):
            return {"roomId": "r", "userId": "a", "emoji": self.FIRE, **members}

        for member in ("roomId", "senderId", "recipientId"):
            self.check_limit("/api/tips", make_tip, member, "\u00e9", 255)
        self.check_limit("/api/tips", make_tip, "message", self.FIRE, 1000)
        for member in ("roomId", "userId", "targetId"):
            self.check_limit("/api/reactions", make_reaction, member, "\u00e9", 255)
        self.check_limit("/api/reactions", make_reaction, "emoji", self.FIRE, 100)

    def test_escapes_count_as_what_they_mean(self):
        self.create("/api/reactions", '{"roomId":"r","userId":"a","emoji":"%s"}' % ("\\ud83d\\udd25" * 100))

    def test_the_longest_room_is_found_again(self):
        room = "\U0001f525" * 255
        created = self.create("/api/tips", tip(room))
        self.assertEqual(self.page("/api/tips?roomId=" + "%F0%9F%94%A5" * 255)["content"], [created.json])


if __name__ == "__main__":
    unittest.main()
