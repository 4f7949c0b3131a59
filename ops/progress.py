"""One interface of progress: a bar in the terminal, and the run's row that the pages show."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self, TextIO

from ops import clock
from ops.errors import CancelledError
from ops.live import announce
from ops.models import Run

ROW_EVERY_S = 0.5  # at most twice a second on the pages


class Progress(Protocol):
    """Told by a long job how far it is."""

    def start(self, total: int, label: str) -> None: ...

    def advance(self, label: str) -> None: ...


class Silent:
    """Progress that nobody watches."""

    def start(self, total: int, label: str) -> None:
        """Do nothing."""

    def advance(self, label: str) -> None:
        """Do nothing."""


class RowProgress:
    """Progress in the run's row, announced to open pages; it stops a run that is to be cancelled.

    Raises
    ------
    CancelledError
        From ``advance``, at most half a second after somebody asked.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.done = 0
        self.total = 0
        self._written = float("-inf")

    def start(self, total: int, label: str) -> None:
        self.done, self.total = 0, total
        self._write(label)

    def advance(self, label: str) -> None:
        self.done += 1
        if self.done == self.total or clock.mono() - self._written >= ROW_EVERY_S:
            self._write(label)

    def _write(self, label: str) -> None:
        Run.objects.filter(pk=self.run.pk).update(
            progress_done=self.done, progress_total=self.total, progress_label=label[:200]
        )
        announce("jobs", {"id": self.run.pk, "done": self.done, "total": self.total})
        self._written = clock.mono()
        self._stop_when_asked()

    def _stop_when_asked(self) -> None:
        if self.done < self.total and Run.objects.filter(pk=self.run.pk, cancel_requested=True).exists():
            raise CancelledError(f"cancelled at {self.done} of {self.total}")


class LineProgress:
    """Progress as lines ``done/total label``, for a process that reads them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.done = 0
        self.total = 0

    def start(self, total: int, label: str) -> None:
        self.done, self.total = 0, total
        self._write(label)

    def advance(self, label: str) -> None:
        self.done += 1
        self._write(label)

    def _write(self, label: str) -> None:
        self._stream.write(f"{self.done}/{self.total} {label}\n")
        self._stream.flush()


class BarProgress:
    """Progress as a bar on stderr, shown only to a person at a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        console = Console(stderr=True)
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def start(self, total: int, label: str) -> None:
        self._bar.update(self._task, total=total, description=label)

    def advance(self, label: str) -> None:
        self._bar.update(self._task, advance=1, description=label)
