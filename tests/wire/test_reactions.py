"""The old service's Reaction tests, on the wire (contract.md section 7; the broadcast test belongs to the live release)."""

import unittest
import urllib.parse

from harness import TIMESTAMP, WireCase, reaction

FIRE = "\U0001f525"
HEART = "\u2764\ufe0f"  # two code points, which must stay two
THUMB = "\U0001f44d"


class ReactionTest(WireCase):
    def listed(self, **filters):
        answer = self.http.get("/api/reactions?" + urllib.parse.urlencode(filters))
        self.assertEqual(answer.status, 200, answer)
        return answer

    def test_should_create_reaction_successfully(self):
        answer = self.create("/api/reactions", reaction("create", emoji=FIRE, targetId="msg_123", metadata='{"a":1}'))
        self.assertEqual(answer.header("Content-Type"), "application/json")
        value = answer.json
        self.assertEqual(list(value), ["id", "roomId", "userId", "emoji", "targetId", "metadata", "createdAt"])
        self.assertEqual(
            {key: value[key] for key in ("roomId", "userId", "emoji", "targetId", "metadata")},
            {"roomId": "create", "userId": "alice", "emoji": FIRE, "targetId": "msg_123", "metadata": '{"a":1}'},
        )
        self.assertGreaterEqual(value["id"], 1)
        self.assertRegex(value["createdAt"], TIMESTAMP)
        # Emoji leave as raw UTF-8, not as \u escapes (contract.md 0.2).
        self.assertIn(FIRE.encode(), answer.body)

    def test_should_create_reaction_without_optional_fields(self):
        answer = self.create("/api/reactions", reaction("optional", emoji=HEART))
        self.assertIn('"targetId":null,"metadata":null', answer.text)
        self.assertEqual(answer.json["emoji"], HEART)
        self.assertEqual(self.http.get("/api/reactions/%d" % answer.json["id"]).json["emoji"], HEART)

    def test_should_get_all_reactions(self):
        for user in ("all-alice", "all-bob"):
            self.create("/api/reactions", reaction("all", user))
        text = self.listed(size=1000).text
        for user in ("all-alice", "all-bob"):
            self.assertIn('"userId":"%s"' % user, text)

    def test_should_get_reactions_by_room_id(self):
        self.create("/api/reactions", reaction("by-room-1"))
        self.create("/api/reactions", reaction("by-room-2"))
        text = self.listed(roomId="by-room-1").text
        self.assertIn('"roomId":"by-room-1"', text)
        self.assertNotIn("by-room-2", text)

    def test_should_get_reactions_by_user_id(self):
        self.create("/api/reactions", reaction(user="by-user-alice"))
        self.create("/api/reactions", reaction(user="by-user-bob"))
        text = self.listed(userId="by-user-alice").text
        self.assertIn('"userId":"by-user-alice"', text)
        self.assertNotIn("by-user-bob", text)

    def test_should_get_reactions_by_emoji(self):
        self.create("/api/reactions", reaction("by-emoji", "emoji-alice", FIRE))
        self.create("/api/reactions", reaction("by-emoji", "emoji-bob", FIRE))
        self.create("/api/reactions", reaction("by-emoji", "emoji-charlie", THUMB))
        text = self.listed(roomId="by-emoji", emoji=FIRE).text
        self.assertIn("emoji-alice", text)
        self.assertIn("emoji-bob", text)
        self.assertNotIn("emoji-charlie", text)

    def test_should_get_reaction_by_id(self):
        created = self.create("/api/reactions", reaction("by-id"))
        answer = self.http.get("/api/reactions/%d" % created.json["id"])
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.body, created.body)

    def test_should_return_404_when_reaction_not_found(self):
        answer = self.http.get("/api/reactions/99999")
        self.assertEqual((answer.status, answer.body), (404, b""))

    def test_should_sort_reactions_by_created_at_desc(self):
        first = self.create("/api/reactions", reaction("sorted")).json["id"]
        second = self.create("/api/reactions", reaction("sorted")).json["id"]
        text = self.listed(roomId="sorted").text
        self.assertLess(text.index('"id":%d,' % second), text.index('"id":%d,' % first))


if __name__ == "__main__":
    unittest.main()
