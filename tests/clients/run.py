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
TIP = '{"roomId":"gaming_stream_123","senderId":"alice","recipientId":"bob","amount":%d.50,"message":"zoë \U0001f525 </script>"}'
REACTION = '{"roomId":"gaming_stream_123","userId":"alice","emoji":"\U0001f469\u200d\U0001f680"}'

TESTS = [
    ("node_readme", ["node", "node_readme.js", "{url}"]),
    *(("node_readme_" + name, ["node", "node_readme.js", "{url}", name]) for name in ("websocket", "xhr-streaming", "xhr-polling", "eventsource")),
    ("node_stompjs7", ["node", "node_stompjs7.js", "{url}"]),
    ("python_websockets", ["/usr/bin/python3", "python_websockets.py", "{url}"]),
    ("chromium_readme", ["node", "browser.js", "{url}", "{pages}", "readme"]),
    *(
        ("chromium_readme_" + name, ["node", "browser.js", "{url}", "{pages}", "readme", name])
        for name in ("websocket", "xhr-streaming", "xhr-polling", "eventsource", "jsonp-polling", "iframe-eventsource", "iframe-xhr-polling", "iframe-htmlfile")
    ),
    ("chromium_stompjs7", ["node", "browser.js", "{url}", "{pages}", "stompjs7"]),
    ("chromium_eventsource", ["node", "browser.js", "{url}", "{pages}", "eventsource"]),
]


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


def follow(stream, lines):
    for line in stream:
        lines.put(line)
    lines.put(None)


def run(command, url):
    """Posts until the client has shown a tip, which it can only do once it has subscribed; then all that is posted must come, in order, each once."""
    environment = {**os.environ, "NODE_PATH": str(INSTALLED / "node_modules")}
    errors = open(INSTALLED / "stderr.log", "w+")
    process = subprocess.Popen(command, cwd=HERE, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
    lines = queue.Queue()
    threading.Thread(target=follow, args=(process.stdout, lines), daemon=True).start()

    def next_event(timeout):
        while True:
            try:
                line = lines.get(timeout=timeout)
            except queue.Empty:
                return None
            if line is None:
                raise AssertionError("the client has ended: %s" % pathlib.Path(errors.name).read_text()[-2000:])
            word, _, text = line.partition(" ")
            if word in ("TIP", "REACTION"):
                return word, json.loads(text)

    try:
        deadline, probes, first = time.monotonic() + PATIENCE_S, {}, None
        while first is None:
            if time.monotonic() > deadline:
                raise AssertionError("nothing arrived: %s" % pathlib.Path(errors.name).read_text()[-2000:])
            made = json.loads(post(url, "tips", TIP % 1))
            probes[made["id"]] = made
            first = next_event(0.5)
        while True:  # probes that were on their way
            word, value = first
            assert word == "TIP" and value == probes[value["id"]], (word, value)
            if value["id"] == max(probes):
                break
            first = next_event(PATIENCE_S) or (None, None)
        wanted = []
        for i in range(5):
            wanted.append(("TIP", json.loads(post(url, "tips", TIP % (10 + i)))))
            wanted.append(("REACTION", json.loads(post(url, "reactions", REACTION))))
        got = [next_event(PATIENCE_S) for _ in wanted]
        assert got == wanted, "got %r\nwanted %r" % (got, wanted)
        extra = next_event(0.2)
        assert extra is None, extra
    finally:
        process.stdin.close()
        if "browser.js" not in command:
            process.terminate()  # a browser closes in order, so that nothing of it stays behind
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        errors.close()


def main():
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    install()
    pages = serve_packages()
    daemon = Daemon("--sockjs-client-url", pages + "/sockjs-client/dist/sockjs.min.js")
    passed = failed = 0
    try:
        daemon.start().wait_ready()
        url = "http://127.0.0.1:%d" % daemon.address[1]
        for name, command in TESTS:
            if pattern not in name:
                continue
            begun = time.monotonic()
            try:
                run([part.format(url=url, pages=pages) for part in command], url)
                passed += 1
                print("ok   %s (%.2f s)" % (name, time.monotonic() - begun), flush=True)
            except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as error:
                failed += 1
                print("FAIL %s (%.2f s)\n     %s" % (name, time.monotonic() - begun, error), flush=True)
        daemon.stop_clean()
    except AssertionError as error:
        failed += 1
        print("FAIL the daemon\n     %s" % error)
    finally:
        daemon.clean_up()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
