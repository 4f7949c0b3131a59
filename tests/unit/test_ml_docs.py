"""The code of the page on the ML filter does what the page says."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import talib

from mlfilter.features import FEATURES, calculate_features, get_feature_list
from mlfilter.signals import SIGNALS
from tests.docs_reader import DOCS, blocks, section
from tests.ml_bars_builders import read_klines, short_bars

PAGE = DOCS / "mlfilter.md"


def example(heading: str, name: str, folder: Path) -> ModuleType:
    """Return the first block under a heading as the module that a reader would save."""
    text = re.findall(r"```python\n(.*?)```", section(PAGE, heading), re.DOTALL)[0]
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = spec_from_file_location(name, path)
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def line_with(word: str) -> str:
    [line] = [block.text.strip() for block in blocks(PAGE, "text") if word in block.text]
    return line


@pytest.fixture
def williams(tmp_path, monkeypatch):
    module = example("Add a feature", "williams", tmp_path)
    monkeypatch.setitem(FEATURES, "williams", module.GROUP)
    yield module
    del sys.modules["williams"]


@pytest.fixture
def reversal(tmp_path, monkeypatch):
    module = example("Add a signal family", "reversal", tmp_path)
    monkeypatch.setitem(SIGNALS, "reversal", module.FAMILY)
    yield module
    del sys.modules["reversal"]


def test_a_feature_is_one_file_and_one_line(williams):
    assert line_with("williams") == '"williams": williams.GROUP,'
    bars = short_bars(1, 300)
    features = calculate_features(bars)
    assert list(features)[-1] == get_feature_list(bars.columns)[-1] == "williams_14"
    expected = talib.WILLR(*(bars[name].to_numpy() for name in ("high", "low", "close")), 14)
    np.testing.assert_array_equal(features["williams_14"], expected)
    assert features["williams_14"].isna().sum() == williams.GROUP.warm_up


def test_the_feature_of_the_docs_does_not_look_ahead(williams):
    bars, other = short_bars(2, 80), short_bars(3, 80)
    whole = calculate_features(bars)["williams_14"].to_numpy()
    for now in range(1, 80):
        rewritten = bars.copy()
        rewritten.iloc[now:] = other.iloc[now:].to_numpy()
        np.testing.assert_array_equal(calculate_features(rewritten)["williams_14"].to_numpy()[:now], whole[:now])


def test_a_signal_family_is_one_file_and_one_line(reversal, trading_data):
    assert line_with("reversal") == '"reversal": reversal.FAMILY,'
    features = calculate_features(read_klines(trading_data, last=20_000))
    found = SIGNALS["reversal"].directions(features)
    low, high = features["zscore_20"] < -1, features["zscore_20"] > 1
    np.testing.assert_array_equal(found == 1, (features["hammer"] == 1) & low)
    np.testing.assert_array_equal(found == -1, (features["engulfing"] == -1) & high)
    assert set(found.unique()) == {-1, 0, 1}
    stricter = SIGNALS["reversal"].directions(features, reversal.ReversalThresholds(zscore=2.0))
    assert 0 < stricter.ne(0).sum() < found.ne(0).sum()
    with pytest.raises(ValueError, match="zscore must be within"):
        reversal.ReversalThresholds(zscore=-1.0)


def test_the_first_lines_of_the_page_run(trading_data):
    bars = read_klines(trading_data, last=5_000)
    names = {"bars": bars, "approved": np.arange(5_000) % 2 == 0}
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(blocks(PAGE, "python")[0].text, "mlfilter.md", "exec"), names)  # noqa: S102  # our own page
    assert said.getvalue().count("SetupMetrics(") == 2
    assert names["labels"]["label"].notna().sum() > 50
    assert names["both"].n_approved < names["both"].n_setups
