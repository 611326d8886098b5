"""Heart-beats, keep-alives and silence: what happens by time alone. Everything is watched at once, since the periods are fixed."""

import select
import time

from client import build_request
from harness import WireCase
from stomp import Stomp
from ws import CLOSE, TEXT, Closed, WebSocket, frame

WATCH_S = 24.0
PERIOD_S = 10.0  # what the server offers each way
BEAT_S = 7.0  # of the client that keeps its word


class Watched:
    """A connection and when what came."""

    def __init__(self, connection):
        self.connection = connection
        self.begun = time.monotonic()
        self.came = []  # (seconds, bytes)
        self.end = None

    def read(self):
        data = self.connection.sock.recv(65536)
        at = time.monotonic() - self.begun
        if data:
            self.came.append((at, data))
        else:
            self.end = at


def stomp(address, beats):
    client = Stomp(WebSocket(address))
    client.connect(beats=beats)
    return client


def split(data):
    """Server frames: (opcode, payload), short ones only."""
    out = []
    while data:
        size = data[1] & 0x7F
        head = 2 if size < 126 else 4
        if size == 126:
            size = int.from_bytes(data[2:4], "big")
        out.append((data[0] & 15, data[head : head + size]))
        data = data[head + size :]
    return out


class TimeTest(WireCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        address = cls.daemon.address
        cls.clients = {
            "silent": stomp(address, "1000,1000"),  # promises a beat a second; ours are not that fast, so ten seconds count
            "faithful": stomp(address, "10000,0"),
            "wants ours": stomp(address, "0,5000"),
            "wants few": stomp(address, "0,60000"),
            "none": stomp(address, None),
        }
        cls.seen = {name: Watched(client.channel.connection) for name, client in cls.clients.items()}
        events = cls.daemon.connect()
        events.send(build_request("GET", "/api/events", events.host))
        cls.seen["events"] = Watched(events)
        for watched in cls.seen.values():
            cls.addClassCleanup(watched.connection.close)
        cls.watch(time.monotonic() + WATCH_S)

    @classmethod
    def watch(cls, deadline):
        due = time.monotonic() + BEAT_S
        while time.monotonic() < deadline:
            alive = {w.connection.sock: w for w in cls.seen.values() if w.end is None}
            for sock in select.select(list(alive), [], [], max(0.0, min(due, deadline) - time.monotonic()))[0]:
                alive[sock].read()
            if time.monotonic() >= due:
                cls.clients["faithful"].send("\n")
                due += BEAT_S

    def beats(self, name):
        return [at for at, data in self.seen[name].came for opcode, payload in split(data) if (opcode, payload) == (TEXT, b"\n")]

    def test_offer(self):
        client = Stomp(WebSocket(self.daemon.address))
        self.addCleanup(client.close)
        self.assertEqual(client.connect()["heart-beat"], "10000,10000")

    def test_ours_come_in_time(self):
        for name, wanted in (("wants ours", 2), ("silent", 2)):
            times = [0.0, *self.beats(name)]
            self.assertGreaterEqual(len(times), 1 + wanted, name)
            for before, after in zip(times, times[1:]):
                self.assertLessEqual(after - before, PERIOD_S + 1.0, name)
                self.assertGreaterEqual(after - before, PERIOD_S / 2, name)

    def test_no_more_than_was_asked_for(self):
        self.assertEqual([self.seen[name].came for name in ("faithful", "none", "wants few")], [[], [], []])

    def test_a_silent_client_is_closed(self):
        silent = self.seen["silent"]
        self.assertIsNotNone(silent.end, "still open")
        self.assertGreaterEqual(silent.end, 2 * PERIOD_S)
        frames = [f for _, data in silent.came for f in split(data) if f != (TEXT, b"\n")]
        self.assertEqual([opcode for opcode, _ in frames], [TEXT, CLOSE])
        self.assertTrue(frames[0][1].startswith(b"ERROR\nmessage:no heart-beat"), frames)
        self.assertEqual(frames[1][1][:2], b"\x03\xea")

    def test_who_keeps_his_word_stays(self):
        for name in ("faithful", "wants ours", "wants few", "none"):
            self.assertIsNone(self.seen[name].end, name)
            client = self.clients[name]
            client.frame("SEND", [("destination", "/app/x"), ("receipt", "here")])
            self.assertEqual(client.expect("RECEIPT")["receipt-id"], "here")

    def test_comments_keep_a_stream_alive(self):
        came = self.seen["events"].came
        times = [at for at, data in came if data.endswith(b":\n\n")]
        self.assertEqual(len(times), 1, came)
        self.assertTrue(14.0 < times[0] < 16.5, times)


class HandshakeTimeTest(WireCase):
    flags = ("--header-deadline-ms", "500", "--idle-timeout-ms", "500", "--write-deadline-ms", "500", "--body-deadline-ms", "500")

    def test_deadlines_of_requests_end_with_the_handshake(self):
        """What is right for HTTP (an idle connection goes) would be wrong here."""
        client = Stomp(WebSocket(self.daemon.address))
        self.addCleanup(client.close)
        client.connect()
        client.channel.send_raw(frame("SEND\ndestination:/app/x\nreceipt:1\n\n\0")[:9])  # and a frame may be cut for as long as that
        with self.assertRaises(Exception) as quiet:
            client.channel.receive(1.5)
        self.assertNotIsInstance(quiet.exception, Closed)
        client.channel.send_raw(frame("SEND\ndestination:/app/x\nreceipt:1\n\n\0")[9:])
        self.assertEqual(client.expect("RECEIPT")["receipt-id"], "1")
