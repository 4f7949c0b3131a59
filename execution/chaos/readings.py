"""Questions that several invariants ask of the facts; every answer comes from the venue's books."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation

from execution.chaos.facts import (
    DEAL,
    REMOVE,
    ZERO,
    Attempt,
    Deal,
    Facts,
    Intent,
    Request,
    is_ours,
)

NOT_AFTER_MS = 2_000
HORIZON_MS = 15_000

# Answers after which it is certain whether the request was executed; the terminal's documentation, not our tables.
DONE, DONE_PARTIAL, NO_CHANGES = 10009, 10010, 10025
REFUSED = frozenset(
    {10004, 10006, 10007, *range(10013, 10023), 10024, 10026, 10027, 10029, 10030, 10032, 10033, 10034, 10035}
) | {10036, 10038, *range(10040, 10047)}
NEVER_SENT = frozenset({-2, -5, -6, -7, -8})  # last_error of a None that says so


def is_certain(request: Request) -> bool:
    """Return whether the answer tells what happened."""
    if request.retcode == -1:
        return request.error in NEVER_SENT
    if request.retcode in (DONE, DONE_PARTIAL):
        return request.action == REMOVE or (request.deal != 0 and request.answered > 0)
    return request.retcode in REFUSED or request.retcode == NO_CHANGES


def lots_of(request: Request) -> Decimal | None:
    """Return the volume of a request, None when it is no finite number."""
    return finite(request.volume)


def finite(text: str) -> Decimal | None:
    """Return a number that came as text, None for what is none, or is NaN or infinite."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def signed_lots(request: Request) -> Decimal:
    """Return what a request wants to add to the position; 0 when its volume is absurd."""
    lots = lots_of(request) or ZERO
    return lots if request.side == 0 else -lots


def is_reduction(request: Request, *, hedging: bool) -> bool:
    """Return whether the venue's books prove that a request can only make a position smaller."""
    if request.action == REMOVE:
        return True
    lots = lots_of(request)
    if request.action != DEAL or lots is None or lots <= 0:
        return False
    if hedging:
        held = next((h for h in request.books.holdings if h.ticket == request.position), None)
        return held is not None and held.side != request.side and lots <= held.volume
    net = request.books.net(request.symbol)
    return net * signed_lots(request) < 0 and lots <= abs(net)


def is_level(text: str) -> bool:
    """Return whether a price that came with a request is one: finite and above 0."""
    price = finite(text)
    return price is not None and price > 0


def adds_risk(request: Request, *, hedging: bool) -> bool:
    """Return whether a request may make a position larger; what would be refused as absurd adds none."""
    lots = lots_of(request)
    if request.action != DEAL or lots is None or lots <= 0:
        return False
    return not is_reduction(request, hedging=hedging) and not closes_what_is_gone(request, hedging=hedging)


def closes_what_is_gone(request: Request, *, hedging: bool) -> bool:
    """Return whether a hedging close names a position that has meanwhile gone: the venue refuses it."""
    return hedging and request.position != 0 and all(h.ticket != request.position for h in request.books.holdings)


def is_full_close(request: Request) -> bool:
    """Return whether a request closes the whole of a hedging ticket."""
    return any(h.ticket == request.position and h.volume == lots_of(request) for h in request.books.holdings)


def intent_of(facts: Facts, request: Request) -> Intent | None:
    """Return the intent of a request, by its magic or, of one that has none of its own, by its attempt's."""
    attempt = attempt_of(facts, request)
    return facts.intents.get(attempt.magic if attempt and request.action != DEAL else request.magic)


def attempts_for(facts: Facts, request: Request) -> Iterator[Attempt]:
    """Yield what the journal had written down of such a request by the time it came."""
    return (a for a in facts.attempts_by_key.get(request.key, ()) if a.at_ms <= request.at_ms)


def attempt_of(facts: Facts, request: Request) -> Attempt | None:
    """Return the newest of those."""
    return max(attempts_for(facts, request), key=lambda attempt: attempt.number, default=None)


def our_lots(facts: Facts, symbol: str, *, until_ms: float = math.inf, last_deal: float = math.inf) -> Decimal:
    """Return what is ours of a symbol by the venue's deals, in signed lots.

    On a hedging account it is what is left of the positions that our deals opened; on a netting one what our own deals
    add up to, or the smaller position where other people's have taken of it.
    """
    deals = [d for d in facts.deals if d.symbol == symbol and d.at_ms <= until_ms and d.ticket <= last_deal]
    if not facts.hedging:
        ours, net = sum((d.lots for d in deals if is_ours(d.magic)), ZERO), sum((d.lots for d in deals), ZERO)
        return min(ours, net, key=abs) if ours * net > 0 else ZERO
    opened = {d.position_id for d in facts.deals if d.entry == 0 and is_ours(d.magic)}
    return sum((d.lots for d in deals if d.position_id in opened), ZERO)


def traded_symbols(facts: Facts) -> list[str]:
    """Return the symbols that we ever decided on or dealt in."""
    return sorted({d.symbol for d in facts.decisions} | {d.symbol for d in facts.deals if is_ours(d.magic)})


def filled_by(deals: Iterable[Deal], magic: int) -> Decimal:
    """Return the lots that were executed under a magic by program."""
    return sum((d.volume for d in deals if d.magic == magic and d.by_program), ZERO)
