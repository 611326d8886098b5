"""Goals: made, listed, closed, and kept over a kill."""

import datetime
import random
import time

from harness import TIMESTAMP, OwnDaemonCase, WireCase, tip, wait_for
from receiver import Receiver
from stomp import open_stomp
from test_sse import Stream
from test_webhooks import WebhookCase

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


    def progress(self, id, amount, count):
        """Waits until the goal is that far: it is some 0.3 s behind."""
        wanted = {"progressAmount": amount, "progressCount": count}
        return wait_for(lambda: (got := self.http.get("/api/goals/%d" % id)).json.items() >= wanted.items() and got, what=str(wanted))

    def test_progress(self):
        id = self.goal("going", title="t", targetAmount=100).json["id"]
        count = self.goal("going", title="t", targetCount=3, recipientId="carol").json["id"]
        self.create("/api/tips", tip("going", amount="40.10"))
        self.create("/api/tips", tip("going", amount="7", currency="EUR"))
        back = self.create("/api/tips", tip("going", recipient="carol", amount="30.05")).json["id"]
        self.create("/api/tips", tip("elsewhere", amount="30.05"))
        self.assertIn('"status":"open","progressAmount":70.15,"progressCount":2,', self.progress(id, 70.15, 2).text)
        self.assertIn('"status":"open","progressAmount":null,"progressCount":1,', self.progress(count, None, 1).text)
        self.create("/api/tips/%d/refund" % back, {"amount": "0.05"})
        self.progress(id, 70.10, 2)
        self.assertEqual(self.http.request("POST", "/api/goals/%d/close" % id).json["status"], "closed")
        self.create("/api/tips", tip("going", recipient="carol"))
        self.progress(count, None, 2)
        self.progress(id, 70.10, 2)

    def test_reached(self):
        made = self.goal("there", title="all of it", targetAmount=100).json
        events = open_stomp(self)
        events.subscribe("/topic/events/there")
        last = [self.create("/api/tips", tip("there", amount=amount)).json["id"] for amount in ("60", "50.50")][1]
        self.create("/api/tips/%d/refund" % last, {})
        said = wait_for(lambda: self.page("/api/events/goal.reached?roomId=there")["content"])
        value = {"type": "goal.reached", "goalId": made["id"], "roomId": "there", "title": "all of it", "amount": 110.5, "count": None}
        self.assertEqual([{key: one[key] for key in value} for one in said], [value])
        goal = self.progress(made["id"], 60, 2).json
        self.assertEqual((goal["status"], goal["reachedAt"]), ("reached", said[0]["createdAt"]))
        self.create("/api/tips", tip("there", amount="500"))
        self.progress(made["id"], 560, 3)
        self.assertEqual(self.page("/api/events/goal.reached?roomId=there")["content"], said)
        while (message := events.expect("MESSAGE")).json["type"] != "goal.reached":
            continue
        self.assertEqual((message.json, message["destination"]), (said[0], "/topic/events/there"))
        self.assertGreater(message.seq, 0)

    def test_live_progress(self):
        room, events, stream = open_stomp(self), open_stomp(self), Stream(self, "/api/rooms/live/events?types=*")
        room.subscribe("/topic/rooms/live")
        events.subscribe("/topic/events/live")
        made = [self.goal("live", title="t", targetAmount=1000).json, self.goal("live", title="u", targetCount=500).json]
        closed = self.goal("live", title="v", targetCount=500).json["id"]
        self.http.request("POST", "/api/goals/%d/close" % closed)
        begin = time.monotonic()
        tips = [self.create("/api/tips", tip("live", amount="1.50")).text for _ in range(60)]
        self.assertEqual([room.expect("MESSAGE").body for _ in range(60)], tips)  # and nothing else
        last = {made[0]["id"]: (90, 60), made[1]["id"]: (None, 60)}
        said, seen = {}, 0
        while said != last:
            message = events.expect("MESSAGE")
            value = message.json
            self.assertIsNone(message["seq"])
            self.assertEqual(list(value), ["type", "goalId", "roomId", "title", "targetAmount", "targetCount", "status", "progressAmount", "progressCount"])
            self.assertEqual((value["type"], value["roomId"], value["status"]), ("goal.progress", "live", "open"))
            said[value["goalId"]] = (value["progressAmount"], value["progressCount"])
            seen += 1
        self.assertLessEqual(seen, 2 * (2 + int(time.monotonic() - begin)))  # at most one a second a goal
        while True:
            name, _, data = stream.event()
            if name == "goal.progress":
                break
        self.assertIn('"type":"goal.progress","goalId":', data)
        newcomer = open_stomp(self)
        newcomer.subscribe("/topic/events/live")
        greeting = [newcomer.expect("MESSAGE").json for _ in range(2)]
        self.assertEqual({value["goalId"]: (value["progressAmount"], value["progressCount"]) for value in greeting}, last)

    def test_a_deadline_passes(self):
        events = open_stomp(self)
        self.goal("short", title="t", targetCount=5, deadline=later(0.7))
        events.subscribe("/topic/events/short")
        self.assertEqual([events.expect("MESSAGE").json["status"] for _ in range(2)], ["open", "expired"])

    def test_limits(self):
        for i in range(100):
            self.goal("full", title="t%d" % i, targetCount=1)
        path = "/api/rooms/full/goals"
        self.check_error(self.http.post(path, {"title": "t", "targetCount": 1}), 400, path, "100")
        for value, naming in (({"title": "t", "targetCount": 2**53}, "targetCount"), ({"title": "t", "targetAmount": 1e17}, "targetAmount: ")):
            self.check_error(self.http.post("/api/rooms/wrong/goals", value), 400, "/api/rooms/wrong/goals", naming)


class GoalHookTest(WebhookCase):
    def test_a_webhook(self):
        receiver = Receiver(self)
        self.hook(receiver.url, "goal.reached")
        self.create("/api/rooms/hooked/goals", {"title": "t", "targetCount": 1})
        self.create("/api/tips", tip("hooked"))
        got = self.arrived(receiver, 1)[0]
        said = self.http.get("/api/events/goal.reached/1")
        self.assertEqual((got["X-TipCurrent-Event"], got.body.decode()), ("goal.reached", said.text))


class GoalCrashTest(OwnDaemonCase):
    def test_reached_once_whenever_it_is_killed(self):
        daemon, lots = self.launch(), random.Random(7)
        http, sent = daemon.client(), 0
        goals = [http.post("/api/rooms/r/goals", {"title": "t%d" % i, "targetCount": 3 + 2 * i}).json["id"] for i in range(12)]
        for _ in range(9):
            for _ in range(3):
                self.assertEqual(http.post("/api/tips", tip("r", amount="1"), "tip-%d" % sent).status, 201)
                sent += 1
            time.sleep(lots.choice((0, 0.05, 0.2, 0.25, 0.3, 0.5)))  # somewhere between counted, said and written down
            daemon.kill()
            daemon.start().wait_ready()
            http = daemon.client()
        ids = lambda: sorted(one["goalId"] for one in http.get("/api/events/goal.reached?size=100").json["content"])
        wait_for(lambda: len(ids()) >= 12, what="twelve goals reached")
        daemon.kill()
        daemon.forget_index()
        daemon.start().wait_ready()
        http = daemon.client()
        self.assertEqual(http.post("/api/tips", tip("r", amount="1")).status, 201)
        wait_for(lambda: http.get("/api/goals/%d" % goals[0]).json["progressCount"] == sent + 1)
        self.assertEqual(ids(), goals)
        self.assertEqual({(goal["status"], goal["progressCount"]) for goal in http.get("/api/rooms/r/goals").json}, {("reached", sent + 1)})

    def test_they_survive(self):
        daemon = self.launch()
        http = daemon.client()
        made = [http.post("/api/rooms/r/goals", {"title": "t%d" % i, "targetCount": 1}).json for i in range(5)]
        closed = http.request("POST", "/api/goals/%d/close" % made[2]["id"]).json
        daemon.kill()
        daemon.start().wait_ready()
        goals = daemon.client().get("/api/rooms/r/goals").json
        self.assertEqual(goals, made[:2] + [closed] + made[3:])
