"""Definitions beside the releases of their distributions."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from tests.support.lifespans import DEBIAN_BEFORE, TABLES, document
from tests.support.plans import definition

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.endoflife import check as endoflife
from openstack_image_manager.endoflife.data import catalogue
from openstack_image_manager.endoflife.releases import Release, releases

TODAY = date(2026, 11, 24)
KNOWN = catalogue()
RELEASES = {name: releases(document(name), KNOWN.products[name]) for name in TABLES}


def image(name: str, os_distro: str, os_version: str | None = None, **fields: Any) -> Definition:
    """A definition whose provided_until is no subject."""
    meta = {"os_distro": os_distro, "provided_until": "none", **fields.pop("meta", {})}
    return definition(name, meta=meta if os_version is None else {**meta, "os_version": os_version}, **fields)


def images(os_distro: str, *os_versions: str, **fields: Any) -> list[Definition]:
    return [image(f"{os_distro} {version}", os_distro, version, **fields) for version in os_versions]


def check(*definitions: Definition, everything: Any = None, today: date = TODAY) -> list[endoflife.Check]:
    return endoflife.check(KNOWN, definitions, definitions if everything is None else everything, RELEASES, today)


def kinds(*definitions: Definition, **options: Any) -> list[tuple[str, str | None]]:
    return [(each.kind, each.release) for each in check(*definitions, **options)]


def missing(*definitions: Definition, **options: Any) -> list[str | None]:
    return [each.release for each in check(*definitions, **options) if each.kind == "missing"]


@pytest.mark.parametrize(
    ("name", "os_distro", "os_version", "product", "release"),
    [
        ("AlmaLinux 9", "almalinux", "9", "almalinux", "9"),
        ("AlmaLinux 9", "almalinux", "9.6", "almalinux", "9"),
        ("AlmaLinux 9", "centos", "9", "almalinux", "9"),
        ("Rocky 9", "centos", "9", "rocky-linux", "9"),
        ("Rocky Linux 10", "rocky", "10.1", "rocky-linux", "10"),
        ("CentOS Stream 8", "centos", "8", "centos-stream", "8"),
        ("CentOS 9", "centos", "9", "centos-stream", "9"),
        ("CentOS 9", "centos", "stream9", "centos-stream", "9"),
        ("CentOS 8", "centos", "8-stream", "centos-stream", "8"),
        ("CentOS 7", "centos", "7", "centos", "7"),
        ("CentOS 8", "centos", "8.5", "centos", "8"),
        ("Debian 12", "debian", "12", "debian", "12"),
        ("Debian 12", "Debian", "12.11", "debian", "12"),
        ("Debian sid", "debian", "sid", "debian", None),
        ("Ubuntu 24.04", "ubuntu", "24.04", "ubuntu", "24.04"),
        ("Ubuntu 24.04 Minimal", "ubuntu", "24.04.3", "ubuntu", "24.04"),
        ("Ubuntu noble", "ubuntu", "noble", "ubuntu", None),
        ("Ubuntu", "ubuntu", None, "ubuntu", None),
        ("Fedora 43", "fedora", "43", "fedora", "43"),
        ("openSUSE Leap 16.0", "opensuse", "16.0", "opensuse", "16.0"),
        ("Alpine 3.22", "alpine", "3.22", "alpine-linux", "3.22"),
        ("Alpine 3.22", "alpine", "v3.22.2", "alpine-linux", "3.22"),
        ("Oracle Linux 9", "oraclelinux", "9", "oracle-linux", "9"),
        ("Amazon Linux 2023", "amazon", "2023", "amazon-linux", "2023"),
        ("FreeBSD 15.1", "freebsd", "15.1-RELEASE", "freebsd", "15.1"),
        ("FreeBSD 15", "freebsd", "15", "freebsd", "15"),
        ("OPNsense", "freebsd", "26.7", "opnsense", "26.7"),
        ("OPNsense", "opnsense", "26.7.1_2", "opnsense", "26.7"),
    ],
)
def test_the_release_of_a_definition(
    name: str, os_distro: str, os_version: str | None, product: str, release: str | None
) -> None:
    (use,) = endoflife.uses(KNOWN, [image(name, os_distro, os_version)])
    assert (use.product.name, use.release) == (product, release)


@pytest.mark.parametrize(
    ("name", "os_distro"),
    [
        ("Flatcar", "flatcar"),
        ("Talos", "talos"),
        ("Arch Linux", "arch"),
        ("Garden Linux", "gardenlinux"),
        ("CirrOS", "cirros"),
        ("Windows", "windows"),
        ("Ubuntu Core 26", "ubuntu"),
        ("Fedora CoreOS", "fedora"),
        ("openSUSE Tumbleweed", "opensuse"),
    ],
)
def test_what_is_out_of_scope(name: str, os_distro: str) -> None:
    assert check(image(name, os_distro, "9"), definition(name)) == []


def test_versions_have_their_own_releases() -> None:
    old, new = [{"version": v, "url": f"https://example.org/{v}"} for v in ("25.7", "26.7")]
    assert kinds(image("OPNsense", "freebsd", multi=False, versions=[old, new])) == [("ended", "25.7")]
    old, new = {**old, "os_version": "25.7"}, {**new, "os_version": "26.7"}
    assert kinds(image("OPNsense", "freebsd", versions=[new, old])) == []
    assert kinds(image("Debian 11", "debian", "11", versions=[]))[-1] == ("ended", "11")


def test_a_release_that_is_not_defined() -> None:
    (found,) = check(*images("almalinux", "8", "9"))
    assert found == endoflife.Check(
        "missing",
        "AlmaLinux 10",
        "released on 2025-05-27, security support until 2035-05-31; not defined",
        "almalinux",
        "10",
        "2035-05-31",
    )
    assert found.is_finding
    assert check(*images("almalinux", "8", "9", "10")) == []


@pytest.mark.parametrize(
    ("os_distro", "defined", "expected"),
    [
        ("almalinux", ["8", "10"], ["9"]),
        ("debian", ["11"], ["13", "12"]),
        ("debian", ["13"], []),
        ("fedora", ["42"], ["43", "44"]),
        ("freebsd", ["14.3"], ["15.1", "14.4"]),
        ("freebsd", ["14.4", "15.0"], ["15.1"]),
        ("freebsd", ["14"], ["15.1"]),
        ("freebsd", ["15"], []),
        ("opensuse", ["15.6"], ["16.0"]),
        ("alpine", ["3.22"], ["3.23"]),
        ("alpine", ["3.2"], ["3.23", "3.22"]),
        ("amazon", ["2"], ["2023"]),
        ("oraclelinux", ["9"], ["10"]),
        ("rocky", ["8"], ["10", "9"]),
        ("centos", ["7"], []),
        ("centos", ["stream9"], ["10"]),
        ("opnsense", ["26.1"], ["26.7"]),
        ("ubuntu", ["22.04"], ["26.04", "24.04"]),
        ("ubuntu", ["24.04", "26.04"], []),
        ("ubuntu", ["24.04", "25.10"], ["26.04"]),
        ("ubuntu", ["24.04", "26.10"], ["26.04"]),
        ("ubuntu", ["unknown"], []),
    ],
)
def test_what_is_missing(os_distro: str, defined: list[str], expected: list[str]) -> None:
    assert missing(*images(os_distro, *defined)) == expected


def test_an_older_release_may_be_left_out_on_purpose() -> None:
    older, other = check(*images("almalinux", "10"))
    assert (older.kind, older.release, other.kind, other.release) == ("older", "9", "older", "8")
    assert not older.is_finding
    assert older.message.endswith("not defined, and older than all defined releases")


def test_an_interim_release_that_is_defined_asks_for_the_others() -> None:
    interim = images("ubuntu", "24.04", "26.04", "26.10")
    assert missing(*interim, today=date(2027, 5, 1)) == ["27.04"]
    assert missing(*interim[:2], today=date(2027, 5, 1)) == []
    off = images("ubuntu", "26.10", enable=False)
    assert missing(*interim[:2], *off, today=date(2027, 5, 1)) == []
    assert missing(*interim, today=date(2027, 4, 21)) == []


def test_what_is_disabled_is_defined_but_has_no_end() -> None:
    off = images("almalinux", "10", enable=False)
    assert check(*images("almalinux", "9", "8"), *off) == []
    assert check(*images("debian", "11", enable=False)) == []
    assert endoflife.products_of(KNOWN, images("debian", "11", enable=False)) == []


def test_images_for_a_special_purpose_end_but_define_nothing() -> None:
    node = image("Node", "ubuntu", "20.04", meta={"os_purpose": "k8snode"})
    assert kinds(node) == [("ended", "20.04")]
    assert missing(*images("ubuntu", "22.04", "24.04"), node) == ["26.04"]


def test_definitions_that_a_filter_leaves_out_are_defined() -> None:
    every = images("almalinux", "8", "9", "10")
    assert check(every[1], everything=every) == []


def test_what_has_ended_and_what_will() -> None:
    ended, note = check(*images("debian", "11", "12", "13"), *images("fedora", "43", "44"))
    assert (ended.kind, ended.subject, ended.day) == ("ended", "debian 11", "2026-08-31")
    assert ended.message == "the long-term support of Debian 11 ended on 2026-08-31"
    assert note.kind == "ending"
    assert note.message == "the support of Fedora 43 ends on 2026-12-09, in 15 days"
    assert not note.is_finding
    (unknown,) = check(*images("opnsense", "25.7", "26.7"))
    assert (unknown.message, unknown.day) == ("the support of OPNsense 25.7 ended", None)


@pytest.mark.parametrize(
    ("today", "kind", "words"),
    [
        (date(2026, 9, 9), None, ""),
        (date(2026, 9, 10), "ending", "in 90 days"),
        (date(2026, 12, 8), "ending", "in 1 day"),
        (date(2026, 12, 9), "ending", "today"),
        (date(2026, 12, 10), "ended", "ended on 2026-12-09"),
    ],
)
def test_the_days_around_an_end(today: date, kind: str | None, words: str) -> None:
    found = [each for each in check(*images("fedora", "43", "44"), today=today) if each.release == "43"]
    assert [each.kind for each in found] == ([kind] if kind else [])
    assert all(each.message.endswith(words) for each in found)


@pytest.mark.parametrize(
    ("until", "message"),
    [
        ("2032-06-01", "provided_until 2032-06-01 is later than the end of the security support of AlmaLinux 9,"),
        ("2032-05-31", None),
        ("2029-01-01", None),
        ("none", None),
        ("notice", None),
        (None, "has no provided_until; it could be the end of the security support of AlmaLinux 9, 2032-05-31"),
        ("", "has no provided_until; it could be the end of"),
    ],
)
def test_the_promise_of_a_definition(until: str | None, message: str | None) -> None:
    found = check(*images("almalinux", "9", meta={"provided_until": until}), *images("almalinux", "10"))
    assert [each.kind for each in found if each.kind != "older"] == (["provided_until"] if message else [])
    assert message is None or found[-1].message.startswith(message)


def test_a_promise_of_what_never_ends_or_has_ended_is_no_subject() -> None:
    assert check(*images("opnsense", "26.7", meta={"provided_until": "2050-01-01"})) == []
    assert kinds(*images("debian", "13"), *images("debian", "11", meta={"provided_until": "2050-01-01"})) == [
        ("missing", "12"),
        ("ended", "11"),
    ]


def test_releases_that_nobody_knows() -> None:
    found = check(*images("ubuntu", "noble", "28.04"), image("Amphora", "ubuntu"))
    assert [(each.kind, each.message) for each in found if each.kind == "unknown"] == [
        ("unknown", "os_version 'noble' is not a known release of Ubuntu"),
        ("unknown", "os_version '28.04' is not a known release of Ubuntu"),
        ("unknown", "no os_version, so its release of Ubuntu is unknown"),
    ]


def test_a_product_without_data_is_passed_over() -> None:
    defined = [*images("debian", "11"), *images("almalinux", "9")]
    found = endoflife.check(KNOWN, defined, defined, {"almalinux": RELEASES["almalinux"]}, TODAY)
    assert {each.product for each in found} == {"almalinux"}


def test_documents_of_debian_before_september_2026_say_the_same() -> None:
    before = {"debian": releases(document("debian", DEBIAN_BEFORE), KNOWN.products["debian"])}
    defined = images("debian", "11", "12")
    assert endoflife.check(KNOWN, defined, defined, before, TODAY) == check(*defined)


def test_an_end_that_nobody_has_announced() -> None:
    first, second = Release("26.7", date(2026, 7, 22)), Release("26.1", date(2026, 1, 28))
    (found,) = endoflife.check(
        KNOWN, images("opnsense", "26.1"), images("opnsense", "26.1"), {"opnsense": [first, second]}, TODAY
    )
    assert found.message == "released on 2026-07-22, support with no end announced; not defined"


def test_words_and_values() -> None:
    checks = check(*images("almalinux", "9"), *images("debian", "11", "12", "13"), *images("fedora", "43", "44"))
    levels = [each.level for each in endoflife.findings(checks, {"ubuntu": "404"})]
    assert levels == ["warning", "warning", "note", "note", "error"]
    products = endoflife.products_of(KNOWN, images("debian", "12"))
    assert endoflife.summary(checks, products, 0) == "1 distribution: 1 not defined, 1 past the end, 1 ending soon"
    assert endoflife.summary([], [], 2).startswith("0 distributions, 2 of them unknown: 0 not defined")
    assert endoflife.data(checks)[0] == {
        "kind": "missing",
        "subject": "AlmaLinux 10",
        "message": "released on 2025-05-27, security support until 2035-05-31; not defined",
        "product": "almalinux",
        "release": "10",
        "day": "2035-05-31",
        "finding": True,
    }
