"""Where a fit came from: the bars' hash, the libraries' versions, the commit."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# What a fitted strategy's numbers and its pickle depend on.
LIBRARIES = ("numpy", "pandas", "numba", "scikit-learn", "joblib")
PROJECT = Path(__file__).resolve().parent.parent


def bars_hash(bars: pd.DataFrame) -> str:
    """Return the SHA-256 of the bars: their times, column names and values, whatever their layout in memory."""
    import numpy as np

    digest = hashlib.sha256()
    digest.update(bars.index.as_unit("ns").asi8.astype("<i8").tobytes())  # type: ignore[attr-defined]
    for name in bars.columns:
        values = bars[name].to_numpy(dtype=np.float64)
        # NaN has many bit patterns that mean the same.
        digest.update(name.encode() + b"\0" + np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())
    return digest.hexdigest()


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a stored model depends on."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


@cache
def commit() -> str:
    """Return the commit of this code, with ``-dirty`` when files were changed; empty outside a repository."""
    git = shutil.which("git")
    if git is None:
        return ""
    describe = [
        "--no-optional-locks",
        "-C",
        str(PROJECT),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
        "--exclude=*",
    ]
    done = subprocess.run([git, *describe], capture_output=True, text=True, check=False, timeout=10)  # noqa: S603
    return done.stdout.strip() if done.returncode == 0 else ""
