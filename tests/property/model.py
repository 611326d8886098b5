"""What the numbers must be: every event of a history, added up in the plainest way, with Decimal and zoneinfo."""

import collections
import datetime
import decimal
import functools
import zoneinfo

ZONES = ["-", "Asia/Kolkata", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"]
GRAINS = {"hour": 0, "15m": 1, "day": 2, "week": 3, "month": 4}
WINDOWS = {"all": 0, "day": 1, "week": 2, "month": 3, "custom": 4}
QUARTER = 900
SECOND = 1000000
STANDARD = "USD"
LARGEST = 2**63 - 1
UTC = datetime.timezone.utc
RANK_MAX = 10000
CANONICAL = {"\u2764\ufe0f": "\u2764"}


@functools.lru_cache(None)
def zone_of(name):
    return UTC if name == "-" else zoneinfo.ZoneInfo(name)


def offset_of(zone, second):
    return int(datetime.datetime.fromtimestamp(second, zone_of(zone)).utcoffset().total_seconds())


@functools.lru_cache(None)
def changes():
    """When clocks change anywhere in the five zones, 2023 to 2029."""
    first, last = (int(datetime.datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2023, 2030))
    days = [(zone, day) for zone in ZONES for day in range(first, last, 86400) if offset_of(zone, day) != offset_of(zone, day - 86400)]
    return sorted({at for zone, day in days for at in range(day - 86400 + 1800, day + 1800, 1800) if offset_of(zone, at) != offset_of(zone, at - 1800)})


def midnight(zone, date):
    """None of the five zones changes its clocks at midnight."""
    return int(datetime.datetime(date.year, date.month, date.day, tzinfo=zone_of(zone)).timestamp())


def hour_name(zone, second):
    """Full hours of the wall clock; another offset from the full hour is another hour."""
    past = offset_of(zone, second) % 3600
    return past, (second + past) // 3600


@functools.lru_cache(None)
def period(zone, grain, quarter):
    """The period that holds a quarter, both bounds in seconds."""
    if grain == "15m":
        return quarter, quarter + QUARTER
    if grain == "hour":
        begin = end = quarter
        while hour_name(zone, begin - QUARTER) == hour_name(zone, quarter):
            begin -= QUARTER
        while hour_name(zone, end) == hour_name(zone, quarter):
            end += QUARTER
        return begin, end
    date = datetime.datetime.fromtimestamp(quarter, zone_of(zone)).date()
    if grain == "day":
        first, last = date, date + datetime.timedelta(days=1)
    elif grain == "week":
        first = date - datetime.timedelta(days=date.weekday())
        last = first + datetime.timedelta(days=7)
    else:
        first = date.replace(day=1)
        last = (first + datetime.timedelta(days=31)).replace(day=1)
    return midnight(zone, first), midnight(zone, last)


def money(hundredths):
    return decimal.Decimal(hundredths).scaleb(-2)


def average(total, count):
    if not count:
        return decimal.Decimal("0.00")
    with decimal.localcontext() as context:
        context.prec = 60
        return (total / count).quantize(decimal.Decimal("0.01"), decimal.ROUND_HALF_UP)


class Group:
    """What falls into one row."""

    def __init__(self):
        self.tips = self.reactions = 0
        self.total = decimal.Decimal("0.00")
        self.senders, self.recipients, self.reactors = set(), set(), set()

    def sums(self):
        return [str(self.tips), str(self.total), str(average(self.total, self.tips))]


class Tip:
    def __init__(self, seq, created, room, sender, recipient, amount, currency):
        self.seq, self.created, self.room, self.people = seq, created, room, (sender, recipient)
        self.amount = self.left = amount
        self.currency = currency
        self.place = None  # in the ledger


class Goal:
    def __init__(self, after, room, recipient, currency, target_amount, target_count, deadline):
        self.after, self.room, self.recipient, self.currency = after, room, recipient, currency
        self.target_amount, self.target_count, self.deadline = target_amount, target_count, deadline
        self.until = None  # where in the ledger it was closed


class Model:
    """The history as the engine answered it."""

    def __init__(self):
        self.tips = {}  # by id
        self.reactions = []  # (created_at_us, room, user, emoji)
        self.ledger = []  # (tip, hundredths, 1 or 0 tips), in the log's order: tips, and what went back of them
        self.goals = {}  # by id

    def add_tip(self, number, tip):
        self.tips[number] = tip
        tip.place = len(self.ledger)
        self.ledger.append((tip, tip.amount, 1))

    def add_refund(self, number, amount):
        self.tips[number].left -= amount
        self.ledger.append((self.tips[number], -amount, 0))

    def in_room(self, room):
        tips = [t for t in self.tips.values() if room in ("-", t.room)]
        return tips, [r for r in self.reactions if room in ("-", r[1])]

    def periods(self, room, grain, zone, currency, begin, end):
        rows, others = collections.defaultdict(Group), set()
        tips, reactions = self.in_room(room)

        def row_of(created):
            bounds = period(zone, grain, created // SECOND // QUARTER * QUARTER)
            start = bounds[0] * SECOND
            return rows[bounds] if (begin is None or start >= begin) and (end is None or start < end) else None

        for tip in tips:
            row = row_of(tip.created)
            if row is None:
                continue
            row.senders.add(tip.people[0])
            row.recipients.add(tip.people[1])
            if tip.currency == currency:
                row.tips += 1
                row.total += money(tip.left)
            else:
                others.add(tip.currency)
        for created, _, user, _ in reactions:
            row = row_of(created)
            if row is not None:
                row.reactions += 1
                row.reactors.add(user)
        out = []
        for (start, stop), g in sorted(rows.items()):
            if g.tips or g.reactions:
                people = [len(g.senders), len(g.recipients), len(g.reactors)] if grain in ("15m", "hour") else [-1, -1, -1]
                out.append(["", str(start * SECOND), str(stop * SECOND), *g.sums(), str(people[0]), str(people[1]), str(g.reactions), str(people[2])])
        return out, ",".join(sorted(others))

    def shares(self, room, what, currency, begin, end):
        groups = collections.defaultdict(Group)
        tips, reactions = self.in_room(room)

        def inside(created):
            start = created // SECOND // QUARTER * QUARTER * SECOND
            return (begin is None or start >= begin) and (end is None or start < end)

        if what == "emojis":
            for created, _, _, emoji in reactions:
                if inside(created):
                    groups[CANONICAL.get(emoji, emoji)].reactions += 1
        else:
            for tip in tips:
                if tip.currency == currency and inside(tip.created):
                    groups[tip.people[1]].tips += 1
                    groups[tip.people[1]].total += money(tip.left)
        order = sorted(groups, key=lambda name: (-groups[name].total, -groups[name].reactions, name.encode()))
        return [[name, "0", "0", *groups[name].sums(), "-1", "-1", str(groups[name].reactions), "-1"] for name in order]

    def board(self, room, role, currency, window, at, begin, end):
        """All who stand on it, the best first: (user, tips, hundredths)."""
        if window not in ("all", "custom"):
            begin, end = (bound * SECOND for bound in period("-", window, at // SECOND // QUARTER * QUARTER))
        users = {}
        for place, (tip, amount, count) in enumerate(self.ledger):
            if room not in ("-", tip.room) or tip.currency != currency or (window != "all" and not begin <= tip.created < end):
                continue
            user = users.setdefault(tip.people[role], [0, 0, 0])
            user[0] += amount
            user[1] += count
            user[2] = place
        order = sorted((-total, place, name, count) for name, (total, count, place) in users.items() if total > 0)
        return [(name, count, -total) for total, _, name, count in order]

    def progress(self, goal):
        """How many tips count for a goal (those after it and before it was closed), what they make less what went back, and whether that ever met the target."""
        tips = amount = reached = 0
        for tip, change, count in self.ledger[goal.after : goal.until]:
            if tip.room != goal.room or tip.place < goal.after or (goal.deadline and tip.created >= goal.deadline):
                continue
            if goal.recipient not in ("-", tip.people[1]) or goal.currency not in ("-", tip.currency):
                continue
            tips += count
            amount += change
            reached |= amount >= goal.target_amount if goal.target_amount else tips >= goal.target_count
        return [str(tips), str(min(amount, LARGEST) if goal.target_amount else 0), str(int(reached))]
