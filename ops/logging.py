"""Logs: to the console, and to one file a process; never a secret."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from loguru import Record

CONSOLE = "<level>{level: <7}</level> {time:HH:mm:ss.SSS} {name}: {message} {extra}"
FILE = "{time:YYYY-MM-DDTHH:mm:ss.SSSZZ} {level} {process} {name}:{line} {message} {extra}"
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


def configure_logging(process: str, *, folder: Path, secrets: tuple[str, ...] = (), console: str = "INFO") -> None:
    """Log to stderr from ``console`` on, and to ``folder/process.log`` from DEBUG on.

    The file is rotated weekly, kept for 30 days, and compressed. ``secrets`` are replaced wherever they appear.
    """
    hidden = tuple(secret for secret in secrets if secret)

    def scrub(record: Record) -> None:
        for secret in hidden:
            record["message"] = record["message"].replace(secret, HIDDEN)
            for key, value in record["extra"].items():
                if isinstance(value, str):
                    record["extra"][key] = value.replace(secret, HIDDEN)

    logger.remove()
    logger.configure(patcher=scrub)
    colour = False if os.environ.get("NO_COLOR") else None
    logger.add(sys.stderr, level=console, format=CONSOLE, colorize=colour, backtrace=False, diagnose=False)
    logger.add(
        folder / f"{process}.log",
        level="DEBUG",
        format=FILE,
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
