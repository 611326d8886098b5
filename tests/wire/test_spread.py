"""Webhooks of three nodes on one database: each is sent by one of them, all send about as many, and a killed node's go on. Who sends is what the receiver sees of connections, and what the database says."""

import collections
import json
import time
import unittest

import server
from cluster import NAMES, TAKE_OVER_S, Cluster
from harness import OwnDaemonCase, tip, wait_for
from receiver import Receiver

HOOKS = 9
ORDERED = (7, 8, 9)


@unittest.skipUnless(server.binaries(), "no PostgreSQL server here: ./scripts/deps --test installs it")
class SpreadTest(OwnDaemonCase):
    def setUp(self):
        super().setUp()
        self.cluster = Cluster(self)
        self.daemons = list(self.cluster.nodes.values())
        self.receiver = Receiver(self, host=self.cluster.outside.receiver_host)
        self.bodies = []  # as they were answered, in order
        for number in range(1, HOOKS + 1):
            hook = {"url": "%s/%d" % (self.receiver.url, number), "event": "tip.created", "secret": "s", "ordered": number in ORDERED}
            answer = self.ask(NAMES[number % 3], "/api/webhooks", hook)
            self.assertEqual((answer.status, answer.json["id"]), (201, number), answer)

    def explain(self):
        return super().explain() + "\nthe database's log ends:\n" + self.cluster.database.log.read_text("utf-8", "replace")[-3000:]

    def ask(self, name, target, value=None):
        client = self.cluster.nodes[name].client(20.0)
        try:
            return client.get(target) if value is None else client.request("POST", target, value) if value == "" else client.post(target, value)
        finally:
            client.close()

    def post(self, count, names=NAMES):
        """That many tips, at these nodes in turn, one after the other; their bodies."""
        made = []
        for number in range(count):
            answer = self.ask(names[number % len(names)], "/api/tips", tip("room"))
            self.assertEqual(answer.status, 201, answer)
            made.append(answer.body)
        self.bodies += made
        return made

    def shared_out(self, names=NAMES):
        """Each of these nodes has its part; the webhooks of each."""

        def done():
            senders = self.cluster.senders()
            return senders if senders and set(senders.values()) == set(names) and len(senders) == HOOKS else None

        senders = wait_for(done, TAKE_OVER_S, "each of %s sends" % (names,))
        counts = collections.Counter(senders.values())
        self.assertLessEqual(max(counts.values()) - min(counts.values()), 1, senders)
        return senders

    def got(self, wanted):
        """What came of these events, when all webhooks have all of them."""
        wanted = set(wanted)

        def all_of_it():
            return [delivery for delivery in self.receiver.got() if delivery.body in wanted]

        wait_for(lambda: len({(delivery.path, delivery.body) for delivery in all_of_it()}) == HOOKS * len(wanted), 30, "everything at all webhooks")
        return all_of_it()

    def check_steady(self, senders, count=30):
        """Nothing changes: each event comes once, and no connection brings what is of two nodes."""
        deliveries = self.got(self.post(count))
        self.assertEqual(len(deliveries), HOOKS * count)
        nodes_of, nodes = collections.defaultdict(set), set()
        for delivery in deliveries:
            nodes_of[delivery.peer].add(senders[int(delivery.path[1:])])
        for peer, names in nodes_of.items():
            self.assertEqual(len(names), 1, "%s brings webhooks of %s" % (peer, names))
            nodes |= names
            if peer[0] == self.cluster.outside.node_host and not self.cluster.no_namespace:
                self.assertEqual(names, {"c"})
        self.assertEqual(nodes, set(senders.values()))
        self.check_order(deliveries)

    def check_order(self, deliveries):
        """The first deliveries to the ordered ones come as the events do."""
        places = {body: place for place, body in enumerate(self.bodies)}
        for number in ORDERED:
            first = []
            for delivery in deliveries:
                if delivery.path == "/%d" % number and places[delivery.body] not in first:
                    first.append(places[delivery.body])
            self.assertEqual(first, sorted(first), "webhook %d" % number)

    def check_all(self):
        """From the beginning on: each event at each webhook, by one id, in order where that was asked for; and all nodes have the same delivery log."""
        ids = collections.defaultdict(set)
        deliveries = self.got(self.bodies)
        for delivery in deliveries:
            ids[delivery.path, delivery.body].add(delivery["webhook-id"])
        self.assertEqual({len(names) for names in ids.values()}, {1})
        self.check_order(deliveries)
        for name in NAMES:
            for number in (1, HOOKS):
                wait_for(lambda name=name, number=number: self.ask(name, "/api/webhooks/%d/deliveries" % number).json["totalElements"] >= len(self.bodies), 10, "the delivery log at %s" % name)

    def lose(self, name):
        """Kills it, and returns when each of its webhooks has got something that came afterwards."""
        senders = self.cluster.senders()
        paths = {"/%d" % number for number, by in senders.items() if by == name}
        self.assertGreaterEqual(len(paths), HOOKS // 3)
        others = [other for other in NAMES if other != name]
        self.cluster.nodes[name].kill()
        begun, made = time.monotonic(), set()

        def go_on():
            if time.monotonic() - begun >= len(made) * 0.1:  # ten a second: ordered webhooks have to keep up
                made.update(self.post(1, others))
            return {delivery.path for delivery in self.receiver.got() if delivery.body in made and delivery.path in paths} == paths

        wait_for(go_on, TAKE_OVER_S, "webhooks of %s go on" % name)
        print("     %s was killed: its webhooks go on after %.1f s" % (name, time.monotonic() - begun), flush=True)
        return others

    def test_each_has_its_part_and_a_killed_ones_go_on(self):
        senders = self.shared_out()
        self.check_steady(senders)
        self.assertEqual(sum(self.ask(name, "/readyz").json["webhookShares"] for name in NAMES), 16)
        leader = self.cluster.wait_leader()[0]
        for name in (leader, next(name for name in NAMES if name != leader)):
            others = self.lose(name)
            senders = self.shared_out(others)
            self.cluster.restart(name)
            self.check_steady(self.shared_out())
        self.check_all()
        for node in self.daemons:
            self.assertIn("webhooks: this node has", node.stderr(100000))
            node.stop_clean()

    def test_what_is_asked_of_any_node_is_done_by_the_one_that_sends(self):
        senders = self.shared_out()
        self.check_steady(senders, 6)
        for name in NAMES:
            for number in range(1, HOOKS + 1):
                answer = self.ask(name, "/api/webhooks/%d/test" % number, "")
                self.assertEqual(answer.status, 202, answer)
        wait_for(lambda: sum(delivery["X-TipCurrent-Event"] == "test.event" for delivery in self.receiver.got()) == len(NAMES) * HOOKS, 20, "all tests")
        nodes_of = collections.defaultdict(set)
        for delivery in self.receiver.got():
            nodes_of[delivery.peer].add(senders[int(delivery.path[1:])])
        self.assertEqual({len(names) for names in nodes_of.values()}, {1})
        for node in self.daemons:
            node.stop_clean()

    def test_nodes_that_stop_in_order_and_come_back_lose_nothing(self):
        self.shared_out()
        for name in NAMES:
            self.assertEqual(self.cluster.nodes[name].stop(), 0)
            others = [other for other in NAMES if other != name]
            self.post(10, others)
            self.shared_out(others)
            self.cluster.restart(name)
            self.check_steady(self.shared_out())
        self.check_all()
        self.assertEqual(json.loads(self.bodies[-1])["id"], len(self.bodies))
        for node in self.daemons:
            node.stop_clean()
