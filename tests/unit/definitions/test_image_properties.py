"""The table of SCS properties: what is known, what is odd, and what is never called odd."""

from __future__ import annotations

import pytest

from openstack_image_manager.definitions.image_properties import OTHERS, PROPERTIES, mistyped, unusual

USUAL = [
    ("architecture", "x86_64 aarch64 ppc64le s390x riscv64 risc-v"),
    ("hypervisor_type", "kvm qemu hyperv hyper-v vmware esxi xen ironic"),
    ("hw_disk_bus", "virtio scsi sata ide nvme usb"),
    ("hw_rng_model", "virtio"),
    ("hw_firmware_type", "bios uefi"),
    ("hw_machine_type", "q35 pc-q35-8.2 pc-i440fx-7.1"),
    ("hw_watchdog_action", "reset poweroff pause none disabled"),
    ("hw_pmu", "true False yes 1"),
    ("hw_video_ram", "64"),
    ("os_secure_boot", "required optional disabled"),
    ("os_purpose", "generic oldgeneric minimal k8snode gpu network custom"),
    ("os_distro", "ubuntu anything"),
    ("trait:HW_CPU_X86_AVX2", "required"),
    ("replace_frequency", "yearly quarterly monthly weekly daily critical_bug never"),
    ("provided_until", "2030-01-31 none notice"),
    ("uuid_validity", "none notice forever last-1 last-30 2030-01-31"),
    ("image_source", "private https://x/1 ftp://x/1 ftps://x/1"),
    ("image_build_date", "2024-01-02 2024-01-02T03:04 2024-01-02T03:04:05"),
    ("maintained_until", "2030-01-31"),
    ("hotfix_hours", "0 48"),
    ("license_included", "true false"),
    ("my_own", "anything"),
]
ODD = [
    ("architecture", "x86-64"),
    ("hypervisor_type", "KVM "),
    ("hw_disk_bus", "floppy"),
    ("hw_pmu", "maybe"),
    ("hw_video_ram", "64M"),
    ("trait:HW_CPU_X86_AVX2", "yes"),
    ("replace_frequency", "hourly"),
    ("provided_until", "2030"),
    ("provided_until", "2030-13-01"),
    ("maintained_until", "2027-02-29"),
    ("uuid_validity", "2027-02-30"),
    ("uuid_validity", "last-0"),
    ("uuid_validity", "last"),
    ("image_source", "file:///a"),
    ("image_build_date", "today"),
    ("hotfix_hours", "two"),
]


@pytest.mark.parametrize(("key", "values"), USUAL)
def test_values_that_scs_or_openstack_allow_are_usual(key: str, values: str) -> None:
    for value in values.split():
        assert unusual({key: value}) == []


@pytest.mark.parametrize(("key", "value"), ODD)
def test_other_values_of_known_properties_are_unusual(key: str, value: str) -> None:
    ((named, message),) = unusual({"os_distro": "x", key: value})
    assert named == key
    assert message.startswith(f"'{value}' is unusual, known are ")


def test_messages_offer_what_was_probably_meant() -> None:
    assert unusual({"replace_frequency": "weekley"}) == [
        (
            "replace_frequency",
            "'weekley' is unusual, known are yearly, quarterly, monthly, weekly, daily, critical_bug, never; "
            "did you mean 'weekly'?",
        )
    ]


def test_a_property_that_must_not_be_there_is_never_unusual() -> None:
    assert unusual({"hw_rng_model": None, "license_included": None, "license_required": "true"}) == []


def test_a_licence_is_included_or_required() -> None:
    ((key, message),) = unusual({"license_included": "True", "license_required": "true"})
    assert (key, "remove one" in message) == ("license_required", True)
    assert unusual({"license_included": "false", "license_required": "true"}) == []


def test_every_property_says_its_level_and_what_it_allows() -> None:
    assert sum(known.level == "mandatory" for known in PROPERTIES.values()) == 11
    for known in PROPERTIES.values():
        assert bool(known.pattern) == bool(known.form)
        assert all(known.allows(value) for value in known.values)
    assert PROPERTIES["os_version"].allowed == ""
    assert PROPERTIES["provided_until"].allowed == "none, notice, a date YYYY-MM-DD"


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        *(
            ("os_distor", "os_distro"),
            ("os_distr", "os_distro"),
            ("os_distros", "os_distro"),
            ("os_distrp", "os_distro"),
        ),
        *(("OS_Distro", "os_distro"), ("hw-scsi-model", "hw_scsi_model"), ("hw_scsi_modle", "hw_scsi_model")),
        *(("my_own", None), ("os_version_id", None), ("x", None), ("", None), ("trait:os_distor", None)),
    ],
)
def test_names_that_are_nearly_those_of_well_known_properties(key: str, meant: str | None) -> None:
    expected = [(key, f"is not a property that OpenStack or SCS knows; did you mean '{meant}'?")] if meant else []
    assert mistyped({key: "x", "os_distro": "y"}) == expected


def test_no_well_known_property_is_a_mistyped_one() -> None:
    assert mistyped(dict.fromkeys([*PROPERTIES, *OTHERS])) == []
