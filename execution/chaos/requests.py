"""The invariants that every single request to the venue has to keep: one function each, over plain facts."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from decimal import Decimal

from execution.chaos.facts import (
    DEAL,
    ENTRY_IN_OUT,
    PROTECT,
    REMOVE,
    ZERO,
    Deal,
    Facts,
    Request,
    Violation,
    is_ours,
    is_the_bots,
    iso,
)
from execution.chaos.readings import (
    HORIZON_MS,
    NOT_AFTER_MS,
    adds_risk,
    attempt_of,
    attempts_for,
    filled_by,
    finite,
    intent_of,
    is_certain,
    is_full_close,
    is_reduction,
    lots_of,
    our_lots,
    signed_lots,
)

HOUR_MS, MINUTE_MS, DAY_MS = 3_600_000, 60_000, 86_400_000
DRIFT = Decimal("1.02")  # the price may move this far between a plan and its order
FURTHEST_PRICE = Decimal("0.05")  # the hard ceiling of the price collar, a fraction
CEILINGS = (Decimal(2), Decimal(3), Decimal(3), Decimal(1_000_000))  # of position, gross, net and one order
SESSIONS = frozenset({"session", "manual"})  # causes of a trader's intents
RESTRICTED, DEAD = frozenset({"paused", "blocked"}), frozenset({"killing", "killed"})


def broken(invariant: int, request: Request, words: str) -> Violation:
    """Return what a request did wrong."""
    what = f"request {request.number}, {request.volume} lots of {request.symbol or request.order_ticket}"
    return Violation(invariant=invariant, at=iso(request.market_ms or request.at_ms), detail=f"{what}: {words}")


def nothing_added_after_the_latch(facts: Facts) -> Iterator[Violation]:
    """1: no request that adds risk comes later than the latch and ``not_after``, or was sent after it."""
    for request in facts.requests:
        if not adds_risk(request, hedging=facts.hedging):
            continue
        for kill in facts.kills:
            if not kill.covers(request.at_ms):
                continue
            attempt = attempt_of(facts, request)
            late = request.at_ms - kill.latched_ms
            if late > NOT_AFTER_MS:
                yield broken(1, request, f"adds risk {late / 1000:.1f} s after the latch of kill {kill.number}")
            elif attempt is None or attempt.at_ms > kill.latched_ms:
                yield broken(1, request, f"adds risk and was begun after the latch of kill {kill.number}")


def state_is_kept(facts: Facts) -> Iterator[Violation]:
    """2: paused and blocked only reduce, killing and killed only close for the kill."""
    for request in facts.requests:
        attempt = attempt_of(facts, request)
        states = _states(facts, request, sent_ms=attempt.at_ms if attempt else request.at_ms)
        if states & DEAD and not _is_of_a_kill(facts, request):
            yield broken(2, request, "is none of the kill's closes, and trading is killed")
        elif states & (RESTRICTED | DEAD) and adds_risk(request, hedging=facts.hedging):
            yield broken(2, request, f"adds risk while {', '.join(sorted(states))}")


def _states(facts: Facts, request: Request, *, sent_ms: int) -> frozenset[str]:
    """Return the states that hold for a request; one that was sent before a change may still arrive soon after it."""
    family = "setup" if is_the_bots(request.magic) else "rebalance"
    scopes = {"system", f"symbol:{request.symbol}", f"family:{family}"}
    newest: dict[str, str] = {}
    for change in facts.changes:
        in_flight = sent_ms <= change.at_ms and request.at_ms <= change.at_ms + NOT_AFTER_MS
        if change.at_ms >= request.at_ms or in_flight:
            continue
        if change.scope in scopes or change.scope.startswith("guard:"):
            newest[change.scope] = change.state
    return frozenset(newest.values())


def _is_of_a_kill(facts: Facts, request: Request) -> bool:
    intent = intent_of(facts, request)
    return intent is not None and intent.cause == "kill"


def everything_is_journalled_first(facts: Facts) -> Iterator[Violation]:
    """3: the k-th request under a magic has at least k attempts that were written down before it."""
    came: Counter[tuple[str, int]] = Counter()
    for request in facts.requests:
        key = request.key
        came[key] += 1
        written = sum(1 for _ in attempts_for(facts, request))
        if written < came[key]:
            yield broken(3, request, f"is the {came[key]}. of its kind, and {written} had been written down")


def doubt_freezes(facts: Facts) -> Iterator[Violation]:
    """5: after an outcome that nobody knows, nothing of the symbol is sent until a reconcile past the horizon."""
    doubtful: dict[str, Request] = {}
    for request in facts.requests:
        before = doubtful.get(request.symbol)
        if before is not None and request.action == DEAL and not _is_exempt(facts, request):
            settled = _settled_ms(facts, before)
            if settled is None or settled > request.at_ms or settled < before.at_ms + HORIZON_MS:
                yield broken(5, request, f"is sent while the outcome of request {before.number} is not known")
        if request.action == DEAL and _is_doubtful(facts, request):
            doubtful[request.symbol] = request
        elif before is not None and request.action == DEAL and not _is_exempt(facts, request):
            del doubtful[request.symbol]


def _is_exempt(facts: Facts, request: Request) -> bool:
    return facts.hedging and is_full_close(request)


def _is_doubtful(facts: Facts, request: Request) -> bool:
    """Return whether the answer told nothing, or never came to the journal."""
    attempt = attempt_of(facts, request)
    return not is_certain(request) or (attempt is not None and attempt.replied_ms is None)


def _settled_ms(facts: Facts, request: Request) -> int | None:
    attempt = attempt_of(facts, request)
    return attempt.resolved_ms if attempt else None


def exposure_is_capped(facts: Facts) -> Iterator[Violation]:
    """7: what is held and may come of what is under way stays under the caps at each send, and under the ceilings."""
    for request in facts.requests:
        if not adds_risk(request, hedging=facts.hedging) or request.symbol not in request.books.lot_values:
            continue
        yield from _over_caps(facts, request)


def _over_caps(facts: Facts, request: Request) -> Iterator[Violation]:
    caps, books, lots = facts.caps, request.books, abs(signed_lots(request))
    value, intent = books.lot_values[request.symbol], intent_of(facts, request)
    pending = _pending(facts, request)
    side = books.lots(request.symbol, request.side) + pending.get((request.symbol, request.side), ZERO) + lots
    gross = sum((h.volume * books.lot_values.get(h.symbol, ZERO) for h in books.holdings), ZERO) + lots * value
    gross += sum((v * books.lot_values.get(symbol, ZERO) for (symbol, _), v in pending.items()), ZERO)
    net = sum((h.lots * books.lot_values.get(h.symbol, ZERO) for h in books.holdings), signed_lots(request) * value)
    capital = intent.capital if intent and intent.capital else None
    bounds = [("all positions", gross, caps.max_gross * books.equity, CEILINGS[1] * books.equity)]
    bounds += [("the net position", abs(net), caps.max_net * books.equity, CEILINGS[2] * books.equity)]
    bounds += [("the order", lots * value, caps.max_order, CEILINGS[3])]
    if capital is not None:
        bounds += [("the position", side * value, caps.max_position * capital, CEILINGS[0] * capital)]
    for name, worth, cap, ceiling in bounds:
        if worth > min(cap, ceiling) * DRIFT:
            yield broken(7, request, f"{name} may come to {worth:.2f}, allowed is {min(cap, ceiling):.2f}")


def _pending(facts: Facts, request: Request) -> dict[tuple[str, int], Decimal]:
    """Return the lots that unresolved attempts may still add, by symbol and side."""
    found: dict[tuple[str, int], Decimal] = {}
    own = attempt_of(facts, request)
    known = [d for d in facts.deals if d.ticket <= request.last_deal]
    for attempt in facts.attempts:
        resolved = attempt.resolved_ms is not None and attempt.resolved_ms <= request.at_ms
        if attempt is own or attempt.at_ms > request.at_ms or resolved or attempt.reduces:
            continue
        left = attempt.volume - filled_by(known, attempt.magic)
        key = (attempt.symbol, attempt.side)
        found[key] = found.get(key, ZERO) + max(left, ZERO)
    return found


def volumes_are_tradable(facts: Facts) -> Iterator[Violation]:
    """8: no NaN, no infinity, nothing at or below zero, nothing off the grid."""
    for request in facts.requests:
        if request.action in (PROTECT, REMOVE):
            continue
        lots, grid = lots_of(request), request.books.grid
        if lots is None or lots <= 0:
            yield broken(8, request, "the volume must be finite and above 0")
        elif grid is None:
            yield broken(8, request, "the venue has no such symbol")
        elif lots % grid[1] or lots > grid[2] or (lots < grid[0] and adds_risk(request, hedging=facts.hedging)):
            yield broken(8, request, f"allowed are multiples of {grid[1]} from {grid[0]} to {grid[2]}")


def entries_act_on_news(facts: Facts) -> Iterator[Violation]:
    """9: what a session opens acts on the newest closed bar, at a price that the market has."""
    for request in facts.requests:
        intent = intent_of(facts, request)
        if intent is None or not adds_risk(request, hedging=facts.hedging):
            continue
        newest = request.market_ms // HOUR_MS * HOUR_MS - HOUR_MS
        if intent.bar_ms is not None and intent.bar_ms != newest:
            yield broken(9, request, f"acts on the bar of {iso(intent.bar_ms)}, the newest closed is {iso(newest)}")
        price, mid = finite(request.price), request.books.mid
        if price is None or (mid and abs(price - mid) > FURTHEST_PRICE * mid):
            yield broken(9, request, f"is sent at {request.price}, and the market is at {mid}")


def one_trader_at_a_time(facts: Facts) -> Iterator[Violation]:
    """10: entries come in the order of their leases, and one session's requests in one go: who has lost is refused."""
    highest, last = 0, ("", "")
    ended: set[tuple[str, str]] = set()
    for request in facts.requests:
        attempt, intent = attempt_of(facts, request), intent_of(facts, request)
        if attempt is None or intent is None or intent.cause not in SESSIONS:
            continue
        session = (intent.cause, intent.cause_id)
        if session in ended:
            yield broken(10, request, f"is of the session {intent.cause_id}, and another one has begun to trade since")
        if session != last:
            ended.add(last)
            last = session
        if adds_risk(request, hedging=facts.hedging):
            if attempt.fence < highest:
                yield broken(10, request, f"came with the lease {attempt.fence} after one with {highest}")
            highest = max(highest, attempt.fence)


def closing_only_closes(facts: Facts) -> Iterator[Violation]:
    """12: a close never adds nor flips, what is not ours is untouched, and the account is the right one."""
    for request in facts.requests:
        intent, attempt = intent_of(facts, request), attempt_of(facts, request)
        if intent and (intent.login, intent.server) != (facts.login, facts.server):
            yield broken(12, request, "was meant for another account")
        if request.action != DEAL or not is_ours(request.magic):
            continue
        if attempt and attempt.reduces and adds_risk(request, hedging=facts.hedging):
            yield broken(12, request, "was meant to close, and opens")
        yield from _foreign_touched(facts, request)
    for deal in facts.deals:
        if is_ours(deal.magic) and deal.by_program and deal.entry == ENTRY_IN_OUT and not _taken_from(facts, deal):
            words = f"deal {deal.ticket} of {deal.volume} {deal.symbol} turned the position over"
            yield Violation(invariant=12, at=iso(deal.at_ms), detail=words)


def _taken_from(facts: Facts, flip: Deal) -> bool:
    """Return whether somebody else traded the symbol while the request was in the venue's hands: no fault of ours."""
    request = next((r for r in reversed(facts.requests) if r.magic == flip.magic and r.last_deal < flip.ticket), None)
    if request is None or not is_reduction(request, hedging=facts.hedging):
        return False
    between = (d for d in facts.deals if request.last_deal < d.ticket < flip.ticket)
    return any(d.symbol == flip.symbol and not is_ours(d.magic) for d in between)


def _foreign_touched(facts: Facts, request: Request) -> Iterator[Violation]:
    if facts.hedging:
        held = next((h for h in request.books.holdings if h.ticket == request.position), None)
        if held is not None and not is_ours(held.magic):
            yield broken(12, request, f"closes position {held.ticket}, which is not ours")
    elif is_reduction(request, hedging=False):
        ours = our_lots(facts, request.symbol, last_deal=request.last_deal)
        if ours * signed_lots(request) > 0 or abs(signed_lots(request)) > abs(ours):
            yield broken(12, request, f"closes more than the {ours} lots that are ours")


def rates_are_capped(facts: Facts) -> Iterator[Violation]:
    """13: requests of a minute and of a day stay under their caps, those of a kill aside."""
    minute: deque[int] = deque()
    days: Counter[int] = Counter()
    for request in facts.requests:
        of_a_kill = _is_of_a_kill(facts, request)
        while minute and minute[0] <= request.at_ms - MINUTE_MS:
            minute.popleft()
        minute.append(request.at_ms)
        days[request.market_ms // DAY_MS] += 1
        n_today = days[request.market_ms // DAY_MS]
        if not of_a_kill and len(minute) > facts.caps.per_minute:
            yield broken(13, request, f"is the {len(minute)}. in a minute, allowed are {facts.caps.per_minute}")
        if not of_a_kill and n_today > min(facts.caps.per_day, facts.caps.requests_per_day):
            yield broken(13, request, f"is the {n_today}. of its day, allowed are {facts.caps.per_day}")
