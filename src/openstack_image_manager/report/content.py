"""The content of a report, in three forms: plain values, Markdown and JUnit cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from openstack_image_manager.humanize import count
from openstack_image_manager.report import console
from openstack_image_manager.report.junit import Case


@dataclass(frozen=True, slots=True)
class Content:
    """The same content in three forms, each made when it is asked for."""

    data: Callable[[], dict[str, Any]]
    markdown: Callable[[], str]
    cases: Callable[[], Sequence[Case]]


@dataclass
class Lines:
    """What a command tells line by line: the image, whom it is about, and what became of it."""

    title: str
    lines: list[tuple[str, str, str]] = field(default_factory=list)

    def content(self) -> Content:
        """All lines so far, and those that come."""
        keys = ("image", "project", "state")
        return Content(
            lambda: {"lines": [dict(zip(keys, line, strict=True)) for line in self.lines]},
            lambda: console.table_markdown(self.title, count(len(self.lines), "project"), [keys, *self.lines]),
            lambda: [Case(project, image) for image, project, _ in self.lines],
        )
