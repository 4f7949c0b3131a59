"""The code of the page on the recognizer does what the page says."""

from __future__ import annotations

import contextlib
import io
import re
import sys

import pytest

from mlfilter.proposals import Terms, find_setups
from mlfilter.recognizers import RECOGNIZERS
from mlfilter.recognizers import unseen as unseen_module
from tests.docs_reader import DOCS, blocks, section
from tests.recognizer_builders import Setups
from tests.setup_builders import EASY, quarter_hours
from tests.unit.test_ml_docs import example

PAGE = DOCS / "mlfilter.md"


@pytest.fixture
def forest(tmp_path, monkeypatch):
    module = example("Add a recognizer", "forest", tmp_path)
    monkeypatch.setitem(sys.modules, "mlfilter.recognizers.forest", module)
    monkeypatch.setitem(RECOGNIZERS, "forest", "mlfilter.recognizers.forest.build")
    yield "forest"
    del sys.modules["forest"]


def test_a_recognizer_is_one_file_and_one_line(forest):
    [line] = [block.text.strip() for block in blocks(PAGE, "text") if "forest" in block.text]
    assert line == '"forest": "mlfilter.recognizers.forest.build",'
    recognizer = Setups(300).train(forest, params={"n_estimators": 20}, n_folds=1)
    assert recognizer.report_.auc > 0.8


def test_the_first_example_of_the_recognizer_runs(monkeypatch):
    monkeypatch.setattr(unseen_module, "SHUFFLES", 1)
    bars = quarter_hours(n=2500)
    # Few random bars have setups by the default thresholds, and the example is about a year of real ones.
    monkeypatch.setattr("mlfilter.proposals.Terms", lambda **given: Terms(**given, thresholds=EASY))
    code = re.findall(r"```python\n(.*?)```", section(PAGE, "The recognizer"), re.DOTALL)[0]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code.replace("gradient_boosting", "logistic_regression"), {"bars": bars})  # noqa: S102  # our own page
    assert "approves " in out.getvalue()
    assert "'confidence':" in out.getvalue()
    assert len(find_setups(bars, Terms(thresholds=EASY)))


def test_every_recognizer_has_its_line():
    listed = re.findall(r"^\| `(\w+)` \|", section(PAGE, "The recognizer"), re.MULTILINE)
    assert [key for key in listed if key in RECOGNIZERS] == list(RECOGNIZERS)
