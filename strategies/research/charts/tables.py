"""Tables for people: what a chart shows, or a part of a tear sheet, as text in cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from strategies.research.charts import writing

PAGE_ROWS = 40  # of a printed page, less what stands above


class Column(NamedTuple):
    """A column of a table: its name in the frame, its heading with the unit, and how its values are written."""

    name: str | int
    head: str
    kind: str  # one of writing.WRITERS


class Cell(NamedTuple):
    """What a cell says."""

    text: str
    tone: str = ""  # "gain" or "loss"; the sign in the text says the same
    is_number: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as a page shows it; the first cell of every row is its heading."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    foot: tuple[Cell, ...] = ()
    note: str = ""

    @property
    def head_cells(self) -> tuple[Cell, ...]:
        """The headings, each of them a number's where its column is one; the first column names the rows."""
        numbers = [cell.is_number for cell in self.rows[0][1:]] if self.rows else [True] * (len(self.head) - 1)
        return tuple(
            Cell(text, is_number=is_number) for text, is_number in zip(self.head, [False, *numbers], strict=True)
        )

    @property
    def fits_a_page(self) -> bool:
        """Whether it is short enough to be kept together in print."""
        return len(self.rows) <= PAGE_ROWS


def cell_of(value: Any, kind: str) -> Cell:
    """Return a value written as its kind; amounts and returns say gain or loss."""
    text = writing.WRITERS[kind](value)
    tone = writing.tone(value if kind == "change" else value * 100) if kind in ("change", "gain") and value else ""
    return Cell(text, tone, kind not in ("text", "moment"))


def heading(text: str) -> Cell:
    """Return the cell that begins a row."""
    return Cell(text, is_number=False)


def table_of(frame: pd.DataFrame, columns: Sequence[Column], *, caption: str) -> Table:
    """Return a frame as a table; the first of ``columns`` is its index."""
    kinds = [column.kind for column in columns]
    values = zip(frame.index, *(frame[column.name] for column in columns[1:]), strict=True)
    return Table(caption=caption, head=tuple(column.head for column in columns), rows=rows_of(values, kinds))


def rows_of(values: Iterable[Sequence[Any]], kinds: Sequence[str]) -> tuple[tuple[Cell, ...], ...]:
    """Return rows of values written as their columns' kinds."""
    return tuple(tuple(cell_of(value, kind) for value, kind in zip(row, kinds, strict=True)) for row in values)
