"""Let versions trade, or watch."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from market.symbols import chosen_symbols
from ops.audit import Actor
from ops.command import DeskCommand, Outcome, command_actor
from ops.errors import DeskError, ExitCode
from strategies import gates, lifecycle, promotion, registry
from strategies.gates import Verdict
from strategies.models import FittedModel
from strategies.promotion import waiting


class Command(DeskCommand):
    help = (
        "Let versions trade instead of those that do, once their gates are passed; exit code 4 when one is not. "
        "Without ids: the newest candidate or shadow of every slot that has one newer than what trades."
    )
    examples = ("model_promote 17 --dry-run", "model_promote 17 --override --reason 'shadowed for a month'")
    schema = "model_promote/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, nargs="*", help="as model_list --all shows it")
        parser.add_argument("--symbol", action="append", default=[], help="without ids: only this one; repeatable")
        parser.add_argument("--strategy", action="append", default=[], help="without ids: only this key; repeatable")
        parser.add_argument("--shadow", action="store_true", help="let them predict and not trade; no gate is asked")
        parser.add_argument("--override", action="store_true", help="promote against gates; takes a --reason")
        parser.add_argument("--reason", default="", help="kept in the audit log")

    def run(self, **options: Any) -> Outcome:
        promotion.require_reason(options["reason"], override=options["override"])
        models = _chosen(options)
        terms = {"actor": command_actor(), "reason": options["reason"]}
        if options["shadow"]:
            return _shadow(models, dry_run=options["dry_run"], **terms)
        for model in models:
            lifecycle.require_kept(model)
        verdicts = gates.judge([model for model in models if model.status != FittedModel.Status.ACTIVE])
        if options["dry_run"]:
            return _would(verdicts, override=options["override"])
        return _promote(verdicts, override=options["override"], **terms)


def _chosen(options: dict[str, Any]) -> list[FittedModel]:
    if options["id"]:
        return [registry.get(model_id) for model_id in dict.fromkeys(options["id"])]
    return waiting(chosen_symbols(options["symbol"]), options["strategy"])


def _shadow(models: list[FittedModel], *, dry_run: bool, actor: Actor, reason: str) -> Outcome:
    if not dry_run:
        models = [lifecycle.shadow(model.pk, actor=actor, reason=reason) for model in models]
    rows = [_row(model) for model in models]
    verb = "would watch" if dry_run else "watches"
    text = "\n".join(f"{model} {verb}" for model in models) or "nothing waits to be promoted"
    return Outcome(data={"models": rows, "failed": []}, text=text)


def _would(verdicts: list[Verdict], *, override: bool) -> Outcome:
    refused = [verdict for verdict in verdicts if verdict.failed and not override]
    lines = [line for verdict in verdicts for line in _lines(verdict, "would be" if _may(verdict, override) else "not")]
    return Outcome(
        data={"models": [_judged(verdict) for verdict in verdicts], "failed": []},
        text="\n".join([*lines, f"{len(verdicts) - len(refused)} would be promoted; nothing was changed"]),
        exit_code=ExitCode.REFUSED if refused else ExitCode.DONE,
    )


def _promote(verdicts: list[Verdict], *, override: bool, actor: Actor, reason: str) -> Outcome:
    """Promote one by one: what another version's gate refuses does not keep the rest from trading."""
    failed: dict[int, DeskError] = {}
    for verdict in verdicts:
        try:
            promotion.apply(verdict, actor=actor, reason=reason, override=override)
        except DeskError as error:
            failed[verdict.model.pk] = error
    if failed and len(verdicts) == 1:
        raise failed.popitem()[1]
    lines = [line for verdict in verdicts for line in _lines(verdict, "not" if verdict.model.pk in failed else "is")]
    done = len(verdicts) - len(failed)
    return Outcome(
        data={
            "models": [_judged(verdict) for verdict in verdicts],
            "failed": [{"id": model_id, "error": str(error)} for model_id, error in failed.items()],
        },
        text="\n".join([*lines, f"{done} promoted, {len(failed)} not"]),
        exit_code=_exit_code(failed, done),
    )


def _exit_code(failed: dict[int, DeskError], done: int) -> ExitCode:
    if not failed:
        return ExitCode.DONE
    if done:
        return ExitCode.PARTLY
    codes = {error.exit_code for error in failed.values()}
    return codes.pop() if len(codes) == 1 else ExitCode.FAILED


def _may(verdict: Verdict, override: bool) -> bool:
    return override or not verdict.failed


def _row(model: FittedModel) -> dict[str, Any]:
    return {
        "id": model.pk,
        "symbol": model.symbol.name,
        "strategy": model.strategy,
        "variant": model.variant,
        "version": model.version,
        "status": model.status,
    }


def _judged(verdict: Verdict) -> dict[str, Any]:
    return _row(verdict.model) | verdict.as_data()


def _lines(verdict: Verdict, verb: str) -> list[str]:
    replaced = f"instead of v{verdict.active.version}" if verdict.active else "in an empty slot"
    marks = [f"  {'passed' if gate.passed else 'FAILED'}  {gate}" for gate in verdict.gates]
    return [f"{verdict.model} {verb} promoted {replaced}", *marks]
