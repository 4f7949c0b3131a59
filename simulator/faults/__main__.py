"""``python -m simulator.faults``: compare ``docs/faults.md`` with the code, or write it with ``--write``."""

from __future__ import annotations

import argparse
import sys

from simulator.faults.page import PAGE, page


def main() -> int:
    """Return 0 when the page is as it has to be, 3 when it is not."""
    parser = argparse.ArgumentParser(prog="python -m simulator.faults", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the page")
    if parser.parse_args().write:
        PAGE.write_text(page())
    if PAGE.exists() and PAGE.read_text() == page():
        return 0
    sys.stderr.write(f"{PAGE} is not up to date: run python -m simulator.faults --write\n")
    return 3


if __name__ == "__main__":
    sys.exit(main())
