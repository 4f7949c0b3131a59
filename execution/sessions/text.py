"""A session's report for people."""

from __future__ import annotations

from execution.sessions.reports import SessionReport, SymbolReport


def as_text(report: SessionReport) -> str:
    """Return one line a symbol, and one a leg."""
    head = f"bar {report.bar_time:%Y-%m-%d %H:%M} UTC"
    return "\n".join([head, *(line for symbol in report.symbols for line in _lines(symbol))])


def _lines(symbol: SymbolReport) -> list[str]:
    reason = f" · {symbol.blocker}" if symbol.blocker else ""
    if symbol.clipped_pct is None:
        return [f"{symbol.symbol:<10} {symbol.verdict}{reason}"]
    current = "?" if symbol.current_lots is None else f"{symbol.current_lots:+}"
    head = f"{symbol.symbol:<10} {symbol.verdict:<11} {symbol.clipped_pct:+.1%} of capital"
    lots = f"{current} → {symbol.target_lots:+} lots"
    legs = [
        f"{'':<10} {leg['scene']} {leg['side']} {leg['volume']} at {leg['price'] or 'market'}" for leg in symbol.legs
    ]
    return [f"{head}, {lots}{reason}", *legs]
