"""tipcurrent: the engagement engine for live streaming, inside a Python program.

Tips, reactions and what else people do in a room are taken, kept on disk, seen live, counted, and found again.

>>> import tipcurrent
>>> with tipcurrent.Engine("memory:") as engine:
...     tip = engine.tips.create("gaming", "alice", "bob", "100.00", message="Great play!")
...     print(tip.id, tip.sender, tip.amount)
...     print(sum(tip.amount for tip in engine.tips.find(room="gaming")))
1 alice 100.00
100.00

Start at :class:`Engine`; :mod:`tipcurrent.errors` has what can go wrong. Amounts are :class:`decimal.Decimal` and exact, times aware :class:`datetime.datetime`.
"""

from . import errors
from ._library import lib as _lib
from ._submissions import Report, Results, Submission
from .activities import Activities, EventType, EventTypes, NewActivity
from .boards import Board, Boards, Role, Standing, Window
from .engine import Engine, Status
from .errors import *
from .events import Activity, Event, GoalReached, Kind, Reaction, Refund, Tip, WebhookDisabled
from .goals import Goal, Goals, GoalStatus
from .pages import Page
from .reactions import NewReaction, Reactions
from .refunds import NewRefund, Refunds
from .stats import EmojiCount, Grain, Period, RecipientTotal, Stats, StatsReader, Totals
from .subscriptions import Listener, Subscription
from .tips import NewTip, Tips
from .webhooks import Delivery, Webhook, WebhookOptions, Webhooks

#: The version of the library that was found.
library_version: str = _lib.tc_version().decode()
#: Where it was found: a path, or the name that the dynamic linker resolved.
library_path: str = _lib.path

__version__ = "0.1.0"
__all__ = [
    "Activities", "Activity", "Board", "Boards", "Delivery", "EmojiCount", "Engine", "Event", "EventType", "EventTypes", "Goal", "GoalReached", "GoalStatus",
    "Goals", "Grain", "Kind", "Listener", "NewActivity", "NewReaction", "NewRefund", "NewTip", "Page", "Period", "Reaction", "Reactions", "RecipientTotal",
    "Refund", "Refunds", "Report", "Results", "Role", "Standing", "Stats", "StatsReader", "Status", "Submission", "Subscription", "Tip", "Tips", "Totals",
    "Webhook", "WebhookDisabled", "WebhookOptions", "Webhooks", "Window", "errors", "library_path", "library_version",
]
__all__ += errors.__all__
