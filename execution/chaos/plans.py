"""What a seed decides: which faults when, where processes die, and what a person does meanwhile."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from execution.bot.enrolling import SYMBOLS
from execution.chaos.crashes import AFTER, BEFORE, BOT_STEPS, COMMIT, STEPS

HOURS_A_DAY = 24
FAULTS_A_DAY = 16
# Chances of an hour.
CRASHES, SENTINEL_CRASHES, REDELIVERIES, INTERRUPTIONS = 0.07, 0.02, 0.1, 0.07
PAUSES, KILLS, TIDIES = 0.03, 0.012, 0.12
BOT_CRASHES, BOT_INTERRUPTIONS, BOT_REPETITIONS = 0.06, 0.03, 0.1
PROTECTION_CRASHES = 0.3  # of the hours in which a stop is taken away
BOT_COMMITS = 14  # that a run of the bot has with an entry, about
STOPS_TAKEN, CLOSED_BY_HAND = 0.25, 0.1
BARS_AN_HOUR = 4
READS = ("account_info", "positions_get", "orders_get", "history_deals_get", "symbol_info", "symbol_info_tick")
LOST_REPLIES = (-10002, -10005, -10004, 1, 10012, 10031, 10011)

# Every fault of the default mix with the parameters it is met with. Left out are those that no request of a session or
# the bot meets (M54 wants lifetimes, many of B signed requests to Binance) and those that hold the feed for real
# seconds (B01, B08, B09, B10, B36): they can be asked for by name.
MIX: dict[str, Sequence[dict[str, Any]]] = {
    "M01": ({},),
    "M02": ({"with": {"seconds": 10.0}},),
    "M03": (
        {"call": "order_send", "with": {"seconds": 10.0, "executed": True}},
        {"call": "order_send", "with": {"seconds": 10.0, "executed": False}},
        *({"call": call, "with": {"seconds": 5.0}} for call in READS),
    ),
    "M04": (
        {"call": "order_send", "with": {"executed": True}},
        {"call": "order_send", "with": {"executed": False}},
        *({"call": call} for call in READS),
    ),
    "M05": ({},),
    "M06": ({}, {"with": {"reply": -8}}),
    "M07": ({}, {"with": {"retcode": 10017}}),
    "M08": ({}, {"with": {"login_off": 0, "server": "Other-Server"}}),
    "M09": ({},),
    "M10": tuple({"with": {"shows": shown}} for shown in ("none", "0", "nan")),
    "M11": ({}, {"with": {"fails": True}}, {"call": "order_send"}),
    "M56": tuple({"call": call} for call in READS),
    "M20": tuple({"with": {"reply": reply}} for reply in LOST_REPLIES),
    "M21": tuple({"with": {"reply": reply}} for reply in LOST_REPLIES),
    "M22": (
        {"with": {"how": "fills late", "after_s": 8.0}},
        {"with": {"how": "shows late", "after_s": 10.0}},
        {"with": {"how": "shows twice", "after_s": 60.0}},
    ),
    "M23": ({}, {"with": {"then": "reject"}}, {"with": {"then": "stay"}}),
    "M24": ({}, {"with": {"retcode": 10009}}),
    "M25": ({},),
    "M47": ({"with": {"fraction": 0.005}},),
    "M53": ({}, {"with": {"executed": True}}),
    "M55": ({}, {"with": {"ticket_off": 7}}),
    "M26": tuple({"with": {"retcode": code}} for code in (10004, 10020, 10021)),
    "M27": ({},),
    "M35": ({},),
    "M36": ({},),
    "M37": ({}, {"with": {"free": 1}}),
    "M43": ({}, {"with": {"retcode": 10045}}),
    "M44": ({}, {"with": {"retcode": 10028}}),
    "M28": ({},),
    "M29": ({}, {"with": {"volume_min": None, "volume_limit": 0.05}}),
    "M30": ({},),
    "M31": ({},),
    "M32": ({},),
    "M33": ({},),
    "M34": ({},),
    "M38": ({},),
    "M39": tuple({"with": {"mode": mode}} for mode in ("close only", "long only", "short only", "disabled")),
    "M48": ({"lasts_s": 7200.0},),
    "M49": ({},),
    "M50": ({},),
    "M40": ({}, {"with": {"by": "stop-out"}}),
    "M42": ({},),
    "M46": ({},),
    "M51": ({"with": {"volume": 0.02}}, {"with": {"volume": 0.02, "side": "sell"}}),
    "M52": ({}, {"with": {"amount": 50.0}}, {"with": {"kind": "commission", "amount": -20.0}}),
    "M61": ({},),
    "M62": ({"lasts_s": 7200.0},),
    "M64": ({},),
    "M67": tuple({"with": {"how": how}} for how in ("zero", "negative", "nan", "crossed", "spike", "spread")),
    "M60": ({}, {"with": {"how": "shown as closed"}}),
    "M63": tuple({"with": {"how": how}} for how in ("missing", "twice", "out of order")),
    "M65": ({},),
    "M66": ({}, {"with": {"keep": 0}}),
    "M68": ({"lasts_s": 7200.0},),
    "B02": tuple({"with": {"body": body}} for body in ("unknown", "html")),
    "B03": ({},),
    "B04": ({},),
    "B11": ({},),
    "B12": ({},),
    "B14": ({},),
    "B30": ({},),
    "B31": ({},),
    "B32": ({}, {"with": {"how": "swapped"}}),
    "B33": ({}, {"with": {"how": "ends early"}}),
    "B34": ({},),
    "B38": tuple({"with": {"how": how}} for how in ("truncated", "short", "wrong types", "more fields")),
    "B39": ({},),
    "B40": ({},),
}
# Of those, what an order of the bot's is met with besides: it sends a few a day, which the mix alone would hardly meet.
BOT_SYMBOLS = tuple(name for name, _ in SYMBOLS)
BOT_FAULTS = ["M03", "M04", "M20", "M21", "M22", "M23", "M24", "M25", "M26", "M33", "M40", "M42", "M44", "M47", "M53"]
BOT_FAULTS += ["M55"]
BOT_FAULTS_A_DAY = 2
SESSION_STEPS = [
    step
    for step in (*STEPS, COMMIT)
    if not any(
        word in step for word in ("kill", "arm", "emergency", "flat", "latch", "paus", "resum", "dead", "making")
    )
]
SENTINEL_STEPS = ["reconciling", "storing the fills", "settling the attempts", "settling an attempt", COMMIT]
KILL_STEPS = ["reading the book", "recording a step of the kill", "closing for the kill", "confirming flat"]
KILL_STEPS += ["beginning the attempt", "the venue's write", "finishing the attempt", COMMIT]
OF_A_SEND = ["beginning the attempt", "the venue's write", "finishing the attempt", "settling an attempt"]
OF_PROTECTION = ["looking for the naked", "setting a stop again"]  # as good as always the sentinel's
BOT_DEATHS = [step for step in BOT_STEPS if step not in (*OF_PROTECTION, "closing what stays naked")]
BOT_DEATHS += [*OF_A_SEND, COMMIT]
PROTECTION_DEATHS = [*OF_PROTECTION, *OF_A_SEND[:3], COMMIT]
INSIDE = ("pause", "kill", "stall", "round", "second trader", "redeliver")
TAKE_STOP, CLOSE_BOTS = "take a stop away", "close the bot's"
AGAIN = ("redeliver", "by hand")
CrashPoint = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BotHour:
    """What happens to the setup bot in one hour; a death or a disturbance waits until a bar comes that meets it."""

    crash: CrashPoint | None = None
    sentinel_crash: CrashPoint | None = None  # while it sets a stop that a person took away
    inside: str = ""  # what happens in the middle of a send
    again: str = ""  # how the run of a bar is done once more
    bar: int = 0  # of which of the hour's bars
    acts: tuple[tuple[int, str], ...] = ()  # minute of the hour, and what a person does


@dataclass(frozen=True, slots=True, kw_only=True)
class HourPlan:
    """What happens beside the session of one hour."""

    crash: CrashPoint | None = None  # of the trader
    sentinel_crash: CrashPoint | None = None
    kill_crash: CrashPoint | None = None  # of the sentinel while it flattens
    inside: str = ""  # what happens in the middle of a send
    nth: int = 1  # which send of the session
    redeliver: bool = False
    acts: tuple[tuple[int, str], ...] = ()  # minute of the hour, and what a person does
    bot: BotHour = BotHour()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole run."""

    seed: int
    begin: datetime  # an hour
    hours: tuple[HourPlan, ...]
    days: tuple[str, ...] = field(default=())  # fault plans as JSON, a day each


def make_plan(seed: int, begin: datetime, n_hours: int, *, faults: Sequence[str] | None = None) -> Plan:
    """Return what a seed decides for so many hours: fewer hours are the beginning of more.

    Parameters
    ----------
    faults : sequence of str, optional
        Ids to play instead of the whole mix; none for a healthy venue.
    """
    of_hours, of_bot = _chance(f"hours {seed}"), _chance(f"bot {seed}")
    return Plan(
        seed=seed,
        begin=begin,
        hours=tuple(_hour(of_hours, of_bot) for _ in range(n_hours)),
        days=tuple(_days(seed, begin, -(-n_hours // HOURS_A_DAY), faults)),
    )


def _days(seed: int, begin: datetime, n_days: int, faults: Sequence[str] | None) -> Iterator[str]:
    """Yield the fault plan of each day as JSON."""
    rng, of_bot = _chance(f"faults {seed}"), _chance(f"bot faults {seed}")
    deck = _dealt(rng, list(MIX) if faults is None else list(faults))
    bots = _dealt(of_bot, BOT_FAULTS if faults is None else [])
    for day in range(n_days):
        at = begin + timedelta(days=day)
        rules = [_rule(rng, fault, at) for fault in islice(deck, FAULTS_A_DAY)]
        rules += [
            _rule(of_bot, fault, at) | {"symbol": of_bot.choice(BOT_SYMBOLS), "call": "order_send"}
            for fault in islice(bots, BOT_FAULTS_A_DAY)
        ]
        yield _plan_of(rules, rng.getrandbits(32))


def _chance(name: str) -> random.Random:
    return random.Random(name)  # noqa: S311 - chance, not secrecy


def _dealt(rng: random.Random, ids: list[str]) -> Iterator[str]:
    """Yield ids so that none comes again before all have come; none where there are none."""
    while ids:
        yield from rng.sample(ids, len(ids))


def _plan_of(rules: list[dict[str, Any]], seed: int) -> str:
    """Return a fault plan as JSON, empty without faults."""
    plan = {"seed": seed, "rules": sorted(rules, key=lambda rule: str(rule["at"]))}
    return json.dumps(plan) if rules else ""


def _rule(rng: random.Random, fault: str, begin: datetime) -> dict[str, Any]:
    # Half of them begin right before a session, where they are met; the rest anywhere.
    hour, at_slot = rng.randrange(HOURS_A_DAY), rng.random() < 0.5
    seconds = 40 if at_slot else rng.randrange(3600)
    at = begin + timedelta(hours=hour, seconds=seconds)
    return {"fault": fault, "at": at.isoformat(), "times": 1} | rng.choice(MIX.get(fault, ({},)))


def _hour(rng: random.Random, of_bot: random.Random) -> HourPlan:
    def chance(p: float) -> bool:
        return rng.random() < p

    acts = [(rng.randrange(2, 50), "pause" if chance(0.8) else "pause symbol")] if chance(PAUSES) else []
    acts += [(rng.randrange(2, 50), "kill")] if chance(KILLS) else []
    acts += [(rng.randrange(2, 55), "tidy")] if chance(TIDIES) else []
    return HourPlan(
        crash=_point(rng, SESSION_STEPS) if chance(CRASHES) else None,
        sentinel_crash=_point(rng, SENTINEL_STEPS) if chance(SENTINEL_CRASHES) else None,
        kill_crash=_point(rng, KILL_STEPS) if chance(0.5) else None,
        inside=rng.choice(INSIDE) if chance(INTERRUPTIONS) else "",
        nth=rng.randrange(1, 3),
        redeliver=chance(REDELIVERIES),
        acts=tuple(sorted(acts)),
        bot=_bot_hour(of_bot),
    )


def _bot_hour(rng: random.Random) -> BotHour:
    acts = [(rng.randrange(2, 55), TAKE_STOP)] if rng.random() < STOPS_TAKEN else []
    acts += [(rng.randrange(2, 55), CLOSE_BOTS)] if rng.random() < CLOSED_BY_HAND else []
    return BotHour(
        crash=_bot_point(rng, BOT_DEATHS) if rng.random() < BOT_CRASHES else None,
        sentinel_crash=_point(rng, PROTECTION_DEATHS, n_commits=BOT_COMMITS)
        if rng.random() < PROTECTION_CRASHES
        else None,
        inside=rng.choice(INSIDE) if rng.random() < BOT_INTERRUPTIONS else "",
        again=rng.choice(AGAIN) if rng.random() < BOT_REPETITIONS else "",
        bar=rng.randrange(BARS_AN_HOUR),
        acts=tuple(sorted(acts)),
    )


def _bot_point(rng: random.Random, steps: Sequence[str]) -> CrashPoint:
    return _point(rng, steps, n_commits=BOT_COMMITS)


def _point(rng: random.Random, steps: Sequence[str], *, n_commits: int = 40) -> CrashPoint:
    step = rng.choice(steps)
    most = n_commits if step == COMMIT else 2 if step in BOT_STEPS else 3
    return f"{rng.choice((BEFORE, AFTER))} {step}", rng.randrange(1, most)
