"""Logs: to the console, and to one file a process; never a secret."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from loguru import Record

CONSOLE = "<level>{level: <7}</level> {time:HH:mm:ss.SSS} {name}: {message}"
FILE = "{time:YYYY-MM-DDTHH:mm:ss.SSSZZ} {level} {process} {name}:{line} {message}"
HIDDEN = "•••"
# What talks of every task or request, which the runs' rows and our own lines tell better.
QUIETER = {"django-q": logging.WARNING, "uvicorn.access": logging.WARNING, "numba": logging.WARNING}


class StandardLibraryHandler(logging.Handler):
    """Hand records of the standard library's logging to loguru, so that there is one log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        logger.opt(depth=6, exception=record.exc_info).log(level, record.getMessage())


@dataclass(frozen=True, slots=True)
class Scrubber:
    """Hides secrets in all that is written: words, bound values and tracebacks."""

    secrets: tuple[str, ...]

    def scrub(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def patch(self, record: Record) -> None:
        """Hide them in a record's message and in what is bound to it."""
        record["message"] = self.scrub(record["message"])
        for key, value in record["extra"].items():
            if isinstance(value, str):
                record["extra"][key] = self.scrub(value)

    def lines(self, form: str) -> Callable[[Record], str]:
        """Return a loguru format: the line, what was bound to it if anything was, and the traceback if there is one."""

        def line(record: Record) -> str:
            return form + (" {extra}" if record["extra"] else "") + "\n" + self._trace(record)

        return line

    def _trace(self, record: Record) -> str:
        raised = record["exception"]
        if raised is None:
            return ""
        text = self.scrub("".join(traceback.format_exception(raised.type, raised.value, raised.traceback)))
        return text.replace("{", "{{").replace("}", "}}").replace("<", r"\<")  # it is text, no format and no colour


def configure_logging(process: str, *, folder: Path, secrets: tuple[str, ...] = (), console: str = "INFO") -> None:
    """Log to stderr from ``console`` on, and to ``folder/process.log`` from DEBUG on.

    The file is rotated weekly, kept for 30 days, and compressed. ``secrets`` are replaced wherever they appear.
    """
    scrubber = Scrubber(tuple(secret for secret in secrets if secret))
    logger.remove()
    logger.configure(patcher=scrubber.patch)
    colour = False if os.environ.get("NO_COLOR") else None
    logger.add(
        sys.stderr, level=console, format=scrubber.lines(CONSOLE), colorize=colour, backtrace=False, diagnose=False
    )
    logger.add(
        folder / f"{process}.log",
        level="DEBUG",
        format=scrubber.lines(FILE),
        rotation="7 days",
        retention="30 days",
        compression="gz",
        backtrace=False,
        diagnose=False,  # it would print the values of variables, keys among them
        delay=True,
    )
    logging.basicConfig(handlers=[StandardLibraryHandler()], level=logging.INFO, force=True)
    for name, level in QUIETER.items():
        logging.getLogger(name).setLevel(level)
