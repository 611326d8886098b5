"""The live side: what is posted arrives, once, in order, in every room that it should; nobody's trouble is anybody else's."""

import socket
import threading
import time

from harness import OwnDaemonCase, WireCase, reaction, tip, wait_for
from stomp import Stomp, open_stomp
from ws import Closed, WebSocket


class BroadcastTest(WireCase):
    def test_should_broadcast_tip_via_web_socket(self):
        client = open_stomp(self)
        client.subscribe("/topic/rooms/ws-room")
        made = self.create("/api/tips", tip("ws-room", "alice", "bob", "100.00", message="hi"))
        self.assertEqual(client.expect("MESSAGE").body, made.text)

    def test_should_broadcast_reaction_via_web_socket(self):
        client = open_stomp(self)
        client.subscribe("/topic/rooms/ws-room2")
        made = self.create("/api/reactions", reaction("ws-room2", "alice", "\u2764\ufe0f\u200d\U0001f525"))
        self.assertEqual(client.expect("MESSAGE").body, made.text)

    def test_replayed_request_broadcasts_nothing(self):
        client = open_stomp(self)
        client.subscribe("/topic/rooms/again")
        self.create("/api/tips", tip("again"), key="k1")
        self.create("/api/tips", tip("again"), key="k1", status=200)
        self.create("/api/tips", tip("again", amount="2"), key="k1", status=422)
        last = self.create("/api/tips", tip("again", amount="7")).json
        self.assertEqual(client.expect("MESSAGE").json["amount"], 100)
        self.assertEqual(client.expect("MESSAGE").json, last)

    def test_what_is_refused_is_not_broadcast(self):
        client = open_stomp(self)
        client.subscribe("/topic/**")
        self.assertEqual(self.http.post("/api/tips", tip("bad", amount="-1")).status, 400)
        self.assertEqual(self.http.post("/api/tips", tip("bad"), headers=[("Accept", "application/xml")]).status, 406)
        made = self.create("/api/tips", tip("good")).json
        self.assertEqual(client.expect("MESSAGE").json, made)

    def test_patterns_and_rooms(self):
        client = open_stomp(self)
        for i, destination in enumerate(("/topic/rooms/*", "/topic/**", "/topic/rooms/**", "/topic/rooms/p/q")):
            client.subscribe(destination, "s%d" % i)
        self.create("/api/tips", tip("p/q"))
        got = [client.expect("MESSAGE") for _ in range(4)]
        self.assertEqual(sorted(f["subscription"] for f in got), ["s0", "s1", "s2", "s3"])
        self.assertEqual({f["destination"] for f in got}, {"/topic/rooms/p/q"})
        self.assertEqual(len({f["message-id"] for f in got}), 4)
        self.create("/api/tips", tip("p"))
        self.assertEqual(sorted(client.expect("MESSAGE")["subscription"] for _ in range(3)), ["s0", "s1", "s2"])

    def test_batches_arrive_in_order(self):
        client = open_stomp(self)
        client.subscribe("/topic/rooms/batch", "x")
        client.subscribe("/topic/**", "y")
        lines = "\n".join(tip("batch", amount="%d" % (i + 1)) for i in range(2000))
        answer = self.http.post("/api/tips:batch", lines, headers=[("Content-Type", "application/x-ndjson")])
        self.assertEqual(answer.status, 200)
        got = [client.expect("MESSAGE") for _ in range(4000)]
        for id in ("x", "y"):
            self.assertEqual([f.json["amount"] for f in got if f["subscription"] == id], list(range(1, 2001)))
        self.assertEqual([f.seq for f in got], sorted(f.seq for f in got))

    def test_many_rooms_each_its_own(self):
        clients = []
        for i in range(100):
            client = open_stomp(self)
            client.subscribe("/topic/rooms/many%d" % i)
            clients.append(client)
        for i in reversed(range(100)):
            self.create("/api/tips", tip("many%d" % i, amount="%d" % (i + 1)))
        for i, client in enumerate(clients):
            self.assertEqual(client.expect("MESSAGE").json["amount"], i + 1)

    def test_joins_and_leaves_do_not_stop_delivery(self):
        stop, failures = threading.Event(), []

        def churn():
            try:
                while not stop.is_set():
                    client = Stomp(WebSocket(self.daemon.address))
                    client.connect()
                    client.subscribe("/topic/rooms/storm", "sub-%d" % (id(client) % 7))
                    client.close()
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=churn) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            client = open_stomp(self)
            client.subscribe("/topic/rooms/storm")
            for i in range(500):
                made = self.create("/api/tips", tip("storm")).json
                self.assertEqual(client.expect("MESSAGE", 5).json, made)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])


class ResumeTest(WireCase):
    def test_after_seq(self):
        first = open_stomp(self)
        first.subscribe("/topic/rooms/res")
        made = [self.create("/api/tips", tip("res", amount="%d" % (i + 1))).json for i in range(50)]
        seqs = [first.expect("MESSAGE").seq for _ in made]
        second = open_stomp(self)
        self.assertEqual(second.subscribe("/topic/rooms/res", after=seqs[19])["recovered"], "true")
        for seq, value in zip(seqs[20:], made[20:]):
            got = second.expect("MESSAGE")
            self.assertEqual((got.seq, got.json), (seq, value))
        self.assertEqual(second.subscribe("/topic/**", "all", after=seqs[-1])["recovered"], "true")
        last = self.create("/api/tips", tip("res")).json
        self.assertEqual([second.expect("MESSAGE").json for _ in range(2)], [last, last])

    def test_beyond_the_log(self):
        client = open_stomp(self)
        self.assertEqual(client.subscribe("/topic/rooms/far", after=999999999)["recovered"], "false")
        made = self.create("/api/tips", tip("far")).json
        self.assertEqual(client.expect("MESSAGE").json, made)

    def test_no_gap_and_no_double_under_load(self):
        stop = threading.Event()

        def post():
            http = self.daemon.client()
            while not stop.is_set():
                http.post("/api/tips:batch", "\n".join(tip("seam") for _ in range(20)), headers=[("Content-Type", "application/x-ndjson")])
            http.close()

        poster = threading.Thread(target=post)
        watcher = open_stomp(self)
        watcher.subscribe("/topic/rooms/seam")
        poster.start()
        try:
            seen = [watcher.expect("MESSAGE").seq for _ in range(300)]
            for start in range(0, 300, 20):
                client = open_stomp(self)
                client.subscribe("/topic/rooms/seam", after=seen[start])
                got = [client.expect("MESSAGE").seq for _ in range(600)]
                while len(seen) < start + 601:
                    seen.append(watcher.expect("MESSAGE").seq)
                self.assertEqual(got, seen[start + 1 : start + 601])
                client.close()
        finally:
            stop.set()
            poster.join()


class LimitTest(OwnDaemonCase):
    def open(self, daemon, **options):
        return open_stomp(self, daemon=daemon, **options)

    def post(self, daemon, room, count, **more):
        http = daemon.client()
        self.addCleanup(http.close)
        answer = http.post("/api/tips:batch", "\n".join(tip(room, **more) for _ in range(count)), headers=[("Content-Type", "application/x-ndjson")])
        self.assertEqual(answer.status, 200)

    def test_too_far_behind(self):
        daemon = self.launch("--live-max-replay", "100").wait_ready()
        self.post(daemon, "r", 250)
        after, got = 0, []
        for ending in ("too far behind", "too far behind", None):
            client = self.open(daemon)
            client.subscribe("/topic/rooms/r", after=after)
            for _ in range(100 if ending else 50):
                got.append(client.expect("MESSAGE").seq)
            if ending:
                error, code = client.expect_error()
                self.assertEqual((error["message"], error["resume-seq"], code), (ending, str(got[-1]), 1008))
            after = got[-1]
        self.assertEqual(got, list(range(1, 251)))

    def test_slow_reader(self):
        daemon = self.launch("--live-max-lag-bytes", "65536").wait_ready()
        good = self.open(daemon)
        good.subscribe("/topic/rooms/r")
        slow = self.open(daemon)
        slow.subscribe("/topic/rooms/r")
        seqs, resumed = [], None
        for _ in range(40):
            self.post(daemon, "r", 20, metadata="x" * 20000)
            seqs += [good.expect("MESSAGE").seq for _ in range(20)]
        got = []
        try:
            while True:
                frame = slow.receive()
                if frame.command == "ERROR":
                    self.assertEqual(frame["message"], "too slow")
                    resumed = int(frame["resume-seq"])
                else:
                    got.append(frame.seq)
        except Closed as closed:
            self.assertEqual(closed.code, 1008)
        self.assertEqual(got, seqs[: len(got)])
        self.assertEqual(resumed, got[-1])
        again = self.open(daemon)
        self.assertEqual(again.subscribe("/topic/rooms/r", after=resumed)["recovered"], "true")
        self.assertEqual([again.expect("MESSAGE").seq for _ in seqs[len(got) :]], seqs[len(got) :])

    def test_a_reader_that_never_reads_is_closed(self):
        daemon = self.launch("--live-max-lag-ms", "500").wait_ready()
        dead = self.open(daemon)
        dead.subscribe("/topic/rooms/r")
        good = self.open(daemon)
        good.subscribe("/topic/rooms/r")
        begun, worst = time.monotonic(), 0.0
        while time.monotonic() - begun < 3:
            at = time.monotonic()
            self.post(daemon, "r", 20, metadata="x" * 30000)
            for _ in range(20):
                good.expect("MESSAGE")
            worst = max(worst, time.monotonic() - at)
        self.assertLess(worst, 1.0)
        self.assertLess(daemon.memory_kib("VmHWM"), 200 * 1024)
        with self.assertRaises(Closed):
            while True:
                dead.receive()

    def test_rest_is_as_fast_with_many_sockets_open(self):
        daemon = self.launch().wait_ready()
        http = daemon.client()
        self.addCleanup(http.close)

        def median():
            times = []
            for _ in range(200):
                at = time.monotonic()
                self.assertEqual(http.get("/livez").status, 200)
                times.append(time.monotonic() - at)
            return sorted(times)[100]

        before = median()
        for _ in range(2000):
            client = Stomp(WebSocket(daemon.address))
            self.addCleanup(client.close)
            client.send("CONNECT\naccept-version:1.2\n\n\0SUBSCRIBE\nid:sub-0\ndestination:/topic/rooms/idle\n\n\0")
        self.assertLess(median(), max(0.02, before * 5))

    def test_goodbye_at_the_stop(self):
        daemon = self.launch().wait_ready()
        clients = [self.open(daemon) for _ in range(3)]
        for client in clients:
            client.subscribe("/topic/rooms/r")
        self.post(daemon, "r", 10)
        daemon.stop_clean()
        for client in clients:
            self.assertEqual([client.expect("MESSAGE").seq for _ in range(10)], list(range(1, 11)))
            self.assertEqual(client.channel.expect_close(), (1001, []))

    def test_resets_hurt_nobody(self):
        daemon = self.launch().wait_ready()
        good = self.open(daemon)
        good.subscribe("/topic/rooms/r")
        for _ in range(50):
            client = self.open(daemon)
            client.subscribe("/topic/rooms/r")
            client.channel.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
            self.post(daemon, "r", 1)
            good.expect("MESSAGE")
        self.assertTrue(daemon.running())
