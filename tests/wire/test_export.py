"""tipcurrentd export: what comes out is what the log has, on SQLite and PostgreSQL, beside a daemon that runs."""

import csv
import io
import json
import os
import pty
import subprocess
import unittest

import harness
from harness import OwnDaemonCase, WireCase, reaction, run_once, tip

NASTY = ['=HYPERLINK("x")', "+1", "-1", "@x", "\tx", "\rx", 'quote " and, comma', "two\r\nlines", "", " ", "\U0001f525 \u00e4\u4e2d", "'=1"]


def export(storage, *flags):
    done = subprocess.run([harness.BINARY, "export", "--storage", storage, *flags], capture_output=True, timeout=60, env=harness.environment())
    assert done.returncode == 0, done.stderr
    return done.stdout.decode(), done.stderr.decode()


class ExportTest(WireCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        http = cls.daemon.client()
        for i, text in enumerate(NASTY):
            for target, value in (("/api/tips", tip("r", message=text, metadata=text, amount="%d.5" % (i + 1))), ("/api/reactions", reaction("r", targetId=text))):
                assert http.post(target, value).status == 201
        assert http.post("/api/tips", tip("r", currency="EUR")).status == 201
        assert http.post("/api/tips/1/refund", {"amount": 0.5, "reason": "-because"}).status == 201
        assert http.post("/api/events", {"type": "raid", "roomId": "r", "userId": "u", "count": 7}).status == 201
        assert http.post("/api/event-types", {"name": "hype"}).status == 201
        assert http.post("/api/events", {"type": "hype", "roomId": "r", "userId": "u"}).status == 201
        http.close()

    def test_lines_are_the_events_with_seq(self):
        out, err = export(self.daemon.storage)
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([line["seq"] for line in lines], list(range(1, len(NASTY) * 2 + 5)))
        self.assertEqual([line["kind"] for line in lines[-4:]], ["tip", "tip.refunded", "raid", "hype"])
        self.assertIn("up to event %d" % len(lines), err)
        for line in lines:
            target = {"tip": "tips", "reaction": "reactions"}.get(line["kind"])
            if target:
                told = self.http.get("/api/%s/%d" % (target, line["id"])).json
                told.pop("refundedAmount", None)
                self.assertEqual({key: value for key, value in line.items() if key not in ("seq", "kind")}, told)
        # Byte for byte: the JSON is the event's own.
        first = self.http.get("/api/reactions/1").text
        self.assertIn('{"seq":2,"kind":"reaction",' + first[1:] + "\n", out)

    def test_kinds_and_the_place_to_go_on(self):
        tips = [json.loads(line) for line in export(self.daemon.storage, "--kind", "tips")[0].splitlines()]
        self.assertEqual([line["id"] for line in tips], list(range(1, len(NASTY) + 2)))
        reactions = [json.loads(line) for line in export(self.daemon.storage, "--kind=reactions", "--after", "4")[0].splitlines()]
        self.assertEqual([line["id"] for line in reactions], list(range(3, len(NASTY) + 1)))
        end = len(NASTY) * 2 + 4
        self.assertEqual(export(self.daemon.storage, "--after", str(end))[0], "")
        self.assertEqual(export(self.daemon.storage, "--after", str(10**15))[0], "")

    def test_csv_reads_back_and_no_cell_is_a_formula(self):
        for kind in ("tips", "reactions", "all"):
            with self.subTest(kind):
                out, _ = export(self.daemon.storage, "--kind", kind, "--format", "csv")
                self.assertTrue(out.endswith("\r\n"))
                rows = list(csv.DictReader(io.StringIO(out, newline=""), strict=True))
                lines = [json.loads(line) for line in export(self.daemon.storage, "--kind", kind)[0].splitlines()]
                self.assertEqual([int(row["seq"]) for row in rows], [line["seq"] for line in lines])
                for row, line in zip(rows, lines):
                    for name, value in row.items():
                        if name not in ("amount", "seq", "id"):
                            self.assertNotIn(value[:1] or "x", "=+-@\t\r", row)
                    for name in ("message", "metadata", "targetId", "reason", "roomId", "createdAt", "currency"):
                        if name in row:
                            value = line.get(name) or ""
                            self.assertEqual(row[name], "'" + value if value[:1] and value[0] in "=+-@\t\r" else value)
        self.assertEqual(export(self.daemon.storage, "--kind", "tips", "--format", "csv")[0].splitlines()[0], "seq,id,roomId,senderId,recipientId,amount,currency,message,metadata,createdAt,irregular")
        tips = list(csv.DictReader(io.StringIO(export(self.daemon.storage, "--kind", "tips", "--format", "csv")[0], newline="")))
        self.assertEqual([row["amount"] for row in tips], ["%d.50" % (i + 1) for i in range(len(NASTY))] + ["100.00"])
        self.assertEqual(tips[-1]["currency"], "EUR")

    def test_an_absent_text_is_no_empty_one(self):
        out, _ = export(self.daemon.storage, "--kind", "tips", "--format", "csv")
        self.assertIn(',9.50,,"","",', out)
        self.assertIn(",100.00,EUR,,,", out)

    def test_arguments(self):
        for flags, words in ((("--kind", "tip"), "--kind"), (("--format", "xml"), "--format"), (("--after", "-1"), "--after"), (("--after", "9" * 19), "--after"), (("--to", "x"), "takes no --to")):
            with self.subTest(flags=flags):
                done = run_once("export", "--storage", self.daemon.storage, *flags)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(words, done.stderr)


    def test_progress_is_a_bar_on_a_terminal_and_silent_lines_elsewhere(self):
        ours, theirs = pty.openpty()
        try:
            done = subprocess.run([harness.BINARY, "verify", "--storage", self.daemon.storage], stdout=subprocess.PIPE, stderr=theirs, timeout=60, env=harness.environment())
            self.assertEqual(done.returncode, 0)
            shown = os.read(ours, 65536).decode()
        finally:
            os.close(ours)
            os.close(theirs)
        self.assertRegex(shown, r"\r\x1b\[K\[#+\.*\] +\d+%  \d+ of \d+ events")
        self.assertTrue(shown.endswith("\r\x1b[K"))  # it is taken away
        _, err = export(self.daemon.storage)
        self.assertNotIn("\x1b", err)
        self.assertEqual(len(err.splitlines()), 1)


class FailureTest(OwnDaemonCase):
    def test_a_full_disk_and_a_log_that_is_not_there(self):
        daemon = self.launch().wait_ready()
        http = daemon.client()
        http.post("/api/tips", tip("r"))
        http.close()
        with open("/dev/full", "wb") as full:
            done = subprocess.run([harness.BINARY, "export", "--storage", daemon.storage], stdout=full, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cannot write to stdout", done.stderr)
        daemon.stop_clean()
        daemon.forget()
        done = run_once("export", "--storage", daemon.storage)
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no log", done.stderr)

    def test_memory_is_bounded(self):
        """200 MB of log go through a process of 40 MB."""
        daemon = self.launch().wait_ready()
        http = daemon.client(60.0)
        line = tip("big", metadata="x" * 20000).encode()
        for _ in range(12):
            self.assertEqual(http.request("POST", "/api/tips:batch", b"\n".join([line] * 700), [("Content-Type", "application/x-ndjson")]).status, 200)
        http.close()
        exporting = subprocess.Popen([harness.BINARY, "export", "--storage", daemon.storage], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        total, peak = 0, 0
        while True:
            piece = exporting.stdout.read(1 << 20)
            total += len(piece)
            with open("/proc/%d/status" % exporting.pid) as status:
                peak = max([peak, *(int(row.split()[1]) for row in status if row.startswith("VmHWM"))])
            if not piece:
                break
        self.assertEqual(exporting.wait(), 0)
        exporting.stdout.close()
        self.assertGreater(total, 160 << 20)
        self.assertLess(peak, 64 << 10)
        daemon.stop_clean()


if __name__ == "__main__":
    unittest.main()
