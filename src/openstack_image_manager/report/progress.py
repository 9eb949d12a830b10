"""Show progress: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import logging
import threading

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from openstack_image_manager.log_context import LOG
from openstack_image_manager.report.console import Out, PlainOutput, clean, say


class CloudReporter:
    """A reporter that adds the name of the cloud."""

    def __init__(self, reporter: Lines | Bars, cloud: str) -> None:
        self._reporter, self._cloud = reporter, cloud
        self.live = reporter.live

    def line(self, subject: str, message: str) -> None:
        """Print a line."""
        self._reporter.line(subject, message, self._cloud)

    def progress(self, subject: str, message: str, done: int | None = None, total: int | None = None) -> None:
        """Move the bar of the subject."""
        self._reporter.progress(f"{self._cloud}: {subject}", message, done, total)

    def finished(self, subject: str) -> None:
        """Remove the bar of the subject."""
        self._reporter.finished(f"{self._cloud}: {subject}")

    def expect(self, count: int) -> None:
        """Set the total."""
        self._reporter.expect(count)


class Lines:
    """Progress for logs: a line for each event, none for bytes."""

    live = False

    def __init__(self, out: Out) -> None:
        self._out = out

    def line(self, subject: str, message: str, cloud: str = "") -> None:
        """Print a line."""
        say(self._out, f"{_prefix(cloud)}{subject}: {message}")
        _log(subject, message)

    def progress(self, subject: str, message: str, done: int | None = None, total: int | None = None) -> None:
        """Print nothing for bytes."""

    def finished(self, subject: str) -> None:
        """Do nothing: there are no bars."""

    def expect(self, count: int) -> None:
        """Do nothing: there is no total."""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


class Bars:
    """Progress for a terminal: lines, then a bar for each image, and one for all if a total is expected."""

    live = True

    def __init__(self, out: Console) -> None:
        subject, message = (TextColumn(f"{{task.fields[{name}]}}", markup=False) for name in ("subject", "message"))
        columns = (subject, BarColumn(), message)
        self._progress = Progress(*columns, console=out, transient=True)
        self._tasks: dict[str, TaskID] = {}
        self._moved: dict[str, int] = {}
        self._expected = self._finished = 0
        self._total: TaskID | None = None
        self._lock = threading.Lock()

    def line(self, subject: str, message: str, cloud: str = "") -> None:
        """Print a line above the bars."""
        say(self._progress.console, f"{_prefix(cloud)}{subject}: {message}")
        _log(subject, message)

    def progress(self, subject: str, message: str, done: int | None = None, total: int | None = None) -> None:
        """Move the bar of the subject."""
        if done is not None:
            message = f"{message} {done / 1024**2:.0f} MiB" + (f" of {total / 1024**2:.0f} MiB" if total else "")
        with self._lock:
            if subject not in self._tasks:
                self._tasks[subject] = self._progress.add_task("", subject=clean(subject), message="", total=None)
            self._progress.update(self._tasks[subject], completed=done or 0, total=total, message=clean(message))
            self._moved[subject] = done or self._moved.get(subject, 0)
            self._add_up()

    def expect(self, count: int) -> None:
        """Add a bar for the total of images."""
        with self._lock:
            self._expected = count
            if count > 1:
                self._total = self._progress.add_task("", subject="in total", message="", total=count)
                self._add_up()

    def _add_up(self) -> None:
        if self._total is not None:
            moved = sum(self._moved.values()) / 1024**2
            message = f"{self._finished} of {self._expected} images, {moved:.0f} MiB"
            self._progress.update(self._total, completed=self._finished, message=message)

    def finished(self, subject: str) -> None:
        """Remove the bar of the subject."""
        with self._lock:
            task = self._tasks.pop(subject, None)
            if task is not None:
                self._progress.remove_task(task)
                self._finished += 1
                self._add_up()

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _prefix(cloud: str) -> str:
    return f"{cloud}: " if cloud else ""


def _log(subject: str, message: str) -> None:
    level = logging.ERROR if message.startswith("failed: ") else logging.INFO
    LOG.log(level, "%s", message, extra={"image": subject})


def reporter(out: Out) -> Lines | Bars:
    """Return bars for a terminal, else lines."""
    return Lines(out) if isinstance(out, PlainOutput) or not out.is_terminal else Bars(out)
