"""What ran, runs and waits."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ops.command import DeskCommand, Outcome
from ops.models import Run


class Command(DeskCommand):
    """List runs, the newest first."""

    help = "List the runs of jobs, the newest first: sessions, fits, and what started them."
    examples = ("job_list", "job_list --job session --status failed --json")
    schema = "job_list/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--job", metavar="NAME", help="only this job's, like session or fit_models")
        parser.add_argument("--status", choices=Run.Status.values, help="only those that stand so")
        parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (default: %(default)s)")

    def run(self, **options: Any) -> Outcome:
        chosen = {name: options[name] for name in ("job", "status") if options[name]}
        runs = list(Run.objects.filter(**chosen)[: max(options["limit"], 0)])
        return Outcome(data={"runs": [_as_data(run) for run in runs]}, text=_table(runs))


def _as_data(run: Run) -> dict[str, Any]:
    fields = "id job slot queue status attempts params result error market_at queued_at started_at finished_at"
    progress = {"done": run.progress_done, "total": run.progress_total, "label": run.progress_label}
    return {name: getattr(run, name) for name in fields.split()} | {"progress": progress, "seconds": _seconds(run)}


def _seconds(run: Run) -> float | None:
    if run.started_at is None or run.finished_at is None:
        return None
    return round((run.finished_at - run.started_at).total_seconds(), 2)


def _table(runs: list[Run]) -> str:
    if not runs:
        return "no runs"
    return "\n".join(_line(run) for run in runs)


def _line(run: Run) -> str:
    seconds = _seconds(run)
    took = "" if seconds is None else f"{seconds:.1f} s"
    begun = f"{run.started_at:%Y-%m-%d %H:%M:%S}" if run.started_at else ""
    return f"{run.pk:>6}  {run.job:<12} {run.slot:<20} {run.status:<9} {begun:<19} {took:>8}  {run.error[:80]}".rstrip()
