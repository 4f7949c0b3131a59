"""Every model of ``RECOGNIZERS`` trains, repeats, survives its file and finds what there is to find."""

from __future__ import annotations

import io
from functools import cache

import joblib
import numpy as np
import pytest

from mlfilter.recognizers import RECOGNIZERS
from mlfilter.recognizers.recognizer import MLPatternRecognizer, build_classifier
from tests.recognizer_builders import Setups

pytestmark = pytest.mark.slow


@cache
def trained(key: str) -> MLPatternRecognizer:
    """Return a recognizer that the tests share and do not change."""
    return Setups().train(key)


every_recognizer = pytest.mark.parametrize("key", RECOGNIZERS)


@every_recognizer
def test_it_finds_a_rule_and_says_it_again_after_its_file(key):
    recognizer = trained(key)
    assert recognizer.report_.auc > 0.8
    later = Setups(200, seed=1).features
    buffer = io.BytesIO()
    joblib.dump(recognizer, buffer)
    again = joblib.load(io.BytesIO(buffer.getvalue()))
    np.testing.assert_array_equal(again.score(later), recognizer.score(later))
    np.testing.assert_array_equal(Setups().train(key).score(later), recognizer.score(later))


@every_recognizer
def test_probabilities_are_between_nothing_and_certainty(key):
    p = trained(key).score(Setups(200, seed=1).features)
    assert ((p > 0.0) & (p < 1.0)).all()


@every_recognizer
def test_rewriting_a_row_changes_no_other_rows_score(key):
    recognizer, later = trained(key), Setups(50, seed=1).features
    whole = recognizer.score(later)
    later.iloc[25:] = 0.0
    np.testing.assert_allclose(recognizer.score(later)[:25], whole[:25], rtol=0, atol=1e-12)


@every_recognizer
def test_its_defaults_can_be_replaced(key):
    defaults = build_classifier(key, 3, {})
    assert defaults.random_state == 3
    name = {"logistic_regression": "C"}.get(key, "learning_rate")
    assert getattr(build_classifier(key, 3, {name: 0.5}), name) == 0.5
