"""List what scs-0102 requires of each property.

Source: Sovereign Cloud Stack, scs-0102 "Image Metadata", v1.1 (stable) and v2 (draft), and what their conformance test
accepts. The test's spellings come before those of OpenStack, because they decide about the certificate.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from openstack_image_manager.dates import instant

Level = Literal["error", "warning", "note"]
V1, V2, IMAGES = "0102-v1.1", "0102-v2", "0104"
STANDARDS = (V1, V2, IMAGES)
LEVELS: tuple[Level, ...] = ("note", "warning", "error")  # the worst one last
MIN_RAM = 64  # MiB; the conformance test warns about less


@dataclass(frozen=True, slots=True)
class Rule:
    """The allowed values of a property: `values`, or the `form` that `pattern` or `is_date` checks; otherwise any text.
    `missing`: the level if it is missing, in v1.1 and in v2; None: it is optional. `hints`: messages about values that
    are right in OpenStack."""

    values: tuple[str, ...] = ()
    pattern: str = ""
    is_date: bool = False
    form: str = ""
    missing: tuple[Level | None, Level | None] = ("error", "error")
    hints: Mapping[str, str] | None = None

    def allows(self, value: str) -> bool:
        """Return whether the conformance test accepts a value."""
        if value in self.values or (self.pattern and re.fullmatch(self.pattern, value)):
            return True
        if self.is_date:
            return instant(value) is not None
        return not self.values and not self.pattern

    @property
    def allowed(self) -> str:
        """Describe the allowed values; empty for any text."""
        return ", ".join([*self.values, *([self.form] if self.form else [])])


_SPELLING = (
    "this is the spelling of OpenStack, but the conformance test accepts only {}; remove the property to satisfy both"
)
_RECOMMENDED: tuple[Level, Level] = ("note", "note")
RULES: Mapping[str, Rule] = {
    "architecture": Rule(("x86_64", "aarch64", "risc-v")),
    "os_distro": Rule(),
    "os_version": Rule(),
    "os_purpose": Rule(
        ("generic", "oldgeneric", "minimal", "k8snode", "gpu", "network", "custom"), missing=("warning", "error")
    ),
    "hw_disk_bus": Rule(("virtio", "scsi"), missing=("warning", "warning")),
    "hypervisor_type": Rule(
        ("kvm", "qemu", "xen", "hyper-v", "esxi"),
        missing=_RECOMMENDED,
        hints={"hyperv": _SPELLING.format("hyper-v"), "vmware": _SPELLING.format("esxi")},
    ),
    "hw_rng_model": Rule(("virtio",), missing=_RECOMMENDED),
    "image_build_date": Rule(is_date=True, form="YYYY-MM-DD or YYYY-MM-DD hh:mm[:ss] (UTC)"),
    "image_description": Rule(),
    "image_original_user": Rule(),
    "image_source": Rule(
        ("private",), pattern=r"(https?|ftps?)://.*", form="the upstream's http, https or ftp(s) address"
    ),
    "replace_frequency": Rule(("yearly", "quarterly", "monthly", "weekly", "daily", "critical_bug", "never")),
    "provided_until": Rule(("none", "notice"), is_date=True, form="a date YYYY-MM-DD"),
    "uuid_validity": Rule(
        ("none", "notice", "forever"), pattern=r"last-\d+", is_date=True, form="last-N, a date YYYY-MM-DD"
    ),
    "hotfix_hours": Rule(pattern=r"\d+", form="a whole number of hours", missing=(None, None)),
}
HASHES = ("sha256", "sha512")
OTHER_TESTS = ("min_disk", "min_ram", "hash_algo")


def test_of(key: str) -> str:
    """Return the conformance test's name for the test of a property."""
    return f"scs-0102-prop-{key}"


RECENCY, UNIQUENESS = "scs-0102-image-recency", "scs-0102-os-purpose-uniqueness"
HINTS = "scs-0102"  # rules of the standard that the conformance test does not check
TESTS_0102 = (*(test_of(key) for key in (*RULES, *OTHER_TESTS)), RECENCY, UNIQUENESS)
