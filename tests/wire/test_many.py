"""More clients than there are threads, places or descriptors."""

import os
import pathlib
import resource
import threading
import time
import unittest

from client import WireError
from harness import tip, wait_for
from test_slow import SlowCase


class ManyClientsTest(SlowCase):
    HALF = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"

    def finish(self, crowd, sock, timeout=10):
        """Ends a half-sent request and says what came of it."""
        crowd.send(sock, b"\r\n")

        def answered():
            crowd.poll()
            return crowd.received[sock] or sock in crowd.closed

        wait_for(answered, timeout, "an answer")
        return crowd.received[sock][9:12]

    def test_more_connections_than_allowed(self):
        """Those within are served, the surplus is refused or waits, and a place that gets free is taken again. An idle client makes room for a new one."""
        daemon = self.launch("--max-connections", "20").wait_ready()
        for _ in range(60):
            parked = self.crowd(daemon)
            self.assertEqual(self.finish(parked, parked.add(self.HALF)), b"200")
        crowd, surplus = self.crowd(daemon), self.crowd(daemon)
        inside = [crowd.add(self.HALF) for _ in range(20)]
        wait_for(lambda: self.finish(surplus, surplus.add(self.HALF), 1) == b"503", 10, "the refusal of the surplus")
        self.assertNotIn(b"200", {data[9:12] for data in surplus.received.values()})
        for sock in inside:
            self.assertEqual(self.finish(crowd, sock), b"200")
        last = self.crowd(daemon)
        wait_for(lambda: self.finish(last, last.add(self.HALF)) == b"200", 10, "a free place")
        daemon.stop_clean()

    def test_no_descriptor_left(self):
        """EMFILE at accept: no busy loop, the open connections are served, and the waiting ones when there is room again."""
        daemon = self.launch().wait_ready()
        pid = daemon.process.pid
        crowd = self.crowd(daemon)
        inside = [crowd.add(self.HALF) for _ in range(10)]
        self.assertEqual(daemon.client().get("/livez").status, 200)
        hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/%d/fd" % pid))) + 1, hard))
        outside = [crowd.add(self.HALF) for _ in range(20)]
        begun, used = time.monotonic(), self.cpu_s(pid)
        while time.monotonic() - begun < 1.0:
            crowd.poll(0.05)
        self.assertLess(self.cpu_s(pid) - used, 0.5)
        for sock in inside:
            self.assertEqual(self.finish(crowd, sock), b"200")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        for sock in outside:
            self.assertEqual(self.finish(crowd, sock), b"200")
        daemon.stop_clean()

    def cpu_s(self, pid):
        fields = pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_two_hundred_writers_and_readers(self):
        """More clients than kitchen threads: all are served, reads see their own writes."""
        daemon = self.launch().wait_ready()
        wrong = []

        def work(number):
            client = daemon.client(30.0)
            try:
                for turn in range(10):
                    created = client.post("/api/tips", tip("many-%d" % number), "many-%d-%d" % (number, turn))
                    listed = client.get("/api/tips?roomId=many-%d" % number)
                    if created.status != 201 or listed.status != 200 or listed.json["totalElements"] != turn + 1 or listed.json["content"][0] != created.json:
                        wrong.append((number, turn, created, listed))
            except (OSError, WireError) as reason:
                wrong.append((number, reason))
            finally:
                client.close()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(wrong[:3], [])
        daemon.stop_clean()


if __name__ == "__main__":
    unittest.main()
