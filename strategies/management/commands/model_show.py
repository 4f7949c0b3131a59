"""Show one version of a fitted model."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ops.command import DeskCommand, Outcome
from strategies import drift, gates, registry
from strategies.showing import show


class Command(DeskCommand):
    help = "Show one version: what it was made of, its file, when it traded, how it did, and its drift."
    examples = ("model_show 17", "model_show 17 --gates --json")
    schema = "model_show/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, help="as model_list shows it")
        parser.add_argument("--days", type=int, default=drift.DAYS, help="market days that drift is measured over")
        parser.add_argument("--gates", action="store_true", help="also ask what a promotion would; takes seconds")

    def run(self, **options: Any) -> Outcome:
        model = registry.get(options["id"])
        data = show(model, days=options["days"])
        if options["gates"]:
            (verdict,) = gates.judge([model])
            data["promotion"] = verdict.as_data()
        return Outcome(data=data, text="\n".join(_lines(data)), warnings=tuple(data["file"]["warnings"]))


def _lines(data: dict[str, Any]) -> list[str]:
    archived = ", archived" if data["archived_at"] else ""
    lines = [
        f"{data['symbol']} {data['strategy']} {data['variant']} v{data['version']}  {data['status']}{archived}",
        f"fitted     on {data['n_bars']} bars from {_day(data['fit_from'])} to {_day(data['fit_to'])} by "
        f"{data['fitted_by']} at {_day(data['created_at'])} {data['note']}".rstrip(),
        f"made by    commit {data['commit'][:12] or 'unknown'}, data {data['data_hash'][:12]}",
        f"parameters {_pairs(data['params'])}",
        f"learned    {_pairs(data['fitted'])}",
        *_measured(data["metrics"]),
        f"file       {'good' if data['file']['ok'] else data['file']['error']}, {data['path']}",
        *(f"traded     {_activation(row)}" for row in data["activations"]),
        f"drift      {_drift(data['drift'])}",
    ]
    promotion = data.get("promotion")
    return lines + ([f"gate       {_gate(gate)}" for gate in promotion["gates"]] if promotion else [])


def _measured(metrics: dict[str, Any]) -> list[str]:
    if "words" in metrics:  # what is no strategy says so itself
        return [f"unseen     {sentence}" for sentence in metrics["words"]]
    performance = _performance(metrics.get("out_of_sample"))
    return [f"in sample  {_in_sample(metrics)}", f"held out   {performance}"]


def _day(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_plain(value)}" for name, value in values.items())


def _plain(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:+.2f}"


def _in_sample(metrics: dict[str, Any]) -> str:
    return (
        f"Sharpe (365 d, no costs) {_number(metrics['sharpe'])}, volatility {metrics['pnl_volatility']:.1%} a year, "
        f"turnover {metrics['turnover']:.2f} a day"
    )


def _performance(performance: dict[str, Any] | None) -> str:
    if performance is None:
        return "history is too short to hold bars out"
    return (
        f"Sharpe (365 d, after costs) {_number(performance['sharpe'])} of a twin on {performance['n_bars']} bars, "
        f"turnover {performance['turnover']:.2f} a day"
    )


def _activation(row: dict[str, Any]) -> str:
    replaced = f"instead of v{row['previous']}" if row["previous"] else "first in its slot"
    failed = [gate["name"] for gate in row["gates"] if not gate["passed"]]
    against = f" against {', '.join(failed)}" if failed else ""
    kind = row["kind"].replace("_", " ")
    return f"from {_day(row['at'])}, {kind} by {row['actor']}{against} {row['reason']}".rstrip() + f", {replaced}"


def _drift(data: dict[str, Any] | None) -> str:
    if data is None:
        return "no live predictions"
    if "error" in data:
        return f"unknown: {data['error']}"
    if not data["n_live"]:
        return f"failed on all of {data['n_failed']} bars"
    correlation = "none" if data["correlation"] is None else f"{data['correlation']:.4f}"
    return (
        f"{data['n_live']} of {data['n_bars']} bars ({data['coverage']:.1%}), correlation {correlation}, "
        f"mean difference {data['mean_abs_diff']:.2e}, largest {data['max_abs_diff']:.2e}"
    )


def _gate(gate: dict[str, Any]) -> str:
    return f"{'passed' if gate['passed'] else 'FAILED'}  {gate['name']}: {gate['figure']}"
