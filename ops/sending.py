"""A process of its own for one call of apprise: ``python -m ops.sending``, the request on stdin, the answer on stdout.

Apprise speaks to anybody's server in more than a hundred ways, none of which bounds the time of a whole call. Here a
call that hangs can be killed, and what the library logs, addresses included, is seen by nobody. It knows no Django.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import warnings
from typing import Any

STATUS = re.compile(r"error=(\d{3})\b")
LEVELS = {"info": "info", "warning": "warning", "critical": "failure"}
REFUSED = "the service could not be reached, or refused it"
UNREADABLE = "apprise knows no such service, or the address lacks a part"


class _Statuses(logging.Handler):
    """Picks the HTTP status out of what apprise logs, and drops the rest: it may name addresses."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        found = STATUS.search(record.getMessage())
        if found:
            self.last = found[1]


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked: ``send`` a message to an address, or only ``check`` whether the address can be read."""
    warnings.simplefilter("ignore")  # of the library's own imports
    import apprise

    heard = _Statuses()
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [heard], False
    service = apprise.Apprise.instantiate(request["url"], suppress_exceptions=True)
    if not isinstance(service, apprise.NotifyBase):
        return {"ok": False, "reason": UNREADABLE, "is_final": True}
    if request["op"] == "check":
        return {"ok": True, "reason": ""}
    site = apprise.Apprise()
    site.add(service)
    is_sent = site.notify(
        title=request["title"], body=request["body"], notify_type=LEVELS[request["level"]], body_format="text"
    )
    if is_sent:
        return {"ok": True, "reason": ""}
    return {"ok": False, "reason": f"the service answered with status {heard.last}" if heard.last else REFUSED}


if __name__ == "__main__":
    print(json.dumps(answer(json.load(sys.stdin))))
