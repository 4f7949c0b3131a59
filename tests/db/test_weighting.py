"""The chosen weights and the volatility target in sessions and previews, held to the stored bars.

What is expected is made from rows of ``Bar`` with NumPy: closed forms, and the definition of equal risk.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from execution import weighting
from execution.deciding import portfolio_weights
from execution.models import Decision, PortfolioWeight, RebalanceSettings
from execution.models.portfolio import FIXED_WEIGHTS, weighting_choices
from execution.services import preview
from execution.weighting import Weighting, compare_weights
from market.models import Bar, Symbol
from market.symbols import chosen_symbols
from strategies.research import allocation
from strategies.research.allocation import ALLOCATIONS
from tests.command_line import manage
from tests.desk import START, run_slot
from tests.fitted_desk import SYMBOLS, fitted_database
from tests.pages_reader import PLAIN_SITE

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
HOUR = timedelta(hours=1)
BAR_AT = START - HOUR  # the newest closed bar of a desk that was just opened
CAPITAL = 90_000
ESTIMATED = [method for method in ALLOCATIONS if method != FIXED_WEIGHTS]
every_estimate = pytest.mark.parametrize("method", ESTIMATED)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), fitted_database(tmp_path_factory) as fitted:
        yield fitted


@pytest.fixture
def desk(fitted, tmp_path):
    with fitted.opened(tmp_path) as opened:
        yield opened


def choose(method: str = FIXED_WEIGHTS, **changes: Any) -> RebalanceSettings:
    """Store the settings that a person chose in the admin, and return them as they are read back."""
    row = RebalanceSettings.load()
    for name, value in {"sizing_capital": CAPITAL, "weighting": method, **changes}.items():
        setattr(row, name, value)
    row.full_clean()
    row.save()
    return RebalanceSettings.current()


def returns(symbol: str, *, lookback: int = 720, bar_at: datetime = BAR_AT) -> np.ndarray:
    """Return the hourly returns up to a bar, from the rows."""
    rows = Bar.objects.filter(symbol=symbol, interval="1h", open_ms__lte=bar_at.timestamp() * 1000)
    closes = np.array(rows.order_by("-open_ms").values_list("close", flat=True)[: lookback + 1])[::-1]
    return closes[1:] / closes[:-1] - 1


def covariance(**window: Any) -> np.ndarray:
    return np.cov(np.array([returns(symbol, **window) for symbol in SYMBOLS]))


def weights_now(names=SYMBOLS, *, bar_at: datetime = BAR_AT) -> Weighting:
    return portfolio_weights(names, settings=RebalanceSettings.current(), bar_at=bar_at)


def used_weights(report) -> list[float]:
    return [float(row.sizing["weight"]) for row in report.symbols]


# --- off ------------------------------------------------------------------------------------------------------------


def test_by_default_weights_are_equal_and_nothing_is_estimated(desk, monkeypatch):
    monkeypatch.setattr(weighting, "read_mtbars", None)  # would fail if it were called
    report = preview(chosen_symbols())

    assert report.warnings == ()
    for row in report.symbols:
        assert Decimal(row.sizing["weight"]) == Decimal(1) / 3
        assert Decimal(row.sizing["capital_per_asset"]) == Decimal(10_000) / 3
        assert row.sizing["capital_scale"] == "1"


def test_fixed_weights_are_what_a_person_set_to_the_last_digit(desk):
    PortfolioWeight.objects.create(symbol=Symbol.objects.get(name="ETHUSD"), weight=Decimal("0.7"))
    third = Decimal(1) / 3

    assert weights_now().weights == {"BTCUSD": third, "ETHUSD": Decimal("0.7"), "BNBUSD": third}


def test_what_can_be_chosen_is_what_is_written():
    assert [key for key, _ in weighting_choices()] == list(ALLOCATIONS)
    assert ALLOCATIONS[FIXED_WEIGHTS] is allocation.fixed
    assert RebalanceSettings().weighting == FIXED_WEIGHTS


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("weighting", "moonshot"),
        ("lookback", 47),
        ("lookback", 8761),
        ("vol_target", 0),
        ("max_scale", Decimal("3.01")),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(name, wrong):
    with pytest.raises(ValidationError, match=name):
        choose(**{name: wrong})


@pytest.fixture
def plain_static(settings, tmp_path):
    """Let pages render without a build of the static files."""
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = settings.STORAGES | PLAIN_SITE["STORAGES"]


def test_the_admin_offers_the_methods_and_keeps_who_chose_one(plain_static, admin_client, admin_user):
    row = RebalanceSettings.load()
    page = admin_client.get(reverse("admin:execution_rebalancesettings_change", args=[row.pk]))
    form = page.context["adminform"].form
    assert [key for key, _ in form.fields["weighting"].choices] == list(ALLOCATIONS)

    filled = {name: "" if value is None else value for name, value in form.initial.items()}
    admin_client.post(page.request["PATH_INFO"], filled | {"weighting": "risk_parity", "vol_target": "0.3"})
    now = RebalanceSettings.current()
    assert (now.weighting, now.vol_target, now.lookback, now.max_scale) == ("risk_parity", Decimal("0.3"), 720, 1)
    assert now.history.first().history_user == admin_user


# --- the chosen method ----------------------------------------------------------------------------------------------


@every_estimate
def test_a_session_trades_the_lots_that_the_chosen_weights_come_to(desk, method):
    choose(method)
    report = run_slot(desk, START + HOUR)
    wanted = covariance(bar_at=START)
    weights = np.array(used_weights(report))

    assert report.warnings == ()
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert weights != pytest.approx([1 / 3] * 3, abs=0.01)
    if method == "inverse_volatility":
        inverse = 1 / np.sqrt(np.diag(wanted))
        assert weights == pytest.approx(inverse / inverse.sum(), abs=3e-6)  # weights come in millionths
    if method == "risk_parity":
        parts = weights * (wanted @ weights)
        assert parts / parts.sum() == pytest.approx([1 / 3] * 3, abs=1e-5)
    for row, weight in zip(report.symbols, weights, strict=True):
        step = {name: Decimal(str(value)) for name, value in row.sizing.items() if name not in ("capped", "reason")}
        assert step["capital_per_asset"] == CAPITAL * Decimal(str(weight))
        lots = round(step["tenths"] * step["capital_per_asset"] / step["price"], 2)
        worth = abs(lots) * step["price"]
        assert row.target_lots in (
            (lots,) if worth <= step["capital_per_asset"] else (lots - Decimal("0.01").copy_sign(lots),)
        )
        assert desk.lots(row.symbol) == row.target_lots
        stored = Decision.objects.get(symbol=row.symbol)
        assert Decimal(stored.sizing["weight"]) == Decimal(str(weight))


@every_estimate
def test_a_symbol_alone_gets_the_weight_that_it_has_among_all(desk, method):
    choose(method)
    [whole, alone] = [preview(chosen_symbols(names)) for names in (None, ["ETHUSD"])]

    assert used_weights(alone) == [used_weights(whole)[1]]


@every_estimate
def test_a_symbol_without_a_share_keeps_none_and_needs_no_history(desk, method):
    choose(method)
    PortfolioWeight.objects.create(symbol=Symbol.objects.get(name="BNBUSD"), weight=0)
    Bar.objects.filter(symbol="BNBUSD").delete()
    weighed = weights_now()

    assert (weighed.method, weighed.warnings) == (method, ())
    assert weighed.weights["BNBUSD"] == 0
    inverse = [1 / returns(symbol).std() for symbol in SYMBOLS[:2]]  # two symbols: the same by every method
    expected = np.array(inverse) / sum(inverse)
    assert [float(weighed.weights[symbol]) for symbol in SYMBOLS[:2]] == pytest.approx(expected, abs=2e-6)


@every_estimate
def test_weights_are_whole_millionths_and_exactly_one_in_sum(desk, method):
    choose(method)
    for hours in range(0, 500, 50):
        weights = weights_now(bar_at=BAR_AT - hours * HOUR).weights.values()
        assert sum(weights) == 1
        assert all(weight % Decimal("0.000001") == 0 for weight in weights)


# --- the past alone -------------------------------------------------------------------------------------------------


@every_estimate
def test_rewriting_the_future_changes_no_weight_and_no_scale(desk, method):
    choose(method, vol_target=Decimal("0.3"), max_scale=3)
    cuts = [BAR_AT - hours * HOUR for hours in (1, 2, 24, 200)]
    before = {cut: weights_now(bar_at=cut) for cut in cuts}
    for cut in cuts:
        for place, bar in enumerate(Bar.objects.filter(open_ms__gt=cut.timestamp() * 1000)):
            bar.close = bar.open = 2.0 + 7919 * place % 1000
            bar.low, bar.high = 1.0, 9e9
            bar.save()
        assert weights_now(bar_at=cut) == before[cut]

    last = Bar.objects.filter(symbol="BTCUSD", open_ms=cuts[-1].timestamp() * 1000)
    assert last.update(open=1, low=1, close=1) == 1  # the bar itself counts
    assert weights_now(bar_at=cuts[-1]) != before[cuts[-1]]


def test_the_lookback_is_as_long_as_it_says(desk):
    choose("inverse_volatility", lookback=100)
    before = weights_now()
    older = Bar.objects.filter(symbol="BTCUSD", open_ms__lt=(BAR_AT - 100 * HOUR).timestamp() * 1000)
    older.update(open=1, low=1, close=1)
    assert weights_now() == before

    first = Bar.objects.filter(symbol="BTCUSD", open_ms=(BAR_AT - 100 * HOUR).timestamp() * 1000)
    assert first.update(open=1, low=1, close=1) == 1
    assert weights_now() != before


# --- what is not possible -------------------------------------------------------------------------------------------


def forget_history(symbol: str, *, keep_hours: int) -> None:
    Bar.objects.filter(symbol=symbol, open_ms__lt=(BAR_AT - keep_hours * HOUR).timestamp() * 1000).delete()


@every_estimate
def test_a_symbol_with_too_little_history_means_fixed_weights_for_all_and_is_named(desk, method):
    choose(method)
    forget_history("ETHUSD", keep_hours=700)
    report = preview(chosen_symbols(["BTCUSD", "BNBUSD"]))
    begin = f"{BAR_AT - 700 * HOUR:%Y-%m-%d %H:%M}"

    assert report.warnings == (
        f"weights are the fixed ones, not {method}: ETHUSD: closes must reach back 720 hours, "
        f"to {BAR_AT - 720 * HOUR:%Y-%m-%d %H:%M}: begin at {begin}",
    )
    assert used_weights(report) == pytest.approx([1 / 3] * 2)


def test_a_price_that_stands_still_means_fixed_weights_for_all_and_is_named(desk):
    choose("risk_parity")
    Bar.objects.filter(symbol="BNBUSD").update(open=5, high=5, low=5, close=5)
    weighed = weights_now()

    assert (weighed.method, set(weighed.weights.values())) == (FIXED_WEIGHTS, {Decimal(1) / 3})
    [warning] = weighed.warnings
    assert "BNBUSD: closes must have changed within 720 hours" in warning


def test_a_method_that_is_no_longer_written_means_fixed_weights(desk):
    choose()
    RebalanceSettings.objects.update(weighting="moonshot")
    weighed = weights_now()

    assert (weighed.method, set(weighed.weights.values())) == (FIXED_WEIGHTS, {Decimal(1) / 3})
    assert "not moonshot: no weighting 'moonshot'; known: fixed" in weighed.warnings[0]


# --- the volatility target ------------------------------------------------------------------------------------------


def yearly(weights: list[float], **window: Any) -> float:
    return float(np.sqrt(np.array(weights) @ covariance(**window) @ np.array(weights) * 8760))


@pytest.mark.parametrize("method", ["fixed", "risk_parity"])
def test_the_target_scales_the_capital_of_every_symbol(desk, method):
    choose(method, vol_target=Decimal("0.2"))
    report = preview(chosen_symbols())
    expected = 0.2 / yearly(used_weights(report))
    scales = {row.sizing["capital_scale"] for row in report.symbols}

    assert len(scales) == 1
    scale = Decimal(scales.pop())
    assert 0 < scale < 1
    assert scale == Decimal(expected).quantize(Decimal("0.0001"), ROUND_DOWN)
    for row in report.symbols:
        assert Decimal(row.sizing["capital_per_asset"]) == CAPITAL * scale * Decimal(row.sizing["weight"])
    assert report.warnings == ()


def test_the_scale_is_at_most_what_was_set_and_the_capital_at_most_the_equity(desk):
    choose(vol_target=Decimal(5))
    assert weights_now().scale == 1
    choose(vol_target=Decimal(5), max_scale=Decimal("1.05"))
    assert weights_now().scale == Decimal("1.05")
    report = preview(chosen_symbols())
    assert sum(Decimal(row.sizing["capital_per_asset"]) for row in report.symbols) == pytest.approx(Decimal(94_500))

    choose(vol_target=Decimal(5), max_scale=3)
    report = preview(chosen_symbols())
    assert sum(Decimal(row.sizing["capital_per_asset"]) for row in report.symbols) == pytest.approx(Decimal(100_000))
    assert report.warnings == ("the volatility target asks for a capital of 270000.00, above the equity of 100000.00",)


def test_a_symbol_without_history_is_left_out_of_the_volatility_as_if_the_others_had_its_share(desk):
    choose(vol_target=Decimal("0.2"))
    forget_history("ETHUSD", keep_hours=700)
    weighed = weights_now()
    rest = np.cov(np.array([returns("BTCUSD"), returns("BNBUSD")]))
    expected = 0.2 / np.sqrt(np.array([0.5, 0.5]) @ rest @ np.array([0.5, 0.5]) * 8760)

    assert float(weighed.scale) == pytest.approx(expected, abs=1e-4)
    [warning] = weighed.warnings
    assert warning.startswith("the volatility target is estimated without ETHUSD: closes must reach back")


def test_without_any_history_the_capital_is_not_scaled_up_and_that_is_said(desk):
    choose(vol_target=Decimal("0.2"), max_scale=3)
    Bar.objects.all().delete()
    weighed = weights_now()

    assert weighed.scale == 1
    assert len(weighed.warnings) == 4
    assert weighed.warnings[-1].startswith("the volatility target is not applied")


def test_a_past_slots_scale_would_have_met_the_target_then(desk):
    """The capital of each day, scaled by what was known, has the target volatility over that very window."""
    choose("inverse_volatility", vol_target=Decimal("0.25"), max_scale=3, lookback=240)
    for days in range(5):
        bar_at = BAR_AT - 24 * days * HOUR
        weighed = weights_now(bar_at=bar_at)
        weights = [float(weighed.weights[symbol]) for symbol in SYMBOLS]
        assert yearly(weights, lookback=240, bar_at=bar_at) * float(weighed.scale) == pytest.approx(0.25, abs=2e-4)


# --- shown ----------------------------------------------------------------------------------------------------------


def test_the_command_shows_every_method_and_marks_the_chosen_one(desk):
    choose("minimum_correlation", vol_target=Decimal("0.2"))
    ended = manage("portfolio_weights")
    heading, *rows = [line.split("  ") for line in ended.out.splitlines()]

    assert ended.code == 0
    assert [cell.strip() for cell in heading if cell] == [
        *("symbol", "fixed", "inverse_volatility", "risk_parity", "minimum_correlation *")
    ]
    assert [row[0] for row in rows[:4]] == [*SYMBOLS, "volatility"]
    assert "33.33%" in ended.out
    assert "720 hours to the bar of 2026-01-05 07:00 UTC" in ended.out
    assert f"volatility target: 20.00% a year, capital x {weights_now().scale}" in ended.out


def test_the_document_of_the_command_holds_what_a_session_uses(desk):
    choose("risk_parity")
    data = manage("portfolio_weights", "--json").data
    used = used_weights(preview(chosen_symbols()))

    assert (data["chosen"], data["used"], data["scale"]) == ("risk_parity", "risk_parity", 1.0)
    assert [row["symbol"] for row in data["symbols"]] == list(SYMBOLS)
    assert [row["weight"] for row in data["symbols"]] == [row["risk_parity"] for row in data["symbols"]] == used
    assert [row["fixed"] for row in data["symbols"]] == pytest.approx([1 / 3] * 3)
    for method, volatility in data["volatility"].items():
        assert volatility == pytest.approx(yearly([row[method] for row in data["symbols"]]), rel=1e-6)
    assert set(data["volatility"]) == set(ALLOCATIONS)
    assert datetime.fromisoformat(data["bar_time"]) == BAR_AT


def test_the_command_says_what_is_not_possible_and_ends_so_where_it_was_chosen(desk):
    forget_history("ETHUSD", keep_hours=700)
    shown = manage("portfolio_weights", "--json")
    assert (shown.code, shown.data["used"]) == (0, "fixed")
    [warning] = shown.document["warnings"]
    assert warning.startswith("ETHUSD: closes must reach back 720 hours")
    assert set(shown.data["symbols"][0]) == {"symbol", "weight", "fixed"}

    choose("risk_parity")
    ended = manage("portfolio_weights")
    assert ended.code == 5
    assert "warning: weights are the fixed ones, not risk_parity: ETHUSD" in ended.err
    assert "fixed *" in ended.out


def test_comparing_stores_nothing(desk):
    compare_weights()

    assert not RebalanceSettings.objects.exists()
    assert not Decision.objects.exists()
