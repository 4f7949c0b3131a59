"""The models that a filter can be made of; a new one is a file here and one line.

Values are dotted paths of functions ``build(random_state) -> classifier``, so that reading the keys imports no
scikit-learn. A classifier has ``fit(X, y, sample_weight=…)`` and ``predict_proba``, as scikit-learn's do.
"""

RECOGNIZERS: dict[str, str] = {
    "gradient_boosting": "mlfilter.recognizers.gradient_boosting.build",
    "hist_gradient_boosting": "mlfilter.recognizers.hist_gradient_boosting.build",
    "logistic_regression": "mlfilter.recognizers.logistic_regression.build",
}
