"""POST /api/tips:batch and /api/reactions:batch: NDJSON in, one result per line out."""

import json
import threading
import unittest

from client import build_request
from harness import WireCase, reaction, tip, wait_for

NDJSON = "application/x-ndjson"


class BatchTest(WireCase):
    def batch(self, path, lines, content_type=NDJSON, headers=()):
        body = lines if isinstance(lines, (str, bytes)) else "".join(line + "\n" for line in lines)
        return self.http.request("POST", path, body, [("Content-Type", content_type), *headers])

    def results(self, path, lines):
        answer = self.batch(path, lines)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.header("Content-Type"), NDJSON)
        self.assertTrue(answer.text.endswith("\n") or not answer.text)
        return [json.loads(line) for line in answer.text.splitlines()]

    def keyed(self, key, **members):
        return tip(idempotencyKey=key, **members)

    def rows(self, room, kind="tips"):
        return self.page("/api/%s?roomId=%s" % (kind, room))["totalElements"]

    def test_a_result_per_line_in_order(self):
        results = self.results("/api/tips:batch", [tip("lines", amount=str(i + 1)) for i in range(50)])
        self.assertEqual([value["status"] for value in results], [201] * 50)
        self.assertEqual([list(value) for value in results], [["status", "event"]] * 50)
        self.assertEqual([value["event"]["amount"] for value in results], list(range(1, 51)))
        for value in (results[0]["event"], results[49]["event"]):
            self.assertEqual(self.http.get("/api/tips/%d" % value["id"]).json, value)
        self.assertEqual(self.rows("lines"), 50)

    def test_events_are_the_same_text_as_anywhere(self):
        text = self.batch("/api/tips:batch", [tip("text", amount='"1e2"', message="\U0001f525/")]).text
        event = self.http.get("/api/tips/%d" % json.loads(text)["event"]["id"]).text
        self.assertEqual(text, '{"status":201,"event":%s}\n' % event)

    def test_reactions(self):
        results = self.results("/api/reactions:batch", [json.dumps(reaction("stamps", "u%d" % i), ensure_ascii=False) for i in range(5)])
        self.assertEqual([value["status"] for value in results], [201] * 5)
        self.assertEqual([value["event"]["userId"] for value in results], ["u%d" % i for i in range(5)])
        self.assertEqual(self.rows("stamps", "reactions"), 5)

    def test_each_line_stands_for_itself(self):
        lines = [tip("mixed"), "{", tip("mixed", amount="0"), "[]", '{"roomId":"mixed"}', b"\xff".decode("latin-1"), tip("mixed")]
        results = self.results("/api/tips:batch", lines)
        self.assertEqual([value["status"] for value in results], [201, 400, 400, 400, 400, 400, 201])
        for value in results[1:6]:
            self.assertEqual(value["error"], "Bad Request")
            self.assertTrue(value["message"])
        self.assertIn("amount", results[2]["message"])
        self.assertEqual(self.rows("mixed"), 2)

    def test_raw_bad_octets_spoil_their_line_only(self):
        good = tip("octets").encode()
        answer = self.batch("/api/tips:batch", good + b"\n" + good.replace(b"alice", b"\xff\xc0") + b"\n\x00\n" + good + b"\n")
        self.assertEqual([json.loads(line)["status"] for line in answer.text.splitlines()], [201, 400, 400, 201])

    def test_keys_on_lines(self):
        first = self.results(
            "/api/tips:batch",
            [
                self.keyed("batch-a", room="keys"),
                self.keyed("batch-b", room="keys"),
                self.keyed("batch-a", room="keys"),
                self.keyed("batch-b", room="keys", amount="7"),
            ],
        )
        self.assertEqual([value["status"] for value in first], [201, 201, 200, 422])
        self.assertEqual(first[2]["event"], first[0]["event"])
        again = self.results("/api/tips:batch", [self.keyed("batch-a", room="keys"), self.keyed("batch-b", room="keys")])
        self.assertEqual([value["status"] for value in again], [200, 200])
        self.assertEqual([value["event"] for value in again], [value["event"] for value in first[:2]])
        self.assertEqual(self.rows("keys"), 2)

    def test_keys_are_those_of_the_single_post(self):
        """The scope is the kind of event: a client may retry a line alone."""
        value = self.results("/api/tips:batch", [self.keyed("batch-single", room="single")])[0]
        self.assertEqual(self.create("/api/tips", tip("single"), "batch-single", 200).json, value["event"])

    def test_bad_keys(self):
        results = self.results(
            "/api/tips:batch", [tip("bad-keys", idempotencyKey=key) for key in ("", "k" * 256, 5, {}, "a\nb", "a\0b")] + [tip("bad-keys", idempotencyKey=None)]
        )
        self.assertEqual([value["status"] for value in results[:6]], [400] * 6)
        self.assertIn(results[6]["status"], (201, 400))
        self.assertEqual(self.rows("bad-keys"), 1 if results[6]["status"] == 201 else 0)

    def test_key_header_is_refused(self):
        self.check_error(self.batch("/api/tips:batch", [tip("header")], headers=[("Idempotency-Key", "k")]), 400, "/api/tips:batch")
        self.assertEqual(self.rows("header"), 0)

    def test_line_ends(self):
        one = tip("ends")
        for text, count in ((one, 1), (one + "\r\n" + one + "\r\n", 2), (one + "\n" + one, 2), ("\n\r\n" + one + "\n\n" + one + "\n\n", 2)):
            with self.subTest(text[-30:]):
                self.assertEqual([value["status"] for value in self.results("/api/tips:batch", text)], [201] * count)

    def test_content_types(self):
        for content_type in (NDJSON, "application/x-ndjson; charset=utf-8", "application/jsonl", "application/ndjson"):
            with self.subTest(content_type):
                self.assertEqual(self.batch("/api/tips:batch", [tip("types")], content_type).status, 200)
        for content_type in ("text/plain", "application/xml", ""):
            with self.subTest(content_type):
                self.check_error(self.batch("/api/tips:batch", [tip("types-refused")], content_type), 415, "/api/tips:batch")
        self.assertEqual(self.rows("types-refused"), 0)

    def test_ten_thousand_lines_and_one_more(self):
        results = self.results("/api/tips:batch", [tip("many", "s%d" % (i % 100), idempotencyKey="many-%d" % i) for i in range(10000)])
        self.assertEqual({value["status"] for value in results}, {201})
        ids = [value["event"]["id"] for value in results]
        self.assertEqual(ids, list(range(ids[0], ids[0] + 10000)))
        self.assertEqual(self.rows("many"), 10000)
        self.check_error(self.batch("/api/tips:batch", [tip("too-many")] * 10001), 400, "/api/tips:batch", "10000")
        self.assertEqual(self.rows("too-many"), 0)

    def test_a_client_that_vanishes_loses_nothing(self):
        """Once read, a batch is done to its end; asked again with the same keys it tells the rest of the story."""
        lines = [tip("vanish", idempotencyKey="vanish-%d" % i) for i in range(2000)]
        connection = self.connect()
        connection.send(build_request("POST", "/api/tips:batch", "localhost", "\n".join(lines), [("Content-Type", NDJSON)]))
        connection.close()
        wait_for(lambda: self.rows("vanish") in (0, 2000) and self.http.get("/readyz").json["logSeq"], 10, "the end of the batch")
        results = self.results("/api/tips:batch", lines)
        self.assertLessEqual({value["status"] for value in results}, {200, 201})
        self.assertEqual(self.rows("vanish"), 2000)

    def test_batches_at_once_with_the_same_keys(self):
        lines = [tip("at-once", idempotencyKey="at-once-%d" % i) for i in range(500)]
        results = []

        def post():
            client = self.daemon.client(30.0)
            answer = client.request("POST", "/api/tips:batch", "\n".join(lines), [("Content-Type", NDJSON)])
            results.append([json.loads(line) for line in answer.text.splitlines()])
            client.close()

        threads = [threading.Thread(target=post) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual(len(results), 12)
        for one in zip(*results, strict=True):
            self.assertEqual(sorted(value["status"] for value in one), [200] * 11 + [201])
            self.assertEqual(len({value["event"]["id"] for value in one}), 1)
        self.assertEqual(self.rows("at-once"), 500)

    def test_an_empty_body(self):
        self.assertIn(self.batch("/api/tips:batch", "").status, (200, 400))

    def test_a_batch_over_its_byte_limit(self):
        connection = self.connect()
        connection.send("POST /api/tips:batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000000000\r\n\r\n")
        self.assertEqual(connection.read_response().status, 413)
        self.assertTrue(connection.closed_by_peer())

    def test_a_line_over_the_single_limit_is_its_own_mistake(self):
        results = self.results("/api/tips:batch", [tip("wide", message="x" * 2000000), tip("wide")])
        self.assertEqual([value["status"] for value in results], [400, 201])


if __name__ == "__main__":
    unittest.main()
