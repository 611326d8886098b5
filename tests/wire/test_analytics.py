"""GET /api/analytics/...: the shape key for key, zeros, dates (O-34), paths (O-33), CSV, and what is refused. Numbers over back-dated events: tests/unit/test_analytics.c."""

import csv
import datetime
import io
import json
import re
import unittest
import urllib.parse

from harness import WireCase, reaction, tip, wait_for

UTC = datetime.timezone.utc
ROW = ["periodStart", "periodEnd", "totalTips", "totalAmount", "uniqueSenders", "uniqueRecipients", "averageTipAmount", "totalReactions", "uniqueReactors"]
SUMMARY = ["totalTips", "totalAmount", "averageTipAmount", "totalReactions"]
HEART, HEART_TEXT = "\u2764\ufe0f", "\u2764"


def keys(text):
    """The keys of an object in the order sent."""
    return [key for key, _ in json.loads(text, object_pairs_hook=list)]


def hour_of(created):
    return datetime.datetime.fromisoformat(created.replace("Z", "+00:00")).replace(minute=0, second=0, microsecond=0)


def iso(moment):
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class AnalyticsCase(WireCase):
    def stats(self, room, query="", what="stats", headers=()):
        return self.http.get("/api/analytics/rooms/%s/%s%s" % (urllib.parse.quote(room, safe=""), what, query), headers=headers)

    def seen(self, room, tips, reactions, query=""):
        """The answer once it has so many events: statistics are a moment behind the 201."""

        def there():
            answer = self.stats(room, query)
            self.assertEqual(answer.status, 200, answer)
            summary = answer.json["summary"]
            return answer if (summary["totalTips"], summary["totalReactions"]) == (tips, reactions) else None

        return wait_for(there, what="%d tips and %d reactions in %s" % (tips, reactions, room))

    def in_one_hour(self, name, make):
        """Runs make(room) so that all of its events lie in one hour; returns the room and that hour."""
        for attempt in range(3):
            room = "%s-%d" % (name, attempt)
            hours = {hour_of(event["createdAt"]) for event in make(room)}
            if len(hours) == 1:
                return room, hours.pop()
        raise AssertionError("an hour ended in each of three attempts")


class ShapeTest(AnalyticsCase):
    def test_readme_shape(self):
        def make(room):
            return [
                self.create("/api/tips", tip(room, amount=100, senderId="alice", recipientId="bob")).json,
                self.create("/api/tips", tip(room, amount=200, senderId="carol", recipientId="bob")).json,
                self.create("/api/reactions", reaction(room, userId="alice")).json,
            ]

        room, hour = self.in_one_hour("shape", make)
        answer = self.seen(room, 2, 1)
        self.assertEqual(answer.header("Content-Type"), "application/json")
        self.assertEqual(
            answer.text,
            '{"roomId":"%s","stats":[{"periodStart":"%s","periodEnd":"%s","totalTips":2,"totalAmount":300.00,"uniqueSenders":2,"uniqueRecipients":1,'
            '"averageTipAmount":150.00,"totalReactions":1,"uniqueReactors":1}],'
            '"summary":{"totalTips":2,"totalAmount":300.00,"averageTipAmount":150.00,"totalReactions":1}}'
            % (room, iso(hour), iso(hour + datetime.timedelta(hours=1))),
        )

    def test_unknown_room_is_empty(self):
        """contract.md 5: no rows, plain zeros"""
        answer = self.stats("nowhere")
        self.assertEqual(answer.text, '{"roomId":"nowhere","stats":[],"summary":{"totalTips":0,"totalAmount":0,"averageTipAmount":0,"totalReactions":0}}')

    def test_reactions_only(self):
        def make(room):
            return [self.create("/api/reactions", reaction(room, userId=user)).json for user in ("alice", "alice", "bob")]

        room, _ = self.in_one_hour("mood", make)
        answer = self.seen(room, 0, 3)
        self.assertIn('"totalTips":0,"totalAmount":0.00,"uniqueSenders":0,"uniqueRecipients":0,"averageTipAmount":0.00,"totalReactions":3,"uniqueReactors":2}]', answer.text)
        self.assertIn('"summary":{"totalTips":0,"totalAmount":0.00,"averageTipAmount":0,"totalReactions":3}', answer.text)

    def test_platform(self):
        before = self.http.get("/api/analytics/stats").json
        self.create("/api/tips", tip("platform", amount=7))
        self.seen("platform", 1, 0)
        answer = wait_for(lambda: (lambda a: a if a.json["summary"]["totalTips"] > before["summary"]["totalTips"] else None)(self.http.get("/api/analytics/stats")))
        self.assertEqual(keys(answer.text), ["roomId", "stats", "summary"])
        self.assertIsNone(answer.json["roomId"])
        self.assertEqual(keys(json.dumps(answer.json["stats"][-1])), ROW)
        self.assertEqual(keys(json.dumps(answer.json["summary"])), SUMMARY)

    def test_room_ids_in_paths(self):
        """O-33: a plus in a path is a plus; %2F does not divide a segment"""
        for room in ("a b", "a+b", "a/b", "caf\u00e9 \U0001f525", "100%"):
            self.create("/api/tips", tip(room, amount=5))
            self.assertEqual(self.seen(room, 1, 0).json["roomId"], room)
        self.assertEqual(self.http.get("/api/analytics/rooms/a+b/stats").json["roomId"], "a+b")
        self.check_error(self.http.get("/api/analytics/rooms/%s/stats" % ("x" * 256)), 400, "/api/analytics/rooms/%s/stats" % ("x" * 256), naming="roomId")
        self.assertEqual(self.http.get("/api/analytics/rooms/%s/stats" % ("x" * 255)).status, 200)
        for path in ("/api/analytics/rooms//stats", "/api/analytics/rooms/r/stats/", "/api/analytics/rooms/r", "/api/analytics"):
            self.assertEqual(self.http.get(path).status, 404, path)

    def test_methods(self):
        self.assertEqual(self.http.request("HEAD", "/api/analytics/rooms/r/stats").status, 200)
        self.assertEqual(self.http.request("POST", "/api/analytics/rooms/r/stats").status, 405)


class RangeTest(AnalyticsCase):
    def room_with_one_tip(self, name):
        room, hour = self.in_one_hour(name, lambda room: [self.create("/api/tips", tip(room, amount=100)).json])
        self.seen(room, 1, 0)
        return room, hour

    def count(self, room, **members):
        answer = self.stats(room, "?" + urllib.parse.urlencode(members))
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["summary"]["totalTips"], len(answer.json["stats"]))
        return len(answer.json["stats"])

    def test_bounds(self):
        """Start inclusive, end exclusive, each alone, unaligned, and in every spelling of contract.md 5"""
        room, hour = self.room_with_one_tip("bounds")
        later, second = hour + datetime.timedelta(hours=1), datetime.timedelta(seconds=1)
        self.assertEqual(self.count(room, startDate=iso(hour)), 1)
        self.assertEqual(self.count(room, startDate=iso(hour + second)), 0)
        self.assertEqual(self.count(room, endDate=iso(hour)), 0)
        self.assertEqual(self.count(room, endDate=iso(hour + second)), 1)
        self.assertEqual(self.count(room, startDate=iso(hour), endDate=iso(later)), 1)
        self.assertEqual(self.count(room, startDate=iso(later), endDate=iso(hour)), 0)
        self.assertEqual(self.count(room, startDate="", endDate=""), 1)
        east = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
        for text in (hour.astimezone(east).isoformat(), hour.strftime("%Y-%m-%dT%H:00:00.000Z"), hour.strftime("%a, %d %b %Y %H:00:00 GMT"), str(int(hour.timestamp()) * 1000)):
            self.assertEqual(self.count(room, startDate=text), 1, text)
            self.assertEqual(self.count(room, endDate=text), 0, text)

    def test_no_dates(self):
        """O-34: never the whole of it in silence"""
        room = "dates"
        for text in ("2024-01-15", "2024-01-15T09:00:00", "2024-02-30T00:00:00Z", "2024-01-15T25:00:00Z", "yesterday", "2024-01-15T11:00:00+02:00"):
            for name in ("startDate", "endDate"):
                path = "/api/analytics/rooms/%s/stats" % room
                answer = self.http.get("%s?%s=%s" % (path, name, text))  # a raw plus is a space
                self.check_error(answer, 400, path, naming=name)
        self.assertIn("%2B", answer.json["message"])

    def test_grains(self):
        room, hour = self.room_with_one_tip("grains")
        for grain, seconds in (("15m", 900), ("hour", 3600), ("day", 86400), ("week", 7 * 86400), ("month", None), ("", 3600)):
            row = self.stats(room, "?granularity=" + grain).json["stats"][0]
            start, end = (datetime.datetime.fromisoformat(row[name].replace("Z", "+00:00")) for name in ("periodStart", "periodEnd"))
            if seconds:
                self.assertEqual((end - start).total_seconds(), seconds, grain)
            else:
                self.assertEqual((start.day, end.day), (1, 1))
            self.assertEqual(row["uniqueSenders"], 1 if grain in ("15m", "hour", "") else None, grain)
        row = self.stats(room, "?granularity=day&tz=Asia/Kolkata").json["stats"][0]
        self.assertTrue(row["periodStart"].endswith("T18:30:00Z"), row)
        row = self.stats(room, "?tz=Asia%2FKathmandu").json["stats"][0]
        self.assertRegex(row["periodStart"], r"T\d\d:15:00Z\Z")
        self.assertEqual((row["uniqueSenders"], row["uniqueRecipients"], row["uniqueReactors"]), (1, 1, 0))

    def test_refusals(self):
        path = "/api/analytics/rooms/r/stats"
        for query, naming in (
            ("granularity=minute", "granularity"),
            ("granularity=Hour", "granularity"),
            ("tz=Mars/Olympus", "tz"),
            ("tz=../../etc/passwd", "tz"),
            ("tz=localtime", "tz"),
            ("tz=%00", "tz"),
            ("currency=usd", "currency"),
            ("currency=ZZZ", "currency"),
            ("limit=0", "limit"),
            ("limit=100001", "limit"),
            ("startDate=1&startDate=2", "startDate"),
            ("startDate=%ZZ", "startDate"),
        ):
            self.check_error(self.http.get(path + "?" + query), 400, path, naming=naming)
        self.assertEqual(self.http.get(path + "?colour=red").status, 200)


class SharesTest(AnalyticsCase):
    def test_emojis(self):
        for emoji in (HEART, HEART_TEXT, "Kappa"):
            self.create("/api/reactions", reaction("emojis", emoji=emoji))
        self.seen("emojis", 0, 3)
        answer = self.stats("emojis", what="emojis")
        self.assertEqual(keys(answer.text), ["roomId", "emojis", "summary"])
        self.assertEqual([row["totalReactions"] for row in answer.json["emojis"]], [2, 1])
        self.assertEqual(answer.json["emojis"][0]["emoji"].rstrip("\ufe0f"), HEART_TEXT)
        self.assertEqual(answer.json["emojis"][1]["emoji"], "Kappa")
        self.assertEqual(answer.json["summary"], {"totalReactions": 3})
        limited = self.stats("emojis", "?limit=1", what="emojis").json
        self.assertEqual((len(limited["emojis"]), limited["summary"]), (1, {"totalReactions": 3}))
        self.assertEqual(self.stats("emojis", "?endDate=2001-01-01T00:00:00Z", what="emojis").text, '{"roomId":"emojis","emojis":[],"summary":{"totalReactions":0}}')
        self.assertGreaterEqual(self.http.get("/api/analytics/emojis").json["summary"]["totalReactions"], 3)

    def test_recipients(self):
        for recipient, amount in (("bob", "10.01"), ("ann", "20.00"), ("bob", "10.00")):
            self.create("/api/tips", tip("recipients", recipientId=recipient, amount=amount))
        self.seen("recipients", 3, 0)
        answer = self.stats("recipients", what="recipients")
        self.assertEqual(
            answer.text,
            '{"roomId":"recipients","recipients":[{"recipientId":"bob","totalTips":2,"totalAmount":20.01,"averageTipAmount":10.01},'
            '{"recipientId":"ann","totalTips":1,"totalAmount":20.00,"averageTipAmount":20.00}],'
            '"summary":{"totalTips":3,"totalAmount":40.01,"averageTipAmount":13.34}}',
        )
        self.assertGreaterEqual(self.http.get("/api/analytics/recipients").json["summary"]["totalTips"], 3)

    def test_currencies(self):
        self.create("/api/tips", tip("money", amount=1))
        self.create("/api/tips", tip("money", amount=2, currency="EUR"))
        self.create("/api/tips", tip("money", amount=3, currency="CHF"))
        answer = wait_for(lambda: (lambda a: a if a.json.get("currencies") == ["CHF", "EUR"] else None)(self.stats("money")))
        self.assertEqual(keys(answer.text), ["roomId", "stats", "summary", "currencies"])
        self.assertEqual(answer.json["summary"]["totalAmount"], 1)
        euro = self.stats("money", "?currency=EUR").json
        self.assertEqual((euro["summary"]["totalAmount"], euro["currency"], euro["currencies"]), (2, "EUR", ["CHF", "USD"]))
        self.assertEqual(self.stats("money", "?currency=EUR", what="recipients").json["summary"]["totalAmount"], 2)


class CsvTest(AnalyticsCase):
    CSV = (("Accept", "text/csv"),)

    def rows(self, answer):
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.header("Content-Type"), "text/csv; charset=utf-8; header=present")
        self.assertIn("Accept", answer.all("Vary"))
        self.assertTrue(answer.text.endswith("\r\n"))
        return list(csv.reader(io.StringIO(answer.text, newline="")))

    def test_periods(self):
        room, hour = self.in_one_hour("csv", lambda room: [self.create("/api/tips", tip(room, amount=100)).json])
        self.seen(room, 1, 0)
        end = iso(hour + datetime.timedelta(hours=1))
        self.assertEqual(self.rows(self.stats(room, headers=self.CSV)), [ROW, [iso(hour), end, "1", "100.00", "1", "1", "100.00", "0", "0"]])
        day = self.rows(self.stats(room, "?granularity=day", headers=self.CSV))
        self.assertEqual(day[1][2:], ["1", "100.00", "", "", "100.00", "0", ""])
        self.assertEqual(self.rows(self.stats("nowhere", headers=self.CSV)), [ROW])

    def test_texts(self):
        """RFC 4180 quoting; what a spreadsheet would run as a formula gets an apostrophe"""
        names = ["plain", "a,b", 'say "hi"', "two\nlines", "=1+1", "+1", "-1", "@sum", "\tx", "caf\u00e9", " =1"]
        for name in names:
            self.create("/api/tips", tip("texts", recipientId=name, amount=1))
        self.seen("texts", len(names), 0)
        rows = self.rows(self.stats("texts", what="recipients", headers=self.CSV))
        self.assertEqual(rows[0], ["recipientId", "totalTips", "totalAmount", "averageTipAmount"])
        expected = sorted(("'" + name if name[0] in "=+-@\t" else name) for name in names)
        self.assertEqual(sorted(row[0] for row in rows[1:]), expected)
        self.assertEqual({tuple(row[1:]) for row in rows[1:]}, {("1", "1.00", "1.00")})
        self.create("/api/reactions", reaction("texts", emoji="+1"))
        self.seen("texts", len(names), 1)
        self.assertEqual(self.rows(self.stats("texts", what="emojis", headers=self.CSV)), [["emoji", "totalReactions"], ["'+1", "1"]])

    def test_negotiation(self):
        for accept, kind in (
            ("*/*", "application/json"),
            ("text/csv, application/json", "application/json"),
            ("text/csv, */*;q=0.1", "text/csv"),
            ("application/json;q=0.5, text/csv;q=0.6", "text/csv"),
            ("application/json;q=0.6, text/csv;q=0.5", "application/json"),
            ("text/*", "text/csv"),
            ("text/csv;q=0, */*", "application/json"),
        ):
            answer = self.stats("r", headers=(("Accept", accept),))
            self.assertEqual(answer.status, 200, accept)
            self.assertTrue(answer.header("Content-Type").startswith(kind), accept)
        for accept in ("application/xml", "text/csv;q=0, application/json;q=0", "text/html"):
            self.assertEqual(self.stats("r", headers=(("Accept", accept),)).status, 406, accept)
        self.assertEqual(self.http.get("/api/tips", headers=self.CSV).status, 406)


class RestartTest(AnalyticsCase):
    def test_numbers_survive_a_kill(self):
        """The rollup's cursor goes on where it was, whatever was lost of its memory"""
        for i in range(50):
            self.create("/api/tips", tip("kill", amount="%d.%02d" % (i, i + 1), senderId="s%d" % (i % 7)))
        before = self.seen("kill", 50, 0).text
        self.daemon.kill()
        self.daemon.start().wait_ready()
        self.http = self.daemon.client()
        self.addCleanup(self.http.close)
        self.assertEqual(self.seen("kill", 50, 0).text, before)
        self.create("/api/tips", tip("kill", amount=1, senderId="s0"))
        after = self.seen("kill", 51, 0).json
        if len(after["stats"]) == 1:
            self.assertEqual(after["stats"][0]["uniqueSenders"], 7)


if __name__ == "__main__":
    unittest.main()
