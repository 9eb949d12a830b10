"""The door to YAML: what loads, what is refused, and with which words."""

from __future__ import annotations

import gc
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from openstack_image_manager import yamltree
from openstack_image_manager.cli import validate
from openstack_image_manager.complaints import sentence
from openstack_image_manager.definitions import DefinitionErrors, Loaded, json_schema, load
from openstack_image_manager.errors import Error, UsageError
from openstack_image_manager.format import Definition, Version
from openstack_image_manager.values import RESERVED

CIRROS = """\
---
images:
  - name: MyCirros
    format: qcow2
    login: cirros
    password: gocubsgo
    min_disk: 1
    min_ram: 32
    status: active
    visibility: private
    multi: false
    meta:
      architecture: x86_64
      hw_disk_bus: scsi
      hw_rng_model: virtio
      hw_scsi_model: virtio-scsi
      hw_watchdog_action: reset
      os_distro: cirros
      replace_frequency: never
      uuid_validity: none
      provided_until: none
    tags: []
    versions:
      - version: "0.6.0"
        url: https://github.com/cirros-dev/cirros/releases/download/0.6.0/cirros-0.6.0-x86_64-disk.img
        checksum: "sha256:94e1e2c94dbbae7d4bdc38e68590a1daf73c9de2d03dd693857b4b0a042548e8"
        build_date: 2022-09-28
"""
UBUNTU = """\
images:
  - name: Ubuntu 24.04
    format: qcow2
    login: ubuntu
    min_disk: 8
    min_ram: 512
    status: active
    visibility: public
    multi: true
    meta:
      architecture: x86_64
      hw_disk_bus: scsi
      hw_scsi_model: virtio-scsi
      hw_watchdog_action: reset
      os_distro: ubuntu
      os_version: '24.04'
    tags: []
    versions:
      - version: '20240416'
        url: https://cloud-images.ubuntu.com/noble/20240416/noble-server-cloudimg-amd64.img
      - version: '20240422'
        url: https://cloud-images.ubuntu.com/noble/20240422/noble-server-cloudimg-amd64.img
"""
RANCHER = """\
images:
- name: RancherOS
  format: qcow2
  login: rancher
  min_disk: 8
  min_ram: 2048
  status: active
  visibility: public
  multi: false
  meta:
    architecture: x86_64
    hw_disk_bus: scsi
    hw_scsi_model: virtio-scsi
    hw_watchdog_action: reset
  tags: []
  versions:
  - version: '1.3.0'
    url: https://github.com/rancher/os/releases/download/v1.3.0/rancheros-openstack.img
  - version: '1.4.0'
    url: https://github.com/rancher/os/releases/download/v1.4.0/rancheros-openstack.img
  - version: '1.4.1'
    url: https://github.com/rancher/os/releases/download/v1.4.1/rancheros-openstack.img
"""
FULL = """\
images:
  - name: Everything
    enable: no
    shortname: all
    format: raw
    login: me
    password: secret
    min_disk: 3
    min_ram: 64
    status: deactivated
    visibility: community
    members: [shop, 5, {project: cart, domain: customers}, {domain: partners}]
    protected: yes
    owner: service
    former_owners: [old, 7]
    stores: [fast, 5]
    multi: on
    keep: yes
    separator: "-"
    tags: [a, 5]
    meta: {hw_rng_model: null, hw_pmu: no, release: 24.04, hours: 3, "null": ~,
           day: 2024-01-02, at: 2024-01-02T03:04:05+01:00}
    latest_url: https://example.org/latest.img
    latest_checksum_url: ftp://example.org/SUMS
    resolve:
      variables:
        mirror: https://example.org
        arch: {by: architecture, values: {x86_64: amd64}, otherwise: '{architecture}'}
        day: 2024-01-02
      steps:
        - listing: '{mirror}/'
          match: '(?P<release>\\d+)/'
          order: '{release}'
        - static: {version: 5, file: a.img}
      url: '{mirror}/{release}/{file}'
      exclude: ['1', 7]
      prereleases: yes
      checksum: {url: '{url}.sha512', algorithm: sha512}
      signature:
        {kind: detached, over: checksum, url: '{checksum_url}.asc', keys: 1B9A16984A4E8CB448712D2AE0B78BF4326C6F8F}
    versions:
      - version: 20240101
        url: file:///srv/1.img
        mirror_url: http://mirror/1.img
        mirror_checksum: sha256:94e1e2c94dbbae7d4bdc38e68590a1daf73c9de2d03dd693857b4b0a042548e8
        checksum: D41D8CD98F00B204E9800998ECF8427E
        checksums_url: https://example.org/SUMS
        checksum_url: https://example.org/SUMS
        build_date: 2024-01-02 03:04:05
        size: 1024
        signed_by: d2eb44626fddc30b513d5bb71a5d6c4c7db87c81
        signed_at: 2024-01-02
        source: private
        os_version: 24.04
        image_description: text
        meta: {patchlevel: 3}
        visibility: shared
        hidden: true
        id: 6D1B3C1E-0f5a-4c0e-9a36-0a1b2c3d4e5f
      - version: 2024-01-03
        url: HTTPS://example.org/2.img
"""
NOT_A_URL = "is not a URL; it must begin with http://, https://, ftp://, file:// and hold no blanks"
FORMATS = "aki, ari, ami, raw, iso, vhd, vhdx, vdi, qcow2, vmdk, ploop"
HEAD = "images:\n  - name: A\n    format: raw\n"
TAIL = "    versions:\n      - version: '1'\n        url: https://x/1\n"


def read(folder: Path, *texts: str | bytes, **options: Any) -> Loaded:
    for name, text in zip("abcdef", texts, strict=False):
        (folder / f"{name}.yml").write_bytes(text.encode() if isinstance(text, str) else text)
    return load(str(folder / "a.yml") if len(texts) == 1 else str(folder), **options)


def refused(folder: Path, *texts: str | bytes) -> list[str]:
    with pytest.raises(DefinitionErrors) as caught:
        read(folder, *texts)
    lines = str(caught.value).replace(f"{folder}{os.sep}", "").splitlines()
    assert len(lines) == len(caught.value.complaints)
    return lines


def test_the_examples_of_the_field_load_unchanged(tmp_path: Path) -> None:
    loaded = read(tmp_path, CIRROS, UBUNTU, RANCHER)
    assert [d.name for d in loaded.definitions] == ["MyCirros", "Ubuntu 24.04", "RancherOS"]
    assert loaded.warnings == ()
    cirros, ubuntu, rancher = loaded.definitions
    assert cirros.versions[0].build_date == "2022-09-28"
    assert (cirros.enable, cirros.separator, cirros.tags, cirros.password) == (True, " ", [], "gocubsgo")
    assert ubuntu.multi is True
    assert ubuntu.meta["os_version"] == "24.04"
    assert [version.version for version in rancher.versions] == ["1.3.0", "1.4.0", "1.4.1"]
    assert str(loaded.positions["MyCirros"]) == f"{tmp_path / 'a.yml'}:3:11"


def test_every_field_loads_as_it_is_meant(tmp_path: Path) -> None:
    (definition,) = read(tmp_path, FULL).definitions
    assert set(definition.model_fields_set) == set(Definition.model_fields)
    assert (definition.enable, definition.multi, definition.keep) == (False, True, True)
    assert definition.tags == ["a", "5"]
    assert definition.meta == {
        "hw_rng_model": None,
        "hw_pmu": "false",
        "release": "24.04",
        "hours": "3",
        "null": None,
        "day": "2024-01-02",
        "at": "2024-01-02 02:04:05",
    }
    members = [(member.project, member.domain) for member in definition.members or ()]
    assert members == [("shop", None), ("5", None), ("cart", "customers"), (None, "partners")]
    assert (definition.protected, definition.owner, definition.stores) == (True, "service", ["fast", "5"])
    assert definition.former_owners == ["old", "7"]
    assert definition.resolve is not None
    assert [step.kind for step in definition.resolve.steps] == ["listing", "static"]
    assert definition.resolve.steps[1].static == [{"version": "5", "file": "a.img"}]
    assert (definition.resolve.exclude, definition.resolve.prereleases) == (["1", "7"], True)
    assert definition.resolve.variables["mirror"].otherwise == "https://example.org"
    first, second = definition.versions
    assert set(first.model_fields_set) == set(Version.model_fields)
    assert (first.version, second.version) == ("20240101", "2024-01-03")
    assert first.checksum == "md5:d41d8cd98f00b204e9800998ecf8427e"
    assert first.build_date == "2024-01-02 03:04:05"
    assert first.signed_by == "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81"
    assert (first.size, first.signed_at) == (1024, "2024-01-02")
    assert (first.os_version, first.hidden) == ("24.04", True)
    assert first.id == "6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f"
    assert first.checksum_file == "https://example.org/SUMS"


@pytest.mark.parametrize("change", ["\ufeff", "# a comment\n", "%YAML 1.1\n---\n"])
def test_preludes_are_accepted(tmp_path: Path, change: str) -> None:
    assert read(tmp_path, change + UBUNTU).definitions[0].name == "Ubuntu 24.04"
    assert read(tmp_path, change + UBUNTU.replace("\n", "\r\n")).definitions[0].min_disk == 8


def test_empty_tags_and_meta_are_none_at_all(tmp_path: Path) -> None:
    (definition,) = read(tmp_path, HEAD + "    tags:\n    meta:\n" + TAIL + "        meta: ~\n").definitions
    assert (definition.tags, definition.meta, definition.versions[0].meta) == ([], {}, {})


def test_anchors_aliases_and_merges(tmp_path: Path) -> None:
    text = (
        "images:\n"
        "  - &base\n    name: A\n    format: raw\n    meta: &meta {a: '1', b: '2'}\n    min_ram: 5\n"
        "    versions: [{version: '1', url: 'https://x/1'}]\n"
        "  - <<: *base\n    name: B\n    meta: {<<: [{a: '9'}, *meta], b: '3'}\n"
    )
    first, second = read(tmp_path, text).definitions
    assert first.meta == {"a": "1", "b": "2"}
    assert (second.name, second.min_ram, second.meta) == ("B", 5, {"a": "9", "b": "3"})
    assert second.versions == first.versions


# The definition is valid but for one line; the complaint is its place and words.
FIELD_COMPLAINTS = [
    ("    mindisk: 3\n", "5: A: mindisk: unknown field; did you mean 'min_disk'?"),
    ("    zzz: 3\n", "5: A: zzz: unknown field; properties of the image go below meta"),
    ("    checksum: x\n", "5: A: checksum: belongs to a version, not to the image"),
    ("    min_disk: x\n", "15: A: min_disk: must be a whole number, not a text"),
    ("    min_disk: 1.5\n", "15: A: min_disk: must be a whole number, not the number 1.5"),
    ("    min_disk: -1\n", "15: A: min_disk: must be 0 or more"),
    ("    min_disk: yes\n", "15: A: min_disk: must be a whole number, not true"),
    ("    min_disk: [1]\n", "15: A: min_disk: must be a whole number, not a list"),
    ("    min_disk: 2024-01-01\n", "15: A: min_disk: must be a whole number, not a date"),
    ("    min_disk:\n", "5: A: min_disk: is empty; give it a value or remove the line"),
    ("    min_disk: 010\n", "15: A: min_disk: 010 means 8 in YAML; write 8"),
    ("    keep: maybe\n", "11: A: keep: must be true or false, not a text"),
    ("    keep: 0\n", "11: A: keep: must be true or false, not the number 0"),
    ("    keep: {a: 1}\n", "11: A: keep: must be true or false, not a mapping"),
    ("    status: activ\n", "13: A: status: must be one of active, deactivated; did you mean 'active'?"),
    ("    status: 3\n", "13: A: status: must be one of active, deactivated"),
    ("    status: [3]\n", "13: A: status: must be one of active, deactivated"),
    ("    login: no\n", "12: A: login: no without quotes means false in YAML; put it in quotes: login: 'no'"),
    ("    login: {}\n", "12: A: login: must be a text, not a mapping"),
    (
        "    login: 0x10\n",
        "12: A: login: 0x10 without quotes is the number 16 to YAML; put it in quotes: login: '0x10'",
    ),
    ("    login: !x a\n", "12: A: login: the tag !x is not allowed; remove it"),
    ("    login: !!binary YQ==\n", "12: A: login: the tag !!binary is not allowed; remove it"),
    ("    login: !!python/object:x {}\n", "12: A: login: the tag !!python/object:x is not allowed; remove it"),
    ("    login: !!int x\n", "12: A: login: x is no valid number; put it in quotes: login: 'x'"),
    (
        "    password: 007\n",
        "15: A: password: this without quotes is a number to YAML; put it in quotes: password: '…'",
    ),
    (
        "    password: 1_000\n",
        "15: A: password: this without quotes is a number to YAML; put it in quotes: password: '…'",
    ),
    ("    separator:\n", "5: A: separator: is empty; give it a value or remove the line"),
    ("    tags: x\n", "11: A: tags: must be a list, not a text"),
    ("    tags: ['']\n", "12: A: tags[0]: must not be empty"),
    ("    tags: [a, [b]]\n", "15: A: tags[1]: must be a text, not a list"),
    ("    tags: [yes]\n", "12: A: tags[0]: yes without quotes means true in YAML; put it in quotes: the value: 'yes'"),
    ("    tags: [" + "x" * 256 + "]\n", "12: A: tags[0]: has 256 characters, at most 255 can be"),
    ("    tags: !x [a]\n", "11: A: tags: the tag !x is not allowed; remove it"),
    ("    meta: x\n", "11: A: meta: must be a mapping of keys to values, not a text"),
    ("    meta: [x]\n", "11: A: meta: must be a mapping of keys to values, not a list"),
    ("    meta: !x {a: b}\n", "11: A: meta: the tag !x is not allowed; remove it"),
    ("    meta: {a: [x]}\n", "15: A: meta.a: must be a text, not a list"),
    ("    meta: {a: {x: y}}\n", "15: A: meta.a: must be a text, not a mapping"),
    ("    meta: {'': x}\n", "16: A: meta.: must not be empty"),
    ("    meta: {[a]: x}\n", "12: A: meta: a key must be a text"),
    ("    meta: {a: 1, a: 2}\n", "18: A: meta.a: 'a' stands here a second time; first at 4:12"),
    ("    meta: {a: 010}\n", "15: A: meta.a: 010 without quotes is the number 8 to YAML; put it in quotes: a: '010'"),
    ("    meta: {a: 1_0}\n", "15: A: meta.a: 1_0 without quotes is the number 10 to YAML; put it in quotes: a: '1_0'"),
    (
        "    meta: {a: 10:30}\n",
        "15: A: meta.a: 10:30 without quotes is the number 630 to YAML; put it in quotes: a: '10:30'",
    ),
    (
        "    meta: {a: 24.10}\n",
        "15: A: meta.a: 24.10 without quotes is the number 24.1 to YAML; put it in quotes: a: '24.10'",
    ),
    (
        "    meta: {a: .inf}\n",
        "15: A: meta.a: .inf without quotes is the number inf to YAML; put it in quotes: a: '.inf'",
    ),
    ("    meta: {a: " + "1" * 101 + "}\n", "15: A: meta.a: this number is too long; put it in quotes: a: '…'"),
    ("    meta: {a: 2024-13-01}\n", "15: A: meta.a: 2024-13-01 is no valid date; put it in quotes: a: '2024-13-01'"),
    (
        "    meta: {a: 0001-01-01T00:00:00+23:00}\n",
        "15: A: meta.a: 0001-01-01T00:00:00+23:00 is no valid date; put it in quotes: a: '0001-01-01T00:00:00+23:00'",
    ),
    ("    meta: {<<: x}\n", "16: A: meta.<<: '<<' takes an alias of a mapping or a list of such aliases"),
    ("    meta: &m {<<: *m}\n", "11: A: meta.<<: this mapping is merged into itself, or through too many others"),
    ("    meta: &m [*m]\n", "11: A: meta: must be a mapping of keys to values, not a list"),
    (
        "    meta: {uuid_validity: last-x}\n",
        "27: A: meta.uuid_validity: 'last-x' must be last-N with a whole number N from 1, such as last-3",
    ),
    (
        "    meta: {uuid_validity: last-0}\n",
        "27: A: meta.uuid_validity: 'last-0' must be last-N with a whole number N from 1, such as last-3",
    ),
    (
        "    latest_url: a.img\n",
        "17: A: latest_url: " + NOT_A_URL,
    ),
    ("    latest_url: 'http://u:secret@[x'\n", "17: A: latest_url: is a URL with a wrong host or port"),
    ("    latest_url: http://x:99999/\n", "17: A: latest_url: is a URL with a wrong host or port"),
    ("    latest_url: http:///x\n", "17: A: latest_url: is a URL with a wrong host or port"),
    ("    name: B\n", "5: A: name: 'name' stands here a second time; first at 2:5"),
    ("    members: shop\n", "14: A: members: must be a list, not a text"),
    (
        "    members: [{}]\n",
        "15: A: members[0]: names no one; write project: NAME, or domain: NAME for all projects of a domain",
    ),
    ("    members: [{projct: x}]\n", "16: A: members[0].projct: unknown field; did you mean 'project'?"),
    ("    members: [{x: y}]\n", "16: A: members[0].x: unknown field; a member has project and domain"),
    ("    stores: []\n", "13: A: stores: must not be empty"),
]


@pytest.mark.parametrize(("line", "expected"), FIELD_COMPLAINTS)
def test_a_wrong_field_is_named_with_place_and_remedy(tmp_path: Path, line: str, expected: str) -> None:
    assert refused(tmp_path, HEAD + line + TAIL) == [f"a.yml:4:{expected}"]


VERSION_COMPLAINTS = [
    (
        "version: 1.10",
        "18: A: versions[0].version: YAML reads 1.10 as the number 1.1, and so would take 1.1 and "
        "1.10 for the same; put it in quotes: version: '1.10'",
    ),
    (
        "version: 1.1",
        "18: A: versions[0].version: YAML reads 1.1 as the number 1.1, and so would take 1.1 and "
        "1.10 for the same; put it in quotes: version: '1.1'",
    ),
    (
        "version: 0123",
        "18: A: versions[0].version: 0123 without quotes is the number 83 to YAML; put it in quotes: version: '0123'",
    ),
    (
        "version: yes",
        "18: A: versions[0].version: yes without quotes means true in YAML; put it in quotes: version: 'yes'",
    ),
    ("version: ''", "18: A: versions[0].version: must not be empty"),
    ("version:", "9: A: versions[0].version: is empty; give it a value or remove the line"),
    ("version: latest", "18: A: versions[0].version: version latest follows a checksum file; add checksums_url: URL"),
    (
        "build_date: 20240101",
        "21: A: versions[0].build_date: '20240101' is not a date; write YYYY-MM-DD or YYYY-MM-DD hh:mm:ss (UTC)",
    ),
    (
        "build_date: '2024-02-30'",
        "21: A: versions[0].build_date: '2024-02-30' is not a date; write YYYY-MM-DD or YYYY-MM-DD hh:mm:ss (UTC)",
    ),
    (
        "checksum: xyz",
        "19: A: versions[0].checksum: 'xyz' is not a hexadecimal digest; write it like sha256:94e1e2c9…",
    ),
    (
        "checksum: abc",
        "19: A: versions[0].checksum: 'abc' names no known algorithm; use one of md5, sha1, sha224, sha256, "
        "sha384, sha512, like sha256:94e1e2c9…",
    ),
    ("checksum: md5:abc", "19: A: versions[0].checksum: a md5 digest has 32 digits, this one has 3"),
    ("id: 7", "13: A: versions[0].id: '7' is not a UUID like 6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f"),
    ("login: x", "9: A: versions[0].login: belongs to the image, not to a version"),
    ("checksun: x", "9: A: versions[0].checksun: unknown field; did you mean 'checksum'?"),
    (
        "meta: {uuid_validity: last-}",
        "31: A: versions[0].meta.uuid_validity: 'last-' must be last-N with a whole number N from 1, such as last-3",
    ),
]


@pytest.mark.parametrize(("line", "expected"), VERSION_COMPLAINTS)
def test_a_wrong_version_is_named_with_place_and_remedy(tmp_path: Path, line: str, expected: str) -> None:
    fixed = "" if line.startswith("version") else "        version: '1'\n"
    text = f"{HEAD}    versions:\n      - url: https://x/1\n        {line}\n{fixed}"
    assert refused(tmp_path, text) == [f"a.yml:6:{expected}"]


NAME = "images:\n  - format: raw\n    versions: []\n"
FILE_COMPLAINTS: list[tuple[str | bytes, str]] = [
    ("", "a.yml: holds no definitions"),
    ("# nothing\n", "a.yml: holds no definitions"),
    ("---\n", "a.yml: holds no definitions"),
    ("images:\n", "a.yml: holds no definitions"),
    ("{}", "a.yml: holds no definitions"),
    ("image: []\n", "a.yml:1:1: image: unknown field; did you mean 'images'?"),
    ("x: 1\nimages: []\n", "a.yml:1:1: x: unknown field"),
    ("- a\n", "a.yml:1:1: must be a mapping with 'images:' and a list of definitions"),
    ("images: {a: b}\n", "a.yml:1:9: images: must be a list: '- name: …' for each image"),
    ("!x {}\n", "a.yml:1:1: the tag !x is not allowed; remove it"),
    ("images: [a]\n", "a.yml:1:10: images[0]: must be a mapping that begins with '- name: …'"),
    ("images: &a [*a]\n", "a.yml:1:9: images[0]: must be a mapping that begins with '- name: …'"),
    (NAME, "a.yml:2:5: images[0].name: is missing; add it"),
    (NAME + "    name: ''\n", "a.yml:4:11: images[0].name: must not be empty"),
    (NAME + "    name: [a]\n", "a.yml:4:11: images[0].name: must be a text, not a list"),
    (NAME + "    name: ' a'\n", "a.yml:4:11:  a: name: begins or ends with a blank; remove it"),
    (NAME + '    name: "a\\e\\nb"\n', "a.yml:4:11: a\\x1b\\nb: name: holds a character that cannot be seen; remove it"),
    (NAME + f"    name: {'n' * 256}\n", f"a.yml:4:11: {'n' * 256}: name: has 256 characters, at most 255 can be"),
    (HEAD, "a.yml:2:5: A: versions: is missing; add it"),
    (HEAD + "    versions: x\n", "a.yml:4:15: A: versions: must be a list, not a text"),
    (HEAD + "    versions: [x]\n", "a.yml:4:16: A: versions[0]: must be a mapping of fields to values, not a text"),
    (b"images:\n - \xff\n", "a.yml:2:4: byte 0xff at offset 11 is not UTF-8; save the file as UTF-8"),
    ("images:\n \x00\n", "a.yml:2:2: control character U+0000 is not allowed; remove it"),
    ("images:\n\t- a: b\n", "a.yml:2:1: line 2 is indented with a tab; YAML allows only spaces"),
    (
        "a: b: c\n",
        "a.yml:1:5: not valid YAML: a ': ' where none can be; check the indentation, and quote texts that hold ': '",
    ),
    ("images: *x\n", "a.yml:1:9: not valid YAML: no anchor of this name stands before this alias"),
    (
        "images: [\n",
        "a.yml:2:1: not valid YAML: did not find expected node content (while parsing a flow node at line 2)",
    ),
    (
        "--- {}\n--- {}\n",
        "a.yml:2:1: not valid YAML: a second document begins here; a file holds only one, "
        "so remove this '---' or split the file",
    ),
    ("[" * 900, "a.yml:1:100: nested deeper than 100 levels"),
    ("- " * 10_000, "a.yml:1:199: nested deeper than 100 levels"),
    (b"#" * (8 * 1024**2 + 1), "a.yml: has 8.0 MiB, at most 8 MiB can be read; split it"),
]


@pytest.mark.parametrize(("text", "expected"), FILE_COMPLAINTS, ids=range(len(FILE_COMPLAINTS)))
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert refused(tmp_path, text) == [expected]


def test_nesting_that_the_parser_itself_gives_up(tmp_path: Path) -> None:
    (complaint,) = refused(tmp_path, "[" * 10_000)
    assert complaint.endswith("nested deeper than 100 levels")


def test_all_complaints_come_at_once_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    one = HEAD.replace("raw", "row") + "    mindisk: 1\n" + TAIL.replace("https:", "gopher:")
    assert refused(tmp_path, "x: [", one, one.replace("A", "B")) == [
        "a.yml:2:1: not valid YAML: did not find expected node content (while parsing a flow node at line 2)",
        "b.yml:3:13: A: format: must be one of " + FORMATS + "; did you mean 'raw'?",
        "b.yml:4:5: A: mindisk: unknown field; did you mean 'min_disk'?",
        "b.yml:7:14: A: versions[0].url: " + NOT_A_URL,
        "c.yml:3:13: B: format: must be one of " + FORMATS + "; did you mean 'raw'?",
        "c.yml:4:5: B: mindisk: unknown field; did you mean 'min_disk'?",
        "c.yml:7:14: B: versions[0].url: " + NOT_A_URL,
    ]


def versions(*lines: str) -> str:
    return "    versions:\n" + "".join(f"      - {{url: 'https://x/1', {line}}}\n" for line in lines)


def test_what_must_be_unique_names_both_places(tmp_path: Path) -> None:
    uuid = "6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f"
    sums = "checksums_url: 'https://x/S'"
    first = HEAD + versions("version: '1'", "version: '1'", f"version: latest, {sums}", f"version: latest, {sums}")
    second = HEAD + versions(f"version: '2', id: {uuid}")
    third = HEAD.replace("A", "B") + versions(f"version: '3', id: {uuid.upper()}")
    place = f"{tmp_path}{os.sep}"
    with pytest.raises(DefinitionErrors) as caught:
        read(tmp_path, first, second, third)
    assert str(caught.value).splitlines() == [
        f"{place}a.yml:6:39: A: versions[1].version: this version is defined already at {place}a.yml:5:39",
        f"{place}a.yml:8:39: A: versions[3].version: only one version can be latest; "
        f"the first stands at {place}a.yml:7:39",
        f"{place}b.yml:2:11: A: name: this image is defined already at {place}a.yml:2:11",
        f"{place}c.yml:5:48: B: versions[0].id: this id is given already at {place}b.yml:5:48",
    ]


def image(name: str, multi: bool, *builds: str) -> str:
    lines = "".join(f"      - {{version: '{build}', url: 'https://x/1'}}\n" for build in builds)
    return f"  - name: {name}\n    format: raw\n    multi: {str(multi).lower()}\n    versions:\n{lines}"


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (image("A 1", True, "9", "10") + image("A", False, "1"), "12:9: A: versions[0]"),
        (image("A", True, "9", "10") + image("A", True, "x").replace("A", "A (9)"), "12:9: A (9): versions[0]"),
        (image("A", False, "1 2") + image("A 1", False, "2"), "11:9: A 1: versions[0]"),
    ],
)
def test_two_images_of_one_name_in_glance(tmp_path: Path, images: str, expected: str) -> None:
    (line,) = refused(tmp_path, "images:\n" + images)
    assert line.startswith(f"a.yml:{expected}: another image gets the same name, from ")


def test_equal_versions_of_different_images_do_not_collide(tmp_path: Path) -> None:
    text = "images:\n" + image("A", True, "9", "10") + image("B", True, "9", "10") + image("C", False, "9")
    assert len(read(tmp_path, text).definitions) == 3


def test_a_dated_name_can_be_too_long(tmp_path: Path) -> None:
    name = "n" * 250
    read(tmp_path, "images:\n" + image("n" * 248, True, "9", "2024"))
    assert refused(tmp_path, "images:\n" + image(name, False, "2024-1")) == [
        f"a.yml:6:9: {name}: versions[0]: the image's name would have 257 characters, at most 255 can be"
    ]


SECRET = (
    "looks like a secret, and becomes a property that all who see the image can read; plans and reports show it too. "
    "Take it out"
)
WARNINGS = [
    ("    versions: []\n", "a.yml:4:15: A: versions: is empty: no image is wanted"),
    ("    versions:\n", "a.yml:4:5: A: versions: is empty: no image is wanted"),
    ("    resolve: debian\n    meta: {os_version: 13, architecture: x86_64}\n    versions: []\n", None),
    ("    latest_url: https://a.b/c\n    latest_checksum_url: https://a.b/SHA256SUMS\n    versions: []\n", None),
    ("    latest_url: https://a.b/c\n    versions: []\n", "a.yml:5:15: A: versions: is empty: no image is wanted"),
    (
        "    meta: {os_purpose: generik}\n" + TAIL,
        "a.yml:4:24: A: meta.os_purpose: 'generik' is unusual, known are generic, oldgeneric, minimal, k8snode, gpu, "
        "network, custom; did you mean 'generic'?",
    ),
    (
        "    meta: {uuid_validity: soon}\n" + TAIL + "        meta: {a: b}\n",
        "a.yml:4:27: A: meta.uuid_validity: 'soon' is unusual, known are none, notice, forever, last-N (the newest N "
        "builds), a date YYYY-MM-DD; until that is mended, all builds stay in sight",
    ),
    (
        "    meta: {uuid_validity: '2027-02-30'}\n" + TAIL,
        "a.yml:4:27: A: meta.uuid_validity: '2027-02-30' is unusual, known are none, notice, forever, last-N (the "
        "newest N builds), a date YYYY-MM-DD; until that is mended, all builds stay in sight",
    ),
    (
        "    meta: {image_name: B}\n" + TAIL,
        "a.yml:4:24: A: meta.image_name: has no effect: the tool sets it, to know its images by",
    ),
    (
        "    meta: {license_included: true}\n" + TAIL + "        meta: {license_required: yes}\n",
        "a.yml:8:34: A: versions[0].meta.license_required: a licence is either included or required; remove one of "
        "the two",
    ),
    (
        TAIL + "        source: gopher://x\n",
        "a.yml:7:17: A: versions[0].source: 'gopher://x' is unusual, known are private, an http, https or ftp URL",
    ),
    (TAIL + "        source: private\n", None),
    ("    meta: {root_Password: abc}\n" + TAIL, f"a.yml:4:27: A: meta.root_Password: {SECRET}"),
    (TAIL + "        meta: {agent-token: abc}\n", f"a.yml:7:29: A: versions[0].meta.agent-token: {SECRET}"),
    ("    meta: {client_secret: null, password_login: no, hw_rng_model: virtio}\n" + TAIL, None),
]


@pytest.mark.parametrize(("rest", "expected"), WARNINGS)
def test_oddities_are_warnings(tmp_path: Path, rest: str, expected: str | None) -> None:
    loaded = read(tmp_path, HEAD + rest)
    assert len(loaded.definitions) == 1
    shown = [str(warning).replace(f"{tmp_path}{os.sep}", "") for warning in loaded.warnings]
    assert shown == ([expected] if expected else [])


def test_a_directory_holds_definitions_and_other_things(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("no: [yaml")
    (tmp_path / ".#a.yml").write_text("no: [yaml")
    (tmp_path / "z.yml").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.yaml").write_text(RANCHER)
    loaded = read(tmp_path, UBUNTU, "# later\n")
    assert [definition.name for definition in loaded.definitions] == ["Ubuntu 24.04"]
    assert [str(warning) for warning in loaded.warnings] == [f"{tmp_path / 'b.yml'}: holds no definitions"]
    for pattern in ("**", "**/*.y*ml"):
        found = load(str(tmp_path / pattern)).definitions
        assert [definition.name for definition in found] == ["Ubuntu 24.04", "RancherOS"]


def test_nothing_to_read_says_what_to_do(tmp_path: Path) -> None:
    for path, reason in [
        (str(tmp_path), "no *.yml or *.yaml here"),
        (str(tmp_path / "**"), "no *.yml or *.yaml here"),
        (str(tmp_path / "x"), "No such file or directory"),
        ("a\0b", "embedded null byte"),
    ]:
        with pytest.raises(Error, match=re.escape(reason)) as caught:
            load(path)
        assert "--images PATH" in str(caught.value)


def test_an_unreadable_file_is_a_complaint(tmp_path: Path) -> None:
    (tmp_path / "b.yml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "a.yml").write_text(UBUNTU)
    with pytest.raises(DefinitionErrors, match=r"b\.yml: cannot be read: No such file or directory"):
        load(str(tmp_path))


def test_the_filter_selects_after_the_checks(tmp_path: Path) -> None:
    assert [d.name for d in read(tmp_path, UBUNTU, RANCHER, name_filter="^Ranch").definitions] == ["RancherOS"]
    loaded = read(tmp_path, UBUNTU, RANCHER, name_filter="Suse")
    assert (loaded.definitions, loaded.positions) == ((), {})
    assert [str(w) for w in loaded.warnings] == [
        f"{tmp_path}: none of the 2 definitions has a name that matches 'Suse'"
    ]
    with pytest.raises(UsageError, match=r"'a\(' is not a regular expression: missing .* at position 1"):
        read(tmp_path, UBUNTU, name_filter="a(")
    with pytest.raises(UsageError):
        read(tmp_path, UBUNTU, name_filter="(" * 100_000)


def test_garbage_collection_stays_as_it_was(tmp_path: Path) -> None:
    read(tmp_path, UBUNTU)
    assert gc.isenabled()
    gc.disable()
    try:
        read(tmp_path, UBUNTU)
        assert not gc.isenabled()
    finally:
        gc.enable()


def bomb(levels: int, width: int, line: str) -> str:
    lines = [f"    - &a{i} {{{line.format(', '.join([f'*a{i - 1}'] * width))}}}\n" for i in range(1, levels)]
    return "images:\n  - name: A\n    format: raw\n    versions:\n    - &a0 {version: '1'}\n" + "".join(lines)


def test_alias_bombs_are_defused(tmp_path: Path) -> None:
    assert any("values" in line for line in refused(tmp_path, bomb(9, 20, "<<: [{}]")))
    meta = ", ".join(f"k{number}: v" for number in range(500))
    text = f"images: [&a {{name: A, format: raw, versions: [], meta: {{{meta}}}}}{', *a' * 2500}]\n"
    assert refused(tmp_path, text)[-1].endswith("with its aliases this file holds more than 1000000 values; split it")


def test_too_many_values() -> None:
    small = yamltree.composer(yaml.SafeLoader, most=100)
    with pytest.raises(yamltree.Broken, match="holds more than 100 values; split the file"):
        yamltree.Tree(b"[" + b"[]," * 100 + b"]", small)


def test_merges_through_too_many_anchors(tmp_path: Path) -> None:
    chain = ", ".join(["&a0 {k: v}", *(f"&a{i} {{<<: *a{i - 1}}}" for i in range(1, 300))])
    lines = refused(tmp_path, f"x: [{chain}]\nimages: [{{<<: *a299}}]\n")
    assert any("through too many others" in line for line in lines)


def test_the_parser_in_python_says_the_same_places() -> None:
    slow = yamltree.composer(yaml.SafeLoader)
    for text in (CIRROS, FULL, RANCHER):
        trees = [yamltree.Tree(text.encode(), loader).root for loader in (yamltree._Composer, slow)]
        assert yaml.serialize(trees[0]) == yaml.serialize(trees[1])
        for path in ((), ("images", 0), ("images", 0, "versions", 0, "url")):
            fast, other = (yamltree.Tree(text.encode(), loader) for loader in (yamltree._Composer, slow))
            assert fast.root is not None
            assert other.root is not None
            assert fast.find(fast.root, path) == other.find(other.root, path)
    with pytest.raises(yamltree.Broken, match="deeper than 100"):
        yamltree.Tree(b"[" * 10_000, slow)
    for loader in (yamltree._Composer, slow):
        for escape in ("U00110000", "ud800"):
            with pytest.raises(yamltree.Broken, match="not valid YAML"):
                yamltree.Tree(f'"\\{escape}"'.encode(), loader)


def test_errors_of_pydantic_we_have_no_words_for_are_shown_in_its_own() -> None:
    details: Any = {"type": "new_in_pydantic", "input": 1, "msg": "its words", "loc": ()}
    assert sentence(details, ()) == "its words"


quiet = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def survives(folder: Path, data: bytes) -> None:
    (folder / "a.yml").write_bytes(data)
    try:
        load(str(folder / "a.yml"))
    except DefinitionErrors as error:
        lines, complaints = str(error).splitlines(), error.complaints
    else:
        return
    assert len(lines) == len(complaints) > 0


@quiet
@given(
    data=st.one_of(st.binary(max_size=300), st.text("[]{}&*!<:-?,'\"#%@`|> \n\tabc019.", max_size=200).map(str.encode))
)
def test_no_bytes_end_in_a_traceback(tmp_path: Path, data: bytes) -> None:
    survives(tmp_path, data)


@settings(quiet, max_examples=200)
@given(
    edits=st.lists(
        st.tuples(
            st.integers(0, len(FULL)),
            st.integers(0, 12),
            st.sampled_from(
                ["", " ", "\n", "- ", "[", "}", "&a ", "*a", "<<: ", "!!int ", "~", "0x", "1:1", "\t", "\x00", "é"]
            )
            | st.text(max_size=3),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_no_mutation_of_a_valid_file_ends_in_a_traceback(tmp_path: Path, edits: list[tuple[int, int, str]]) -> None:
    text = FULL
    for start, length, new in edits:
        text = text[:start] + new + text[start + length :]
    survives(tmp_path, text.encode("utf-8", "surrogatepass"))


texts = st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF, exclude_characters="\x7f"), max_size=20)
names = st.text(st.characters(max_codepoint=0xFFFF, categories=["L", "N", "P"]), min_size=1, max_size=20)
keys = names.filter(lambda key: key not in RESERVED and not key.startswith(("os_glance_", "image_manager_")))
metas = st.dictionaries(keys, st.none() | texts, max_size=4)
version_models = st.builds(
    Version,
    version=st.text(st.characters(codec="utf-8"), min_size=1, max_size=10).filter(lambda text: text != "latest"),
    url=st.sampled_from(["https://x/1", "file:///a", "ftp://x/é"]),
    checksum=st.none() | st.sampled_from(["md5:" + "0" * 32, "sha1:" + "1" * 40]),
    build_date=st.none() | st.dates().map(str),
    os_version=st.none() | texts,
    meta=metas.filter(lambda meta: "uuid_validity" not in meta),
    hidden=st.none() | st.booleans(),
)
definition_models = st.builds(
    Definition,
    name=names,
    format=st.sampled_from(["raw", "qcow2"]),
    login=st.none() | texts,
    min_disk=st.integers(0, 10**6),
    multi=st.booleans(),
    separator=texts,
    tags=st.lists(texts.filter(bool), max_size=3),
    meta=metas,
    versions=st.lists(version_models, min_size=1, max_size=3, unique_by=lambda version: version.version),
)


@quiet
@given(definition=definition_models)
def test_what_is_dumped_loads_as_the_same(tmp_path: Path, definition: Definition) -> None:
    data = {"images": [definition.model_dump(exclude_unset=True)]}
    (tmp_path / "a.yml").write_text(yaml.safe_dump(data), encoding="utf-8")
    assert load(str(tmp_path / "a.yml")).definitions == (definition,)


def test_the_schema_takes_what_load_takes() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)

    class Strings(yaml.SafeLoader):
        """Editors read dates as texts."""

        def timestamp(self, node: Any) -> str:
            return str(node.value)

    Strings.add_constructor("tag:yaml.org,2002:timestamp", Strings.timestamp)
    for text in (CIRROS, UBUNTU, RANCHER, FULL, "images:\n", HEAD + "    tags:\n    meta:\n    versions:\n"):
        assert list(validator.iter_errors(yaml.load(text, Strings))) == []
    for text in (
        "images: 3",
        HEAD + TAIL + "    mindisk: 3\n",
        HEAD,
        HEAD + "    meta: {a: [b]}\n" + TAIL,
        HEAD + "    login: no\n" + TAIL,
    ):
        assert list(validator.iter_errors(yaml.load(text, Strings))) != []
    meta = schema["$defs"]["Meta"]["properties"]
    assert "k8snode" in meta["os_purpose"]["anyOf"][0]["enum"]
    assert all(field["description"] for field in schema["$defs"]["Version"]["properties"].values())


def command(*arguments: str) -> Any:
    app = typer.Typer()
    validate.register(app)
    return CliRunner().invoke(app, arguments)


def test_validate_says_what_is_valid(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(UBUNTU)
    result = command("validate", str(tmp_path))
    assert (result.exit_code, result.stdout) == (0, "1 definition in 1 file is valid\n")
    (tmp_path / "b.yml").write_text(RANCHER.replace("hw_disk_bus: scsi", "hw_disk_bus: floppy"))
    result = command("validate", "--images", str(tmp_path))
    assert (result.exit_code, result.stdout) == (0, "2 definitions in 2 files are valid\n")
    assert result.stderr.startswith(f"warning: {tmp_path / 'b.yml'}:12:18: RancherOS: meta.hw_disk_bus: 'floppy' is ")


def test_validate_names_all_mistakes_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(HEAD + "    keep: 3\n    mindisk: 3\n" + TAIL)
    result = command("validate", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"{tmp_path / 'a.yml'}:4:11: A: keep: must be true or false, not the number 3",
        f"{tmp_path / 'a.yml'}:5:5: A: mindisk: unknown field; did you mean 'min_disk'?",
        "2 mistakes to mend",
    ]
    assert isinstance(command("validate", "a", "--images", "b").exception, UsageError)


def test_schema_is_printed() -> None:
    result = command("schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json_schema()
    assert result.stdout.startswith('{\n  "$schema"')


def test_members_of_an_image_that_is_not_shared_are_a_warning(tmp_path: Path) -> None:
    loaded = read(tmp_path, HEAD + "    members: [shop]\n" + TAIL)
    assert [f"{each.line}: {each.message}" for each in loaded.warnings] == [
        "4: has no effect: only images of visibility shared have members"
    ]
