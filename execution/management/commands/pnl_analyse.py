"""Who earned it, whether it was luck, and what could have happened instead."""

from __future__ import annotations

import math
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError

from execution.pnl_analysis import WHOLE_TARGET, PnlReport, analyse_account, analyse_backtest, loss_rules
from ops.command import DeskCommand, Outcome
from ops.errors import ExitCode

COLUMNS = ("gross", "spread", "slippage", "commission", "swap", "funding", "net")


class Command(DeskCommand):
    """Decompose, test and simulate a stored backtest or the live account."""

    help = (
        "Analyse the PnL of the live account, or of a backtest: by symbol, strategy, model, side, weekday and hour, "
        "adding up to the cent; a permutation test; and simulated courses against the limits in force."
    )
    examples = (
        "pnl_analyse --begin 2026-04-01 --end 2026-05-01",
        "pnl_analyse --backtest 12 --days 60 --target 0.05 --json",
    )
    schema = "pnl_analyse/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--backtest", type=int, metavar="ID", help="this one, not the live account")
        parser.add_argument("--begin", type=_moment, metavar="T", help="of the live account, UTC; default: its first")
        parser.add_argument("--end", type=_moment, metavar="T", help="of the live account, UTC; default: now")
        parser.add_argument(
            "--days", type=int, default=30, metavar="N", help="that a simulated course lasts; default 30"
        )
        parser.add_argument(
            "--target", type=float, default=WHOLE_TARGET, metavar="X", help="to reach, of the capital; default 0.1"
        )
        parser.add_argument("--seed", type=int, default=0, metavar="N", help="another one draws other courses")

    def run(self, **options: Any) -> Outcome:
        from strategies.research.analysis import Question

        question = Question(rules=loss_rules(options["target"]), days=options["days"], seed=options["seed"])
        begin, end = options["begin"], options["end"]
        if options["backtest"] is None:
            report = analyse_account(question, begin=begin, end=end)
        elif begin or end:
            raise CommandError("--begin and --end are of the live account: leave them out", returncode=ExitCode.USAGE)
        else:
            report = analyse_backtest(options["backtest"], question)
        return Outcome(data=report.as_data(), text="\n".join(_lines(report)), warnings=report.warnings)


def _lines(report: PnlReport) -> Iterator[str]:
    subject, equity = report.subject, report.equity
    yield f"{subject['kind']} {subject['id']}, {subject['begin']:%Y-%m-%d %H:%M} to {subject['end']:%Y-%m-%d %H:%M} UTC"
    yield f"equity {equity['begin']} to {equity['end']} {report.currency}, earned {equity['change']}"
    for part in report.analysis.decompositions:
        yield ""
        yield from _table(part.by, [row.as_data() for row in (*part.rows, part.total)])
    yield ""
    yield from _luck(report)
    yield from _chances(report)


def _table(by: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    cells = [(by, *COLUMNS), *((row["label"], *(row[name] for name in COLUMNS)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for label, *amounts in cells:
        numbers = (amount.rjust(width) for amount, width in zip(amounts, widths[1:], strict=True))
        yield "  ".join([label.ljust(widths[0]), *numbers])


def _luck(report: PnlReport) -> Iterator[str]:
    test = report.analysis.permutation
    if test is not None:
        sharpe = "undefined" if math.isnan(test.sharpe) else f"{test.sharpe:+.2f}"
        yield (
            f"Sharpe ratio before costs {sharpe} (365 d); p = {test.p_value:.4f} that chance does as well, "
            f"{test.n_resamples} orders of blocks of {test.block_length} hours"
        )


def _chances(report: PnlReport) -> Iterator[str]:
    simulation = report.analysis.simulation
    if simulation is None:
        return
    rules = simulation.rules
    yield f"{len(simulation.paths)} courses of {report.question.days} days:"
    for words, limit, chance in (
        ("meets the daily limit", rules.daily_loss, simulation.daily_loss),
        ("meets the largest loss", rules.max_loss, simulation.max_loss),
        ("reaches the target", rules.target, simulation.target),
        ("reaches it before a limit", rules.target, simulation.passed),
    ):
        if limit is not None:
            yield f"  {words:26} {limit:6.2%}  {chance.value:7.2%} (error {chance.error:.2%})"


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time: use ISO 8601 like 2026-04-29T12") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
