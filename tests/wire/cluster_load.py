"""What clients do to a cluster (cluster.py): they post to all nodes with keys and ask another one when one fails, and follow the log through all of them. What may never be is kept in Load.wrong."""

import json
import random
import select
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from client import Client, Connection, WireError, build_request
from cluster import NAMES
from stomp import Stomp
from ws import Closed, WebSocket

ROOMS = 4
USERS = 7
RATE = 20.0  # events a second of one poster
ANSWER_S = 25.0
IN_TIME_S, READ_IN_TIME_S = 1.5 + 4.0, 15.0 + 4.0  # Cluster.FLAGS' deadline; what a read may wait for a database that says nothing; and what a busy machine adds to it
UNSEEN_S = 10.0  # a tip that another node has acknowledged is known to all by then


class Load:
    def __init__(self, cluster, posters=8):
        self.cluster = cluster
        self.stop, self.over = threading.Event(), threading.Event()  # no more events; nobody listens any more
        self.lock = threading.Lock()
        self.wrong = []
        self.sent, self.texts = {}, {}  # by key: the path; what was answered, all of the answer
        self.stored = set()  # keys with a 201
        self.tips = []  # ids
        self.answered, self.refused = dict.fromkeys(NAMES, 0), dict.fromkeys(NAMES, 0)  # by node: 200 and 201; 503
        self.ends = dict.fromkeys(NAMES, 0)  # grows before a node is ended, and after: odd while it is
        self.broken = []  # [from when, to when]
        self.bodies = {}  # by seq: what was broadcast first
        self.posters = [Poster(self, number) for number in range(posters)]
        self.watchers = [Watcher(self, home, topic) for home in NAMES for topic in TOPICS]

    def blame(self, text, *args):
        self.wrong.append(text % args)

    def start(self):
        for thread in (*self.watchers, *self.posters):
            thread.start()

    def break_now(self):
        """From now to now; who mends it later says so."""
        self.broken.append([time.monotonic()] * 2)
        return self.broken[-1]

    def kill(self, *names):
        self.break_now()
        for name in names:
            self.ends[name] += 1
        for name in names:
            self.cluster.nodes[name].kill()
            self.ends[name] += 1

    def end(self, name):
        """In order; the exit code."""
        self.break_now()
        self.ends[name] += 1
        code = self.cluster.nodes[name].stop()
        self.ends[name] += 1
        return code

    def acknowledge(self, name, key, answer):
        with self.lock:
            self.answered[name] += 1
            first = self.texts.setdefault(key, answer.text)
            if first != answer.text:
                self.blame("two answers for %s: %s and, by %s, %s", key, first, name, answer.text)
            if answer.status == 201:
                if key in self.stored:
                    self.blame("%s was created a second time by %s: %s", key, name, answer.text)
                self.stored.add(key)
                if self.sent[key] == "/api/tips":
                    self.tips.append(answer.json["id"])


class Poster(threading.Thread):
    """One client that posts until each of its events is answered."""

    def __init__(self, load, number):
        super().__init__(daemon=True)
        self.load, self.number, self.random = load, number, random.Random(random.random())
        self.clients, self.pool, self.refunds = {}, ThreadPoolExecutor(1), 0

    def run(self):
        begun, count = time.monotonic(), 0
        try:
            while not self.load.stop.is_set():
                self.post(*self.event("%d-%d" % (self.number, count)))
                count += 1
                self.load.stop.wait(max(0.0, begun + count / RATE - time.monotonic()))
                begun = max(begun, time.monotonic() - (count + 20) / RATE)  # what was missed in an outage is not made up for
        except Exception as error:  # whatever it is, the test must hear of it
            self.load.blame("poster %d: %r", self.number, error)

    def event(self, key):
        """(key, path, body)."""
        dice, room = self.random.random(), "r%d" % self.random.randrange(ROOMS)
        user, other = ("u%d" % self.random.randrange(USERS) for _ in range(2))
        if dice < 0.06 and self.load.tips:
            return key, "/api/tips/%d/refund" % self.random.choice(self.load.tips[-50:]), '{"amount": %d.25}' % self.random.randrange(1, 60)
        if dice < 0.25:
            return key, "/api/reactions", json.dumps({"roomId": room, "userId": user, "emoji": "\U0001f525", "metadata": key})
        return key, "/api/tips", '{"roomId": "%s", "senderId": "%s", "recipientId": "%s", "amount": %d.50, "metadata": "%s"}' % (room, user, other, self.random.randrange(1, 100), key)

    def post(self, key, path, body):
        begun = time.monotonic()
        self.load.sent[key] = path
        names = self.random.sample(NAMES, 3)
        if self.random.random() < 0.1:  # two nodes are asked at once
            other = self.pool.submit(self.ask, names[1], key, path, body)
            done = [self.ask(names[0], key, path, body), other.result()]
        else:
            done = [self.ask(names[0], key, path, body)]
        while not any(done):
            names = (*names[1:], names[0])
            done = [self.ask(names[0], key, path, body, time.monotonic() - begun)]
            if not any(done):
                time.sleep(0.05)
        if self.random.random() < 0.1:  # and once more, of another one
            self.ask(names[1], key, path, body)
        if path == "/api/tips" and done[0] and self.random.random() < 0.1:
            self.read(names[0], self.load.texts[key])

    def answer(self, name, method, path, body=None, headers=()):
        """None: the node was not there, or went away."""
        begun, address = time.monotonic(), self.load.cluster.nodes[name].address
        client = self.clients.get(name)
        if not client or client.address != address:
            client = self.clients[name] = Client(address, ANSWER_S)
        try:
            answer = client.request(method, path, body, headers)
        except (OSError, WireError) as error:
            if "no answer in time" in str(error):
                self.load.blame("%s said nothing to %s %s for %.1f s", name, method, path, time.monotonic() - begun)
            return None
        if time.monotonic() - begun > (READ_IN_TIME_S if method == "GET" or path.endswith("/refund") else IN_TIME_S):  # a refund reads its tip first
            self.load.blame("%s took %.1f s for %s %s: %r", name, time.monotonic() - begun, method, path, answer)
        if answer.status == 503:
            self.load.refused[name] += 1
            if not answer.header("Retry-After"):
                self.load.blame("503 without Retry-After by %s: %r", name, answer)
            return None
        return answer

    def ask(self, name, key, path, body, since_s=0.0):
        """Whether it is settled."""
        answer = self.answer(name, "POST", path, body, [("Content-Type", "application/json"), ("Idempotency-Key", key)])
        if not answer:
            return False
        if answer.status in (200, 201):
            self.load.acknowledge(name, key, answer)
            return True
        refund = path.endswith("/refund")
        if refund and answer.status == 404 and since_s < UNSEEN_S:
            return False  # this node has not heard of the tip yet
        if not refund or answer.status not in (409, 422):
            self.load.blame("%s answered %s %s by %r", name, path, body, answer)
        return True

    def read(self, name, text):
        """Who has acknowledged a tip has it, unless he was started anew since then."""
        ends, path = self.load.ends[name], "/api/tips/%d" % json.loads(text)["id"]
        found = self.answer(name, "GET", path)
        if found and not found.text.startswith(text[:-1]) and ends == self.load.ends[name]:
            self.load.blame("%s answered GET %s by %r after %s", name, path, found, text)


class Ended(Exception):
    """The session is over: the node has gone, or says why."""


class StompSession:
    def __init__(self, address, topic, last):
        self.socket = WebSocket(address, "/ws", ("v12.stomp",), timeout=ANSWER_S)
        self.connection, self.stomp = self.socket.connection, Stomp(self.socket)
        self.stomp.connect()
        self.recovered = self.stomp.subscribe(topic, after=last)["recovered"] == "true"

    def has_some(self):
        return bool(self.connection.buffer)

    def next(self):
        """(seq, body), or None for what is no event."""
        frame = self.stomp.receive()
        if frame.command == "ERROR" and frame["message"] in ("too slow", "too far behind"):
            raise Cut(frame["message"])
        if frame.command != "MESSAGE":
            raise AssertionError("%r" % frame)
        return (frame.seq, frame.body) if frame["seq"] else None


class SseSession:
    def __init__(self, address, target, last):
        self.connection = Connection(address, ANSWER_S)
        self.connection.send(build_request("GET", target, self.connection.host, None, [("Last-Event-ID", str(last))]))
        head = self.connection._read_until(b"\r\n\r\n", time.monotonic() + ANSWER_S)
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise AssertionError("%s: %r" % (target, head))
        fields = self.block()
        while "data" not in fields:
            fields = self.block()
        self.recovered = fields.get("event") == "ready" and json.loads(fields["data"]) == {"recovered": True, "seq": last}

    def has_some(self):
        return b"\n\n" in self.connection.buffer

    def block(self):
        lines = self.connection._read_until(b"\n\n", time.monotonic() + ANSWER_S).decode().split("\n")
        return dict(line.split(": ", 1) for line in lines if ": " in line)

    def next(self):
        if not self.has_some() and not self.connection._fill(time.monotonic() + ANSWER_S):
            raise Closed(None)
        fields = self.block() if self.has_some() else {}
        if fields.get("event") == "cut":
            raise Cut(fields["data"])
        return (int(fields["id"]), fields["data"]) if "id" in fields else None


class Cut(Exception):
    """The node ends the session since we are too slow; or it is ending."""


# What a watcher follows: the session, the topic, and whether an event of that room and type (None: tips and reactions) is in it.
TOPICS = (
    (StompSession, "/topic/**", lambda room, type: True),
    (StompSession, "/topic/rooms/r0", lambda room, type: room == "r0" and type is None),
    (SseSession, "/api/events?types=*", lambda room, type: True),
    (SseSession, "/api/rooms/r1/events", lambda room, type: room == "r1" and type is None),
)


class Watcher(threading.Thread):
    """One client that follows a topic, first at home; where its node ends it comes back to any, with the last seq that it has."""

    def __init__(self, load, home, topic):
        super().__init__(daemon=True)
        self.load, self.home, (self.session, self.topic, self.takes) = load, home, topic
        self.seqs, self.sessions, self.cuts = [], 0, 0

    def __str__(self):
        return "%s from %s" % (self.topic, self.home)

    def run(self):
        name = self.home
        try:
            while not self.load.over.is_set():
                self.follow(name)
                name = random.choice(NAMES)
        except Exception as error:  # whatever it is, the test must hear of it
            self.load.blame("%s, at %s: %r", self, name, error)

    def note(self, name, seq, body):
        first = self.load.bodies.setdefault(seq, body)
        if first != body:
            self.load.blame("seq %d is %s, and by %s %s", seq, first, name, body)
        if self.seqs and seq <= self.seqs[-1]:
            self.load.blame("%s: %s has sent seq %d after %d", self, name, seq, self.seqs[-1])
        self.seqs.append(seq)

    def follow(self, name):
        """Until the session ends."""
        ends, session, last = self.load.ends[name], None, self.seqs[-1] if self.seqs else 0
        try:
            session = self.session(self.load.cluster.nodes[name].address, self.topic, last)
            if not session.recovered:
                self.load.blame("%s: %s says that it is another log, after seq %d", self, name, last)
            self.sessions += 1
            while not self.load.over.is_set():
                if session.has_some() or select.select([session.connection.sock], [], [], 0.2)[0]:
                    event = session.next()
                    if event:
                        self.note(name, *event)
        except Cut:
            self.cuts += 1
        except (OSError, Closed, WireError) as error:
            if session and ends == self.load.ends[name] and ends % 2 == 0:
                self.load.blame("%s: %s has ended the session by itself: %r", self, name, error)
            time.sleep(0.05)
        finally:
            if session:
                session.connection.close()
