"""GET /api/leaderboards/... and /topic/leaderboards: who gave and who got most. Sums over days, weeks and years that come late: tests/unit/test_board.c."""

import csv
import datetime
import io
import json
import re
import time
import urllib.parse

from harness import OwnDaemonCase, WireCase, reaction, tip, wait_for
from stomp import Stomp, open_stomp
from ws import WebSocket

QUIET_S = 1.6  # longer than a board's pace and the statistics' delay together


def quoted(text):
    return urllib.parse.quote(text, safe="")


def rows_of(board):
    """[(user, amount as it stood in the JSON, tips)]: floats would hide what money must not lose."""
    text = re.findall(r'\{"rank":(\d+),"userId":("(?:[^"\\]|\\.)*"),"amount":([0-9.]+),"tips":(\d+)\}', board)
    assert [int(rank) for rank, *_ in text] == list(range(1, len(text) + 1)), board
    return [(json.loads(user), amount, int(tips)) for _, user, amount, tips in text]


class BoardCase(WireCase):
    def board(self, room, query="", headers=()):
        return self.http.get("/api/leaderboards%s%s" % ("" if room is None else "/rooms/" + quoted(room), query), headers=headers)

    def user(self, room, user, query=""):
        return self.http.get("/api/leaderboards%s/users/%s%s" % ("" if room is None else "/rooms/" + quoted(room), quoted(user), query))

    def expect(self, room, rows, query=""):
        """The answer once the board is this: it is a moment behind the 201."""

        def there():
            answer = self.board(room, query)
            self.assertEqual(answer.status, 200, answer)
            self.last = answer
            return answer if rows_of(answer.text) == rows else None

        try:
            return wait_for(there, what="the board %s" % rows)
        except AssertionError:
            raise AssertionError("the board is %s instead of %s" % (rows_of(self.last.text), rows)) from None

    def give(self, room, sender, amount, recipient="star", **more):
        return self.create("/api/tips", tip(room, sender, recipient, amount, **more)).json

    def refused(self, target, naming):
        path = target.partition("?")[0]
        self.check_error(self.http.get(target), 400, path, naming)


class RestTest(BoardCase):
    def test_shape(self):
        self.give("shape", "alice", "12.50")
        self.give("shape", "alice", "0.05")
        self.give("shape", "b\u00f6b \"x\"", "7.00")
        answer = self.expect("shape", [("alice", "12.55", 2), ("b\u00f6b \"x\"", "7.00", 1)])
        self.assertEqual(answer.header("Content-Type"), "application/json")
        self.assertEqual(list(answer.json), ["roomId", "role", "window", "periodStart", "periodEnd", "currency", "leaderboard"])
        self.assertEqual(list(answer.json["leaderboard"][0]), ["rank", "userId", "amount", "tips"])
        self.assertEqual({k: v for k, v in answer.json.items() if k != "leaderboard"},
                         {"roomId": "shape", "role": "sender", "window": "all", "periodStart": None, "periodEnd": None, "currency": "USD"})
        one = self.user("shape", "b\u00f6b \"x\"")
        self.assertEqual(one.json, {"roomId": "shape", "role": "sender", "window": "all", "periodStart": None, "periodEnd": None, "currency": "USD",
                                    "userId": "b\u00f6b \"x\"", "rank": 2, "amount": 7.00, "tips": 1})
        self.assertIn('"amount":7.00', one.text)
        self.assertEqual(self.http.request("HEAD", "/api/leaderboards/rooms/shape").status, 200)

    def test_roles(self):
        self.give("roles", "a", "3", "x")
        self.give("roles", "b", "4", "y")
        self.give("roles", "a", "2", "x")
        self.expect("roles", [("a", "5.00", 2), ("b", "4.00", 1)], "?role=sender")
        self.expect("roles", [("x", "5.00", 2), ("y", "4.00", 1)], "?role=recipient")
        self.assertEqual(self.user("roles", "y", "?role=recipient").json["rank"], 2)
        self.check_error(self.user("roles", "y"), 404, "/api/leaderboards/rooms/roles/users/y", "not on this leaderboard")

    def test_ties_keep_who_came_first(self):
        self.give("ties", "zoe", "5")
        self.give("ties", "amy", "5")
        self.give("ties", "max", "2")
        self.give("ties", "max", "3")
        self.expect("ties", [("zoe", "5.00", 1), ("amy", "5.00", 1), ("max", "5.00", 2)])
        self.assertEqual(self.user("ties", "max").json["rank"], 3)

    def test_windows_of_the_calendar(self):
        made = self.give("windows", "a", "5")["createdAt"]
        day = datetime.date.fromisoformat(made[:10])
        monday = day - datetime.timedelta(days=day.weekday())
        first = day.replace(day=1)
        after = (first + datetime.timedelta(days=32)).replace(day=1)
        spans = {"day": (day, day + datetime.timedelta(days=1)), "week": (monday, monday + datetime.timedelta(days=7)), "month": (first, after)}
        for window, (start, end) in spans.items():
            for date in (start, end - datetime.timedelta(days=1)):
                answer = self.expect("windows", [("a", "5.00", 1)], "?window=%s&date=%s" % (window, date))
                self.assertEqual((answer.json["periodStart"], answer.json["periodEnd"]), ("%sT00:00:00Z" % start, "%sT00:00:00Z" % end))
                one = self.user("windows", "a", "?window=%s&date=%s" % (window, date)).json
                self.assertEqual((one["periodStart"], one["periodEnd"], one["rank"]), ("%sT00:00:00Z" % start, "%sT00:00:00Z" % end, 1))
            for date in (start - datetime.timedelta(days=1), end):
                query = "?window=%s&date=%s" % (window, date)
                self.assertEqual(self.board("windows", query).json["leaderboard"], [])
                self.assertEqual(self.user("windows", "a", query).status, 404)
        if datetime.datetime.now(datetime.timezone.utc).date() == day:
            self.expect("windows", [("a", "5.00", 1)], "?window=day")  # today, when no date is given

    def test_custom_spans_are_exact(self):
        made = []
        for i in range(3):
            made.append(self.give("custom", "a%d" % i, "5")["createdAt"])
            time.sleep(0.003)  # times are told in milliseconds
        self.expect("custom", [("a0", "5.00", 1), ("a1", "5.00", 1), ("a2", "5.00", 1)])
        self.assertTrue(made[0] < made[1] < made[2], made)
        answer = self.expect("custom", [("a1", "5.00", 1)], "?window=custom&startDate=%s&endDate=%s" % (made[1], made[2]))
        self.assertEqual((answer.json["periodStart"], answer.json["periodEnd"]), (made[1], made[2]))
        self.expect("custom", [("a1", "5.00", 1), ("a2", "5.00", 1)], "?window=custom&startDate=" + made[1])
        answer = self.expect("custom", [("a0", "5.00", 1)], "?window=custom&endDate=" + made[1])
        self.assertIsNone(answer.json["periodStart"])
        self.expect("custom", [], "?window=custom&startDate=%s&endDate=%s" % (made[2], made[0]))
        self.assertEqual(self.user("custom", "a2", "?window=custom&startDate=" + made[1]).json["rank"], 2)

    def test_currencies_do_not_mix(self):
        self.give("money", "a", "5")
        self.give("money", "b", "500", currency="JPY")
        self.expect("money", [("a", "5.00", 1)])
        answer = self.expect("money", [("b", "500.00", 1)], "?currency=JPY")
        self.assertEqual(answer.json["currency"], "JPY")
        self.expect("money", [("a", "5.00", 1)], "?currency=USD")
        self.expect("money", [], "?currency=EUR")
        self.assertEqual(self.user("money", "a", "?currency=JPY").status, 404)

    def test_refunds(self):
        first = self.give("refunds", "a", "10")["id"]
        self.give("refunds", "b", "8")
        self.expect("refunds", [("a", "10.00", 1), ("b", "8.00", 1)])
        self.create("/api/tips/%d/refund" % first, {"amount": 4})
        self.expect("refunds", [("b", "8.00", 1), ("a", "6.00", 1)])
        self.create("/api/tips/%d/refund" % first, {})
        self.expect("refunds", [("b", "8.00", 1)])
        self.expect("refunds", [("star", "8.00", 2)], "?role=recipient")
        self.check_error(self.user("refunds", "a"), 404, "/api/leaderboards/rooms/refunds/users/a")

    def test_limit(self):
        lines = "\n".join(tip("limit", "u%03d" % i, "star", "%d" % (1000 - i)) for i in range(130))
        self.assertEqual(self.http.post("/api/tips:batch", lines, headers=[("Content-Type", "application/x-ndjson")]).status, 200)
        expected = [("u%03d" % i, "%d.00" % (1000 - i), 1) for i in range(130)]
        self.expect("limit", expected[:10])
        self.expect("limit", expected[:1], "?limit=1")
        self.expect("limit", expected[:100], "?limit=100")
        for i in (0, 99, 100, 129):
            self.assertEqual(self.user("limit", "u%03d" % i).json["rank"], i + 1)

    def test_ids_are_decoded(self):
        self.give("a/b", "c/d", "5")
        self.expect("a/b", [("c/d", "5.00", 1)])
        self.assertEqual(self.user("a/b", "c/d").json["rank"], 1)
        self.assertEqual(self.board("a").json["leaderboard"], [])
        self.assertEqual(self.http.get("/api/leaderboards/rooms/a/b").status, 404)

    def test_csv(self):
        self.give("csv", '=1+1,"x"', "5")
        self.give("csv", "b", "4")
        self.expect("csv", [('=1+1,"x"', "5.00", 1), ("b", "4.00", 1)])
        answer = self.board("csv", headers=[("Accept", "text/csv")])
        self.assertEqual(answer.header("Content-Type"), "text/csv; charset=utf-8; header=present")
        self.assertEqual(answer.text, 'rank,userId,amount,tips\r\n1,"\'=1+1,""x""",5.00,1\r\n2,b,4.00,1\r\n')
        self.assertEqual(len(list(csv.reader(io.StringIO(answer.text)))), 3)

    def test_what_is_refused(self):
        at = "/api/leaderboards/rooms/r"
        for target in (at, "/api/leaderboards", at + "/users/u", "/api/leaderboards/users/u"):
            self.refused(target + "?role=both", "role: must be sender or recipient")
            self.refused(target + "?window=year", "window: must be all, day, week, month or custom")
            self.refused(target + "?currency=usd", "currency: ")
            self.refused(target + "?currency=XYZ", "currency: ")
            for date in ("2024-1-5", "2024-02-30", "20240105", "2024-01-05T00:00:00Z", "x"):
                self.refused(target + "?window=day&date=" + date, "date: must be a day")
            self.refused(target + "?date=2024-01-05", "date: goes with")
            self.refused(target + "?window=custom&startDate=2024-01-01T00:00:00Z&date=2024-01-05", "date: goes with")
            self.refused(target + "?startDate=2024-01-05T00:00:00Z", "startDate: goes with")
            self.refused(target + "?window=day&endDate=2024-01-05T00:00:00Z", "endDate: goes with")
            self.refused(target + "?window=custom", "startDate: ")
            self.refused(target + "?window=custom&endDate=2024-01-05", "endDate: must be an instant")
            self.refused(target + "?window=custom&endDate=2024-01-05T00:00:00+01:00", "%2B")
            for limit in ("0", "101", "-1", "1.5", "x", "99999999999999999999"):
                self.refused(target + "?limit=" + limit, "limit: must be a whole number from 1 to 100")
            self.refused(target + "?role=sender&role=sender", "role")
            self.assertIn(self.http.get(target + "?role=&window=&date=&limit=&currency=&startDate=&unknown=1").status, (200, 404))
        self.refused("/api/leaderboards/rooms/" + "x" * 256, "roomId")
        self.refused("/api/leaderboards/rooms/%ff", "roomId")
        self.refused("/api/leaderboards/rooms/r/users/" + "x" * 256, "userId")
        self.refused("/api/leaderboards/users/%00", "userId")
        for method in ("POST", "PUT", "DELETE"):
            self.assertEqual(self.http.request(method, at).status, 405)
        self.assertEqual(self.http.get(at + "/").status, 404)
        self.assertEqual(self.http.get(at + "/users/").status, 404)
        self.assertEqual(self.http.get(at, headers=[("Accept", "image/png")]).status, 406)

    def test_the_ends_of_the_calendar(self):
        for date in ("0001-01-01", "9999-12-31"):
            for window in ("day", "week", "month"):
                self.assertEqual(self.board("r", "?window=%s&date=%s" % (window, date)).json["leaderboard"], [])


class AllRoomsTest(OwnDaemonCase):
    def test_over_all_rooms_and_a_restart(self):
        daemon = self.launch().wait_ready()
        http = daemon.client()
        for room, sender, amount in (("r1", "a", 5), ("r2", "a", 5), ("r2", "b", 7)):
            self.assertEqual(http.post("/api/tips", tip(room, sender, "star", str(amount))).status, 201)
        rows = [("a", "10.00", 2), ("b", "7.00", 1)]
        wait_for(lambda: rows_of(http.get("/api/leaderboards").text) == rows)
        answer = http.get("/api/leaderboards")
        self.assertIsNone(answer.json["roomId"])
        http.close()
        for end in (daemon.stop_clean, daemon.kill):
            end()
            daemon.start().wait_ready()
            http = daemon.client()
            wait_for(lambda: http.get("/api/leaderboards").status == 200)
            self.assertEqual(http.get("/api/leaderboards").body, answer.body)
            self.assertEqual(http.get("/api/leaderboards/users/b").json["rank"], 2)
            http.close()


class LiveTest(BoardCase):
    def follow(self, destination, id="sub-0"):
        client = open_stomp(self)
        client.subscribe(destination, id)
        return client

    def until(self, client, seen, timeout=10.0):
        """Frames up to the one whose board satisfies seen(json)."""
        frames, deadline = [], time.monotonic() + timeout
        while time.monotonic() < deadline:
            frames.append(client.expect("MESSAGE", deadline - time.monotonic()))
            if seen(frames[-1].json):
                return frames
        raise AssertionError("it did not come: %s" % frames[-1:])

    def test_shape(self):
        client = self.follow("/topic/leaderboards/live a:b", "s1")
        first = client.expect("MESSAGE")
        self.assertEqual(list(first.json), ["type", "roomId", "currency", "all", "date", "today"])
        self.assertEqual(first.json["all"], {"senders": [], "recipients": []})
        self.give("live a:b", "alice", "2.50", "bob")
        frame = self.until(client, lambda board: board["all"]["senders"])[-1]
        self.assertEqual(list(frame.headers), ["destination", "content-type", "subscription", "message-id", "content-length"])
        self.assertEqual((frame["destination"], frame["subscription"]), ("/topic/leaderboards/live a\\cb", "s1"))
        rows = {"senders": [{"rank": 1, "userId": "alice", "amount": 2.5, "tips": 1}], "recipients": [{"rank": 1, "userId": "bob", "amount": 2.5, "tips": 1}]}
        self.assertEqual((frame.json["type"], frame.json["roomId"], frame.json["currency"], frame.json["all"]), ("leaderboard", "live a:b", "USD", rows))
        self.assertIn('"amount":2.50', frame.body)
        self.assertEqual(int(frame["content-length"]), len(frame.body.encode()))
        self.assertNotEqual(frame["message-id"], first["message-id"])

    def test_at_most_once_a_second_and_the_last_state_comes(self):
        client = self.follow("/topic/leaderboards/busy")
        start = time.monotonic()
        client.expect("MESSAGE")
        for i in range(300):
            self.give("busy", "u%d" % (i % 30), "1")
            time.sleep(0.005)
        self.give("busy", "last", "500")
        frames = self.until(client, lambda board: board["all"]["senders"][0]["userId"] == "last")
        self.assertLessEqual(len(frames), time.monotonic() - start + 1)
        self.assertEqual([len(frame.json["all"]["senders"]) for frame in frames[-1:]], [10])

    def test_nothing_is_said_when_nothing_changes(self):
        client = self.follow("/topic/leaderboards/still")
        client.expect("MESSAGE")
        self.create("/api/reactions", reaction("still", "alice"))
        self.give("elsewhere", "alice", "1")
        self.give("still", "alice", "1", currency="EUR")  # the board is of the daemon's own currency
        time.sleep(QUIET_S)
        self.give("still", "alice", "3")
        self.assertEqual(client.expect("MESSAGE").json["all"]["senders"], [{"rank": 1, "userId": "alice", "amount": 3, "tips": 1}])

    def test_who_comes_later_is_told_at_once(self):
        first = self.follow("/topic/leaderboards/later")
        self.give("later", "alice", "3")
        board = self.until(first, lambda board: board["all"]["senders"])[-1]
        other = self.follow("/topic/leaderboards/later")
        self.assertEqual(other.expect("MESSAGE", 0.9).body, board.body)  # sooner than the pace would have it
        with_receipt = open_stomp(self)
        with_receipt.subscribe("/topic/leaderboards/later", "x", after=0)
        self.assertEqual(with_receipt.expect("MESSAGE").body, board.body)
        first.frame("DISCONNECT", [("receipt", "bye")])
        self.assertEqual(first.expect("RECEIPT")["receipt-id"], "bye")  # nobody else was told anything

    def test_who_comes_back_is_told_what_happened_meanwhile(self):
        client = self.follow("/topic/leaderboards/back")
        client.expect("MESSAGE")
        client.frame("UNSUBSCRIBE", [("id", "sub-0"), ("receipt", "gone")])
        client.expect("RECEIPT")
        self.give("back", "alice", "3")
        self.expect("back", [("alice", "3.00", 1)])
        client.subscribe("/topic/leaderboards/back")
        self.assertEqual(client.expect("MESSAGE").json["all"]["senders"][0]["userId"], "alice")

    def test_refund_is_said(self):
        client = self.follow("/topic/leaderboards/undo")
        made = self.give("undo", "alice", "3")
        self.until(client, lambda board: board["all"]["senders"])
        self.create("/api/tips/%d/refund" % made["id"], {})
        frame = self.until(client, lambda board: not board["all"]["senders"])[-1]
        self.assertEqual(frame.json["today"], {"senders": [], "recipients": []})

    def test_all_rooms(self):
        client = self.follow("/topic/leaderboards")
        client.expect("MESSAGE")
        self.give("anywhere", "whale", "99999")
        frame = self.until(client, lambda board: any(row["userId"] == "whale" for row in board["all"]["senders"]))[-1]
        self.assertEqual(frame["destination"], "/topic/leaderboards")
        self.assertIsNone(frame.json["roomId"])

    def test_patterns_have_no_boards(self):
        for destination in ("/topic/leaderboards/*", "/topic/leaderboards/**", "/topic/leaderboards/"):
            client = open_stomp(self)
            client.frame("SUBSCRIBE", [("id", "1"), ("destination", destination)])
            error, code = client.expect_error()
            self.assertIn("/topic/leaderboards/{id}", error.body)
            self.assertEqual(code, 1002)

    def test_events_topics_carry_no_boards(self):
        clients = [self.follow(destination) for destination in ("/topic/**", "/topic/rooms/*", "/topic/rooms/apart")]
        board = self.follow("/topic/leaderboards/apart")
        board.expect("MESSAGE")
        made = self.give("apart", "alice", "1")
        self.until(board, lambda board: board["all"]["senders"])
        last = self.give("apart", "alice", "1")
        for client in clients:
            self.assertEqual([client.expect("MESSAGE").json["id"] for _ in range(2)], [made["id"], last["id"]])

    def test_one_session_with_both(self):
        client = self.follow("/topic/rooms/both", "r")
        client.subscribe("/topic/leaderboards/both", "b")
        client.expect("MESSAGE")
        for i in range(200):
            self.give("both", "u%d" % i, "1")
        self.give("both", "last", "9")
        boards, seqs = [], []
        while not boards or boards[-1]["all"]["senders"][0]["userId"] != "last":
            frame = client.expect("MESSAGE")
            boards.append(frame.json) if frame["subscription"] == "b" else seqs.append(frame.seq)
        self.assertEqual(len(seqs), 201)
        self.assertEqual(seqs, sorted(seqs))

    def test_joins_and_leaves_in_a_loop_hold_nothing(self):
        """Each SUBSCRIBE is answered with a board; a client that does not read them is cut off like any other."""
        for i in range(12):
            self.give("loop", "u%03d" % i * 60, "1", "r%03d" % i * 60)
        self.expect("loop", [("u%03d" % i * 60, "1.00", 1) for i in range(10)])
        follower = self.follow("/topic/leaderboards/loop")
        follower.expect("MESSAGE")
        before = self.daemon.memory_kib("VmRSS")
        client = Stomp(WebSocket(self.daemon.address, "/ws", ("v12.stomp",)))
        self.addCleanup(client.close)
        client.connect()
        try:
            for i in range(20000):
                client.send("SUBSCRIBE\nid:%d\ndestination:/topic/leaderboards/loop\n\n\0" % i)
                client.send("UNSUBSCRIBE\nid:%d\n\n\0" % i)
        except OSError:
            pass  # cut off while it still sent
        self.assertLess(self.daemon.memory_kib("VmRSS") - before, 32 << 10)
        self.give("loop", "whale", "500")
        self.until(follower, lambda board: board["all"]["senders"][0]["userId"] == "whale")


class SockjsTest(BoardCase):
    def test_over_sockjs(self):
        base = "/ws/000/boards"
        self.assertEqual(self.http.post(base + "/xhr", "").text, "o\n")

        def send(*frames):
            answer = self.http.post(base + "/xhr_send", json.dumps(list(frames)), headers=[("Content-Type", "application/json")])
            self.assertEqual(answer.status, 204, answer)

        send("CONNECT\naccept-version:1.2\nhost:h\n\n\0", "SUBSCRIBE\nid:1\ndestination:/topic/leaderboards/sock\n\n\0")
        self.give("sock", "alice", "3")
        got = ""
        deadline = time.monotonic() + 10
        while "alice" not in got and time.monotonic() < deadline:
            got += self.http.post(base + "/xhr", "").text
        self.assertIn("alice", got)
        self.assertIn("/topic/leaderboards/sock", got)
