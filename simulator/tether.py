"""Start a command that ends when its parent does: ``python -m simulator.tether COMMAND...``.

A terminal that outlives its killed simulator would go on trading the account beside the next one. On Linux the kernel
sends SIGTERM when the parent dies, which a new program image keeps; elsewhere the command is started as it is.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the command."""
    parent = int(os.environ.pop("TETHER_PARENT", os.getppid()))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel was asked
            sys.exit(1)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the command is our own


if __name__ == "__main__":
    main()
