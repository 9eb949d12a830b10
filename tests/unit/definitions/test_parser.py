"""The door to YAML: what loads, from where, and what is only warned of."""

from __future__ import annotations

import gc
import os
import re
from pathlib import Path

import pytest
from tests.support.definition_files import CIRROS, FULL, HEAD, RANCHER, TAIL, UBUNTU, read

from openstack_image_manager.definitions.loader import load
from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.errors import Error, UsageError


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
    assert definition.names == ("Everything", "Every Thing", "7")
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


SECRET = (
    "looks like a secret, and becomes a property that all who see the image can read; plans and reports show it too. "
    "Take it out"
)
NOT_SIGNED = (
    "has no effect: the signature vouches for no checksum of this version (there is none, or it is MD5 or SHA-1); run "
    "update, or remove signed_by"
)
YET = "no versions yet, so no image is wanted: run openstack-image-manager update"
WARNINGS = [
    ("    versions: []\n", "a.yml:4:15: A: versions: is empty: no image is wanted"),
    ("    versions:\n", "a.yml:4:5: A: versions: is empty: no image is wanted"),
    (
        "    resolve: debian\n    meta: {os_version: 13, architecture: x86_64}\n    versions: []\n",
        f"a.yml:6:15: A: versions: {YET}",
    ),
    ("    meta: {os_distro: debian}\n    versions: []\n", f"a.yml:5:15: A: versions: {YET}"),
    (
        "    meta: {os_distro: debian}\n    resolve: none\n    versions: []\n",
        "a.yml:6:15: A: versions: is empty: no image is wanted",
    ),
    (
        "    latest_url: https://a.b/c\n    latest_checksum_url: https://a.b/SHA256SUMS\n    versions: []\n",
        f"a.yml:6:15: A: versions: {YET}",
    ),
    ("    latest_url: https://a.b/c\n    versions: []\n", "a.yml:5:15: A: versions: is empty: no image is wanted"),
    (
        "    meta: {os_purpose: generik}\n" + TAIL,
        "a.yml:4:24: A: meta.os_purpose: 'generik' is unusual, known are generic, oldgeneric, minimal, k8snode, gpu, "
        "network, custom; did you mean 'generic'?",
    ),
    (
        "    meta: {os_distor: debian}\n" + TAIL,
        "a.yml:4:23: A: meta.os_distor: is not a property that OpenStack or SCS knows; did you mean 'os_distro'?",
    ),
    (
        TAIL + "        meta: {hw_scsi_modle: virtio-scsi}\n",
        "a.yml:7:31: A: versions[0].meta.hw_scsi_modle: is not a property that OpenStack or SCS knows; did you mean "
        "'hw_scsi_model'?",
    ),
    (
        "    multi: true\n" + TAIL + "        hidden: true\n",
        "a.yml:8:17: A: versions[0].hidden: hides the newest version, so no user finds 'A' in the image list; use "
        "withdrawn: true to go back to the version before",
    ),
    ("    multi: false\n" + TAIL + "        hidden: true\n", None),
    (
        "    meta: {uuid_validity: soon}\n" + TAIL + "        meta: {a: b}\n",
        "a.yml:4:27: A: meta.uuid_validity: 'soon' is unusual, known are none, notice, forever, last-N (the newest N "
        "builds), a date YYYY-MM-DD; until that is corrected, all builds stay visible",
    ),
    (
        "    meta: {uuid_validity: '2027-02-30'}\n" + TAIL,
        "a.yml:4:27: A: meta.uuid_validity: '2027-02-30' is unusual, known are none, notice, forever, last-N (the "
        "newest N builds), a date YYYY-MM-DD; until that is corrected, all builds stay visible",
    ),
    (
        "    meta: {image_name: B}\n" + TAIL,
        "a.yml:4:24: A: meta.image_name: has no effect: the tool sets it to identify its images",
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
    (TAIL + f"        signed_by: {'AB' * 20}\n", f"a.yml:7:20: A: versions[0].signed_by: {NOT_SIGNED}"),
    (
        TAIL + f"        checksum: md5:{'1' * 32}\n        signed_by: {'AB' * 20}\n",
        f"a.yml:8:20: A: versions[0].signed_by: {NOT_SIGNED}",
    ),
    (TAIL + f"        checksum: md5:{'1' * 32}\n", None),
    (TAIL + f"        checksum: sha256:{'1' * 64}\n        signed_by: {'AB' * 20}\n", None),
    ("    meta: {homepage: 'https://u:p@a.b/c'}\n" + TAIL, f"a.yml:4:22: A: meta.homepage: {SECRET}"),
    ("    meta: {homepage: 'https://a.b/c?sig=abc'}\n" + TAIL, f"a.yml:4:22: A: meta.homepage: {SECRET}"),
    ("    meta: {homepage: 'https://a.b/c?page=1'}\n" + TAIL, None),
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
    assert [str(warning) for warning in loaded.warnings] == [
        f"{tmp_path / 'b.yml'}: contains no definitions",
        f"{tmp_path}: YAML in sub is not read; '{tmp_path}/**' reads all directories",
    ]
    for pattern in ("**", "**/*.y*ml"):
        found = load(str(tmp_path / pattern)).definitions
        assert [definition.name for definition in found] == ["Ubuntu 24.04", "RancherOS"]


def test_keys_for_anchors_are_ignored(tmp_path: Path) -> None:
    text = """\
x-base: &base {format: raw, meta: {os_distro: debian}}
.urls: &urls [{version: '1', url: 'https://example.org/1'}]
images:
  - {<<: *base, name: A, versions: *urls}
"""
    (definition,) = read(tmp_path, text).definitions
    assert (definition.format, definition.versions[0].version) == ("raw", "1")


def test_yaml_that_is_not_read_is_named(tmp_path: Path) -> None:
    for name in ("sub/b.yml", "more/c.yaml", "empty/x.txt", ".git/d.yml", "dots/.e.yml", "F.YML", "G.Yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("images: []\n")
    words = [
        f"YAML in more, sub is not read; '{tmp_path}/**' reads all directories",
        "not read: F.YML, G.Yaml; rename to *.yml or *.yaml",
    ]
    with pytest.raises(Error) as caught:
        load(str(tmp_path))
    assert "; ".join(words) in str(caught.value)
    (tmp_path / "a.yml").write_text(UBUNTU)
    assert [str(warning) for warning in load(str(tmp_path)).warnings] == [f"{tmp_path}: {each}" for each in words]
    assert load(str(tmp_path / "a.yml")).warnings == ()


def test_nothing_to_read_says_what_to_do(tmp_path: Path) -> None:
    for path, reason in [
        (str(tmp_path), "no *.yml or *.yaml here"),
        (str(tmp_path / "**"), "no *.yml or *.yaml here"),
        (str(tmp_path / "x"), "No such file or directory"),
        ("a\0b", "embedded null"),
    ]:
        with pytest.raises(Error, match=re.escape(reason)) as caught:
            load(path)
        assert "--images PATH" in str(caught.value)


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


def test_members_of_an_image_that_is_not_shared_are_a_warning(tmp_path: Path) -> None:
    loaded = read(tmp_path, HEAD + "    members: [shop]\n" + TAIL)
    assert [f"{each.line}: {each.message}" for each in loaded.warnings] == [
        "4: has no effect: only images of visibility shared have members"
    ]
