"""``docs/faults.md``: what each fault of the catalogue is, how it is played, and which tests play it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from simulator.faults.catalogue import ALWAYS, CATALOGUE, why_not
from simulator.faults.registry import FAULTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "faults.md"
ID = re.compile(r"[MBS]\d\d")
HEADINGS = {"M": "MetaTrader 5", "B": "Binance", "S": "The desk itself"}
INTRODUCTION = """# Faults

What can go wrong outside, by the ids of the fault catalogue, and whether the [simulator](simulator.md#faults) can play
it. This page is written by `python -m simulator.faults --write`; a test holds it to the code. A test is named where it
plays the fault; — where none does yet.

A plan names faults and their times: at the n-th call, at a market time, for a symbol, for a while, or by chance from a
seed. Parameters below are shown with their defaults; *lasts* is in market seconds.
"""


def page(tests: Mapping[str, list[str]] | None = None) -> str:
    """Return the page as it has to be."""
    played_by = played_in(ROOT / "tests") if tests is None else tests
    parts = [INTRODUCTION, _counts(played_by)]
    for letter, heading in HEADINGS.items():
        rows = [_row(fault_id, words, played_by) for fault_id, words in CATALOGUE.items() if fault_id[0] == letter]
        parts.append(f"## {heading}\n\n| id | fault | in the simulator | test |\n|---|---|---|---|\n" + "\n".join(rows))
    return "\n".join(part.rstrip() + "\n" for part in parts)


def played_in(folder: Path) -> dict[str, list[str]]:
    """Return which test functions of files about faults name an id, in themselves or in their decorators' tables."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("test_*fault*.py")):
        tree = ast.parse(path.read_text())
        tables = {name.id: node for node in tree.body if isinstance(node, ast.Assign) for name in _targets(node)}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for fault_id in sorted(_ids(node, tables)):
                    found[fault_id].append(f"`{node.name}` in `{path.relative_to(ROOT)}`")
    return found


def _targets(node: ast.Assign) -> Iterator[ast.Name]:
    return (one for one in node.targets if isinstance(one, ast.Name))


def _ids(node: ast.AST, tables: Mapping[str, ast.AST]) -> set[str]:
    """Return the ids in a node, in its docstring, and in the tables of its file that it names."""
    ids = set(ID.findall(ast.get_docstring(node) or "")) if isinstance(node, ast.FunctionDef) else set()
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and ID.fullmatch(one.value):
            ids.add(one.value)
        if isinstance(one, ast.Name) and one.id in tables and one is not node:
            ids |= _ids(tables[one.id], {})
    return ids


def _counts(played_by: Mapping[str, list[str]]) -> str:
    tested = sum(fault_id in played_by for fault_id in FAULTS)
    return (
        f"{len(CATALOGUE)} faults are catalogued; {len(FAULTS)} can be played by a plan, {len(ALWAYS)} are always so; "
        f"tests play {tested} of the former."
    )


def _row(fault_id: str, words: str, played_by: Mapping[str, list[str]]) -> str:
    tests = "; ".join(played_by.get(fault_id, [])) or "—"
    return f"| {fault_id} | {_cell(words)} | {_cell(_how(fault_id))} | {tests} |"


def _how(fault_id: str) -> str:
    fault = FAULTS.get(fault_id)
    if fault is None:
        return ALWAYS.get(fault_id) or f"not played: {why_not(fault_id)}"
    parameters = ", ".join(f"{name} {value!r}" for name, value in fault.parameters.items())
    lasts = f"lasts {fault.lasts_s:g}" if fault.lasts_s >= 1 else ""
    settings = "; ".join(filter(None, (parameters and f"`{parameters}`", lasts)))
    return fault.does + (f" ({settings})" if settings else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
