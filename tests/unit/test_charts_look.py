"""How charts of research look: enough points, the pages' way of writing numbers, and colours that can be told apart."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from strategies.research.charts import palette, writing
from strategies.research.charts.tables import Column, cell_of, table_of
from strategies.research.charts.thinning import thinned
from tradingsite.templatetags.desk import written

ROOT = Path(__file__).resolve().parents[2]


# Fewer points


def test_thinning_keeps_ends_extremes_and_holes():
    values = np.zeros(10_000)
    values[1234], values[7777], values[5000:5010] = 9.0, -9.0, np.nan
    table = pd.DataFrame({"a": values, "b": np.arange(10_000.0)})
    kept = thinned(table, 400)
    assert len(kept) <= 600
    assert {0, 1234, 7777, 9999} <= set(kept.index)
    assert kept["a"].isna().any()
    pd.testing.assert_frame_equal(kept, table.loc[kept.index])


def test_a_short_table_is_not_thinned():
    table = pd.DataFrame({"a": np.arange(400.0)})
    assert thinned(table, 400) is table


# Writing and colours


@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("places", [0, 2, 4])
def test_numbers_are_written_as_on_the_pages(places, plus):
    values = [0, 0.004, -0.004, 1, -1, 1234567.891, -1234.5, 99.995, float("nan"), float("inf"), None]
    for value in [*values, *(10 ** np.random.default_rng(0).uniform(-6, 9, 200))]:
        assert writing.written(value, places, plus=plus) == written(value, places, plus=plus)


@pytest.mark.parametrize(
    ("value", "kind", "text", "tone"),
    [
        (float("nan"), "ratio", "—", ""),
        (None, "gain", "—", ""),
        (0.0123, "gain", "+1.23\u00a0%", "gain"),
        (-0.00001, "gain", "0.00\u00a0%", ""),
        (-5, "change", "−5.00", "loss"),
        (-5, "money", "−5.00", ""),
        (None, "moment", "—", ""),
    ],
)
def test_cells_say_with_sign_and_tone_what_was_earned(value, kind, text, tone):
    cell = cell_of(value, kind)
    assert (cell.text, cell.tone) == (text, tone)


def test_headings_stand_over_their_columns():
    frame = pd.DataFrame({"n": [1], "words": ["x"]}, index=["a"])
    columns = (Column("i", "Row", "text"), Column("n", "Count", "count"), Column("words", "Words", "text"))
    assert [cell.is_number for cell in table_of(frame, columns, caption="").head_cells] == [False, True, False]


def tokens() -> dict[str, palette.Pair]:
    """Return the colours of the pages, before other palettes change some."""
    text = (ROOT / "static" / "css" / "tokens.css").read_text()
    found = re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", text)
    return {name: palette.Pair(light, dark) for name, light, dark in reversed(found)}


def test_colours_are_the_pages():
    assert {name: tokens()[name] for name in palette.TOKENS} == palette.TOKENS


def test_no_two_light_colours_are_the_same():
    pairs = [*palette.TOKENS.values(), *palette.SERIES, *palette.SHADES.values()]
    assert len(palette.dark_twins()) == len(pairs)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["heat-low", "heat-none", "heat-high"])
def test_numbers_can_be_read_on_the_heat_map(ground, theme):
    ink, paper = (getattr(pairs[name], theme) for pairs, name in ((palette.TOKENS, "text"), (palette.SHADES, ground)))
    light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
