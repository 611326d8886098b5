"""A full disk (design.md section 7): each create is told whether it was stored, reads go on, and the engine goes on when there is room again."""

import unittest

from harness import OwnDaemonCase, sqlite_only, tip, wait_for


@sqlite_only
class FullDiskTest(OwnDaemonCase):
    LIMIT = 3 << 20

    def post(self, http, number):
        return http.post("/api/tips", tip("disk", message="x" * 900, amount=str(number + 1)), "disk-%d" % number)

    def test_full_and_free_again(self):
        daemon = self.launch("--create-deadline-ms", "500", file_limit=self.LIMIT).wait_ready()
        http = daemon.client(20.0)
        stored, refused = {}, []
        while len(refused) < 10:
            number = len(stored) + len(refused)
            answer = self.post(http, number)
            if answer.status == 201:
                stored[number] = answer
                self.assertLess(len(stored), 20000, "the disk never filled")
            else:
                self.assertEqual((answer.status, answer.json["status"]), (503, 503), answer)
                self.assertTrue(answer.header("Retry-After"))
                refused.append(number)
        self.assertGreater(len(stored), 100)
        # Reads go on, and see exactly what was acknowledged (an unknown outcome may be in the log, never half of it).
        answer = http.get("/api/tips?roomId=disk&size=1")
        self.assertEqual(answer.status, 200, answer)
        self.assertGreaterEqual(answer.json["totalElements"], len(stored))
        some = stored[min(stored)]
        self.assertEqual(http.get("/api/tips/%d" % some.json["id"]).body, some.body)
        self.assertEqual(http.get("/livez").status, 200)
        self.assertEqual(http.get("/readyz").status, 503)

        daemon.limit_files(None)
        for number in refused:
            answer = wait_for(lambda: (lambda a: a if a.status != 503 else None)(self.post(http, number)), 10, "a create after the fault")
            self.assertIn(answer.status, (200, 201))
            stored[number] = answer
        wait_for(daemon.ready, 10, "readiness after the fault")
        self.check_all(http, stored)
        http.close()
        daemon.stop_clean()
        daemon.file_limit = None
        daemon.start().wait_ready()
        http = daemon.client()
        self.check_all(http, stored)
        http.close()
        daemon.stop_clean()

    def check_all(self, http, stored):
        """Each once, none lost, none twice."""
        self.assertEqual(http.get("/api/tips?roomId=disk&size=1").json["totalElements"], len(stored))
        for number, first in stored.items():
            answer = self.post(http, number)
            self.assertEqual((answer.status, answer.body), (200, first.body))

    def test_killed_while_full(self):
        daemon = self.launch("--create-deadline-ms", "500", file_limit=self.LIMIT).wait_ready()
        http = daemon.client(20.0)
        stored = {}
        while True:
            answer = self.post(http, len(stored))
            if answer.status != 201:
                break
            stored[len(stored)] = answer
        self.assertEqual(answer.status, 503)
        http.close()
        daemon.kill()
        daemon.file_limit = None
        daemon.start().wait_ready()
        http = daemon.client()
        number = len(stored)
        stored[number] = self.post(http, number)
        self.check_all(http, stored)
        http.close()
        daemon.stop_clean()


if __name__ == "__main__":
    unittest.main()
