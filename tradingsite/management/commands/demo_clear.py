"""Take the demo away."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ops.command import DeskCommand, Outcome, command_actor
from tradingsite.demo_removal import Removal, clear_demo, what_would_go


class Command(DeskCommand):
    """Delete everything the demo made; the next `up` starts a new one."""

    help = (
        "Delete the demo: bars, decisions, orders, models, the simulated world, its administrator. Plan, limits "
        "and audit stay. Refused in any other mode, and while `up` runs."
    )
    examples = ("demo_clear --dry-run", "demo_clear --yes")
    schema = "demo_clear/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def run(self, **options: Any) -> Outcome:
        removal = what_would_go()
        if options["dry_run"] or removal.is_empty:
            return Outcome(data=removal.as_data(), text=_text(removal, "would delete"))
        if not options["yes"]:
            self.stderr.write(_text(removal, "to be deleted"))
            self.confirm("Delete the demo?", no_input=options["no_input"])
        removal = clear_demo(actor=command_actor())
        return Outcome(data=removal.as_data(), text=_text(removal, "deleted"))


def _text(removal: Removal, verb: str) -> str:
    if removal.is_empty:
        return "nothing to delete: there is no demo here"
    lines = [f"{count:>8} {label}" for label, count in removal.rows.items()]
    lines += [f"{len(removal.model_folders):>8} folders of fitted models"] if removal.model_folders else []
    lines += [f"         {path}" for path in removal.paths]
    lines += ["         the user admin"] if removal.has_admin else []
    return "\n".join([f"{verb}:", *lines])
