"""Three nodes on one database, posted to and followed through all of them, while nodes are killed, the database is restarted, and nodes are cut off from it. Afterwards the log is the witness: what was
acknowledged stands there once, everybody has seen it once and in order, webhooks have it, and every node's numbers are those of the log."""

import bisect
import collections
import json
import os
import random
import signal
import time
import unittest
from decimal import Decimal

import cluster_load
import server
from cluster import NAMES, TAKE_OVER_S, Cluster
from harness import OwnDaemonCase, wait_for
from receiver import Receiver

SLOW = bool(os.environ.get("TIPCURRENT_TEST_SLOW"))
ROUNDS = 8 if SLOW else 1
STEADY = 150  # events of each node before anything is broken
FLOW = 25  # events of each node between two faults
AWAY_S = 2.0
UNSETTLED_S = 3.0  # after a fault: two nodes that have lost their sessions may both have sent something until one leads again
GOAL_REACHED = 5  # the kind
GOALS = {"a": 60, "b": 200, "c": 350}  # how many tips of the first room, by the node at which it is made
# What is sent to the receiver's paths; each is registered at another node.
HOOKS = {"/all": lambda room: True, "/room": lambda room: room == "r0", "/ordered": lambda room: room == "r1"}
ROOMS = ["r%d" % number for number in range(cluster_load.ROOMS)]


@unittest.skipUnless(server.binaries(), "no PostgreSQL server here: ./scripts/deps --test installs it")
class ClusterTest(OwnDaemonCase):
    def setUp(self):
        super().setUp()
        self.cluster = Cluster(self)
        self.daemons = list(self.cluster.nodes.values())
        if self.cluster.no_namespace:
            print("     SKIPPED: no network namespace here (%s). Node c is cut off by a proxy that keeps its bytes instead." % self.cluster.no_namespace, flush=True)
        self.receiver = Receiver(self, host=self.cluster.outside.receiver_host)
        self.load = cluster_load.Load(self.cluster)
        self.took_s, self.begun = [], time.monotonic()

    def explain(self):
        return super().explain() + "\nthe database's log ends:\n" + self.cluster.database.log.read_text("utf-8", "replace")[-3000:]

    def blame(self):
        return "wrong so far (%d):\n%s" % (len(self.load.wrong), "\n".join(self.load.wrong[:20]))

    def tell(self, text, *args):
        print("     %5.1f s: %s" % (time.monotonic() - self.begun, text % args), flush=True)

    # ---- what goes on while nothing is broken ----

    def flows(self, names=NAMES, count=FLOW, within_s=30.0):
        """Each of these nodes takes events, and webhooks are sent."""
        answered, sent = dict(self.load.answered), len(self.receiver.got())

        def flown():
            return all(self.load.answered[name] >= answered[name] + count for name in names) and len(self.receiver.got()) >= sent + count

        try:
            wait_for(flown, within_s, "events and webhooks")
        except AssertionError as error:
            raise AssertionError("%s: answered %r since %r, webhooks %d since %d, %r leads; %s" % (error, self.load.answered, answered, len(self.receiver.got()), sent, self.cluster.leader(), self.blame())) from None

    def status(self, name):
        client = self.cluster.nodes[name].client()
        try:
            return client.get("/readyz")
        finally:
            client.close()

    def takes_over(self, before):
        """Somebody else leads, soon."""
        begun = time.monotonic()
        leader = self.cluster.wait_leader(other_than=before)
        self.took_s.append(time.monotonic() - begun)
        self.tell("%s leads, after %.1f s", leader[0], self.took_s[-1])
        return leader

    # ---- faults ----

    def kill_the_leader(self):
        leader = self.cluster.wait_leader()
        self.load.kill(leader[0])
        self.takes_over(leader)
        others = [name for name in NAMES if name != leader[0]]
        self.flows(others)
        self.cluster.restart(leader[0])
        self.flows()

    def kill_a_follower(self):
        leader = self.cluster.wait_leader()
        name = random.choice([name for name in NAMES if name != leader[0]])
        self.load.kill(name)
        self.cluster.restart(name)
        self.flows()
        self.assertEqual(self.cluster.leader(), leader)

    def stop_the_leader_in_order(self):
        leader = self.cluster.wait_leader()
        self.assertEqual(self.load.end(leader[0]), 0)
        self.takes_over(leader)
        self.cluster.restart(leader[0])
        self.flows()

    def restart_the_database(self, how):
        fault = self.load.break_now()
        self.cluster.database.stop(how)
        away = time.monotonic()
        wait_for(lambda: all(self.status(name).status == 503 for name in NAMES), 15, "/readyz of all says so")
        wait_for(lambda: all(self.load.refused[name] for name in NAMES), 15, "a 503 of each")
        wait_for(lambda: time.monotonic() > away + AWAY_S)
        self.cluster.database.start()
        fault[1] = time.monotonic()
        for node in self.daemons:
            node.wait_ready()
        self.flows()

    def only_c_is_left(self):
        """Leads afterwards, that is."""
        self.load.kill("a", "b")
        wait_for(lambda: (self.cluster.leader() or "-")[0] == "c", TAKE_OVER_S, "c leads")
        self.flows(("c",))
        self.cluster.restart("a", "b")
        self.flows()
        self.assertEqual(self.cluster.leader()[0], "c")

    def cut_off_c(self):
        """The leader: its connections are silent, neither side is told. Its clients still reach it."""
        leader = self.cluster.wait_leader()
        fault = self.load.break_now()
        self.cluster.outside.cut()
        self.takes_over(leader)
        self.flows(("a", "b"))
        refused = self.load.refused["c"]
        wait_for(lambda: self.load.refused["c"] > refused, 15, "c refuses")
        self.cluster.outside.mend()
        fault[1] = time.monotonic()
        self.flows()

    def cut_off_b(self):
        """Whether it leads or not: what it had sent arrives late."""
        leader = self.cluster.wait_leader()
        fault = self.load.break_now()
        self.cluster.proxy.cut()
        if leader[0] == "b":
            self.takes_over(leader)
        self.flows(("a", "c"), 2 * FLOW)
        self.cluster.proxy.mend()
        fault[1] = time.monotonic()
        self.flows()

    # ---- afterwards ----

    def settle(self):
        """No more events, and everybody has all of them."""
        self.load.stop.set()
        for poster in self.load.posters:
            poster.join(60)
            self.assertFalse(poster.is_alive(), "a poster has no answer; " + self.blame())
        end = int(self.cluster.rows("SELECT seq FROM log_end")[0][0])
        for name in NAMES:
            wait_for(lambda name=name: (self.status(name).json["logSeq"], self.status(name).json["indexSeq"]) == (end, end), 30, "%s has all" % name)
        self.events = [
            {"seq": int(seq), "kind": int(kind), "id": int(id), "at": int(at), "key": key}
            for seq, kind, id, at, key in self.cluster.rows("SELECT seq, kind, id, created_at, coalesce(key, '') FROM events ORDER BY seq")
        ]
        self.assertEqual(len(self.events), end)

    def check_log(self):
        self.assertEqual([event["seq"] for event in self.events], list(range(1, len(self.events) + 1)))
        for kind in {event["kind"] for event in self.events}:
            ids = [event["id"] for event in self.events if event["kind"] == kind]
            self.assertEqual(ids, list(range(1, len(ids) + 1)), "ids of kind %d" % kind)
        times = [event["at"] for event in self.events]
        self.assertEqual(times, sorted(times), "time goes back")
        keyed = [event["key"] for event in self.events if event["key"] and event["kind"] != GOAL_REACHED]
        self.assertEqual(len(keyed), len(set(keyed)), "a key stands twice")
        self.assertEqual(set(self.load.texts) - set(keyed), set(), "acknowledged and lost")
        self.assertEqual(set(keyed) - set(self.load.texts), set(), "stored, and nobody was told")

    def check_watchers(self):
        """Each has had every event of its topic once, in order, as it was acknowledged."""
        facts = {}
        wait_for(lambda: len(self.load.bodies) == len(self.events), 30, "all events, at somebody")
        for event in self.events:
            body = json.loads(self.load.bodies[event["seq"]])
            facts[event["seq"]] = (body["roomId"], body.get("type"))
            if event["key"] in self.load.texts:
                self.assertEqual(self.load.bodies[event["seq"]], self.load.texts[event["key"]])
        for watcher in self.load.watchers:
            wanted = [seq for seq, fact in facts.items() if watcher.takes(*fact)]
            try:
                wait_for(lambda watcher=watcher, wanted=wanted: watcher.seqs[-1:] == wanted[-1:], 20)
            except AssertionError:
                self.fail("%s has come to %r instead of %r; %s" % (watcher, watcher.seqs[-3:], wanted[-3:], self.blame()))
            self.assertEqual(watcher.seqs, wanted, str(watcher))

    def check_webhooks(self):
        """Each of its events at least once, by one delivery id; where order was asked for the first ones are in order."""
        for path, takes in HOOKS.items():
            wanted = [body.encode() for _, body in sorted(self.load.bodies.items()) if takes(json.loads(body)["roomId"])]

            def got(path=path):
                return [delivery for delivery in self.receiver.got() if delivery.path == path]

            try:
                wait_for(lambda got=got, wanted=wanted: {delivery.body for delivery in got()} >= set(wanted), 60)
            except AssertionError:
                missing = [body for body in wanted if body not in {delivery.body for delivery in got()}]
                self.fail("%d of %d never came to %s: %r" % (len(missing), len(wanted), path, missing[:3]))
            ids = collections.defaultdict(set)
            for delivery in got():
                ids[delivery.body].add(delivery["webhook-id"])
            if path == "/ordered":
                self.check_order(got())
            self.assertEqual(set(ids), set(wanted))
            self.assertEqual({len(names) for names in ids.values()}, {1})
            self.assertEqual(len({name for names in ids.values() for name in names}), len(wanted))
            self.check_repeated(got())
            self.tell("%d deliveries of %d events to %s", len(got()), len(wanted), path)

    def check_repeated(self, deliveries):
        """Nothing is delivered twice by nodes that are well."""
        last = {}
        for delivery in deliveries:
            before = last.get(delivery.body)
            if before and not any(begun < delivery.at and ended > before.at - UNSETTLED_S for begun, ended in self.load.broken):
                self.fail("delivered at %.3f s and again at %.3f s, and nothing was broken in between: %r" % (before.at - self.begun, delivery.at - self.begun, delivery))
            last[delivery.body] = delivery

    def check_order(self, deliveries):
        """The first deliveries of the events come by seq."""
        seqs, first, told = {body.encode(): seq for seq, body in self.load.bodies.items()}, [], []
        for delivery in deliveries:
            seq = seqs[delivery.body]
            told.append("%d at %.3f s, attempt %s" % (seq, delivery.at - self.begun, delivery["X-TipCurrent-Delivery-Attempt"]))
            if seq not in first:
                self.assertGreater([seq], first[-1:], "first deliveries out of order: ... %s" % "; ".join(told[-12:]))
                first.append(seq)

    def get(self, name, target):
        client = self.cluster.nodes[name].client(20.0)
        try:
            answer = client.get(target)
            return json.loads(answer.text, parse_float=Decimal) if answer.status == 200 else answer
        finally:
            client.close()

    def hours(self, room):
        """The statistics of a room as they follow from the log; and who gave how much."""
        hours, tips, givers = {}, {}, collections.Counter()
        for event in self.events:
            body, hour = json.loads(self.load.bodies[event["seq"]], parse_float=Decimal), event["at"] // 3600000000
            if body["roomId"] != room:
                continue
            row = hours.setdefault(hour, {"tips": 0, "amount": Decimal(0), "senders": set(), "recipients": set(), "reactions": 0, "reactors": set()})
            if "emoji" in body:
                row["reactions"] += 1
                row["reactors"].add(body["userId"])
            elif "tipId" in body:
                hours[tips[body["tipId"]]]["amount"] -= body["amount"]
                givers[body["senderId"]] -= body["amount"]
            elif "senderId" in body:
                tips[body["id"]] = hour
                row["tips"] += 1
                row["amount"] += body["amount"]
                row["senders"].add(body["senderId"])
                row["recipients"].add(body["recipientId"])
                givers[body["senderId"]] += body["amount"]
        rows = [(row["tips"], row["amount"], len(row["senders"]), len(row["recipients"]), row["reactions"], len(row["reactors"])) for _, row in sorted(hours.items())]
        return rows, dict(givers)

    def check_numbers(self):
        members = ("totalTips", "totalAmount", "uniqueSenders", "uniqueRecipients", "totalReactions", "uniqueReactors")
        for room in ROOMS:
            rows, givers = self.hours(room)
            total = sum(row[0] for row in rows)
            for name in NAMES:

                def told(name=name, room=room):
                    stats, board = self.get(name, "/api/analytics/rooms/%s/stats" % room), self.get(name, "/api/leaderboards/rooms/%s?limit=100" % room)
                    return [tuple(row[member] for member in members) for row in stats["stats"]], {row["userId"]: row["amount"] for row in board["leaderboard"]}

                try:
                    wait_for(lambda told=told, rows=rows, givers=givers: told() == (rows, givers), 15)
                except AssertionError:
                    self.assertEqual(told(), (rows, givers), "the numbers of %s at %s" % (room, name))
                self.assertEqual(self.get(name, "/api/tips?roomId=%s&size=1" % room)["totalElements"], total)

    def check_goals(self):
        """Each was reached once, by the tip that met it, and all nodes know how far it is."""
        bodies = [json.loads(self.load.bodies[event["seq"]]) for event in self.events]
        tips = sum(body["roomId"] == ROOMS[0] and "recipientId" in body and "tipId" not in body for body in bodies)
        reached = collections.Counter(body["count"] for body in bodies if body.get("type") == "goal.reached")
        self.assertEqual(set(reached), {target for target in GOALS.values() if target <= tips})
        self.assertEqual(set(reached.values()), {1})
        for name in NAMES:
            goals = self.get(name, "/api/rooms/%s/goals" % ROOMS[0])
            self.assertEqual(sorted(goal["targetCount"] for goal in goals), sorted(GOALS.values()), name)
            self.assertEqual({goal["progressCount"] for goal in goals}, {tips}, name)
            self.assertEqual({goal["targetCount"] for goal in goals if goal["status"] == "reached"}, set(reached), name)

    def configure(self):
        """At each node something; all know it."""
        url = self.receiver.url
        hooks = ({"url": url + "/all"}, {"url": url + "/room", "roomId": "r0"}, {"url": url + "/ordered", "roomId": "r1", "ordered": True})
        for name, hook in zip(NAMES, hooks):
            client = self.cluster.nodes[name].client()
            self.addCleanup(client.close)
            answer = client.post("/api/webhooks", {"event": "*", "secret": "s", **hook})
            self.assertEqual(answer.status, 201, answer)
            answer = client.post("/api/rooms/%s/goals" % ROOMS[0], {"title": name, "targetCount": GOALS[name]})
            self.assertEqual(answer.status, 201, answer)
        for name in NAMES:
            wait_for(lambda name=name: len(self.get(name, "/api/webhooks")) == len(self.get(name, "/api/rooms/%s/goals" % ROOMS[0])) == len(NAMES), 5, "%s knows all" % name)

    def run_all(self):
        self.flows(count=STEADY, within_s=60)
        got = self.receiver.got()
        self.assertEqual(len({(delivery.path, delivery.body) for delivery in got}), len(got), "delivered twice although nothing was broken")
        self.tell("%d events, all is well", sum(self.load.answered.values()))
        faults = [
            self.kill_the_leader,
            self.kill_a_follower,
            lambda: self.restart_the_database(signal.SIGINT),
            lambda: (self.only_c_is_left(), self.cut_off_c()),
            self.cut_off_b,
            lambda: self.restart_the_database(signal.SIGQUIT),
            self.stop_the_leader_in_order,
        ]
        names = ["the leader is killed", "a follower is killed", "the database is restarted", "all but c are killed, then c is cut off", "b is cut off", "the database crashes", "the leader is stopped"]
        for turn in range(ROUNDS):
            order = random.sample(range(len(faults)), len(faults)) if turn else range(len(faults))
            for number in order:
                self.tell("%s", names[number])
                faults[number]()

    def test_nothing_is_lost_whatever_breaks(self):
        self.configure()
        self.load.start()
        try:
            self.run_all()
            self.settle()
            self.tell("%d events, %r, refused %r", len(self.events), self.load.answered, self.load.refused)
            self.check_log()
            self.check_watchers()
            self.check_webhooks()
            self.check_numbers()
            self.check_goals()
            self.assertEqual(self.load.wrong, [], self.blame())
            self.assertLess(max(self.took_s), TAKE_OVER_S)
        finally:
            self.load.stop.set()
            self.load.over.set()
            for watcher in self.load.watchers:
                watcher.join(20)
        for node in self.daemons:
            node.stop_clean()
