"""Hold the content of a report as plain values, Markdown and JUnit cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from openstack_image_manager.humanize import count
from openstack_image_manager.report import console
from openstack_image_manager.report.junit import Case


@dataclass(frozen=True, slots=True)
class Content:
    """The same content in three formats, each created on demand."""

    data: Callable[[], dict[str, Any]]
    markdown: Callable[[], str]
    cases: Callable[[], Sequence[Case]]


@dataclass
class Lines:
    """Results line by line: image, project and state."""

    title: str
    lines: list[tuple[str, str, str]] = field(default_factory=list)

    def content(self) -> Content:
        """Return the content of these lines, including later ones."""
        keys = ("image", "project", "state")
        return Content(
            lambda: {"lines": [dict(zip(keys, line, strict=True)) for line in self.lines]},
            lambda: console.table_markdown(self.title, count(len(self.lines), "project"), [keys, *self.lines]),
            lambda: [Case(project, image) for image, project, _ in self.lines],
        )
