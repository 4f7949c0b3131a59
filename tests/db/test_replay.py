"""A replay of stored bars: the sessions of a period, by the code that trades, in a state of its own."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings

from execution.errors import ConfigError
from execution.models import Decision, FillRecord, Intent, RebalanceSettings
from execution.sessions.replay import replay_slots, slots_between
from execution.sessions.sandbox import ReplayTerms, replay_in_sandbox
from execution.sessions.slots import HOUR
from market.errors import DataMissingError
from market.models import Symbol
from ops.progress import Silent
from tests.desk import START, run_slot
from tests.fitted_desk import fitted_database

pytestmark = pytest.mark.slow

N_SLOTS = 6


class Listener(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.total = 0
        self.labels: list[str] = []

    def start(self, total: int, label: str) -> None:
        self.total = total

    def advance(self, label: str) -> None:
        self.labels.append(label)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), fitted_database(tmp_path_factory) as once:
        yield once


@pytest.fixture(scope="module")
def lived(fitted, tmp_path_factory):
    """Let a desk trade six slots, and return it with the hours of them; no test changes it."""
    with fitted.opened(tmp_path_factory.mktemp("lived"), margin_mode="hedging") as desk:
        Symbol.objects.filter(name="BNBUSD").update(is_traded=False)
        RebalanceSettings.objects.update_or_create(pk=1, defaults={"sizing_capital": 60_000})
        hours = [START + HOUR * (n + 1) for n in range(N_SLOTS)]
        for hour in hours:
            run_slot(desk, hour)
        desk.step(timedelta(hours=2))  # the last bar is stored once a later one has begun
        run_slot(desk, hours[-1] + 2 * HOUR)
        yield desk, hours


def terms(hours, **changes) -> ReplayTerms:
    return ReplayTerms(begin=hours[0], end=hours[-1] + HOUR, **changes)


def symbols() -> list[Symbol]:
    return list(Symbol.objects.traded())


@pytest.mark.deep
def test_what_was_lived_is_replayed_with_the_same_deals_and_nothing_here_changes(lived):
    _, hours = lived
    before = (Decision.objects.count(), Intent.objects.count(), FillRecord.objects.count())
    listener = Listener()

    replayed = replay_in_sandbox(terms(hours), symbols(), progress=listener)

    names = [f"{hour:%Y-%m-%dT%H}" for hour in hours]
    ours = FillRecord.objects.filter(intent__cause_id__in=names).select_related("intent").order_by("deal_id")
    assert ours.count() > 1
    assert [(f["slot"], f["symbol"], f["side"], f["entry"], Decimal(f["volume"])) for f in replayed["fills"]] == [
        (f.intent.cause_id, f.symbol, f.side, f.entry, f.volume) for f in ours
    ]
    assert [point["slot"] for point in replayed["equity"]] == listener.labels == names
    assert (listener.total, replayed["slots"]) == (N_SLOTS, N_SLOTS)
    assert (Decision.objects.count(), Intent.objects.count(), FillRecord.objects.count()) == before
    assert list((settings.STATE_DIR / "replays").iterdir()) == []


@pytest.mark.deep
def test_without_costs_and_with_held_opens_every_deal_is_at_the_hours_open_and_costs_nothing(lived):
    desk, hours = lived

    free = terms(hours, spread=0, commission=0, swap=0, hold_open=True)
    replayed = replay_in_sandbox(free, symbols())

    market = desk.world.market
    for fill in replayed["fills"]:
        bars = market.hour_bars(fill["symbol"])
        hour_ms = int(hours[0].timestamp() * 1000) + 3_600_000 * [f"{h:%Y-%m-%dT%H}" for h in hours].index(fill["slot"])
        opened = bars.open[bars.row(hour_ms)] / 10**bars.digits
        assert (float(fill["price"]), fill["commission"], fill["swap"]) == (opened, "0.00", "0.00")
    assert replayed["fills"]


def test_a_period_whose_bars_are_not_stored_is_refused_by_name(lived):
    _, hours = lived
    late = ReplayTerms(begin=hours[0], end=hours[-1] + 100 * HOUR)

    with pytest.raises(DataMissingError, match="BTCUSD end at"):
        replay_in_sandbox(late, symbols())


def test_a_desk_that_trades_is_never_replayed_on(lived):
    _, hours = lived

    with pytest.raises(ConfigError, match="has not traded"):
        replay_slots(hours[0], hours[-1], progress=Silent())


def test_a_period_must_have_a_slot(lived):
    _, hours = lived

    with pytest.raises(ConfigError, match="begin before it ends"):
        ReplayTerms(begin=hours[0], end=hours[0])


def test_slots_come_in_the_order_in_which_they_act():
    slots = slots_between(START, START + 24 * HOUR)

    assert [slot.hour.hour for slot in slots] == [*range(8, 24), *range(8)]
    assert sorted(slot.at for slot in slots) == [slot.at for slot in slots]
