"""Plans that have something to show, and what a console shows of them."""

from __future__ import annotations

import io
import re
import threading
from typing import Any

from rich.console import Console

from openstack_image_manager.model import Finding
from openstack_image_manager.plan.model import Plan, Policy
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.report import plans
from tests.support.plans import TODAY, definition, settled

ODD = "[red]x[/] :smile: \\[b] {0}"


class Kept(io.StringIO):
    """An output that is kept, and that threads can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._written = threading.Condition()

    def write(self, text: str) -> int:
        with self._written:
            size = super().write(text)
            self._written.notify_all()
        return size

    def wait_for(self, pattern: str) -> bool:
        """Wait until this has been written; False: it was not within a minute."""
        with self._written:
            return self._written.wait_for(lambda: re.search(pattern, self.getvalue()) is not None, 60)


def console(**options: Any) -> Console:
    """One whose output is kept."""
    return Console(file=Kept(), highlight=False, soft_wrap=True, **options)


def shown(out: Console) -> str:
    """All that it was given so far."""
    assert isinstance(out.file, Kept)
    return out.file.getvalue()


def is_shown(out: Console, pattern: str) -> bool:
    """Wait until this is shown: Rich draws bars in a thread of its own. False: it was not within a minute."""
    assert isinstance(out.file, Kept)
    return out.file.wait_for(pattern)


def text_of(plan_: Plan, cloud: str = "prod") -> str:
    """The plan as people read it."""
    out = console()
    plans.plan_text(plan_, cloud, out)
    return shown(out)


def importing(found: Any = (), findings: Any = (), **fields: Any) -> Plan:
    """The plan of one definition."""
    return plan([definition(**fields)], list(found), Policy(), TODAY, findings)


def rotation() -> Plan:
    """A new build comes, the old one gets other properties and its dated name."""
    found = settled([definition(tags=["blue"], meta={"os_purpose": "generic", "os_distro": "ubuntu"})])
    return importing(
        found,
        versions=["20240416", "20240514"],
        tags=["green"],
        meta={"os_purpose": "generic", "os_distro": "", "hw_disk_bus": "scsi"},
        min_ram=512,
    )


def everything_odd(odd: str) -> Plan:
    """A plan in which every text is `odd`."""
    version = {"version": odd, "url": "https://example.org/1", "source": odd}
    fields = {"name": odd, "tags": [odd], "multi": False, "meta": {odd: odd}, "versions": [version]}
    old = settled([definition(**(fields | {"meta": {odd: "old", "gone": odd}, "tags": [odd + "2"]}))])
    findings = [Finding("warning", odd, odd)]
    new = plan([definition(**fields)], [], Policy(), TODAY, findings)
    return Plan((*new.changes, *plan([definition(**fields)], old, Policy(), TODAY).changes), new.findings, 1, 1)
