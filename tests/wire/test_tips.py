"""The old service's Tip tests, on the wire (contract.md section 7; the broadcast test belongs to the live release)."""

import unittest

from harness import TIMESTAMP, WireCase


def request(room="room1", sender="alice", recipient="bob", **more):
    return {"roomId": room, "senderId": sender, "recipientId": recipient, "amount": 100.00, **more}


class TipTest(WireCase):
    def all_of(self, query):
        """The text of a list of this test's tips: rooms are named by the test, so that tests share one daemon."""
        answer = self.http.get("/api/tips?" + query)
        self.assertEqual(answer.status, 200, answer)
        return answer

    def test_should_create_tip_successfully(self):
        answer = self.create("/api/tips", request("create", message="Great play!", metadata='{"type":"celebration"}'))
        self.assertEqual(answer.header("Content-Type"), "application/json")
        self.assertIsNone(answer.header("Location"))
        value = answer.json
        self.assertEqual(list(value), ["id", "roomId", "senderId", "recipientId", "amount", "message", "metadata", "createdAt"])
        self.assertGreaterEqual(value["id"], 1)
        self.assertEqual(value["roomId"], "create")
        self.assertEqual(value["senderId"], "alice")
        self.assertEqual(value["recipientId"], "bob")
        self.assertIn('"amount":100.00,', answer.text)
        self.assertEqual(value["message"], "Great play!")
        self.assertEqual(value["metadata"], '{"type":"celebration"}')
        self.assertRegex(value["createdAt"], TIMESTAMP)
        self.assertEqual(self.http.get("/api/tips/%d" % value["id"]).body, answer.body)

    def test_should_create_tip_without_optional_fields(self):
        answer = self.create("/api/tips", request("optional"))
        self.assertIn('"message":null,"metadata":null', answer.text)

    def test_should_get_all_tips(self):
        for sender in ("all-alice", "all-charlie"):
            self.create("/api/tips", request("all", sender))
        answer = self.all_of("size=1000")
        for sender in ("all-alice", "all-charlie"):
            self.assertIn('"senderId":"%s"' % sender, answer.text)

    def test_should_get_tips_by_room_id(self):
        self.create("/api/tips", request("by-room-1"))
        self.create("/api/tips", request("by-room-2"))
        answer = self.all_of("roomId=by-room-1")
        self.assertIn('"roomId":"by-room-1"', answer.text)
        self.assertNotIn("by-room-2", answer.text)

    def test_should_get_tips_by_recipient_id(self):
        self.create("/api/tips", request(recipient="recipient-bob"))
        self.create("/api/tips", request(recipient="recipient-david"))
        answer = self.all_of("recipientId=recipient-bob")
        self.assertIn('"recipientId":"recipient-bob"', answer.text)
        self.assertNotIn("recipient-david", answer.text)

    def test_should_get_tips_by_sender_id(self):
        self.create("/api/tips", request(sender="sender-alice"))
        self.create("/api/tips", request(sender="sender-charlie"))
        answer = self.all_of("senderId=sender-alice")
        self.assertIn('"senderId":"sender-alice"', answer.text)
        self.assertNotIn("sender-charlie", answer.text)

    def test_should_get_tip_by_id(self):
        created = self.create("/api/tips", request("by-id", "by-id-alice"))
        answer = self.http.get("/api/tips/%d" % created.json["id"])
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.header("Content-Type"), "application/json")
        self.assertEqual(answer.body, created.body)

    def test_should_return_404_when_tip_not_found(self):
        answer = self.http.get("/api/tips/99999")
        self.assertEqual(answer.status, 404)
        self.assertEqual(answer.body, b"")
        self.assertEqual(answer.header("Content-Length"), "0")

    def test_should_sort_tips_by_created_at_desc(self):
        first = self.create("/api/tips", request("sorted")).json["id"]
        second = self.create("/api/tips", request("sorted")).json["id"]
        text = self.all_of("roomId=sorted").text
        self.assertLess(text.index('"id":%d,' % second), text.index('"id":%d,' % first))


if __name__ == "__main__":
    unittest.main()
