"""What the setup bot promises beside what every trader does: of its entries, its positions and its books."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from execution.chaos.facts import (
    DEAL,
    ENTRY_IN,
    PROTECT,
    ZERO,
    BotTrade,
    Deal,
    Facts,
    Naked,
    Violation,
    is_ours,
    is_the_bots,
    iso,
)
from execution.chaos.readings import DONE, adds_risk, filled_by, intent_of
from execution.chaos.requests import broken

BAR_MS = 900_000
CENT = Decimal("0.01")
NAKED_MS = 5_000  # that a position may be without a stop once a look has shown it
SHOWN_LATE_MS = 60_000  # after which the venue shows every deal
CAUSES = frozenset({"session", "manual", "setup", "naked"})  # what acts for one family; a kill closes for all
# What a sound entry is refused for where nothing fails: rules of the bot's own, sizes that fit nowhere, and owners.
RULES_OF_ITS_OWN = ("setup_symbol", "setup_positions", "setup_daily_loss", "setup_cooldown")
LAWFUL = (*RULES_OF_ITS_OWN, "entry:too_small", "entry:stops", "owner:")


def books_are_the_venues(facts: Facts) -> Iterator[Violation]:
    """4: a trade of the bot's that was missed was never filled, and what it earned is what its deals did."""
    for trade in facts.trades:
        filled = filled_by(facts.deals, trade.magic)
        if trade.status == "missed" and filled and _is_old_news(facts, trade):
            yield _of(4, facts, trade, f"counts as missed, and {filled} lots were filled")
        if trade.status != "closed":
            continue
        earned = round(sum((deal.money for deal in _deals_of(facts, trade)), ZERO), 2)
        for name, amount in (("result", trade.result), ("outcome", trade.booked)):
            if amount is None or abs(amount - earned) >= CENT:
                yield _of(4, facts, trade, f"has the {name} {amount}, its deals brought {earned}")


def trades_are_where_they_should_be(facts: Facts) -> Iterator[Violation]:
    """6: in the end a trade is open as long as its position, and no longer than it may live; no order of it rests."""
    if not facts.is_settled:
        return
    held = {holding.magic: holding for holding in facts.holdings if is_the_bots(holding.magic)}
    trades = {trade.magic: trade for trade in facts.trades}
    for magic, holding in held.items():
        if problem := _unaccounted(facts, trades.get(magic)):
            words = f"position {holding.ticket} of {holding.symbol} is the bot's, and {problem}"
            yield Violation(invariant=6, at=iso(facts.end_ms), detail=words)
    for symbol in sorted({*facts.resting} - {decision.symbol for decision in facts.decisions}):
        yield Violation(invariant=6, at=iso(facts.end_ms), detail=f"{symbol}: an order of the bot's still rests")
    for trade in facts.trades:
        if problem := _stuck(facts, trade, is_held=trade.magic in held):
            yield _of(6, facts, trade, problem)


def _unaccounted(facts: Facts, trade: BotTrade | None) -> str:
    """Return how a position that is held stands in no trade that is open; empty where it does."""
    if trade is None:
        return "no trade has its magic"
    return f"its trade is {trade.status}" if trade.status != "open" and _is_old_news(facts, trade) else ""


def _stuck(facts: Facts, trade: BotTrade, *, is_held: bool) -> str:
    """Return what a run of the bot should have brought to an end by now; empty where nothing is."""
    last = max((deal.at_ms for deal in _deals_of(facts, trade)), default=0)
    if trade.status == "planned" and _is_old_news(facts, trade):
        return "is planned, and nobody has found out whether it was filled"
    if trade.status != "open":
        return ""
    if is_held:
        is_late = trade.deadline_ms + SHOWN_LATE_MS < facts.looked_ms
        return f"is held, and its time was over at {iso(trade.deadline_ms)}" if is_late else ""
    return "is open, and nothing of it is held" if last + SHOWN_LATE_MS < facts.looked_ms else ""


def setups_are_entered_once(facts: Facts) -> Iterator[Violation]:
    """11: a setup is entered once, whatever is run again; a symbol has one entry a bar."""
    entered: dict[str, set[int]] = defaultdict(set)
    for deal in facts.deals:
        intent = facts.intents.get(deal.magic)
        if deal.entry != ENTRY_IN or not is_the_bots(deal.magic) or not deal.by_program:
            continue
        entered[f"{deal.symbol} in the bar of {iso(deal.at_ms // BAR_MS * BAR_MS)}"].add(deal.magic)
        if intent is not None and intent.cause == "setup":
            entered[f"setup {intent.cause_id.partition(':')[0]}"].add(deal.magic)
    for what, magics in entered.items():
        if len(magics) > 1:
            last = max(deal.at_ms for deal in facts.deals if deal.magic in magics)
            words = f"{what} was entered {len(magics)} times, under {sorted(magics)}"
            yield Violation(invariant=11, at=iso(last), detail=words)


def a_symbol_has_one_owner(facts: Facts) -> Iterator[Violation]:
    """12: session and bot leave each other's symbols and positions alone."""
    for request in facts.requests:
        intent = intent_of(facts, request)
        if request.action != DEAL or not is_ours(request.magic) or intent is None or intent.cause not in CAUSES:
            continue
        family = is_the_bots(request.magic)
        others = [h for h in request.books.holdings if is_ours(h.magic) and is_the_bots(h.magic) != family]
        adds = adds_risk(request, hedging=facts.hedging)
        for held in others:
            if held.symbol == request.symbol and (adds or held.ticket == request.position):
                whose = "the session's" if family else "the bot's"
                yield broken(12, request, f"{'opens beside' if adds else 'closes'} {whose} position {held.ticket}")


def positions_are_single_and_protected(facts: Facts) -> Iterator[Violation]:
    """14: the bot holds one trade a symbol, and none of them is naked for longer than five seconds."""
    for request in facts.requests:
        if not is_the_bots(request.magic) or not adds_risk(request, hedging=facts.hedging):
            continue
        for held in request.books.holdings:
            if held.symbol == request.symbol and is_the_bots(held.magic) and held.magic != request.magic:
                yield broken(14, request, f"opens a second position of the bot's beside {held.ticket}")
    for naked in facts.naked:
        if naked.until_ms - naked.since_ms > NAKED_MS and not _was_refused(facts, naked):
            words = f"position {naked.ticket} has had no stop since {iso(naked.since_ms)}"
            yield Violation(invariant=14, at=iso(naked.until_ms), detail=words)


def _was_refused(facts: Facts, naked: Naked) -> bool:
    """Return whether the venue would neither protect nor close a position in the seconds that were left for it."""
    return any(
        request.position == naked.ticket and request.action in (DEAL, PROTECT) and request.retcode != DONE
        for request in facts.requests
        if naked.since_ms <= request.at_ms <= naked.since_ms + NAKED_MS
    )


def sound_setups_are_entered(facts: Facts) -> Iterator[Violation]:
    """16: where nothing fails, an approved setup is missed only by the bot's own rules."""
    if facts.n_faults or facts.is_disturbed or not facts.was_always_armed:
        return
    for missed in facts.missed:
        if not missed.reason.startswith(LAWFUL):
            words = f"setup {missed.setup} of {missed.symbol} was missed: {missed.reason or 'nobody tried'}"
            yield Violation(invariant=16, at=iso(missed.bar_ms), detail=words)


def _deals_of(facts: Facts, trade: BotTrade) -> list[Deal]:
    """Return every deal of the positions that a trade opened, whoever made it."""
    opened = {d.position_id for d in facts.deals if d.magic == trade.magic and d.entry == ENTRY_IN}
    return [deal for deal in facts.deals if deal.position_id in opened]


def _is_old_news(facts: Facts, trade: BotTrade) -> bool:
    """Return whether a run of the bot came after the bar of an entry, and so found out what became of it."""
    intent = facts.intents.get(trade.magic)
    return intent is not None and intent.market_ms + BAR_MS + SHOWN_LATE_MS < facts.looked_ms


def _of(invariant: int, facts: Facts, trade: BotTrade, words: str) -> Violation:
    what = f"the bot's trade of setup {trade.setup} in {trade.symbol}"
    return Violation(invariant=invariant, at=iso(facts.end_ms), detail=f"{what} {words}")
