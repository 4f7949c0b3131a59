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
        return Outcome(data=report.as_data(), text=self._text(report), exit_code=report.exit_code)

    def _text(self, report: DemoReport) -> str:
        names = ", ".join(report.symbols)
        head = f"{names} are loaded already" if report.fits is None else f"{names} are loaded"
        path = password_file()
        if not path.exists():
            return head
        # On a screen, for whoever sits there; a log shall not keep it.
        word = path.read_text().strip() if self.stdout.isatty() else f"is in {path}"
        return f"{head}\nuser {ADMIN}  password {word}"
