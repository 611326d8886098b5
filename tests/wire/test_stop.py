"""Orderly stops: what was acknowledged stays, what runs is answered, what dawdles is not waited for."""

import signal
import threading
import time
import unittest

from client import WireError
from harness import OwnDaemonCase, tip, wait_for
from locks import lock_log


class StopTest(OwnDaemonCase):
    def test_idle_clients_are_let_go(self):
        daemon = self.launch()
        connections = [daemon.connect() for _ in range(20)]
        for connection in connections:
            self.addCleanup(connection.close)
            self.assertEqual(connection.request("GET", "/livez").status, 200)
        begun = time.monotonic()
        daemon.stop_clean()
        self.assertLess(time.monotonic() - begun, 2.0)
        for connection in connections:
            self.assertTrue(connection.closed_by_peer())

    def test_sigint_is_a_stop_too(self):
        daemon = self.launch()
        daemon.process.send_signal(signal.SIGINT)
        self.assertEqual(daemon.wait(), 0)

    def test_nothing_but_the_line_on_stdout(self):
        daemon = self.launch()
        self.assertEqual(daemon.client().get("/nope").status, 404)
        daemon.process.terminate()
        self.assertEqual(daemon.process.stdout.read(), b"")
        self.assertEqual(daemon.wait(), 0)

    def test_dripping_clients_do_not_hold_it(self):
        daemon = self.launch("--stop-grace-ms", "1000")
        for start in (
            "GET / HTTP/1.1\r\nX: ",
            "POST /api/tips HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
            "",
        ):
            connection = daemon.connect()
            self.addCleanup(connection.close)
            connection.send(start)
        self.assertEqual(daemon.client().get("/livez").status, 200)
        begun = time.monotonic()
        daemon.stop_clean()
        self.assertLess(time.monotonic() - begun, 4.0)

    def test_stop_under_load(self):
        """Five times: each of eight clients sees 201s, then at most a 503 or a close; all that was acknowledged is there after the next start."""
        daemon = self.launch().wait_ready()
        acked, strange = {}, []

        def work(name):
            client = daemon.client()
            number = 0
            try:
                while True:
                    key = "%s-%d" % (name, number)
                    answer = client.post("/api/tips", tip("load"), key)
                    if answer.status == 201:
                        acked[key] = answer.body
                    elif answer.status == 503:
                        break
                    else:
                        strange.append(answer)
                    number += 1
            except (OSError, WireError):
                pass
            finally:
                client.close()

        for turn in range(5):
            before = len(acked)
            threads = [threading.Thread(target=work, args=("t%d-%d" % (turn, i),)) for i in range(8)]
            for thread in threads:
                thread.start()
            wait_for(lambda: len(acked) > before + 100, 10, "some load")
            daemon.stop_clean()
            for thread in threads:
                thread.join(10)
                self.assertFalse(thread.is_alive())
            daemon.start().wait_ready()
        self.assertEqual(strange, [])
        http = daemon.client()
        for key, body in acked.items():
            answer = http.post("/api/tips", tip("load"), key)
            self.assertEqual((answer.status, answer.body), (200, body))
        http.close()
        daemon.stop_clean()

    def waiting_create(self, daemon):
        """A create that cannot commit, in flight; returns where its answer will be."""
        answers = []

        def post():
            try:
                answers.append(daemon.client(30.0).post("/api/tips", tip("waiting"), "waiting"))
            except (OSError, WireError) as reason:
                answers.append(reason)

        thread = threading.Thread(target=post)
        thread.start()
        self.addCleanup(thread.join, 30)
        client = daemon.client()
        # It is in the engine's queue once the daemon has read it; a later request on another connection is read after it.
        wait_for(lambda: client.get("/readyz").json.get("pendingEvents", 1) >= 1, 5, "the create's arrival")
        client.close()
        return thread, answers

    def test_running_creates_are_answered(self):
        daemon = self.launch().wait_ready()
        lock = lock_log(daemon)
        thread, answers = self.waiting_create(daemon)
        daemon.process.terminate()
        lock.leave()
        thread.join(15)
        self.assertEqual(daemon.wait(), 0)
        answer = answers[0]
        daemon.start().wait_ready()
        again = daemon.client().post("/api/tips", tip("waiting"), "waiting")
        if isinstance(answer, Exception) or answer.status == 503:
            self.assertIn(again.status, (200, 201))
        else:
            self.assertEqual((answer.status, again.status, again.body), (201, 200, answer.body))
        daemon.stop_clean()

    def test_a_second_signal_ends_it_at_once(self):
        daemon = self.launch("--create-deadline-ms", "20000", "--stop-grace-ms", "20000").wait_ready()
        lock = lock_log(daemon)
        self.waiting_create(daemon)
        daemon.process.terminate()
        wait_for(lambda: "stopping" in daemon.stderr(), 5, "the stop")
        daemon.process.terminate()
        begun = time.monotonic()
        self.assertEqual(daemon.wait(), 128 + signal.SIGTERM)
        self.assertLess(time.monotonic() - begun, 2.0)
        lock.leave()
        daemon.start().wait_ready()
        daemon.stop_clean()


if __name__ == "__main__":
    unittest.main()
