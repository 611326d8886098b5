"""Webhooks: what is configured, and what a receiver on this machine gets."""

import base64
import hashlib
import hmac
import http.server
import threading
from datetime import datetime, timedelta, timezone

from kit import EngineTest, until
from tipcurrent import InvalidArgument, KeyMismatch, NotFound, WebhookOptions


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Webhooks(EngineTest):
    def receiver(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        server.got, server.status = [], 200
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def test_configuration(self):
        hooks = self.engine.webhooks
        made = hooks.create("https://example.org/in", ["tip.created", "reaction.created"], "s3cret", room="r", description="d", ordered=True, idempotency_key="k")
        self.assertEqual(
            (made.id, made.room, made.url, made.events, made.description, made.enabled, made.ordered, made.replayed),
            (1, "r", "https://example.org/in", ("tip.created", "reaction.created"), "d", True, True, False),
        )
        self.assertLess(abs(datetime.now(timezone.utc) - made.created_at), timedelta(minutes=1))
        again = hooks.create("https://example.org/in", "tip.created,reaction.created", "s3cret", room="r", description="d", ordered=True, idempotency_key="k")
        self.assertEqual((again, again.replayed), (made, True))
        self.assertRaises(KeyMismatch, hooks.create, "https://example.org/in", "*", "s3cret", idempotency_key="k")
        everywhere = hooks.create("https://example.org/all", "*", "s3cret")
        self.assertEqual((hooks.find(), hooks.find(room="r"), hooks.find(all_rooms_only=True)), ([made, everywhere], [made], [everywhere]))
        changed = hooks.update(1, room="", url="https://example.org/new", events="*", ordered=False, enabled=False, description="")
        self.assertEqual((changed.room, changed.url, changed.events, changed.ordered, changed.enabled, changed.description), (None, "https://example.org/new", ("*",), False, False, ""))
        self.assertTrue(hooks.update(1, enabled=True).enabled)
        self.assertEqual(hooks.get(1).url, "https://example.org/new")
        hooks.delete(1)
        self.assertRaises(NotFound, hooks.get, 1)
        self.assertRaises(InvalidArgument, hooks.create, "ftp://example.org", "*", "s")
        self.assertNotIn("s3cret", repr(everywhere))

    def test_deliveries(self):
        receiver = self.receiver()
        engine = self.open("hooks.db", webhooks=WebhookOptions(allow_receivers="127.0.0.0/8", retry_schedule="1s", max_in_flight=4))
        hook = engine.webhooks.create(f"http://127.0.0.1:{receiver.server_port}/", "tip.created", "s3cret")
        tip = engine.tips.create("r", "a", "b", 1)
        until(lambda: receiver.got)
        headers, body = receiver.got[0]
        self.assertEqual(body.decode(), tip.json)
        self.assertEqual(headers["X-TipCurrent-Signature"], base64.b64encode(hmac.new(b"s3cret", body, hashlib.sha256).digest()).decode())
        delivery = until(lambda: engine.webhooks.deliveries_page(hook.id).items)[0]
        self.assertEqual((delivery.webhook_id, delivery.seq, delivery.attempt, delivery.status, delivery.success, delivery.event, delivery.error), (hook.id, 1, 1, 200, True, "tip.created", None))
        engine.webhooks.test(hook.id)
        engine.webhooks.resend(hook.id, delivery.id)
        until(lambda: len(list(engine.webhooks.deliveries(hook.id, size=1))) == 3)
        self.assertEqual(engine.webhooks.replay(hook.id, 1, 1), 1)
        self.assertEqual(engine.webhooks.replay_time(hook.id, tip.created_at, tip.created_at + timedelta(seconds=1)), 1)
        until(lambda: engine.webhooks.deliveries_page(hook.id).total >= 4)
        self.assertRaises(InvalidArgument, engine.webhooks.deliveries_page, hook.id, size=0)
        self.assertRaises(NotFound, engine.webhooks.deliveries_page, 99)

    def test_a_receiver_that_is_gone_disables_it(self):
        receiver = self.receiver()
        receiver.status = 410
        engine = self.open("gone.db", webhooks=WebhookOptions(allow_receivers="127.0.0.0/8"))
        hook = engine.webhooks.create(f"http://127.0.0.1:{receiver.server_port}/", "tip.created", "s", room="r")
        with engine.subscribe(kinds=[3]) as events:
            engine.tips.create("r", "a", "b", 1)
            said = events.get(30)
        self.assertEqual((said.webhook_id, said.room), (hook.id, "r"))
        self.assertTrue(said.reason)
        until(lambda: not engine.webhooks.get(hook.id).enabled)

    def test_addresses_that_are_not_public_are_refused(self):
        hook = None
        try:
            hook = self.engine.webhooks.create("http://127.0.0.1:9/", "tip.created", "s")
        except InvalidArgument:
            return
        self.tip()
        self.assertFalse(until(lambda: self.engine.webhooks.deliveries_page(hook.id).items)[0].success)
