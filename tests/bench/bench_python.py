"""The Python side of bench_python: bench_python.py MODE URL COUNT SEED SENDERS. MODE bulk or submit: COUNT tips; sync: COUNT milliseconds. Prints tips a second, and the CPU of one in us.

The tips are there before the clock starts: what is measured is the binding, not how a Python program comes by its data.
"""
import random
import resource
import sys
import time

import tipcurrent

SENTENCE = "Great play just now! Here is something for the next round, greetings from all of us over here, see you"
IN_FLIGHT = 8192


def tips(count, seed, senders):
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        room = chance.randrange(1000)
        made.append(
            tipcurrent.NewTip(
                f"room-{room:06}", f"viewer-{chance.randrange(senders):06}", f"caster-{room:06}", f"{chance.randrange(1, 500)}.{chance.randrange(100):02}",
                SENTENCE[: 72 + chance.randrange(16)], "platform=web;campaign=autumn;locale=en-GB;", None, f"{chance.getrandbits(128):032x}",
            )
        )
    return made


def bulk(engine, made):
    report = engine.tips.create_many(made)
    if report.errors or report.count != len(made):
        sys.exit(f"{len(report.errors)} of {report.count} tips failed: {report.errors[:1]}")
    return report.count


def submit(engine, made):
    """One call each, thousands in flight."""
    flying = []
    for tip in made:
        flying.append(engine.tips.submit(tip.room, tip.sender, tip.recipient, tip.amount, message=tip.message, metadata=tip.metadata, idempotency_key=tip.idempotency_key))
        if len(flying) == IN_FLIGHT:
            for each in flying[: IN_FLIGHT // 2]:
                each.result()
            del flying[: IN_FLIGHT // 2]
    for each in flying:
        each.result()
    return len(made)


def sync(engine, made, milliseconds):
    """One thread, one tip, one commit."""
    end = time.monotonic() + milliseconds / 1000
    n = 0
    for tip in made:
        engine.tips.create(tip.room, tip.sender, tip.recipient, tip.amount, message=tip.message, metadata=tip.metadata, idempotency_key=tip.idempotency_key)
        n += 1
        if time.monotonic() >= end:
            return n
    sys.exit("more tips were made than there are: raise the limit")


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    mode, url, count, seed, senders = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    made = tips(count if mode != "sync" else count * 30, seed, senders)
    with tipcurrent.Engine(url) as engine:
        cpu, start = cpu_s(), time.monotonic()
        done = sync(engine, made, count) if mode == "sync" else {"bulk": bulk, "submit": submit}[mode](engine, made)
        took = time.monotonic() - start
        if engine.status().log_seq != done:
            sys.exit(f"{engine.status().log_seq} events in the log instead of {done}")
        while engine.status().stats_seq < done:
            time.sleep(0.001)
        print(done / took, (cpu_s() - cpu) * 1e6 / done)


main()
