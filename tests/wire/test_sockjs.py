"""SockJS 0.3.3 as the public suite's text describes it, against sockjs_services (echo, close, ...)."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time
import unittest
import uuid

from client import Client, Connection, build_request
from harness import BINARY, wait_for
from sockjs_kit import UNCACHED, Cases, Stream, session
from ws import Closed, WebSocket

SERVICES = os.environ.get("SOCKJS_SERVICES") or str(pathlib.Path(BINARY).resolve().parents[1] / "tests" / "sockjs_services")
ECHO, CLOSE, NO_WEBSOCKET, COOKIE = "/echo", "/close", "/disabled_websocket_echo", "/cookie_needed_echo"
GO_AWAY = 'c[3000,"Go away!"]'


class ServicesCase(unittest.TestCase, Cases):
    @classmethod
    def setUpClass(cls):
        cls.process = subprocess.Popen([SERVICES, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE)
        cls.addClassCleanup(cls.process.kill)
        line = cls.process.stdout.readline().decode()
        cls.address = ("127.0.0.1", int(re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+)\n", line).group(1)))

    @classmethod
    def tearDownClass(cls):
        cls.process.send_signal(signal.SIGTERM)
        if cls.process.wait(10) != 0:
            raise AssertionError("sockjs_services ended with %d" % cls.process.returncode)
        cls.process.stdout.close()

    def setUp(self):
        self.http = Client(self.address)
        self.addCleanup(self.http.close)

    def websocket(self, base, raw=False):
        socket = WebSocket(self.address, base + ("/websocket" if raw else session() + "/websocket"))
        self.addCleanup(socket.close)
        return socket


class PagesTest(ServicesCase):
    def test_greeting(self):
        for target in (ECHO, ECHO + "/"):
            answer = self.http.get(target)
            self.assertEqual((answer.status, answer.text), (200, "Welcome to SockJS!\n"))
            self.check_type(answer, "text/plain;charset=UTF-8")
            self.assertIsNone(answer.header("Set-Cookie"))

    def test_not_found(self):
        for suffix in ("/a", "/a.html", "//", "///", "/a/a", "/a/a/", "/a/", "/iframe.htm", "/iframe", "/IFRAME.HTML", "/iframe.HTML", "/iframe.xml", "/iframe-/.html"):
            self.assertEqual(self.http.get(ECHO + suffix).status, 404, suffix)

    def test_iframe(self):
        tags = set()
        for suffix in ("/iframe.html", "/iframe-a.html", "/iframe-.html", "/iframe-0.1.2abc-dirty.2144.html", "/iframe-a.html?t=1234"):
            answer = self.http.get(ECHO + suffix)
            self.assertEqual(answer.status, 200, suffix)
            self.check_type(answer, "text/html;charset=UTF-8")
            self.assertRegex(answer.header("Cache-Control"), "public.*max-age=[1-9][0-9]{6}")
            self.assertTrue(answer.header("Expires"))
            self.assertIsNone(answer.header("Last-Modified"))
            self.assertTrue(answer.text.startswith("<!DOCTYPE html>\n<html>\n"))
            self.assertRegex(answer.text, r'<script src="(/|http)[^"]*"></script>')
            self.assertIn("SockJS.bootstrap_iframe();", answer.text)
            tags.add(answer.header("ETag"))
        self.assertEqual(len(tags), 1)
        answer = self.http.get(ECHO + "/iframe.html", [("If-None-Match", tags.pop())])
        self.assertEqual((answer.status, answer.body, answer.header("Content-Type")), (304, b"", None))

    def test_info(self):
        seen = set()
        for _ in range(3):
            answer = self.http.get(ECHO + "/info", [("Origin", "test")])
            self.assertEqual(answer.status, 200)
            self.check_type(answer, "application/json;charset=UTF-8")
            self.check_uncached(answer)
            self.check_cors(answer, "test")
            self.assertIsNone(answer.header("Set-Cookie"))
            value = answer.json
            self.assertEqual((value["websocket"], value["cookie_needed"], value["origins"]), (True, False, ["*:*"]))
            self.assertTrue(0 <= value["entropy"] < 2**32)
            seen.add(value["entropy"])
        self.assertGreater(len(seen), 1)
        self.check_options(ECHO + "/info", ("OPTIONS", "GET"))
        self.assertIs(self.http.get(NO_WEBSOCKET + "/info").json["websocket"], False)
        self.assertIs(self.http.get(COOKIE + "/info").json["cookie_needed"], True)


class SessionTest(ServicesCase):
    def test_any_names(self):
        for part in ("/a/a", "/_/_", "/1/", "/abcdefgh_i-j%20/abcdefg_i-j%20"):
            self.assertEqual(self.post(ECHO + part + uuid.uuid4().hex + "/xhr").text, "o\n")
        for suffix in ("//", "/a./a", "/a/a.", "/./.", "/", "///"):
            for method in ("GET", "POST"):
                self.assertEqual(self.http.request(method, ECHO + suffix + "/xhr", "" if method == "POST" else None).status, 404, suffix)

    def test_the_server_part_is_ignored(self):
        name = uuid.uuid4().hex
        self.assertEqual(self.post(ECHO + "/000/" + name + "/xhr").text, "o\n")
        self.assertEqual(self.post(ECHO + "/000/" + name + "/xhr_send", '["a"]').status, 204)
        self.assertEqual(self.post(ECHO + "/999/" + name + "/xhr").text, 'a["a"]\n')

    def test_one_receiver_at_a_time(self):
        url = self.open_session(ECHO)
        first = Connection(self.address)
        self.addCleanup(first.close)
        self.assertEqual(first.request("GET", ECHO).status, 200)  # it is accepted: what it says now comes before what others say later
        first.send(build_request("POST", url + "/xhr", first.host, ""))
        self.assertEqual(self.post(url + "/xhr").text, 'c[2010,"Another connection still open"]\n')
        self.assertEqual(self.post(url + "/xhr_send", '["x"]').status, 204)
        self.assertEqual(first.read_response("POST").text, 'a["x"]\n')

    def test_interrupted_receiver_ends_the_session(self):
        for transport in ("/xhr", "/xhr_streaming"):
            url = self.open_session(ECHO)
            first = Connection(self.address)
            self.assertEqual(first.request("GET", ECHO).status, 200)
            first.send(build_request("POST", url + transport, first.host, ""))
            self.assertIn("2010", self.post(url + "/xhr").text)
            first.close()
            wait_for(lambda: self.post(url + "/xhr").text == 'c[1002,"Connection interrupted"]\n')
            self.assertEqual(self.post(url + "/xhr_send", '["x"]').status, 404)

    def test_closed_session_says_so_until_it_is_gone(self):
        url = self.open_session(CLOSE)
        for _ in range(3):
            self.assertEqual(self.post(url + "/xhr").text, GO_AWAY + "\n")
        self.assertEqual(self.post(url + "/xhr_send", '["x"]').status, 404)

    def test_a_session_without_receiver_goes_after_5_s(self):
        url = self.open_session(ECHO)
        begun = time.monotonic()
        wait_for(lambda: self.post(url + "/xhr_send", "[]").status == 404, 10)
        self.assertGreater(time.monotonic() - begun, 4.5)
        self.assertEqual(self.post(url + "/xhr").text, "o\n")

    def test_bad_payloads(self):
        url = self.open_session(ECHO)
        for body, wrong in (
            ('["x', "Broken JSON encoding."), ("", "Payload expected."), ("{}", "Broken JSON encoding."), ("[1]", "Broken JSON encoding."), ('["a"]x', "Broken JSON encoding."),
            ('["\\ud800"]', "Broken JSON encoding."), (b'["\xff"]', "Broken JSON encoding."), ('["a",]', "Broken JSON encoding."), ('["a" "b"]', "Broken JSON encoding."), ('["\n"]', "Broken JSON encoding."),
        ):
            answer = self.post(url + "/xhr_send", body)
            self.assertEqual(answer.status, 500, body)
            self.assertIn(wrong, answer.text)
        self.assertEqual(self.post(url + "/xhr_send", "[]").status, 204)
        self.assertEqual(self.post(url + "/xhr_send", ' [ "a" , "b" ] ').status, 204)
        self.assertEqual(self.post(url + "/xhr_send", '"c"').status, 204)
        self.assertEqual(self.post(url + "/xhr").text, 'a["a","b","c"]\n')

    def test_xhr(self):
        url = ECHO + session()
        answer = self.post(url + "/xhr", headers=[("Origin", "test")])
        self.assertEqual(answer.text, "o\n")
        self.check_type(answer, "application/javascript;charset=UTF-8")
        self.check_cors(answer, "test")
        self.check_uncached(answer)
        answer = self.post(url + "/xhr_send", '["x"]', [("Origin", "test")])
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.check_type(answer, "text/plain;charset=UTF-8")
        self.check_cors(answer, "test")
        self.check_uncached(answer)
        self.assertEqual(self.post(ECHO + session() + "/xhr_send", '["x"]').status, 404)
        types = ("text/plain", "T", "application/json", "application/xml", "", "application/json; charset=utf-8", "text/xml")
        for value in types:
            self.assertEqual(self.post(url + "/xhr_send", '["a"]', [("Content-Type", value)]).status, 204)
        self.assertEqual(self.post(url + "/xhr").text, "a[" + ",".join(['"x"'] + ['"a"'] * len(types)) + "]\n")
        for suffix in ("/xhr", "/xhr_send", "/xhr_streaming"):
            self.check_options(ECHO + "/abc/abc" + suffix, ("OPTIONS", "POST"))
            answer = self.http.get(ECHO + "/abc/abc" + suffix)
            self.assertEqual((answer.status, answer.body, answer.header("Content-Type")), (405, b"", None))
            self.assertIn("POST", answer.header("Allow"))

    def test_cookie(self):
        for sent, got in ((None, "JSESSIONID=dummy"), ("JSESSIONID=abcdef", "JSESSIONID=abcdef"), ("a=b; JSESSIONID=x\ty", "JSESSIONID=dummy")):
            answer = self.post(COOKIE + session() + "/xhr", headers=[("Cookie", sent)] if sent else [])
            self.assertEqual([part.strip().lower() if i else part for i, part in enumerate(answer.header("Set-Cookie").split(";"))], [got, "path=/"])
        for method, suffix in (("POST", "/xhr_streaming"), ("GET", "/eventsource"), ("GET", "/htmlfile?c=x"), ("GET", "/jsonp?c=x")):
            self.assertEqual(Stream(self, method, COOKIE + session() + suffix).headers["set-cookie"], "JSESSIONID=dummy; path=/")

    def test_what_browsers_mangle_is_escaped(self):
        ranges = ((0x200C, 0x200F), (0x2028, 0x202F), (0x2060, 0x206F), (0xFFF0, 0xFFFF))
        text = "".join(chr(c) for low, high in ranges for c in range(low, high + 1))
        escaped = "".join("\\u%04x" % ord(c) for c in text)
        url = self.open_session(ECHO)
        self.assertEqual(self.post(url + "/xhr_send", '["%s"]' % text).status, 204)
        self.assertEqual(self.post(url + "/xhr").text, 'a["%s"]\n' % escaped)
        everything = "".join(chr(c) for c in range(0x10000) if not 0xD800 <= c <= 0xDFFF) + "\U0001f680"
        self.assertEqual(self.post(url + "/xhr_send", json.dumps([everything])).status, 204)
        self.assertEqual(json.loads(self.post(url + "/xhr").text[1:]), [everything])


class StreamingTest(ServicesCase):
    def test_xhr_streaming(self):
        url = ECHO + session()
        stream = Stream(self, "POST", url + "/xhr_streaming")
        self.assertEqual(stream.status, 200)
        self.assertEqual(stream.headers["content-type"].replace(" ", ""), "application/javascript;charset=UTF-8")
        self.assertEqual(stream.headers["cache-control"], UNCACHED)
        self.assertEqual(stream.headers["access-control-allow-credentials"], "true")
        self.assertEqual(stream.chunk(), "h" * 2048 + "\n")
        self.assertEqual(stream.chunk(), "o\n")
        self.assertEqual(self.post(url + "/xhr_send", '["x"]').status, 204)
        self.assertEqual(stream.chunk(), 'a["x"]\n')

    def test_responses_end_and_sessions_live_on(self):
        url = ECHO + session()
        stream = Stream(self, "POST", url + "/xhr_streaming")
        stream.chunk(), stream.chunk()
        message = '"%s"' % ("x" * 128)
        for _ in range(31):
            self.post(url + "/xhr_send", "[%s]" % message)
            self.assertEqual(stream.chunk(), "a[%s]\n" % message)
        self.assertEqual(stream.chunk(), "")
        self.assertEqual(stream.connection.request("GET", ECHO).status, 200)  # the connection serves on
        self.post(url + "/xhr_send", '["later"]')
        self.assertEqual(self.post(url + "/xhr").text, 'a["later"]\n')

    def test_eventsource(self):
        url = ECHO + session()
        stream = Stream(self, "GET", url + "/eventsource")
        self.assertEqual(stream.headers["content-type"], "text/event-stream")
        self.assertEqual(stream.headers["cache-control"], UNCACHED)
        self.assertEqual([stream.chunk(), stream.chunk()], ["\r\n", "data: o\r\n\r\n"])
        self.post(url + "/xhr_send", r'["  \u0000\n\r "]')
        self.assertEqual(stream.chunk(), 'data: a["  \\u0000\\n\\r "]\r\n\r\n')
        self.post(url + "/xhr_send", '["%s"]' % ("x" * 4096))
        self.assertEqual(stream.chunk(), 'data: a["%s"]\r\n\r\n' % ("x" * 4096))
        self.assertEqual(stream.chunk(), "")

    def test_htmlfile(self):
        url = ECHO + session()
        stream = Stream(self, "GET", url + "/htmlfile?c=%63allback")
        self.assertEqual(stream.headers["content-type"].replace(" ", ""), "text/html;charset=UTF-8")
        page = stream.chunk()
        self.assertGreater(len(page), 1024)
        self.assertIn("var c = parent.callback;\n", page)
        self.assertTrue(page.strip().endswith("</script>"))
        self.assertEqual(stream.chunk(), '<script>\np("o");\n</script>\r\n')
        self.post(url + "/xhr_send", '["x"]')
        self.assertEqual(stream.chunk(), '<script>\np("a[\\"x\\"]");\n</script>\r\n')
        self.post(url + "/xhr_send", '["</script>"]')
        self.assertEqual(stream.chunk(), '<script>\np("a[\\"<\\/script>\\"]");\n</script>\r\n')
        self.post(url + "/xhr_send", '["%s"]' % ("x" * 4096))
        stream.chunk()
        self.assertEqual(stream.chunk(), "")

    def test_callbacks(self):
        for transport in ("/htmlfile", "/jsonp"):
            for query, wrong in (("", '"callback" parameter required'), ("?c=%20", 'invalid "callback"'), ("?c=*", 'invalid "callback"'), ("?c=abc%28", 'invalid "callback"'), ("?c=" + "x" * 129, "invalid")):
                answer = self.http.get(ECHO + "/a/a" + transport + query)
                self.assertEqual(answer.status, 500)
                self.assertIn(wrong, answer.text)

    def test_jsonp(self):
        url = ECHO + session()
        answer = self.http.get(url + "/jsonp?c=%63allback")
        self.assertEqual(answer.text, '/**/callback("o");\r\n')
        self.check_type(answer, "application/javascript;charset=UTF-8")
        self.check_uncached(answer)
        form = [("Content-Type", "application/x-www-form-urlencoded")]
        answer = self.post(url + "/jsonp_send", "d=%5B%22x%22%5D", form)
        self.assertEqual((answer.status, answer.text), (200, "ok"))
        self.check_type(answer, "text/plain;charset=UTF-8")
        self.check_uncached(answer)
        self.assertEqual(self.post(url + "/jsonp_send", '["%61bc"]', [("Content-Type", "text/plain")]).text, "ok")
        self.assertEqual(self.http.get(url + "/jsonp?c=x").text, '/**/x("a[\\"x\\",\\"%61bc\\"]");\r\n')
        answer = self.post(url + "/jsonp_send", "d=%5B%22x", form)
        self.assertEqual((answer.status, answer.text), (500, "Broken JSON encoding."))
        for body in ("", "d=", "p=p"):
            answer = self.post(url + "/jsonp_send", body, form)
            self.assertEqual((answer.status, answer.text), (500, "Payload expected."))
        self.assertEqual(self.post(url + "/jsonp_send", "d=%5B%5D", form).text, "ok")
        url = CLOSE + session()
        self.assertEqual(self.http.get(url + "/jsonp?c=x").text, '/**/x("o");\r\n')
        for _ in range(2):
            self.assertEqual(self.http.get(url + "/jsonp?c=x").text, '/**/x("c[3000,\\"Go away!\\"]");\r\n')

    def test_close_while_streaming(self):
        url = CLOSE + session()
        for opening in (["o\n", GO_AWAY + "\n", ""], [GO_AWAY + "\n", ""]):
            stream = Stream(self, "POST", url + "/xhr_streaming")
            stream.chunk()
            self.assertEqual([stream.chunk() for _ in opening], opening)

    def test_a_second_stream(self):
        url = ECHO + session()
        first = Stream(self, "POST", url + "/xhr_streaming")
        first.chunk(), first.chunk()
        second = Stream(self, "POST", url + "/xhr_streaming")
        self.assertEqual([second.chunk(), second.chunk(), second.chunk()], ["h" * 2048 + "\n", 'c[2010,"Another connection still open"]\n', ""])

    def test_http_1_0(self):
        stream = Stream(self, "POST", CLOSE + session() + "/xhr_streaming", "1.0")
        self.assertNotIn("transfer-encoding", stream.headers)
        self.assertNotIn("content-length", stream.headers)
        self.assertEqual(stream.connection._read_exactly(2049 + 2 + 19, time.monotonic() + 5).decode(), "h" * 2048 + "\no\n" + GO_AWAY + "\n")
        self.assertTrue(stream.connection.closed_by_peer())


class WebSocketTest(ServicesCase):
    def test_messages(self):
        socket = self.websocket(ECHO)
        self.assertEqual(socket.receive(), "o")
        for text in ("", "[]", '["a"]', '["b","c"]', '"d"'):
            socket.send(text)
        self.assertEqual([socket.receive() for _ in range(4)], ['a["a"]', 'a["b"]', 'a["c"]', 'a["d"]'])

    def test_close(self):
        socket = self.websocket(CLOSE)
        self.assertEqual(socket.expect_close(), (1000, ["o", GO_AWAY]))

    def test_broken_json_ends_it_abruptly(self):
        socket = self.websocket(ECHO)
        socket.receive()
        socket.send('["a')
        self.assertEqual(socket.expect_close(), (None, []))

    def test_no_session_is_shared(self):
        path = ECHO + session() + "/websocket"
        sockets = [WebSocket(self.address, path) for _ in range(2)]
        for socket, text in zip(sockets, ('["a"]', '["b"]')):
            self.addCleanup(socket.close)
            self.assertEqual(socket.receive(), "o")
            socket.send(text)
            self.assertEqual(socket.receive(), "a" + text)

    def test_http_errors(self):
        target = ECHO + "/0/0/websocket"
        self.assertEqual(self.http.get(target).status, 400)
        self.assertEqual(self.http.get(target, [("Upgrade", "WebSocket"), ("Connection", "close")]).status, 400)
        for headers in ([("Upgrade", "WebSocket"), ("Connection", "Upgrade")], []):
            answer = self.post(target, headers=headers)
            self.assertEqual((answer.status, answer.body, answer.header("Content-Type")), (405, b"", None))
            self.assertTrue(answer.header("Allow"))
        self.assertEqual(self.http.get(NO_WEBSOCKET + "/0/0/websocket").status, 404)

    def test_raw(self):
        socket = self.websocket(ECHO, raw=True)
        socket.send("Hello world!\uffff")
        self.assertEqual(socket.receive(), "Hello world!\uffff")
        with self.assertRaises(Closed) as end:
            self.websocket(CLOSE, raw=True).receive()
        self.assertEqual((end.exception.code, end.exception.reason), (3000, "Go away!"))

    def test_keep_alive(self):
        connection = Connection(self.address)
        self.addCleanup(connection.close)
        for _ in range(2):
            answer = connection.request("GET", ECHO, None, [("Connection", "Keep-Alive")])
            self.assertEqual((answer.status, answer.body), (200, b"Welcome to SockJS!\n"))
