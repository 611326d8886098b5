"""More kinds of events: follow, subscribe, raid and registered names; where they show and where they must not. Currencies and spellings of emoji."""


from harness import TIMESTAMP, OwnDaemonCase, WireCase, reaction, tip
from receiver import Receiver
from stomp import open_stomp
from test_sse import Stream
from test_webhooks import WebhookCase

HEART, HEART_TOO = "\u2764", "\u2764\ufe0f"


def event(kind="follow", room="room1", user="alice", **more):
    return {"type": kind, "roomId": room, "userId": user, **more}


class ActivityTest(WireCase):
    def test_its_shape(self):
        answer = self.create("/api/events", event("raid", targetId="bob", message="hi", count=250, metadata="m"))
        self.assertEqual(list(answer.json), ["id", "type", "roomId", "userId", "targetId", "message", "count", "metadata", "createdAt"])
        value = {key: answer.json[key] for key in answer.json if key not in ("id", "createdAt")}
        self.assertEqual(value, {**event("raid"), "targetId": "bob", "message": "hi", "count": 250, "metadata": "m"})
        self.assertRegex(answer.json["createdAt"], TIMESTAMP)
        self.assertIn('"targetId":null,"message":null,"count":0,"metadata":null', self.create("/api/events", event()).text)

    def test_mistakes_are_named(self):
        cases = (
            (event("hype_train"), "hype_train"),
            (event(None), "type: is required"),
            (event(7), "type: must be a string"),
            (event("tip"), 'type: "tip"'),
            ({"type": "follow", "roomId": "r"}, "userId"),
            (event(count=-1), "count"),
            (event(count=1.5), "count: must be a whole number"),
            (event(count="many"), "count: must be a number"),
            (event(count=2**53), "count: must be at most"),
            (event(message="x" * 1001), "message"),
        )
        for value, naming in cases:
            self.check_error(self.http.post("/api/events", value), 400, "/api/events", naming)
        for fine in (5, "5", 5.0, 0, 2**53 - 1):
            self.create("/api/events", event(count=fine))

    def test_keys(self):
        first = self.create("/api/events", event(count=3), key="k1")
        again = self.create("/api/events", event(count="3.0"), key="k1", status=200)
        self.assertEqual(again.body, first.body)
        for other in (event(count=4), event("raid", count=3)):
            self.assertEqual(self.http.post("/api/events", other, headers=[("Idempotency-Key", "k1")]).status, 422)
        self.create("/api/tips", tip(), key="k1")  # another door

    def test_lists_and_one(self):
        made = [self.create("/api/events", event(kind, "lists", user, targetId="t")) for kind, user in (("follow", "a"), ("follow", "b"), ("subscribe", "a"))]
        for query, wanted in (
            ("follow?roomId=lists", [1, 0]),
            ("follow?roomId=lists&userId=a", [0]),
            ("subscribe?roomId=lists", [2]),
            ("raid?roomId=lists", []),
            ("follow?targetId=t&userId=b", [1]),
            ("nobody?roomId=lists", []),
        ):
            page = self.page("/api/events/" + query)
            self.assertEqual(page["content"], [made[i].json for i in wanted], query)
            self.assertEqual(page["totalElements"], len(wanted))
        walk = self.page("/api/events/follow?roomId=lists&size=1&after=")
        self.assertEqual(self.page("/api/events/follow?roomId=lists&size=1&after=" + walk["next"])["content"], [made[0].json])
        self.assertEqual(self.http.get("/api/events/follow/%d" % made[1].json["id"]).body, made[1].body)
        self.assertEqual(self.http.get("/api/events/follow/99999").status, 404)
        self.assertEqual(self.http.get("/api/events/goal.reached/99999").status, 404)
        self.check_error(self.http.get("/api/events/follow/x"), 400, "/api/events/follow/x", "id")


class TypesTest(WireCase):
    def test_a_registered_name(self):
        self.check_error(self.http.post("/api/events", event("hype_train")), 400, "/api/events", "hype_train")
        made = self.create("/api/event-types", {"name": "hype_train", "description": "many at once"})
        self.assertEqual(list(made.json), ["id", "name", "description", "createdAt"])
        again = self.create("/api/event-types", {"name": "hype_train", "description": "many at once"}, status=200)
        self.assertEqual(again.body, made.body)
        self.check_error(self.http.post("/api/event-types", {"name": "hype_train"}), 409, "/api/event-types", "hype_train")
        self.create("/api/event-types", {"name": "a_first"})
        self.assertEqual([kind["name"] for kind in self.http.get("/api/event-types").json], ["a_first", "hype_train"])
        answer = self.create("/api/events", event("hype_train", "types", count=3))
        self.assertTrue(answer.text.startswith('{"id":1,"type":"hype_train","roomId":"types",'), answer)
        other = self.create("/api/events", event("a_first", "types"))
        self.assertEqual(self.page("/api/events/hype_train?roomId=types")["content"], [answer.json])
        self.assertEqual(self.http.get("/api/events/hype_train/1").body, answer.body)
        self.assertEqual(self.http.get("/api/events/hype_train/%d" % other.json["id"]).status, 404)
        self.assertEqual(self.http.request("DELETE", "/api/event-types/hype_train").status, 204)
        self.assertEqual(self.http.request("DELETE", "/api/event-types/hype_train").status, 404)
        self.check_error(self.http.post("/api/events", event("hype_train")), 400, "/api/events", "hype_train")
        self.assertEqual(self.page("/api/events/hype_train?roomId=types")["totalElements"], 1)

    def test_names(self):
        for name in ("", "Follow", "1st", "_x", "a-b", "a.b", "follow", "tip", "goal", "ready", "x" * 51, "\u00e9", None):
            self.check_error(self.http.post("/api/event-types", {"name": name}), 400, "/api/event-types", "name")
        self.create("/api/event-types", {"name": "x" * 50})
        self.check_error(self.http.post("/api/event-types", {"name": "ab", "description": "x" * 501}), 400, "/api/event-types", "description")


class SurvivalTest(OwnDaemonCase):
    def test_types_survive_and_end_at_a_thousand(self):
        daemon = self.launch()
        http = daemon.client()
        for i in range(1000):
            self.assertEqual(http.post("/api/event-types", {"name": "t%d" % i}).status, 201)
        full = http.post("/api/event-types", {"name": "one_more"})
        self.assertEqual((full.status, "1000" in full.json["message"]), (400, True), full)
        self.assertEqual(http.post("/api/events", event("t999")).status, 201)
        daemon.kill()
        daemon.start()
        http = daemon.client()
        self.assertEqual(len(http.get("/api/event-types").json), 1000)
        self.assertEqual(http.post("/api/events", event("t0")).json["id"], 2)

    def test_the_log_keeps_its_currency(self):
        daemon = self.launch("--currency", "EUR")
        http = daemon.client()
        self.assertNotIn("currency", http.post("/api/tips", tip(currency="EUR")).text)
        self.assertIn('"currency":"USD"', http.post("/api/tips", tip(currency="USD")).text)
        self.assertEqual(http.get("/api/tips?currency=EUR").json["totalElements"], 1)


class CurrencyTest(WireCase):
    def test_only_another_one_shows(self):
        plain = self.create("/api/tips", tip("money"))
        named = self.create("/api/tips", tip("money", currency="USD"))
        euros = self.create("/api/tips", tip("money", currency="EUR"))
        self.assertEqual(list(plain.json), list(named.json))
        self.assertEqual(list(euros.json)[:6], ["id", "roomId", "senderId", "recipientId", "amount", "currency"])
        self.assertEqual(self.http.get("/api/tips/%d" % euros.json["id"]).body, euros.body)
        for code, wanted in (("EUR", [euros]), ("USD", [named, plain]), ("JPY", []), ("", [])):
            page = self.page("/api/tips?roomId=money&currency=" + code)
            self.assertEqual((page["content"], page["totalElements"]), ([one.json for one in wanted], len(wanted)), code)
        for wrong in ("eur", "EURO", "ABC", "", 5):
            self.check_error(self.http.post("/api/tips", tip(currency=wrong)), 400, "/api/tips", "currency")
        self.create("/api/tips", tip(currency=None))

    def test_a_key_compares_it(self):
        self.create("/api/tips", tip(currency="EUR"), key="currency")
        self.create("/api/tips", tip(currency="EUR"), key="currency", status=200)
        self.assertEqual(self.http.post("/api/tips", tip(), headers=[("Idempotency-Key", "currency")]).status, 422)


class EmojiTest(WireCase):
    def test_spellings_are_one(self):
        made = [self.create("/api/reactions", reaction("spelt", emoji=one)) for one in (HEART, HEART_TOO, "Kappa", "Kappa\ufe0f")]
        for one, wanted in ((HEART, [1, 0]), (HEART_TOO, [1, 0]), ("Kappa", [2]), ("Kappa\ufe0f", [3])):
            page = self.page("/api/reactions?roomId=spelt&emoji=" + one)
            self.assertEqual(page["content"], [made[i].json for i in wanted], one)  # each as its sender wrote it


class LiveTest(WireCase):
    def test_never_among_tips(self):
        room, events, everything = (open_stomp(self) for _ in range(3))
        room.subscribe("/topic/rooms/live")
        events.subscribe("/topic/events/live")
        everything.subscribe("/topic/**")
        all_rooms, all_events = open_stomp(self), open_stomp(self)
        all_rooms.subscribe("/topic/rooms/*")
        all_events.subscribe("/topic/events/**")
        made = [self.create("/api/tips", tip("live")), self.create("/api/events", event("follow", "live")), self.create("/api/reactions", reaction("live"))]
        made += [self.create("/api/events", event("raid", "elsewhere")), self.create("/api/tips", tip("live"))]
        for client, wanted in ((room, (0, 2, 4)), (events, (1,)), (everything, (0, 1, 2, 3, 4)), (all_rooms, (0, 2, 4)), (all_events, (1, 3))):
            for i in wanted:
                message = client.expect("MESSAGE")
                self.assertEqual(message.body, made[i].text)
                where = "/topic/events/" if i in (1, 3) else "/topic/rooms/"
                self.assertEqual(message["destination"], where + made[i].json["roomId"])
        resumed = open_stomp(self)
        self.assertEqual(resumed.subscribe("/topic/events/live", after=0)["recovered"], "true")
        self.assertEqual(resumed.expect("MESSAGE").body, made[1].text)

    def test_streams_name_them_only_when_asked(self):
        plain, named, some = (Stream(self, "/api/rooms/named/events" + query) for query in ("", "?types=*", "?types=follow,tip"))
        for stream in (plain, named, some):
            self.assertEqual(stream.event()[0], "ready")
        made = [self.create("/api/events", event("follow", "named")), self.create("/api/events", event("raid", "named"))]
        made += [self.create("/api/reactions", reaction("named")), self.create("/api/tips", tip("named"))]
        names = ["follow", "raid", "reaction", "tip"]
        for stream, wanted in ((plain, (2, 3)), (named, (0, 1, 2, 3)), (some, (0, 3))):
            for i in wanted:
                name, _, data = stream.event()
                self.assertEqual((name, data), ("message" if stream is plain else names[i], made[i].text))
        back = Stream(self, "/api/events?after=0&types=raid")
        self.assertEqual(back.event()[0], "ready")
        while True:  # other tests have raids too
            name, _, data = back.event()
            self.assertEqual(name, "raid")
            if data == made[1].text:
                break
        self.check_error(self.http.get("/api/events?types="), 400, "/api/events", "types")


class HookTest(WebhookCase):
    def test_names_of_events(self):
        receiver = Receiver(self)
        self.create("/api/event-types", {"name": "cheer"})
        self.hook(receiver.url, events=["follow.created", "cheer.created"], event=None)
        self.create("/api/events", event("raid", "hooks"))
        made = [self.create("/api/events", event(kind, "hooks")) for kind in ("follow", "cheer")]
        got = self.arrived(receiver, 2)
        self.assertEqual({one["X-TipCurrent-Event"]: one.body.decode() for one in got}, {"follow.created": made[0].text, "cheer.created": made[1].text})
