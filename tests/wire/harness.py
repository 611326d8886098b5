"""Starts, stops, kills and restarts tipcurrentd for the tests, and the base of every test class."""

import functools
import hashlib
import http
import json
import os
import pathlib
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from client import Client, Connection

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TIPCURRENTD") or str(ROOT / "build" / "server" / "tipcurrentd")
POSTGRES = None  # run.py --storage postgresql: the server that all daemons of this run use, each with a schema of its own
START_S = 15.0
STOP_S = 15.0
TIMESTAMP = re.compile(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")


def wait_for(condition, timeout=10.0, what="the condition"):
    """Polls until condition() is true and returns what it said."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("%s did not come true within %.1f s" % (what, timeout))
        time.sleep(0.01)


def environment(extra=None):
    """The tests decide every option: nothing of the caller's TIPCURRENT_* leaks in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIPCURRENT_")}
    kept.update(extra or {})
    return kept


def stopped_by_its_bar(number, past, *arguments):
    """Runs a tool at a terminal and sends it a signal as soon as its bar says that more than so many events are stored: asking the log takes so long that it may be through. Gives how it ended."""
    terminal, theirs = pty.openpty()
    tool = subprocess.Popen([BINARY, *arguments], stdout=subprocess.DEVNULL, stderr=theirs, env=environment())
    os.close(theirs)
    seen = ""
    with open(terminal, "rb", buffering=0) as bar:
        try:
            while not any(int(stored) > past for stored in re.findall(r"(\d+) of \d+ events", seen)):
                seen += bar.read(4096).decode()
        except OSError:
            pass  # it has closed it: it is over
        tool.send_signal(number)
        return tool.wait(timeout=60)


def run_once(*flags, timeout=20, cwd=None, env=None):
    """Runs tipcurrentd to its end (for --check-config and refused starts)."""
    return subprocess.run([BINARY, *flags], capture_output=True, text=True, timeout=timeout, cwd=cwd, env=environment(env))


def schema_of(database):
    """The same path, the same schema."""
    return "w" + hashlib.sha256(str(database).encode()).hexdigest()[:16]


def storage_of(database):
    """The storage of a daemon whose files would be there."""
    return "sqlite:%s" % database if POSTGRES is None else POSTGRES.url(schema=schema_of(database))


def sqlite_only(test):
    """For tests of SQLite's files."""

    def skip_on_postgres(self, *args, **more):
        if POSTGRES is not None:
            self.skipTest("about SQLite's files")
        return test(self, *args, **more)

    if isinstance(test, type):
        test.setUp = sqlite_only(test.setUp)
        return test
    return functools.wraps(test)(skip_on_postgres)


class Daemon:
    """One tipcurrentd on a free port with files in a directory of its own."""

    def __init__(self, *flags, directory=None, listen="127.0.0.1:0", name="tc.db", storage=None, file_limit=None, env=None, prefix=()):
        self.prefix = list(prefix)  # what runs it: another network namespace
        self.host = "127.0.0.1"
        self.flags = list(flags)
        self.listen = listen
        self.env = env
        self.file_limit = file_limit  # bytes a file of this process may have: a disk that is full
        self.owns_directory = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="tipcurrent-wire-"))
        self.database = self.directory / name
        self.storage = storage or storage_of(self.database)
        self.index = self.directory / "tc-index.db"
        self.errors = self.directory / "stderr.log"
        self.process = None
        self.address = None

    def start(self):
        with open(self.errors, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, BINARY, "--listen", self.listen, "--storage", self.storage, *self.flags],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.directory,
                env=environment(self.env),
                restore_signals=self.file_limit is None,
            )
        self.limit_files(self.file_limit)
        line = self._first_line()
        found = re.match(r"\Alistening on http://(127\.0\.0\.1|0\.0\.0\.0):(\d+)\n\Z", line)
        if not found:
            self.kill()
            raise AssertionError("first line on stdout is %r; stderr: %s" % (line, self.stderr()))
        self.address = (self.host, int(found.group(2)))
        return self

    def limit_files(self, size):
        """Writes beyond that size fail from now on (EFBIG; the daemon was started with SIGXFSZ ignored, as Python itself runs). None lifts the limit."""
        hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))

    def _first_line(self):
        out, line, deadline = self.process.stdout, b"", time.monotonic() + START_S
        while not line.endswith(b"\n") and time.monotonic() < deadline:
            if select.select([out], [], [], 0.1)[0]:
                piece = os.read(out.fileno(), 1024)
                if not piece:
                    break
                line += piece
        return line.decode("utf-8", "replace")

    def wait(self):
        """The exit code of a daemon that is ending."""
        code = self.process.wait(STOP_S)
        self.process.stdout.close()
        self.process = None
        return code

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("still running %.0f s after SIGTERM; stderr: %s" % (STOP_S, self.stderr())) from None

    def kill(self):
        if self.process:
            self.process.kill()
            self.wait()

    def stop_clean(self):
        code = self.stop()
        if code != 0:
            raise AssertionError("exit code %d after SIGTERM; stderr: %s" % (code, self.stderr()))

    def clean_up(self):
        self.kill()
        if self.owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def forget_index(self):
        """What is derived is gone; the daemon must not run."""
        if POSTGRES is not None:
            POSTGRES.sql("DELETE FROM %s.meta WHERE name='index_version'" % schema_of(self.database))
        for path in self.directory.glob("tc-index.db*"):
            path.unlink()

    def forget(self):
        """The log and all that belongs to it is gone; the daemon must not run."""
        if POSTGRES is not None:
            POSTGRES.sql("SET client_min_messages=error; DROP SCHEMA %s CASCADE" % schema_of(self.database))
        for path in self.directory.glob("tc*"):
            path.unlink()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stderr(self, limit=4000):
        try:
            return self.errors.read_text("utf-8", "replace")[-limit:]
        except OSError:
            return ""

    def memory_kib(self, field):
        """VmRSS or VmHWM of the process."""
        for line in pathlib.Path("/proc/%d/status" % self.process.pid).read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise AssertionError("no %s in /proc" % field)

    def client(self, timeout=10.0):
        return Client(self.address, timeout)

    def connect(self, timeout=10.0):
        return Connection(self.address, timeout)

    def ready(self):
        client = self.client()
        try:
            return client.get("/readyz").status == 200
        finally:
            client.close()

    def wait_ready(self, timeout=30.0):
        wait_for(self.ready, timeout, "readiness (stderr: %s)" % self.stderr())
        return self


class WireCase(unittest.TestCase):
    """One daemon per class, started with cls.flags; stopping it must end in exit code 0."""

    flags = ()
    daemon = None

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(*cls.flags)
        cls.addClassCleanup(cls.daemon.clean_up)
        cls.daemon.start().wait_ready()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop_clean()

    def setUp(self):
        self.http = self.daemon.client()
        self.addCleanup(self.http.close)

    def explain(self):
        """What the runner prints below a failure."""
        state = "running" if self.daemon.running() else "NOT running"
        return "daemon %s, its stderr ends:\n%s" % (state, self.daemon.stderr() or "(empty)")

    def connect(self, timeout=10.0):
        connection = self.daemon.connect(timeout)
        self.addCleanup(connection.close)
        return connection

    def check_error(self, answer, status, path, naming=None):
        """The error JSON of contract.md 1.10: four keys in this order, then message."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.header("Content-Type"), "application/json", answer)
        pairs = list(answer.json.items())
        self.assertEqual([key for key, _ in pairs], ["timestamp", "status", "error", "path", "message"], answer)
        value = answer.json
        self.assertRegex(value["timestamp"], TIMESTAMP)
        self.assertEqual(value["status"], status)
        if status not in (413, 422):  # RFC 9110 has renamed these two
            self.assertEqual(value["error"], http.HTTPStatus(status).phrase)
        self.assertEqual(value["path"], path)
        self.assertTrue(value["message"], answer)
        if naming is not None:
            self.assertIn(naming, value["message"])

    def create(self, target, value, key=None, status=201):
        answer = self.http.post(target, value, key)
        self.assertEqual(answer.status, status, answer)
        return answer

    def page(self, target):
        answer = self.http.get(target)
        self.assertEqual(answer.status, 200, answer)
        return answer.json


class OwnDaemonCase(unittest.TestCase):
    """For tests that start, kill and damage daemons of their own."""

    def setUp(self):
        self.daemons = []

    def launch(self, *flags, **options):
        daemon = Daemon(*flags, **options)
        self.daemons.append(daemon)
        self.addCleanup(daemon.clean_up)
        return daemon.start()

    def scratch(self):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="tipcurrent-wire-"))
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        return directory

    def explain(self):
        return "\n".join("daemon %s, its stderr ends:\n%s" % ("running" if d.running() else "NOT running", d.stderr()) for d in self.daemons)


TIP = {"roomId": "room1", "senderId": "alice", "recipientId": "bob", "amount": 100.00}


def tip(room="room1", sender="alice", recipient="bob", amount="100.00", **more):
    """A tip's JSON text with the amount's own digits."""
    members = {"roomId": room, "senderId": sender, "recipientId": recipient, **more}
    text = json.dumps(members, ensure_ascii=False)
    return text[:-1] + ', "amount": %s}' % amount


def reaction(room="room1", user="alice", emoji="\U0001f525", **more):
    return {"roomId": room, "userId": user, "emoji": emoji, **more}
