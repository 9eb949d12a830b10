"""The calls of a run, counted by a proxy in front of Glance."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.proxy import Call

if TYPE_CHECKING:
    from benchmarks.world import World

IMAGE = re.compile(r"/v2/images/([0-9a-f-]{36})(/.*)?")


@dataclass(frozen=True, slots=True)
class Calls:
    """How many there were, and how many of them only asked whether an import is done."""

    total: int
    polls: int

    @property
    def needed(self) -> int:
        return self.total - self.polls

    def per(self, count: int) -> dict[str, Any]:
        """For each of so many images."""
        return {"calls": self.total, "calls for each, without polls": self.needed / count, "polls": self.polls}


def count(calls: Sequence[Call]) -> Calls:
    """Polls are the questions about an image between the request for its import and the next change of it."""
    importing: set[str] = set()
    polls = 0
    for call in calls:
        if match := IMAGE.fullmatch(call.path):
            image, rest = match.groups()
            if call.method == "POST" and rest == "/import":
                importing.add(image)
            elif call.method != "GET":
                importing.discard(image)
            elif image in importing and rest in (None, "/tasks"):
                polls += 1
    return Calls(len(calls), polls)


def counted(world: World, do: Callable[[Path], object]) -> Calls:
    """The calls of what `do` does with the clouds.yaml that it is given."""
    with world.proxied() as (proxy, clouds):
        do(clouds)
        return count(list(proxy.calls))
