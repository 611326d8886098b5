"""The examples that serve, as their users meet them: epoll_host by lines, stream_hooks by the callbacks that SRS makes. Argument: the directory of the programs.

Each is started on port 0 and on a file, spoken to, stopped by SIGTERM, and started again on the same file.
"""
import json
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request

PATIENCE = 10


class Program:
    def __init__(self, path, storage):
        self.process = subprocess.Popen([path, "0", f"sqlite:{storage}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:"), (line, self.process.stderr.read())
        self.port = int(line.rsplit(":", 1)[1])

    def stop(self):
        """What it printed since it listened."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0 and not err, (self.process.returncode, err)
        return out


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.lines = self.socket.makefile("r", encoding="utf-8")

    def say(self, line):
        self.socket.sendall(f"{line}\n".encode())

    def hear(self, n):
        """The next n lines, sorted: an answer and the event that it is about have no order."""
        return sorted(self.lines.readline().rstrip("\n") for _ in range(n))

    def leave(self):
        self.lines.close()
        self.socket.close()


def chat(directory, storage):
    program = Program(f"{directory}/epoll_host", storage)
    alice, bob, other = (Client(program.port) for _ in range(3))
    for client, room, name in ((alice, "r", "alice"), (bob, "r", "bob the streamer"), (other, "elsewhere", "carol")):
        client.say(f"join {room} {name}")
        assert client.hear(1) == ["welcome"]

    alice.say("tip bob 25.50 great play")
    answer, event = alice.hear(2)
    assert answer == "stored 1", answer
    tip = json.loads(event)
    assert (tip["roomId"], tip["senderId"], tip["recipientId"], tip["amount"], tip["message"]) == ("r", "alice", "bob", 25.5, "great play"), tip
    assert bob.hear(1) == [event]

    bob.say("react 🔥")
    assert json.loads(alice.hear(1)[0])["userId"] == "bob the streamer"
    assert "stored 1" in bob.hear(2)
    for wrong in ("tip bob 0.00 x", "tip bob 1.234 x", "tip bob much x"):
        alice.say(wrong)
        assert alice.hear(1)[0].startswith("refused: amount"), wrong
    alice.say("dance")
    assert alice.hear(1)[0].startswith("tip RECIPIENT AMOUNT")

    # Who leaves at once does not take the host along; what was not in a room was not heard there.
    for i in range(20):
        gone = Client(program.port)
        gone.say("join r ghost\ntip bob 1.00 boo")
        gone.leave()
    stranger = Client(program.port)
    stranger.say("tip bob 1.00 x")
    assert stranger.hear(1) == ["join ROOM NAME first"]
    other.say("react 👋")
    assert json.loads([line for line in other.hear(2) if line[0] == "{"][0])["roomId"] == "elsewhere"
    for client in (alice, bob, other, stranger):
        client.leave()
    program.stop()

    program = Program(f"{directory}/epoll_host", storage)
    alice = Client(program.port)
    alice.say("join r alice\ntip bob 1.00 again")
    answer = sorted(line for line in alice.hear(3) if line.startswith("stored"))[0]
    assert 2 <= int(answer.split()[1]) <= 22, answer # ids go on where they were
    alice.leave()
    program.stop()


def hook(port, action, client="9308h583", **more):
    """SRS's own request: https://ossrs.io/lts/en-us/docs/v6/doc/http-callback"""
    body = {"server_id": "vid-0xk989d", "action": action, "client_id": client, "ip": "192.168.1.10", "vhost": "__defaultVhost__", "app": "live", "stream": "evening", "param": "?a=1", **more}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)["code"]


def stream(directory, storage):
    program = Program(f"{directory}/stream_hooks", storage)
    assert hook(program.port, "on_play") != 0 # nobody publishes
    assert hook(program.port, "on_publish", "pub") == 0
    assert hook(program.port, "on_publish", "pub") == 0 # came back
    assert [hook(program.port, "on_play", f"viewer{i}") for i in range(3)] == [0, 0, 0]
    assert hook(program.port, "on_stop", "viewer0") == 0
    assert hook(program.port, "on_play", stream="another") != 0
    assert hook(program.port, "on_play", stream='qu"oted') != 0
    with socket.create_connection(("127.0.0.1", program.port), timeout=PATIENCE) as nonsense:
        nonsense.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert nonsense.recv(100) == b""
    assert hook(program.port, "on_unpublish", "pub") == 0
    assert hook(program.port, "on_play") != 0
    out = program.stop()
    assert "live/evening has ended, 3 reactions\n" in out, out
    assert out.count("on_publish live/evening by pub: ok") == 2, out

    program = Program(f"{directory}/stream_hooks", storage)
    assert hook(program.port, "on_publish", "pub") == 0
    assert hook(program.port, "on_play", "late") == 0
    assert hook(program.port, "on_unpublish", "pub") == 0
    assert "live/evening has ended, 4 reactions\n" in program.stop() # the log goes on


def main():
    with tempfile.TemporaryDirectory() as where:
        chat(sys.argv[1], f"{where}/chat.db")
        stream(sys.argv[1], f"{where}/streams.db")


if __name__ == "__main__":
    main()
