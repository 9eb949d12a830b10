"""The resolvers that are shipped: sound, called by name and changed in part, and which definition gets which."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.support.resolver_files import DEFINITION, complaints

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.resolvers import shipped, validation


@pytest.mark.parametrize("name", shipped.shipped().resolvers)
def test_shipped_resolvers_are_sound(name: str) -> None:
    resolver = shipped.shipped().resolvers[name]
    assert validation.problems(resolver) == []
    for rule in filter(None, [resolver.signature]):
        keys = [text for lookup in resolver.variables.values() for text in lookup.values.values()]
        keys += [lookup.otherwise or "" for lookup in resolver.variables.values()]
        assert all(
            re.fullmatch("[0-9A-F]{40}", key) for key in keys if re.fullmatch("[0-9A-Fa-f]{30,}", key) and key.isupper()
        )
        assert rule.keys == ["{key}"]


def test_defaults_are_shipped() -> None:
    known = shipped.shipped()
    assert {default.resolver for default in known.defaults.values()} <= set(known.resolvers)


@pytest.mark.parametrize(("distro", "default"), shipped.shipped().defaults.items())
def test_the_mirror_of_a_resolver_is_a_site_of_its_distribution(distro: str, default: shipped.Default) -> None:
    mirror = shipped.shipped().resolvers[default.resolver].variables["mirror"].otherwise
    assert mirror
    host = mirror.partition("://")[2].partition("/")[0].replace("{channel}", "stable")
    assert host in {site.partition("/")[0] for site in default.sites}
    assert all(site.endswith("/") and site == site.lower() for site in default.sites)


def test_names_and_parts_of_shipped_ones(tmp_path: Path) -> None:
    assert (
        complaints(
            tmp_path,
            DEFINITION.replace("linux, os_version: '1'", "ubuntu, os_version: '24.04'") + "    resolve: ubuntu\n",
        )
        == []
    )
    assert complaints(tmp_path, DEFINITION + "    resolve: ubunut\n") == [
        "6:14: A: resolve: no resolver is called 'ubunut'; did you mean 'ubuntu'?"
    ]
    (said,) = complaints(tmp_path, DEFINITION + "    resolve: nothing-like-it\n")
    assert said.startswith("6:14: A: resolve: no resolver is called 'nothing-like-it'; almalinux, centos-stream, ")
    (said,) = complaints(tmp_path, DEFINITION + "    resolve: {use: rocky}\n")
    assert said.startswith(
        "6:14: A: resolve: no key is known for os_version '1', only for 8, 9, 10; set it below resolve"
    )
    assert complaints(tmp_path, DEFINITION + "    resolve: {use: rocky, variables: {key: '%s'}}\n" % ("AB" * 20)) == []
    assert complaints(
        tmp_path, DEFINITION + "    resolve: {use: rocky, variables: {key: x}, version: '{nothing}'}\n"
    ) == ["6:57: version: {nothing} is unknown here"]
    bare = DEFINITION.replace(", os_version: '1'", "").replace("architecture: x86_64, ", "")
    said_lines = complaints(tmp_path, bare + "    resolve: rocky\n")
    assert "6:14: A: resolve: {os_version} is meta.os_version, which the definition does not have; add it" in said_lines
    assert (
        "6:14: A: resolve: {architecture} is meta.architecture, which the definition does not have; add it"
        in said_lines
    )
    # A variable that depends on what the definition does not say, and that it needs not.
    assert complaints(tmp_path, bare + "    resolve: {use: flatcar, variables: {arch: amd64-usr}}\n") == []
    (said,) = complaints(tmp_path, bare + "    resolve: flatcar\n")
    assert said.endswith(
        "the definition has no meta.architecture, which the variable arch depends on; add it, or set arch"
    )
    (said, _) = complaints(tmp_path, DEFINITION + "    resolve: &a [*a]\n")
    assert said.startswith("6:14: A: resolve[0]: this alias refers to")
    assert "6:22: steps[0]: this alias refers to a mapping or list that contains it" in complaints(
        tmp_path, DEFINITION + "    resolve: {steps: &a [*a]}\n"
    )
    assert complaints(tmp_path, DEFINITION + "    resolve: {steps: [{static: {a: {b: c}}}]}\n")
    assert complaints(tmp_path, DEFINITION + "    resolve:\n") == []
    shortname = "    resolve: {steps: [{static: {version: '{shortname}'}}], url: 'https://x/{shortname}'}\n"
    assert complaints(tmp_path, DEFINITION + shortname) == [
        "6:32: steps[0].static[0].version: {shortname} is shortname, which the definition does not have; add it",
        "6:65: url: {shortname} is shortname, which the definition does not have; add it",
    ]
    assert complaints(tmp_path, DEFINITION + "    shortname: x\n" + shortname) == []


def test_which_resolver_a_definition_gets() -> None:
    def definition(**fields: Any) -> Definition:
        return Definition.model_validate({"name": "A", "format": "raw", "versions": [], **fields})

    ubuntu = {"os_distro": "ubuntu"}
    assert shipped.resolver_of(definition(meta=ubuntu)) is shipped.shipped().resolvers["ubuntu"]
    assert shipped.resolver_of(definition(meta=ubuntu, latest_url="https://x/1")) is None
    assert shipped.resolver_of(definition(meta={"os_distro": None})) is None
    assert shipped.resolver_of(definition()) is None
    chosen = shipped.resolver_of(definition(meta=ubuntu, resolve={"use": "rocky", "variables": {"flavour": "LVM"}}))
    assert chosen
    assert chosen.variables["flavour"].otherwise == "LVM"
    assert chosen.steps == shipped.shipped().resolvers["rocky"].steps


@pytest.mark.parametrize(
    ("url", "follows"),
    [
        ("https://cloud-images.ubuntu.com/noble/20240416/noble.img", True),
        ("HTTP://Cloud-Images.Ubuntu.Com/noble/20240416/noble.img", True),
        ("https://images.example.org/hardened/noble.img", False),
        ("https://cloud-images.ubuntu.com.example.org/noble.img", False),
        ("file:///srv/images/noble.img", False),
    ],
)
def test_an_image_from_elsewhere_does_not_follow_its_distribution(url: str, follows: bool) -> None:
    def definition(**fields: Any) -> Definition:
        elsewhere = {"version": "1", "url": "https://images.example.org/1.img"}
        newest = {"version": "20240416", "url": url}
        meta = {"os_distro": "ubuntu"}
        return Definition.model_validate(
            {"name": "A", "format": "raw", "meta": meta, "versions": [elsewhere, newest], **fields}
        )

    ubuntu = shipped.shipped().resolvers["ubuntu"]
    assert shipped.resolver_of(definition()) is (ubuntu if follows else None)
    assert shipped.has_upstream(definition()) is follows
    assert shipped.not_followed(definition()) == (None if follows else "ubuntu")
    # What the definition itself says holds wherever its image is from.
    assert shipped.resolver_of(definition(resolve="ubuntu")) is not None
    assert shipped.not_followed(definition(resolve="ubuntu")) is None
    for silent in (definition(resolve="none"), definition(resolve={"use": "none"}, versions=[])):
        assert shipped.resolver_of(silent) is None
        assert not shipped.has_upstream(silent)
        assert shipped.not_followed(silent) is None
    moving = {"latest_url": url, "latest_checksum_url": f"{url}.sha256"}
    assert shipped.has_upstream(definition(**moving))
    assert not shipped.has_upstream(definition(**moving, resolve="none"))
    assert shipped.not_followed(definition(**moving)) is None
    assert shipped.not_followed(definition(meta={"os_distro": "mylinux"})) is None


def test_no_resolver_is_asked_for(tmp_path: Path) -> None:
    assert complaints(tmp_path, DEFINITION + "    resolve: none\n") == []
