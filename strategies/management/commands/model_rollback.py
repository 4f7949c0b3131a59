"""Let what traded before trade again."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from market.symbols import chosen_symbols
from ops.command import DeskCommand, Outcome, command_actor
from ops.errors import DeskError, ExitCode
from strategies import lifecycle, registry
from strategies.models import FittedModel


class Command(DeskCommand):
    help = "Let what traded before an active version trade again. It never asks: promoting is the way back."
    examples = ("model_rollback 17 --reason 'turns over too much'", "model_rollback --symbol BTCUSD --dry-run --json")
    schema = "model_rollback/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, nargs="*", help="of active versions, as model_list shows them")
        parser.add_argument("--symbol", action="append", default=[], help="all that trade it; may be given again")
        parser.add_argument("--strategy", action="append", default=[], help="all of this key; may be given again")
        parser.add_argument("--all", action="store_true", help="all that trade")
        parser.add_argument("--reason", default="", help="kept in the audit log")

    def run(self, **options: Any) -> Outcome:
        moves, failed = [], []
        errors: list[DeskError] = []
        for model in _chosen(options):
            try:
                moves.append(_roll_back(model, options))
            except DeskError as error:
                errors.append(error)
                failed.append({"id": model.pk, "error": str(error)})
        if len(errors) == 1 and not moves:
            raise errors[0]
        verb = "would go back" if options["dry_run"] else "went back"
        lines = [f"{move['symbol']} {move['name']} {verb} from v{move['from']} to v{move['to']}" for move in moves]
        lines += [f"not: {failure['error']}" for failure in failed]
        return Outcome(
            data={"models": moves, "failed": failed},
            text="\n".join([*lines, f"{len(moves)} {verb}, {len(failed)} not"]),
            exit_code=_exit_code(len(moves), len(failed)),
        )


class NothingChosenError(DeskError):
    """A rollback of nothing in particular."""

    exit_code = ExitCode.USAGE


def _chosen(options: dict[str, Any]) -> list[FittedModel]:
    if options["id"]:
        return [registry.get(model_id) for model_id in dict.fromkeys(options["id"])]
    if not (options["symbol"] or options["strategy"] or options["all"]):
        raise NothingChosenError("say which: ids of active versions, --symbol, --strategy or --all")
    models = FittedModel.objects.active().filter(symbol__in=chosen_symbols(options["symbol"])).select_related("symbol")
    return list(models.for_strategies(options["strategy"]) if options["strategy"] else models)


def _roll_back(model: FittedModel, options: dict[str, Any]) -> dict[str, Any]:
    if options["dry_run"]:
        restored = lifecycle.before(model).model
        registry.load(restored)
    else:
        restored = lifecycle.rollback(model.pk, actor=command_actor(), reason=options["reason"])
    return {
        "symbol": model.symbol.name,
        "name": model.name,
        "id": restored.pk,
        "from": model.version,
        "to": restored.version,
    }


def _exit_code(done: int, failed: int) -> ExitCode:
    if not failed:
        return ExitCode.DONE
    return ExitCode.PARTLY if done else ExitCode.FAILED
