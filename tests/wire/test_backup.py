"""tipcurrentd backup and verify: copies of a log that is in use, and what a check finds."""

import re
import signal
import sqlite3
import subprocess
import threading
import unittest

import harness
from client import WireError
from harness import OwnDaemonCase, run_once, sqlite_only, tip, wait_for

CLIENTS = 6


class Load:
    """Clients that post with keys until they are told to stop; what was acknowledged, by key."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.acked = {}
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._post, args=(number,)) for number in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def _post(self, number):
        client = self.daemon.client()
        i = 0
        try:
            while not self.stopping.is_set():
                key = "c%d-%d" % (number, i)
                answer = client.post("/api/tips", tip("room-%d" % (i % 7), sender=key), key)
                if answer.status == 201:
                    self.acked[key] = answer.json["id"]
                i += 1
        except (OSError, WireError):
            pass  # the daemon was killed
        finally:
            client.close()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)


def post_some(daemon, count, room="room1"):
    http = daemon.client()
    for i in range(count):
        assert http.post("/api/tips", tip(room, amount=str(i + 1)), "%s-%d" % (room, i)).status == 201
        assert http.post("/api/reactions", harness.reaction(room, user="u%d" % i)).status == 201
    http.close()


def verify(storage, *flags):
    return run_once("verify", "--storage", storage, *flags, timeout=120)


@sqlite_only
class BackupTest(OwnDaemonCase):
    def check_copy(self, directory, acked):
        """A daemon on the copy has these, each once, and takes their keys for known."""
        checked = verify("sqlite:%s" % (directory / "tc.db"))
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertIn("whole", checked.stdout)
        copy = self.launch(directory=directory).wait_ready()
        http = copy.client()
        for key, id_ in acked.items():
            answer = http.get("/api/tips?senderId=%s" % key)
            self.assertEqual([item["id"] for item in answer.json["content"]], [id_], key)
        key = next(iter(acked))
        answer = http.get("/api/tips/%d" % acked[key])
        again = http.post("/api/tips", tip(answer.json["roomId"], sender=key), key)
        self.assertEqual((again.status, again.body), (200, answer.body))
        # Numbers go on where the copy ends, and nothing stands twice in it.
        total = http.get("/api/tips").json["totalElements"]
        self.assertEqual(http.post("/api/tips", tip("after")).json["id"], total + 1)
        http.close()
        copy.stop_clean()

    def test_a_copy_under_load_has_all_that_was_acknowledged(self):
        daemon = self.launch().wait_ready()
        load = Load(daemon)
        wait_for(lambda: len(load.acked) > 200, what="some load")
        acked = dict(load.acked)
        directory = self.scratch() / "copy"
        done = run_once("backup", "--storage", daemon.storage, "--to", str(directory), timeout=60)
        load.stop()
        self.assertEqual(done.returncode, 0, done.stderr)
        seq = int(re.fullmatch(r"copied up to event (\d+)\n", done.stdout).group(1))
        self.assertGreaterEqual(seq, len(acked))
        self.assertEqual(sorted(path.name for path in directory.iterdir()), ["tc-index.db", "tc-work.db", "tc.db"])
        self.check_copy(directory, acked)
        daemon.stop_clean()

    def test_the_source_killed_meanwhile_does_not_hurt_the_copy(self):
        daemon = self.launch().wait_ready()
        load = Load(daemon)
        wait_for(lambda: len(load.acked) > 200, what="some load")
        acked = dict(load.acked)
        directory = self.scratch() / "copy"
        copying = subprocess.Popen([harness.BINARY, "backup", "--storage", daemon.storage, "--to", str(directory)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        daemon.kill()
        out, err = copying.communicate(timeout=60)
        load.stop()
        self.assertEqual(copying.returncode, 0, err)
        self.check_copy(directory, acked)
        # And the copy that is taken of what a kill has left.
        second = self.scratch() / "copy"
        done = run_once("backup", "--storage", daemon.storage, "--to", str(second), timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_copy(second, load.acked)

    def test_killed_copies_are_no_copies(self):
        daemon = self.launch().wait_ready()
        post_some(daemon, 20)
        self.grow(daemon, 60000)
        directory = self.scratch() / "copy"
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(signal=number):
                copying = subprocess.Popen([harness.BINARY, "backup", "--storage", daemon.storage, "--to", str(directory)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                wait_for(lambda: list(directory.glob("tc.db.part*")) or copying.poll() is not None, what="a copy on its way")
                copying.send_signal(number)
                out, err = copying.communicate(timeout=60)
                if copying.returncode == 0:
                    self.skipTest("too fast to be stopped")
                self.assertFalse((directory / "tc.db").exists())
                if number == signal.SIGTERM:
                    self.assertIn("stopped", err)
                    self.assertEqual(list(directory.iterdir()), [])
        done = run_once("backup", "--storage", daemon.storage, "--to", str(directory), timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(verify("sqlite:%s" % (directory / "tc.db")).returncode, 0)
        daemon.stop_clean()

    def grow(self, daemon, count):
        """Many events, with long texts."""
        http = daemon.client(60.0)
        line = tip("big", message="m" * 900, metadata="x" * 4000).encode()
        for _ in range(0, count, 3000):
            answer = http.request("POST", "/api/tips:batch", b"\n".join([line] * 3000), [("Content-Type", "application/x-ndjson")])
            self.assertEqual(answer.status, 200, answer)
        http.close()

    def test_nothing_is_overwritten(self):
        daemon = self.launch().wait_ready()
        post_some(daemon, 3)
        directory = self.scratch()
        kept = directory / "tc-index.db"
        kept.write_text("mine")
        done = run_once("backup", "--storage", daemon.storage, "--to", str(directory))
        self.assertEqual(done.returncode, 1)
        self.assertIn("is there already", done.stderr)
        self.assertEqual((kept.read_text(), [path.name for path in directory.iterdir()]), ("mine", ["tc-index.db"]))
        daemon.stop_clean()

    def test_what_cannot_be_done_is_said(self):
        scratch = self.scratch()
        for flags, code, words in (
            (("backup", "--storage", "sqlite:%s/none.db" % scratch, "--to", "x"), 1, "there is no log"),
            (("backup", "--storage", "memory:", "--to", "x"), 1, "not backed up"),
            (("backup", "--storage", "sqlite:tc.db"), 2, "needs --to"),
            (("backup", "--to"), 2, "--to needs a value"),
            (("verify", "--to", "x"), 2, "takes no --to"),
            (("verify", "--storge", "x"), 2, "did you mean"),
            (("verify", "--storage", "sqlite:%s/none.db" % scratch), 3, "there is no log"),
            (("verify", "--storage", "memory:"), 3, "cannot be read from outside"),
        ):
            with self.subTest(flags=flags):
                done = run_once(*flags, cwd=scratch)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(words, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertEqual(run_once("verify", "--help").returncode, 0)


@sqlite_only
class VerifyTest(OwnDaemonCase):
    """Each kind of damage is made in a log that was whole, by SQL."""

    def damaged(self, name, sql, expected, index=False):
        database = self.directory / name
        with self.subTest(name):
            for suffix in ("", "-index", "-work"):
                (self.directory / (name + suffix + ".db")).write_bytes((self.directory / ("tc" + suffix + ".db")).read_bytes())
            connection = sqlite3.connect(self.directory / (name + ("-index.db" if index else ".db")))
            for statement in sql:
                self.assertGreater(connection.execute(statement).rowcount, 0, statement)
            connection.commit()
            connection.close()
            done = verify("sqlite:%s.db" % database)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("damaged", done.stdout)
            self.assertRegex(done.stderr, expected)

    def test_damage_is_found(self):
        daemon = self.launch().wait_ready()
        post_some(daemon, 50)
        http = daemon.client()
        self.assertEqual(http.post("/api/tips/3/refund", {"amount": 1}).status, 201)
        http.close()
        wait_for(lambda: self.indexed(daemon), what="the index")
        # While it runs too, and as often as one likes.
        done = verify(daemon.storage)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, "101 events, 1 documents, 50 idempotency keys looked at: whole\n")
        daemon.stop_clean()
        self.directory = daemon.directory
        self.assertEqual(verify(daemon.storage).returncode, 0)
        # The last event is left alone: the index is tied to it, and made anew where it differs.
        self.damaged("hole", ["DELETE FROM events WHERE seq=7"], "events 7 to 7 are missing")
        self.damaged("id", ["UPDATE events SET id=4 WHERE seq=9"], "both number|not in the index|not those")
        self.damaged("key", ["UPDATE events SET \"key\"='room1-0' WHERE seq=5"], "has the idempotency key of event 1")
        self.damaged("ref", ["UPDATE events SET ref=2 WHERE kind=4"], "refund of event 2, which is no tip")
        self.damaged("kind", ["UPDATE events SET kind=60 WHERE seq=11"], "of no kind")
        self.damaged("time", ["UPDATE events SET created_at=created_at+1000 WHERE seq=11"], "not those")
        self.damaged("room", ["UPDATE events SET room='elsewhere' WHERE seq=11"], "room .* has ")
        self.damaged("bytes", ["UPDATE events SET body=CAST(x'ff' AS TEXT) WHERE seq=11"], "is no text")
        self.damaged("index", ["UPDATE chunks SET data=zeroblob(length(data))"], "is not in the index by its id|has \\d+ events that are not", index=True)

    def indexed(self, daemon):
        connection = sqlite3.connect("file:%s?mode=ro" % daemon.index, uri=True)
        cursor = connection.execute("SELECT cursor FROM state").fetchone()[0]
        connection.close()
        return cursor == 101

    def test_pages_that_are_torn_are_found(self):
        daemon = self.launch().wait_ready()
        post_some(daemon, 100)
        daemon.stop_clean()
        with open(daemon.database, "r+b") as file:
            file.seek(4096 * 4 + 8)
            file.write(b"\xff" * 64)
        done = verify(daemon.storage)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)

    def test_an_index_that_is_missing_is_no_damage(self):
        daemon = self.launch().wait_ready()
        post_some(daemon, 5)
        daemon.stop_clean()
        daemon.forget_index()
        done = verify(daemon.storage)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("made anew", done.stderr)

    def test_under_load_a_whole_log_is_whole(self):
        daemon = self.launch().wait_ready()
        load = Load(daemon)
        wait_for(lambda: len(load.acked) > 500, what="some load")
        for _ in range(3):
            done = verify(daemon.storage)
            self.assertEqual(done.returncode, 0, done.stderr)
        load.stop()
        daemon.stop_clean()


if __name__ == "__main__":
    unittest.main()
