"""The curl lines of the old service's README, as its users paste them, and those of our own README, with the real curl."""

import json
import re
import subprocess
import unittest

from harness import ROOT, WireCase

CREATE_TIP = r"""
curl -X POST http://localhost:8080/api/tips \
  -H "Content-Type: application/json" \
  -d '{
    "roomId": "gaming_stream_123",
    "senderId": "alice",
    "recipientId": "bob",
    "amount": 100.00,
    "message": "Great play!",
    "metadata": "{\"type\":\"celebration\"}"
  }'
"""
CREATE_REACTION = r"""
curl -X POST http://localhost:8080/api/reactions \
  -H "Content-Type: application/json" \
  -d '{
    "roomId": "gaming_stream_123",
    "userId": "alice",
    "emoji": "🔥",
    "targetId": "msg_123"
  }'
"""
CREATE_WITH_KEY = r"""
curl -X POST http://localhost:8080/api/tips \
  -H "Content-Type: application/json" \
  -H "Idempotency-Key: 550e8400-e29b-41d4-a716-446655440000" \
  -d '{"roomId": "room1", "senderId": "alice", "recipientId": "bob", "amount": 100}'
"""
STATUS_MARK = "\n#status "


class ShellCase(WireCase):
    def shell(self, script):
        """Runs shell lines with our port in place of 8080; returns [(status, body)] of its curls."""
        prelude = 'curl() { command curl --silent --show-error --max-time 20 --write-out "%s" "$@" || exit 9; }\n' % (
            STATUS_MARK.replace("\n", "\\n") + "%{http_code}\\n"
        )
        script = script.replace("localhost:8080", "localhost:%d" % self.daemon.address[1])
        ended = subprocess.run(["bash", "-c", prelude + script], capture_output=True, timeout=60, cwd=self.daemon.directory)
        self.assertEqual(ended.returncode, 0, ended.stderr.decode("utf-8", "replace"))
        parts = ended.stdout.decode("utf-8").split(STATUS_MARK)
        bodies = [parts[0]] + [part.split("\n", 1)[1] for part in parts[1:-1]]
        return list(zip((int(part.split("\n", 1)[0]) for part in parts[1:]), bodies))

    def one(self, script):
        results = self.shell(script)
        self.assertEqual(len(results), 1)
        return results[0][0], json.loads(results[0][1])


class OldReadmeTest(ShellCase):
    def test_the_old_readme_line_for_line(self):
        status, tip = self.one(CREATE_TIP)
        self.assertEqual(status, 201)
        self.assertEqual(
            {key: tip[key] for key in ("id", "roomId", "amount", "message", "metadata")},
            {"id": 1, "roomId": "gaming_stream_123", "amount": 100.0, "message": "Great play!", "metadata": '{"type":"celebration"}'},
        )
        status, stamp = self.one(CREATE_REACTION)
        self.assertEqual((status, stamp["id"], stamp["emoji"], stamp["targetId"], stamp["metadata"]), (201, 1, "🔥", "msg_123", None))
        for line, expected in (
            ("curl http://localhost:8080/api/tips", tip),
            ("curl http://localhost:8080/api/tips?roomId=gaming_stream_123", tip),
            ("curl http://localhost:8080/api/tips?recipientId=bob", tip),
            ("curl http://localhost:8080/api/reactions", stamp),
            ("curl http://localhost:8080/api/reactions?roomId=gaming_stream_123", stamp),
            ('curl "http://localhost:8080/api/reactions?roomId=gaming_stream_123&emoji=🔥"', stamp),
            ("curl http://localhost:8080/api/reactions?targetId=msg_123", stamp),
        ):
            with self.subTest(line):
                status, page = self.one(line)
                self.assertEqual((status, page["content"], page["totalElements"]), (200, [expected], 1))
        first, second = self.one(CREATE_WITH_KEY), self.one(CREATE_WITH_KEY)
        self.assertEqual((first[0], second[0]), (201, 200))
        self.assertEqual(first[1], second[1])


class OurReadmeTest(ShellCase):
    def test_our_own_readme(self):
        text = (ROOT / "README.md").read_text("utf-8")
        blocks = [
            block for block in re.findall(r"^```(?:sh|bash|shell|console)?\n(.*?)^```", text, re.M | re.S) if "curl" in block and "localhost:8080" in block
        ]
        self.assertTrue(blocks, "README.md has no curl lines")
        for block in blocks:
            with self.subTest(block[:60]):
                self.assertNotIn("$ curl", block)
                for status, body in self.shell(block):
                    self.assertIn(status, (200, 201), body)


if __name__ == "__main__":
    unittest.main()
