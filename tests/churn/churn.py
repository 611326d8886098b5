#!/usr/bin/env python3
"""A history checker: many clients on all transports connect, drop and resume while events pour in and the daemon is killed and restarted on the same files.

At the end each client must have had every event of its room, in order, each once; the log itself is the witness. Nor may the daemon end a session by itself, say what it
should not, or keep an event to itself: all that a resumed session would repair is a failure where it happens. By hand:

    TIPCURRENTD=build/server/tipcurrentd python3 tests/churn/churn.py --minutes 10

The last line is `N passed, N failed`: one for each client, and one for the posters, whose acknowledged events must be the log, each once.
"""

import argparse
import array
import bisect
import contextlib
import json
import pathlib
import random
import resource
import sqlite3
import sys
import threading
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / name) for name in ("wire", "postgres")]
import harness  # noqa: E402
import server  # noqa: E402
from channels import ANSWER_S, EventStream, RawWebSocket, Silent, SockJSWebSocket, XhrPolling, XhrStreaming, told_apart  # noqa: E402
from client import WireError  # noqa: E402
from harness import Daemon, wait_for  # noqa: E402
from stomp import Stomp  # noqa: E402
from ws import Closed  # noqa: E402

BATCH_S = 0.01  # short: a seam between replay and live is only tried when a commit falls into it
SINGLES = 300  # events a second that are posted one by one, at most half: each is a commit of its own
SILENCE_S = 6.0  # without a message: time to ask whether there should have been one
LATE_S = 4.0  # an event that was acknowledged so long ago should have come
BEHIND_S = 1.0  # one that was delivered may be acknowledged so much later


class World:
    def __init__(self, options):
        self.options = options
        self.daemon = Daemon()
        self.stop = threading.Event()  # no more events
        self.over = threading.Event()
        self.address = None
        self.epoch = 0  # counts the kills; counted before the kill, so that whoever is cut off by one finds another number than he began with
        self.peak_kib = 0
        self.acknowledged = {None: array.array("d")}  # by room: when; None: all rooms

    def start(self):
        self.daemon.start()
        self.address = self.daemon.address

    def end(self):
        self.address = None
        self.epoch += 1
        self.peak_kib = max(self.peak_kib, self.daemon.memory_kib("VmHWM"))

    def kill_and_restart(self):
        self.end()
        self.daemon.kill()
        self.start()

    def overdue(self, room, since):
        """Seconds for which an event of the room has been acknowledged that a client should have had, which has had nothing since then; None: there is none."""
        acks = self.acknowledged.get(room, ())
        at = bisect.bisect(acks, since + BEHIND_S)
        age = time.monotonic() - acks[at] if at < len(acks) else 0
        return age if age > LATE_S else None


class Poster(threading.Thread):
    """Posts events with keys; what was not answered is sent again as it was."""

    def __init__(self, world, prefix, rate, other=None):
        super().__init__(daemon=True)
        self.world, self.prefix, self.rate, self.other = world, prefix, rate, other  # other: makes up for what that one does not manage
        self.acknowledged, self.repeated, self.posted, self.client = set(), 0, 0, None

    def event(self):
        key = "%s%d" % (self.prefix, self.posted)
        room = "room%d" % random.randrange(self.world.options.rooms)
        self.posted += 1
        if self.posted % 3:
            return key, "tips", {"roomId": room, "senderId": "s", "recipientId": "r", "amount": self.posted % 1000 + 1, "message": key}
        return key, "reactions", {"roomId": room, "userId": "u", "emoji": "\U0001f525", "targetId": key}

    def acknowledge(self, events):
        now = time.monotonic()
        for key, kind, value in events:
            self.acknowledged.add((kind, key, value["roomId"]))
            self.world.acknowledged.setdefault(value["roomId"], array.array("d")).append(now)
            self.world.acknowledged[None].append(now)

    def until_answered(self, post, *args):
        while not post(*args):
            self.repeated += 1
            self.client = None
            time.sleep(0.05)

    def answered(self, target, body, headers):
        """The answer, or None: sent, and who knows."""
        try:
            self.client = self.client or self.world.daemon.client(timeout=ANSWER_S)
            return self.client.request("POST", target, body, headers)
        except (WireError, OSError, AttributeError):  # no daemon at all between a kill and a start
            return None

    def post_batch(self, kind, events):
        body = "\n".join(json.dumps({**value, "idempotencyKey": key}) for key, _, value in events)
        answer = self.answered("/api/%s:batch" % kind, body, [("Content-Type", "application/x-ndjson")])
        statuses = [json.loads(line)["status"] for line in answer.text.splitlines()] if answer and answer.status == 200 else []
        return len(statuses) == len(events) and all(status in (200, 201) for status in statuses)

    def post_single(self, kind, events):
        key, _, value = events[0]
        answer = self.answered("/api/" + kind, json.dumps(value), [("Content-Type", "application/json"), ("Idempotency-Key", key)])
        return answer is not None and answer.status in (200, 201)

    def send(self, count):
        events = [self.event() for _ in range(count)]
        for kind in ("tips", "reactions"):
            mine = [event for event in events if event[1] == kind]
            if mine:
                self.until_answered(self.post_single if len(mine) == 1 else self.post_batch, kind, mine)
                self.acknowledge(mine)

    def run(self):
        begun = time.monotonic()
        while not self.world.stop.is_set():
            due = int((time.monotonic() - begun) * self.rate) - self.posted - (self.other.posted if self.other else 0)
            if due > 0:
                self.send(1 if self.prefix == "s" else min(due, 1000))
            else:
                self.world.stop.wait(BATCH_S if self.prefix == "b" else 1 / self.rate)


class Watcher(threading.Thread):
    """One client: comes, follows its room, goes without a word or with one, comes back where it was."""

    CHANNELS = {"websocket": RawWebSocket, "sockjs-websocket": SockJSWebSocket, "xhr-streaming": XhrStreaming, "xhr-polling": XhrPolling, "sse": None}

    def __init__(self, world, number):
        super().__init__(daemon=True)
        self.world, self.number, self.random = world, number, random.Random(random.random())
        self.transport = list(self.CHANNELS)[number % len(self.CHANNELS)]
        # One in 49 follows all rooms: with 500 clients two on each transport.
        self.room = None if number % 49 == 7 else "room%d" % random.randrange(world.options.rooms)
        self.seqs, self.sessions, self.cuts, self.wrong = array.array("q"), 0, 0, None
        self.final = None  # the last seq that it must reach
        self.heard = 0.0  # when the newest message came, or the subscription began
        self.channel = None

    @property
    def last(self):
        return self.seqs[-1] if self.seqs else 0

    def note(self, seq, room, body):
        if seq <= self.last:
            raise AssertionError("seq %d after %d" % (seq, self.last))
        if self.room not in (None, room) or '"roomId":"%s"' % room not in body:
            raise AssertionError("seq %d of %r: %s" % (seq, room, body))
        self.seqs.append(seq)
        self.heard = time.monotonic()

    def follow_sse(self, until):
        target = "/api/events" if self.room is None else "/api/rooms/%s/events" % self.room
        self.channel = EventStream(self.world.address, target, self.last)
        name, seq, data = self.channel.receive(ANSWER_S)
        if name != "ready" or json.loads(data) != {"recovered": True, "seq": self.last}:
            raise AssertionError("%s %r instead of ready at %d" % (name, data, self.last))
        self.heard = time.monotonic()
        while time.monotonic() < until and not self.done():
            name, seq, data = self.channel.receive(SILENCE_S)
            if name == "cut":
                self.cuts += 1
                return
            self.note(seq, self.room or json.loads(data)["roomId"], data)

    def subscribe(self, stomp):
        receipt = stomp.subscribe("/topic/**" if self.room is None else "/topic/rooms/" + self.room, after=self.last)
        if receipt["recovered"] != "true":
            raise AssertionError("recovered:%s although the log has kept everything" % receipt["recovered"])
        self.heard = time.monotonic()

    def message(self, stomp, timeout, receipt=None):
        """Notes the next message. False: the session is over, by an ERROR that may be, or the receipt has come."""
        frame = stomp.receive(timeout)
        if frame.command == "RECEIPT" and receipt and frame["receipt-id"] == receipt:
            return False
        if frame.command == "ERROR" and frame["message"] in ("too far behind", "too slow"):
            if int(frame["resume-seq"]) < self.last:
                raise AssertionError("resume-seq %s after %d" % (frame["resume-seq"], self.last))
            self.cuts += 1
            return False
        if frame.command != "MESSAGE" or frame["message-id"] != "%d-sub-0" % frame.seq:
            raise AssertionError("%r" % frame)
        self.note(frame.seq, frame["destination"].removeprefix("/topic/rooms/"), frame.body)
        return True

    def follow_stomp(self, until):
        self.channel = self.CHANNELS[self.transport](self.world.address)
        stomp = Stomp(self.channel)
        stomp.connect()
        self.subscribe(stomp)
        again = self.random.random() < 0.2  # leaves the room and joins it once more
        while time.monotonic() < until and not self.done():
            if not self.message(stomp, SILENCE_S):
                return
            if again and self.random.random() < 0.02:
                again = False
                self.until_receipt(stomp, "UNSUBSCRIBE", [("id", "sub-0")])
                self.subscribe(stomp)
        if self.random.random() < 0.2:
            self.until_receipt(stomp, "DISCONNECT")

    def until_receipt(self, stomp, command, headers=()):
        """What is on its way before the receipt counts."""
        cuts = self.cuts
        stomp.frame(command, [*headers, ("receipt", "bye")])
        while self.message(stomp, ANSWER_S, "bye"):
            pass
        if self.cuts != cuts:
            raise Silent("cut off while it left")

    def done(self):
        return self.world.over.is_set() or (self.final is not None and self.last >= self.final)

    def what_is_wrong(self, error, epoch):
        """None: a daemon that was killed, or nothing to say."""
        if isinstance(error, WireError):
            error = told_apart(error)
        killed = epoch != self.world.epoch
        if isinstance(error, Silent):
            overdue = self.world.overdue(self.room, self.heard)
            return "%.1f s after the acknowledgement nothing has come" % overdue if overdue and not killed else None
        if isinstance(error, (Closed, OSError)):
            return None if killed else "cut off, and nobody has killed the daemon: %r" % error
        return "%s: %s" % (type(error).__name__, error)

    def run(self):
        while not self.done():
            epoch = self.world.epoch
            try:
                if self.world.address is not None:
                    self.sessions += 1
                    until = time.monotonic() + self.random.uniform(0.2, self.world.options.stay)
                    (self.follow_sse if self.transport == "sse" else self.follow_stomp)(until)
            except Exception as error:
                self.wrong = self.what_is_wrong(error, epoch)
                if self.wrong:
                    return
            finally:
                if self.channel:
                    self.channel.close()
                self.channel = None
            time.sleep(self.random.uniform(0.0, 0.2))


def read_log(path):
    if harness.POSTGRES is not None:
        rows = harness.POSTGRES.sql("SELECT seq, kind, room, key FROM %s.events ORDER BY seq" % harness.schema_of(path)).splitlines()
        return [(int(seq), int(kind), room, key or None) for seq, kind, room, key in (row.split("|") for row in rows)]
    with sqlite3.connect("file:%s?mode=ro" % path, uri=True) as log:
        return log.execute("SELECT seq, kind, room, key FROM events ORDER BY seq").fetchall()


def judge_watchers(watchers, rows):
    by_room, everything, failed = {}, array.array("q"), 0
    for seq, _, room, _ in rows:
        by_room.setdefault(room, array.array("q")).append(seq)
        everything.append(seq)
    for watcher in watchers:
        wanted = everything if watcher.room is None else by_room.get(watcher.room, array.array("q"))
        if watcher.wrong is None and watcher.seqs != wanted:
            missing, foreign = sorted(set(wanted) - set(watcher.seqs)), sorted(set(watcher.seqs) - set(wanted))
            watcher.wrong = "%d of %d events; missing %s, of no room of his %s" % (len(watcher.seqs), len(wanted), missing[:10], foreign[:10])
        if watcher.wrong:
            failed += 1
            print("FAIL client %d (%s, %s, %d sessions): %s" % (watcher.number, watcher.transport, watcher.room or "all rooms", watcher.sessions, watcher.wrong))
    return failed


def judge_log(posters, rows):
    stored = [("tips" if kind == 1 else "reactions", key, room) for _, kind, room, key in rows]
    acknowledged = set().union(*(poster.acknowledged for poster in posters))
    lost, strange, doubled = acknowledged - set(stored), set(stored) - acknowledged, len(stored) - len(set(stored))
    holes = [seq for i, (seq, *_) in enumerate(rows) if seq != i + 1][:1]
    if not (lost or strange or doubled or holes):
        return 0
    print("FAIL the log: %d acknowledged events lost, %d that nobody knows of, %d doubled, first hole %s" % (len(lost), len(strange), doubled, holes))
    return 1


def judge(world, watchers, posters, rows):
    failed = judge_watchers(watchers, rows) + judge_log(posters, rows)
    by_transport = {}
    for watcher in watchers:
        by_transport[watcher.transport] = by_transport.get(watcher.transport, 0) + len(watcher.seqs)
    print("deliveries: " + ", ".join("%s %d" % pair for pair in by_transport.items()))
    print(
        "%d events, %d posts sent again, %d kills, %d sessions, %d times cut off as slow or far behind, %d deliveries, daemon at most %d MiB"
        % (
            len(rows),
            sum(poster.repeated for poster in posters),
            world.epoch - 1,
            sum(watcher.sessions for watcher in watchers),
            sum(watcher.cuts for watcher in watchers),
            sum(by_transport.values()),
            world.peak_kib // 1024,
        )
    )
    print("%d passed, %d failed" % (len(watchers) + 1 - failed, failed))
    return 1 if failed else 0


def churn(world, options):
    """Events, kills and restarts for the time that was asked for; returns who watched, who posted, and the log."""
    single = Poster(world, "s", min(SINGLES, options.rate / 2))
    posters = [single, Poster(world, "b", options.rate, single)]
    watchers = [Watcher(world, i) for i in range(options.clients)]
    for thread in (*posters, *watchers):
        thread.start()
    end = time.monotonic() + options.minutes * 60
    while time.monotonic() < end:
        time.sleep(min(options.kill_every * random.uniform(0.5, 1.5), max(0.0, end - time.monotonic())))
        if time.monotonic() < end:
            world.kill_and_restart()
    world.stop.set()
    for poster in posters:
        poster.join(120)
        if poster.is_alive():
            raise AssertionError("an event is not taken for two minutes; stderr: %s" % world.daemon.stderr())
    rows = read_log(world.daemon.wait_ready(60).database)
    last = {}
    for seq, _, room, _ in rows:
        last[room] = last[None] = seq
    for watcher in watchers:
        watcher.final = last.get(watcher.room, 0)
    try:
        wait_for(lambda: not any(watcher.is_alive() for watcher in watchers), 60, "the last event at every client")
    except AssertionError as error:
        print(error, [(watcher.transport, watcher.last, watcher.final) for watcher in watchers if watcher.is_alive()])
    world.over.set()
    world.end()
    world.daemon.stop_clean()
    return watchers, posters, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--rate", type=float, default=2000, help="events a second")
    parser.add_argument("--rooms", type=int, default=100)
    parser.add_argument("--kill-every", type=float, default=30, help="seconds, give or take a half")
    parser.add_argument("--stay", type=float, default=8, help="a session's longest life in seconds")
    parser.add_argument("--storage", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    random.seed(options.seed)
    print("seed %d" % options.seed, flush=True)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    threading.stack_size(512 * 1024)
    with contextlib.ExitStack() as stack:
        if options.storage == "postgresql":
            harness.POSTGRES = stack.enter_context(server.Server())
        world = World(options)
        stack.callback(world.daemon.clean_up)
        world.start()
        return judge(world, *churn(world, options))


if __name__ == "__main__":
    sys.exit(main())
