"""``python -m benchmarks``: run the benchmarks and say which reach their goals.

Django's settings are read with a state folder of its own, so that neither a database nor a key of the site is used.
"""

from __future__ import annotations

import os
import sys
import tempfile


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        os.environ["STATE_DIR"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingsite.settings")
        import django

        django.setup()
        from benchmarks.command import run_command

        return run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
