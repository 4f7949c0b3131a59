"""Bad symbols, histories and models through the commands: one line says what was wrong and what to do, the exit code is
the right one, the other symbols go on, and nothing is lost and nothing sent.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Count, Sum

from execution.models import Decision, Intent, PortfolioWeight
from market.models import Bar, Kline, Symbol
from market.symbols import default_symbols
from ops.models import Alert, Run
from strategies.estimators.wed_thu import WedThuStrategy
from strategies.models import FittedModel
from tests.command_line import manage
from tests.fitted_desk import SYMBOLS, fitted_database

pytestmark = pytest.mark.slow

BAD, *HEALTHY = SYMBOLS


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), fitted_database(tmp_path_factory) as fitted:
        yield fitted


@pytest.fixture
def desk(fitted, tmp_path):
    with fitted.opened(tmp_path) as opened:
        yield opened


@pytest.fixture
def nothing_happens(desk):
    """Hold, after the test, what is stored and what the venue has booked against what it was before."""
    before = stored(), desk.deals()
    yield
    assert (stored(), desk.deals()) == before


def stored() -> dict[str, Any]:
    """Return what no bad input may change: the bars, added up, and the models with their status."""
    prices = {name: Sum(name) for name in ("open_ms", "open", "high", "low", "close")}
    return {
        "rates": Bar.objects.aggregate(n=Count("id"), **prices),
        "klines": Kline.objects.aggregate(n=Count("id"), **prices),
        "models": list(FittedModel.objects.values_list("id", "version", "status", "sha256").order_by("id")),
    }


def symbols_of(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["symbol"]: row for row in data["symbols"]}


def the_others_trade(desk, words: str) -> None:
    """Run a session, which has to skip one symbol with these words and trade the others."""
    ended = manage("trade_session", "--now", "--json")
    rows = symbols_of(ended.data)

    assert ended.code == 7
    assert (rows[BAD]["verdict"], desk.lots(BAD)) == ("skipped", 0)
    assert words in rows[BAD]["blocker"]
    assert words in Decision.objects.get(symbol=BAD).blocker
    assert words in Alert.objects.get(key=f"session:{BAD}").detail
    for name in HEALTHY:
        assert rows[name]["verdict"] == "traded"
        assert float(desk.lots(name)) == rows[name]["target_lots"] != 0
    assert Run.objects.get().status == Run.Status.PARTLY


# --- symbols --------------------------------------------------------------------------------------------------------

WITH_SYMBOL = ("data_update", "data_status", "data_check", "fit_models", "model_list", "signal_run", "trade_session")


@pytest.mark.parametrize(
    "command",
    [
        *((name, "--symbol", BAD, "--symbol", "DOGE") for name in WITH_SYMBOL),
        ("trade_session", "--now", "--symbol", "DOGE"),
        ("trade_session", "--dry-run", "--symbol", "DOGE"),
        ("data_import", "klines.csv", "--symbol", "DOGE"),
        ("signal_explain", "DOGE"),
    ],
    ids=" ".join,
)
def test_an_unknown_symbol_is_wrong_usage_and_nothing_is_begun(fitted, command):
    default_symbols()
    before = Run.objects.count()
    ended = manage(*command, "--json")

    assert ended.code == 2
    assert ended.complaint == ended.document["error"] == "no symbol 'DOGE'; known: BTCUSD, ETHUSD, BNBUSD"
    assert (ended.document["ok"], ended.data) == (False, {})
    assert Run.objects.count() == before


def test_a_symbol_that_the_venue_does_not_have_is_skipped(desk):
    Symbol.objects.create(name="XAUUSD")

    assert manage("data_update").code == 7
    assert manage("signal_run", "--symbol", "XAUUSD").code == 5
    rows = symbols_of(manage("trade_session", "--now", "--json").data)

    assert rows["XAUUSD"]["blocker"] == "no closed 1h bars of XAUUSD: run `manage.py data_update`"
    assert {rows[name]["verdict"] for name in SYMBOLS} == {"traded"}


def test_a_symbol_without_a_share_of_the_capital_is_held_at_zero_and_the_others_trade(desk):
    PortfolioWeight.objects.create(symbol=Symbol.objects.get(name=BAD), weight=0)

    ended = manage("trade_session", "--now", "--json")

    rows = symbols_of(ended.data)
    assert (ended.code, rows[BAD]["verdict"], rows[BAD]["target_lots"]) == (0, "hold", 0)
    assert rows[BAD]["blocker"] == "the symbol's share of the capital is 0"
    assert all(desk.lots(name) for name in HEALTHY)


# --- history --------------------------------------------------------------------------------------------------------


def thirty_bars() -> None:
    newest = Bar.objects.filter(symbol=BAD).order_by("-open_ms").values_list("pk", flat=True)[:30]
    Bar.objects.filter(symbol=BAD).exclude(pk__in=list(newest)).delete()


def no_number() -> None:
    """Put an infinite price where no update looks any more; SQLite itself refuses NaN."""
    bar = Bar.objects.filter(symbol=BAD).order_by("-open_ms")[10]
    Bar.objects.filter(pk=bar.pk).update(high=float("inf"))


def endless_volume() -> None:
    kline = Kline.objects.filter(symbol=f"{BAD}T").order_by("-open_ms")[10]
    Kline.objects.filter(pk=kline.pk).update(volume=float("inf"))


HISTORIES = pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (thirty_bars, "needs at least 1543 bars (823 to warm up and 720 with a value), got 30"),
        (no_number, "column high must be finite and above 0: 1 of 8760 bars were not, first inf at 2026-01-04 21:00"),
        (endless_volume, "column volume must be finite and at least 0, or NaN where there is no kline: 1 of 8760"),
    ],
)


@HISTORIES
def test_a_history_that_cannot_be_used_keeps_its_symbol_from_trading_and_no_other(desk, spoil, words):
    spoil()

    the_others_trade(desk, words)


@HISTORIES
def test_a_signal_says_what_is_wrong_with_a_history_and_shows_the_others(desk, spoil, words):
    spoil()
    ended = manage("signal_run", "--json")
    alone = manage("signal_run", "--symbol", BAD)

    assert (ended.code, alone.code) == (7, 5)
    assert words in symbols_of(ended.data)[BAD]["blocker"]
    assert words in alone.out
    assert {symbols_of(ended.data)[name]["verdict"] for name in HEALTHY} == {"would trade"}


@HISTORIES
def test_nothing_is_fitted_on_a_history_that_cannot_be_used(desk, spoil, words):
    spoil()
    before = stored()
    ended = manage("fit_models", "--symbol", BAD, "--json")

    assert ended.code == 5
    assert len(ended.data["failed"]) == 16
    assert words in ended.data["failed"][0]["error"]
    assert stored() == before


def test_no_history_at_all_is_brought_in_by_the_session_itself(desk):
    Bar.objects.filter(symbol=BAD).delete()
    complaint = "no closed 1h bars of BTCUSD: run `manage.py data_update`"

    assert complaint in manage("signal_run", "--symbol", BAD).out
    assert manage("fit_models", "--symbol", BAD).code == 5
    assert manage("trade_session", "--now").code == 0
    assert Bar.objects.filter(symbol=BAD).count() > 8760


def test_without_any_history_nothing_can_be_decided(desk):
    Bar.objects.all().delete()
    ended = manage("signal_run", "--json")

    assert (ended.code, {row["verdict"] for row in ended.data["symbols"]}) == (5, {"skipped"})
    assert manage("fit_models").code == 5


# --- models ---------------------------------------------------------------------------------------------------------


class Trap:
    """Shows by a file that somebody opened its pickle."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model of the symbol that goes wrong, and of another one."""

    folder: Path
    other: Path

    def swap(self, *names: str) -> None:
        for name in names:
            (self.folder / name).write_bytes((self.other / name).read_bytes())

    def change(self, at: float) -> None:
        content = bytearray((self.folder / "model.joblib").read_bytes())
        content[int(at * len(content))] ^= 1
        (self.folder / "model.joblib").write_bytes(bytes(content))


@pytest.fixture
def files(desk):
    first, second = FittedModel.objects.filter(symbol__name=BAD, strategy="ema_vol").order_by("id")[:2]
    return ModelFiles(desk.state_dir / "models" / first.path, desk.state_dir / "models" / second.path)


def truncate(files: ModelFiles) -> None:
    whole = (files.folder / "model.joblib").read_bytes()
    (files.folder / "model.joblib").write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("spoil", "words", "code"),
    [
        (truncate, "model.joblib is not the file that was signed", 1),
        (lambda files: files.change(0.5), "model.joblib is not the file that was signed", 1),
        (lambda files: files.swap("model.joblib"), "model.joblib is not the file that was signed", 1),
        (lambda files: files.swap("model.joblib", "manifest.json"), "it holds BTCUSD ema_vol", 1),
        (lambda files: (files.folder / "manifest.json").write_text("{}"), "its manifest is damaged", 1),
        (lambda files: (files.folder / "manifest.json").unlink(), "manifest.json is missing", 5),
        (lambda files: (files.folder / "model.joblib").unlink(), "model.joblib is missing", 5),
    ],
    ids=[
        "truncated",
        "a bit flipped",
        "another pickle",
        "another slot",
        "no manifest's text",
        "no manifest",
        "no file",
    ],
)
def test_a_model_file_that_is_not_ours_keeps_its_symbol_from_trading_and_no_other(desk, files, spoil, words, code):
    spoil(files)
    before = stored()

    the_others_trade(desk, words)
    alone = manage("signal_run", "--symbol", BAD)
    assert (alone.code, stored()) == (code, before)


@pytest.mark.parametrize("name", ["model.joblib", "manifest.json"])
def test_what_the_message_about_a_model_says_to_do_helps(desk, files, name):
    (files.folder / name).write_bytes(b"")
    blocker = manage("signal_run", "--symbol", BAD, "--json").data["symbols"][0]["blocker"]
    remedy = blocker.rpartition("refit with `manage.py ")[2].rstrip("`").split()

    assert manage(*remedy).code == 0
    assert manage("signal_run").code == 0


def test_a_pickle_that_somebody_else_put_there_is_not_opened(desk, files, tmp_path):
    (files.folder / "model.joblib").write_bytes(pickle.dumps(Trap(tmp_path / "opened")))

    assert manage("signal_run").code == 7
    assert manage("trade_session", "--now").code == 7
    assert not (tmp_path / "opened").exists()


@pytest.mark.usefixtures("nothing_happens")
def test_files_signed_with_another_key_trade_nothing_at_all(desk, settings):
    settings.MODEL_SIGNING_KEY = "another key of enough characters"
    ended = manage("trade_session", "--now", "--json")

    assert ended.code == 1
    for row in ended.data["symbols"]:
        assert "its manifest is signed with another MODEL_SIGNING_KEY; refit with" in row["blocker"]
    assert not Intent.objects.exists()


@pytest.mark.parametrize("answer", [float("nan"), float("inf"), KeyError("close")])
def test_a_model_that_breaks_keeps_its_symbol_from_trading_and_no_other(desk, monkeypatch, answer):
    predict, spoilt = WedThuStrategy.one_step_predict, []

    def broken(self: Any, bars: Any) -> float:
        spoilt.append(self)
        if len(spoilt) > 1:
            return predict(self, bars)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(WedThuStrategy, "one_step_predict", broken)

    the_others_trade(desk, "a model failed: wed_thu default v1: ")
