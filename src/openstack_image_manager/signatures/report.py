"""Build the report of a fetched key."""

from __future__ import annotations

from pathlib import Path

from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.report import console
from openstack_image_manager.report.content import Content
from openstack_image_manager.report.junit import Case


def of_key(url: str, fingerprint: str, file: Path) -> Content:
    """Build the report of a key that was fetched and stored."""
    where = public_url(url)
    return Content(
        lambda: {"url": where, "fingerprint": fingerprint, "file": str(file)},
        lambda: console.table_markdown("Key", f"from {where}", [["fingerprint", "file"], [fingerprint, str(file)]]),
        lambda: [Case(fingerprint, where)],
    )
