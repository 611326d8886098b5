"""tipcurrentd migrate: SQLite to PostgreSQL and back, killed in the middle, and what it refuses."""

import json
import signal
import sqlite3
import unittest

import harness
from harness import reaction, run_once, tip, wait_for
from own_postgres import OwnPostgresCase
from receiver import Receiver

HOOKS = ("--allow-receivers", "127.0.0.0/8", "--webhook-retry-schedule", "1s,300s")


def migrate(source, target, **more):
    return run_once("migrate", "--from", source, "--to", target, timeout=120, **more)


def export(storage):
    done = run_once("export", "--storage", storage, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


class MigrateCase(OwnPostgresCase):
    def postgres(self, more=""):
        return self.database.url(schema=self.schema + more)

    def sqlite(self, name="tc"):
        return "sqlite:%s/%s.db" % (self.scratch(), name)

    def moved(self, source, target):
        done = migrate(source, target)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("all events are the same", done.stdout)
        return done

    def rich(self, http, receiver):
        """A bit of everything that a log holds."""
        hook = http.post("/api/webhooks", {"url": receiver.url + "/a", "event": "tip.created", "secret": "s3", "description": "d \U0001f525"})
        self.assertEqual(hook.status, 201, hook)
        self.assertEqual(http.post("/api/webhooks", {"url": receiver.url + "/gone", "event": "raid.created", "secret": "s", "description": ""}).status, 201)
        self.assertEqual(http.request("DELETE", "/api/webhooks/2").status, 204)
        self.assertEqual(http.post("/api/event-types", {"name": "hype", "description": "h"}).status, 201)
        self.assertEqual(http.post("/api/rooms/r/goals", {"title": "g", "targetAmount": 150}, None).status, 201)
        for i, text in enumerate(["plain", "", "\u4e2d\u6587 \U0001f525", "'; DROP TABLE events; --", "{1,\"2\",NULL}", "\\\\x00", "NULL", "x" * 1000]):
            self.assertEqual(http.post("/api/tips", tip("r", message=text, metadata=text, amount="%d.07" % (i + 1)), "key-%d" % i).status, 201)
            self.assertEqual(http.post("/api/reactions", reaction("r", targetId=text[:255], metadata=text), "key-%d" % i).status, 201)
        self.assertEqual(http.post("/api/tips", tip("r", currency="EUR", amount="92233720368547758.07")).status, 201)
        self.assertEqual(http.post("/api/tips", tip("r", amount="200")).status, 201)
        self.assertEqual(http.post("/api/tips/3/refund", {"amount": 1, "reason": "r"}).status, 201)
        self.assertEqual(http.post("/api/events", {"type": "raid", "roomId": "r", "userId": "u", "count": 7}).status, 201)
        self.assertEqual(http.post("/api/events", {"type": "hype", "roomId": "r", "userId": "u"}).status, 201)
        wait_for(lambda: http.get("/api/goals/1").json["status"] == "reached", what="the goal")

    TARGETS = ("/api/tips?size=1000", "/api/reactions?size=1000", "/api/tips?roomId=r&senderId=alice", "/api/tips/3", "/api/goals/1", "/api/rooms/r/goals", "/api/webhooks", "/api/event-types",
               "/api/events/raid?roomId=r", "/api/events/hype", "/api/analytics/rooms/r/stats", "/api/leaderboards?roomId=r", "/api/reactions?targetId=plain")

    def told(self, daemon):
        """All that a client can ask for, once the numbers have caught up."""
        http = daemon.client()
        wait_for(lambda: http.get("/api/goals/1").json["progressCount"] == 9, what="the goal's progress")
        answers = {target: (http.get(target).status, http.get(target).body) for target in self.TARGETS}
        http.close()
        return answers

    def attempts(self, daemon):
        http = daemon.client()
        items = http.get("/api/webhooks/1/deliveries?size=1000").json["content"]
        http.close()
        for item in items:
            item.pop("id")
        return items


class ThereAndBackTest(MigrateCase):
    def test_everything_is_carried_over_and_nothing_is_lost_on_the_way_back(self):
        receiver = Receiver(self, lambda delivery, count: 500)
        source = self.launch(*HOOKS, storage=self.sqlite()).wait_ready()
        http = source.client()
        self.rich(http, receiver)
        # Each tip was tried twice and waits for its last try.
        wait_for(lambda: len(self.attempts(source)) == 20, 30, "the failed deliveries")
        http.close()
        before, attempts = self.told(source), self.attempts(source)
        source.stop_clean()
        lines = export(source.storage)
        self.moved(source.storage, self.postgres())
        self.assertEqual(export(self.postgres()), lines)
        there = self.launch(*HOOKS, storage=self.postgres()).wait_ready()
        self.assertEqual(self.told(there), before)
        self.assertEqual(self.attempts(there), attempts)
        there.stop_clean()
        self.assertEqual(run_once("verify", "--storage", self.postgres(), timeout=60).returncode, 0)
        back = self.sqlite()
        self.moved(self.postgres(), back)
        self.assertEqual(export(back), lines)
        again = self.launch(*HOOKS, storage=back).wait_ready()
        self.assertEqual(self.told(again), before)
        self.assertEqual(self.attempts(again), attempts)
        # Keys are known, numbers go on, those that were taken back are not given again.
        http = again.client()
        self.assertEqual(http.post("/api/tips", tip("r", message="plain", metadata="plain", amount="1.07"), "key-0").status, 200)
        self.assertEqual(http.post("/api/tips", tip("r", message="plain", metadata="plain", amount="1.08"), "key-0").status, 422)
        self.assertEqual(http.post("/api/tips", tip("r")).json["id"], 11)
        self.assertEqual(http.post("/api/webhooks", {"url": receiver.url, "event": "raid.created", "secret": "s", "description": ""}).json["id"], 3)
        # Of 3.07 one is taken back already.
        self.assertEqual(http.post("/api/tips/3/refund", {"amount": 2.08}).status, 422)
        self.assertEqual(http.post("/api/tips/3/refund", {"amount": 2.07}).status, 201)
        http.close()
        again.stop_clean()
        self.assertEqual(run_once("verify", "--storage", back, timeout=60).returncode, 0)

    def test_what_is_owed_is_delivered_by_the_target(self):
        down = Receiver(self, lambda delivery, count: 503)
        source = self.launch("--allow-receivers", "127.0.0.0/8", "--webhook-retry-schedule", "4s,4s", storage=self.sqlite()).wait_ready()
        http = source.client()
        for flags in ({}, {"ordered": True}):
            self.assertEqual(http.post("/api/webhooks", {"url": down.url, "event": "tip.created", "secret": "s", "description": "", **flags}).status, 201)
        for i in range(8):
            self.assertEqual(http.post("/api/tips", tip("r", sender="s%d" % i)).status, 201)
        wait_for(lambda: len(down.deliveries) >= 9, what="failures")  # eight, and the first of the room
        http.close()
        source.stop_clean()
        port = down.port
        done = self.moved(source.storage, self.postgres())
        self.assertRegex(done.stdout, r" (8|9|1\d) owed deliveries")
        self.assertTrue(down.deliveries)
        down.close()
        up = Receiver(self, port=port)
        there = self.launch("--allow-receivers", "127.0.0.0/8", "--webhook-retry-schedule", "4s,4s", storage=self.postgres()).wait_ready()
        wait_for(lambda: len({(d["X-TipCurrent-Webhook-Id"] or d["X-TipCurrent-Signature"], d.body) for d in up.deliveries}) >= 8, 30, "the deliveries")
        there.stop_clean()
        self.assertEqual({json.loads(d.body)["senderId"] for d in up.deliveries}, {"s%d" % i for i in range(8)})


class KilledTest(MigrateCase):
    EVENTS = 60000

    def grown(self):
        daemon = self.launch(storage=self.sqlite()).wait_ready()
        http = daemon.client(60.0)
        for start in range(0, self.EVENTS, 6000):
            lines = [tip("r%d" % (i % 50), sender="s%d" % i, message="m" * (i % 90)) for i in range(start, start + 6000)]
            self.assertEqual(http.request("POST", "/api/tips:batch", "\n".join(lines), [("Content-Type", "application/x-ndjson")]).status, 200)
        self.assertEqual(http.post("/api/webhooks", {"url": "http://example.com", "event": "tip.created", "secret": "s", "description": ""}).status, 201)
        http.close()
        daemon.stop_clean()
        return daemon.storage

    def kill_and_go_on(self, source, target, seen):
        """Kills it at ever later moments; between them nobody can open the target, and what is there is the source's beginning."""
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            before = seen()
            if before > self.EVENTS / 2:
                break  # it may be through before we look again
            self.assertNotEqual(harness.stopped_by_its_bar(number, before, "migrate", "--from", source, "--to", target), 0, "it was too fast to be killed in the middle")
            refused = run_once("--storage", target, "--listen", "127.0.0.1:0")
            self.assertEqual(refused.returncode, 1)
            self.assertIn("has not come to its end", refused.stderr)
        self.moved(source, target)
        self.assertEqual(export(target), export(source))
        daemon = self.launch(storage=target).wait_ready()
        http = daemon.client()
        self.assertEqual(http.get("/api/tips").json["totalElements"], self.EVENTS)
        self.assertEqual(http.get("/api/tips?senderId=s777").json["totalElements"], 1)
        http.close()
        daemon.stop_clean()
        self.assertEqual(run_once("verify", "--storage", target, timeout=60).returncode, 0)

    def test_killed_on_the_way_there(self):
        def seen():
            try:
                return int(self.database.sql("SELECT seq FROM %s.log_end" % self.schema))
            except RuntimeError:
                return 0

        self.kill_and_go_on(self.grown(), self.postgres(), seen)

    def test_killed_on_the_way_back(self):
        source = self.grown()
        self.moved(source, self.postgres())
        target = self.sqlite()

        def seen():
            done = run_once("export", "--storage", target, "--kind", "reactions")  # none: only the last line counts
            return int(done.stderr.rsplit(" ", 1)[1]) if done.returncode == 0 else 0

        self.kill_and_go_on(self.postgres(), target, seen)


class RefusalTest(MigrateCase):
    def refused(self, source, target, words, code=1):
        done = migrate(source, target)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def log(self, count=3):
        daemon = self.launch(storage=self.sqlite()).wait_ready()
        http = daemon.client()
        for i in range(count):
            self.assertEqual(http.post("/api/tips", tip("r", amount=str(i + 1))).status, 201)
        http.close()
        return daemon

    def test_what_it_refuses(self):
        one, other = self.log(), self.log()
        self.refused(one.storage, self.sqlite(), "open elsewhere")
        one.stop_clean()
        self.refused(one.storage, other.storage, "open elsewhere")
        other.stop_clean()
        self.refused(one.storage, other.storage, "not empty")
        self.refused(one.storage, one.storage, "open elsewhere")
        self.refused("sqlite:%s/none.db" % self.scratch(), self.sqlite(), "there is no log")
        self.refused(self.postgres(), self.sqlite(), "there is no log")
        self.refused("memory:", self.sqlite(), "memory")
        self.refused(one.storage, "memory:", "memory")
        self.refused(one.storage, "mysql://x", "no backend")
        self.assertEqual(run_once("migrate", "--from", one.storage).returncode, 2)
        # A password stands nowhere.
        done = migrate("postgresql://u:s3cret@127.0.0.1:1/x", self.sqlite())
        self.assertEqual(done.returncode, 1)
        self.assertNotIn("s3cret", done.stderr)
        # And the logs are as they were.
        for daemon in (one, other):
            self.assertEqual(len(export(daemon.storage).splitlines()), 3)

    def test_half_of_another_log_is_left_alone(self):
        log, other = self.log(3), self.log(4)
        log.stop_clean()
        other.stop_clean()
        target = self.sqlite()
        self.moved(log.storage, target)
        # The note is put back by hand: a migration that was killed just before its end.
        connection = sqlite3.connect(target[7:])
        connection.execute("INSERT INTO config VALUES(6, 1, '{\"what\":\"migrate\",\"firstSeq\":1}')")
        connection.commit()
        connection.close()
        self.refused(other.storage, target, "another one than the source's")  # its times differ
        self.moved(log.storage, target)
        self.assertEqual(export(target), export(log.storage))


if __name__ == "__main__":
    unittest.main()
