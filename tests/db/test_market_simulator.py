"""From the simulated venues over their real interfaces into the database: exactly the market's own bars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from market.contract_value import get_contract_value
from market.models import Bar
from market.reading import joined_bars, read_klines
from market.services import default_symbols, get_recent_data, update_all_data, update_recent_trades
from market.terminal.client import open_terminal
from ops import clock
from ops.clock import SimulatedClock
from ops.errors import ExitCode
from simulator import control, metatrader5
from simulator.config import SimConfig
from simulator.exchange import ExchangeServer
from simulator.world import World
from tests.market_builders import HOUR_MS

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 10, 8, 30, tzinfo=UTC)  # two days after the server's clock went forward
N_BARS = 1500  # back to January: winter, the change, and summer time of the server


@pytest.fixture
def world(settings, tmp_path, monkeypatch):
    for name in ("run", "sim", "safety"):
        (tmp_path / name).mkdir()
    mounted = World(SimConfig(state_dir=tmp_path, start=START))
    metatrader5.mount(mounted)
    exchange = ExchangeServer(mounted.market, mounted.clock)
    exchange.start()
    settings.STATE_DIR, settings.RUN_DIR = tmp_path, tmp_path / "run"
    settings.MT5_BRIDGE, settings.MT5_TZ, settings.BINANCE_BASE = "module:simulator.metatrader5", "", exchange.url
    settings.MT5_LOGIN, settings.MT5_PATH = 0, ""
    monkeypatch.setattr("market.updating.FIRST_HISTORY_BARS", N_BARS)
    default_symbols()
    try:
        with clock.use(SimulatedClock(tmp_path / "sim" / "clock.json")):
            yield mounted
    finally:
        metatrader5.unmount()
        exchange.stop()


def expected(world: World, until: datetime) -> dict[str, np.ndarray]:
    """Return the market's own closed hours, from the market itself."""
    now = int(until.timestamp() * 1000)
    end = now // HOUR_MS * HOUR_MS
    rates = world.market.rates("BTCUSD", 3600, end - N_BARS * HOUR_MS, end, now_ms=now)
    klines = world.market.klines("BTCUSDT", 3600, end - N_BARS * HOUR_MS, end, now_ms=now)
    columns = {name: rates[name] for name in ("open_ms", "open", "high", "low", "close", "tick_volume")}
    columns["volume"] = np.array([float(row[5]) for row in klines])
    columns["taker_buy_base_vol"] = np.array([float(row[9]) for row in klines])
    return columns


def assert_equal(bars, market: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(bars.index.as_unit("ms").asi8, market["open_ms"])
    for name in set(market) - {"open_ms"}:
        np.testing.assert_array_equal(bars[name].to_numpy(), market[name], err_msg=name)


def test_joined_bars_are_the_markets_own_across_the_servers_clock_change(world):
    report = update_all_data()

    assert report.exit_code == ExitCode.DONE, report.failures
    assert_equal(joined_bars("BTCUSD"), expected(world, START))


def test_hour_by_hour_only_the_newly_closed_bar_is_added(world):
    update_all_data(["BTCUSD"])

    for hours in (1, 2):
        now = START + timedelta(hours=hours)
        control.step(now)
        report = update_all_data(["BTCUSD"])
        assert [update.stored.inserted for update in report.updates] == [1, 1]
        assert [update.stored.differing for update in report.updates] == [(), ()]
        assert_equal(joined_bars("BTCUSD", limit=N_BARS), expected(world, now))


def test_at_the_slot_the_bar_that_just_closed_is_there(world):
    control.step(START.replace(hour=9, minute=0, second=45))

    update_all_data(["BTCUSD"])

    assert joined_bars("BTCUSD").index[-1] == START.replace(hour=8, minute=0)


def test_an_update_in_the_repeated_hour_of_november_loses_no_bar_and_keeps_order(world, monkeypatch):
    monkeypatch.setattr("market.updating.FIRST_HISTORY_BARS", 12)
    control.step(datetime(2026, 11, 1, 10, 0, 45, tzinfo=UTC))  # the clock went back at 06:00 UTC

    update_all_data(["BTCUSD"])

    hours = [bar.open_at.hour for bar in Bar.objects.filter(symbol="BTCUSD")]
    assert hours[-3:] == [7, 8, 9]
    # the simulated terminal, like a real one, has one bar for the hour that its clock shows twice: 05:00 UTC
    assert [hour for hour in hours if 3 <= hour <= 8] == [3, 4, 5, 7, 8]


def test_the_bots_quarter_hours_come_from_the_exchange(world):
    frame = get_recent_data("ETHUSDT", "15m", 50)

    now = int(START.timestamp() * 1000)  # half past: a quarter has just closed
    rows = world.market.klines("ETHUSDT", 900, now - 50 * 900_000, now, now_ms=now)
    np.testing.assert_array_equal(frame["close"], [float(row[4]) for row in rows])
    assert len(read_klines("ETHUSDT", "15m")) == 50


def test_trades_and_the_worth_of_a_lot_are_the_venues(world, tmp_path):
    assert update_recent_trades("BTCUSDT") > 0

    terminal = open_terminal("module:simulator.metatrader5", run_dir=tmp_path, state_dir=tmp_path)
    terminal.call("initialize")
    quote = world.market.quote("BTCUSD", int(START.timestamp() * 1000))
    value = get_contract_value("BTCUSD", terminal)
    terminal.close()
    size = world.market.symbols["BTCUSD"].contract_size
    assert float(value) == pytest.approx(size * (quote.bid + quote.ask) / 2, rel=1e-12)
