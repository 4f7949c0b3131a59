"""Try the filter on history as it would have been used, beside taking every setup, and keep what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlfilter.configuration import backtest_settings, new_recognizer, terms_data, terms_of
from mlfilter.ground import Ground, ground_with_enough
from mlfilter.history import file_bars, klines_symbol, newest_close, read_bars, stored_time
from mlfilter.models import BotSettings, SetupBacktest, current_settings
from mlfilter.training import n_tried, recognizer_data
from ops import clock
from ops.audit import SYSTEM, Actor
from ops.live import announce
from strategies.provenance import bars_hash

if TYPE_CHECKING:
    import pandas as pd

    from mlfilter.backtest import BacktestResult, Comparison, SetupMetrics
    from mlfilter.proposals import FoundSetups, Terms
    from mlfilter.recognizers.recognizer import MLPatternRecognizer
    from mlfilter.walkforward import WalkForward

NAMES = {"n_trades": "trades", "average_win": "avg_win", "average_loss": "avg_loss"}  # as ``setup_backtest/1`` has them
CURVE_POINTS = 400
FEW_TRADES = 30
PLACES = ["signal_bar", "entry_bar", "exit_bar"]  # rows of the tested bars, which nobody has later
MAX_TRADES = 5000  # that are kept with a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is tested.

    Attributes
    ----------
    symbol : str
        A registered symbol's name here or at Binance; any name when a file is given.
    days : int
        The newest so many.
    file : Path, optional
        Klines that are read in place of the stored ones, and not stored.
    changed : mapping, optional
        Of the recognizer, in place of what the settings say: ``model``, ``threshold``, …
    """

    symbol: str
    interval: str
    days: int = 730
    until: datetime | None = None
    file: Path | None = None
    changed: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """A backtest and its row, which is not stored where that was not wanted."""

    row: SetupBacktest
    comparison: Comparison

    def as_data(self) -> dict[str, Any]:
        """Return the document of ``setup_backtest/1``."""
        row = self.row
        fields = "symbol interval since until n_bars data_hash params with_filter without_filter auc report seconds"
        return {"id": row.pk} | {name: getattr(row, name) for name in fields.split()}


def run_setup_backtest(
    request: Request, *, actor: Actor = SYSTEM, settings: BotSettings | None = None, keep: bool = True
) -> Tested:
    """Train and judge walk-forward over the bars, and trade what is approved and what is proposed.

    Both accounts begin where the first model does: before it, there is nothing to compare.

    Raises
    ------
    FilterDataError, UnknownSymbolError, BarFileError
        The message says what is missing.
    """
    from mlfilter.walkforward import FIRST_SHARE, walk_forward

    started = clock.mono()
    settings = settings or current_settings()
    name, bars = _bars(request)
    # What is only learned from decides which outside columns are used, and not what came later.
    first = int(len(bars) * FIRST_SHARE)
    ground = ground_with_enough(name, bars, terms_of(settings, request.interval), first=first)
    changed = {"n_configurations": n_tried(name, request.interval) + 1} | (request.changed or {})
    recognizer = new_recognizer(settings, ground.terms, **changed)
    found = ground.find()
    walked = walk_forward(found, recognizer)
    compared = _compare(found, walked, settings, ground.terms)
    row = _row(name, ground, found, walked, compared, recognizer)
    row.run_by, row.seconds = actor.name, clock.mono() - started
    if keep:
        row.save()
        announce("setups", {"backtest": row.pk})
    return Tested(row, compared)


def _bars(request: Request) -> tuple[str, pd.DataFrame]:
    """Return the name at Binance and the bars; files need no registered symbol."""
    if request.file is not None:
        return request.symbol, file_bars(request.file, request.interval, days=request.days)
    symbol = klines_symbol(request.symbol)
    with stored_time(symbol, request.interval):
        until = newest_close(symbol, request.interval, until=request.until)
        since = until - timedelta(days=request.days)
        return symbol.binance_symbol, read_bars(symbol, request.interval, since=since, until=until)


def _compare(found: FoundSetups, walked: WalkForward, settings: BotSettings, terms: Terms) -> Comparison:
    from mlfilter.backtest import compare

    tail = slice(walked.start, None)
    approved = found.per_bar(walked.approved, empty=False)[tail]
    account = backtest_settings(settings, terms)
    return compare(found.bars.iloc[tail], found.direction.iloc[tail], approved, settings=account)


def _row(
    name: str,
    ground: Ground,
    found: FoundSetups,
    walked: WalkForward,
    compared: Comparison,
    recognizer: MLPatternRecognizer,
) -> SetupBacktest:
    terms = ground.terms
    told = walked.report.as_data() | {
        "windows": [window.as_data() for window in walked.windows],
        "n_approved": compared.n_approved,
        "words": [*ground.left_out, *walked.report.words, *_words(walked, compared)],
    }
    return SetupBacktest(
        symbol=name,
        interval=terms.interval,
        since=found.index[0].to_pydatetime(),
        until=found.index[-1].to_pydatetime(),
        n_bars=len(found.bars),
        data_hash=bars_hash(ground.read),
        params={
            "terms": terms_data(terms),
            "recognizer": recognizer_data(recognizer) | {"threshold": recognizer.threshold},
        },
        with_filter=metrics_data(compared.filtered.metrics),
        without_filter=metrics_data(compared.unfiltered.metrics),
        report=_plain(told),
        curves=_curves(compared),
        trades=_plain(_trades(compared.filtered)),
        auc=walked.report.auc,
    )


def metrics_data(metrics: SetupMetrics) -> dict[str, Any]:
    """Return figures by the names of ``setup_backtest/1``."""
    return {NAMES.get(name, name): value for name, value in metrics.as_data().items()}


def _words(walked: WalkForward, compared: Comparison) -> list[str]:
    import numpy as np

    likely = int(np.count_nonzero(walked.probability >= walked.report.threshold))
    approved = int(walked.approved.sum())
    ours, theirs = compared.filtered.metrics, compared.unfiltered.metrics
    said = []
    if approved < likely:
        said.append(f"the similar past trades veto {likely - approved} of {likely} setups above the threshold")
    said.append(
        f"with the filter {ours.total_return:+.1%} in {ours.n_trades} trades, taking every setup "
        f"{theirs.total_return:+.1%} in {theirs.n_trades}, after costs"
    )
    if ours.n_trades < FEW_TRADES:
        said.append(f"{ours.n_trades} trades with the filter are too few to tell skill from luck")
    return said


def _curves(compared: Comparison) -> dict[str, Any]:
    """Return both accounts at some bars, the last one among them."""
    import numpy as np

    ours, theirs = compared.filtered.equity, compared.unfiltered.equity
    at = np.unique(np.linspace(0, len(ours) - 1, min(CURVE_POINTS, len(ours))).astype(np.int64))
    return {
        "at": [moment.isoformat() for moment in ours.index[at]],
        "with_filter": [round(float(value), 2) for value in ours.to_numpy()[at]],
        "without_filter": [round(float(value), 2) for value in theirs.to_numpy()[at]],
    }


def _trades(result: BacktestResult) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = result.trades.drop(columns=PLACES).tail(MAX_TRADES).to_dict("records")  # type: ignore[assignment]
    return rows


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: moments as text, numbers that are none as null."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return value if value - value == 0.0 else None  # neither NaN nor infinite
    return value
