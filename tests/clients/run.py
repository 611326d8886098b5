#!/usr/bin/env python3
"""Real clients against a real daemon: what curl posts arrives in each of them. run.py [pattern]; ends with `N passed, N failed`.

npm packages come from the registry into the directory that CLIENTS_DIR names (the build's), Chromium and python3-websockets from Debian.
"""

import functools
import http.server
import json
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "wire"))
from harness import Daemon  # noqa: E402

INSTALLED = pathlib.Path(os.environ.get("CLIENTS_DIR") or HERE.parents[1] / "build" / "clients")
PATIENCE_S = 40
IDLE_S = 24  # two heart-beat periods of ten seconds, a second of grace, and some
TIP = '{"roomId":"gaming_stream_123","senderId":"alice","recipientId":"bob","amount":%d.50,"message":"zoë \U0001f525 </script>"}'
REACTION = '{"roomId":"gaming_stream_123","userId":"alice","emoji":"\U0001f469\u200d\U0001f680"}'

NODE = ("websocket", "xhr-streaming", "xhr-polling", "eventsource")
CHROMIUM = (*NODE, "jsonp-polling", "iframe-eventsource", "iframe-xhr-polling", "iframe-htmlfile")
COMMANDS = {
    "node_readme": ["node", "node_readme.js", "{url}"],
    **{"node_readme_" + way: ["node", "node_readme.js", "{url}", way] for way in NODE},
    "node_stompjs7": ["node", "node_stompjs7.js", "{url}"],
    "python_websockets": ["/usr/bin/python3", "python_websockets.py", "{url}"],
    "chromium_readme": ["node", "browser.js", "{url}", "{pages}", "readme"],
    **{"chromium_readme_" + way: ["node", "browser.js", "{url}", "{pages}", "readme", way] for way in CHROMIUM},
    "chromium_stompjs7": ["node", "browser.js", "{url}", "{pages}", "stompjs7"],
    "chromium_eventsource": ["node", "browser.js", "{url}", "{pages}", "eventsource"],
}


def install():
    """npm ci, when what is installed is not what the lock names."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    lock = (HERE / "package-lock.json").read_bytes()
    stamp = INSTALLED / "installed-lock.json"
    if stamp.exists() and stamp.read_bytes() == lock:
        return
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, INSTALLED / name)
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional"], cwd=INSTALLED, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit("npm ci failed:\n%s%s\n0 passed, 1 failed" % (done.stdout, done.stderr))
    stamp.write_bytes(lock)


class Files(http.server.SimpleHTTPRequestHandler):
    """The npm packages, as a dashboard's own web server would have them."""

    def log_message(self, *_):
        pass


def serve_packages():
    handler = functools.partial(Files, directory=str(INSTALLED / "node_modules"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    (INSTALLED / "node_modules" / "package.json").write_text("{}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "http://127.0.0.1:%d" % server.server_address[1]


def post(url, kind, body):
    done = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", url + "/api/" + kind, "-H", "Content-Type: application/json", "-d", body], capture_output=True, text=True, timeout=20)
    text, _, status = done.stdout.rpartition("\n")
    if status != "201":
        raise AssertionError("curl: %r %r" % (done.stdout, done.stderr))
    return text


class Shown:
    """A client in its own process, and the events that it shows."""

    def __init__(self, name, command):
        self.browser = "browser.js" in command
        self.log = INSTALLED / ("stderr-%s.log" % name)
        self.errors = open(self.log, "w")
        environment = {**os.environ, "NODE_PATH": str(INSTALLED / "node_modules")}
        self.process = subprocess.Popen(command, cwd=HERE, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def words(self):
        return self.log.read_text()[-2000:]

    def next(self, timeout=PATIENCE_S):
        """(word, event); None when nothing has come by then."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return None
            if line is None:
                raise AssertionError("the client has ended: %s" % self.words())
            word, _, text = line.partition(" ")
            if word in ("TIP", "REACTION"):
                return word, json.loads(text)

    def expect(self, wanted):
        """All of these, in order, each once."""
        got = [self.next() for _ in wanted]
        assert got == wanted, "got %r\nwanted %r\n%s" % (got, wanted, self.words())

    def expect_nothing(self, timeout):
        extra = self.next(timeout)
        assert extra is None, extra

    def wait_until_it_listens(self, url):
        """Posts until the client has shown a tip, which it can only do once it has subscribed; returns when it has shown all of them."""
        deadline, probes, shown = time.monotonic() + PATIENCE_S, {}, None
        while shown is None:
            if time.monotonic() > deadline:
                raise AssertionError("nothing arrived: %s" % self.words())
            made = json.loads(post(url, "tips", TIP % 1))
            probes[made["id"]] = made
            shown = self.next(0.5)
        while True:  # probes that were on their way
            word, value = shown
            assert word == "TIP" and value == probes[value["id"]], (word, value)
            if value["id"] == max(probes):
                return
            shown = self.next() or (None, None)

    def stop(self):
        self.process.stdin.close()
        if not self.browser:
            self.process.terminate()  # a browser closes in order, so that nothing of it stays behind
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()


class Stage:
    """A daemon, and the clients that look at it; everything is gone at the end of the with."""

    def __init__(self, pages, *flags):
        self.pages = pages
        self.daemon = Daemon("--sockjs-client-url", pages + "/sockjs-client/dist/sockjs.min.js", *flags)
        self.clients = []

    def __enter__(self):
        try:
            self.daemon.start().wait_ready()
        except BaseException:
            self.daemon.clean_up()
            raise
        self.url = "http://127.0.0.1:%d" % self.daemon.address[1]
        return self

    def __exit__(self, kind, *_):
        try:
            self.stop_clients()
            if kind is None:
                self.daemon.stop_clean()
        finally:
            self.daemon.clean_up()

    def show(self, name):
        client = Shown(name, [part.format(url=self.url, pages=self.pages) for part in COMMANDS[name]])
        self.clients.append(client)
        return client

    def stop_clients(self):
        while self.clients:
            self.clients.pop().stop()

    def post_some(self, count=5):
        """Tips and reactions in turn; returns what a client should show."""
        made = []
        for i in range(count):
            made.append(("TIP", json.loads(post(self.url, "tips", TIP % (10 + i)))))
            made.append(("REACTION", json.loads(post(self.url, "reactions", REACTION))))
        return made

    def restart(self):
        """As after a crash: killed, and there again at the same address with the same files."""
        self.daemon.listen = "127.0.0.1:%d" % self.daemon.address[1]
        self.daemon.kill()
        self.daemon.start().wait_ready()


def arrives(stage, name):
    client = stage.show(name)
    try:
        client.wait_until_it_listens(stage.url)
        client.expect(stage.post_some())
        client.expect_nothing(0.2)
    finally:
        stage.stop_clients()


def test_idle(pages):
    """Nothing happens for longer than two heart-beat periods and their grace: nobody is taken for dead, by nobody. These clients do not connect again by themselves."""
    names = ("node_readme_websocket", "node_readme_xhr-streaming", "node_readme_xhr-polling", "node_readme_eventsource", "chromium_readme", "chromium_readme_xhr-polling")
    with Stage(pages) as stage:
        clients = []
        for name in names:
            clients.append(stage.show(name))
            clients[-1].wait_until_it_listens(stage.url)
            for client in clients[:-1]:  # they have seen the newcomer's probes too
                while client.next(0.3):
                    pass
        time.sleep(IDLE_S)
        made = stage.post_some(2)
        for client in clients:
            client.expect(made)


def test_comes_back(pages, name):
    """The daemon is killed under a client that reconnects by itself: what was posted meanwhile arrives, each once, in order."""
    with Stage(pages) as stage:
        client = stage.show(name)
        client.wait_until_it_listens(stage.url)
        for _ in range(2):
            made = stage.post_some(2)
            client.expect(made[:1])
            stage.restart()
            made += stage.post_some(2)  # before it is back
            client.expect(made[1:])
            client.expect(stage.post_some(1))
        client.expect_nothing(1.5)


def test_foreign_page(pages, name, origins="same"):
    """The page's origin is not among --origins: the browser says that it was refused, and shows nothing."""
    with Stage(pages, "--origins", origins) as stage:
        client = stage.show(name)
        deadline = time.monotonic() + PATIENCE_S
        while "403" not in client.words() and "CORS" not in client.words():
            assert time.monotonic() < deadline, "it was not refused: %s" % client.words()
            post(stage.url, "tips", TIP % 1)
            client.expect_nothing(0.3)
        stage.post_some(1)
        client.expect_nothing(2)


def test_standardwebhooks(pages):
    """The npm package standardwebhooks is the judge of what is signed: with a whsec_ secret, while it is replaced, and of a reaction."""
    old, new = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    with Stage(pages, "--allow-receivers", "127.0.0.0/8") as stage:
        receivers = {}
        for secret in (old, new):
            client = Shown("node_standardwebhooks", ["node", "node_standardwebhooks.js", secret])
            stage.clients.append(client)
            word, _, port = client.lines.get(timeout=PATIENCE_S).partition(" ")
            assert word == "PORT", word
            receivers[secret] = client
            hook = json.loads(post(stage.url, "webhooks", json.dumps({"url": "http://127.0.0.1:%d/" % int(port), "event": "*", "secret": old})))
        change = json.dumps({"secret": new})
        done = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "PATCH", "%s/api/webhooks/%d" % (stage.url, hook["id"]), "-H", "Content-Type: application/json", "-d", change], capture_output=True, text=True, timeout=20)
        assert done.stdout == "200", done
        made = stage.post_some(3)
        for client in receivers.values():
            got = [client.next() for _ in made]
            assert sorted(map(str, got)) == sorted(map(str, made)), "got %r\nwanted %r\n%s" % (got, made, client.words())


def tests(pages):
    """(name, what to call), in order; the plain ones share a daemon."""
    shared = []

    def on_shared(name):
        if not shared:
            shared.append(Stage(pages).__enter__())
        arrives(shared[0], name)

    try:
        yield from ((name, functools.partial(on_shared, name)) for name in COMMANDS)
        if shared:
            yield "the_daemon_ends_well", lambda: shared.pop().__exit__(None)
    finally:
        for stage in shared:
            stage.daemon.clean_up()
    for name in ("node_stompjs7", "chromium_stompjs7", "chromium_eventsource"):
        yield name + "_comes_back", functools.partial(test_comes_back, pages, name)
    for name in ("chromium_readme", "chromium_stompjs7", "chromium_eventsource"):
        yield name + "_of_a_foreign_page", functools.partial(test_foreign_page, pages, name)
    yield "standardwebhooks", functools.partial(test_standardwebhooks, pages)
    yield "idle_for_%d_s" % IDLE_S, functools.partial(test_idle, pages)


def main():
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    install()
    passed = failed = 0
    for name, test in tests(serve_packages()):
        if pattern not in name and name != "the_daemon_ends_well":
            continue
        begun = time.monotonic()
        try:
            test()
            passed += 1
            print("ok   %s (%.2f s)" % (name, time.monotonic() - begun), flush=True)
        except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as error:
            failed += 1
            print("FAIL %s (%.2f s)\n     %s" % (name, time.monotonic() - begun, error), flush=True)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
