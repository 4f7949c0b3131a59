"""Every way to share out the capital, side by side."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from execution.weighting import Comparison, compare_weights
from ops.command import DeskCommand, Outcome
from ops.errors import ExitCode


class Command(DeskCommand):
    """Show the weights that each method gives, and which a session uses; nothing is stored."""

    help = "Show each symbol's weight by every method, the chosen one marked. Exit 5 when that one is not possible."
    examples = ("portfolio_weights", "portfolio_weights --json")
    schema = "portfolio_weights/1"

    def run(self, **options: Any) -> Outcome:
        compared = compare_weights()
        is_kept = compared.used.method == compared.settings.weighting
        return Outcome(
            data=_document(compared),
            text=_table(compared),
            exit_code=ExitCode.DONE if is_kept else ExitCode.DATA,
            warnings=tuple(dict.fromkeys([*compared.used.warnings, *compared.warnings])),
        )


def _document(compared: Comparison) -> dict[str, Any]:
    used, settings = compared.used, compared.settings
    return {
        "bar_time": compared.bar_at,
        "lookback": settings.lookback,
        "chosen": settings.weighting,
        "used": used.method,
        "symbols": [
            {"symbol": name, "weight": weight} | {m: weights[name] for m, weights in compared.weights.items()}
            for name, weight in used.weights.items()
        ],
        "volatility": compared.volatilities,
        "vol_target": settings.vol_target,
        "max_scale": settings.max_scale,
        "scale": used.scale,
    }


def _table(compared: Comparison) -> str:
    """Return a line a symbol and a column a method, the one in use with a star, and the volatility below."""
    used, methods = compared.used, list(compared.weights)
    heading = ("symbol", *(f"{method} *" if method == used.method else method for method in methods))
    rows = [(name, *(f"{compared.weights[method][name]:.2%}" for method in methods)) for name in used.weights]
    last = ("volatility", *(_percent(compared.volatilities.get(method)) for method in methods))
    widths = [max(map(len, column)) for column in zip(heading, *rows, last, strict=True)]
    lines = [_line(cells, widths) for cells in (heading, *rows, last)]
    settings = compared.settings
    target = "off" if settings.vol_target is None else f"{settings.vol_target:.2%} a year, capital x {used.scale}"
    words = f"* in use; estimated from {settings.lookback} hours to the bar of {compared.bar_at:%Y-%m-%d %H:%M} UTC"
    return "\n".join([*lines, words, f"volatility target: {target}"])


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    name, *numbers = (cell.ljust(widths[0]) if not i else cell.rjust(widths[i]) for i, cell in enumerate(cells))
    return "  ".join([name, *numbers])


def _percent(value: float | Decimal | None) -> str:
    return "-" if value is None else f"{value:.2%}"
