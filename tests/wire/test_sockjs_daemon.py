"""SockJS on the daemon: STOMP through every transport (cases O-17 to O-20), and its limits."""

import json

from harness import OwnDaemonCase, WireCase, reaction, tip, wait_for
from sockjs_kit import Cases, Stream, session
from stomp import Frame
from ws import WebSocket


class DaemonTest(WireCase, Cases):
    @property
    def address(self):
        return self.daemon.address

    def open_stomp(self, url):
        self.assertEqual(self.post(url + "/xhr").text, "o\n")
        self.assertEqual(self.send(url, "CONNECT\naccept-version:1.2\nhost:h\n\n\0").status, 204)
        self.assertEqual(self.post(url + "/xhr").text[:15], 'a["CONNECTED\\nv')

    def send(self, url, *frames):
        return self.post(url + "/xhr_send", json.dumps(list(frames)))

    def test_info_and_cors(self):
        for origin in ("http://localhost:3000", "null", None):
            answer = self.http.get("/ws/info?t=123", [("Origin", origin)] if origin else [])
            self.assertEqual(answer.status, 200)
            self.check_cors(answer, origin)
            self.assertEqual(answer.json["websocket"], True)
        answer = self.http.get("/ws/info", [("Origin", "https://a.example")])
        self.assertEqual((answer.status, answer.header("Access-Control-Allow-Origin")), (403, None))
        self.check_options("/ws/info", ("OPTIONS", "GET"))

    def test_polling(self):
        url = "/ws" + session()
        self.open_stomp(url)
        self.send(url, "SUBSCRIBE\nid:sub-0\ndestination:/topic/rooms/poll\nreceipt:r\n\n\0")
        self.assertEqual(self.post(url + "/xhr").text, 'a["RECEIPT\\nreceipt-id:r\\n\\n\\u0000"]\n')
        made = [self.create("/api/tips", tip("poll", amount="%d" % (i + 1))).text for i in range(5)]
        got = []
        while len(got) < 5:
            got += [Frame(text).body for text in json.loads(self.post(url + "/xhr").text[1:])]
        self.assertEqual(got, made)

    def test_zero_width_joiners(self):
        url = "/ws" + session()
        self.open_stomp(url)
        self.send(url, "SUBSCRIBE\nid:s\ndestination:/topic/rooms/r20\n\n\0")
        self.create("/api/reactions", reaction("r20", emoji="\U0001f469\u200d\U0001f680"))
        text = self.post(url + "/xhr").text
        self.assertIn("\\u200d", text)
        self.assertNotIn("\u200d", text)
        got = Frame(json.loads(text[1:])[0])
        self.assertEqual(got.json["emoji"], "\U0001f469\u200d\U0001f680")
        self.assertEqual(int(got["content-length"]), len(got.body.encode()))

    def test_streaming_loses_nothing_between_responses(self):
        url = "/ws" + session()
        self.open_stomp(url)
        self.send(url, "SUBSCRIBE\nid:s\ndestination:/topic/rooms/r19\n\n\0")
        seqs, responses = [], 0
        for _ in range(12):
            lines = "\n".join(tip("r19", metadata="x" * 1000) for _ in range(50))
            self.http.post("/api/tips:batch", lines, headers=[("Content-Type", "application/x-ndjson")])
        while len(seqs) < 600:
            stream = Stream(self, "POST", url + "/xhr_streaming")
            self.assertEqual(stream.chunk(), "h" * 2048 + "\n")
            responses += 1
            while len(seqs) < 600:
                chunk = stream.chunk()
                if not chunk:
                    break
                self.assertEqual(chunk[-1], "\n")
                seqs += [Frame(text).seq for text in json.loads(chunk[1:])] if chunk[0] == "a" else []
        self.assertEqual(len(seqs), 600)
        self.assertEqual(seqs, sorted(set(seqs)))
        self.assertGreaterEqual(responses, 1)
        stream.connection.close()
        wait_for(lambda: self.send(url, "\n").status == 404)

    def test_disconnect_closes_the_session(self):
        url = "/ws" + session()
        self.open_stomp(url)
        self.send(url, "DISCONNECT\nreceipt:77\n\n\0")
        self.assertEqual(self.post(url + "/xhr").text, 'a["RECEIPT\\nreceipt-id:77\\n\\n\\u0000"]\n')
        stream = Stream(self, "POST", url + "/xhr_streaming")
        self.assertEqual([stream.chunk(), stream.chunk(), stream.chunk()], ["h" * 2048 + "\n", 'c[1000,"goodbye"]\n', ""])

    def test_all_frames_of_a_websocket(self):
        socket = WebSocket(self.daemon.address, "/ws/1/abc/websocket", ("v12.stomp",))
        self.addCleanup(socket.close)
        self.assertEqual(socket.receive(), "o")
        socket.send(json.dumps(["CONNECT\naccept-version:1.2\n\n\0", "SUBSCRIBE\nid:s\ndestination:/topic/rooms/sw\nreceipt:1\n\n\0"]))
        self.assertIn("CONNECTED", socket.receive())
        self.assertIn("RECEIPT", socket.receive())
        made = self.create("/api/tips", tip("sw"))
        text = socket.receive()
        self.assertEqual(text[0], "a")
        self.assertEqual(Frame(json.loads(text[1:])[0]).body, made.text)


class LimitTest(OwnDaemonCase):
    def test_sessions_have_a_limit(self):
        daemon = self.launch("--max-connections", "10").wait_ready()
        http = daemon.client()
        self.addCleanup(http.close)
        statuses = [http.request("POST", "/ws/0/s%d/xhr" % i, "").status for i in range(12)]
        self.assertEqual(statuses, [200] * 10 + [503] * 2)

    def test_a_session_that_nobody_reads_is_bounded(self):
        daemon = self.launch("--live-max-lag-bytes", "65536").wait_ready()
        http = daemon.client()
        self.addCleanup(http.close)
        url = "/ws/0/big"
        http.request("POST", url + "/xhr", "")
        http.request("POST", url + "/xhr_send", json.dumps(["CONNECT\naccept-version:1.2\n\n\0SUBSCRIBE\nid:s\ndestination:/topic/rooms/r\n\n\0"]))
        for _ in range(20):
            http.post("/api/tips:batch", "\n".join(tip("r", metadata="x" * 20000) for _ in range(20)), headers=[("Content-Type", "application/x-ndjson")])
        texts = []
        while not texts or not texts[-1].startswith("c["):
            texts.append(http.request("POST", url + "/xhr", "").text)
        frames = [Frame(text) for answer in texts[:-1] for text in json.loads(answer[1:])]
        self.assertEqual(texts[-1], 'c[1008,"too slow"]\n')
        self.assertEqual(frames[-1].command, "ERROR")
        seqs = [f.seq for f in frames[1:-1]]
        self.assertEqual(seqs, list(range(1, len(seqs) + 1)))
        self.assertEqual(int(frames[-1]["resume-seq"]), seqs[-1])
        self.assertLess(len(seqs), 400)
