"""Coming back: after restarts, in the middle of catching up, many at once, over STOMP and over server-sent events."""

import json
import threading
import time

from client import build_request
from harness import OwnDaemonCase, WireCase, tip
from stomp import Stomp, open_stomp
from ws import Closed, WebSocket

NDJSON = [("Content-Type", "application/x-ndjson")]


def post(daemon, room, count, **more):
    http = daemon.client(30)
    try:
        answer = http.post("/api/tips:batch", "\n".join(tip(room, **more) for _ in range(count)), headers=NDJSON)
    finally:
        http.close()
    if answer.status != 200:
        raise AssertionError(answer)


class Events:
    """A stream of events: only ids, and what is not an event by its name."""

    def __init__(self, case, daemon, target, last=None):
        self.connection = daemon.connect()
        case.addCleanup(self.connection.close)
        headers = [] if last is None else [("Last-Event-ID", str(last))]
        self.connection.send(build_request("GET", target, self.connection.host, None, headers))
        self.connection._read_until(b"\r\n\r\n", time.monotonic() + 10)
        self.ready = json.loads(self.next()["data"])

    def next(self, timeout=10):
        while True:
            block = self.connection._read_until(b"\n\n", time.monotonic() + timeout).decode()
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "data" in fields:
                return fields

    def seqs(self, count):
        return [int(self.next()["id"]) for _ in range(count)]


class RestartTest(OwnDaemonCase):
    def test_nothing_is_missed_over_a_stop_and_a_kill(self):
        daemon = self.launch().wait_ready()
        stomp, events = open_stomp(self, daemon=daemon), Events(self, daemon, "/api/rooms/r/events")
        stomp.subscribe("/topic/rooms/r")
        got, streamed = [], []
        for way in (daemon.stop_clean, daemon.kill, daemon.kill):
            post(daemon, "r", 50)
            post(daemon, "other", 7)
            got += [stomp.expect("MESSAGE").seq for _ in range(30)]  # the client dies in the middle
            streamed += events.seqs(20)
            post(daemon, "r", 1)
            way()
            daemon.start().wait_ready()
            stomp = open_stomp(self, daemon=daemon)
            self.assertEqual(stomp.subscribe("/topic/rooms/r", after=got[-1])["recovered"], "true")
            events = Events(self, daemon, "/api/rooms/r/events", streamed[-1])
            self.assertEqual(events.ready, {"recovered": True, "seq": streamed[-1]})
            got += [stomp.expect("MESSAGE").seq for _ in range(21)]
            streamed += events.seqs(31)
            self.assertEqual(got, streamed)
        self.assertEqual(len(got), 3 * 51)
        self.assertEqual([seq for i in range(3) for seq in (*range(58 * i + 1, 58 * i + 51), 58 * i + 58)], got)

    def test_another_log_says_so(self):
        daemon = self.launch().wait_ready()
        post(daemon, "r", 20)
        daemon.stop_clean()
        daemon.forget()
        daemon.start().wait_ready()
        stomp = open_stomp(self, daemon=daemon)
        self.assertEqual(stomp.subscribe("/topic/rooms/r", after=20)["recovered"], "false")
        self.assertEqual(Events(self, daemon, "/api/events", 20).ready, {"recovered": False, "seq": 0})
        post(daemon, "r", 1)
        self.assertEqual(stomp.expect("MESSAGE").seq, 1)

    def test_message_ids_are_the_same_again(self):
        daemon = self.launch().wait_ready()
        first = open_stomp(self, daemon=daemon)
        first.subscribe("/topic/rooms/r", "mine")
        post(daemon, "r", 5)
        ids = [first.expect("MESSAGE")["message-id"] for _ in range(5)]
        daemon.kill()
        daemon.start().wait_ready()
        again = open_stomp(self, daemon=daemon)
        again.subscribe("/topic/rooms/r", "mine", after=0)
        self.assertEqual([again.expect("MESSAGE")["message-id"] for _ in range(5)], ids)


class CatchUpTest(WireCase):
    """A log of 30,000 events, of which a catch-up has to read for a while."""

    COUNT = 30000

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for _ in range(cls.COUNT // 5000):
            post(cls.daemon, "long", 5000)

    def open(self):
        client = Stomp(WebSocket(self.daemon.address, timeout=30))
        self.addCleanup(client.close)
        client.connect()
        return client

    def test_seam_with_writers_at_work(self):
        stop = threading.Event()

        def write():
            while not stop.is_set():
                post(self.daemon, "long", 10)

        writers = [threading.Thread(target=write) for _ in range(2)]
        for writer in writers:
            writer.start()
        try:
            client, events = self.open(), Events(self, self.daemon, "/api/events", 25000)
            client.subscribe("/topic/rooms/long", "a", after=20000)
            client.frame("SUBSCRIBE", [("id", "b"), ("destination", "/topic/**"), ("receipt", "r-b"), ("after-seq", 29000)])
            seen = {"a": [], "b": []}
            while min(len(seen["a"]), len(seen["b"]) + 9000) < 12000:
                got = client.receive()
                if got.command == "RECEIPT":  # somewhere among the messages of a, before the first of b
                    self.assertEqual((got["receipt-id"], seen["b"]), ("r-b", []))
                    continue
                self.assertEqual(got.command, "MESSAGE")
                seen[got["subscription"]].append(got.seq)
            self.assertEqual(events.seqs(7000), list(range(25001, 32001)))
        finally:
            stop.set()
            for writer in writers:
                writer.join()
        for id, first in (("a", 20001), ("b", 29001)):  # every event is of this room, so seq has no holes
            self.assertEqual(seen[id], list(range(first, first + len(seen[id]))))

    def test_unsubscribe_in_the_middle(self):
        client = self.open()
        client.subscribe("/topic/rooms/long", "a", after=0)
        self.assertEqual(client.expect("MESSAGE").seq, 1)
        client.frame("UNSUBSCRIBE", [("id", "a"), ("receipt", "left")])
        last = 1
        while (got := client.receive()).command == "MESSAGE":
            self.assertEqual(got.seq, last + 1)
            last = got.seq
        self.assertEqual(got["receipt-id"], "left")
        client.subscribe("/topic/rooms/long", "a", after=last)  # the id is free, and nothing of the first subscription comes any more
        self.assertEqual([client.expect("MESSAGE").seq for _ in range(100)], list(range(last + 1, last + 101)))

    def test_disconnect_in_the_middle_ends_the_catch_up(self):
        client = self.open()
        client.send("SUBSCRIBE\nid:a\ndestination:/topic/rooms/long\nafter-seq:10000\n\n\0DISCONNECT\nreceipt:77\n\n\0")
        got = []
        with self.assertRaises(Closed) as end:
            while True:
                got.append(client.receive())
        self.assertEqual((end.exception.code, got[-1]["receipt-id"]), (1000, "77"))
        self.assertEqual([f.seq for f in got[:-1]], list(range(10001, 10001 + len(got) - 1)))

    def test_a_dashboard_of_many_rooms_comes_back(self):
        """One session with a hundred subscriptions, each with something to catch up on; the client reads all the time."""
        client = self.open()
        client.send("".join("SUBSCRIBE\nid:%d\ndestination:/topic/rooms/long\nafter-seq:29500\n\n\0" % i for i in range(100)))
        seen = {str(i): [] for i in range(100)}
        while sum(map(len, seen.values())) < 100 * 500:
            got = client.expect("MESSAGE")
            if got.seq <= 30000:
                seen[got["subscription"]].append(got.seq)
        for seqs in seen.values():
            self.assertEqual(seqs, list(range(29501, 30001)))

    def test_catch_ups_that_nobody_reads_hold_little(self):
        before = self.daemon.memory_kib("VmRSS")
        for _ in range(20):
            client = self.open()
            client.send("".join("SUBSCRIBE\nid:%d\ndestination:/topic/rooms/long\nafter-seq:0\n\n\0" % i for i in range(100)))
        quick = self.open()
        quick.subscribe("/topic/rooms/long", after=29990)
        self.assertEqual([quick.expect("MESSAGE").seq for _ in range(10)], list(range(29991, 30001)))
        self.assertLess(self.daemon.memory_kib("VmRSS") - before, 20 * 1280)  # 1 MiB may wait for a reader


class SlowStreamTest(OwnDaemonCase):
    def test_a_stream_that_is_not_read_is_cut_and_goes_on_where_it_was(self):
        daemon = self.launch("--live-max-lag-bytes", "65536").wait_ready()
        slow, good = Events(self, daemon, "/api/events"), Events(self, daemon, "/api/rooms/r/events")
        for _ in range(40):
            post(daemon, "r", 20, metadata="x" * 20000)
            good.seqs(20)
        got = []
        while (event := slow.next()).get("event") != "cut":
            got.append(int(event["id"]))
        self.assertLess(len(got), 800)
        self.assertEqual(got, list(range(1, len(got) + 1)))
        self.assertEqual(json.loads(event["data"]), {"reason": "too slow", "seq": got[-1]})
        self.assertTrue(slow.connection.closed_by_peer())
        again = Events(self, daemon, "/api/events", event["id"])
        self.assertEqual(again.seqs(800 - len(got)), list(range(len(got) + 1, 801)))
