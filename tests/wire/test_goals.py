"""Goals: made, listed, closed, and kept over a kill."""

import datetime

from harness import TIMESTAMP, OwnDaemonCase, WireCase

KEYS = ["id", "roomId", "title", "targetAmount", "targetCount", "recipientId", "deadline", "status", "progressAmount", "progressCount", "reachedAt", "closedAt", "createdAt"]


def later(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).isoformat()


class GoalTest(WireCase):
    def goal(self, room="room1", status=201, key=None, **value):
        return self.create("/api/rooms/%s/goals" % room, value, key=key, status=status)

    def test_its_shape(self):
        made = self.goal("shape", title="a new mic", targetAmount="500.00")
        self.assertEqual(list(made.json), KEYS)
        self.assertIn('"title":"a new mic","targetAmount":500.00,"targetCount":null,"recipientId":null,"deadline":null,"status":"open"', made.text)
        self.assertRegex(made.json["createdAt"], TIMESTAMP)
        self.assertEqual(self.http.get("/api/goals/%d" % made.json["id"]).json, made.json)
        full = self.goal("shape", title="ten", targetCount=10, currency="EUR", recipientId="bob", deadline="2036-01-01T00:00:00+01:00")
        self.assertIn('"targetAmount":null,"targetCount":10,"currency":"EUR","recipientId":"bob","deadline":"2035-12-31T23:00:00.000Z"', full.text)
        self.assertEqual([goal["id"] for goal in self.http.get("/api/rooms/shape/goals").json], [made.json["id"], full.json["id"]])
        self.assertEqual(self.http.get("/api/rooms/none/goals").json, [])
        self.assertEqual(self.http.get("/api/goals/99999").status, 404)
        self.check_error(self.http.get("/api/goals/x"), 400, "/api/goals/x", "id")

    def test_mistakes_are_named(self):
        path = "/api/rooms/wrong/goals"
        for value, naming in (
            ({"title": "t"}, "targetAmount"),
            ({"title": "t", "targetAmount": 1, "targetCount": 1}, "targetAmount"),
            ({"title": "t", "targetAmount": 0}, "targetAmount"),
            ({"title": "t", "targetAmount": "x"}, "targetAmount: must be a number"),
            ({"title": "t", "targetAmount": True}, "targetAmount: must be a number"),
            ({"title": "t", "targetCount": 1.5}, "targetCount"),
            ({"title": "t", "targetCount": 0}, "targetCount: must be greater"),
            ({"title": 5, "targetCount": 1}, "title: must be a string"),
            ({"title": " ", "targetCount": 1}, "title"),
            ({"title": "x" * 201, "targetCount": 1}, "title"),
            ({"title": "t", "targetCount": 1, "currency": "eur"}, "currency"),
            ({"title": "t", "targetCount": 1, "deadline": "tomorrow"}, "deadline"),
            ({"title": "t", "targetCount": 1, "deadline": later(-5)}, "deadline: must be in the future"),
        ):
            self.check_error(self.http.post(path, value), 400, path, naming)
        self.assertEqual(self.http.get(path).json, [])

    def test_closing(self):
        id = self.goal("closing", title="t", targetCount=1).json["id"]
        closed = self.http.request("POST", "/api/goals/%d/close" % id)
        self.assertEqual((closed.status, closed.json["status"]), (200, "closed"), closed)
        self.assertRegex(closed.json["closedAt"], TIMESTAMP)
        self.assertEqual(self.http.request("POST", "/api/goals/%d/close" % id).body, closed.body)
        self.assertEqual(self.http.request("POST", "/api/goals/99999/close").status, 404)

    def test_keys(self):
        made = self.goal("keys", title="t", targetCount=1, key="goal-1")
        self.assertEqual(self.goal("keys", title="t", targetCount="1", key="goal-1", status=200).body, made.body)
        self.assertEqual(self.http.post("/api/rooms/keys/goals", {"title": "u", "targetCount": 1}, headers=[("Idempotency-Key", "goal-1")]).status, 422)

    def test_rooms_are_decoded(self):
        self.assertEqual(self.goal("a%2Fb%20%F0%9F%94%A5", title="t", targetCount=1).json["roomId"], "a/b \U0001f525")


class GoalCrashTest(OwnDaemonCase):
    def test_they_survive(self):
        daemon = self.launch()
        http = daemon.client()
        made = [http.post("/api/rooms/r/goals", {"title": "t%d" % i, "targetCount": 1}).json for i in range(5)]
        closed = http.request("POST", "/api/goals/%d/close" % made[2]["id"]).json
        daemon.kill()
        daemon.start().wait_ready()
        goals = daemon.client().get("/api/rooms/r/goals").json
        self.assertEqual(goals, made[:2] + [closed] + made[3:])
