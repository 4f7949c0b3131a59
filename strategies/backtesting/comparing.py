"""Backtests side by side: their figures, and what differs in what they were asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from ops.errors import DeskError
from strategies.backtesting.keeping import as_document, get_backtest
from strategies.backtesting.requests import BacktestRequestError
from strategies.models import Backtest

FEWEST, MOST = 2, 4
HEADLINE = ("total_return", "cagr", "volatility", "sharpe", "sortino", "calmar", "max_drawdown", "turnover", "trades")


class ExportError(DeskError):
    """A folder that a backtest cannot be written to."""


def listed(symbols: Sequence[str] = (), *, limit: int) -> list[dict[str, Any]]:
    """Return the newest backtests, the newest first: of all symbols, or only those that have all the given ones."""
    rows = Backtest.objects.defer("equity_file", "fills_file", "config")
    wanted = (row for row in rows.iterator() if set(symbols) <= set(row.symbols))
    return [headline(row) for row in islice(wanted, max(limit, 0))]


def headline(row: Backtest) -> dict[str, Any]:
    """Return a backtest in a line."""
    return {
        "id": row.pk,
        "engine": row.engine,
        "source": row.source,
        "symbols": row.symbols,
        "begin": row.begin_at,
        "end": row.end_at,
        "metrics": {name: row.metrics.get(name) for name in HEADLINE},
        "n_trials": row.n_trials,
        "luck": row.luck,
        "note": row.note,
        "created_at": row.created_at,
    }


def compare(ids: Sequence[int]) -> dict[str, Any]:
    """Return two to four backtests side by side: every list has one entry a backtest, None where it has no such thing.

    Raises
    ------
    BacktestRequestError
        For another number of them, or the same one twice.
    UnknownBacktestError
    """
    if not FEWEST <= len(ids) <= MOST or len(set(ids)) < len(ids):
        raise BacktestRequestError(f"compare {FEWEST} to {MOST} different backtests, were {', '.join(map(str, ids))}")
    rows = [get_backtest(backtest_id) for backtest_id in ids]
    metrics = [{name: value for name, value in row.metrics.items() if not isinstance(value, list)} for row in rows]
    outside = [_headline_of(row.samples["out_of_sample"] or {}) for row in rows]
    return {
        "backtests": [headline(row) for row in rows],
        "metrics": _side_by_side(metrics),
        "out_of_sample": _side_by_side(outside),
        "costs": _side_by_side([row.costs for row in rows]),
        "differs": differences([row.config for row in rows]),
    }


def _headline_of(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: metrics[name] for name in HEADLINE if metrics.get(name) is not None}


def differences(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return what is not the same in all configurations, by its dotted path."""
    table = _side_by_side([dict(_flat(config)) for config in configs])
    return {path: values for path, values in table.items() if any(value != values[0] for value in values)}


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _side_by_side(tables: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for table in tables for name in table)
    return {name: [table.get(name) for table in tables] for name in names}


def export(backtest_id: int, folder: Path) -> list[Path]:
    """Write a backtest into a folder, which is made: its document, and equity and fills as CSV and parquet.

    Raises
    ------
    UnknownBacktestError
    ExportError
        The folder or a file cannot be written.
    """
    row = get_backtest(backtest_id)
    stem = f"backtest-{row.pk}"
    document = json.dumps(as_document(row), indent=2, default=datetime.isoformat)
    paths = [folder / f"{stem}.json"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths[0].write_text(f"{document}\n")
        for name, table in (("equity", row.equity().to_frame()), ("fills", row.fills())):
            csv, parquet = folder / f"{stem}-{name}.csv", folder / f"{stem}-{name}.parquet"
            table.to_csv(csv, index=name == "equity")
            table.to_parquet(parquet)
            paths += [csv, parquet]
    except OSError as error:
        raise ExportError(f"{folder} cannot be written to: {error}") from error
    return paths
