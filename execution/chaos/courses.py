"""The invariants of a whole course: of each intent, each slot, each kill, and the end; over plain facts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from execution.chaos.facts import ZERO, Decision, Facts, Intent, Violation, is_ours, is_the_bots, iso
from execution.chaos.readings import adds_risk, filled_by, intent_of, is_level, our_lots, traded_symbols

HOUR_MS = 3_600_000
EARLY_HOUR = 21  # of the clock, in which the session of the hour 22 acts as well as its own
EXECUTED_WITHIN_MS = 10_000
GOOD = frozenset({"traded", "hold"})
# What a decision says where the work is not done, rather than halted: the desk has to come back to it.
UNFINISHED = ("already done for", "outcome is not known yet")


def fills_stay_within_intents(facts: Facts) -> Iterator[Violation]:
    """4: of each intent no more is filled than it asks for, and nothing is filled that no intent asks for."""
    for magic in sorted({d.magic for d in facts.deals if d.by_program and d.magic}):
        filled, intent = filled_by(facts.deals, magic), facts.intents.get(magic)
        last = max(d.at_ms for d in facts.deals if d.magic == magic)
        asked = intent.asked if intent else ZERO
        if filled > asked:
            words = f"{filled} lots were filled under magic {magic}, its intent asks for {asked}"
            yield Violation(invariant=4, at=iso(last), detail=words)


def ends_at_target_or_halted(facts: Facts) -> Iterator[Violation]:
    """6: once faults have stopped, every symbol is at its target or halted with a named reason."""
    if not facts.is_settled:
        return
    for symbol in traded_symbols(facts):
        decision = next((d for d in reversed(facts.decisions) if d.symbol == symbol), None)
        problem = _off_target(facts, symbol, decision)
        if problem:
            yield Violation(invariant=6, at=iso(facts.end_ms), detail=f"{symbol}: {problem}")


def _off_target(facts: Facts, symbol: str, decision: Decision | None) -> str:
    """Return how a symbol stands where nobody wants it, empty when it is at its target or halted."""
    held = our_lots(facts, symbol)
    if facts.kills and facts.kills[-1].rearmed_ms is None:
        return f"killed, and {held} lots are held" if held else ""
    if decision is None:
        return f"{held} lots are held, and nothing was ever decided" if held and not _is_the_bots(facts, symbol) else ""
    if decision.verdict not in GOOD:
        named = decision.blocker and not any(words in decision.blocker for words in UNFINISHED)
        return "" if named else f"{decision.verdict} without a reason to halt: {decision.blocker!r}"
    if symbol in facts.resting:
        return "an order of ours still rests"
    return "" if held == decision.target else f"{held} lots are held, the target is {decision.target}"


def _is_the_bots(facts: Facts, symbol: str) -> bool:
    """Return whether all that we ever dealt in a symbol was the bot's, which has no target there."""
    return all(is_the_bots(d.magic) for d in facts.deals if d.symbol == symbol and is_ours(d.magic) and d.entry == 0)


def the_bots_are_protected(facts: Facts) -> Iterator[Violation]:
    """14: the bot's entries carry a stop and a target, and in the end none of its positions is without a stop."""
    for request in facts.requests:
        if not (is_the_bots(request.magic) and adds_risk(request, hedging=facts.hedging)):
            continue
        without = [name for name in ("stop", "target") if not is_level(getattr(request, name))]
        if without:
            words = f"request {request.number} enters {request.symbol} without a {' and a '.join(without)}"
            yield Violation(invariant=14, at=iso(request.market_ms or request.at_ms), detail=words)
    for held in facts.holdings if facts.is_settled else ():
        if is_the_bots(held.magic) and not held.has_stop:
            words = f"position {held.ticket}, {held.volume} lots of {held.symbol}, is left without a stop"
            yield Violation(invariant=14, at=iso(facts.end_ms), detail=words)


def repeating_adds_nothing(facts: Facts) -> Iterator[Violation]:
    """11: a run that is delivered again sends nothing; a slot has one intent a symbol, whatever it is called."""
    for repeat in facts.repeats:
        if repeat.after != repeat.before:
            words = f"{repeat.what} was repeated, and {repeat.after - repeat.before} requests more were sent"
            yield Violation(invariant=11, at=iso(repeat.at_ms), detail=words)
    sent: dict[tuple[str, int], dict[int, Intent]] = defaultdict(dict)
    for request in facts.requests:
        intent = intent_of(facts, request)
        if intent is not None and intent.cause == "session":
            sent[intent.symbol, request.market_ms // HOUR_MS][intent.magic] = intent
    for (symbol, hour), intents in sent.items():
        allowed = 2 if hour % 24 == EARLY_HOUR else 1
        if len(intents) > allowed:
            words = f"{len(intents)} intents of {symbol} were sent in one hour, allowed are {allowed}"
            yield Violation(invariant=11, at=iso(hour * HOUR_MS), detail=words)


def kills_complete(facts: Facts) -> Iterator[Violation]:
    """15: what is said to be flat is flat and stays so until it is armed again; what is not goes on shouting."""
    for kill in facts.kills:
        if kill.flat_ms is not None:
            yield from _not_flat(facts, kill.number, kill.flat_ms, kill.rearmed_ms)
        elif kill.rearmed_ms is not None:
            yield Violation(invariant=15, at=iso(kill.rearmed_ms), detail=f"kill {kill.number} was armed, never flat")
        elif "kill" not in facts.alerts:
            words = f"kill {kill.number} is not flat, and no alert is open"
            yield Violation(invariant=15, at=iso(facts.end_ms), detail=words)


def _not_flat(facts: Facts, number: int, flat_ms: int, rearmed_ms: int | None) -> Iterator[Violation]:
    for symbol in traded_symbols(facts):
        held = our_lots(facts, symbol, until_ms=flat_ms)
        if held:
            words = f"kill {number} was said to be flat, and {held} lots of {symbol} were held"
            yield Violation(invariant=15, at=iso(flat_ms), detail=words)
    until = facts.end_ms if rearmed_ms is None else rearmed_ms
    for deal in facts.deals:
        if is_ours(deal.magic) and deal.by_program and flat_ms < deal.at_ms < until:
            words = f"after kill {number} was flat, {deal.volume} lots of {deal.symbol} were dealt for us"
            yield Violation(invariant=15, at=iso(deal.at_ms), detail=words)


def the_healthy_trade(facts: Facts) -> Iterator[Violation]:
    """16: where nothing fails, nothing is vetoed, and a target is executed within ten seconds."""
    if facts.n_faults or facts.is_disturbed or not facts.was_always_armed:
        return
    for decision in facts.decisions:
        if decision.verdict not in GOOD:
            words = f"{decision.symbol} {decision.slot} was {decision.verdict}: {decision.blocker}"
            yield Violation(invariant=16, at=iso(decision.market_ms), detail=words)
        elif decision.verdict == "traded" and decision.magic is not None:
            yield from _late(facts, decision)


def _late(facts: Facts, decision: Decision) -> Iterator[Violation]:
    deals = [d for d in facts.deals if d.magic == decision.magic]
    last = max((d.at_ms for d in deals), default=None)
    intent = facts.intents.get(decision.magic or 0)
    filled, asked = sum((d.volume for d in deals), Decimal(0)), intent.asked if intent else ZERO
    if last is None or last - decision.market_ms > EXECUTED_WITHIN_MS or filled != asked:
        words = f"{decision.symbol} {decision.slot}: {filled} of {asked} lots within 10 s"
        yield Violation(invariant=16, at=iso(decision.market_ms), detail=words)
