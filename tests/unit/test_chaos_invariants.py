"""Each invariant of the judge on facts written by hand: a lawful course is none, the smallest breach is that one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from execution.chaos.facts import BUY, DEAL, PROTECT, REMOVE, SELL, Caps, Change, Facts, Kill, Missed, Naked, Repeat
from execution.chaos.judge import INVARIANTS, judge_facts
from execution.chaos.readings import our_lots
from tests.chaos_builders import (
    BOTS,
    CLOSED,
    ENTERED,
    HOUR,
    LEFT,
    MINUTE,
    NAME,
    NINE,
    OPENED,
    OTHER,
    OURS,
    SECOND,
    SLOT,
    D,
    attempt,
    books,
    deal,
    decision,
    held,
    intent,
    lawful,
    netting,
    request,
    state,
    the_trade,
    while_held,
    with_bot,
    with_close,
    with_entry,
)

KILL = Kill(number=1, latched_ms=SLOT - MINUTE, flat_ms=SLOT - 50 * SECOND, rearmed_ms=SLOT - 40 * SECOND)
EARLY_ATTEMPT = (attempt(1, SLOT - 4 * SECOND, "0.1"), lawful().attempts[1])
OTHER_BOTS = replace(with_bot().intents[BOTS], magic=BOTS + 1)
AGAIN = replace(with_bot().deals[2], ticket=205, at_ms=ENTERED + 20 * MINUTE, magic=BOTS + 1, position_id=602)
ANOTHER_SETUP = replace(OTHER_BOTS, cause_id="6:enter")
NAKED = Naked(ticket=601, since_ms=ENTERED, until_ms=ENTERED + 6 * SECOND)
BESIDE = replace(held("0.3", ticket=502), symbol=OTHER)  # a position in the bot's symbol, the session's


def bots_request(number: int = 1, **changes) -> Facts:
    """Return the course with the bot, with one of its requests changed: the session's, the bot's, the session's."""
    course = with_bot()
    changed = [replace(r, **changes) if i == number else r for i, r in enumerate(course.requests)]
    return replace(course, requests=tuple(changed))


def entered_again(intent, **changes) -> Facts:
    course = with_bot()
    intents = {**course.intents, BOTS + 1: intent}
    return replace(course, deals=(*course.deals, replace(AGAIN, **changes)), intents=intents)


def missed(reason: str, **changes) -> Facts:
    return with_bot(missed=(Missed(setup=6, symbol=OTHER, bar_ms=NINE, reason=reason),), **changes)


BOT_BREACHES = [
    pytest.param(4, with_bot(trades=the_trade(result=D("-9.30"))), id="4 booked a cent too much"),
    pytest.param(4, with_bot(trades=the_trade(booked=D("-9.01"))), id="4 learned without costs"),
    pytest.param(4, with_bot(trades=the_trade(booked=None)), id="4 never learned"),
    pytest.param(4, with_bot(trades=the_trade(status="missed", result=None)), id="4 missed and filled"),
    pytest.param(6, with_bot(trades=the_trade(status="open")), id="6 open without a position"),
    pytest.param(6, with_bot(trades=the_trade(status="planned")), id="6 never found out"),
    pytest.param(6, while_held(trades=()), id="6 a position without a trade"),
    pytest.param(6, while_held(trades=the_trade(status="closed")), id="6 a position that is said to be closed"),
    pytest.param(6, while_held(looked_ms=NINE + 77 * MINUTE), id="6 held past its time"),
    pytest.param(6, with_bot(resting=(OTHER,)), id="6 an order of the bot's rests"),
    pytest.param(11, entered_again(OTHER_BOTS), id="11 a setup twice"),
    pytest.param(11, entered_again(ANOTHER_SETUP, at_ms=ENTERED + MINUTE), id="11 a bar twice"),
    pytest.param(12, bots_request(books=books(BESIDE)), id="12 the bot beside the session"),
    pytest.param(12, bots_request(0, books=books(held("0.1", magic=BOTS))), id="12 the session beside the bot"),
    pytest.param(12, bots_request(2, books=books(held("0.1", magic=BOTS))), id="12 the session closes the bot's"),
    pytest.param(14, bots_request(books=books(replace(BESIDE, magic=BOTS + 9))), id="14 a second position"),
    pytest.param(14, with_bot(naked=(NAKED,)), id="14 naked for six seconds"),
    pytest.param(16, missed("spread_cap: wide"), id="16 a veto"),
    pytest.param(16, missed(""), id="16 forgotten"),
]
BREACHES = [
    *BOT_BREACHES,
    pytest.param(1, lawful(kills=(replace(KILL, rearmed_ms=SLOT + 1, latched_ms=SLOT - 1),)), id="1 begun after"),
    pytest.param(
        1,
        lawful(kills=(Kill(number=1, latched_ms=SLOT - 3000, rearmed_ms=SLOT + 1),), attempts=EARLY_ATTEMPT),
        id="1 too late",
    ),
    pytest.param(2, lawful(changes=state(SLOT - MINUTE, "paused")), id="2 opens while paused"),
    pytest.param(2, lawful(changes=state(SLOT - MINUTE, "blocked", "guard:loss")), id="2 opens while blocked"),
    pytest.param(2, lawful(changes=state(SLOT - MINUTE, "paused", f"symbol:{NAME}")), id="2 symbol paused"),
    pytest.param(2, lawful(changes=state(SLOT + MINUTE, "killed")), id="2 a session closes while killed"),
    pytest.param(3, lawful(attempts=lawful().attempts[1:]), id="3 no attempt"),
    pytest.param(3, lawful(attempts=(attempt(1, SLOT + 1, "0.1"), lawful().attempts[1])), id="3 written after"),
    pytest.param(3, lawful(requests=(*lawful().requests, request(3, SLOT + HOUR, "0.01", magic=0))), id="3 no magic"),
    pytest.param(4, lawful(intents={**lawful().intents, OPENED: intent(OPENED, "0", "0.09")}), id="4 more than asked"),
    pytest.param(4, lawful(deals=(*lawful().deals, deal(203, SLOT + HOUR, "0.1"))), id="4 filled twice"),
    pytest.param(4, lawful(intents={CLOSED: lawful().intents[CLOSED]}), id="4 no intent"),
    pytest.param(6, lawful(decisions=(decision(SLOT, "0.1"),)), id="6 not at the target"),
    pytest.param(6, lawful(decisions=(decision(SLOT, "0.1", verdict="failed"),)), id="6 no reason"),
    pytest.param(6, lawful(resting=(NAME,)), id="6 an order rests"),
    pytest.param(
        6, lawful(decisions=(decision(SLOT, "0", verdict="hold", blocker="on target"),)), id="6 held for naught"
    ),
    pytest.param(
        7, lawful(intents={**lawful().intents, OPENED: intent(OPENED, "0", "0.1", capital=D(8_000))}), id="7 capital"
    ),
    pytest.param(7, lawful(caps=Caps(max_order=D(8_000))), id="7 order"),
    pytest.param(7, with_entry(books=books(held("1.1", side=SELL))), id="7 gross"),
    pytest.param(
        7,
        lawful(
            attempts=(*lawful().attempts, attempt(0, SLOT - 1, "40", magic=OURS + 9, symbol=OTHER, resolved_ms=None))
        ),
        id="7 what is under way",
    ),
    pytest.param(8, with_entry(volume="nan"), id="8 NaN"),
    pytest.param(8, with_entry(volume="inf"), id="8 infinite"),
    pytest.param(8, with_entry(volume="0.0"), id="8 zero"),
    pytest.param(8, with_entry(volume="-0.1"), id="8 negative"),
    pytest.param(8, with_entry(volume="0.015"), id="8 off the grid"),
    pytest.param(8, with_entry(volume="100.01"), id="8 too large"),
    pytest.param(
        9, lawful(intents={**lawful().intents, OPENED: intent(OPENED, "0", "0.1", bar_ms=NINE)}), id="9 forming"
    ),
    pytest.param(
        9, lawful(intents={**lawful().intents, OPENED: intent(OPENED, "0", "0.1", bar_ms=NINE - 2 * HOUR)}), id="9 old"
    ),
    pytest.param(9, with_entry(price="270000"), id="9 price"),
    pytest.param(11, lawful(repeats=(Repeat(at_ms=SLOT, what="run 1", before=1, after=2),)), id="11 repeated"),
    pytest.param(12, with_close(books=books(held("0.04"))), id="12 closes more than is held"),
    pytest.param(12, with_close(position=0), id="12 opens on a hedging account"),
    pytest.param(12, with_close(books=books(held("0.1", magic=0))), id="12 foreign"),
    pytest.param(12, lawful(login=8), id="12 account"),
    pytest.param(12, lawful(deals=(*lawful().deals[:1], replace(lawful().deals[1], entry=2))), id="12 flips"),
    pytest.param(13, lawful(caps=Caps(per_day=1)), id="13 day"),
    pytest.param(14, with_entry(magic=BOTS), id="14 neither"),
    pytest.param(14, with_entry(magic=BOTS, stop="85000.0", target="0.0"), id="14 no target"),
    pytest.param(14, with_entry(magic=BOTS, stop="nan", target="95000.0"), id="14 no number"),
    pytest.param(14, lawful(holdings=(held("0.05", magic=BOTS),)), id="14 left naked"),
    pytest.param(15, lawful(kills=(Kill(number=1, latched_ms=SLOT + HOUR + MINUTE),)), id="15 silent"),
    pytest.param(
        15,
        lawful(
            kills=(Kill(number=1, latched_ms=SLOT + MINUTE, flat_ms=SLOT + 2 * MINUTE, rearmed_ms=SLOT + 3 * MINUTE),)
        ),
        id="15 not flat",
    ),
    pytest.param(15, lawful(kills=(replace(KILL, flat_ms=None),)), id="15 armed and never flat"),
    pytest.param(15, lawful(kills=(replace(KILL, rearmed_ms=SLOT + MINUTE),)), id="15 flat, and opened again"),
    pytest.param(
        16, lawful(decisions=(decision(SLOT, "0.1", verdict="blocked", blocker="spread_cap"),)), id="16 vetoed"
    ),
    pytest.param(16, lawful(decisions=(decision(SLOT - 11 * SECOND, "0.1", magic=OPENED),)), id="16 late"),
]


def broken(facts: Facts) -> set[int]:
    return {violation.invariant for violation in judge_facts(facts)}


@pytest.mark.parametrize(
    "facts",
    [lawful(), netting(), with_bot(), while_held()],
    ids=["hedging", "netting", "with the bot", "while it holds"],
)
def test_a_lawful_course_breaks_nothing(facts):
    assert judge_facts(facts) == []


@pytest.mark.parametrize(("invariant", "facts"), BREACHES)
def test_the_smallest_breach_is_found(invariant, facts):
    assert {v.invariant for v in INVARIANTS[invariant](facts)} == {invariant}
    assert invariant in broken(facts)


def test_every_invariant_is_judged():
    assert set(INVARIANTS) == set(range(1, 17))


def test_a_stop_that_is_set_again_needs_its_line_in_the_journal_and_no_volume():
    setting = request(3, SLOT + HOUR + MINUTE, "", magic=0, action=PROTECT, position=501)
    course = lawful(requests=(*lawful().requests, setting))
    written = attempt(3, SLOT + HOUR + MINUTE, "0.05", magic=BOTS, protects=501)
    assert {v.invariant for v in judge_facts(course)} == {3}
    assert judge_facts(replace(course, attempts=(*course.attempts, written))) == []


def test_a_symbol_of_the_bots_has_no_target_to_be_at():
    entry = replace(lawful().deals[0], symbol=OTHER, magic=BOTS, ticket=203, position_id=601)
    course = lawful(deals=(*lawful().deals, entry))
    assert list(INVARIANTS[6](course)) == []
    of_a_session = replace(course, deals=(*lawful().deals, replace(entry, magic=OURS)))
    assert [v.invariant for v in INVARIANTS[6](of_a_session)] == [6]


def test_an_entry_of_the_bots_with_both_levels_is_lawful():
    protected = replace(held("0.05", magic=BOTS), has_stop=True)
    course = with_entry(magic=BOTS, stop="85000.0", target="95000.0")
    assert list(INVARIANTS[14](replace(course, holdings=(protected,)))) == []


def test_a_violation_says_when_and_what():
    [found] = INVARIANTS[8](with_entry(volume="nan"))
    assert found.at == "2026-01-05T09:00:45+00:00"
    assert found.detail == "request 1, nan lots of BTCUSD: the volume must be finite and above 0"


# --- what the bot is allowed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(with_bot(naked=(replace(NAKED, until_ms=ENTERED + 5 * SECOND),)), id="five seconds naked"),
        pytest.param(entered_again(ANOTHER_SETUP), id="another setup in a later bar"),
        pytest.param(with_bot(trades=the_trade(status="open"), looked_ms=LEFT + 30 * SECOND), id="not looked at since"),
        pytest.param(with_bot(trades=the_trade(status="planned"), looked_ms=ENTERED), id="just sent"),
        pytest.param(
            missed("setup_cooldown: waits"),
            id="a rule of its own",
        ),
        pytest.param(
            missed(
                "state: paused",
                changes=(Change(at_ms=0, scope="system", state="paused"),),
            ),
            id="a pause",
        ),
    ],
)
def test_the_bots_checks_find_nothing_in(facts):
    checks = [INVARIANTS[number] for number in (4, 6, 11, 12, 14, 16)]
    found = [violation for check in checks for violation in check(facts)]
    assert [v for v in found if "magic" not in v.detail] == []


@pytest.mark.parametrize(("retcode", "excused"), [(10018, True), (10009, False)], ids=["refused", "done"])
@pytest.mark.parametrize("action", [PROTECT, DEAL], ids=["protect", "close"])
def test_a_position_may_stay_naked_where_the_venue_refuses_to_protect_it(action, retcode, excused):
    tried = request(4, ENTERED + SECOND, "0.2", side=SELL, action=action, position=601, retcode=retcode, symbol=OTHER)
    course = with_bot(naked=(NAKED,))
    found = list(INVARIANTS[14](replace(course, requests=(*course.requests, tried))))
    assert (found == []) is excused


def test_before_things_have_settled_no_trade_has_to_be_at_its_end():
    assert list(INVARIANTS[6](while_held(trades=(), is_settled=False))) == []


# --- what is allowed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(
            lawful(
                kills=(Kill(number=1, latched_ms=SLOT - SECOND, rearmed_ms=SLOT + 1),),
                attempts=(attempt(1, SLOT - 2 * SECOND, "0.1"), lawful().attempts[1]),
            ),
            id="under way when the latch came",
        ),
        pytest.param(lawful(kills=(replace(KILL, rearmed_ms=SLOT - 1),)), id="armed again"),
    ],
)
def test_what_was_sent_before_the_latch_or_after_arming_may_arrive(facts):
    assert list(INVARIANTS[1](facts)) == []


@pytest.mark.parametrize("name", ["paused", "blocked"])
def test_a_reduction_is_allowed_while_nothing_may_be_opened(name):
    assert list(INVARIANTS[2](lawful(changes=state(SLOT + MINUTE, name)))) == []


def test_a_close_of_the_kill_is_allowed_while_killing():
    closing = intent(CLOSED, "0.1", "0.05", cause="kill")
    facts = lawful(changes=state(SLOT + MINUTE, "killing"), intents={**lawful().intents, CLOSED: closing})
    assert list(INVARIANTS[2](facts)) == []


def test_a_state_of_another_symbol_says_nothing():
    assert list(INVARIANTS[2](lawful(changes=state(SLOT - MINUTE, "paused", f"symbol:{OTHER}")))) == []


def test_a_cancellation_is_found_in_the_journal_by_its_order():
    taken_back = request(3, SLOT + HOUR, "0", magic=0, action=REMOVE, order_ticket=77)
    written = attempt(3, SLOT + HOUR, "0.05", magic=OURS + 3, reduces=True, order_ticket=77)
    course = lawful(requests=(*lawful().requests, taken_back), attempts=(*lawful().attempts, written))
    assert list(INVARIANTS[3](course)) == []
    assert [v.invariant for v in INVARIANTS[3](replace(course, attempts=lawful().attempts))] == [3]


def doubtful(after_ms: int, *, resolved_ms: int | None, hedging: bool = True, **second) -> Facts:
    """Return a course whose first answer was lost, and that sends once more so much later."""
    first = request(1, SLOT, "0.1", retcode=-1, error=-10002, deal=0, answered=D(0))
    then = request(2, SLOT + after_ms, "0.1", **({"magic": CLOSED} | second))
    return lawful(
        hedging=hedging,
        requests=(first, then),
        attempts=(
            attempt(1, SLOT, "0.1", resolved_ms=resolved_ms),
            attempt(2, SLOT + after_ms, "0.1", magic=CLOSED),
        ),
    )


@pytest.mark.parametrize(
    ("facts", "allowed"),
    [
        pytest.param(doubtful(1, resolved_ms=None), False, id="at once"),
        pytest.param(doubtful(MINUTE, resolved_ms=None), False, id="never settled"),
        pytest.param(doubtful(MINUTE, resolved_ms=SLOT + 14 * SECOND), False, id="settled before the horizon"),
        pytest.param(doubtful(MINUTE, resolved_ms=SLOT + 2 * MINUTE), False, id="settled later"),
        pytest.param(doubtful(MINUTE, resolved_ms=SLOT + 40 * SECOND), True, id="settled past the horizon"),
        pytest.param(doubtful(1, resolved_ms=None, symbol=OTHER), True, id="another symbol"),
        pytest.param(
            doubtful(1, resolved_ms=None, side=SELL, position=501, books=books(held("0.1"))), True, id="a full close"
        ),
        pytest.param(
            doubtful(1, resolved_ms=None, side=SELL, position=501, books=books(held("0.2"))),
            False,
            id="a partial close",
        ),
        pytest.param(
            doubtful(1, resolved_ms=None, side=SELL, position=501, books=books(held("0.1")), hedging=False),
            False,
            id="a netting close",
        ),
    ],
)
def test_doubt_freezes_a_symbol_until_it_is_settled_past_the_horizon(facts, allowed):
    assert [v.invariant for v in INVARIANTS[5](facts)] == ([] if allowed else [5])


@pytest.mark.parametrize("retcode", [10008, 10011, 10012, 10023, 10028, 10031, 10039, 10777, 0])
def test_an_answer_that_tells_nothing_is_doubt(retcode):
    facts = doubtful(1, resolved_ms=None)
    first = replace(facts.requests[0], retcode=retcode)
    assert [v.invariant for v in INVARIANTS[5](replace(facts, requests=(first, facts.requests[1])))] == [5]


@pytest.mark.parametrize("retcode", [10004, 10006, 10014, 10018, 10019, 10024, 10046])
def test_a_refusal_is_none(retcode):
    facts = doubtful(1, resolved_ms=SLOT)
    first = replace(facts.requests[0], retcode=retcode)
    assert list(INVARIANTS[5](replace(facts, requests=(first, facts.requests[1])))) == []


def test_an_answer_that_was_never_booked_is_doubt():
    facts = doubtful(1, resolved_ms=None)
    booked = replace(facts.requests[0], retcode=10009, deal=201, answered=D("0.1"))
    lost = replace(facts.attempts[0], replied_ms=None)
    facts = replace(facts, requests=(booked, facts.requests[1]), attempts=(lost, facts.attempts[1]))
    assert [v.invariant for v in INVARIANTS[5](facts)] == [5]


@pytest.mark.parametrize(
    ("blocker", "halted"),
    [
        ("the venue's position of BTCUSD is not what our book says; look at it", True),
        ("system is paused: lunch", True),
        ("already done for session 2026-01-05T09", False),
        ("an earlier request's outcome is not known yet", False),
        ("", False),
    ],
)
def test_a_symbol_that_is_not_at_its_target_names_why_it_halts(blocker, halted):
    facts = lawful(decisions=(decision(SLOT, "0.1", verdict="failed", blocker=blocker),))
    assert [v.invariant for v in INVARIANTS[6](facts)] == ([] if halted else [6])


def test_the_end_is_not_judged_before_things_have_settled():
    assert list(INVARIANTS[6](lawful(decisions=(decision(SLOT, "0.1"),), is_settled=False))) == []


def test_after_a_kill_nothing_is_to_be_held():
    killed = Kill(number=1, latched_ms=SLOT + 2 * HOUR, flat_ms=SLOT + 2 * HOUR)
    assert [v.invariant for v in INVARIANTS[6](lawful(kills=(killed,)))] == [6]


def test_on_a_netting_account_no_more_is_closed_than_is_ours():
    bought = deal(200, SLOT - 1, "0.2", magic=0, position_id=501)
    close = replace(netting().requests[1], volume="0.15", books=books(held("0.3")))
    course = netting(deals=(bought, *lawful().deals), requests=(netting().requests[0], close))
    assert [v.detail.split(": ")[1] for v in INVARIANTS[12](course)] == ["closes more than the 0.1 lots that are ours"]


@pytest.mark.parametrize(("stranger", "blamed"), [(202, True), (203, False)])
def test_nobody_is_blamed_for_what_another_person_trades_while_the_request_is_in_the_venues_hands(stranger, blamed):
    """A deal by hand before the request came is ours to see; one after it came is not."""
    by_hand = deal(stranger, SLOT + HOUR, "0.08", side=SELL, entry=1, magic=0)
    flip = deal(204, SLOT + HOUR, "0.05", side=SELL, entry=2, magic=CLOSED)
    close = replace(netting().requests[1], last_deal=202)
    course = netting(deals=(lawful().deals[0], by_hand, flip), requests=(netting().requests[0], close))
    assert any("turned the position over" in v.detail for v in INVARIANTS[12](course)) == blamed


@pytest.mark.parametrize(("foreign", "ours"), [("0.2", "0.05"), ("-0.02", "0.03"), ("-0.2", "0"), ("-0.05", "0")])
def test_on_a_netting_account_ours_is_what_other_people_have_left_of_it(foreign, ours):
    side = BUY if D(foreign) > 0 else SELL
    other = deal(203, SLOT + HOUR, foreign.lstrip("-"), side=side, magic=0)
    assert our_lots(netting(deals=(*lawful().deals, other)), NAME) == D(ours)


def test_requests_of_a_minute_are_counted_and_those_of_a_kill_are_exempt():
    crowd = tuple(request(n, SLOT + n, "0.01") for n in range(1, 62))
    facts = lawful(requests=crowd)
    assert [v.invariant for v in INVARIANTS[13](facts)] == [13]
    of_a_kill = {OPENED: intent(OPENED, "0", "0.1", cause="kill")}
    assert list(INVARIANTS[13](replace(facts, intents=of_a_kill, attempts=(attempt(1, SLOT, "0.1"),)))) == []


def test_a_trader_that_lost_its_lease_is_found_by_its_token():
    stale = (replace(lawful().attempts[0], fence=2), attempt(2, SLOT + HOUR, "0.05", magic=CLOSED, fence=1))
    late = request(2, SLOT + HOUR, "0.05", magic=CLOSED)
    assert [v.invariant for v in INVARIANTS[10](lawful(attempts=stale, requests=(lawful().requests[0], late)))] == [10]


def test_a_session_that_goes_on_after_another_one_has_begun_is_found():
    third = request(3, SLOT + HOUR + 1, "0.02", magic=OPENED)
    late = attempt(3, SLOT + HOUR + 1, "0.02")
    course = lawful(requests=(*lawful().requests, third), attempts=(*lawful().attempts, late))
    assert [v.detail.split(": ")[1] for v in INVARIANTS[10](course)] == [
        f"is of the session {NINE}, and another one has begun to trade since"
    ]


def test_two_intents_of_one_slot_are_one_too_many():
    twin = intent(CLOSED, "0", "0.1")
    requests = (lawful().requests[0], request(2, SLOT + 1, "0.05", magic=CLOSED))
    attempts = (lawful().attempts[0], attempt(2, SLOT + 1, "0.05", magic=CLOSED))
    facts = lawful(intents={OPENED: lawful().intents[OPENED], CLOSED: twin}, requests=requests, attempts=attempts)
    assert [v.invariant for v in INVARIANTS[11](facts)] == [11]


def test_a_kill_that_goes_on_shouting_keeps_its_promise():
    facts = lawful(kills=(Kill(number=1, latched_ms=SLOT + 2 * HOUR),), alerts=frozenset({"kill"}))
    assert list(INVARIANTS[15](facts)) == []


def test_where_something_fails_a_veto_is_allowed():
    vetoed = (decision(SLOT, "0.1", verdict="blocked", blocker="spread_cap"),)
    assert list(INVARIANTS[16](lawful(decisions=vetoed, n_faults=1))) == []
    assert list(INVARIANTS[16](lawful(decisions=vetoed, is_disturbed=True))) == []
    assert list(INVARIANTS[16](lawful(decisions=vetoed, changes=state(SLOT, "paused")))) == []
