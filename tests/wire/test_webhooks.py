"""Webhooks: the registry and deliveries as the Java service's 24 tests have them, and cases O-39 to O-43."""

import base64
import hashlib
import hmac
import json
import socket
import threading
import time

from harness import OwnDaemonCase, WireCase, reaction, tip, wait_for
from receiver import Receiver

LOOPBACK = ("--allow-receivers", "127.0.0.0/8,::1/128")
PATIENCE_S = 20


def signature(secret, body):
    """The README's verifier."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


class WebhookCase(WireCase):
    flags = (*LOOPBACK, "--webhook-retry-schedule", "1s,1s")

    def hook(self, url, event="tip.created", secret="s3cret", **more):
        answer = self.http.post("/api/webhooks", {"url": url, "event": event, "secret": secret, "description": "d", **more})
        self.assertEqual(answer.status, 201, answer)
        self.addCleanup(lambda: self.http.request("DELETE", "/api/webhooks/%d" % answer.json["id"]))
        return answer.json

    def deliveries(self, hook, count, query=""):
        """The log once it has count rows."""
        target = "/api/webhooks/%d/deliveries%s" % (hook["id"], query)
        wait_for(lambda: self.page(target)["totalElements"] >= count, PATIENCE_S, "%d rows in the log" % count)
        return self.page(target)["content"]

    def arrived(self, receiver, count):
        wait_for(lambda: len(receiver.got()) >= count, PATIENCE_S, "%d deliveries" % count)
        return receiver.got()


class RegistryTest(WebhookCase):
    def test_should_create_webhook(self):
        made = self.hook("https://example.com/hook", roomId="room1")
        self.assertEqual((made["url"], made["event"], made["roomId"], made["enabled"], made["description"]), ("https://example.com/hook", "tip.created", "room1", True, "d"))
        self.assertEqual(made["createdAt"], made["updatedAt"])
        self.assertNotIn("secret", json.dumps(made))

    def test_should_list_webhooks(self):
        made = [self.hook("https://example.com/%d" % i) for i in range(3)]
        listed = self.http.get("/api/webhooks").json
        self.assertEqual([hook for hook in listed if hook in made], made)

    def test_should_list_only_global_webhooks_and_those_of_a_room(self):
        everywhere, room, other = self.hook("https://example.com/g"), self.hook("https://example.com/r", roomId="room1"), self.hook("https://example.com/o", roomId="room2")
        for query, wanted in (("?global=true", [everywhere]), ("?global=YES&roomId=room1", [everywhere]), ("?roomId=room1", [room]), ("?global=false", [everywhere, room, other]), ("?roomId=none", [])):
            listed = self.http.get("/api/webhooks" + query).json
            self.assertEqual([hook for hook in listed if hook in (everywhere, room, other)], wanted, query)
        self.check_error(self.http.get("/api/webhooks?global=maybe"), 400, "/api/webhooks", "global")

    def test_should_get_webhook_by_id(self):
        made = self.hook("https://example.com/hook")
        self.assertEqual(self.http.get("/api/webhooks/%d" % made["id"]).json, made)

    def test_should_return_404_without_a_body(self):
        for method, target in (
            ("GET", "/api/webhooks/99999"), ("DELETE", "/api/webhooks/99999"), ("PATCH", "/api/webhooks/99999/enable"), ("PATCH", "/api/webhooks/99999/disable"), ("POST", "/api/webhooks/99999/test"),
            ("GET", "/api/webhooks/99999/deliveries"),
        ):
            answer = self.http.request(method, target, "" if method == "POST" else None)
            self.assertEqual((answer.status, answer.body), (404, b""), target)
        self.check_error(self.http.get("/api/webhooks/x"), 400, "/api/webhooks/x", "id")

    def test_should_delete_webhook(self):
        made = self.hook("https://example.com/hook")
        self.assertEqual(self.http.request("DELETE", "/api/webhooks/%d" % made["id"]).status, 204)
        self.assertEqual(self.http.get("/api/webhooks/%d" % made["id"]).status, 404)

    def test_should_enable_and_disable_webhook(self):
        made = self.hook("https://example.com/hook")
        target = "/api/webhooks/%d" % made["id"]
        off = self.http.request("PATCH", target + "/disable").json
        self.assertFalse(off["enabled"])
        self.assertEqual(self.http.request("PATCH", target + "/disable").json, off)  # updatedAt moves with the flag only
        on = self.http.request("PATCH", target + "/enable").json
        self.assertTrue(on["enabled"])
        self.assertGreaterEqual(on["updatedAt"], off["updatedAt"])

    def test_change(self):
        made = self.hook("https://example.com/hook", roomId="room1")
        target = "/api/webhooks/%d" % made["id"]
        body = {"url": "https://example.org/x", "events": ["tip.created", "reaction.created"], "description": "new", "roomId": None, "ordered": True}
        changed = self.http.request("PATCH", target, json.dumps(body), [("Content-Type", "application/json")]).json
        self.assertEqual((changed["url"], changed["events"], changed["event"], changed["description"], changed["roomId"], changed["ordered"]),
                         ("https://example.org/x", ["tip.created", "reaction.created"], "tip.created", "new", None, True))
        self.assertEqual(changed["createdAt"], made["createdAt"])
        answer = self.http.request("PATCH", target, '{"url":"ftp://x"}', [("Content-Type", "application/json")])
        self.check_error(answer, 400, target, "url")
        answer = self.http.request("PATCH", target, '{"secret":"new","overlapSeconds":0}', [("Content-Type", "application/json")])
        self.check_error(answer, 400, target, "overlapSeconds")
        self.assertEqual(self.http.request("PATCH", target, "{}", [("Content-Type", "application/json")]).json, changed)
        self.assertEqual(self.http.get(target).json, changed)

    def test_idempotency_key(self):
        asked = {"url": "https://example.com/k", "event": "tip.created", "secret": "s"}
        key = "hook-1"
        first = self.http.post("/api/webhooks", asked, key)
        self.addCleanup(lambda: self.http.request("DELETE", "/api/webhooks/%d" % first.json["id"]))
        again = self.http.post("/api/webhooks", dict(reversed(asked.items())), key)
        self.assertEqual((first.status, again.status, again.json), (201, 200, first.json))
        for other in ({"url": "https://example.com/l"}, {"secret": "t"}, {"roomId": "r"}, {"ordered": True}):
            self.check_error(self.http.post("/api/webhooks", {**asked, **other}, key), 422, "/api/webhooks", "Idempotency-Key")
        self.http.request("PATCH", "/api/webhooks/%d" % first.json["id"], '{"secret":"new","url":"https://example.com/m"}', [("Content-Type", "application/json")])
        self.assertEqual(self.http.post("/api/webhooks", asked, key).json["url"], "https://example.com/m")
        self.check_error(self.http.post("/api/webhooks", asked, ""), 400, "/api/webhooks", "Idempotency-Key")
        self.check_error(self.http.post("/api/webhooks", asked, "k" * 256), 400, "/api/webhooks", "Idempotency-Key")

    def test_bad_input(self):
        good = {"url": "https://example.com/", "event": "tip.created", "secret": "s"}
        for change, naming in (
            ({"url": None}, "url"), ({"url": "example.com"}, "url"), ({"url": "file:///etc/passwd"}, "url"), ({"url": "gopher://example.com/"}, "url"), ({"url": "https://u:p@example.com/"}, "url"),
            ({"url": "https://example.com/" + "x" * 2048}, "url"), ({"event": None}, "event"), ({"event": " "}, "event"), ({"event": "x" * 101}, "event"), ({"secret": None}, "secret"),
            ({"secret": "x" * 256}, "secret"), ({"description": "x" * 501}, "description"), ({"roomId": "x" * 256}, "roomId"), ({"roomId": ""}, "roomId"), ({"url": 5}, "url"),
            ({"events": "tip.created"}, "events"), ({"events": []}, "events"), ({"events": ["e%d" % i for i in range(17)]}, "events"), ({"ordered": 1}, "ordered"),
        ):
            answer = self.http.post("/api/webhooks", {**good, **change})
            with self.subTest(change=str(change)[:60]):
                self.check_error(answer, 400, "/api/webhooks", naming)
        self.assertEqual(self.http.post("/api/webhooks", "{").status, 400)

    def test_where_it_may_not_go(self):
        for host in (
            "169.254.169.254", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "2852039166", "0xA9FEA9FE", "127.1", "0", "0177.0.0.1", "[::]", "[fd00::1]", "[fe80::1]", "10.0.0.1", "192.168.1.1",
            "100.64.0.1", "[64:ff9b::a00:1]", "[2002:a00:1::]", "224.0.0.1", "255.255.255.255",
        ):
            answer = self.http.post("/api/webhooks", {"url": "http://%s/" % host, "event": "*", "secret": "s"})
            self.assertEqual(answer.status, 400, host)


class DeliveryTest(WebhookCase):
    def test_should_deliver_webhook_when_tip_created(self):
        receiver = Receiver(self)
        self.hook(receiver.url + "/a?b=c", secret="clé-\U0001f511")
        made = self.create("/api/tips", tip("room1", message="ë \U0001f469\u200d\U0001f680 / < \u2028"))
        got = self.arrived(receiver, 1)[0]
        self.assertEqual(got.path, "/a?b=c")
        self.assertEqual(got.body, made.body)
        self.assertEqual((got["X-TipCurrent-Event"], got["X-TipCurrent-Delivery-Attempt"], got["Content-Type"]), ("tip.created", "1", "application/json"))
        self.assertEqual(got["X-TipCurrent-Signature"], signature("clé-\U0001f511", got.body))
        self.assertEqual(len(got["X-TipCurrent-Signature"]), 44)

    def test_should_deliver_webhook_when_reaction_created(self):
        receiver = Receiver(self)
        self.hook(receiver.url, "reaction.created")
        self.create("/api/tips", tip("room1"))
        made = self.create("/api/reactions", reaction("room1"))
        got = self.arrived(receiver, 1)
        self.assertEqual([d.body for d in got], [made.body])
        self.assertEqual(got[0]["X-TipCurrent-Signature"], signature("s3cret", got[0].body))

    def test_should_deliver_to_rooms_and_everywhere(self):
        one, other, everywhere, both = Receiver(self), Receiver(self), Receiver(self), Receiver(self)
        self.hook(one.url, roomId="room1")
        self.hook(other.url, roomId="room2")
        self.hook(everywhere.url, "*")
        self.hook(both.url, None, events=["tip.created", "reaction.created"], roomId="room1")
        made = [self.create("/api/tips", tip("room1")), self.create("/api/reactions", reaction("room1")), self.create("/api/tips", tip("any room"))]
        self.assertEqual({d.body for d in self.arrived(everywhere, 3)}, {answer.body for answer in made})
        self.assertEqual({d.body for d in self.arrived(both, 2)}, {made[0].body, made[1].body})
        self.assertEqual([d.body for d in self.arrived(one, 1)], [made[0].body])
        self.assertEqual(other.got(), [])

    def test_should_deliver_multiple_webhooks_for_same_event(self):
        receivers = [Receiver(self), Receiver(self)]
        for i, receiver in enumerate(receivers):
            self.hook(receiver.url, secret="secret%d" % i)
        self.create("/api/tips", tip("room1"))
        got = [self.arrived(receiver, 1)[0] for receiver in receivers]
        self.assertEqual(got[0].body, got[1].body)
        self.assertNotEqual(got[0]["X-TipCurrent-Signature"], got[1]["X-TipCurrent-Signature"])

    def test_should_not_deliver_webhook_when_disabled(self):
        receiver, witness = Receiver(self), Receiver(self)
        made = self.hook(receiver.url)
        self.hook(witness.url)
        self.http.request("PATCH", "/api/webhooks/%d/disable" % made["id"])
        self.create("/api/tips", tip("room1"))
        self.arrived(witness, 1)
        self.assertEqual(receiver.got(), [])
        self.http.request("PATCH", "/api/webhooks/%d/enable" % made["id"])
        later = self.create("/api/tips", tip("room1"))
        self.assertEqual([d.body for d in self.arrived(receiver, 1)], [later.body])

    def test_should_log_successful_delivery_and_show_pages(self):
        receiver = Receiver(self)
        made = self.hook(receiver.url)
        for _ in range(5):
            self.create("/api/tips", tip("room1"))
        rows = self.deliveries(made, 5)
        self.assertEqual(list(rows[0]), ["id", "webhookId", "seq", "event", "success", "httpStatusCode", "responseBody", "errorMessage", "attemptNumber", "durationMs", "createdAt"])
        for row in rows:
            self.assertEqual((row["webhookId"], row["event"], row["success"], row["httpStatusCode"], row["attemptNumber"], row["errorMessage"]), (made["id"], "tip.created", True, 200, 1, None))
            self.assertGreater(row["durationMs"], 0)
            self.assertEqual(row["responseBody"], "")  # what a non-public address answers is not stored
        self.assertEqual([row["id"] for row in rows], sorted((row["id"] for row in rows), reverse=True))
        page = self.page("/api/webhooks/%d/deliveries?page=1&size=2" % made["id"])
        self.assertEqual([row["id"] for row in page["content"]], [row["id"] for row in rows[2:4]])
        self.assertEqual((page["totalElements"], page["totalPages"], page["sort"]["sorted"]), (5, 3, False))
        for query, naming in (("?page=-1", "page"), ("?size=0", "size"), ("?size=1001", "size"), ("?page=x", "page")):
            self.check_error(self.http.get("/api/webhooks/%d/deliveries%s" % (made["id"], query)), 400, "/api/webhooks/%d/deliveries" % made["id"], naming)

    def test_should_log_failed_delivery_and_try_three_times(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            made = self.hook("http://127.0.0.1:%d/" % closed.getsockname()[1])
            self.create("/api/tips", tip("room1"))
            rows = self.deliveries(made, 3)
        self.assertEqual([(row["attemptNumber"], row["success"], row["httpStatusCode"], row["responseBody"]) for row in rows], [(3, False, 0, None), (2, False, 0, None), (1, False, 0, None)])
        self.assertTrue(all(row["errorMessage"] for row in rows))

    def test_attempts_end(self):
        receiver = Receiver(self, lambda delivery, count: 500)
        made = self.hook(receiver.url)
        self.create("/api/tips", tip("room1"))
        got = self.arrived(receiver, 3)
        self.assertEqual([d["X-TipCurrent-Delivery-Attempt"] for d in got], ["1", "2", "3"])
        self.assertEqual(len({d["webhook-id"] for d in got}), 1)
        self.assertEqual(len({(d.body, d["X-TipCurrent-Signature"]) for d in got}), 1)
        self.deliveries(made, 3)
        witness = self.create("/api/tips", tip("room1"))
        self.assertEqual(self.arrived(receiver, 4)[3].body, witness.body)

    def test_should_test_webhook(self):
        receiver = Receiver(self)
        made = self.hook(receiver.url)
        self.http.request("PATCH", "/api/webhooks/%d/disable" % made["id"])
        begun = time.monotonic()
        answer = self.http.request("POST", "/api/webhooks/%d/test" % made["id"], "")
        self.assertEqual((answer.status, answer.body), (202, b""))
        self.assertLess(time.monotonic() - begun, 1)
        got = self.arrived(receiver, 1)[0]
        self.assertEqual(got.body, b'{"event":"test.event","message":"This is a test webhook delivery"}')
        self.assertEqual((got["X-TipCurrent-Event"], got["X-TipCurrent-Signature"]), ("test.event", signature("s3cret", got.body)))
        self.assertEqual(self.deliveries(made, 1)[0]["event"], "test.event")

    def test_redirects_are_failures(self):
        other = Receiver(self)
        for status in (302, 307):
            receiver = Receiver(self, lambda delivery, count: (status, {"Location": other.url + "/"}, b""))
            made = self.hook(receiver.url)
            self.create("/api/tips", tip("room1"))
            rows = self.deliveries(made, 3)
            self.assertEqual([(row["success"], row["httpStatusCode"]) for row in rows], [(False, status)] * 3)
            self.http.request("DELETE", "/api/webhooks/%d" % made["id"])
        self.assertEqual(other.got(), [])

    def test_gone_disables(self):
        receiver, witness = Receiver(self, lambda delivery, count: 410), Receiver(self)
        made = self.hook(receiver.url)
        self.hook(witness.url, "webhook.disabled")
        self.create("/api/tips", tip("room1"))
        wait_for(lambda: not self.http.get("/api/webhooks/%d" % made["id"]).json["enabled"], PATIENCE_S)
        self.assertEqual(len(receiver.got()), 1)
        said = [json.loads(d.body) for d in self.arrived(witness, 1)]
        self.assertEqual([(event["webhookId"], event["roomId"], event["reason"]) for event in said], [(str(made["id"]), None, "its receiver answered 410 Gone")])
        self.assertEqual(witness.got()[0]["X-TipCurrent-Event"], "webhook.disabled")

    def test_resend_and_replay(self):
        receiver = Receiver(self)
        made = self.hook(receiver.url, roomId="replay")
        target = "/api/webhooks/%d" % made["id"]
        bodies = [self.create("/api/tips", tip("replay", amount="%d" % (i + 1))).body for i in range(3)]
        first = self.arrived(receiver, 3)
        rows = self.deliveries(made, 3)
        self.assertEqual(self.http.post(target + "/resend", {"deliveryId": rows[0]["id"]}).status, 202)
        again = self.arrived(receiver, 4)[3]
        self.assertIn(again["webhook-id"], {d["webhook-id"] for d in first})
        seqs = sorted(row["seq"] for row in rows)
        answer = self.http.post(target + "/replay", {"fromSeq": seqs[0], "toSeq": seqs[-1] + 100})
        self.assertEqual((answer.status, answer.json), (202, {"count": 3}))
        self.assertEqual({d.body for d in self.arrived(receiver, 7)[4:]}, set(bodies))
        self.assertEqual({d["webhook-id"] for d in receiver.got()}, {d["webhook-id"] for d in first})
        self.assertEqual(self.http.post(target + "/resend", {"deliveryId": 999999}).status, 404)
        for wrong in ({"fromSeq": 5}, {}, {"fromSeq": 5, "toSeq": 6, "from": "2024-01-15T10:00:00Z", "to": "2024-01-15T10:00:00Z"}, {"to": "2024-01-15T10:00:00Z"}):
            self.check_error(self.http.post(target + "/replay", wrong), 400, target + "/replay", "required")

    def test_replay_of_a_time_range(self):
        receiver = Receiver(self)
        made = self.hook(receiver.url, roomId="times", event="tip.created", events=["tip.created", "reaction.created"])
        target = "/api/webhooks/%d/replay" % made["id"]
        bodies = []
        for i in range(4):
            bodies.append(self.create("/api/tips", tip("times", amount="%d" % (i + 1))).body)
            self.create("/api/tips", tip("elsewhere"))
            time.sleep(0.003)  # createdAt shows milliseconds, and the range below is given by what it shows
        bodies.append(self.create("/api/reactions", reaction("times")).body)
        self.arrived(receiver, 5)
        at = [json.loads(body)["createdAt"] for body in bodies]
        for sent, (begin, end), wanted in ((5, (at[1], at[3]), bodies[1:3]), (7, ("2020-01-01T00:00:00Z", "2100-01-01T00:00:00+14:00"), bodies), (12, (at[3], at[3]), [])):
            self.assertEqual((lambda answer: (answer.status, answer.json))(self.http.post(target, {"from": begin, "to": end})), (202, {"count": len(wanted)}))
            self.assertEqual({d.body for d in self.arrived(receiver, sent + len(wanted))[sent:]}, set(wanted))
        self.check_error(self.http.post(target, {"from": "yesterday", "to": at[0]}), 400, target, "from")
        self.check_error(self.http.post(target, {"from": at[0], "to": "2024-01-15"}), 400, target, "to")
        self.check_error(self.http.post(target, {"from": at[3], "to": at[0]}), 400, target, "to")

    def test_replay_of_what_is_on_its_way(self):
        free = threading.Event()
        self.addCleanup(free.set)
        receiver = Receiver(self, lambda delivery, count: 200 if count != 2 or free.wait(PATIENCE_S) else 500)
        made = self.hook(receiver.url, roomId="again")
        target = "/api/webhooks/%d" % made["id"]
        self.create("/api/tips", tip("again"))
        row = self.deliveries(made, 1)[0]
        self.assertEqual(self.http.post(target + "/resend", {"deliveryId": row["id"]}).status, 202)
        self.arrived(receiver, 2)
        self.assertEqual(self.http.post(target + "/replay", {"fromSeq": row["seq"], "toSeq": row["seq"]}).json, {"count": 1})
        time.sleep(0.3)  # the replay is noted while the second is held; where it is not, this test proves less, but nothing wrong
        free.set()
        self.assertEqual(len({d["webhook-id"] for d in self.arrived(receiver, 3)}), 1)
        self.deliveries(made, 3)

    def test_rotation_signs_with_both(self):
        receiver = Receiver(self)
        made = self.hook(receiver.url, secret="old")
        target = "/api/webhooks/%d" % made["id"]
        self.assertEqual(self.http.request("PATCH", target, '{"secret":"new"}', [("Content-Type", "application/json")]).status, 200)
        self.create("/api/tips", tip("room1"))
        got = self.arrived(receiver, 1)[0]
        self.assertEqual(got["X-TipCurrent-Signature"], signature("new", got.body))
        signed = ("%s.%s." % (got["webhook-id"], got["webhook-timestamp"])).encode() + got.body
        self.assertEqual(got["webhook-signature"], "v1,%s v1,%s" % (signature("new", signed), signature("old", signed)))

    def test_standard_webhooks_secret(self):
        receiver = Receiver(self)
        key = bytes(range(24))
        self.hook(receiver.url, secret="whsec_" + base64.b64encode(key).decode())
        self.create("/api/tips", tip("room1"))
        got = self.arrived(receiver, 1)[0]
        signed = ("%s.%s." % (got["webhook-id"], got["webhook-timestamp"])).encode() + got.body
        self.assertEqual(got["webhook-signature"], "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode())
        self.assertLess(abs(int(got["webhook-timestamp"]) - time.time()), 10)

    def test_ordered(self):
        failed = set()

        def flaky(delivery, count):
            # Every third body fails once.
            value = json.loads(delivery.body)
            if value["id"] % 3 == 0 and value["id"] not in failed and value["roomId"] == "slow":
                failed.add(value["id"])
                return 500
            return 200

        receiver = Receiver(self, flaky)
        self.hook(receiver.url, ordered=True)
        wanted = {"slow": [], "quick": []}
        for i in range(12):
            room = ("slow", "quick")[i % 2]
            wanted[room].append(self.create("/api/tips", tip(room)).json["id"])
        wait_for(lambda: len({json.loads(d.body)["id"] for d in receiver.got()}) == 12 and len(receiver.got()) == 12 + len(failed), PATIENCE_S)
        order = [json.loads(d.body) for d in receiver.got()]
        for room, ids in wanted.items():
            seen = [value["id"] for value in order if value["roomId"] == room]
            self.assertEqual([id for i, id in enumerate(seen) if i == 0 or seen[i - 1] != id], ids)
        # A failure in one room holds no other back: all of "quick" is through before the first retry.
        quick = [i for i, value in enumerate(order) if value["roomId"] == "quick"]
        slow = [i for i, value in enumerate(order) if value["roomId"] == "slow"]
        self.assertTrue(not failed or quick[-1] < slow[-1])


class IsolationTest(OwnDaemonCase):
    def hook(self, http, url):
        answer = http.post("/api/webhooks", {"url": url, "event": "tip.created", "secret": "s"})
        self.assertEqual(answer.status, 201, answer)
        return answer.json["id"]

    def test_one_slow_receiver_does_not_hold_the_others(self):
        daemon = self.launch(*LOOPBACK).wait_ready()
        http = daemon.client()
        self.addCleanup(http.close)
        slow, good = Receiver(self, lambda delivery, count: None), Receiver(self)
        held = self.hook(http, slow.url)
        self.hook(http, good.url)
        begun = time.monotonic()
        for _ in range(100):
            self.assertEqual(http.post("/api/tips", tip("r")).status, 201)
        self.assertLess(time.monotonic() - begun, 2)
        wait_for(lambda: len(good.got()) == 100, 5)
        self.assertLessEqual(slow.connections, 8)
        self.assertEqual(http.request("POST", "/api/webhooks/%d/test" % held, "").status, 202)
        self.assertEqual(http.get("/livez").status, 200)
        daemon.stop_clean()

    def test_no_receiver_on_this_machine_unless_allowed(self):
        daemon = self.launch().wait_ready()
        http = daemon.client()
        self.addCleanup(http.close)
        receiver = Receiver(self)
        for url in (receiver.url, "http://[::1]:%d/" % receiver.port):
            self.assertEqual(http.post("/api/webhooks", {"url": url, "event": "*", "secret": "s"}).status, 400)
        self.assertEqual(http.post("/api/webhooks", {"url": "http://localhost:%d/" % receiver.port, "event": "*", "secret": "s"}).status, 400)
        # Another name is looked up at each attempt, and its addresses are checked then.
        name = socket.gethostname()
        if not all(info[4][0].startswith(("127.", "10.", "192.168.", "172.", "::1", "fe80", "fd")) for info in socket.getaddrinfo(name, 80)):
            self.skipTest("this machine's own name has a public address")
        id = self.hook(http, "http://%s:%d/" % (name, receiver.port))
        http.post("/api/tips", tip("r"))
        wait_for(lambda: http.get("/api/webhooks/%d/deliveries" % id).json["totalElements"] >= 1, PATIENCE_S)
        row = http.get("/api/webhooks/%d/deliveries" % id).json["content"][-1]
        self.assertEqual((row["success"], row["httpStatusCode"]), (False, 0))
        self.assertIn("not allowed", row["errorMessage"])
        self.assertEqual(receiver.connections, 0)

    def test_crash_between_the_201_and_the_delivery(self):
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            port = reserved.getsockname()[1]
        daemon = self.launch(*LOOPBACK, "--webhook-retry-schedule", "1s,1s,1s,1s").wait_ready()
        http = daemon.client()
        self.hook(http, "http://127.0.0.1:%d/" % port)
        made = http.post("/api/tips", tip("r"))
        http.close()
        daemon.kill()
        receiver = Receiver(self, port=port)
        daemon.start().wait_ready()
        wait_for(lambda: receiver.got(), PATIENCE_S)
        got = receiver.got()[0]
        self.assertEqual(got.body, made.body)
        self.assertEqual(got["X-TipCurrent-Signature"], signature("s", got.body))

    def test_enabled_again_gets_what_comes_then(self):
        """Also while a request of before the change is still under way, and without what was owed before."""
        daemon = self.launch(*LOOPBACK).wait_ready()
        http = daemon.client()
        self.addCleanup(http.close)
        receiver = Receiver(self, lambda delivery, count: None if count <= 8 else 200)
        id = self.hook(http, receiver.url)
        for _ in range(50):
            http.post("/api/tips", tip("before"))
        wait_for(lambda: len(receiver.got()) == 8, PATIENCE_S)
        self.assertEqual(http.request("PATCH", "/api/webhooks/%d/disable" % id).status, 200)
        self.assertEqual(http.request("PATCH", "/api/webhooks/%d/enable" % id).status, 200)
        made = [http.post("/api/tips", tip("after")).body for _ in range(5)]
        wait_for(lambda: len(receiver.got()) >= 13, PATIENCE_S)
        self.assertEqual(sorted(d.body for d in receiver.got()[8:]), sorted(made))

    def test_epoch_time(self):
        daemon = self.launch(*LOOPBACK, "--webhook-time-format", "epoch").wait_ready()
        http = daemon.client()
        self.addCleanup(http.close)
        receiver = Receiver(self)
        self.hook(http, receiver.url)
        http.post("/api/tips", tip("r"))
        wait_for(lambda: receiver.got(), PATIENCE_S)
        self.assertRegex(receiver.got()[0].body.decode(), r'"createdAt":\d{10}\.\d{6}000}\Z')
        self.assertLess(abs(json.loads(receiver.got()[0].body)["createdAt"] - time.time()), 20)

    def test_secrets_at_rest(self):
        key = self.scratch() / "key"
        key.write_text("00112233445566778899aabbccddeeff" * 2 + "\n")
        daemon = self.launch(*LOOPBACK, "--webhook-secret-key-file", str(key)).wait_ready()
        http = daemon.client()
        receiver = Receiver(self)
        asked = {"url": receiver.url, "event": "*", "secret": "very-secret-text"}
        answer = http.post("/api/webhooks", asked, "k")
        self.assertEqual(answer.status, 201)
        http.close()
        daemon.stop_clean()
        for path in daemon.directory.iterdir():
            self.assertNotIn(b"very-secret-text", path.read_bytes(), path)
        daemon.start().wait_ready()
        http = daemon.client()
        self.assertEqual([http.post("/api/webhooks", body, "k").status for body in (asked, {**asked, "secret": "other"})], [200, 422])
        http.post("/api/tips", tip("r"))
        wait_for(lambda: receiver.got(), PATIENCE_S)
        got = receiver.got()[0]
        self.assertEqual(got["X-TipCurrent-Signature"], signature("very-secret-text", got.body))
        http.close()
        self.assertNotIn("very-secret", daemon.stderr())
