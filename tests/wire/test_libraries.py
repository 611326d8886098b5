"""A machine without libcurl or libpq, which the daemon loads when they are wanted: before the real ones the linker finds files of their names that are none."""

import unittest

from harness import OwnDaemonCase, run_once, sqlite_only, tip


@sqlite_only
class MissingTest(OwnDaemonCase):
    def broken(self, *names):
        directory = self.scratch()
        for name in names:
            (directory / name).write_bytes(b"")
        return {"LD_LIBRARY_PATH": str(directory)}

    def test_without_libcurl(self):
        daemon = self.launch(env=self.broken("libcurl.so.4", "libpq.so.5"))
        http = daemon.client()
        self.addCleanup(http.close)
        self.assertEqual(http.post("/api/tips", tip()).status, 201)
        answer = http.post("/api/webhooks", {"url": "https://example.com/", "event": "tip.created", "secret": "s", "description": ""})
        self.assertEqual((answer.status, answer.json["error"]), (501, "Not Implemented"), answer)
        self.assertRegex(answer.json["message"], r"\Awebhooks cannot be sent: libcurl\.so\.4 cannot be loaded: .+")
        self.assertEqual(http.get("/api/webhooks").json, [])
        daemon.stop_clean()

    def test_without_libpq(self):
        ended = run_once("--listen", "127.0.0.1:0", "--storage", "postgresql://nobody@127.0.0.1:1/x", cwd=self.scratch(), env=self.broken("libpq.so.5"))
        if "no backend serves" in ended.stderr:
            self.skipTest("built without PostgreSQL")
        self.assertNotEqual(ended.returncode, 0)
        self.assertEqual(ended.stdout, "")
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertIn("libpq.so.5 cannot be loaded: ", ended.stderr)


if __name__ == "__main__":
    unittest.main()
