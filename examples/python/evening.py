"""An evening in one picture: what was tipped in each quarter of an hour, how it added up, and who gave most.

    python3 evening.py sqlite:tips.db gaming evening.png

Needs matplotlib (Debian: python3-matplotlib). The stream may still be running elsewhere, but not on these files: one process has them at a time.
"""
import itertools
import sys
import time

import matplotlib

matplotlib.use("Agg") # a file, no window
from matplotlib import dates, pyplot  # noqa: E402 (behind the choice of its backend)

import tipcurrent  # noqa: E402


def ready(engine):
    """Waits until statistics have counted all that is in the log."""
    while not (status := engine.status()).ready or status.stats_seq < status.log_seq:
        time.sleep(0.01)


def read(storage, room):
    with tipcurrent.Engine(storage) as engine:
        ready(engine)
        return engine.stats.periods(room=room, grain=tipcurrent.Grain.QUARTER), engine.boards.top(room=room, limit=5), engine.currency


def draw(path, room, periods, board, currency):
    figure, (over_time, people) = pyplot.subplots(1, 2, figsize=(12, 4), width_ratios=(3, 1), layout="constrained")
    starts = [period.start for period in periods]
    over_time.bar(starts, [period.amount for period in periods], width=1 / 96, align="edge", color="tab:purple", edgecolor="white")
    over_time.set(title=f"Tips in {room}", ylabel=f"{currency} a quarter of an hour")
    over_time.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))
    together = over_time.twinx()
    together.step(starts, list(itertools.accumulate(period.amount for period in periods)), where="post", color="tab:orange")
    together.set(ylabel=f"{currency} in all", ylim=(0, None))
    people.barh([standing.user for standing in board], [standing.amount for standing in board], color="tab:purple")
    people.invert_yaxis()
    people.set(title="Who gave most", xlabel=currency)
    figure.savefig(path, dpi=100)


def main(storage, room, path):
    periods, board, currency = read(storage, room)
    draw(path, room, periods, board, currency)
    print(f"{periods.total.tips} tips, {periods.total.amount} {currency}, in {len(periods)} quarters of an hour")
    for standing in board:
        print(f"{standing.rank}. {standing.user} {standing.amount}")


if __name__ == "__main__":
    main(*sys.argv[1:])
