"""A webhook receiver on a free port: keeps what it got, answers as it is told."""

import http.server
import threading
import time


class Delivery:
    def __init__(self, path, headers, body, peer=None):
        self.path, self.headers, self.body, self.at, self.peer = path, headers, body, time.monotonic(), peer

    def __getitem__(self, name):
        return self.headers.get(name)

    def __repr__(self):
        return "<%s %s #%s %r>" % (self.path, self["X-TipCurrent-Event"], self["X-TipCurrent-Delivery-Attempt"], self.body[:80])


class Receiver:
    """answer(delivery, count) -> status, or (status, headers, body); None: keeps the request until the receiver is closed."""

    def __init__(self, case=None, answer=lambda delivery, count: 200, port=0, host="127.0.0.1"):
        self.deliveries, self.connections, self.lock, self.answer, self.closing = [], 0, threading.Lock(), answer, threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                receiver.connections += 1

            def do_POST(self):
                receiver.serve(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024
            allow_reuse_address = True

            def handle_error(self, request, client_address):
                pass  # the daemon was killed, or gave up

        self.server = Server((host, port), Handler)
        self.port = self.server.server_address[1]
        self.url = "http://%s:%d" % (host, self.port)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        if case:
            case.addCleanup(self.close)

    def serve(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        delivery = Delivery(handler.path, {name: value for name, value in handler.headers.items()}, body, handler.client_address)
        with self.lock:
            self.deliveries.append(delivery)
            count = len(self.deliveries)
        answer = self.answer(delivery, count)
        if answer is None:
            self.closing.wait()
            return
        status, headers, text = answer if isinstance(answer, tuple) else (answer, {}, b"ok")
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def got(self):
        with self.lock:
            return list(self.deliveries)

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
