"""Names of files that an upstream may have renamed."""

from __future__ import annotations

import pytest

from openstack_image_manager.upstreams.near_misses import near_miss_warning, near_misses

ALPINE = "nocloud_alpine-3.23.5-x86_64-bios-cloudinit-r0.qcow2"
FREEBSD = "FreeBSD-15.0-RELEASE-amd64-BASIC-CLOUDINIT-ufs.qcow2.xz"


@pytest.mark.parametrize(
    ("newest", "name"),
    [
        (ALPINE, "alpine-3.23.6-x86_64-bios-cloudinit-r0.qcow2"),
        (ALPINE, "alpine-3.23.6-x86_64-cloudinit-r0.qcow2"),
        (ALPINE, "alpine-3.23.5-x86_64-bios-cloudinit-r2.qcow2"),
        ("debian-13-generic-amd64-20260101-2345.qcow2", "debian-13-x86_64-20260102-2346.qcow2"),
        ("20260101/", "v20260201/"),
    ],
)
def test_a_newer_file_of_another_name(newest: str, name: str) -> None:
    known = {"os_version": "3.23", "architecture": "x86_64"} if newest == ALPINE else {}
    assert near_misses(newest, [name, newest], known) == [name]


@pytest.mark.parametrize(
    ("newest", "name"),
    [
        (ALPINE, "alpine-3.23.6-aarch64-bios-cloudinit-r0.qcow2"),
        (ALPINE, "alpine-3.23.6-x86_64-bios-cloudinit-r0.qcow2.asc"),
        (ALPINE, "alpine-3.24.1-x86_64-bios-cloudinit-r0.qcow2"),  # of the next series
        (ALPINE, "alpine-3.23.6_rc1-x86_64-bios-cloudinit-r0.qcow2"),
        (ALPINE, "alpine-3.23.4-x86_64-bios-cloudinit-r0.qcow2"),
        (ALPINE, "alpine-standard-netboot-3.23.6-x86_64.qcow2"),
        (ALPINE, "9.9.9-x86_64.qcow2"),
        (FREEBSD, "FreeBSD-15.1-RELEASE-amd64-BASIC-CLOUDINIT-ufs.qcow2.xz"),
        ("Rocky-9-GenericCloud-9.6-20260101.0.x86_64.qcow2", "Rocky-9-Cloud-Base-9.7-20260801.0.x86_64.qcow2"),
        ("A-GenericCloud-9-20260101.x86_64.qcow2", "A-GenericCloud-LVM-9-20260102.x86_64.qcow2"),
        ("A-GenericCloud-9-20260101.x86_64.qcow2", "A-GenericCloud-9-20260102.x86_64_v2.qcow2"),
        ("A-GenericCloud-9-20260101.x86_64.qcow2", "A-GenericCloud-x86_64-9-20260102.x86_64.qcow2"),
        ("20260101/", "latest/"),
        (ALPINE, "nocloud_alpine-" + "9" * 5000 + "-x86_64.qcow2"),
    ],
)
def test_other_files(newest: str, name: str) -> None:
    assert near_misses(newest, [name], {"os_version": "15.0" if newest == FREEBSD else "3.23", "arch": "x86_64"}) == []


def test_a_release_candidate_counts_where_the_resolver_takes_it() -> None:
    name = "alpine-3.23.6_rc1-x86_64-bios-cloudinit-r0.qcow2"
    before = ALPINE.replace("3.23.5", "3.23.5_rc2")
    assert near_misses(before, [name], {}, prereleases=True) == [name]
    assert near_misses(before, [name], {}) == []


def test_the_most_similar_names_come_first() -> None:
    names = [f"alpine-3.23.{number}-x86_64-{kind}cloudinit-r0.qcow2" for number in (6, 7) for kind in ("bios-", "")]
    found = near_misses(ALPINE, [*names, *names], {})
    assert found == [names[0], names[2], names[1], names[3]]
    assert near_miss_warning(found) == (
        "the upstream has files with a higher version that match does not fit: "
        f"{', '.join(found[:3])} and 1 more; if it has renamed its images, adjust the resolver"
    )
    assert near_miss_warning([]) is None
