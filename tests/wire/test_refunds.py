"""Refunds: POST /api/tips/{id}/refund, and where they show."""

import threading
import time

from client import WireError
from harness import OwnDaemonCase, WireCase, tip
from receiver import Receiver
from stomp import open_stomp
from test_webhooks import WebhookCase


class RefundTest(WireCase):
    def tip(self, room="refunds", **more):
        return self.create("/api/tips", tip(room, **more)).json["id"]

    def refund(self, of, status=201, key=None, **value):
        return self.create("/api/tips/%d/refund" % of, value, key=key, status=status)

    def refused(self, of, status, naming, **value):
        path = "/api/tips/%d/refund" % of
        self.check_error(self.http.post(path, value), status, path, naming)

    def test_its_shape(self):
        id = self.tip(currency="EUR")
        part = self.refund(id, amount="40.00", reason="too \u00e9arly")
        self.assertEqual(list(part.json), ["id", "type", "tipId", "roomId", "senderId", "recipientId", "amount", "currency", "reason", "createdAt"])
        self.assertEqual((part.json["type"], part.json["tipId"], part.json["reason"]), ("tip.refunded", id, "too \u00e9arly"))
        self.assertIn('"amount":40.00,"currency":"EUR"', part.text)
        rest = self.http.request("POST", "/api/tips/%d/refund" % id)  # no body, no Content-Type: all that is left
        self.assertEqual(rest.status, 201, rest)
        self.assertIn('"amount":60.00,"currency":"EUR","reason":null', rest.text)
        self.assertEqual(self.page("/api/tips/%d/refunds" % id)["content"], [rest.json, part.json])
        self.assertEqual(self.page("/api/tips/00%d/refunds" % id)["content"], [rest.json, part.json])  # the same number
        self.assertEqual(self.page("/api/events/tip.refunded?targetId=%d" % id)["totalElements"], 2)
        self.assertEqual(self.http.get("/api/events/tip.refunded/%d" % part.json["id"]).body, part.body)

    def test_limits(self):
        id = self.tip(amount="10.00")
        self.refused(id, 422, "10.00", amount=10.01)
        self.refund(id, amount=3)
        self.refused(id, 422, "7.00", amount="7.01")
        for wrong in (0, -1, 1.001, "x", True):
            self.refused(id, 400, "amount", amount=wrong)
        self.refused(id, 400, "reason", reason="x" * 1001)
        self.refund(id, amount=7)
        self.refused(id, 409, "nothing is left")
        self.refused(id, 409, "nothing is left", amount=1)
        for path in ("/api/tips/99999/refund", "/api/tips/99999/refunds"):
            answer = self.http.request("POST" if path.endswith("refund") else "GET", path)
            self.assertEqual((answer.status, answer.body), (404, b""))
        self.check_error(self.http.request("POST", "/api/tips/x/refund"), 400, "/api/tips/x/refund", "id")
        self.check_error(self.http.request("POST", "/api/tips/%d/refund" % id, "{}", headers=[("Content-Type", "text/plain")]), 415, "/api/tips/%d/refund" % id)

    def test_keys(self):
        id, other = self.tip(amount="10.00"), self.tip(amount="10.00")
        first = self.refund(id, key="refund-1")
        self.assertEqual(self.refund(id, key="refund-1", status=200).body, first.body)
        for of, value in ((id, {"amount": 10}), (id, {"reason": "another"}), (other, {})):
            self.assertEqual(self.http.post("/api/tips/%d/refund" % of, value, headers=[("Idempotency-Key", "refund-1")]).status, 422)

    def test_where_it_shows(self):
        made = self.create("/api/tips", tip("shown", amount="10.00"), key="shown")
        untouched = self.create("/api/tips", tip("shown"))
        self.refund(made.json["id"], amount="2.50")
        with_it = made.text[:-1] + ',"refundedAmount":2.50}'
        self.assertEqual(self.http.get("/api/tips/%d" % made.json["id"]).text, with_it)
        self.assertEqual(self.http.get("/api/tips/%d" % untouched.json["id"]).text, untouched.text)
        for query in ("", "&after="):
            self.assertIn('"content":[%s,%s]' % (untouched.text, with_it), self.http.get("/api/tips?roomId=shown" + query).text)
        # The tip itself never changes: whoever tries again gets what he got.
        self.assertEqual(self.create("/api/tips", tip("shown", amount="10.00"), key="shown", status=200).body, made.body)
        live = open_stomp(self)
        live.subscribe("/topic/rooms/shown", after=0)
        self.assertEqual([live.expect("MESSAGE").body for _ in range(2)], [made.text, untouched.text])

    def test_page_after_page(self):
        wanted = []
        for i in range(7):
            made = self.create("/api/tips", tip("paged", amount="10.00"))
            if i % 2:
                self.refund(made.json["id"], amount="%d.50" % i)
                self.refund(made.json["id"], amount="0.25")
            wanted.insert(0, i + 0.75 if i % 2 else None)
        seen, cursor = [], ""
        while cursor is not None:
            page = self.page("/api/tips?roomId=paged&size=2&after=" + cursor)
            seen += [one.get("refundedAmount") for one in page["content"]]
            cursor = page["next"]
        self.assertEqual(seen, wanted)
        pages = [self.page("/api/tips?senderId=alice&roomId=paged&size=3&page=%d" % i)["content"] for i in range(3)]
        self.assertEqual([one.get("refundedAmount") for page in pages for one in page], wanted)

    def test_twenty_at_once(self):
        id, statuses = self.tip(amount="10.00"), []

        def ask():
            client = self.daemon.client()
            statuses.append(client.post("/api/tips/%d/refund" % id, {"amount": "1.50"}).status)
            client.close()

        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(statuses), [201] * 6 + [422] * 14)
        self.assertIn('"refundedAmount":9.00}', self.http.get("/api/tips/%d" % id).text)

    def test_live(self):
        room, events = open_stomp(self), open_stomp(self)
        room.subscribe("/topic/rooms/refund-live")
        events.subscribe("/topic/events/refund-live")
        first = self.create("/api/tips", tip("refund-live"))
        made = self.refund(first.json["id"])
        second = self.create("/api/tips", tip("refund-live"))
        self.assertEqual([room.expect("MESSAGE").body for _ in range(2)], [first.text, second.text])
        self.assertEqual(events.expect("MESSAGE").body, made.text)


class RefundHookTest(WebhookCase):
    def test_a_webhook(self):
        receiver = Receiver(self)
        self.hook(receiver.url, "tip.refunded")
        id = self.create("/api/tips", tip("hooked")).json["id"]
        made = self.create("/api/tips/%d/refund" % id, {})
        got = self.arrived(receiver, 1)[0]
        self.assertEqual((got["X-TipCurrent-Event"], got.body.decode()), ("tip.refunded", made.text))


class RefundCrashTest(OwnDaemonCase):
    def test_never_too_much(self):
        """Sixteen at a time, killed in between: whoever has no answer asks again with his key."""
        daemon = self.launch()
        http = daemon.client()
        tips = [http.post("/api/tips", tip(amount="10.00")).json["id"] for _ in range(6)]
        work, given, lock = [(of, "%d-%d" % (of, i)) for i in range(30) for of in tips], {}, threading.Lock()

        def ask():
            client = None
            while True:
                with lock:
                    if not work:
                        return
                    of, key = work.pop()
                status = None
                while status not in (200, 201, 422, 409):
                    try:
                        client = client or daemon.client()
                        answer = client.post("/api/tips/%d/refund" % of, {"amount": "0.70"}, key)
                        status = answer.status
                    except (WireError, OSError):
                        client = None
                        time.sleep(0.02)
                if status in (200, 201):
                    with lock:
                        given[key] = answer.json["id"]

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for pause in (0.02, 0.01, 0.05, 0.03):
            time.sleep(pause)
            daemon.kill()
            daemon.start()
        for thread in threads:
            thread.join()
        http = daemon.wait_ready().client()
        self.assertEqual(len(given), 14 * len(tips))  # 9.80 of 10.00 each
        for of in tips:
            refunds = http.get("/api/tips/%d/refunds?size=100" % of).json["content"]
            self.assertEqual(sorted(one["id"] for one in refunds), sorted(id for key, id in given.items() if key.startswith("%d-" % of)))
            self.assertIn('"refundedAmount":9.80}', http.get("/api/tips/%d" % of).text)

    def test_it_survives(self):
        daemon = self.launch()
        http = daemon.client()
        ids = [http.post("/api/tips", tip(amount="10.00")).json["id"] for _ in range(50)]
        for id in ids:
            self.assertEqual(http.post("/api/tips/%d/refund" % id, {"amount": 4}).status, 201)
        for how in (daemon.kill, daemon.stop_clean):
            how()
            daemon.start().wait_ready()
            http = daemon.client()
            for id in ids[:3] + ids[-3:]:
                self.assertEqual(http.post("/api/tips/%d/refund" % id, {"amount": 7}).status, 422)
                self.assertIn('"refundedAmount":4.00}', http.get("/api/tips/%d" % id).text)
