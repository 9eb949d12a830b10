"""Pin the checksums of imports, so that the approval of a plan covers the bytes, too."""

from __future__ import annotations

from dataclasses import replace

from openstack_image_manager.background import in_parallel
from openstack_image_manager.errors import Error
from openstack_image_manager.model import Finding
from openstack_image_manager.plan.model import Change, Create, Plan
from openstack_image_manager.transfer.checksum_files import with_checksum
from openstack_image_manager.transfer.download import fetch_text


def pin_checksums(plan: Plan) -> Plan:
    """The plan with the checksums that its checksum files have now, each file fetched once. A definition whose file has
    no checksum for it is left alone."""
    urls = dict.fromkeys(url for change in plan.changes if (url := _file(change)))
    texts = dict(zip(urls, in_parallel(_text, urls, 8), strict=True))
    changes: list[Change] = []
    failed: dict[str, Error] = {}
    for change in plan.changes:
        if isinstance(change, Create) and (url := _file(change)):
            text = texts[url]
            try:
                if isinstance(text, Error):
                    raise text
                changes.append(replace(change, version=with_checksum(change.version, text)))
            except Error as error:
                failed.setdefault(change.group, error)
        else:
            changes.append(change)
    left = tuple(change for change in changes if change.group not in failed)
    findings = [Finding("error", name, f"left alone: {error}") for name, error in failed.items()]
    return replace(plan, changes=left, findings=(*plan.findings, *findings))


def _file(change: Change) -> str | None:
    """The checksum file of an import whose definition has no checksum."""
    return change.version.checksum_file if isinstance(change, Create) and not change.version.checksum else None


def _text(url: str) -> str | Error:
    try:
        return fetch_text(url)
    except Error as error:
        return error
