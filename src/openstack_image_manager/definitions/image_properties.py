"""List the properties of the SCS image metadata standard (scs-0102), and report unusual values.

Source: Sovereign Cloud Stack, scs-0102 v1.1 "Image Properties"; values of `hw_*`, `os_*`, `architecture` and
`hypervisor_type` as OpenStack Nova and Glance document them. A value that OpenStack allows is never unusual.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Literal

from openstack_image_manager.dates import as_day

Level = Literal["mandatory", "recommended", "where applicable", "optional"]


# Nova reads these without case (FlexibleBooleanField in nova/objects/image_meta.py); clients write True and true.
# fmt: off
BOOLEANS = frozenset({
    "cache_in_nova", "hw_auto_disk_config", "hw_boot_menu", "hw_ephemeral_encryption", "hw_firmware_stateless",
    "hw_ipxe_boot", "hw_locked_memory", "hw_mem_encryption", "hw_pmu", "hw_qemu_guest_agent", "hw_time_hpet",
    "hw_vif_multiqueue_enabled", "hw_virtio_packed_ring", "img_cache_in_nova", "img_hide_hypervisor_id",
    "img_linked_clone", "img_use_agent", "os_require_quiesce", "os_skip_agent_inject_files_at_boot",
    "os_skip_agent_inject_ssh", "vmware_linked_clone",
})
# fmt: on


@dataclass(frozen=True, slots=True)
class Property:
    """The allowed values of a property: `values` and/or a full-match `pattern` (in words: `form`); neither: free
    text."""

    level: Level
    values: tuple[str, ...] = ()
    pattern: str = ""
    form: str = ""

    def allows(self, value: str) -> bool:
        """True for a value that the standard or OpenStack knows."""
        if not self.values and not self.pattern:
            return True
        return value in self.values or bool(self.pattern and re.fullmatch(self.pattern, value))

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        return ", ".join([*self.values, *([self.form] if self.form else [])])


# As Nova lists them; the SCS conformance test also writes risc-v.
# fmt: off
ARCHITECTURES = (
    "x86_64", "aarch64", "i686", "i386", "amd64", "alpha", "armv6", "armv7", "armv7b", "armv7l", "cris", "ia64",
    "lm32", "loongarch64", "m68k", "microblaze", "microblazeel", "mips", "mips64", "mips64el", "mipsel", "openrisc",
    "parisc", "parisc64", "ppc", "ppcle", "ppc64", "ppc64le", "ppcemb", "risc-v", "riscv32", "riscv64", "s390",
    "s390x", "sh4", "sh4eb", "sparc", "sparc64", "unicore32", "xtensa", "xtensaeb",
)
# fmt: on
# OpenStack writes hyperv and vmware where the SCS test writes hyper-v and esxi.
# fmt: off
HYPERVISORS = (
    "kvm", "qemu", "xen", "hyperv", "hyper-v", "vmware", "esxi", "baremetal", "ironic", "bhyve", "docker", "fake",
    "kqemu", "lxc", "lxd", "openvz", "parallels", "phyp", "powervm", "test", "uml", "vbox", "virtuozzo", "vz",
    "zvm",
)
# fmt: on
DATE = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"


def _flag(level: Level) -> Property:
    # The spellings that Nova's own reader of booleans takes.
    return Property(level, pattern="(?i:true|false|yes|no|on|off|y|n|t|f|1|0)", form="true or false")


PROPERTIES: Mapping[str, Property] = {
    "architecture": Property("mandatory", ARCHITECTURES),
    "hotfix_hours": Property("optional", pattern=r"\d+", form="a whole number of hours"),
    "hw_disk_bus": Property(
        "mandatory", ("virtio", "scsi", "ide", "sata", "usb", "fdc", "nvme", "xen", "uml", "lxc", "none")
    ),
    "hw_firmware_type": Property("where applicable", ("bios", "uefi")),
    "hw_mem_encryption": _flag("where applicable"),
    "hw_pmu": _flag("where applicable"),
    "hw_rng_model": Property("recommended", ("virtio",)),
    "hw_video_ram": Property("where applicable", pattern=r"\d+", form="a whole number of MiB"),
    "hw_vif_multiqueue_enabled": _flag("where applicable"),
    "hw_watchdog_action": Property("where applicable", ("reset", "poweroff", "pause", "none", "disabled")),
    "hypervisor_type": Property("recommended", HYPERVISORS),
    "image_build_date": Property(
        "mandatory", pattern=DATE + r"([ T]\d\d:\d\d(:\d\d)?)?", form="YYYY-MM-DD or YYYY-MM-DD hh:mm:ss"
    ),
    "image_description": Property("mandatory"),
    "image_original_user": Property("mandatory"),
    "image_source": Property(
        "mandatory", ("private",), pattern=r"(?i:https?|ftps?)://\S+", form="an http, https or ftp URL"
    ),
    "l1_support_contact": Property("optional"),
    "license_included": _flag("optional"),
    "license_required": _flag("optional"),
    "maintained_until": Property("optional", pattern=DATE, form="a date YYYY-MM-DD"),
    "os_distro": Property("mandatory"),
    "os_purpose": Property("recommended", ("generic", "oldgeneric", "minimal", "k8snode", "gpu", "network", "custom")),
    "os_secure_boot": Property("where applicable", ("required", "optional", "disabled")),
    "os_version": Property("mandatory"),
    "patchlevel": Property("optional"),
    "provided_until": Property("mandatory", ("none", "notice"), DATE, "a date YYYY-MM-DD"),
    "replace_frequency": Property(
        "mandatory", ("yearly", "quarterly", "monthly", "weekly", "daily", "critical_bug", "never")
    ),
    "subscription_included": _flag("optional"),
    "subscription_required": _flag("optional"),
    "trait:*": Property("where applicable", ("required",)),
    "uuid_validity": Property(
        "mandatory",
        ("none", "notice", "forever"),
        rf"last-[1-9]\d*|{DATE}",
        "last-N (the newest N builds), a date YYYY-MM-DD",
    ),
}


# More properties that OpenStack reads: names to compare with, since their values are as free as those of others.
# fmt: off
OTHERS = frozenset({
    "auto_disk_config", "cinder_img_volume_type", "hw_boot_menu", "hw_cdrom_bus", "hw_cpu_cores", "hw_cpu_policy",
    "hw_cpu_sockets", "hw_cpu_thread_policy", "hw_cpu_threads", "hw_input_bus", "hw_locked_memory", "hw_machine_type",
    "hw_mem_page_size", "hw_numa_nodes", "hw_pointer_model", "hw_qemu_guest_agent", "hw_rescue_bus",
    "hw_rescue_device", "hw_scsi_model", "hw_serial_port_count", "hw_time_hpet", "hw_tpm_model", "hw_tpm_version",
    "hw_video_model", "hw_vif_model", "hw_viommu_model", "hw_virtio_packed_ring", "img_config_drive",
    "img_hide_hypervisor_id", "kernel_id", "os_admin_user", "os_command_line", "os_require_quiesce",
    "os_shutdown_timeout", "os_skip_agent_inject_files_at_boot", "os_skip_agent_inject_ssh", "os_type", "ramdisk_id",
})
# fmt: on


def mistyped(meta: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """Names that differ by one letter, or by case and dashes, from a well-known property: (property, message)."""
    messages = []
    for key in meta.keys() - PROPERTIES.keys() - OTHERS:
        if near := _near(key.lower().replace("-", "_")):
            messages.append((key, f"is not a property that OpenStack or SCS knows; did you mean '{near}'?"))
    return sorted(messages)


@lru_cache(maxsize=4096)  # aliases may repeat the same names a million times
def _near(word: str) -> str | None:
    """Return the first well-known property that differs from the word by one letter at most."""
    for known in (*PROPERTIES, *sorted(OTHERS)):
        if abs(len(word) - len(known)) <= 1 and _is_one_letter_off(word, known):
            return known
    return None


def _is_one_letter_off(word: str, known: str) -> bool:
    """True if one letter is wrong, missing or too many, two neighbours are swapped, or nothing differs."""
    shortest = min(len(word), len(known))
    same = next((i for i in range(shortest) if word[i] != known[i]), shortest)
    word, known = word[same:], known[same:]
    swapped = word[:2] == known[:2][::-1] and word[2:] == known[2:]
    return swapped or word[1:] == known[1:] or word[1:] == known or word == known[1:]


def unusual(meta: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """Known properties with values that neither SCS nor OpenStack knows: (property, message). Never an error."""
    messages = []
    for key, value in meta.items():
        known = PROPERTIES.get("trait:*" if key.startswith("trait:") else key)
        if known is None or value is None or (known.allows(value) and not _no_day(key, value)):
            continue
        near = get_close_matches(value[:50], known.values, 1)
        meant = f"; did you mean '{near[0]}'?" if near else ""
        # An invalid promise is kept rather than broken.
        until = "; until that is corrected, all builds stay visible" if key == "uuid_validity" else ""
        messages.append((key, f"'{value}' is unusual, known are {known.allowed}{meant}{until}"))
    if all(
        (meta.get(f"license_{word}") or "").lower() in ("true", "yes", "on", "1") for word in ("included", "required")
    ):
        messages.append(("license_required", "a licence is either included or required; remove one of the two"))
    return messages


def _no_day(key: str, value: str) -> bool:
    """True for a date that no calendar has, such as 2027-02-30."""
    days = ("uuid_validity", "provided_until", "maintained_until")
    return key in days and bool(re.fullmatch(DATE, value)) and as_day(value) is None
