"""The data commands: what they print, and how they end."""

from __future__ import annotations

import json
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from market.models import Bar, Kline, QuarantinedRow, Symbol
from market.services import default_symbols, joined_bars, read_klines
from market.store import store_rows
from market.tables import KLINES, RATES
from ops import clock
from tests.market_builders import HOUR_MS, MONDAY, StoppedClock, make_raw

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(autouse=True)
def now(settings, tmp_path):
    settings.RUN_DIR = tmp_path
    settings.MT5_BRIDGE = settings.BINANCE_BASE = settings.MT5_TZ = ""
    default_symbols()
    with clock.use(StoppedClock("2025-06-02T12:00:45")) as stopped:
        yield stopped


def run(*arguments: str) -> tuple[int, dict, str]:
    """Run a command with --json; return its exit code, its data and what it said on stderr."""
    out, err = StringIO(), StringIO()
    try:
        call_command(*arguments, "--json", stdout=out, stderr=err)
        code = 0
    except SystemExit as end:
        code = end.code
    except CommandError as error:
        return error.returncode, {}, str(error)
    document = json.loads(out.getvalue())
    assert document["schema"] == f"{arguments[0]}/1"
    assert document["ok"] == (code == 0)
    return code, document["data"], "\n".join(document["warnings"])


def fill(n_bars: int = 12, *, start: int = MONDAY) -> None:
    for symbol in Symbol.objects.all():
        rates, klines = make_raw(n_bars, start=start, klines=False), make_raw(n_bars, start=start)
        store_rows(RATES, symbol.name, rates, interval="1h", source="t", now_ms=2 * MONDAY, replace=True)
        store_rows(KLINES, symbol.binance_symbol, klines, interval="1h", source="t", now_ms=2 * MONDAY, replace=True)


# --- data_update --------------------------------------------------------------------------------------------------


def test_updating_without_a_terminal_or_an_exchange_is_6_with_a_line_each():
    code, data, said = run("data_update")

    assert code == 6
    assert data["unreachable"] == ["mt5", "binance"]
    assert "start it with: manage.py terminal" in said
    assert "`manage.py simulator`" in said
    assert len(said.splitlines()) == 2


def test_updating_an_unknown_symbol_is_2_with_the_known_ones():
    code, _, said = run("data_update", "--symbol", "DOGE")

    assert code == 2
    assert said == "no symbol 'DOGE'; known: BTCUSD, ETHUSD, BNBUSD"


def test_an_address_that_is_not_safe_is_refused_and_asked_nothing(settings):
    settings.BINANCE_BASE = "http://example.com"

    code, _, said = run("data_update")

    assert code == 6
    assert "must begin with https://" in said


# --- data_status and data_check -----------------------------------------------------------------------------------


def test_status_of_fresh_data_is_0():
    fill()

    code, data, _ = run("data_status")

    assert code == 0
    assert len(data["series"]) == 6
    first = data["series"][0]
    assert (first["name"], first["table"], first["n_bars"], first["bars_behind"]) == ("BTCUSD", "rates", 12, 0)
    assert first["last_at"] == "2025-06-02T11:00:00+00:00"


def test_status_of_old_or_no_data_is_5():
    assert run("data_status")[0] == 5

    fill(9)
    code, data, said = run("data_status", "--symbol", "BTCUSD")
    assert code == 5
    assert data["series"][0]["state"] == "stale, 3 bars behind"
    assert "run `manage.py data_update`" in said


def test_a_bar_that_is_late_by_a_daily_break_is_not_stale():
    fill(11)

    assert run("data_status")[0] == 0


def test_checking_good_data_is_0():
    fill()

    code, data, _ = run("data_check")

    assert (code, data["findings"], data["n_bars"]) == (0, [], 72)


def test_checking_nothing_is_5():
    code, _, said = run("data_check")

    assert code == 5
    assert "no bars are stored" in said


def test_checking_finds_gaps_stale_ends_and_rows_off_the_grid():
    fill(10)
    Bar.objects.filter(symbol="BTCUSD", open_ms__in=[MONDAY + 4 * HOUR_MS, MONDAY + 5 * HOUR_MS]).delete()
    Kline.objects.filter(symbol="BTCUSDT", open_ms=MONDAY + 2 * HOUR_MS).update(open_ms=MONDAY + 2 * HOUR_MS + 60_000)

    code, data, _ = run("data_check", "--symbol", "BTCUSD")

    assert code == 3
    found = [(f["table"], f["kind"], f["open_at"][11:16], f["detail"]) for f in data["findings"]]
    assert ("rates", "gap", "03:00", "2 bars missing after it") in found
    assert ("rates", "stale", "09:00", "2 bars behind") in found
    assert ("klines", "open time not on the interval's grid", "02:01", "") in found
    assert data["counts"]["stale"] == 2


def test_bars_can_be_looked_at_before_a_demo_has_ever_run(settings, tmp_path):
    fill()
    with clock.use(clock.SimulatedClock(tmp_path / "none.json")):
        assert run("data_check")[0] == 0
        assert run("data_status")[0] == 0


# --- data_import --------------------------------------------------------------------------------------------------


@pytest.fixture
def vision(tmp_path):
    """Return a file of twelve klines as Binance publishes them."""
    rows = [
        f"{MONDAY + i * HOUR_MS}000,{100 + i},{102 + i},{99 + i},{101 + i},10.5,{MONDAY + (i + 1) * HOUR_MS - 1}999,"
        f"1000.1,7,4.5,450.1,0"
        for i in range(12)
    ]
    path = tmp_path / "BTCUSDT-1h.csv"
    path.write_text("\n".join(rows))
    return path


def test_importing_stores_and_importing_again_changes_nothing(vision):
    code, data, _ = run("data_import", str(vision), "--symbol", "BTCUSD")
    [file] = data["files"]

    assert code == 0
    assert (file["format"], file["symbol"], file["interval"]) == ("Binance public data", "BTCUSDT", "1h")
    assert (file["inserted"], file["changed"], file["unchanged"]) == (12, 0, 0)
    again = run("data_import", str(vision), "--symbol", "BTCUSDT")[1]["files"][0]
    assert (again["inserted"], again["changed"], again["unchanged"]) == (0, 0, 12)
    assert read_klines("BTCUSDT")["taker_buy_base_volume"].tolist() == [4.5] * 12


def test_a_dry_run_stores_nothing(vision):
    code, data, _ = run("data_import", str(vision), "--symbol", "BTCUSD", "--dry-run")

    assert (code, data["dry_run"], data["files"][0]["inserted"]) == (0, True, 12)
    assert Kline.objects.count() == 0


def test_a_file_that_differs_is_reported_and_stored_only_when_a_person_says_so(vision):
    run("data_import", str(vision), "--symbol", "BTCUSD")
    lines = vision.read_text().splitlines()
    lines[3] = lines[3].replace(",104,", ",104.5,")
    vision.write_text("\n".join(lines))

    code, data, said = run("data_import", str(vision), "--symbol", "BTCUSD")
    assert code == 7
    assert data["files"][0]["differing"] == ["2025-06-02T03:00:00+00:00"]
    assert "the stored ones stay; --replace takes the file's" in said
    assert Kline.objects.get(open_ms=MONDAY + 3 * HOUR_MS).close == 104

    code, data, _ = run("data_import", str(vision), "--symbol", "BTCUSD", "--replace")
    assert (code, data["files"][0]["changed"]) == (0, 1)
    assert Kline.objects.get(open_ms=MONDAY + 3 * HOUR_MS).close == 104.5


def test_metatrader_bars_are_placed_by_the_zone_that_is_given(tmp_path):
    path = tmp_path / "export"
    lines = [f"2025.06.02\t{hour:02}:00:00\t100\t102\t99\t101\t500\t0\t12" for hour in range(6)]
    path.write_text("\n".join(["<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>", *lines]))

    assert run("data_import", str(path), "--symbol", "BTCUSD", "--tz", "GMT+2")[0] == 0

    assert [f"{bar.open_at:%d %H}" for bar in Bar.objects.all()] == [
        "01 22",
        "01 23",
        "02 00",
        "02 01",
        "02 02",
        "02 03",
    ]
    assert joined_bars("BTCUSD")["volume"].isna().all()


def test_another_zone_than_before_is_refused(tmp_path):
    path = tmp_path / "export"
    lines = [
        f"2025.05.{2 + i // 24:02}\t{i % 24:02}:00:00\t{100 + i}\t{102 + i}\t{99 + i}\t{101 + i}\t500\t0\t12"
        for i in range(60)
    ]
    path.write_text("\n".join(["<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>", *lines]))
    run("data_import", str(path), "--symbol", "BTCUSD", "--tz", "GMT+5")

    code, _, said = run("data_import", str(path), "--symbol", "BTCUSD", "--tz", "GMT+6")

    assert code == 5
    assert "another symbol, interval or time zone?" in said


def test_rows_that_cannot_be_read_are_kept_as_text(vision):
    vision.write_text(vision.read_text().replace(",105,", ",1o5,", 2))

    code, data, said = run("data_import", str(vision), "--symbol", "BTCUSD")

    assert (code, data["files"][0]["unreadable"]) == (0, 2)
    assert "2 rows quarantined: a time or number that is none" in said
    kept = QuarantinedRow.objects.first()
    assert "1o5" in kept.row.values()
    assert kept.source == "BTCUSDT-1h.csv"


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("nothing.csv", "--symbol", "BTCUSD"), 2, "cannot read nothing.csv: No such file or directory"),
        (("nothing.csv", "--symbol", "DOGE"), 2, "no symbol 'DOGE'; known: BTCUSD, ETHUSD, BNBUSD"),
    ],
)
def test_wrong_usage_is_2_and_one_line(arguments, code, complaint):
    assert run("data_import", *arguments)[0::2] == (code, complaint)


def test_an_unknown_format_says_what_was_found_and_what_is_known(tmp_path):
    path = tmp_path / "notes"
    path.write_text("dear diary\n")

    code, _, said = run("data_import", str(path), "--symbol", "BTCUSD")

    assert code == 2
    assert "begins with 'dear diary'; known formats: Binance public data" in said


def test_klines_of_a_symbol_without_a_binance_name_are_refused(vision):
    Symbol.objects.create(name="XAUUSD")

    code, _, said = run("data_import", str(vision), "--symbol", "XAUUSD")

    assert code == 2
    assert "XAUUSD has no name at Binance" in said


def test_the_help_begins_with_two_examples(capsys):
    for command in ("data_update", "data_check", "data_status", "data_import"):
        with pytest.raises(SystemExit):
            call_command(command, "--help")
        shown = capsys.readouterr().out.splitlines()
        assert [line.strip().startswith(f"manage.py {command}") for line in shown[1:3]] == [True, True]


def test_text_says_the_same_for_people():
    fill(10)
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("data_check", stdout=out, stderr=err)

    assert end.value.code == 3
    assert "72" not in out.getvalue()
    assert "60 bars checked, 6 findings" in out.getvalue()


# --- real files ---------------------------------------------------------------------------------------------------


def test_the_off_grid_bars_of_2018_are_quarantined_and_only_they(trading_data):
    path = trading_data / "klines_1h_full" / "BTCUSDT_1h_full_2017-08_2019-12.parquet"

    code, data, _ = run("data_import", str(path), "--symbol", "BTCUSD")

    assert code == 0
    assert data["files"][0]["quarantined"] == {"open time not on the interval's grid": 43}
    assert Kline.objects.count() == 20_708 - 43
    assert QuarantinedRow.objects.count() == 43
    run("data_import", str(path), "--symbol", "BTCUSD")
    assert QuarantinedRow.objects.count() == 43


def test_bars_that_a_collector_recorded_unfinished_are_found_by_comparison(trading_data):
    defective = trading_data / "klines_15m" / "defective_ETHUSDT_15m_2025-10_unfinished_bars.parquet"
    truth = trading_data / "klines_15m" / "ETHUSDT_15m_2023-10_2026-04.parquet"
    Kline.objects.all().delete()
    with clock.use(StoppedClock("2026-06-01T00:00")):
        assert run("data_import", str(truth), "--symbol", "ETHUSD")[0] == 0

        code, data, _ = run("data_import", str(defective), "--symbol", "ETHUSD")

        assert code == 7
        assert len(data["files"][0]["differing"]) == 10  # as the collection's README says
        assert QuarantinedRow.objects.count() == 10
        alone = read_klines("ETHUSDT", "15m")
    assert len(alone) == 88_402


def test_a_file_of_prices_alone_erases_no_taker_volume(trading_data):
    full = trading_data / "klines_1h_full" / "BTCUSDT_1h_full_2024-11_2025-05.parquet"
    prices = trading_data / "klines_1h_ohlcv" / "BTCUSDT_1h_2021-01_2026-04.parquet"
    with clock.use(StoppedClock("2026-06-01T00:00")):
        run("data_import", str(full), "--symbol", "BTCUSD")
        before = read_klines("BTCUSDT")

        code, data, _ = run("data_import", str(prices), "--symbol", "BTCUSD", "--replace")

        assert code == 0
        assert data["files"][0]["unchanged"] == len(before) == 5088
        after = read_klines("BTCUSDT").loc[before.index]
    np.testing.assert_array_equal(after.to_numpy(), before.to_numpy())
