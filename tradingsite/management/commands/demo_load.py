"""Bring the demo's data in."""

from __future__ import annotations

from typing import Any

from ops.command import DeskCommand, Outcome
from tradingsite.demo import ADMIN, DemoReport, load_demo, password_file


class Command(DeskCommand):
    """Load history, plan, fitted models and an administrator; what is there stays."""

    help = "Bring in the demo's history, fit its models and make its administrator. The simulator has to run."
    examples = ("demo_load", "demo_load --json")
    schema = "demo_load/1"

    def run(self, **options: Any) -> Outcome:
        report = load_demo(say=self.stderr.write)
        return Outcome(data=report.as_data(), text=_text(report), exit_code=report.exit_code)


def _text(report: DemoReport) -> str:
    if report.fits is None:
        head = f"the demo is loaded already: {', '.join(report.symbols)}"
    else:
        head = f"loaded {', '.join(report.symbols)}: {len(report.fits.models)} models"
    if not password_file().exists():
        return head
    return f"{head}\nuser {ADMIN}  password {password_file().read_text().strip()}"
