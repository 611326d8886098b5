"""The Python examples, as their users run them: chat_bot by a chat on its standard input, evening on files with an evening in them."""
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
from datetime import datetime, timezone

import tipcurrent

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples" / "python"


def chat(directory):
    bot = subprocess.Popen(
        [sys.executable, EXAMPLES / "chat_bot.py", f"sqlite:{directory}/chat.db", "gaming", "bob"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )

    def hear(line, *expected):
        bot.stdin.write(line + "\n")
        bot.stdin.flush()
        said = [bot.stdout.readline().rstrip("\n") for _ in expected]
        assert said == list(expected), (line, said)

    hear("alice: hello, this is no command")
    hear("no colon at all")
    hear("alice: !tip 25 great play", "alice tips 25.00: great play")
    hear("alice: !goal 1 mine", "@alice only bob sets goals")
    hear("bob: !goal 50.00 a new microphone", "New goal: a new microphone, 50.00")
    hear("carol: !tip 1.234", "@carol amount: must have at most 2 decimals. It goes like this: !tip 5.00 well done")
    hear("carol: !tip", "@carol amount: must be a number. It goes like this: !tip 5.00 well done")
    hear("bob: !goal much a moon", "@bob amount: must be a number. It goes like this: !goal 100 a new microphone")
    hear("carol: !tip 30.50", "carol tips 30.50!")
    hear("alice: !tip 19.50 more", "alice tips 19.50: more", "*** a new microphone: done! Thank you! ***")
    hear("dora: !top", "1. alice 44.50", "2. carol 30.50")
    bot.stdin.close()
    assert bot.wait(10) == 0
    assert not bot.stdout.read()


class Clock:
    us = int(datetime(2026, 1, 15, 19, 0, tzinfo=timezone.utc).timestamp()) * 1_000_000

    def wall_us(self):
        return self.us

    def monotonic_us(self):
        return self.us


def evening(directory):
    clock, chance, sums, quarters = Clock(), random.Random(7), {}, set()
    with tipcurrent.Engine(f"sqlite:{directory}/evening.db", clock=clock) as engine:
        for _ in range(200):
            clock.us += chance.randrange(150_000_000)
            name, amount = f"viewer{chance.randrange(20)}", chance.randrange(1, 50)
            sums[name] = sums.get(name, 0) + amount
            quarters.add(clock.us // 900_000_000)
            engine.tips.create("gaming", name, "bob", amount)
        engine.tips.create("another", "alice", "bob", 1000)
    picture = directory / "evening.png"
    said = subprocess.run([sys.executable, EXAMPLES / "evening.py", f"sqlite:{directory}/evening.db", "gaming", picture], capture_output=True, text=True, timeout=100)
    assert said.returncode == 0, said.stderr
    first, *board = said.stdout.splitlines()
    assert first == f"200 tips, {sum(sums.values())}.00 USD, in {len(quarters)} quarters of an hour", first
    assert [int(line.split()[2].split(".")[0]) for line in board] == sorted(sums.values(), reverse=True)[:5], (board, sums)
    data = picture.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and (width, height) == (1200, 400) and len(data) > 10000, (width, height, len(data))


def main():
    with tempfile.TemporaryDirectory() as where:
        os.environ["MPLCONFIGDIR"] = where
        chat(pathlib.Path(where))
        evening(pathlib.Path(where))


if __name__ == "__main__":
    main()
