"""Bare definitions: an image A with these versions and fields, and nothing else."""

from __future__ import annotations

from typing import Any

from openstack_image_manager.definitions.model import Definition


def definition(*versions: dict[str, Any], **fields: Any) -> Definition:
    return Definition.model_validate({"name": "A", "format": "qcow2", "versions": list(versions), **fields})


def version(name: str, url: str, **fields: Any) -> dict[str, Any]:
    return {"version": name, "url": url, **fields}
