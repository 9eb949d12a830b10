"""Images for the tests of the SCS standards: a perfect one, but for what is asked for; and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from openstack_image_manager.model import Image
from openstack_image_manager.scs import check
from openstack_image_manager.scs.rules import V1, V2

NOW = datetime(2026, 6, 1, tzinfo=UTC)
GIB = 1024**3
NOBLE = "https://cloud-images.ubuntu.com/noble/20260520/noble-server-cloudimg-amd64.img"
GOOD = {
    "architecture": "x86_64",
    "os_distro": "ubuntu",
    "os_version": "24.04",
    "os_purpose": "generic",
    "hw_disk_bus": "scsi",
    "hw_scsi_model": "virtio-scsi",
    "hw_rng_model": "virtio",
    "hypervisor_type": "kvm",
    "image_build_date": "2026-05-20",
    "image_description": "Ubuntu 24.04",
    "image_original_user": "ubuntu",
    "image_source": NOBLE,
    "replace_frequency": "monthly",
    "provided_until": "2029-05-31",
    "uuid_validity": "last-3",
}


def image(name: str = "Ubuntu 24.04", fields: dict[str, Any] | None = None, **properties: str | None) -> Image:
    """A perfect image, but for these fields and properties (None: without)."""
    values = {key: value for key, value in {**GOOD, **properties}.items() if value is not None}
    made = Image(
        name=name,
        visibility="public",
        id=f"id of {name}",
        min_disk=4,
        min_ram=512,
        size=GIB,
        virtual_size=4 * GIB,
        hash_algorithm="sha512",
        created_at="2026-05-21T03:04:05Z",
        tags=frozenset({"managed_by_osism", "os:ubuntu"}),
        properties=values,
    )
    return replace(made, **(fields or {}))


def levels(*images: Image, standards: tuple[str, ...] = (V1, V2)) -> list[tuple[str, str]]:
    """Level and key of all that is said of them."""
    found = check.judge(images, standards, NOW, is_all=False)
    return [(verdict.level, verdict.key) for verdict in found.verdicts]
