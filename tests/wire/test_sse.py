"""Server-sent events: GET /api/rooms/{roomId}/events and /api/events."""

import json
import time

from client import build_request
from harness import OwnDaemonCase, WireCase, reaction, tip


class Stream:
    """One event stream, event by event."""

    def __init__(self, case, target, headers=(), daemon=None):
        self.connection = (daemon or case.daemon).connect()
        case.addCleanup(self.connection.close)
        self.connection.send(build_request("GET", target, self.connection.host, None, [("Accept", "text/event-stream"), *headers]))
        self.head = self.connection._read_until(b"\r\n\r\n", time.monotonic() + 10).decode()

    def block(self, timeout=10):
        """The lines up to the next blank one."""
        return self.connection._read_until(b"\n\n", time.monotonic() + timeout).decode().split("\n")

    def event(self, timeout=10):
        """(name, id, data); comments and settings are passed over."""
        while True:
            name, id, data = "message", None, []
            for line in self.block(timeout):
                field, _, value = line.partition(": ")
                name = value if field == "event" else name
                id = value if field == "id" else id
                data += [value] if field == "data" else []
            if data:
                return name, id, "\n".join(data)


class StreamTest(WireCase):
    def test_a_stream(self):
        stream = Stream(self, "/api/rooms/sse/events")
        self.assertTrue(stream.head.startswith("HTTP/1.1 200 OK\r\n"))
        self.assertIn("\r\nContent-Type: text/event-stream\r\n", stream.head)
        self.assertIn("\r\nCache-Control: no-cache\r\n", stream.head)
        self.assertEqual(stream.block(), ["retry: 1000"])
        name, id, data = stream.event()
        self.assertEqual(name, "ready")
        self.assertEqual(json.loads(data), {"recovered": True, "seq": int(id)})
        self.create("/api/tips", tip("other"))
        made = [self.create("/api/tips", tip("sse", message="a\nb")), self.create("/api/reactions", reaction("sse"))]
        for answer in made:
            name, id, data = stream.event()
            self.assertEqual((name, data), ("message", answer.text))

    def test_all_rooms_and_encoded_room(self):
        everything, room = Stream(self, "/api/events"), Stream(self, "/api/rooms/a%2Fb%20%F0%9F%94%A5/events")
        everything.event(), room.event()
        made = self.create("/api/tips", tip("a/b \U0001f525"))
        self.assertEqual(everything.event()[2], made.text)
        self.assertEqual(room.event()[2], made.text)

    def test_resume(self):
        first = Stream(self, "/api/rooms/back/events")
        first.event()
        made = [self.create("/api/tips", tip("back", amount="%d" % (i + 1))).text for i in range(30)]
        ids = [first.event()[1] for _ in made]
        for headers, query in (([("Last-Event-ID", ids[9])], ""), ([], "?after=" + ids[9]), ([("Last-Event-ID", ids[9])], "?after=0")):
            again = Stream(self, "/api/rooms/back/events" + query, headers)
            self.assertEqual(again.event(), ("ready", ids[9], '{"recovered":true,"seq":%s}' % ids[9]))
            self.assertEqual([again.event()[1:] for _ in range(20)], list(zip(ids[10:], made[10:])))
        far = Stream(self, "/api/rooms/back/events", [("Last-Event-ID", "99999999")])
        self.assertFalse(json.loads(far.event()[2])["recovered"])

    def test_refusals(self):
        for headers, query, naming in (([("Last-Event-ID", "x")], "", "Last-Event-ID"), ([], "?after=-1", "after"), ([], "?after=1.5", "after")):
            self.check_error(self.http.get("/api/events" + query, headers), 400, "/api/events", naming)
        self.check_error(self.http.get("/api/events", [("Accept", "application/json")]), 406, "/api/events")
        self.check_error(self.http.request("PUT", "/api/events", ""), 405, "/api/events")
        self.check_error(self.http.get("/api/rooms/%s/events" % ("x" * 256)), 400, "/api/rooms/%s/events" % ("x" * 256), "roomId")
        self.check_error(self.http.get("/api/rooms//events"), 404, "/api/rooms//events")
        self.check_error(self.http.get("/api/events", [("Origin", "https://evil.example")]), 403, "/api/events")

    def test_head(self):
        connection = self.connect()
        answer = connection.request("HEAD", "/api/events")
        self.assertEqual((answer.status, answer.header("Content-Type")), (200, "text/event-stream"))
        self.assertTrue(connection.closed_by_peer())

    def test_preflight(self):
        """A browser's own EventSource needs none; those written with fetch do, since they send Last-Event-ID themselves."""
        answer = self.http.request("OPTIONS", "/api/events", None, [("Origin", "http://127.0.0.1:3000"), ("Access-Control-Request-Method", "GET"), ("Access-Control-Request-Headers", "last-event-id")])
        self.assertIn("last-event-id", [name.strip().lower() for name in answer.header("Access-Control-Allow-Headers").split(",")])

    def test_old_and_kept_connections(self):
        """HTTP/1.0, and behind another request on the same connection; nothing that follows it is served."""
        connection = self.connect()
        connection.send("GET /api/events HTTP/1.0\r\nHost: localhost\r\n\r\n")
        self.assertIn("200 OK", connection._read_until(b"\r\n\r\n", time.monotonic() + 10).decode())
        connection = self.connect()
        connection.send(build_request("GET", "/livez", connection.host) + build_request("GET", "/api/rooms/kept/events", connection.host) + build_request("GET", "/livez", connection.host))
        self.assertEqual(connection.read_response().status, 200)
        deadline = time.monotonic() + 10
        self.assertIn("text/event-stream", connection._read_until(b"\r\n\r\n", deadline).decode())
        for _ in range(2):
            connection._read_until(b"\n\n", deadline)
        made = self.create("/api/tips", tip("kept"))
        self.assertIn(made.text, connection._read_until(b"\n\n", deadline).decode())

    def test_cors(self):
        stream = Stream(self, "/api/events", [("Origin", "http://localhost:3000")])
        self.assertIn("\r\nAccess-Control-Allow-Origin: http://localhost:3000\r\n", stream.head)


class EndTest(OwnDaemonCase):
    def test_cut_says_where_to_go_on(self):
        daemon = self.launch("--live-max-replay", "10").wait_ready()
        http = daemon.client()
        self.addCleanup(http.close)
        for _ in range(25):
            http.post("/api/tips", tip("r"))
        got, after = [], "0"
        for count in (10, 10, 5):
            stream = Stream(self, "/api/events", [("Last-Event-ID", after)], daemon)
            stream.event()
            got += [stream.event()[1] for _ in range(count)]
            after = got[-1]
            if count == 10:
                self.assertEqual(stream.event(), ("cut", after, '{"reason":"too far behind","seq":%s}' % after))
                self.assertTrue(stream.connection.closed_by_peer())
        self.assertEqual(got, [str(i + 1) for i in range(25)])

    def test_stop_ends_it(self):
        daemon = self.launch().wait_ready()
        stream = Stream(self, "/api/events", daemon=daemon)
        stream.event()
        daemon.stop_clean()
        self.assertTrue(stream.connection.closed_by_peer())
