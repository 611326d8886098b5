"""A chat bot: turns `!tip` lines into tips, and tells the chat how far the goal is. It reads lines `NAME: text` and prints what it would say in the chat.

    python3 chat_bot.py sqlite:chat.db gaming bob < chat.txt

    alice: !tip 25 great play
    bob: !goal 100 a new microphone     (the streamer's alone)
    carol: !goal
    carol: !top
"""
import sys

import tipcurrent


class Bot:
    def __init__(self, engine, room, streamer):
        self.engine, self.room, self.streamer = engine, room, streamer

    def hear(self, name, text):
        """Yields what there is to say to this line."""
        verb, _, rest = text.partition(" ")
        answer = {"!tip": self.tip, "!goal": self.goal, "!top": self.top}.get(verb)
        if answer:
            yield from answer(name, rest.strip())

    def tip(self, name, rest):
        amount, _, message = rest.partition(" ")
        try:
            tip = self.engine.tips.create(self.room, name, self.streamer, amount, message=message or None)
        except tipcurrent.InvalidArgument as error:
            yield f"@{name} {error}. It goes like this: !tip 5.00 well done"
            return
        yield f"{name} tips {tip.amount}" + (f": {message}" if message else "!")

    def goal(self, name, rest):
        amount, _, title = rest.partition(" ")
        if rest and name != self.streamer:
            yield f"@{name} only {self.streamer} sets goals"
        elif rest:
            try:
                goal = self.engine.goals.create(self.room, title, target_amount=amount)
            except tipcurrent.InvalidArgument as error:
                yield f"@{name} {error}. It goes like this: !goal 100 a new microphone"
                return
            yield f"New goal: {goal.title}, {goal.target_amount}"
        else:
            for goal in self.engine.goals.find(self.room):
                if goal.status == tipcurrent.GoalStatus.OPEN:
                    yield f"{goal.title}: {goal.progress_amount} of {goal.target_amount}"

    def top(self, name, rest):
        for standing in self.engine.boards.top(room=self.room, limit=3):
            yield f"{standing.rank}. {standing.user} {standing.amount}"


def say(line):
    print(line, flush=True)


def main(storage, room, streamer):
    def reached(goal):
        """From the engine's thread, a moment behind the tip that did it, whoever gave that."""
        say(f"*** {goal.title}: done! Thank you! ***")

    with tipcurrent.Engine(storage) as engine, engine.listen(reached, room=room, kinds=[tipcurrent.Kind.GOAL_REACHED]):
        bot = Bot(engine, room, streamer)
        for line in sys.stdin:
            name, colon, text = line.rstrip("\n").partition(": ")
            for answer in bot.hear(name, text) if colon else ():
                say(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
