"""The definitions that come with the package: sound, complete as SCS wants it, and fit to be copied."""

from __future__ import annotations

import json
import re
import runpy
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from tests.support.bench import run_main
from tests.support.catalogue_images import MANDATORY, NEVER_SIGNED, RECOMMENDED, SOURCES, image_of

from openstack_image_manager.catalogue import entries
from openstack_image_manager.defaults import CATALOGUE
from openstack_image_manager.definitions import catalogue_files, naming
from openstack_image_manager.definitions.image_properties import PROPERTIES
from openstack_image_manager.definitions.loader import load
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.parser import NO_VERSIONS_YET
from openstack_image_manager.definitions.resolvers import shipped
from openstack_image_manager.definitions.resolvers.shipped import has_upstream
from openstack_image_manager.errors import UsageError

ROOT = Path(__file__).parents[3]
LOADED = load(CATALOGUE)
ENTRIES = {entry.name: entry for entry in entries.entries(LOADED.definitions, LOADED.positions)}
NAMES = [definition.name for definition in LOADED.definitions]
BUILD = {"version": "20260712", "url": "https://example.org/20260712.qcow2", "build_date": "2026-07-12"}
LOGINS = {
    **{
        name: name
        for name in ("almalinux", "alpine", "arch", "cirros", "debian", "fedora", "freebsd", "rocky", "ubuntu")
    },
    **{"amazon": "ec2-user", "centos": "cloud-user", "flatcar": "core", "gardenlinux": "admin", "opnsense": "root"},
    **{"oraclelinux": "cloud-user", "talos": "none"},
}
# Systems for one purpose: there is nothing that is called generic.
SPECIAL = {"cirros", "gardenlinux", "opnsense", "talos"}


def built(definition: Definition) -> Definition:
    """The definition with a made-up build."""
    return Definition.model_validate({**definition.model_dump(exclude_unset=True), "versions": [BUILD]})


def test_it_loads_without_a_warning() -> None:
    assert (LOADED.warnings, LOADED.follows, LOADED.is_part) == ((), True, False)
    assert len(NAMES) == len(set(NAMES)) == len(ENTRIES)
    assert set(SOURCES) <= set(NAMES)
    assert load(CATALOGUE, name_filter="Debian").is_part
    assert not {"Debian 11", "Ubuntu 20.04"} & set(NAMES)


@pytest.mark.parametrize("definition", LOADED.definitions, ids=NAMES)
def test_each_definition_has_what_scs_wants(definition: Definition) -> None:
    image = image_of(built(definition))
    wanted = MANDATORY | RECOMMENDED
    assert wanted - set(image.properties) == set()
    assert [name for name in wanted if not PROPERTIES[name].allows(image.properties[name])] == []
    distro = definition.meta["os_distro"]
    assert image.tags >= {"managed_by_us", f"os:{distro}"}
    assert (image.properties["hw_disk_bus"], image.properties["hw_scsi_model"]) == ("scsi", "virtio-scsi")
    # Nova: qemu stands for KVM as well.
    assert image.properties["hypervisor_type"] == "qemu"
    assert image.min_disk >= 1
    assert image.min_ram >= 64
    architecture = definition.meta["architecture"]
    assert definition.name.endswith(f" {architecture}") == (architecture != "x86_64")
    assert image.properties.get("hw_firmware_type") == {"aarch64": "uefi"}.get(str(architecture))
    if distro in LOGINS:
        assert definition.login == LOGINS[distro]


@pytest.mark.parametrize("definition", LOADED.definitions, ids=NAMES)
def test_each_definition_is_followed(definition: Definition) -> None:
    assert definition.versions == []
    assert definition.enable
    assert has_upstream(definition)
    entry = ENTRIES[definition.name]
    assert entry.resolver in shipped.shipped().resolvers
    assert (entry.signature, bool(entry.keys)) in {("required", True), ("optional", True), ("none", False)}
    assert (entry.signature == "none") == (entry.file in NEVER_SIGNED)
    assert all(re.fullmatch("[0-9A-F]{40}", key) for key in entry.keys)


def test_releases_stand_side_by_side_where_the_upstream_says_so() -> None:
    side_by_side = {definition.meta["os_distro"] for definition in LOADED.definitions if not definition.multi}
    assert side_by_side == {"flatcar", "talos", "cirros"}
    for definition in LOADED.definitions:
        # A release that is never built again can't be overdue.
        assert definition.multi or definition.meta["replace_frequency"] == "never"


def test_one_image_is_the_generic_one() -> None:
    purposes: dict[tuple[object, ...], Counter[object]] = defaultdict(Counter)
    for definition in LOADED.definitions:
        properties = image_of(built(definition)).properties
        key = tuple(properties[name] for name in ("os_distro", "os_version", "architecture"))
        purposes[key][properties["os_purpose"]] += 1
    for key, count in purposes.items():
        assert count["generic"] == (0 if key[0] in SPECIAL else 1), key
        assert max(count.values()) == 1, key


def test_what_scs_0104_looks_up_is_there() -> None:
    known = {definition.name: definition for definition in LOADED.definitions}
    for name in SOURCES:
        definition = known[name]
        assert naming.image_name(definition, "1", newest=True) == name
        assert (definition.meta["architecture"], definition.visibility) == ("x86_64", "public")
    assert known["ubuntu-capi-image v1.33"].meta["os_purpose"] == "k8snode"


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("catalogue:debian", ["debian"]),
        ("catalogue:ubuntu, debian", ["ubuntu", "debian"]),
        ("catalogue:debian,debian", ["debian"]),
    ],
)
def test_a_part_of_it(path: str, files: list[str]) -> None:
    assert [Path(file).stem for file in catalogue_files.files(path)] == files
    loaded = load(path)
    assert (loaded.warnings, loaded.follows, loaded.is_part) == ((), True, True)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("catalogue:debain", "catalogue:debain: the catalogue has no file 'debain'; did you mean 'debian'?"),
        ("catalogue:debian,", "a name is missing between two commas or at an end; write catalogue:debian,ubuntu"),
        ("catalogue:debian,,ubuntu", "catalogue:debian,,ubuntu: a name is missing between two commas"),
        ("catalogue:debian,fuchsia", "the catalogue has no file 'fuchsia'; there are almalinux, alpine, "),
        ("catalogue:../resolvers", "the catalogue has no file '../resolvers'"),
    ],
)
def test_a_part_that_there_is_not(path: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(path)
    assert message in str(caught.value)


def shown(*names: str) -> str:
    return entries.excerpt(names, LOADED.definitions, LOADED.positions)


def copied(folder: Path, text: str) -> tuple[Definition, ...]:
    (folder / "copy.yml").write_text(text, encoding="utf-8")
    loaded = load(str(folder))
    assert not loaded.follows
    assert len(loaded.warnings) == len(loaded.definitions)
    assert {warning.message for warning in loaded.warnings} <= {NO_VERSIONS_YET}
    return loaded.definitions


def test_all_of_it_can_be_copied(tmp_path: Path) -> None:
    assert copied(tmp_path, shown(*(Path(file).stem for file in catalogue_files.files()))) == LOADED.definitions


def test_a_file_is_shown_as_it_is() -> None:
    for file in catalogue_files.files():
        assert shown(Path(file).stem) == Path(file).read_text(encoding="utf-8")


def test_one_definition_can_be_copied(tmp_path: Path) -> None:
    for definition in LOADED.definitions:
        assert copied(tmp_path, shown(definition.name)) == (definition,)
    text = shown("Debian 13", "talos", "Debian 13", "Debian 12")
    names = [definition.name for definition in copied(tmp_path, text)]
    assert names == ["Debian 13", "Talos Linux", "Talos Linux aarch64", "Debian 12"]
    assert text.count("# Debian.") == text.count("---\nimages:\n") == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Debian 14", "the catalogue has neither a file nor a definition 'Debian 14'; did you mean 'Debian 13'?"),
        ("zzzzzzzz", "'zzzzzzzz'; see: openstack-image-manager catalogue list"),
    ],
)
def test_what_there_is_not_is_not_shown(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        shown("debian", name)


def test_the_commands(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "NO_COLOR": "1"}
    outcome = run_main(["catalogue", "list"], environment)
    head, *rows = outcome.out.splitlines()
    assert (outcome.code, outcome.err) == (0, "")
    assert re.split(r"  +", head) == list(entries.HEAD)
    assert [re.split(r"  +", row)[1] for row in rows] == NAMES
    fingerprint = "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81"
    assert re.split(r"  +", rows[NAMES.index("Ubuntu 24.04")]) == [
        *("ubuntu", "Ubuntu 24.04", "x86_64", "24.04", "ubuntu", "ubuntu", f"required: {fingerprint}")
    ]
    data = json.loads(run_main(["catalogue", "list", "--output", "json"], environment).out)
    assert data[NAMES.index("Ubuntu 24.04")] == {
        "file": "ubuntu",
        "name": "Ubuntu 24.04",
        "architecture": "x86_64",
        "os_version": "24.04",
        "login": "ubuntu",
        "resolver": "ubuntu",
        "signature": "required",
        "keys": [fingerprint],
    }
    assert run_main(["catalogue", "show", "debian"], environment).out == shown("debian")
    assert run_main(["catalogue", "show", "nothing of the kind"], environment).code == 2
    valid = run_main(["validate", "catalogue:"], environment)
    assert (valid.code, valid.out) == (
        0,
        f"{len(NAMES)} definitions in {len(catalogue_files.files())} files are valid\n",
    )


def test_the_tables_of_the_documentation_are_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "script" / "catalogue-docs"))
    page = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    assert page == script["document"](page), "run script/catalogue-docs"
    keys = {key for entry in ENTRIES.values() for key in entry.keys}
    assert {key for key in keys if key not in page.partition("## Keys")[2]} == set()
