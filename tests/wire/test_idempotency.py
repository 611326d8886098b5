"""The old service's Idempotency tests, on the wire (contract.md section 7). What it looked up in its key table is seen here by what a retry answers."""

import unittest
import uuid

from harness import OwnDaemonCase, WireCase, reaction, tip, wait_for


class IdempotencyTest(WireCase):
    def setUp(self):
        super().setUp()
        self.key = str(uuid.uuid4())
        self.room = "room-" + self.key

    def rows(self, kind="tips"):
        return self.page("/api/%s?roomId=%s" % (kind, self.room))["totalElements"]

    def test_should_create_tip_with_idempotency_key(self):
        answer = self.create("/api/tips", tip(self.room), self.key)
        # The key is on record as this tip's: a retry answers with its id, and a reaction is not taken for it.
        self.assertEqual(self.create("/api/tips", tip(self.room), self.key, 200).json["id"], answer.json["id"])
        self.create("/api/reactions", reaction(self.room), self.key, 201)

    def test_should_return_same_tip_on_retry_with_same_idempotency_key(self):
        first = self.create("/api/tips", tip(self.room), self.key)
        again = self.create("/api/tips", tip(self.room), self.key, 200)
        self.assertEqual(again.body, first.body)
        self.assertEqual(again.header("Content-Type"), "application/json")
        self.assertEqual(self.rows(), 1)

    def test_should_create_new_tip_without_idempotency_key(self):
        first = self.create("/api/tips", tip(self.room))
        second = self.create("/api/tips", tip(self.room))
        self.assertNotEqual(first.json["id"], second.json["id"])
        self.assertEqual(self.rows(), 2)

    def test_should_create_different_tips_with_different_idempotency_keys(self):
        first = self.create("/api/tips", tip(self.room), self.key)
        second = self.create("/api/tips", tip(self.room), self.key + "-2")
        self.assertNotEqual(first.json["id"], second.json["id"])
        self.assertEqual(self.rows(), 2)
        for key, created in ((self.key, first), (self.key + "-2", second)):
            self.assertEqual(self.create("/api/tips", tip(self.room), key, 200).body, created.body)

    def test_should_handle_idempotency_key_for_consecutive_requests(self):
        answers = [self.http.post("/api/tips", tip(self.room), self.key) for _ in range(5)]
        self.assertEqual([answer.status for answer in answers], [201, 200, 200, 200, 200])
        self.assertEqual({answer.body for answer in answers}, {answers[0].body})
        self.assertEqual(self.rows(), 1)

    def test_should_create_reaction_with_idempotency_key(self):
        answer = self.create("/api/reactions", reaction(self.room), self.key)
        self.assertEqual(self.create("/api/reactions", reaction(self.room), self.key, 200).json["id"], answer.json["id"])
        self.create("/api/tips", tip(self.room), self.key, 201)

    def test_should_return_same_reaction_on_retry_with_same_idempotency_key(self):
        first = self.create("/api/reactions", reaction(self.room), self.key)
        again = self.create("/api/reactions", reaction(self.room), self.key, 200)
        self.assertEqual(again.body, first.body)
        self.assertEqual(self.rows("reactions"), 1)


class IdempotencyExpiryTest(OwnDaemonCase):
    def test_should_cleanup_expired_idempotency_records(self):
        """A short-lived record is gone after its time; one that was remembered for longer, in the same files, is kept."""
        daemon = self.launch("--idempotency-ttl-s", "2").wait_ready()
        http = daemon.client()
        old = http.post("/api/tips", tip("expiry"), "old")
        self.assertEqual(old.status, 201)
        self.assertEqual(http.post("/api/tips", tip("expiry"), "old").body, old.body)

        def expired():
            answer = http.post("/api/tips", tip("expiry"), "old")
            return answer if answer.status == 201 else None

        again = wait_for(expired, 10, "expiry of the key")
        self.assertNotEqual(again.json["id"], old.json["id"])
        http.close()
        daemon.stop_clean()

        daemon = self.launch("--idempotency-ttl-s", "86400", directory=daemon.directory).wait_ready()
        http = daemon.client()
        kept = http.post("/api/tips", tip("expiry"), "kept")
        self.assertEqual(kept.status, 201)
        self.assertEqual(http.post("/api/tips", tip("expiry"), "kept").body, kept.body)
        # Whether the second "old" was already purged is open; the first must never come back.
        self.assertNotEqual(http.post("/api/tips", tip("expiry"), "old").json["id"], old.json["id"])
        http.close()
        daemon.stop_clean()


if __name__ == "__main__":
    unittest.main()
