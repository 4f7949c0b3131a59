"""List fitted models; put all of a symbol's away, and bring one back."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from market.models import Symbol
from market.symbols import chosen_symbols
from ops.command import DeskCommand, Outcome, command_actor
from ops.errors import ExitCode
from strategies import archive, registry
from strategies.fitting import model_data
from strategies.models import FittedModel
from strategies.registry import missing_models


class Command(DeskCommand):
    help = "List the fitted models: what trades, or with --all every version that is not archived."
    examples = ("model_list", "model_list --symbol BTCUSD --all --json")
    schema = "model_list/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", action="append", default=[], help="only this one; may be given again")
        parser.add_argument("--all", action="store_true", help="candidates, shadows and retired versions too")
        parser.add_argument("--archived", action="store_true", help="what was put away instead")
        parser.add_argument(
            "--archive", action="store_true", help="put every version away, also what trades: the next fit starts over"
        )
        parser.add_argument("--restore", type=int, metavar="ID", help="bring an archived version back as a retired one")
        parser.add_argument("--yes", action="store_true", help="confirm --archive")
        parser.add_argument("--reason", default="", help="of --archive or --restore, kept in the audit log")

    def run(self, **options: Any) -> Outcome:
        symbols = chosen_symbols(options["symbol"])
        if options["archive"]:
            return self._archive(symbols, options)
        if options["restore"] is not None:
            return _restore(options)
        models = FittedModel.objects.filter(symbol__in=symbols).select_related("symbol")
        listed = list(_wanted(models, options))
        missing = {symbol.name: list(lacking) for symbol in symbols if (lacking := missing_models(symbol.name))}
        data = {"models": [model_data(model) for model in listed], "missing_model": missing}
        warnings = tuple(f"{name} has no active model for {', '.join(lacking)}" for name, lacking in missing.items())
        return Outcome(data=data, text=_table(listed), warnings=warnings)

    def _archive(self, symbols: list[Symbol], options: dict[str, Any]) -> Outcome:
        models = list(FittedModel.objects.kept().filter(symbol__in=symbols).select_related("symbol"))
        n_active = sum(model.status == model.Status.ACTIVE for model in models)
        names = ", ".join(symbol.name for symbol in symbols)
        what = f"{len(models)} versions of {names}, of which {n_active} trade"
        if options["dry_run"]:
            return Outcome(data=_data(models), text=f"would archive {what}; nothing was changed")
        if n_active and not options["yes"]:
            self.confirm(f"Archive {what}? They stop trading until a fit.", no_input=options["no_input"])
        archived = archive.archive_symbols(symbols, actor=command_actor(), reason=options["reason"])
        return Outcome(data=_data(archived), text=f"archived {what}")


def _wanted(models: Any, options: dict[str, Any]) -> Any:
    if options["archived"]:
        return models.exclude(archived_at=None)
    return models.kept() if options["all"] else models.active()


def _restore(options: dict[str, Any]) -> Outcome:
    model = registry.get(options["restore"])
    if not model.archived_at:
        raise CommandError(f"{model} is not archived", returncode=ExitCode.USAGE)
    if not options["dry_run"]:
        model = archive.restore(model.pk, actor=command_actor(), reason=options["reason"])
    verb = "would be restored" if options["dry_run"] else "is restored"
    return Outcome(data=_data([model]), text=f"{model} {verb} as a retired version")


def _data(models: list[FittedModel]) -> dict[str, Any]:
    return {"models": [model_data(model) for model in models], "missing_model": {}}


def _table(models: list[FittedModel]) -> str:
    """Return one aligned line per model under a heading."""
    if not models:
        return "no fitted models; make some with `manage.py fit_models`"
    heading = ("id", "symbol", "strategy", "variant", "version", "status", "weight", "bars", "last bar (UTC)")
    rows = [heading, *map(_cells, models)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heading))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _cells(model: FittedModel) -> tuple[str, ...]:
    return (
        str(model.pk),
        model.symbol.name,
        model.strategy,
        model.variant,
        f"v{model.version}",
        model.status,
        f"{model.strat_weight:.2%}",
        str(model.n_bars),
        f"{model.fit_to:%Y-%m-%d %H:%M}",
    )
