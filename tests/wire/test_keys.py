"""Idempotency keys: cases O-36 to O-38, scope, both mismatch modes, restarts."""

import json
import threading
import unittest

from client import JSON_TYPE, build_request
from harness import OwnDaemonCase, WireCase, reaction, tip


class KeyCase(WireCase):
    def rows(self, room, kind="tips"):
        return self.page("/api/%s?roomId=%s" % (kind, room))["totalElements"]


class AtOnceTest(KeyCase):
    def at_once(self, bodies, key):
        """One request per body, all with the same key, sent as close together as threads allow."""
        answers = [None] * len(bodies)
        gate = threading.Barrier(len(bodies))

        def post(i):
            client = self.daemon.client()
            client.get("/livez")  # the connection is open before the gate
            gate.wait(10)
            answers[i] = client.post("/api/tips", bodies[i], key)
            client.close()

        threads = [threading.Thread(target=post, args=(i,)) for i in range(len(bodies))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertNotIn(None, answers)
        return answers

    def test_twenty_at_once_with_one_key(self):
        """O-36, ten times over: the race is narrow."""
        for turn in range(10):
            room = "k36-%d" % turn
            answers = self.at_once([tip(room)] * 20, room)
            self.assertEqual(sorted(answer.status for answer in answers), [200] * 19 + [201])
            self.assertEqual(len({answer.body for answer in answers}), 1)
            self.assertEqual(self.rows(room), 1)

    def test_different_bodies_at_once_with_one_key(self):
        """One wins; the others are told of the mismatch, never given a tip of their own."""
        for turn in range(5):
            room = "race-%d" % turn
            answers = self.at_once([tip(room, amount=str(i + 1)) for i in range(20)], room)
            self.assertEqual(sorted(answer.status for answer in answers), [201] + [422] * 19)
            self.assertEqual(self.rows(room), 1)

    def test_one_key_twice_in_one_write(self):
        data = build_request("POST", "/api/tips", "localhost", tip("one-write"), [JSON_TYPE, ("Idempotency-Key", "one-write")])
        connection = self.connect()
        connection.send(data * 3)
        answers = [connection.read_response() for _ in range(3)]
        self.assertEqual([answer.status for answer in answers], [201, 200, 200])
        self.assertEqual(len({answer.body for answer in answers}), 1)


class MismatchTest(KeyCase):
    """O-37"""

    def test_other_body_is_refused(self):
        first = self.create("/api/tips", tip("other", amount="1"), "other-key")
        changes = [
            tip("other", amount="2"),
            tip("other", "alicia", amount="1"),
            tip("other", recipient="rob", amount="1"),
            tip("other2", amount="1"),
            tip("other", amount="1", message=""),
            tip("other", amount="1", message="hi"),
            tip("other", amount="1", metadata="{}"),
        ]
        for body in changes:
            with self.subTest(body):
                answer = self.http.post("/api/tips", body, "other-key")
                self.check_error(answer, 422, "/api/tips", "Idempotency-Key")
        for body in ("{}", '{"roomId":"other"}', tip("other", amount="-1")):
            with self.subTest(body):
                self.assertIn(self.http.post("/api/tips", body, "other-key").status, (400, 422))
        self.assertEqual(self.create("/api/tips", tip("other", amount="1.00"), "other-key", 200).body, first.body)
        self.assertEqual(self.rows("other"), 1)
        self.assertEqual(self.rows("other2"), 0)

    def test_same_record_in_other_bytes_replays(self):
        first = self.create("/api/tips", tip("bytes"), "bytes-key")
        shuffled = json.dumps(dict(reversed(json.loads(tip("bytes")).items())), indent=2)
        for body in (shuffled, tip("bytes", message=None), tip("bytes", metadata=None, unknown=1)):
            self.assertEqual(self.create("/api/tips", body, "bytes-key", 200).body, first.body)

    def test_malformed_bodies_come_first(self):
        self.create("/api/tips", tip("first"), "first-key")
        self.assertEqual(self.http.post("/api/tips", "{", "first-key").status, 400)
        self.assertEqual(self.http.post("/api/tips", tip("first"), "first-key", [("Content-Type", "text/plain")]).status, 415)
        self.assertEqual(self.http.post("/api/tips", tip("first"), "first-key", [("Accept", "text/plain")]).status, 406)

    def test_keys_are_scoped_by_path(self):
        self.create("/api/tips", tip("scope"), "scope-key")
        stamp = self.create("/api/reactions", reaction("scope"), "scope-key", 201)
        self.assertEqual(self.create("/api/reactions", reaction("scope"), "scope-key", 200).body, stamp.body)
        self.assertEqual((self.rows("scope"), self.rows("scope", "reactions")), (1, 1))

    def test_a_failed_first_try_leaves_no_key(self):
        for bad in ("{}", "{", tip("burnt", amount="0"), "null"):
            self.assertEqual(self.http.post("/api/tips", bad, "burnt-key").status, 400)
        self.assertEqual(self.http.post("/api/tips", tip("burnt"), "burnt-key", [("Accept", "text/plain")]).status, 406)
        self.create("/api/tips", tip("burnt"), "burnt-key", 201)
        self.create("/api/tips", tip("burnt"), "burnt-key", 200)


class ReplayModeTest(KeyCase):
    flags = ("--idempotency-mismatch", "replay")

    def test_the_original_is_replayed(self):
        first = self.create("/api/tips", tip("replay", amount="1"), "replay-key")
        answer = self.create("/api/tips", tip("replay", amount="2"), "replay-key", 200)
        self.assertEqual(answer.body, first.body)
        self.assertIn('"amount":1.00,', answer.text)
        self.create("/api/reactions", reaction("replay"), "replay-key", 201)
        self.assertEqual(self.rows("replay"), 1)


class KeyTextTest(KeyCase):
    """O-38"""

    def test_lengths(self):
        self.create("/api/tips", tip("length"), "k" * 255)
        self.create("/api/tips", tip("length"), "k" * 255, 200)
        self.check_error(self.http.post("/api/tips", tip("length"), "k" * 256), 400, "/api/tips", "255")
        self.create("/api/tips", tip("length"), "\u00e9" * 255, 201)
        self.create("/api/tips", tip("length"), "\u00e9" * 255, 200)
        self.assertEqual(self.http.post("/api/tips", tip("length"), "\u00e9" * 256).status, 400)
        self.assertEqual(self.rows("length"), 2)

    def test_empty_and_malformed_keys(self):
        before = self.page("/api/tips?size=1")["totalElements"]
        for key in ("", b"a\x01b", b"a\x7fb", b"\xff\xfe", b"a\tb"):
            with self.subTest(key):
                connection = self.connect()
                answer = connection.request("POST", "/api/tips", tip("malformed"), [JSON_TYPE, ("Idempotency-Key", key)])
                self.check_error(answer, 400, "/api/tips" if answer.json["path"] else "")
        self.assertEqual(self.page("/api/tips?size=1")["totalElements"], before)

    def test_doubled_header(self):
        body, twice = tip("doubled"), [JSON_TYPE, ("Idempotency-Key", "doubled"), ("idempotency-key", "doubled")]
        statuses = [self.http.request("POST", "/api/tips", body, twice).status for _ in range(2)]
        self.assertIn(statuses, ([400, 400], [201, 200]))
        self.assertEqual(self.http.post("/api/tips", body, "doubled").status, 200 if statuses[0] == 201 else 201)
        self.assertEqual(self.http.request("POST", "/api/tips", body, [JSON_TYPE, ("Idempotency-Key", "doubled"), ("Idempotency-Key", "other")]).status, 400)
        self.assertEqual(self.rows("doubled"), 1)

    def test_keys_are_compared_exactly(self):
        keys = ("Key", "key", "k\u00e9y", "ke\u0301y", "key,key", '"key"', "0", "null", "' OR 1=1 --", "k%00y")
        for i, key in enumerate(keys):
            self.create("/api/tips", tip("exactly"), key, 201)
        for key in keys:
            self.create("/api/tips", tip("exactly"), key, 200)
        self.assertEqual(self.http.request("POST", "/api/tips", tip("exactly"), [JSON_TYPE, ("IDEMPOTENCY-KEY", "  Key  ")]).status, 200)
        self.assertEqual(self.rows("exactly"), len(keys))


class RestartTest(OwnDaemonCase):
    def test_keys_survive_restart_kill_and_rebuild(self):
        daemon = self.launch().wait_ready()
        http = daemon.client()
        first = {key: http.post("/api/tips", tip("restart", amount=str(i + 1)), key) for i, key in enumerate("abcdefgh")}
        self.assertEqual({answer.status for answer in first.values()}, {201})
        for way in ("stop", "kill", "rebuild"):
            http.close()
            if way == "kill":
                daemon.kill()
            else:
                daemon.stop_clean()
            if way == "rebuild":
                daemon.forget_index()
            daemon = self.launch(directory=daemon.directory).wait_ready()
            http = daemon.client()
            for i, (key, answer) in enumerate(first.items()):
                with self.subTest(way=way, key=key):
                    again = http.post("/api/tips", tip("restart", amount=str(i + 1)), key)
                    self.assertEqual((again.status, again.body), (200, answer.body))
                    self.assertEqual(http.post("/api/tips", tip("restart", amount="99"), key).status, 422)
        self.assertEqual(http.get("/api/tips").json["totalElements"], 8)
        http.close()
        daemon.stop_clean()


if __name__ == "__main__":
    unittest.main()
