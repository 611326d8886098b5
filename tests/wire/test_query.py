"""Lists: the Spring page key for key, every combination of filters against a model, keyset pages, query decoding (O-33) and paging extremes (O-35)."""

import itertools
import json
import random
import unittest
import urllib.parse

from harness import WireCase, reaction, tip

FIRE = "\U0001f525"
SORTED = {"empty": False, "sorted": True, "unsorted": False}
EMOJI = (FIRE, "\u2764\ufe0f", "\u2764", "\U0001f44d", "+1")
FAR = (
    "page=2147483647&size=2147483647",
    "page=4294967296",
    "page=9223372036854775807&size=1000",
    "page=9223372036854775807",
    "page=99999999999999999999999",
    "page=-1",
    "size=0",
    "size=-5",
    "page=abc",
    "page=1.5",
    "page=1e1",
    "page=0x1",
    "page=%2B1x",
    "size=1001",
    "size=abc",
    "size=4294967297",
    "page=1%20",
    "page=1%00",
    "page=--1",
    "page=1000001&size=1",
)


def query(**members):
    return urllib.parse.urlencode({name: value for name, value in members.items() if value is not None})


class PageShapeTest(WireCase):
    def order(self, text):
        """The keys of the outermost object, in the order sent."""
        return [key for key, _ in json.loads(text, object_pairs_hook=list)]

    def test_page_key_for_key(self):
        """contract.md 1.9"""
        created = [self.create("/api/tips", tip("shape")).json for _ in range(5)]
        answer = self.http.get("/api/tips?roomId=shape&page=1&size=2")
        self.assertEqual(answer.header("Content-Type"), "application/json")
        self.assertEqual(
            answer.json,
            {
                "content": [created[2], created[1]],
                "empty": False,
                "first": False,
                "last": False,
                "number": 1,
                "numberOfElements": 2,
                "pageable": {"offset": 2, "pageNumber": 1, "pageSize": 2, "paged": True, "sort": SORTED, "unpaged": False},
                "size": 2,
                "sort": SORTED,
                "totalElements": 5,
                "totalPages": 3,
            },
        )
        self.assertEqual(
            self.order(answer.text),
            ["content", "empty", "first", "last", "number", "numberOfElements", "pageable", "size", "sort", "totalElements", "totalPages"],
        )
        self.assertIn(
            '"pageable":{"offset":2,"pageNumber":1,"pageSize":2,"paged":true,"sort":{"empty":false,"sorted":true,"unsorted":false},"unpaged":false},"size":2,',
            answer.text,
        )

    def test_last_page_and_past_the_end(self):
        for _ in range(5):
            self.create("/api/reactions", reaction("ends"))
        for page, count, first, last in ((0, 2, True, False), (2, 1, False, True), (3, 0, False, True), (1000, 0, False, True)):
            value = self.page("/api/reactions?roomId=ends&size=2&page=%d" % page)
            self.assertEqual(
                (value["numberOfElements"], len(value["content"]), value["first"], value["last"], value["empty"], value["number"]),
                (count, count, first, last, count == 0, page),
            )
            self.assertEqual((value["totalElements"], value["totalPages"]), (5, 3))

    def test_empty_result(self):
        answer = self.http.get("/api/tips?roomId=nobody-was-here")
        self.assertEqual(
            answer.text,
            '{"content":[],"empty":true,"first":true,"last":true,"number":0,"numberOfElements":0,'
            '"pageable":{"offset":0,"pageNumber":0,"pageSize":20,"paged":true,'
            '"sort":{"empty":false,"sorted":true,"unsorted":false},"unpaged":false},'
            '"size":20,"sort":{"empty":false,"sorted":true,"unsorted":false},"totalElements":0,"totalPages":0}',
        )

    def test_defaults(self):
        for _ in range(21):
            self.create("/api/tips", tip("defaults"))
        for extra in ("", "&page=&size=", "&page=0", "&size=20", "&unknown=1", "&&"):
            value = self.page("/api/tips?roomId=defaults" + extra)
            self.assertEqual((value["size"], value["number"], value["numberOfElements"], value["totalPages"]), (20, 0, 20, 2))

    def test_content_is_what_the_201_said(self):
        created = self.http.post("/api/tips", tip("bytes", message='\U0001f469\u200d\U0001f680 /"\\'))
        self.assertIn(created.body, self.http.get("/api/tips?roomId=bytes").body)
        self.assertIn(created.body, self.http.get("/api/tips?roomId=bytes&after=").body)


class ExtremesTest(WireCase):
    """O-35"""

    def test_bad_or_far_pages(self):
        self.create("/api/tips", tip("far"))
        for text in FAR:
            for path in ("/api/tips", "/api/reactions"):
                with self.subTest(path=path, query=text):
                    answer = self.http.get(path + "?" + text)
                    self.check_error(answer, 400, path)
                    self.assertRegex(answer.json["message"], "page|size|after")

    def test_far_but_legal(self):
        value = self.page("/api/tips?page=50000&size=20")
        self.assertEqual((value["content"], value["number"]), ([], 50000))
        self.assertEqual(self.page("/api/tips?page=1000&size=1000")["content"], [])
        answer = self.http.get("/api/tips?page=1001&size=1000")
        self.check_error(answer, 400, "/api/tips", "after")

    def test_tied_timestamps_walk_twice(self):
        lines = "\n".join(tip("tied", amount=str(i + 1)) for i in range(30))
        answer = self.http.request("POST", "/api/tips:batch", lines, [("Content-Type", "application/x-ndjson")])
        self.assertEqual(answer.status, 200)
        walks = [[item for page in range(5) for item in self.page("/api/tips?roomId=tied&size=7&page=%d" % page)["content"]] for _ in range(2)]
        self.assertEqual(walks[0], walks[1])
        self.assertEqual(len({item["id"] for item in walks[0]}), 30)
        self.assertLess(len({item["createdAt"] for item in walks[0]}), 30)
        self.assertEqual(walks[0], sorted(walks[0], key=lambda item: (item["createdAt"], item["id"]), reverse=True))


class DecodingTest(WireCase):
    """O-33"""

    def ids(self, target):
        return [item["roomId"] for item in self.page(target)["content"]]

    def test_percent_and_plus(self):
        for room in ("a b", "a+b", "a%b", "a&b=c", "\u00e9"):
            self.create("/api/tips", tip(room))
        for text, rooms in (
            ("a+b", ["a b"]),
            ("a%20b", ["a b"]),
            ("a%2Bb", ["a+b"]),
            ("a%2bb", ["a+b"]),
            ("a%25b", ["a%b"]),
            ("a%26b%3Dc", ["a&b=c"]),
            ("a%26b=c", ["a&b=c"]),
            ("%C3%A9", ["\u00e9"]),
            ("\u00e9", ["\u00e9"]),
            ("%61+%62", ["a b"]),
        ):
            with self.subTest(text):
                self.assertEqual(self.ids("/api/tips?roomId=" + text), rooms)
        self.assertEqual(self.ids("/api/tips?room%49d=a+b"), ["a b"])

    def test_raw_emoji_is_the_encoded_emoji(self):
        self.create("/api/reactions", reaction("emoji", "u1", FIRE))
        self.create("/api/reactions", reaction("emoji", "u2", "\U0001f44d"))
        encoded = self.http.get("/api/reactions?roomId=emoji&emoji=%F0%9F%94%A5")
        raw = self.http.get("/api/reactions?roomId=emoji&emoji=" + FIRE)
        self.assertEqual((encoded.status, raw.status), (200, 200))
        self.assertEqual(raw.body, encoded.body)
        self.assertEqual([item["userId"] for item in raw.json["content"]], ["u1"])

    def test_malformed_escapes(self):
        for text in ("%", "%2", "%zz", "%FF", "%C0%80", "%ED%A0%80", "%00", "a%00b", "%u0041"):
            for path, name in (
                ("/api/tips", "roomId"),
                ("/api/tips", "senderId"),
                ("/api/tips", "recipientId"),
                ("/api/reactions", "emoji"),
                ("/api/reactions", "targetId"),
                ("/api/reactions", "userId"),
            ):
                with self.subTest(path=path, name=name, text=text):
                    self.check_error(self.http.get("%s?%s=%s" % (path, name, text)), 400, path, name)

    def test_empty_filters_match_nothing(self):
        self.create("/api/tips", tip())
        self.create("/api/reactions", reaction(targetId=""))
        for target in ("/api/tips?roomId=", "/api/tips?senderId=&roomId=room1", "/api/reactions?emoji=", "/api/reactions?userId="):
            with self.subTest(target):
                self.assertEqual(self.page(target)["totalElements"], 0)

    def test_doubled_filter_is_refused(self):
        self.check_error(self.http.get("/api/tips?roomId=a&roomId=b"), 400, "/api/tips", "roomId")


class ListCase(WireCase):
    def walk(self, path, filters, size, between=None):
        """All events of a keyset walk, with each page's own claims checked."""
        items, after = [], ""
        while after is not None:
            answer = self.http.get("%s?%s" % (path, query(**filters, size=size, after=after)))
            self.assertEqual(answer.status, 200, answer)
            value = answer.json
            self.assertEqual(list(value), ["content", "size", "numberOfElements", "totalElements", "last", "next"])
            self.assertEqual((value["size"], value["numberOfElements"]), (size, len(value["content"])))
            self.assertEqual(value["last"], value["next"] is None)
            self.assertLessEqual(len(value["next"] or ""), 64)
            items += value["content"]
            after = value["next"]
            if between:
                between()
        return items


class KeysetTest(ListCase):
    def test_a_walk_is_not_shaken_by_new_events(self):
        before = [self.create("/api/tips", tip("walk")).json for _ in range(25)]
        items = self.walk("/api/tips", {"roomId": "walk"}, 4, lambda: self.create("/api/tips", tip("walk")))
        self.assertEqual(items, before[::-1])

    def test_exact_multiples_end(self):
        for _ in range(8):
            self.create("/api/tips", tip("multiple"))
        self.assertEqual(len(self.walk("/api/tips", {"roomId": "multiple"}, 4)), 8)
        self.assertEqual(self.walk("/api/tips", {"roomId": "empty-walk"}, 4), [])

    def test_bad_cursors(self):
        for cursor in ("x", "0", "AAAA", "%FF", "a" * 65, "9999999999999999999999.1", "1.2.3", "-1"):
            with self.subTest(cursor):
                self.check_error(self.http.get("/api/tips?after=" + cursor), 400, "/api/tips", "after")
        self.check_error(self.http.get("/api/tips?after=&page=1"), 400, "/api/tips")


class ModelTest(ListCase):
    """Random events, every combination of filters, against a list in Python."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.random = random.Random(20240115)
        cls.tips, cls.reactions = [], []
        client = cls.daemon.client()
        pick = cls.random.choice
        for _ in range(300):
            answer = client.post(
                "/api/tips",
                tip("r%d" % pick(range(4)), "u%d" % pick(range(6)), "u%d" % pick(range(6)), amount="%d.%02d" % (pick(range(1, 50)), pick(range(100))), currency=pick((None, None, "USD", "EUR", "JPY"))),
            )
            assert answer.status == 201, answer
            cls.tips.insert(0, answer.json)
            answer = client.post("/api/reactions", reaction("r%d" % pick(range(4)), "u%d" % pick(range(6)), pick(EMOJI), targetId=pick((None, "", "t1", "t2"))))
            assert answer.status == 201, answer
            cls.reactions.insert(0, answer.json)
        client.close()

    @staticmethod
    def matches(event, name, value):
        """A tip that names no currency is in the default one; an emoji is the same with its selector or without."""
        has = event.get(name, "USD")
        if name == "emoji":
            return has.replace("\ufe0f", "") == value.replace("\ufe0f", "")
        return has == value and value != ""

    def check(self, path, events, filters):
        expected = [event for event in events if all(self.matches(event, name, value) for name, value in filters.items())]
        size = self.random.choice((1, 3, 7, 20, 100, 1000))
        pages = -(-len(expected) // size)
        for page in sorted({0, 1, max(pages - 1, 0), pages, self.random.randrange(pages + 1)}):
            value = self.page("%s?%s" % (path, query(**filters, page=page, size=size)))
            part = expected[page * size : (page + 1) * size]
            self.assertEqual(value["content"], part)
            seen = {key: value[key] for key in ("totalElements", "totalPages", "numberOfElements", "first", "last", "empty", "number", "size")}
            self.assertEqual(
                seen,
                {
                    "totalElements": len(expected),
                    "totalPages": pages,
                    "numberOfElements": len(part),
                    "first": page == 0,
                    "last": page + 1 >= pages,
                    "empty": not part,
                    "number": page,
                    "size": size,
                },
            )
        if size >= 7:
            self.assertEqual(self.walk(path, filters, size), expected)
        value = self.page("%s?%s" % (path, query(**filters, size=size, after="")))
        self.assertEqual(value["totalElements"], len(expected))

    def check_combinations(self, path, events, domains):
        names = list(domains)
        for count in range(len(names) + 1):
            for chosen in itertools.combinations(names, count):
                for _ in range(4):
                    filters = {name: self.random.choice(domains[name]) for name in chosen}
                    with self.subTest(path=path, filters=filters):
                        self.check(path, events, filters)

    def test_tips_in_every_combination(self):
        users = ["u%d" % i for i in range(6)] + ["nobody"]
        self.check_combinations("/api/tips", self.tips, {"roomId": ["r0", "r1", "r2", "r3"], "senderId": users, "recipientId": users, "currency": ["USD", "EUR", "CHF", ""]})

    def test_reactions_in_every_combination(self):
        domains = {"roomId": ["r0", "r1", "r2", "nowhere"], "userId": ["u%d" % i for i in range(6)], "emoji": list(EMOJI), "targetId": ["t1", "t2", "t3", ""]}
        self.check_combinations("/api/reactions", self.reactions, domains)

    def test_the_same_after_a_restart(self):
        """Everything derived is on disk now, not in the tail."""
        type(self).daemon.stop_clean()
        type(self).daemon.start().wait_ready()
        self.http = self.daemon.client()
        self.addCleanup(self.http.close)
        users = ["u%d" % i for i in range(6)]
        self.check_combinations("/api/tips", self.tips, {"roomId": ["r0", "r1"], "senderId": users, "recipientId": users, "currency": ["USD", "JPY"]})


if __name__ == "__main__":
    unittest.main()
