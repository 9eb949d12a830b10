"""Changes as plain values, for JSON and plan files."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.plan.diff import FIELDS
from openstack_image_manager.plan.model import Change, Create, Delete, Plan
from openstack_image_manager.redaction import public_urls, without_secrets


def change_data(change: Change) -> dict[str, Any]:
    """A change as plain values, complete and without secrets: what the checksum, JSON and plan files are made of."""
    if isinstance(change, Create):
        wanted, version = change.wanted, change.version
        return {
            "action": "import",
            "definition": change.definition.name,
            "version": version.version,
            "image": change.subject,
            "left": change.leftover.id if change.leftover else None,
            **({"id": version.id} if version.id else {}),
            "reason": change.reason,
            "url": public_url(version.url),
            "mirror_url": public_url(version.mirror_url) if version.mirror_url else None,
            "checksum": version.checksum,
            # Only where they are set, so that plans without them keep their checksums.
            **({"mirror_checksum": version.mirror_checksum} if version.mirror_checksum else {}),
            **({"checksums_url": public_url(file)} if not version.checksum and (file := version.checksum_file) else {}),
            "disk_format": wanted.disk_format,
            **{name: plain(value) for name in FIELDS if (value := getattr(wanted, name)) is not None},
            "properties": {key: plain(value) for key, value in sorted(wanted.properties.items())},
        }
    if isinstance(change, Delete):
        return {
            "action": "delete",
            "definition": change.group,
            "image": change.subject,
            "id": change.found.id,
            "reason": change.reason,
            "junk": change.junk,
        }
    return {
        "action": "change",
        "definition": change.group,
        "image": change.subject,
        "id": change.found.id,
        "reason": change.reason,
        **({"proof": change.proof} if change.proof else {}),
        "fields": [
            {"field": f.field, "before": plain(f.before), "after": plain(f.after), "reason": f.reason}
            for f in change.fields
        ],
    }


def plain(value: Any) -> Any:
    """A value fit for JSON, sets in order, URLs without secrets."""
    if isinstance(value, frozenset):
        return sorted(value)
    return without_secrets(public_urls(value)) if isinstance(value, str) else value


def checksum(plan: Plan) -> str:
    """A short digest of all changes: equal plans, and only those, have equal ones."""
    text = json.dumps([change_data(change) for change in plan.changes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
