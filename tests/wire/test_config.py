"""Options: flags, environment, file, their order, and one clear line for each mistake."""

import subprocess
import unittest

from client import Connection
from harness import BINARY, OwnDaemonCase, environment, run_once, tip


class ConfigErrorTest(OwnDaemonCase):
    def check_line(self, ended, *words):
        self.assertEqual((ended.returncode, ended.stdout), (2, ""), ended)
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        for word in words:
            self.assertIn(word, ended.stderr)

    def test_bad_flags(self):
        for flags, words in (
            (("--no-such-flag", "1"), ("no-such-flag",)),
            (("--lisen", "127.0.0.1:0"), ("lisen",)),
            (("--kitchen-threads", "x"), ("kitchen", "x")),
            (("--kitchen-threads", "-1"), ("kitchen", "-1")),
            (("--create-deadline-ms", "99999999999999999999"), ("create", "99999999999999999999")),
            (("--max-body-bytes", "1e9"), ("max", "1e9")),
            (("--idempotency-mismatch", "maybe"), ("idempotency", "maybe")),
            (("--log-level", "loud"), ("log", "loud")),
            (("--listen", "nowhere"), ("listen", "nowhere")),
            (("--listen", "127.0.0.1:99999"), ("listen", "99999")),
            (("--idempotency-ttl-s", ""), ("idempotency",)),
            (("--idempotency-ttl-s",), ("idempotency",)),
            (("stray",), ("stray",)),
        ):
            with self.subTest(flags):
                self.check_line(run_once(*flags, cwd=self.scratch()), *words)

    def test_bad_environment(self):
        ended = run_once("--check-config", env={"TIPCURRENT_KITCHEN_THREADS": "many"}, cwd=self.scratch())
        self.check_line(ended, "TIPCURRENT_KITCHEN_THREADS", "many")

    def test_bad_files(self):
        directory = self.scratch()
        path = directory / "tc.conf"
        for text, words in (
            ("kitchen_threads = many\n", ("kitchen_threads", "many", "tc.conf")),
            ("no_such_key = 1\n", ("no_such_key", "tc.conf")),
            ("[tipcurrent]\nlog_level = loud\n", ("log_level", "loud")),
            ("[other]\nlisten = 127.0.0.1:0\n", ("tc.conf",)),
            ("this is no line\n", ("tc.conf",)),
        ):
            with self.subTest(text):
                path.write_text(text)
                self.check_line(run_once("--check-config", "--config", str(path)), *words)
        self.check_line(run_once("--check-config", "--config", str(directory / "missing.conf")), "missing.conf")

    def test_check_config(self):
        directory = self.scratch()
        ended = run_once("--check-config", cwd=directory)
        self.assertEqual(ended.returncode, 0, ended)
        self.assertEqual(list(directory.iterdir()), [])

    def test_defaults_are_a_valid_file(self):
        directory = self.scratch()
        ended = run_once("--print-defaults", cwd=directory)
        self.assertEqual(ended.returncode, 0)
        for key in ("listen", "storage", "allowed_hosts", "origins", "max_body_bytes", "idempotency_ttl_s", "idempotency_mismatch", "create_deadline_ms"):
            self.assertRegex(ended.stdout, r"(?m)^[;# ]*%s *=" % key)
        path = directory / "defaults.conf"
        path.write_text(ended.stdout)
        again = run_once("--check-config", "--config", str(path), cwd=directory)
        self.assertEqual(again.returncode, 0, again)

    def test_help_and_version(self):
        ended = run_once("--help")
        self.assertEqual(ended.returncode, 0)
        self.assertIn("--listen", ended.stdout)
        ended = run_once("--version")
        self.assertEqual(ended.returncode, 0)
        self.assertIn("0.1.0", ended.stdout)


class PrecedenceTest(OwnDaemonCase):
    """flag > environment > file > default, seen through the body limit."""

    def limit(self, *flags, **env):
        """The largest power of two that a body may have."""
        directory = self.scratch()
        process = subprocess.Popen(
            [BINARY, "--listen", "127.0.0.1:0", "--storage", "sqlite:%s" % (directory / "tc.db"), *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(env),
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait, 20)
        self.addCleanup(process.terminate)
        line = process.stdout.readline().decode()
        address = ("127.0.0.1", int(line.rsplit(":", 1)[1]))
        for power in range(12, 24):
            body = tip("limit")
            with Connection(address) as connection:
                answer = connection.request(
                    "POST", "/api/tips", body + " " * ((1 << power) - len(body)), [("Content-Type", "application/json"), ("Expect", "100-continue")]
                )
                while answer.status == 100:
                    answer = connection.read_response()
            if answer.status == 413:
                return 1 << (power - 1)
        return None

    def test_precedence(self):
        path = self.scratch() / "tc.conf"
        path.write_text("; ours\n[tipcurrent]\nmax_body_bytes = 16384\n")
        file = ("--config", str(path))
        self.assertEqual(self.limit(), 1048576)
        self.assertEqual(self.limit(*file), 16384)
        self.assertEqual(self.limit(*file, TIPCURRENT_MAX_BODY_BYTES="32768"), 32768)
        self.assertEqual(self.limit(*file, "--max-body-bytes", "65536", TIPCURRENT_MAX_BODY_BYTES="32768"), 65536)
        self.assertEqual(self.limit("--max-body-bytes=65536"), 65536)


if __name__ == "__main__":
    unittest.main()
