"""Clients that send without end, or ask without reading: each is bounded, cut off, and nobody else's trouble (case O-14)."""

import socket
import time

from harness import WireCase, tip
from stomp import Stomp, open_stomp
from ws import PING, WebSocket, frame

FLOOD_BYTES = 48 << 20
FLOOD_S = 8.0
GROWTH_KIB = 4096  # of the process: the limit of what waits for one reader is 1 MiB


class FloodTest(WireCase):
    def flooder(self):
        client = Stomp(WebSocket(self.daemon.address))
        self.addCleanup(client.close)
        client.connect()
        client.channel.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return client

    def flood(self, client, data):
        """Sends the same bytes over and over; True when the server has closed, False when it took everything or let it wait."""
        sock = client.channel.connection.sock
        sock.settimeout(1.0)
        deadline, sent = time.monotonic() + FLOOD_S, 0
        try:
            while sent < FLOOD_BYTES and time.monotonic() < deadline:
                sent += sock.send(data)
        except TimeoutError:
            return False
        except OSError:
            return True
        return False

    def check_others(self, other):
        begun = time.monotonic()
        made = self.create("/api/tips", tip("calm")).json
        self.assertEqual(other.expect("MESSAGE").json, made)
        self.assertLess(time.monotonic() - begun, 2.0)

    def run_flood(self, data, ends):
        other = open_stomp(self)
        other.subscribe("/topic/rooms/calm")
        client = self.flooder()
        before = self.daemon.memory_kib("VmRSS")
        closed = self.flood(client, data)
        self.assertLess(self.daemon.memory_kib("VmRSS") - before, GROWTH_KIB)
        if ends:
            self.assertTrue(closed, "it may go on for ever")
        self.check_others(other)

    def test_pings_that_nobody_reads_the_answers_of(self):
        self.run_flood(frame(b"x" * 125, PING) * 500, True)

    def test_receipts_that_nobody_reads(self):
        self.run_flood(frame("SEND\ndestination:/app/x\nreceipt:%s\n\n\0" % ("r" * 1000)) * 50, True)

    def test_a_header_that_never_ends(self):
        self.run_flood(frame("SEND\nx:" + "A" * 16384) + frame("A" * 16384) * 3, True)

    def test_headers_that_never_end(self):
        self.run_flood(frame("SEND\n" + "a:b\n" * 4000), True)

    def test_a_body_that_never_ends(self):
        self.run_flood(frame("SEND\ndestination:/app/x\n\n" + "b" * 16384), True)

    def test_heart_beats_without_end_are_harmless(self):
        self.run_flood(frame(b"\n" * 60000), False)

    def test_fragments_without_end_are_harmless(self):
        client = self.flooder()
        client.channel.send(b"", fin=False)
        self.flood(client, frame(b"", 0, fin=False) * 8000)
        other = open_stomp(self)
        other.subscribe("/topic/rooms/calm")
        self.check_others(other)

    def test_subscribing_and_leaving_without_end(self):
        client = self.flooder()
        other = open_stomp(self)
        other.subscribe("/topic/rooms/calm")
        pairs = "".join("SUBSCRIBE\nid:%d\ndestination:/topic/rooms/flood-%d\n\n\0UNSUBSCRIBE\nid:%d\n\n\0" % (i, i, i) for i in range(400))
        before = self.daemon.memory_kib("VmRSS")
        for _ in range(50):
            client.send(pairs)
        client.frame("SEND", [("destination", "/app/x"), ("receipt", "end")])
        self.check_others(other)
        self.assertEqual(client.expect("RECEIPT")["receipt-id"], "end")
        self.assertLess(self.daemon.memory_kib("VmRSS") - before, GROWTH_KIB)
