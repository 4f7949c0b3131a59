"""Costs learned from a desk that traded: they are what the simulated broker takes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from execution.learned_costs import learned_from
from execution.models import FillRecord, RebalanceSettings
from simulator.symbols import CATALOGUE
from tests.desk import START, run_slot
from tests.fitted_desk import fitted_database


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), fitted_database(tmp_path_factory) as fitted:
        yield fitted


@pytest.fixture
def desk(fitted, tmp_path):
    with fitted.opened(tmp_path) as opened:
        yield opened


def test_a_desk_learns_what_the_simulated_broker_takes(desk):
    RebalanceSettings.objects.update_or_create(pk=1, defaults={"sizing_capital": 99_000})
    for n in range(1, 4):
        run_slot(desk, START + timedelta(hours=n))

    learned = {name: one for name, one in learned_from(["BTCUSD", "ETHUSD"]).items() if one.n_fills}

    assert learned
    for name, one in learned.items():
        symbol = CATALOGUE[name]
        price = float(FillRecord.objects.filter(symbol=name).first().price)
        assert one.n_fills == FillRecord.objects.filter(symbol=name).count()
        assert one.costs.spread_fraction.value == pytest.approx(symbol.spread_points * symbol.point / price, rel=0.05)
        assert one.costs.slippage.value == 0.0  # it fills at the price that was asked for
        assert one.costs.commission_rate.value == pytest.approx(symbol.commission_rate, rel=2e-2)  # in cents
