"""Files: a foreign write lock (O-44), wrong and damaged files (O-46), second daemons, and the derived file rebuilt while the daemon serves."""

import hashlib
import os
import pathlib
import shutil
import sqlite3
import subprocess
import threading
import time
import unittest

from harness import OwnDaemonCase, run_once, sqlite_only, tip, wait_for
from locks import lock_log


class LockedLogTest(OwnDaemonCase):
    """O-44"""

    def post_fifty(self, daemon):
        answers = {}

        def post(i):
            client = daemon.client(30.0)
            begun = time.monotonic()
            answers[i] = (client.post("/api/tips", tip("locked", amount=str(i + 1)), "locked-%d" % i), time.monotonic() - begun)
            client.close()

        threads = [threading.Thread(target=post, args=(i,)) for i in range(50)]
        for thread in threads:
            thread.start()
        return threads, answers

    def test_fifty_posts_outlast_a_lock_of_three_seconds(self):
        daemon = self.launch().wait_ready()
        http = daemon.client()
        first = http.post("/api/tips", tip("locked"))
        lock = lock_log(daemon)
        held = time.monotonic()
        threads, answers = self.post_fifty(daemon)
        reads = 0
        while time.monotonic() - held < 3.0:
            begun = time.monotonic()
            self.assertEqual(http.get("/api/tips/%d" % first.json["id"]).body, first.body)
            self.assertEqual(http.get("/api/tips?roomId=locked").json["totalElements"], 1)
            self.assertLess(time.monotonic() - begun, 1.0)
            reads += 1
        self.assertGreater(reads, 3)
        self.assertEqual(answers, {})
        lock.leave()
        for thread in threads:
            thread.join(30)
        self.assertEqual({answer.status for answer, _ in answers.values()}, {201})
        self.assertEqual(http.get("/api/tips?roomId=locked").json["totalElements"], 51)
        for i, (answer, _) in answers.items():
            self.assertEqual(http.post("/api/tips", tip("locked", amount=str(i + 1)), "locked-%d" % i).body, answer.body)
        http.close()
        daemon.stop_clean()

    def test_a_lock_beyond_the_deadline_is_a_clean_503(self):
        daemon = self.launch("--create-deadline-ms", "1000").wait_ready()
        lock = lock_log(daemon)
        threads, answers = self.post_fifty(daemon)
        for thread in threads:
            thread.join(30)
        self.assertEqual({answer.status for answer, _ in answers.values()}, {503})
        for answer, took in answers.values():
            self.assertGreater(took, 0.5)
            self.assertLess(took, 4.0)
            self.assertTrue(answer.header("Retry-After"))
            self.assertEqual(answer.json["status"], 503)
        lock.leave()
        http = daemon.client()
        self.assertEqual(http.get("/api/tips?roomId=locked").json["totalElements"], 0)
        # Nothing was stored, so no key is burnt.
        self.assertEqual({http.post("/api/tips", tip("locked", amount=str(i + 1)), "locked-%d" % i).status for i in range(50)}, {201})
        self.assertEqual(http.get("/api/tips?roomId=locked").json["totalElements"], 50)
        http.close()
        daemon.stop_clean()


@sqlite_only
class RefusedFilesTest(OwnDaemonCase):
    """O-46"""

    def check_refused(self, path, code=1):
        """The start fails with one line that names the path, and the directory is as it was."""
        directory = pathlib.Path(path).parent
        before = self.picture(directory)
        try:
            ended = run_once("--listen", "127.0.0.1:0", "--storage", "sqlite:%s" % path, timeout=5)
        except subprocess.TimeoutExpired:
            self.fail("%s is served instead of refused" % path)
        self.assertEqual(ended.returncode, code, ended)
        self.assertEqual(ended.stdout, "")
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertIn(str(path), ended.stderr)
        self.assertEqual(self.picture(directory), before)
        return ended.stderr

    def picture(self, directory):
        if not directory.is_dir() or directory == pathlib.Path("/proc"):
            return None
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "" for path in directory.iterdir()}

    def full_database(self):
        daemon = self.launch().wait_ready()
        http = daemon.client()
        lines = "\n".join(tip("full", "s%d" % i, message="x" * 500) for i in range(2000))
        self.assertEqual(http.request("POST", "/api/tips:batch", lines, [("Content-Type", "application/x-ndjson")]).status, 200)
        http.close()
        daemon.stop_clean()
        return daemon

    def test_foreign_files(self):
        directory = self.scratch()
        for name, content in (
            ("text.db", b"not a database, but somebody's thesis\n" * 28),
            ("short.db", b"x"),
            ("zeros.db", b"\0" * 8192),
            ("half-head.db", b"SQLite format 3\0"),
        ):
            with self.subTest(name):
                path = directory / name
                path.write_bytes(content)
                self.check_refused(path)

    def test_another_programs_database(self):
        path = self.scratch() / "other.db"
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE events(a)")
        other.close()
        self.check_refused(path)

    def test_directories(self):
        directory = self.scratch()
        (directory / "inner.db").mkdir()
        self.check_refused(directory / "inner.db")
        self.check_refused(directory / "missing" / "tc.db")
        self.check_refused("/proc/tc.db")
        if os.geteuid() != 0:  # root may write anywhere
            sealed = directory / "sealed"
            sealed.mkdir(mode=0o555)
            self.check_refused(sealed / "tc.db")

    def test_truncated_copy(self):
        whole = self.full_database().database
        self.assertGreater(whole.stat().st_size, 1000000)
        directory = self.scratch()
        for keep in (0.5, 0.99, 4096 / whole.stat().st_size, 100 / whole.stat().st_size):
            with self.subTest(keep):
                copy = directory / "copy.db"
                copy.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * keep)])
                self.check_refused(copy)

    def test_a_whole_copy_is_served(self):
        """The counterpart: what is refused above is refused for what is missing, not for being a copy."""
        original = self.full_database()
        directory = self.scratch()
        shutil.copy(original.database, directory / "tc.db")
        daemon = self.launch(directory=directory).wait_ready()
        self.assertEqual(daemon.client().get("/api/tips").json["totalElements"], 2000)
        daemon.stop_clean()

    def test_other_urls(self):
        for url in ("", "tc.db", "postgres://localhost/x", "sqlite:", "mysql:x"):
            with self.subTest(url):
                ended = run_once("--listen", "127.0.0.1:0", "--storage", url, cwd=self.scratch())
                self.assertIn(ended.returncode, (1, 2))
                self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)


class SecondDaemonTest(OwnDaemonCase):
    @sqlite_only
    def test_the_same_files_are_refused(self):
        daemon = self.launch().wait_ready()
        http = daemon.client()
        self.assertEqual(http.post("/api/tips", tip(), "second").status, 201)
        ended = run_once("--listen", "127.0.0.1:0", "--storage", daemon.storage)
        self.assertEqual((ended.returncode, ended.stdout), (1, ""), ended)
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertIn(str(daemon.database), ended.stderr)
        self.assertEqual(http.post("/api/tips", tip(), "second").status, 200)
        http.close()
        daemon.stop_clean()
        # Released: the next one may.
        self.launch(directory=daemon.directory).wait_ready().stop_clean()

    def test_a_taken_port(self):
        daemon = self.launch()
        directory = self.scratch()
        address = "%s:%d" % daemon.address
        ended = run_once("--listen", address, "--storage", "sqlite:%s" % (directory / "tc.db"))
        self.assertEqual((ended.returncode, ended.stdout), (1, ""), ended)
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertIn(address, ended.stderr)
        daemon.stop_clean()

    @sqlite_only
    def test_the_same_files_by_another_name(self):
        """A link is the same file: two writers on one log must not be, however they are named."""
        daemon = self.launch().wait_ready()
        http = daemon.client()
        self.assertEqual(http.post("/api/tips", tip(), "second").status, 201)
        for link in (daemon.directory / "link.db", self.scratch() / "link.db"):
            link.symlink_to(daemon.database)
            with self.subTest(link):
                ended = run_once("--listen", "127.0.0.1:0", "--storage", "sqlite:%s" % link, timeout=5)
                self.assertEqual((ended.returncode, ended.stdout), (1, ""), ended)
        self.assertEqual(http.post("/api/tips", tip(), "second").status, 200)
        http.close()
        daemon.stop_clean()


@sqlite_only
class NamesTest(OwnDaemonCase):
    def test_paths_of_every_kind(self):
        """What SQLite's URIs, SQL and shells find special is a plain path here; the companion stands beside it."""
        for name, index in (
            ("plain", "plain-index"),
            ("a b.db", "a b-index.db"),
            ("q?mode=ro.db", "q?mode=ro-index.db"),
            ("h#x.db", "h#x-index.db"),
            ("p%20q.db", "p%20q-index.db"),
            ('it\'s "x".db', 'it\'s "x"-index.db'),
            ("\U0001f525.db", "\U0001f525-index.db"),
            ("two.dots.db", "two.dots-index.db"),
            ("dir.d/plain", "dir.d/plain-index"),
        ):
            with self.subTest(name):
                directory = self.scratch()
                (directory / "dir.d").mkdir()
                daemon = self.launch(directory=directory, name=name).wait_ready()
                http = daemon.client()
                created = http.post("/api/tips", tip("names"), "k")
                self.assertEqual(created.status, 201)
                http.close()
                daemon.stop_clean()
                self.assertTrue((directory / name).is_file())
                self.assertTrue((directory / index).is_file(), sorted(path.name for path in directory.rglob("*")))
                daemon.start().wait_ready()
                http = daemon.client()
                self.assertEqual(http.get("/api/tips?roomId=names").json["content"], [created.json])
                http.close()
                daemon.stop_clean()

    def test_memory(self):
        """Nothing on disk; the same behaviour."""
        directory = self.scratch()
        daemon = self.launch(storage="memory:", directory=directory)
        http = daemon.wait_ready().client()
        created = http.post("/api/tips", tip("memory"), "k")
        self.assertEqual([created.status, http.post("/api/tips", tip("memory"), "k").status], [201, 200])
        self.assertEqual(http.get("/api/tips?roomId=memory").json["content"], [created.json])
        http.close()
        daemon.stop_clean()
        self.assertEqual([path.name for path in directory.iterdir()], ["stderr.log"])


@sqlite_only
class RebuildTest(OwnDaemonCase):
    EVENTS = 200000

    def fill(self, http, count):
        for start in range(0, count, 10000):
            lines = "\n".join(
                '{"roomId":"r%d","senderId":"s%d","recipientId":"b","amount":1,"idempotencyKey":"k%d"}' % (i % 100, i % 1000, i)
                for i in range(start, min(start + 10000, count))
            )
            answer = http.request("POST", "/api/tips:batch", lines, [("Content-Type", "application/x-ndjson")])
            self.assertEqual(answer.text.count('{"status":201,'), min(10000, count - start))

    def test_the_derived_file_is_rebuilt_behind(self):
        daemon = self.launch().wait_ready()
        http = daemon.client(60.0)
        self.fill(http, self.EVENTS)
        before = http.get("/api/tips?roomId=r7&size=1000").body
        http.close()
        daemon.stop_clean()
        for path in daemon.directory.glob("tc-index.db*"):
            path.unlink()
        # A small tail: the backlog must not hide in memory.
        daemon = self.launch("--tail-max-events", "4096", directory=daemon.directory)
        http = daemon.client(60.0)
        progress = []
        refused = 0

        def settled():
            nonlocal refused
            self.assertEqual(http.get("/livez").status, 200)
            answer = http.get("/readyz")
            value = answer.json
            progress.append((answer.status, value["logSeq"], value["indexSeq"]))
            listed = http.get("/api/tips?roomId=r7&size=1000")
            keyed = http.post("/api/tips", '{"roomId":"r0","senderId":"s0","recipientId":"b","amount":1}', "k0")
            for answer, good in ((listed, 200), (keyed, 200)):
                self.assertIn(answer.status, (good, 503), answer)
                if answer.status == 503:
                    refused += 1
                    self.assertTrue(answer.header("Retry-After"))
            if listed.status == 200:
                self.assertEqual(listed.body, before)
            return progress[-1][0] == 200

        wait_for(settled, 60.0, "the rebuild")
        self.assertEqual(progress[0][0], 503, "the rebuild of %d events was never seen" % self.EVENTS)
        self.assertGreater(refused, 0)
        self.assertTrue(all(log == self.EVENTS for _, log, _ in progress), progress)
        done = [index for _, _, index in progress]
        self.assertEqual(done, sorted(done))
        self.assertEqual(http.get("/api/tips").json["totalElements"], self.EVENTS)
        self.assertEqual(http.get("/api/tips?roomId=r7&size=1000").body, before)
        http.close()
        daemon.stop_clean()

    def test_a_bad_derived_file_is_replaced(self):
        daemon = self.launch().wait_ready()
        http = daemon.client()
        self.fill(http, 3000)
        before = http.get("/api/tips?senderId=s7&size=1000").body
        http.close()
        daemon.stop_clean()
        foreign = self.launch().wait_ready()
        http = foreign.client()
        self.fill(http, 10)
        http.close()
        foreign.stop_clean()
        whole = daemon.index.read_bytes()
        damaged = bytearray(whole)
        damaged[0:100] = b"\xff" * 100
        for name, content in (
            ("text", b"no index at all\n" * 100),
            ("empty", b""),
            ("truncated", whole[: len(whole) // 2]),
            ("damaged head", bytes(damaged)),
            ("foreign", foreign.index.read_bytes()),
        ):
            with self.subTest(name):
                for path in daemon.directory.glob("tc-index.db*"):
                    path.unlink()
                daemon.index.write_bytes(content)
                daemon.start().wait_ready()
                http = daemon.client()
                self.assertEqual(http.get("/api/tips?senderId=s7&size=1000").body, before)
                self.assertEqual(http.get("/api/tips").json["totalElements"], 3000)
                self.assertEqual(http.post("/api/tips", '{"roomId":"r0","senderId":"s0","recipientId":"b","amount":1}', "k0").status, 200)
                http.close()
                daemon.stop_clean()

    def test_a_stale_derived_file_catches_up(self):
        daemon = self.launch().wait_ready()
        http = daemon.client()
        self.fill(http, 100)
        http.close()
        daemon.stop_clean()
        stale = daemon.index.read_bytes()
        daemon.start().wait_ready()
        http = daemon.client()
        for i in range(50):
            self.assertEqual(http.post("/api/tips", tip("later"), "later-%d" % i).status, 201)
        http.close()
        daemon.stop_clean()
        daemon.index.write_bytes(stale)
        daemon.start().wait_ready()
        http = daemon.client()
        self.assertEqual(http.get("/api/tips?roomId=later").json["totalElements"], 50)
        self.assertEqual(http.get("/api/tips").json["totalElements"], 150)
        self.assertEqual({http.post("/api/tips", tip("later"), "later-%d" % i).status for i in range(50)}, {200})
        http.close()
        daemon.stop_clean()


if __name__ == "__main__":
    unittest.main()
