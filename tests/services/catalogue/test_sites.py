"""Every definition of the catalogue follows its upstream, at small copies of the sites on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support import catalogue_sites
from tests.support.bench import run_main
from tests.support.catalogue_images import MANDATORY, NEVER_SIGNED, SOURCES, image_of
from tests.support.documents import coreutils, image
from tests.support.signers import Made, made
from tests.support.site import Switches
from tests.support.upstreams import SIGNED_AT, World, verify

from openstack_image_manager.definitions.image_properties import PROPERTIES
from openstack_image_manager.definitions.loader import load
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.resolvers.model import Lookup
from openstack_image_manager.errors import Error, Interrupted
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers
from openstack_image_manager.scs import check
from openstack_image_manager.scs.rules import RECENCY, STANDARDS
from openstack_image_manager.signatures.evidence import SignatureVerifier
from openstack_image_manager.signatures.keyring import Keyring
from openstack_image_manager.upstreams.build import Build
from openstack_image_manager.upstreams.follow import Follower
from openstack_image_manager.upstreams.latest import resolve
from openstack_image_manager.upstreams.newest import check_all
from openstack_image_manager.upstreams.sites import Sites

CATALOGUE = load("catalogue:").definitions


@pytest.fixture(scope="module")
def whole_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All upstreams at once; tests only ask."""
    with World(tmp_path_factory.mktemp("world")) as world:
        catalogue_sites.publish(world)
        yield world


def named(name: str) -> Definition:
    return next(definition for definition in CATALOGUE if definition.name == name)


def follower(world: World) -> Follower:
    return Follower(Sites(mirrors=world.mirrors), verify)


def test_every_definition_is_resolved(whole_world: World) -> None:
    answers = check_all(CATALOGUE, Sites(mirrors=whole_world.mirrors), verify)
    assert {d.name: str(answer) for d, answer in answers if isinstance(answer, Error)} == {}
    for definition, build in answers:
        assert isinstance(build, Build)
        assert build.url.startswith("https://"), definition.name
        assert build.build_date, definition.name
        assert (build.checksum is None) == definition.name.startswith("Talos"), definition.name
        file = Path(load("catalogue:").positions[definition.name].file).stem
        unsigned = file in NEVER_SIGNED or definition.name.startswith(("Rocky 8", "Rocky 9"))
        assert (build.signed_at is None) == unsigned, definition.name
        assert build.url.startswith(SOURCES.get(definition.name, "https://")), definition.name


def test_every_definition_becomes_an_image_with_all_that_scs_wants(whole_world: World) -> None:
    followed, _ = follower(whole_world).resolve(CATALOGUE, {})
    for definition in CATALOGUE:
        resolved = followed[definition.name]
        assert isinstance(resolved, Definition)
        (version,) = resolved.versions
        assert version.mirror_url is None  # a mirror of the environment is for requests only
        wanted = image_of(resolved)
        assert MANDATORY - set(wanted.properties) == set(), definition.name
        assert wanted.properties["image_source"] == version.url
        assert all(PROPERTIES[name].allows(wanted.properties[name]) for name in MANDATORY)


def test_every_definition_passes_the_conformance_test(whole_world: World) -> None:
    """But for recency: the builds in these small copies of the sites are of different days."""
    followed, _ = follower(whole_world).resolve(CATALOGUE, {})
    images = [image_of(each) for each in followed.values() if isinstance(each, Definition)]
    day = datetime(2099, 1, 1, tzinfo=UTC)
    found = [each for each in check.judge(images, STANDARDS, day).verdicts if each.test != RECENCY]
    assert [each for each in found if each.level == "error"] == []
    assert {each.key for each in found if each.level == "warning"} == set()


def test_a_build_that_the_cloud_has_stays_as_it_is(world: World) -> None:
    """Indexes are signed anew, and files are copied to other mirrors: neither makes another image."""
    catalogue_sites.almalinux(world, "9", "x86_64")
    definition = named("AlmaLinux 9")
    (first,), findings = resolve([definition], [], follower=follower(world))
    assert (first.versions[0].version, findings) == ("20260526", [])
    there = image_of(first)
    there.properties[markers.VERIFIED] = f"{first.versions[0].checksum}{markers.BEFORE}"
    there.properties[markers.SIGNED_BY] = f"{first.versions[0].signed_by} 2026-05-27 08:00:00"
    there.properties["image_build_date"] = "2026-05-25"
    (second,), findings = resolve([definition], [there], follower=follower(world))
    assert findings == []
    assert image_of(second).properties[markers.SIGNED_BY] == there.properties[markers.SIGNED_BY]
    assert second.versions[0].build_date == "2026-05-25"
    # What is no evidence is replaced.
    there.properties[markers.SIGNED_BY] = "somebody yesterday"
    there.properties["image_build_date"] = "yesterday"
    (third,), _ = resolve([definition], [there], follower=follower(world))
    assert third == first
    assert third.versions[0].signed_at == SIGNED_AT


def test_the_same_bytes_under_another_name_are_no_new_build(world: World) -> None:
    catalogue_sites.almalinux(world, "9", "x86_64")
    definition = named("AlmaLinux 9")
    (first,), _ = resolve([definition], [], follower=follower(world))
    there = image_of(first)
    there.properties["internal_version"] = "9.8-20260526"
    there.properties[markers.VERIFIED] = f"{first.versions[0].checksum}{markers.BEFORE}"
    (second,), _ = resolve([definition], [there], follower=follower(world))
    assert second.versions[0].version == "9.8-20260526"


@pytest.mark.parametrize("newer", ["20260601", "20300101"])
def test_no_upstream_takes_a_cloud_back(world: World, newer: str) -> None:
    """Also not to a build that the cloud has."""
    catalogue_sites.almalinux(world, "9", "x86_64")
    definition = named("AlmaLinux 9")
    (first,), _ = resolve([definition], [], follower=follower(world))
    old, new = image_of(first), image_of(first)
    new.properties.update({"internal_version": newer, "image_source": "private"})
    (left,), (finding,) = resolve([definition], [new, old], follower=follower(world))
    assert left == definition
    assert (finding.level, finding.subject) == ("error", "AlmaLinux 9")
    assert finding.message.startswith("left alone: the upstream's newest build 20260526 (https://repo.almalinux.org/")
    assert f"is older than {newer}, which is already recorded" in finding.message


def test_a_build_that_was_replaced_is_refused(world: World) -> None:
    catalogue_sites.almalinux(world, "9", "x86_64")
    definition = named("AlmaLinux 9")
    (first,), _ = resolve([definition], [], follower=follower(world))
    there = image_of(first)
    there.properties[markers.VERIFIED] = f"sha256:{'0' * 64}{markers.BEFORE}"
    _, (finding,) = resolve([definition], [there], follower=follower(world))
    assert "left alone: the upstream has replaced build 20260526" in finding.message


def test_what_an_interrupted_run_left_does_not_count(world: World) -> None:
    catalogue_sites.almalinux(world, "9", "x86_64")
    definition = named("AlmaLinux 9")
    (first,), _ = resolve([definition], [], follower=follower(world))
    left = Image("left", "private", "queued", properties={**image_of(first).properties, "internal_version": "20300101"})
    assert resolve([definition], [left], follower=follower(world)) == ([first], [])


def test_those_that_fail_or_are_disabled_are_left_alone_and_nothing_else(world: World) -> None:
    catalogue_sites.almalinux(world, "9", "x86_64")
    good, missing = named("AlmaLinux 9"), named("AlmaLinux 9 aarch64")
    disabled = named("AlmaLinux 10").model_copy(update={"enable": False})
    (one, two, three), (finding,) = resolve([missing, disabled, good], [], follower=follower(world))
    assert (one, two, three.versions[0].version) == (missing, disabled, "20260526")
    assert finding.subject == missing.name
    assert not [each for each in world.host("repo.almalinux.org").requests if "/10/" in each.path]
    # Definitions of one's own follow nobody.
    assert resolve([good], []) == ([good], [])


def test_who_stops_it_gets_no_half_of_an_answer(world: World) -> None:
    catalogue_sites.almalinux(world, "9", "x86_64")
    sites = Sites(mirrors=world.mirrors)
    sites.stop()
    with pytest.raises(Interrupted, match="interrupted while the upstreams were queried; nothing was changed"):
        Follower(sites, verify).resolve([named("AlmaLinux 9")], {})


def pinned(name: str, key: Made) -> Definition:
    """A definition of the catalogue that trusts a key of this test."""
    definition = named(name)
    assert definition.resolve is not None
    variables = {**definition.resolve.variables, "key": Lookup.model_validate({"otherwise": key.fingerprint})}
    return definition.model_copy(update={"resolve": definition.resolve.model_copy(update={"variables": variables})})


@pytest.fixture
def signed(world: World, tmp_path: Path) -> Follower:
    """AlmaLinux 9 and Alpine with real signatures, and who verifies them."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "upstream.asc").write_bytes(made().armored)
    catalogue_sites.almalinux(world, "9", "x86_64")
    path = "/almalinux/9/cloud/x86_64/images/CHECKSUM"
    site = world.host("repo.almalinux.org")
    site.put(f"{path}.asc", made().sign((site.directory / path[1:]).read_bytes()))
    catalogue_sites.alpine(world)
    name = "nocloud_alpine-3.23.4-x86_64-bios-cloudinit-r0.qcow2"
    path = f"/alpine/v3.23/releases/cloud/{name}.asc"
    world.host("dl-cdn.alpinelinux.org").put(path, made().sign(image(name)))
    sites = Sites(mirrors=world.mirrors)
    return Follower(sites, SignatureVerifier(Keyring([tmp_path / "keys"]), mirrors=sites.mirrors))


@pytest.mark.parametrize("name", ["AlmaLinux 9", "Alpine Linux 3.23"])
def test_real_signatures(signed: Follower, name: str) -> None:
    """Over checksum files, and over images, which come from mirrors as well."""
    (resolved,), findings = resolve([pinned(name, made())], [], follower=signed)
    assert findings == []
    assert image_of(resolved).properties[markers.SIGNED_BY].startswith(f"{made().fingerprint} 20")


def test_wrong_signatures_and_missing_keys(signed: Follower, world: World) -> None:
    _, (finding,) = resolve([named("AlmaLinux 9")], [], follower=signed)
    assert "no key BF18AC2876178908D6E71267D36CB86CB86B3716 in " in finding.message
    assert "get it with: keys fetch URL BF18AC2876178908D6E71267D36CB86CB86B3716" in finding.message
    path = "/almalinux/9/cloud/x86_64/images/CHECKSUM"
    world.host("repo.almalinux.org").put(
        path, coreutils({"AlmaLinux-9-GenericCloud-9.9-20260801.x86_64.qcow2": b""}).encode()
    )
    again = Follower(Sites(mirrors=world.mirrors), signed.verify)
    _, (finding,) = resolve([pinned("AlmaLinux 9", made())], [], follower=again)
    assert f"https://repo.almalinux.org{path}: " in finding.message


def test_the_catalogue_is_not_edited(tmp_path: Path) -> None:
    for path, names in (("catalogue:", "debian"), ("catalogue:debian,ubuntu", "debian ubuntu")):
        outcome = run_main(["update", "--images", path], {"HOME": str(tmp_path)})
        assert outcome.code == 2
        assert f"copy it first: openstack-image-manager catalogue show {names} > images/catalogue.yml" in outcome.err


def test_a_copy_follows_with_update(world: World, tmp_path: Path) -> None:
    catalogue_sites.debian(world, "13", "x86_64")
    environment = {"HOME": str(tmp_path), "NO_COLOR": "1"}
    shown = run_main(["catalogue", "show", "Debian 13"], environment)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "ours.yml").write_text(shown.out)
    pairs = " ".join(f"{upstream}={mirror}" for upstream, mirror in world.mirrors.items())
    environment["OPENSTACK_IMAGE_MANAGER_MIRRORS"] = pairs
    outcome = run_main(["update", "--images", str(tmp_path / "images")], environment)
    assert outcome.code == 0, outcome.text
    (copied,) = load(str(tmp_path / "images")).definitions
    assert [version.version for version in copied.versions] == ["20260712-2537"]
    # What is given with --mirror comes before the environment.
    site = world.host("cloud.debian.org")
    site.on("/images/cloud/trixie/latest/debian-13-genericcloud-amd64.json", Switches(status=404))
    other = ["--mirror", f"https://cloud.debian.org/={site.url}/nothing/", "--no-cache"]
    outcome = run_main(["update", "--images", str(tmp_path / "images"), *other], environment)
    assert outcome.code == 1
    assert site.requests[-1].path.startswith("/nothing/")
    environment["OPENSTACK_IMAGE_MANAGER_MIRRORS"] = "https://cloud.debian.org/"
    outcome = run_main(["update", "--images", str(tmp_path / "images")], environment)
    assert "OPENSTACK_IMAGE_MANAGER_MIRRORS needs two URLs" in outcome.err
