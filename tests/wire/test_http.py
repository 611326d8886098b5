"""HTTP semantics: methods, paths, negotiation, and the shape of every error (contract.md 1.10)."""

import unittest

from harness import TIP, WireCase, reaction, tip


class MethodTest(WireCase):
    def test_head_is_get_without_the_body(self):
        created = self.create("/api/tips", tip("head")).json["id"]
        stamp = self.create("/api/reactions", reaction("head")).json["id"]
        for target in ("/api/tips", "/api/tips/%d" % created, "/api/reactions?roomId=head", "/api/reactions/%d" % stamp, "/api/tips/99999", "/nope", "/livez"):
            with self.subTest(target):
                get = self.http.get(target)
                head = self.http.request("HEAD", target)
                self.assertEqual(head.status, get.status)
                self.assertEqual(head.body, b"")
                self.assertEqual(head.header("Content-Type"), get.header("Content-Type"))
                self.assertEqual(head.header("Content-Length"), get.header("Content-Length"))

    def test_options(self):
        for path, methods in (
            ("/api/tips", {"GET", "HEAD", "POST", "OPTIONS"}),
            ("/api/tips/1", {"GET", "HEAD", "OPTIONS"}),
            ("/api/reactions", {"GET", "HEAD", "POST", "OPTIONS"}),
            ("/api/tips:batch", {"POST", "OPTIONS"}),
        ):
            with self.subTest(path):
                answer = self.http.request("OPTIONS", path)
                self.assertEqual(answer.status, 200)
                self.assertEqual({word.strip() for word in answer.header("Allow").split(",")}, methods)

    def test_method_not_allowed(self):
        for method, path, allowed in (
            ("PUT", "/api/tips", "POST"),
            ("DELETE", "/api/tips", "GET"),
            ("PATCH", "/api/reactions", "POST"),
            ("POST", "/api/tips/1", "GET"),
            ("PUT", "/api/reactions/1", "GET"),
            ("DELETE", "/api/tips/1", "GET"),
            ("GET", "/api/tips:batch", "POST"),
            ("POST", "/livez", "GET"),
            ("BREW", "/api/tips", "GET"),
        ):
            with self.subTest(method=method, path=path):
                answer = self.http.request(method, path, "{}", [("Content-Type", "application/json")])
                self.check_error(answer, 405, path)
                self.assertIn(allowed, answer.header("Allow"))

    def test_unknown_paths(self):
        for path in (
            "/nope",
            "/",
            "/api",
            "/api/tips/",
            "/api/tips/1/",
            "/api//tips",
            "/API/tips",
            "/api/tips/1/2",
            "/api/tips:bulk",
            "/api/tips%2F1",
            "/..%2fetc/passwd",
        ):
            with self.subTest(path):
                self.check_error(self.http.get(path), 404, path)
        self.check_error(self.http.get("/nope?a=b"), 404, "/nope")
        self.check_error(self.http.post("/api/nope", TIP), 404, "/api/nope")

    def test_paths_that_are_hard_to_print(self):
        """The path is given back as sent, and the answer is valid JSON in valid UTF-8 whatever was sent."""
        for target in ('/no"pe', "/n\\ope", "/n\u00e4h\U0001f525", "/%22%00%FF", "/<script>"):
            with self.subTest(target):
                answer = self.http.get(target)
                self.assertIn(answer.status, (400, 404))
                self.check_error(answer, answer.status, target)
        answer = self.http.request("GET", b"/\xff\xfe")
        self.assertIn(answer.status, (400, 404))
        self.assertIsInstance(answer.json["path"], str)


class IdTest(WireCase):
    def test_ids(self):
        created = self.create("/api/tips", tip("ids")).json["id"]
        encoded = "".join("%%%02X" % ord(digit) for digit in str(created))
        self.assertEqual(self.http.get("/api/tips/" + encoded).json["id"], created)
        for kind in ("tips", "reactions"):
            for text in ("99999", "0", "-1", "9223372036854775807"):
                with self.subTest(kind=kind, id=text):
                    answer = self.http.get("/api/%s/%s" % (kind, text))
                    self.assertEqual((answer.status, answer.body, answer.header("Content-Length")), (404, b"", "0"))
            for text in ("abc", "1.5", "1e3", "9223372036854775808", "99999999999999999999", "1%20", "%00", "1%00", "--1", "%E2%80%8B1"):
                with self.subTest(kind=kind, id=text):
                    path = "/api/%s/%s" % (kind, text)
                    self.check_error(self.http.get(path), 400, path)

    def test_ids_count_from_one_in_each_kind(self):
        tips = self.page("/api/tips")["totalElements"]
        for i in range(3):
            self.assertEqual(self.create("/api/tips", tip("count")).json["id"], tips + 1 + i)
            # A refused create takes no id.
            self.assertEqual(self.http.post("/api/tips", {"roomId": "count"}).status, 400)
        reactions = self.page("/api/reactions")["totalElements"]
        self.assertEqual(self.create("/api/reactions", reaction("count")).json["id"], reactions + 1)


class NegotiationTest(WireCase):
    def setUp(self):
        super().setUp()
        self.before = self.total()

    def total(self):
        return self.page("/api/tips?size=1")["totalElements"]

    def test_content_types_refused(self):
        for value in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/xml",
            "text/json",
            "application/jsonx",
            "json",
            "",
            "multipart/form-data; boundary=x",
        ):
            with self.subTest(value):
                answer = self.http.post("/api/tips", tip("type"), headers=[("Content-Type", value)])
                self.check_error(answer, 415, "/api/tips")
                self.assertIn("application/json", answer.header("Accept"))
        answer = self.http.request("POST", "/api/tips", tip("type"))
        self.check_error(answer, 415, "/api/tips")
        self.assertEqual(self.total(), self.before)

    def test_content_types_taken(self):
        values = (
            "application/json",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            "APPLICATION/Json",
            "application/vnd.x+json",
            "application/problem+json; a=b",
        )
        for value in values:
            with self.subTest(value):
                self.assertEqual(self.http.post("/api/tips", tip("type"), headers=[("Content-Type", value)]).status, 201)
        self.assertEqual(self.total(), self.before + len(values))

    def test_not_acceptable_is_said_before_anything_is_stored(self):
        for value in ("application/xml", "text/plain", "application/json;q=0", "application/json;q=0, application/xml", "text/*"):
            with self.subTest(value):
                self.check_error(self.http.post("/api/tips", tip("accept"), headers=[("Accept", value)]), 406, "/api/tips")
                self.check_error(self.http.get("/api/tips", [("Accept", value)]), 406, "/api/tips")
        self.assertEqual(self.total(), self.before)

    def test_acceptable(self):
        browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
        for value in ("*/*", "application/*", "application/json", "application/json;q=0.1", "text/plain, application/json", browser, "APPLICATION/JSON"):
            with self.subTest(value):
                self.assertEqual(self.http.post("/api/tips", tip("accept"), headers=[("Accept", value)]).status, 201)

    def test_guards_in_order(self):
        """A wrong path or method is named before a wrong type; the type before the body."""
        wrong = [("Content-Type", "text/plain")]
        self.assertEqual(self.http.post("/nope", "x", headers=wrong).status, 404)
        self.assertEqual(self.http.request("PUT", "/api/tips", "x", wrong).status, 405)
        self.assertEqual(self.http.post("/api/tips", "x", headers=wrong).status, 415)


class OddRequestTest(WireCase):
    def test_an_offered_upgrade_is_ignored(self):
        """RFC 9110 7.8: curl --http2 and Java's client send h2c; the answer is plain HTTP/1.1."""
        offer = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA")]
        for _ in range(2):
            self.assertEqual(self.http.get("/api/tips?size=1", offer).status, 200)
            self.assertEqual(self.http.post("/api/tips", tip("upgrade"), headers=offer).status, 201)

    def test_http_2_preface(self):
        connection = self.connect()
        connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.assertEqual([answer.status in (400, 505) for answer in connection.read_all_responses()], [True])

    def test_asterisk(self):
        self.assertIn(self.http.request("OPTIONS", "*").status, (200, 204, 400, 404))
        self.assertIn(self.http.request("GET", "*").status, (400, 404))

    def test_get_with_a_body(self):
        """The body means nothing, but it is no request either."""
        connection = self.connect()
        for target in ("/livez", "/api/tips?size=1"):
            self.assertEqual(connection.request("GET", target, "GET /nope HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 200)
            self.assertEqual(connection.request("GET", "/api/tips/99999").status, 404)

    def test_fragments_and_odd_queries(self):
        for target, status in (
            ("/api/tips?", 200),
            ("/api/tips??", 200),
            ("/api/tips?=x", 200),
            ("/api/tips?a&b&c", 200),
            ("/api/tips?roomId", 200),
            ("/api/tips?" + "a=b&" * 1000, 200),
        ):
            with self.subTest(target[:40]):
                self.assertEqual(self.http.get(target).status, status)


class ProbeTest(WireCase):
    def test_livez(self):
        answer = self.http.get("/livez")
        self.assertEqual((answer.status, answer.header("Content-Type")), (200, "application/json"))
        self.assertIn("status", answer.json)

    def test_readyz_shows_how_far_the_log_and_the_index_are(self):
        created = self.create("/api/tips", tip("ready"))
        self.assertEqual(created.status, 201)
        answer = self.http.get("/readyz")
        self.assertEqual(answer.status, 200)
        value = answer.json
        self.assertGreaterEqual(value["logSeq"], 1)
        self.assertLessEqual(value["indexSeq"], value["logSeq"])


if __name__ == "__main__":
    unittest.main()
