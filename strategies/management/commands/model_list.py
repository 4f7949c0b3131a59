"""List fitted models."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from market.symbols import chosen_symbols
from ops.command import DeskCommand, Outcome
from strategies.fitting import model_data
from strategies.models import FittedModel
from strategies.registry import missing_models


class Command(DeskCommand):
    help = "List the fitted models: what trades, or with --all every version."
    examples = ("model_list", "model_list --symbol BTCUSD --all --json")
    schema = "model_list/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", action="append", default=[], help="only this one; may be given again")
        parser.add_argument("--all", action="store_true", help="candidates, shadows and retired versions too")

    def run(self, **options: Any) -> Outcome:
        names = [symbol.name for symbol in chosen_symbols(options["symbol"])]
        models = FittedModel.objects.filter(symbol__name__in=names).select_related("symbol")
        listed = list(models if options["all"] else models.active())
        missing = {name: list(missing) for name in names if (missing := missing_models(name))}
        data = {"models": [model_data(model) for model in listed], "missing_model": missing}
        warnings = tuple(f"{name} has no active model for {', '.join(lacking)}" for name, lacking in missing.items())
        return Outcome(data=data, text=_table(listed), warnings=warnings)


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
