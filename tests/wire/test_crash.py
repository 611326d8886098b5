"""kill -9 under load (O-45, issue 2): what was acknowledged is there, nothing is there twice, both files are sound."""

import json
import os
import random
import sqlite3
import threading
import unittest

from client import WireError
import harness
from harness import OwnDaemonCase

CLIENTS = 8
ROUNDS = 60 if os.environ.get("TIPCURRENT_TEST_SLOW") else 20
NDJSON = [("Content-Type", "application/x-ndjson")]


def body(kind, key):
    """Each key has a body of its own, so that a wrong replay shows."""
    if kind == "tips":
        return {"roomId": "room-%d" % (hash_of(key) % 20), "senderId": "s-" + key, "recipientId": "b", "amount": 1 + hash_of(key) % 1000}
    return {"roomId": "room-%d" % (hash_of(key) % 20), "userId": "u-" + key, "emoji": "\U0001f525", "targetId": key}


def hash_of(key):
    return int(key.rsplit("-", 1)[1])


class Ledger:
    """What the clients were told: key -> (kind, id) of every 201 or 200, and the keys whose outcome nobody heard."""

    def __init__(self):
        self.lock = threading.Lock()
        self.acked = {}
        self.open = {}
        self.wrong = []

    def note(self, kind, key, answer):
        with self.lock:
            if answer.status not in (200, 201):
                # A 503 stored nothing; the key stays open and is asked again later.
                self.open[key] = kind
                if answer.status != 503:
                    self.wrong.append((key, answer))
                return
            self.open.pop(key, None)
            told = (kind, answer.json["id"])
            if self.acked.setdefault(key, told) != told:
                self.wrong.append((key, answer))


class CrashTest(OwnDaemonCase):
    def load(self, daemon, ledger, turn, stop):
        """Eight clients that post until the connection breaks; each first asks again for what it never heard of."""

        def post(client_number):
            kind = "reactions" if client_number >= 6 else "tips"
            client = daemon.client()
            with ledger.lock:
                keys = [key for key, of in ledger.open.items() if key.startswith("c%d-" % client_number)]
            number = 0
            try:
                while not stop.is_set():
                    if keys:
                        key = keys.pop()
                    else:
                        key = "c%d-%d-%d" % (client_number, turn, number)
                        number += 1
                    with ledger.lock:
                        ledger.open[key] = kind
                    ledger.note(kind, key, client.post("/api/" + kind, body(kind, key), key))
            except (OSError, WireError):
                pass  # killed: the key stays open
            finally:
                client.close()

        threads = [threading.Thread(target=post, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        return threads

    def replay(self, daemon, ledger, keys):
        """Every key gives 200 with its id: all of them by batch, a few one by one."""
        client = daemon.client(60.0)
        for kind in ("tips", "reactions"):
            mine = [key for key in keys if ledger.acked[key][0] == kind]
            for start in range(0, len(mine), 10000):
                part = mine[start : start + 10000]
                lines = "\n".join(json.dumps({**body(kind, key), "idempotencyKey": key}) for key in part)
                answer = client.request("POST", "/api/%s:batch" % kind, lines, NDJSON)
                self.assertEqual(answer.status, 200)
                results = [json.loads(line) for line in answer.text.splitlines()]
                told = [(value["status"], value.get("event", {}).get("id")) for value in results]
                self.assertEqual(told, [(200, ledger.acked[key][1]) for key in part])
            for key in random.sample(mine, min(10, len(mine))):
                answer = client.post("/api/" + kind, body(kind, key), key)
                self.assertEqual((answer.status, answer.json["id"]), (200, ledger.acked[key][1]))
                found = client.get("/api/%s/%d" % (kind, answer.json["id"]))
                self.assertEqual(found.body, answer.body)
        client.close()

    def check_sqlite(self, daemon):
        for path in (daemon.database, daemon.index):
            with sqlite3.connect("file:%s?mode=ro" % path, uri=True) as database:
                self.assertEqual(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            database.close()
        log = sqlite3.connect("file:%s?mode=ro" % daemon.database, uri=True)
        rows = log.execute("SELECT seq, kind, id, key FROM events ORDER BY seq").fetchall()
        log.close()
        return rows

    def check_files(self, daemon, ledger):
        if harness.POSTGRES is None:
            rows = self.check_sqlite(daemon)
        else:
            text = harness.POSTGRES.sql("SELECT seq, kind, id, key FROM %s.events ORDER BY seq" % harness.schema_of(daemon.database))
            rows = [(int(seq), int(kind), int(number), key) for seq, kind, number, key in (line.split("|") for line in text.splitlines())]
        self.assertEqual([seq for seq, _, _, _ in rows], list(range(1, len(rows) + 1)), "seq has holes")
        numbers = {"tips": 1, "reactions": 2}
        for number in numbers.values():
            ids = [row_id for _, kind, row_id, _ in rows if kind == number]
            self.assertEqual(ids, list(range(1, len(ids) + 1)), "ids of kind %d have holes" % number)
        by_key = {}
        for _, kind, row_id, key in rows:
            key = key.decode() if isinstance(key, bytes) else key
            self.assertNotIn((kind, key), by_key, "a key was stored twice")
            by_key[kind, key] = row_id
        lost = [key for key, (kind, row_id) in ledger.acked.items() if by_key.get((numbers[kind], key)) != row_id]
        self.assertEqual(lost, [], "acknowledged and lost")
        return len(rows)

    def test_kill_under_load(self):
        seed = random.randrange(1 << 30)
        choose = random.Random(seed)
        ledger = Ledger()
        daemon = self.launch().wait_ready()
        for turn in range(ROUNDS):
            with self.subTest(round=turn, seed=seed):
                known = set(ledger.acked)
                stop = threading.Event()
                threads = self.load(daemon, ledger, turn, stop)
                stop.wait(choose.uniform(0.3, 1.2))  # the random moment itself, not a wait for anything
                daemon.kill()
                stop.set()
                for thread in threads:
                    thread.join(30)
                self.assertEqual(ledger.wrong, [])
                self.assertGreater(len(ledger.acked), len(known), "nothing was acknowledged in this round")
                if turn % 4 == 3:
                    self.kill_while_rebuilding(daemon, choose)
                daemon.start().wait_ready()
                self.replay(daemon, ledger, [key for key in ledger.acked if key not in known])
        self.replay(daemon, ledger, list(ledger.acked))
        daemon.stop_clean()
        self.assertGreaterEqual(self.check_files(daemon, ledger), len(ledger.acked))

    def kill_while_rebuilding(self, daemon, choose):
        """The derived file is gone; its rebuild is killed again and again, also under load."""
        daemon.forget_index()
        for _ in range(3):
            daemon.start()
            threading.Event().wait(choose.uniform(0.0, 0.08))
            daemon.kill()

    def test_kill_while_a_long_rebuild_runs(self):
        """Enough events that the kill surely hits the rebuild: seen by a derived file that is behind."""
        ledger = Ledger()
        daemon = self.launch().wait_ready()
        client = daemon.client(60.0)
        for start in range(0, 100000, 10000):
            keys = ["c9-0-%d" % i for i in range(start, start + 10000)]
            lines = "\n".join(json.dumps({**body("tips", key), "idempotencyKey": key}) for key in keys)
            answer = client.request("POST", "/api/tips:batch", lines, NDJSON)
            for key, line in zip(keys, answer.text.splitlines(), strict=True):
                ledger.acked[key] = ("tips", json.loads(line)["event"]["id"])
        client.close()
        daemon.kill()
        daemon.forget_index()
        behind = 0
        for _ in range(6):
            daemon.flags = ["--tail-max-events", "4096"]
            daemon.start()
            with daemon.connect() as connection:
                value = connection.request("GET", "/readyz").json
            behind += value["indexSeq"] < value["logSeq"]
            daemon.kill()
        self.assertGreater(behind, 0, "no kill hit the rebuild")
        daemon.start().wait_ready(60.0)
        self.replay(daemon, ledger, list(ledger.acked))
        daemon.stop_clean()
        self.assertEqual(self.check_files(daemon, ledger), 100000)


if __name__ == "__main__":
    unittest.main()
