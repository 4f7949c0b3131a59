"""Look for what is wrong with stored bars."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from dataclasses import asdict
from typing import Any

from market.errors import DataMissingError
from market.status import Finding, check_data, data_status
from ops.command import DeskCommand, Outcome
from ops.errors import ExitCode

SHOWN = 20  # lines; --json has all


class Command(DeskCommand):
    """Look for gaps, wrong rows and stale ends in the stored bars."""

    help = "Look for gaps, duplicates, wrong prices and stale ends in stored bars. Exit 3 when something is found."
    examples = ("data_check", "data_check --symbol BTCUSD --json")
    schema = "data_check/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", action="append", help="only this one; may be repeated (default: all traded)")

    def run(self, **options: Any) -> Outcome:
        series = data_status(options["symbol"])
        if all(one.is_empty for one in series):
            raise DataMissingError("no bars are stored: run `manage.py data_update` or `manage.py data_import`")
        findings = check_data(options["symbol"])
        return Outcome(
            data={
                "findings": [asdict(finding) for finding in findings],
                "counts": Counter(finding.kind for finding in findings),
                "n_bars": sum(one.n_bars for one in series),
            },
            text=_as_text(findings, sum(one.n_bars for one in series)),
            exit_code=ExitCode.FOUND if findings else ExitCode.DONE,
        )


def _as_text(findings: list[Finding], n_bars: int) -> str:
    lines = [
        f"{finding.symbol:<10} {finding.table:<7} {finding.open_at:%Y-%m-%d %H:%M}  {finding.kind}  {finding.detail}"
        for finding in findings[:SHOWN]
    ]
    if len(findings) > SHOWN:
        lines.append(f"and {len(findings) - SHOWN} more; --json lists them all")
    return "\n".join([*lines, f"{n_bars} bars checked, {len(findings)} findings"])
