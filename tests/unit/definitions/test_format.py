"""The corners of the format: addresses that are none, and names that no property may have."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from openstack_image_manager.definitions.loader import DefinitionErrors, load
from openstack_image_manager.definitions.model import Definition, Version, public_url
from openstack_image_manager.definitions.values import RESERVED


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://u:geheim@[x/a", "http://[x/a"),
        ("http://[x", "http://[x"),
        ("http://u:geheim@x:y/a?build=1", "http://x:y/a?build=1"),
        ("http://u:ge@heim@x/a", "http://x/a"),
        ("https://x/a?sig=1", "https://x/a"),
        ("https://x/a?build=1&SIGNATURE=2&os=3&AccessKeyId=4#part", "https://x/a?build=1&os=3"),
        ("https://x/a?passwd&raw", "https://x/a?raw"),
        ("", ""),
        ("no address", "no address"),
    ],
)
def test_public_urls(url: str, shown: str) -> None:
    assert public_url(url) == shown


@pytest.mark.parametrize("key", [*sorted(RESERVED), "os_glance_failed_import", "os_glance_x", "image_manager_record"])
def test_names_that_are_no_properties(key: str) -> None:
    with pytest.raises(ValidationError, match="is not a valid property: the name is reserved"):
        Definition(name="A", format="raw", versions=[], meta={key: "x"})
    with pytest.raises(ValidationError, match="is not a valid property"):
        Version(version="1", url="https://x/1", meta={key: None})


@pytest.mark.parametrize("key", ["Name", "names", "os_glances", "image_name", "x/~", "a b", "hw_disk_bus", "ID"])
def test_names_of_properties(key: str) -> None:
    assert Version(version="1", url="https://x/1", meta={key: 1}).meta == {key: "1"}


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_names_that_glance_would_not_take(key: str) -> None:
    with pytest.raises(ValidationError):
        Version(version="1", url="https://x/1", meta={key: "x"})


def test_a_reserved_name_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text(
        "images:\n"
        "  - name: A\n"
        "    format: raw\n"
        "    meta: {os_distro: debian, os_glance_x: 1}\n"
        "    versions:\n"
        '      - version: "1"\n'
        "        url: https://example.org/1\n"
        "        meta:\n"
        "          image_manager_verified: none\n"
    )
    with pytest.raises(DefinitionErrors) as caught:
        load(str(path))
    first, second = str(caught.value).splitlines()[:2]
    assert first.startswith(f"{path}:4:")
    assert "os_glance_x" in first
    assert second.startswith(f"{path}:9:")
    assert "image_manager_verified" in second


def test_names_hold_what_glance_can_keep() -> None:
    fields = {"format": "qcow2", "versions": []}
    assert Definition.model_validate({"name": "Größe ✓", **fields}).name == "Größe ✓"
    with pytest.raises(ValidationError, match="Glance cannot store, such as an emoji"):
        Definition.model_validate({"name": "Ubuntu \U0001f427", **fields})
