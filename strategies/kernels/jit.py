"""How every kernel is compiled.

A kernel is written as ``name_py``, plain Python over arrays, and compiled as ``name``: tests hold the two and an
independent third to each other. Kernels take contiguous float64, allocate before their loop, and never raise.

No ``fastmath``: it would let the compiler drop the tests for NaN, and fuse operations differently in the middle and
at the end of an array, so that an entry would depend, in its last bits, on how many bars follow it.
``error_model="numpy"`` makes a division by zero inf or NaN. A kernel calls kernels of its own file only: numba's cache
does not notice when a callee in another file changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(kernel: Kernel) -> Kernel:
    """Return ``kernel`` compiled on its first call, cached on disk, running without the interpreter's lock."""
    return cast(Kernel, njit(cache=True, error_model="numpy", nogil=True)(kernel))
