"""Who may come: Host and Origin guards, CORS, and the refusal to listen wide without keys (design.md section 5)."""

import os
import pathlib
import time
import unittest

from client import JSON_TYPE, Connection, WireError
from harness import OwnDaemonCase, WireCase, run_once, tip


class HostTest(WireCase):
    def get(self, host):
        connection = self.connect()
        return connection.request("GET", "/api/tips?size=1", headers=[("Host", host)])

    def test_loopback_names_are_served(self):
        port = self.daemon.address[1]
        for host in ("localhost", "localhost:%d" % port, "127.0.0.1", "127.0.0.1:%d" % port, "[::1]", "[::1]:%d" % port, "LocalHost", "localhost:1"):
            with self.subTest(host):
                self.assertEqual(self.get(host).status, 200)

    def test_other_names_are_misdirected(self):
        """DNS rebinding: the browser sends the attacker's name."""
        for host in (
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evil.example:8080",
            "evil-localhost",
            "192.168.0.1",
            "localhost@evil.example",
            "[::2]",
        ):
            with self.subTest(host):
                answer = self.get(host)
                self.assertIn(answer.status, (400, 421))
                self.check_error(answer, answer.status, "/api/tips")
        self.assertEqual(self.get("evil.example").status, 421)

    def test_nothing_is_stored_for_a_wrong_host(self):
        before = self.page("/api/tips?size=1")["totalElements"]
        answer = self.connect().request("POST", "/api/tips", tip("host"), [("Host", "evil.example"), JSON_TYPE])
        self.assertEqual(answer.status, 421)
        self.assertEqual(self.page("/api/tips?size=1")["totalElements"], before)

    def test_the_absolute_form_does_not_go_round_the_guard(self):
        """RFC 9112 3.2.2: the target's authority replaces Host."""
        answer = self.connect().request("GET", "http://evil.example/api/tips", headers=[("Host", "evil.example")])
        self.assertEqual(answer.status, 421)
        answer = self.connect().request("GET", "http://evil.example/api/tips", headers=[("Host", "localhost")])
        self.assertIn(answer.status, (400, 421))


class OriginTest(WireCase):
    ALLOWED = ("null", "http://localhost:3000", "http://127.0.0.1", "https://localhost", "http://[::1]:5173")
    REFUSED = (
        "http://evil.example",
        "http://localhost.evil.example",
        "http://127.0.0.1.nip.io",
        "https://evil.example:443",
        "http://localhost@evil.example",
        "file://",
        "",
    )

    def test_allowed_origins_are_echoed(self):
        own = "http://%s:%d" % self.daemon.address
        for origin in (*self.ALLOWED, own):
            with self.subTest(origin):
                for answer in (self.http.get("/api/tips", [("Origin", origin)]), self.http.post("/api/tips", tip("origin"), headers=[("Origin", origin)])):
                    self.assertIn(answer.status, (200, 201))
                    self.assertEqual(answer.all("Access-Control-Allow-Origin"), [origin])
                    self.assertIn("Origin", answer.header("Vary"))

    def test_errors_carry_cors_too(self):
        """Otherwise a page of an allowed origin cannot read why its request failed."""
        answer = self.http.post("/api/tips", "{}", headers=[("Origin", "http://localhost:3000")])
        self.assertEqual(answer.status, 400)
        self.assertEqual(answer.header("Access-Control-Allow-Origin"), "http://localhost:3000")

    def test_foreign_origins_are_refused(self):
        before = self.page("/api/tips?size=1")["totalElements"]
        for origin in self.REFUSED:
            with self.subTest(origin):
                answer = self.http.post("/api/tips", tip("origin"), headers=[("Origin", origin)])
                self.check_error(answer, 403, "/api/tips")
                self.assertIsNone(answer.header("Access-Control-Allow-Origin"))
                self.assertEqual(self.http.get("/api/tips", [("Origin", origin)]).status, 403)
        self.assertEqual(self.page("/api/tips?size=1")["totalElements"], before)

    def test_two_origins_do_not_go_round_the_guard(self):
        answer = self.http.get("/api/tips", [("Origin", "http://localhost"), ("Origin", "http://evil.example")])
        self.assertIn(answer.status, (400, 403))

    def test_no_origin_no_cors(self):
        answer = self.http.get("/api/tips")
        self.assertEqual([name for name, _ in answer.headers if name.lower().startswith("access-control")], [])

    def test_preflight(self):
        asked = [("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "content-type, idempotency-key")]
        answer = self.http.request("OPTIONS", "/api/tips", headers=[("Origin", "http://localhost:3000"), *asked])
        self.assertIn(answer.status, (200, 204))
        self.assertEqual(answer.header("Access-Control-Allow-Origin"), "http://localhost:3000")
        self.assertIn("POST", answer.header("Access-Control-Allow-Methods"))
        allowed = answer.header("Access-Control-Allow-Headers").lower()
        self.assertIn("content-type", allowed)
        self.assertIn("idempotency-key", allowed)
        answer = self.http.request("OPTIONS", "/api/tips", headers=[("Origin", "http://evil.example"), *asked])
        self.assertEqual(answer.status, 403)
        self.assertIsNone(answer.header("Access-Control-Allow-Origin"))

    def test_the_host_is_looked_at_first(self):
        answer = self.connect().request("GET", "/nope", headers=[("Host", "evil.example"), ("Origin", "http://evil.example")])
        self.assertEqual(answer.status, 421)
        self.assertEqual(self.http.get("/nope", [("Origin", "http://evil.example")]).status, 403)


class OpenTest(WireCase):
    """`*` gives the old service's openness."""

    flags = ("--origins", "*", "--allowed-hosts", "*")

    def test_any_origin(self):
        answer = self.http.get("/api/tips", [("Origin", "https://a.example")])
        self.assertEqual(answer.status, 200)
        self.assertIn(answer.header("Access-Control-Allow-Origin"), ("https://a.example", "*"))

    def test_any_host(self):
        self.assertEqual(self.connect().request("GET", "/api/tips", headers=[("Host", "tips.example")]).status, 200)


class ListedTest(WireCase):
    flags = ("--origins", "https://a.example,https://b.example:8443", "--allowed-hosts", "tips.example,localhost,127.0.0.1")

    def test_listed_origins(self):
        for origin in ("https://a.example", "https://b.example:8443"):
            self.assertEqual(self.http.get("/api/tips", [("Origin", origin)]).header("Access-Control-Allow-Origin"), origin)
        for origin in ("https://b.example", "http://a.example", "https://a.example.evil.example"):
            with self.subTest(origin):
                self.assertEqual(self.http.get("/api/tips", [("Origin", origin)]).status, 403)

    def test_listed_hosts(self):
        for host, status in (("tips.example", 200), ("tips.example:80", 200), ("localhost", 200), ("other.example", 421)):
            with self.subTest(host):
                self.assertEqual(self.connect().request("GET", "/api/tips", headers=[("Host", host)]).status, status)


class BackDoorTest(WireCase):
    """CivetWeb listens on a loopback port of its own: nobody but the reactor may use it, or every guard could be gone round."""

    def other_ports(self):
        inodes = set()
        for fd in pathlib.Path("/proc/%d/fd" % self.daemon.process.pid).iterdir():
            try:
                inodes.add(os.readlink(fd))
            except OSError:
                pass
        ports = []
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and "socket:[%s]" % fields[9] in inodes:
                address, port = fields[1].split(":")
                self.assertEqual(address, "0100007F", "listens beyond loopback")
                ports.append(int(port, 16))
        return [port for port in ports if port != self.daemon.address[1]]

    def test_the_kitchen_serves_nobody_else(self):
        self.assertEqual(self.http.get("/api/tips").status, 200)
        before = self.page("/api/tips?size=1")["totalElements"]
        for port in self.other_ports():
            for method, target, body in (("GET", "/api/tips", None), ("POST", "/api/tips:batch", tip("back-door"))):
                with Connection(("127.0.0.1", port)) as connection:
                    try:
                        answer = connection.request(method, target, body, [("Host", "localhost"), ("Content-Type", "application/x-ndjson")])
                        self.assertIn(answer.status, (403, 404, 421))
                    except (WireError, OSError):
                        pass  # closed without a word
        self.assertEqual(self.page("/api/tips?size=1")["totalElements"], before)

    def test_silent_strangers_do_not_fill_the_kitchen(self):
        """Connections to the back door, held open, leave no worker thread waiting on them."""
        ports = self.other_ports()
        strangers = [Connection(("127.0.0.1", port)) for port in ports for _ in range(40)]
        for stranger in strangers:
            self.addCleanup(stranger.close)
        times = []
        for _ in range(20):
            begun = time.monotonic()
            self.assertEqual(self.http.get("/api/tips?size=1").status, 200)
            times.append(time.monotonic() - begun)
        self.assertLess(sorted(times)[10], 0.1)


class ListenTest(OwnDaemonCase):
    def test_wide_addresses_need_a_word(self):
        directory = self.scratch()
        for listen in ("0.0.0.0:0", ":0", "[::]:0"):
            with self.subTest(listen):
                ended = run_once("--listen", listen, "--storage", "sqlite:%s" % (directory / "tc.db"))
                self.assertNotEqual(ended.returncode, 0)
                self.assertEqual(ended.stdout, "")
                self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
                self.assertRegex(ended.stderr, "allow[-_]unauthenticated")
        self.assertEqual(list(directory.iterdir()), [])

    def test_wide_with_the_word(self):
        daemon = self.launch("--allow-unauthenticated", listen="0.0.0.0:0")
        self.assertEqual(Connection(daemon.address).request("GET", "/livez").status, 200)
        daemon.stop_clean()


if __name__ == "__main__":
    unittest.main()
