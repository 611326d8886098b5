"""On PostgreSQL: the database goes away and comes back, passwords are shown to nobody, and what cannot be opened says why."""

import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import unittest

import server
from harness import OwnDaemonCase, run_once, tip, wait_for
from own_postgres import OwnPostgresCase
from receiver import Receiver
from stomp import open_stomp
from test_sse import Stream


class PostgresCase(OwnPostgresCase):
    def url(self, **more):
        return self.database.url(schema=self.schema, **more)

    def rows(self, what, of="events"):
        return self.database.sql("SELECT %s FROM %s.%s" % (what, self.schema, of)).split()


class OutageTest(PostgresCase):
    def tearDown(self):
        if self.database.process is None:
            self.database.start()

    def posts(self, daemon, stop, answers):
        """Posts with keys until stop is set; a 503 is asked again with the same key, as a client does."""
        client, number = daemon.client(30.0), 0
        while not stop.is_set():
            key = "%d-%d" % (threading.get_ident(), number)
            begun = time.monotonic()
            answer = client.post("/api/tips", tip("out", amount=str(number + 1)), key)
            answers.append((key, answer, time.monotonic() - begun))
            if answer.status in (200, 201):
                number += 1
        client.close()

    def run_outage(self, how, away_s):
        daemon = self.launch("--create-deadline-ms", "1500", storage=self.url()).wait_ready()
        live = Stream(self, "/api/rooms/out/events", daemon=daemon)
        self.assertEqual(live.event()[0], "ready")
        stop, answers = threading.Event(), []
        threads = [threading.Thread(target=self.posts, args=(daemon, stop, answers)) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(answers) > 50, what="some posts")
        self.database.stop(how)
        down = time.monotonic()
        http = daemon.client()
        wait_for(lambda: http.get("/readyz").status == 503, 10, "/readyz says so")
        wait_for(lambda: any(answer.status == 503 for _, answer, _ in answers), 10, "a 503")
        threading.Event().wait(max(0.0, away_s - (time.monotonic() - down)))
        self.assertTrue(daemon.running())
        self.database.start()
        daemon.wait_ready()
        count = len(answers)
        wait_for(lambda: len(answers) > count + 50, 20, "posts after it")
        stop.set()
        for thread in threads:
            thread.join(30)
        self.check(daemon, answers)
        self.check_live(live, {answer.json["id"] for _, answer, _ in answers if answer.status in (200, 201)})
        daemon.stop_clean()

    def check(self, daemon, answers):
        stored = {}
        for key, answer, took in answers:
            self.assertIn(answer.status, (200, 201, 503), answer)
            self.assertLess(took, 1.5 + 2.0, answer)  # the deadline, and what a busy machine adds
            if answer.status == 503:
                self.assertTrue(answer.header("Retry-After"), answer)
            else:
                self.assertNotIn(key, stored)
                stored[key] = answer.json["id"]
        found = dict(line.split("|") for line in self.rows("key, id"))
        self.assertEqual({key: int(number) for key, number in found.items()}, {**{key: int(number) for key, number in found.items()}, **stored}, "acknowledged and lost")
        self.assertLessEqual(set(found) - set(stored), {key for key, answer, _ in answers if answer.status == 503}, "stored, and nobody was told anything")
        self.assertEqual([int(seq) for seq in self.rows("seq")], list(range(1, len(found) + 1)))
        total = daemon.client().get("/api/tips?roomId=out").json["totalElements"]
        self.assertEqual(total, len(found))

    def check_live(self, live, ids):
        """The stream that was open all the time has had each of them, once, in order."""
        seen = []
        while not ids <= set(seen):
            seen.append(json.loads(live.event()[2])["id"])
        self.assertEqual(seen, list(range(1, len(seen) + 1)))

    def test_stopped_in_order_and_started_again(self):
        self.run_outage(signal.SIGINT, 3.0)

    def test_crashed_and_started_again(self):
        self.run_outage(signal.SIGQUIT, 0.0)

    def test_a_server_that_stands_still(self):
        """It is there and says nothing: who asks is answered in time all the same."""
        daemon = self.launch("--create-deadline-ms", "1500", storage=self.url()).wait_ready()
        http = daemon.client(30.0)
        self.assertEqual(http.post("/api/tips", tip("still"), "before").status, 201)
        self.database.signal_all(signal.SIGSTOP)
        self.addCleanup(self.database.signal_all, signal.SIGCONT)
        begun = time.monotonic()
        during = http.post("/api/tips", tip("still"), "during")
        self.assertEqual(during.status, 503)
        self.assertTrue(during.header("Retry-After"))
        self.assertLess(time.monotonic() - begun, 1.5 + 1.5)
        self.assertEqual(http.get("/livez").status, 200)
        self.assertEqual(http.get("/readyz").status, 503)
        self.assertEqual(http.post("/api/tips", tip("still"), "later").status, 503)
        self.database.signal_all(signal.SIGCONT)
        daemon.wait_ready()
        keys = ["before", "during", "later"]
        ids = [wait_for(lambda key=key: http.post("/api/tips", tip("still"), key).json.get("id"), 10) for key in keys]
        self.assertEqual(sorted(ids), [1, 2, 3])
        self.assertEqual(http.get("/api/tips?roomId=still").json["totalElements"], 3)
        daemon.stop_clean()

    def test_webhooks_go_on(self):
        daemon = self.launch("--allow-receivers", "127.0.0.0/8", storage=self.url()).wait_ready()
        http = daemon.client(20.0)
        receiver = Receiver(self, lambda delivery, count: 200)
        self.assertEqual(http.post("/api/webhooks", {"url": receiver.url, "event": "tip.created", "secret": "s"}).status, 201)
        first = http.post("/api/tips", tip("hooks"))
        self.database.stop()
        wait_for(lambda: http.get("/readyz").status == 503, 10, "/readyz says so")
        self.database.start()
        daemon.wait_ready()
        second = http.post("/api/tips", tip("hooks"))
        wait_for(lambda: {delivery.body for delivery in receiver.got()} >= {first.body, second.body}, 15, "both deliveries")
        wait_for(lambda: int(self.rows("min(cursor)", "work_shares")[0]) == 2, 10, "the cursor")
        daemon.stop_clean()

    def test_a_stop_while_it_is_away_ends(self):
        daemon = self.launch("--create-deadline-ms", "1000", storage=self.url()).wait_ready()
        http = daemon.client(20.0)
        self.assertEqual(http.post("/api/tips", tip("r"), "before").status, 201)
        self.database.stop()
        answer = http.post("/api/tips", tip("r"), "during")
        self.assertEqual(answer.status, 503)
        daemon.stop()
        self.database.start()
        daemon.start().wait_ready()
        self.assertEqual(daemon.client().post("/api/tips", tip("r"), "before").status, 200)
        daemon.stop_clean()

    def test_the_lists_are_kept_from_nobody_for_long(self):
        """A read meets the connection of before: the next one is there at once."""
        daemon = self.launch(storage=self.url()).wait_ready()
        http = daemon.client(20.0)
        self.assertEqual(http.post("/api/tips", tip("r")).status, 201)
        self.assertEqual(http.get("/api/tips").status, 200)
        self.database.stop()
        away = http.get("/api/analytics/rooms/r/stats")
        self.assertEqual(away.status, 503, away)
        self.assertTrue(away.header("Retry-After"), away)
        self.database.start()
        self.assertEqual(http.get("/api/tips").json["totalElements"], 1)
        daemon.stop_clean()


class NodesTest(PostgresCase):
    """Two daemons on one database."""

    def role(self, daemon):
        return daemon.client().get("/readyz").json["role"]

    def test_what_one_takes_the_other_shows(self):
        first, second = (self.launch("--allow-receivers", "127.0.0.0/8", storage=self.url()).wait_ready() for _ in range(2))
        self.assertEqual([self.role(first), self.role(second)], ["leader", "follower"])
        ours, theirs = first.client(20.0), second.client(20.0)
        live = Stream(self, "/api/events", daemon=second)
        self.assertEqual(live.event()[0], "ready")
        made = [client.post("/api/tips", tip("r", amount=str(number + 1)), "k%d" % number) for number in range(10) for client in (ours, theirs)]
        self.assertEqual([answer.status for answer in made], [201, 200] * 10)
        for answer in made[::2]:
            self.assertEqual(live.event()[2], answer.text)
        receiver = Receiver(self, lambda delivery, count: 200)
        hook = theirs.post("/api/webhooks", {"url": receiver.url, "event": "tip.created", "secret": "s"})
        self.assertEqual(hook.status, 201)
        wait_for(lambda: ours.get("/api/webhooks/%d" % hook.json["id"]).status == 200, 2, "the webhook on the other node")
        last = theirs.post("/api/tips", tip("r"))
        wait_for(lambda: {delivery.body for delivery in receiver.got()} == {last.body}, 10, "its delivery")
        wait_for(lambda: [client.get("/api/tips?roomId=r").json["totalElements"] for client in (ours, theirs)] == [11, 11], 5, "the same list")
        board = "/api/leaderboards?roomId=r"
        wait_for(lambda: theirs.get(board).json == ours.get(board).json and ours.get(board).json["leaderboard"], 10, "the same leaderboard")
        second.stop_clean()
        first.stop_clean()

    def test_boards_and_goals_are_live_on_both(self):
        first, second = (self.launch(storage=self.url()).wait_ready() for _ in range(2))
        boards, goals = (open_stomp(self, daemon=second) for _ in range(2))
        goal = second.client().post("/api/rooms/r/goals", {"title": "t", "targetAmount": 50})
        self.assertEqual(goal.status, 201)
        boards.subscribe("/topic/leaderboards/r")
        goals.subscribe("/topic/events/r")
        for daemon in (first, second, first):
            self.assertEqual(daemon.client().post("/api/tips", tip("r", amount="20.00")).status, 201)
        board = goal = None
        while not board or board["all"]["senders"] != [{"rank": 1, "userId": "alice", "amount": 60.0, "tips": 3}]:
            board = boards.expect("MESSAGE", 10).json
        while not goal or goal["type"] != "goal.progress" or goal["progressAmount"] != 60 or goal["status"] != "reached":
            goal = goals.expect("MESSAGE", 10).json
        second.stop_clean()
        first.stop_clean()

    def test_another_one_takes_over_and_clients_go_on_there(self):
        first, second = (self.launch(storage=self.url()).wait_ready() for _ in range(2))
        live = Stream(self, "/api/events", daemon=first)
        self.assertEqual(live.event()[0], "ready")
        made = [second.client(20.0).post("/api/tips", tip("r")) for _ in range(5)]
        seen = [live.event() for _ in range(3)]
        first.kill()
        wait_for(lambda: self.role(second) == "leader", 15, "another leader")
        live = Stream(self, "/api/events", [("Last-Event-ID", seen[-1][1])], daemon=second)
        self.assertTrue(json.loads(live.event()[2])["recovered"])
        made.append(second.client(20.0).post("/api/tips", tip("r")))
        self.assertEqual([event[2] for event in seen] + [live.event()[2] for _ in range(3)], [answer.text for answer in made])
        first.start().wait_ready()
        self.assertEqual(self.role(first), "follower")
        self.assertEqual(first.client().get("/api/tips?roomId=r").json["totalElements"], 6)
        first.stop_clean()
        second.stop_clean()


class PasswordTest(PostgresCase):
    def shown(self, daemon):
        return daemon.stderr() + pathlib.Path("/proc/%d/cmdline" % daemon.process.pid).read_text()

    def test_it_is_shown_to_nobody(self):
        daemon = self.launch(storage=self.url(host="127.0.0.1", password=server.PASSWORD)).wait_ready()
        self.assertEqual(daemon.client().post("/api/tips", tip("r")).status, 201)
        for secret in (server.PASSWORD, server.PASSWORD.replace("/", "%2F")):
            self.assertNotIn(secret, self.shown(daemon))
        self.assertIn("tc:***@127.0.0.1", self.shown(daemon))
        checked = run_once("--check-config", "--storage", self.url(host="127.0.0.1", password="tops3cret"))
        self.assertEqual(checked.returncode, 0)
        self.assertNotIn("tops3cret", checked.stdout + checked.stderr)
        daemon.stop_clean()

    def test_a_wrong_one_is_refused_and_not_told(self):
        ended = run_once("--listen", "127.0.0.1:0", "--storage", self.url(host="127.0.0.1", password="tops3cret"))
        self.assertEqual((ended.returncode, ended.stdout), (1, ""))
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertIn("authentication", ended.stderr)
        self.assertNotIn("tops3cret", ended.stderr)

    def test_from_a_file_and_from_the_environment(self):
        directory = self.scratch()
        secret = directory / "pgpass"
        secret.write_text("127.0.0.1:*:*:%s:%s\n" % (server.USER, server.PASSWORD))
        secret.chmod(0o600)
        config = directory / "config.ini"
        config.write_text("storage = %s\n" % self.url(host="127.0.0.1", password=server.PASSWORD))
        plain = self.url(host="127.0.0.1")
        for storage, env in ((["--storage", plain], {"PGPASSFILE": str(secret)}), (["--storage", plain], {"PGPASSWORD": server.PASSWORD}), (["--config", str(config)], {})):
            with self.subTest(storage=storage[0], env=list(env)):
                ended = run_once("--listen", "192.0.2.1:0", "--allow-unauthenticated", *storage, env=env)  # the storage is opened before the address is
                self.assertEqual(ended.returncode, 1)
                self.assertNotIn("database", ended.stderr)
                self.assertIn("192.0.2.1", ended.stderr)


class TlsTest(OwnDaemonCase):
    """A server that is reached by TLS alone."""

    @classmethod
    def setUpClass(cls):
        if not server.binaries():
            raise unittest.SkipTest("no PostgreSQL server here: ./scripts/deps --test installs it")
        cls.database = server.Server(tls=True)
        cls.addClassCleanup(cls.database.clean_up)
        cls.database.start()

    def url(self, query):
        return self.database.url(host="127.0.0.1", password=server.PASSWORD) + "?" + query

    def test_with_the_right_certificate(self):
        daemon = self.launch(storage=self.url("sslmode=verify-full&sslrootcert=%s" % self.database.certificate)).wait_ready()
        http = daemon.client()
        self.assertEqual(http.post("/api/tips", tip("r")).status, 201)
        self.assertEqual(http.get("/api/tips").json["totalElements"], 1)
        secured = self.database.sql("SELECT bool_and(ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.application_name LIKE 'tipcurrent%'")
        self.assertEqual(secured.strip(), "t")
        daemon.stop_clean()

    def test_another_one_is_refused(self):
        strange = self.scratch() / "strange.crt"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-keyout", os.devnull, "-out", str(strange)]
        subprocess.run(command, check=True, capture_output=True)
        for query, word in (("sslmode=verify-full&sslrootcert=%s" % strange, "certificate"), ("sslmode=disable", "no encryption")):
            ended = run_once("--listen", "127.0.0.1:0", "--storage", self.url(query))
            self.assertEqual(ended.returncode, 1)
            self.assertIn(word, ended.stderr)
            self.assertNotIn(server.PASSWORD, ended.stderr)


class RefusalTest(PostgresCase):
    def refused(self, storage, *words):
        begun = time.monotonic()
        ended = run_once("--listen", "127.0.0.1:0", "--storage", storage)
        self.assertEqual((ended.returncode, ended.stdout), (1, ""), ended)
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        for word in words:
            self.assertIn(word, ended.stderr)
        self.assertLess(time.monotonic() - begun, 15)

    def elsewhere(self, database):
        return self.database.url().rsplit("/", 1)[0] + "/" + database

    def test_what_cannot_be_opened_says_why(self):
        self.refused("postgresql:", "storage_url", "postgresql://")
        self.refused("postgresql://h/d?colour=red", "storage_url", "colour")
        self.refused("postgresql://u:se%cret@h/d", "storage_url")
        self.refused("postgresql://127.0.0.1:%d/tc" % server.free_port(), "cannot reach the database", "refused")
        self.refused(self.elsewhere("nowhere"), "nowhere")

    def test_a_schema_of_a_newer_release(self):
        daemon = self.launch(storage=self.url()).wait_ready()
        daemon.stop_clean()
        self.database.sql("UPDATE %s.meta SET value='99' WHERE name='log_version'" % self.schema)
        self.refused(self.url(), "newer release")

    def test_a_database_that_is_not_utf8(self):
        self.database.sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        self.refused(self.elsewhere("latin"), "UTF8")

    def test_two_in_one_database(self):
        """Each in its schema: they know nothing of each other."""
        one = self.launch(storage=self.url()).wait_ready()
        two = self.launch(storage=self.database.url()).wait_ready()
        self.assertEqual(one.client().post("/api/tips", tip("r"), "k").json["id"], 1)
        self.assertEqual(two.client().post("/api/tips", tip("r"), "k").json["id"], 1)
        self.assertEqual(self.database.sql("SELECT count(*) FROM tipcurrent.events").strip(), "1")
        one.stop_clean()
        two.stop_clean()


if __name__ == "__main__":
    unittest.main()
