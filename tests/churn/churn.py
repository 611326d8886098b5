#!/usr/bin/env python3
"""A history checker: many clients on all transports connect, drop and resume while events pour in and the daemon is killed and restarted on the same files.

At the end each client must have had every event of its room, in order, each once; the log itself is the witness. By hand for ten minutes:

    python3 tests/churn/churn.py --seconds 600 --clients 500 --rate 2000 --kill-every 30

The last line is `N passed, N failed`: one for each client, and one for the poster, whose every acknowledged event must be in the log, once.
"""

import argparse
import array
import json
import pathlib
import random
import resource
import sqlite3
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "wire"))
from channels import EventStream, RawWebSocket, SockJSWebSocket, XhrPolling, XhrStreaming  # noqa: E402
from client import WireError  # noqa: E402
from harness import Daemon, wait_for  # noqa: E402
from stomp import Stomp  # noqa: E402
from ws import Closed  # noqa: E402

GONE = (Closed, WireError, OSError, ValueError, IndexError)  # what a killed daemon looks like from its clients: cut anywhere
BATCH_S = 0.1


class World:
    def __init__(self, options):
        self.options = options
        self.daemon = Daemon()
        self.stop = threading.Event()  # clients go no further than the end of the log
        self.over = threading.Event()
        self.address = None
        self.kills = 0

    def start(self):
        self.daemon.start()
        self.address = self.daemon.address

    def kill_and_restart(self):
        self.address = None
        self.daemon.kill()
        self.kills += 1
        self.daemon.listen = "127.0.0.1:0"
        self.start()


class Poster(threading.Thread):
    """Posts batches with keys; one that was not answered is sent again as it was."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.acknowledged, self.repeated, self.posted = world, set(), 0, 0

    def batch(self, count):
        lines = []
        for _ in range(count):
            key = "k%d" % self.posted
            room = "room%d" % random.randrange(self.world.options.rooms)
            if self.posted % 3:
                lines.append((key, "tips", {"roomId": room, "senderId": "s", "recipientId": "r", "amount": self.posted % 1000 + 1, "idempotencyKey": key}))
            else:
                lines.append((key, "reactions", {"roomId": room, "userId": "u", "emoji": "\U0001f525", "idempotencyKey": key}))
            self.posted += 1
        return lines

    def send(self, lines):
        for kind in ("tips", "reactions"):
            mine = [line for line in lines if line[1] == kind]
            body = "\n".join(json.dumps(value) for _, _, value in mine)
            while mine:
                try:
                    client = self.world.daemon.client(timeout=20)
                    answer = client.post("/api/%s:batch" % kind, body, headers=[("Content-Type", "application/x-ndjson")])
                    client.close()
                    results = [json.loads(line)["status"] for line in answer.text.splitlines()]
                    if answer.status == 200 and all(status in (200, 201) for status in results) and len(results) == len(mine):
                        self.acknowledged.update("%s/%s" % (kind, key) for key, _, _ in mine)
                        break
                except (*GONE, AttributeError, TypeError, KeyError):
                    pass
                self.repeated += 1
                time.sleep(0.05)

    def run(self):
        begun = time.monotonic()
        while not self.world.stop.is_set():
            due = int((time.monotonic() - begun) * self.world.options.rate) - self.posted
            if due > 0:
                self.send(self.batch(min(due, 1000)))
            else:
                self.world.stop.wait(BATCH_S)


class Watcher(threading.Thread):
    """One client: comes, follows its room, goes without a word, comes back where it was."""

    CHANNELS = {"websocket": RawWebSocket, "sockjs-websocket": SockJSWebSocket, "xhr-streaming": XhrStreaming, "xhr-polling": XhrPolling, "sse": None}

    def __init__(self, world, number):
        super().__init__(daemon=True)
        self.world, self.number = world, number
        self.transport = list(self.CHANNELS)[number % len(self.CHANNELS)]
        # One in fifty follows all rooms.
        self.room = None if number % 50 == 7 else "room%d" % random.randrange(world.options.rooms)
        self.seqs, self.sessions, self.wrong = array.array("q"), 0, None
        self.final = None  # the last seq that it must reach
        self.channel = None

    @property
    def last(self):
        return self.seqs[-1] if self.seqs else 0

    def note(self, seq):
        if seq <= self.last:
            raise AssertionError("seq %d after %d" % (seq, self.last))
        self.seqs.append(seq)

    def follow_sse(self, until):
        target = "/api/events" if self.room is None else "/api/rooms/%s/events" % self.room
        self.channel = EventStream(self.world.address, target, self.last)
        while time.monotonic() < until and not self.done():
            name, seq, data = self.channel.receive(5)
            if name == "ready" and not json.loads(data)["recovered"]:
                raise AssertionError("recovered:false although the log has kept everything")
            if name == "message":
                self.note(seq)

    def follow_stomp(self, until):
        self.channel = self.CHANNELS[self.transport](self.world.address)
        stomp = Stomp(self.channel)
        stomp.connect()
        receipt = stomp.subscribe("/topic/**" if self.room is None else "/topic/rooms/" + self.room, after=self.last)
        if receipt["recovered"] != "true":
            raise AssertionError("recovered:%s although the log has kept everything" % receipt["recovered"])
        while time.monotonic() < until and not self.done():
            frame = stomp.receive(5)
            if frame.command == "ERROR":
                if frame["message"] not in ("too far behind", "too slow"):
                    raise AssertionError("ERROR %r" % frame)
                if int(frame["resume-seq"]) < self.last:
                    raise AssertionError("resume-seq %s after %d" % (frame["resume-seq"], self.last))
                return
            self.note(frame.seq)

    def done(self):
        return self.world.over.is_set() or (self.final is not None and self.last >= self.final)

    def run(self):
        while not self.done():
            try:
                if self.world.address is None:
                    raise Closed(None)
                self.sessions += 1
                until = time.monotonic() + random.uniform(0.5, self.world.options.stay)
                (self.follow_sse if self.transport == "sse" else self.follow_stomp)(until)
            except AssertionError as error:
                # An answer to CONNECT or SUBSCRIBE that is none is the daemon's fault; one that is cut off is the kill's.
                self.wrong = "%s" % error
                return
            except GONE:
                time.sleep(random.uniform(0.05, 0.5))
            finally:
                if self.channel:
                    self.channel.close()
                self.channel = None


def read_log(path):
    with sqlite3.connect("file:%s?mode=ro" % path, uri=True) as log:
        return log.execute("SELECT seq, kind, room, key FROM events ORDER BY seq").fetchall()


def judge(world, watchers, poster, rows):
    by_room, everything = {}, array.array("q")
    for seq, _, room, _ in rows:
        by_room.setdefault(room, array.array("q")).append(seq)
        everything.append(seq)
    failed = 0
    for watcher in watchers:
        wanted = everything if watcher.room is None else by_room.get(watcher.room, array.array("q"))
        if watcher.wrong is None and watcher.seqs != wanted:
            missing = sorted(set(wanted) - set(watcher.seqs))
            watcher.wrong = "%d of %d events; missing %s" % (len(watcher.seqs), len(wanted), missing[:10])
        if watcher.wrong:
            failed += 1
            print("FAIL client %d (%s, %s, %d sessions): %s" % (watcher.number, watcher.transport, watcher.room or "all rooms", watcher.sessions, watcher.wrong))
    stored = ["%s/%s" % ("tips" if kind == 1 else "reactions", key) for _, kind, _, key in rows]
    lost, doubled = poster.acknowledged - set(stored), len(stored) - len(set(stored))
    holes = [seq for i, seq in enumerate(everything) if seq != i + 1][:1]
    if lost or doubled or holes:
        failed += 1
        print("FAIL the log: %d acknowledged events lost, %d doubled, first hole %s" % (len(lost), doubled, holes))
    print("%d events, %d batches sent again, %d kills, %d sessions, %d deliveries" % (len(rows), poster.repeated, world.kills, sum(w.sessions for w in watchers), sum(len(w.seqs) for w in watchers)))
    print("%d passed, %d failed" % (len(watchers) + 1 - failed, failed))
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=25)
    parser.add_argument("--clients", type=int, default=60)
    parser.add_argument("--rate", type=float, default=400, help="events a second")
    parser.add_argument("--rooms", type=int, default=100)
    parser.add_argument("--kill-every", type=float, default=6, help="seconds")
    parser.add_argument("--stay", type=float, default=8, help="a session's longest life in seconds")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    random.seed(options.seed)
    print("seed %d" % options.seed, flush=True)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    threading.stack_size(512 * 1024)
    world = World(options)
    try:
        world.start()
        poster, watchers = Poster(world), [Watcher(world, i) for i in range(options.clients)]
        for thread in (poster, *watchers):
            thread.start()
        end = time.monotonic() + options.seconds
        while time.monotonic() < end:
            time.sleep(min(options.kill_every * random.uniform(0.5, 1.5), max(0.0, end - time.monotonic())))
            if time.monotonic() < end:
                world.kill_and_restart()
        world.stop.set()
        poster.join()
        world.daemon.wait_ready(60)
        rows = read_log(world.daemon.database)
        last = {}
        for seq, _, room, _ in rows:
            last[room] = last[None] = seq
        for watcher in watchers:
            watcher.final = last.get(watcher.room, 0)
        try:
            wait_for(lambda: not any(watcher.is_alive() for watcher in watchers), 60, "the last event at every client")
        except AssertionError as error:
            print(error, [(w.transport, w.last, w.final) for w in watchers if w.is_alive()])
        world.over.set()
        world.daemon.stop_clean()
        return judge(world, watchers, poster, rows)
    finally:
        world.daemon.clean_up()


if __name__ == "__main__":
    sys.exit(main())
