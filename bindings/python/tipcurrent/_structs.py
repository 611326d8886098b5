"""The library's structs as ctypes sees them. Each says its C name; _library compares all of them with the library's own table at import."""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, c_char, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, Tuple, Type, TypeVar

from .errors import InvalidArgument

SIZE = ("size", c_size_t)
AMOUNT_TEXT = c_char * 48

# Functions that the library calls. Pointers are numbers here: who gets one knows what it is.
EVENT_FN = CFUNCTYPE(None, c_void_p, c_void_p)
SHOW_FN = CFUNCTYPE(None, c_void_p, c_void_p)
LOG_FN = CFUNCTYPE(None, c_void_p, c_int32, c_char_p)
CLOCK_FN = CFUNCTYPE(c_int64, c_void_p)
RANDOM_FN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t)


class Text(ctypes.Structure):
    c_name = "tc_text"
    _fields_ = [("ptr", c_void_p), ("len", c_size_t)]


class Clock(ctypes.Structure):
    c_name = "tc_clock"
    _fields_ = [SIZE, ("wall_us", CLOCK_FN), ("monotonic_us", CLOCK_FN), ("userdata", c_void_p)]


class Random(ctypes.Structure):
    c_name = "tc_random"
    _fields_ = [SIZE, ("fill", RANDOM_FN), ("userdata", c_void_p)]


class Log(ctypes.Structure):
    c_name = "tc_log"
    _fields_ = [SIZE, ("write", LOG_FN), ("userdata", c_void_p)]


class WebhookOptions(ctypes.Structure):
    c_name = "tc_webhook_options"
    _fields_ = [
        SIZE, ("allow_receivers", c_char_p), ("retry_schedule", c_char_p), ("secret_key", c_char_p), ("max_in_flight", c_uint32), ("max_per_endpoint", c_uint32),
        ("connect_timeout_ms", c_uint32), ("total_timeout_ms", c_uint32), ("disable_after_s", c_uint32), ("log_days", c_uint32), ("log_rows", c_uint64),
        ("flags", c_uint32), ("transport", c_void_p),
    ]


class Options(ctypes.Structure):
    c_name = "tc_options"
    _fields_ = [
        SIZE, ("storage_url", c_char_p), ("max_pending_bytes", c_uint64), ("create_deadline_ms", c_uint32), ("flags", c_uint32), ("idempotency_ttl_s", c_uint32),
        ("tail_max_events", c_uint32), ("tail_max_bytes", c_uint64), ("clock", ctypes.POINTER(Clock)), ("random", ctypes.POINTER(Random)),
        ("log", ctypes.POINTER(Log)), ("storage_ops", c_void_p), ("webhooks", ctypes.POINTER(WebhookOptions)), ("currency", c_char_p), ("rollup_bytes", c_uint64),
    ]


class Status(ctypes.Structure):
    c_name = "tc_status"
    _fields_ = [
        SIZE, ("log_seq", c_int64), ("index_seq", c_int64), ("pending_bytes", c_uint64), ("pending_events", c_uint64), ("tail_bytes", c_uint64),
        ("tail_events", c_uint64), ("commits", c_uint64), ("ready", c_uint32), ("storage_error", c_int32), ("stats_seq", c_int64), ("role", c_uint32),
        ("others", c_uint32), ("webhook_shares", c_uint32), ("webhook_shares_all", c_uint32),
    ]


class Result(ctypes.Structure):
    c_name = "tc_result"
    _fields_ = [SIZE, ("code", c_int32), ("replayed", c_int32), ("event", c_void_p), ("detail", c_char_p)]


class BatchOptions(ctypes.Structure):
    c_name = "tc_batch_options"
    _fields_ = [SIZE, ("kind", c_uint32), ("lines_max", c_uint32), ("line_max_bytes", c_size_t), ("done", c_void_p), ("userdata", c_void_p)]


class TipNew(ctypes.Structure):
    c_name = "tc_tip_new"
    _fields_ = [
        SIZE, ("room_id", c_char_p), ("sender_id", c_char_p), ("recipient_id", c_char_p), ("amount", c_int64), ("message", c_char_p), ("metadata", c_char_p),
        ("idempotency_key", c_char_p), ("currency", c_char_p),
    ]


class TipQuery(ctypes.Structure):
    c_name = "tc_tip_query"
    _fields_ = [
        SIZE, ("room_id", c_char_p), ("sender_id", c_char_p), ("recipient_id", c_char_p), ("after", c_char_p), ("page", c_int64), ("page_size", c_int32),
        ("currency", c_char_p),
    ]


class ReactionNew(ctypes.Structure):
    c_name = "tc_reaction_new"
    _fields_ = [
        SIZE, ("room_id", c_char_p), ("user_id", c_char_p), ("emoji", c_char_p), ("target_id", c_char_p), ("metadata", c_char_p), ("idempotency_key", c_char_p)
    ]


class ReactionQuery(ctypes.Structure):
    c_name = "tc_reaction_query"
    _fields_ = [
        SIZE, ("room_id", c_char_p), ("user_id", c_char_p), ("emoji", c_char_p), ("target_id", c_char_p), ("after", c_char_p), ("page", c_int64),
        ("page_size", c_int32),
    ]


class ActivityNew(ctypes.Structure):
    c_name = "tc_activity_new"
    _fields_ = [
        SIZE, ("type", c_char_p), ("room_id", c_char_p), ("user_id", c_char_p), ("target_id", c_char_p), ("message", c_char_p), ("count", c_int64),
        ("metadata", c_char_p), ("idempotency_key", c_char_p),
    ]


class ActivityQuery(ctypes.Structure):
    c_name = "tc_activity_query"
    _fields_ = [
        SIZE, ("type", c_char_p), ("room_id", c_char_p), ("user_id", c_char_p), ("target_id", c_char_p), ("after", c_char_p), ("page", c_int64),
        ("page_size", c_int32),
    ]


class EventType(ctypes.Structure):
    c_name = "tc_event_type"
    _fields_ = [SIZE, ("id", c_int64), ("created_at_us", c_int64), ("name", c_char_p), ("description", c_char_p)]


class RefundNew(ctypes.Structure):
    c_name = "tc_refund_new"
    _fields_ = [SIZE, ("tip_id", c_int64), ("amount", c_int64), ("reason", c_char_p), ("idempotency_key", c_char_p)]


class GoalNew(ctypes.Structure):
    c_name = "tc_goal_new"
    _fields_ = [
        SIZE, ("room_id", c_char_p), ("title", c_char_p), ("target_amount", c_int64), ("target_count", c_int64), ("currency", c_char_p),
        ("recipient_id", c_char_p), ("deadline_us", c_int64), ("idempotency_key", c_char_p),
    ]


class Goal(ctypes.Structure):
    c_name = "tc_goal"
    _fields_ = [
        SIZE, ("id", c_int64), ("target_amount", c_int64), ("target_count", c_int64), ("created_at_us", c_int64), ("deadline_us", c_int64),
        ("reached_at_us", c_int64), ("closed_at_us", c_int64), ("status", c_int32), ("has_progress", c_int32), ("progress_count", c_int64),
        ("progress_amount", c_int64), ("room_id", c_char_p), ("title", c_char_p), ("currency", c_char_p), ("recipient_id", c_char_p),
    ]


class StatsQuery(ctypes.Structure):
    c_name = "tc_stats_query"
    _fields_ = [
        SIZE, ("room_id", c_char_p), ("tz", c_char_p), ("currency", c_char_p), ("from_us", c_int64), ("to_us", c_int64), ("flags", c_uint32), ("grain", c_uint32)
    ]


class StatsRow(ctypes.Structure):
    c_name = "tc_stats_row"
    _fields_ = [
        SIZE, ("start_us", c_int64), ("end_us", c_int64), ("name", c_char_p), ("tips", c_int64), ("amount", c_int64), ("reactions", c_int64),
        ("unique_senders", c_int64), ("unique_recipients", c_int64), ("unique_reactors", c_int64), ("total_amount", AMOUNT_TEXT), ("average_amount", AMOUNT_TEXT),
    ]


class BoardQuery(ctypes.Structure):
    c_name = "tc_board_query"
    _fields_ = [
        SIZE, ("room_id", c_char_p), ("currency", c_char_p), ("role", c_uint32), ("window", c_uint32), ("at_us", c_int64), ("from_us", c_int64),
        ("to_us", c_int64), ("limit", c_int32),
    ]


class BoardRow(ctypes.Structure):
    c_name = "tc_board_row"
    _fields_ = [SIZE, ("rank", c_int64), ("user_id", c_char_p), ("tips", c_int64), ("amount", c_int64), ("total_amount", AMOUNT_TEXT)]


class SubOptions(ctypes.Structure):
    c_name = "tc_sub_options"
    _fields_ = [SIZE, ("room_id", c_char_p), ("kinds", c_uint64), ("after_seq", c_int64), ("flags", c_uint32)]


class WebhookNew(ctypes.Structure):
    c_name = "tc_webhook_new"
    _fields_ = [
        SIZE, ("room_id", c_char_p), ("url", c_char_p), ("events", c_char_p), ("secret", c_char_p), ("description", c_char_p), ("flags", c_uint32),
        ("idempotency_key", c_char_p),
    ]


class WebhookChange(ctypes.Structure):
    c_name = "tc_webhook_change"
    _fields_ = [
        SIZE, ("room_id", c_char_p), ("url", c_char_p), ("events", c_char_p), ("secret", c_char_p), ("description", c_char_p), ("flags", c_uint32),
        ("set_flags", c_uint32), ("overlap_s", c_uint32), ("enabled", c_int32),
    ]


class WebhookDelivery(ctypes.Structure):
    c_name = "tc_webhook_delivery"
    _fields_ = [
        SIZE, ("id", c_int64), ("webhook_id", c_int64), ("seq", c_int64), ("created_at_us", c_int64), ("duration_ms", c_int64), ("attempt", c_int32),
        ("status", c_int32), ("success", c_int32), ("event", Text), ("response", Text), ("error", Text),
    ]


class AbiMember(ctypes.Structure):
    """The row of the library's own table. It never changes, so nothing checks it."""

    _fields_ = [("type", c_char_p), ("name", c_char_p), ("offset_bytes", c_uint32), ("size_bytes", c_uint32)]


ALL: Tuple[Any, ...] = (
    Text, Clock, Random, Log, WebhookOptions, Options, Status, Result, BatchOptions, TipNew, TipQuery, ReactionNew, ReactionQuery, ActivityNew, ActivityQuery, EventType,
    RefundNew, GoalNew, Goal, StatsQuery, StatsRow, BoardQuery, BoardRow, SubOptions, WebhookNew, WebhookChange, WebhookDelivery,
)

S = TypeVar("S", bound=ctypes.Structure)


def sized(struct: Type[S], /, **members: Any) -> S:
    """A struct for the library to read or fill: its size set, the rest zero. ctypes would cut numbers that do not fit."""
    made = struct(size=ctypes.sizeof(struct), **members)
    for name, value in members.items():
        if isinstance(value, int) and getattr(made, name) != value:
            raise InvalidArgument(f"{name}: {value} is out of range")
    return made
