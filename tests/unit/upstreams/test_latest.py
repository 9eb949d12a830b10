"""Versions called `latest`: which version they become, and what happens when the upstream can't be asked."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from tests.support.plans import TODAY, definition, made, settled

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.model import Policy
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.upstreams.follow import Follower
from openstack_image_manager.upstreams.latest import UpstreamState, pin, pin_to_cloud, resolve
from openstack_image_manager.upstreams.sites import Sites

DAY = "20261122"
NEW, OLD = Checksum("sha256", "a" * 64), Checksum("sha256", "b" * 64)
UPSTREAM = UpstreamState(NEW, DAY)
MOVING = {"version": "latest", "url": "https://x/current.img", "checksums_url": "https://x/SHA256SUMS"}


def there(*images: tuple[str, str | None], status: str = "active") -> dict[str, Image]:
    """Images by version, each with its `upstream_checksum`, None: without."""
    return {
        version: Image(version, "public", status, properties={} if stored is None else {"upstream_checksum": stored})
        for version, stored in images
    }


def pinned(images: dict[str, Image], *versions: object, **fields: object) -> Version:
    """What `latest` became: the one version that follows the upstream."""
    given = definition(versions=[*versions, MOVING], **fields)
    result = pin(given, UPSTREAM, images)
    (found,) = [version for version in result.versions if "upstream_checksum" in version.meta]
    assert len({version.version for version in result.versions}) == len(result.versions)
    assert result.model_copy(update={"versions": []}) == given.model_copy(update={"versions": []})
    return found


@pytest.mark.parametrize("multi", [True, False])
@pytest.mark.parametrize(
    ("images", "version"),
    [
        ({}, DAY),
        (there(("20261101", str(OLD))), DAY),
        (there(("20261101", None)), DAY),
        (there(("20261101", "")), DAY),
        (there(("20261101", NEW.digest)), "20261101"),
        (there(("20261101", str(NEW))), "20261101"),
        (there(("20261120", OLD.digest), ("20261101", NEW.digest)), "20261101"),
        (there(("jammy", NEW.digest)), "jammy"),
        (there((DAY, OLD.digest)), f"{DAY}.1"),
        (there((DAY, None)), f"{DAY}.1"),
        (there((DAY, OLD.digest), (f"{DAY}.1", OLD.digest)), f"{DAY}.2"),
        (there((DAY, OLD.digest), (f"{DAY}.2", OLD.digest)), f"{DAY}.1"),
        (there((DAY, OLD.digest), (f"{DAY}.1", NEW.digest)), f"{DAY}.1"),
        (there(("20261101", NEW.digest), status="queued"), "20261101"),
        (there(("20261101", NEW.digest), status="deactivated"), "20261101"),
    ],
)
def test_what_latest_becomes(images: dict[str, Image], version: str, multi: bool) -> None:
    found = pinned(images, multi=multi)
    assert (found.version, found.checksum, found.url) == (version, str(NEW), MOVING["url"])
    assert found.meta == {"upstream_checksum": NEW.digest}


def test_meta_of_the_version_stays() -> None:
    found = pin(definition(versions=[{**MOVING, "meta": {"patchlevel": "3"}}]), UPSTREAM, {}).versions[0]
    assert found.meta == {"patchlevel": "3", "upstream_checksum": NEW.digest}


def test_other_versions_stay_and_take_their_names() -> None:
    given = definition(versions=["20260401", DAY, MOVING])
    result = pin(given, UPSTREAM, {})
    assert [version.version for version in result.versions] == ["20260401", DAY, f"{DAY}.1"]
    assert result.versions[:2] == given.versions[:2]


@pytest.mark.parametrize("order", [1, -1])
def test_a_version_that_latest_once_was_is_not_there_twice(order: int) -> None:
    versions = ["20261101", MOVING][::order]
    result = pin(definition(versions=versions), UPSTREAM, there(("20261101", NEW.digest)))
    assert [(version.version, version.url) for version in result.versions] == [("20261101", MOVING["url"])]


@pytest.mark.parametrize("multi", [True, False])
def test_a_pinned_definition_converges_and_rotates(multi: bool) -> None:
    given = definition(versions=[MOVING], multi=multi)
    first = pin(given, UpstreamState(OLD, "20261101"), {})
    cloud = settled([first])
    again = pin(given, UpstreamState(OLD, "20261101"), by_version(cloud))
    assert again == first
    assert plan([again], cloud, Policy(), TODAY).changes == ()
    second = pin(given, UPSTREAM, by_version(cloud))
    cloud = made(plan([second], cloud, Policy(), TODAY), cloud)
    assert sorted(image.properties["internal_version"] for image in cloud) == ["20261101", DAY]
    settled_again = pin(given, UPSTREAM, by_version(cloud))
    assert plan([settled_again], cloud, Policy(), TODAY).changes == ()


MD5 = Checksum("md5", "c" * 32)
SHA512 = Checksum("sha512", "d" * 128)


@pytest.mark.parametrize(
    ("stored", "recorded", "checksum"),
    [
        (MD5.digest, MD5.digest, SHA512),  # the first one of the file, as another tool keeps it
        (MD5.digest.upper(), MD5.digest.upper(), SHA512),
        (NEW.digest, NEW.digest, NEW),  # a longer one was added since
        (NEW.digest.upper(), NEW.digest.upper(), NEW),
        (str(NEW), NEW.digest, NEW),
        (SHA512.digest, SHA512.digest, SHA512),
    ],
)
def test_any_digest_that_the_upstream_publishes_names_the_build(stored: str, recorded: str, checksum: Checksum) -> None:
    upstream = UpstreamState(SHA512, DAY, (NEW, MD5))
    (found,) = pin(definition(versions=[MOVING]), upstream, there(("20261101", stored))).versions
    assert (found.version, found.meta["upstream_checksum"], found.checksum) == ("20261101", recorded, str(checksum))


def test_a_digest_that_the_upstream_does_not_publish_is_another_build() -> None:
    upstream = UpstreamState(SHA512, DAY, (MD5,))
    (found,) = pin(definition(versions=[MOVING]), upstream, there(("20261101", NEW.digest))).versions
    assert (found.version, found.meta["upstream_checksum"]) == (DAY, SHA512.digest)


@pytest.mark.parametrize("order", [1, -1])
def test_a_closed_definition_has_what_the_cloud_has(order: int) -> None:
    versions = ["20261101", MOVING][::order]
    closed = pin_to_cloud(definition(versions=versions), there(("20261101", NEW.digest), ("20261001", OLD.digest)))
    assert [(version.version, version.url) for version in closed.versions] == [("20261101", MOVING["url"])]
    assert closed.versions[0].meta == {"upstream_checksum": NEW.digest}
    assert pin_to_cloud(definition(versions=versions), {}) == definition(versions=versions)


def by_version(images: list[Image]) -> dict[str, Image]:
    return {image.properties["internal_version"]: image for image in images}


def local(folder: Path, name: str, content: bytes, digest: str | None = None) -> Definition:
    """A definition that follows a file in the folder, whose checksum file says the digest."""
    image = folder / f"{name} 1%.img"
    image.write_bytes(content)
    sums = folder / f"{name}.sums"
    sums.write_text(f"{digest or hashlib.sha256(content).hexdigest()} *{image.name}\n")
    version = {"version": "latest", "url": image.as_uri(), "checksums_url": sums.as_uri()}
    return definition(name=name, versions=[version, "fixed"])


def test_definitions_without_latest_ask_no_one() -> None:
    given = [definition(), definition(name="Debian 12", versions=[])]
    assert resolve(iter(given), []) == (given, [])


def test_each_definition_is_asked_for_itself(tmp_path: Path) -> None:
    """Those whose upstream can't be asked come back as they were, with an error; the others are not held up."""
    fixed, good = definition(), local(tmp_path, "good", b"one")
    missing = local(tmp_path, "missing", b"two")
    (tmp_path / "missing.sums").unlink()
    strange = local(tmp_path, "strange", b"three")
    (tmp_path / "strange.sums").write_text("nothing of use\n")
    resolved, findings = resolve([missing, fixed, good, strange], [])
    assert resolved[0] is missing
    assert resolved[1] is fixed
    assert resolved[3] is strange
    followed = resolved[2].versions[0]
    assert followed.checksum == f"sha256:{hashlib.sha256(b'one').hexdigest()}"
    assert len(followed.version) == 8
    assert followed.version.isdecimal()
    assert resolved[2].versions[1].version == "fixed"
    assert [(finding.level, finding.subject) for finding in findings] == [("error", "missing"), ("error", "strange")]
    assert "left alone, because its upstream cannot be queried" in findings[0].message
    assert "missing.sums: No such file or directory" in findings[0].message
    assert "the checksum file has no digest of strange 1%.img" in findings[1].message


def test_a_local_checksum_file_decides_nothing_on_the_web(tmp_path: Path) -> None:
    given = local(tmp_path, "good", b"one")
    url = "http://127.0.0.1:9/good.img"
    versions = [each.model_copy(update={"url": url}) for each in given.versions[:1]]
    resolved, (finding,) = resolve([given.model_copy(update={"versions": versions})], [])
    assert resolved[0].versions[0].version == "latest"
    sums = (tmp_path / "good.sums").as_uri()
    assert finding.message.endswith(f"{sums} is a local file, and {url} is not; use one site")


@pytest.mark.parametrize("known_by", ["image_name", "image_description", "name"])
def test_images_are_known_as_everywhere(tmp_path: Path, known_by: str) -> None:
    """The image that has the upstream's bytes is found, whoever made it; those of other definitions do not count."""
    given = local(tmp_path, "good", b"one")
    digest = hashlib.sha256(b"one").hexdigest()
    properties = {"upstream_checksum": f"sha256:{digest}", "internal_version": "20250101"}
    names = {"name": "good (20250101)"} if known_by == "name" else {"name": "else"}
    if known_by != "name":
        properties[known_by] = "good"
    found = Image(visibility="public", properties=properties, **names)
    other = Image("other", "public", properties={**properties, "image_name": "other", "internal_version": "3"})
    (resolved,), findings = resolve([given], [other, found])
    assert (resolved.versions[0].version, findings) == ("20250101", [])


def followed(folder: Path, content: bytes, version: str = "20261101") -> Definition:
    """A definition without versions, whose upstream has a file in the folder."""
    image = folder / f"{version}.img"
    image.write_bytes(content)
    entry = {"version": version, "checksum": f"sha256:{hashlib.sha256(content).hexdigest()}"}
    steps = [{"static": [entry]}]
    resolver = {"steps": steps, "url": image.as_uri(), "version": "{version}", "build_date": "{version}"}
    return definition(name="Followed", format="raw", versions=[], resolve=resolver)


def nobody_signs(*_: object) -> NoReturn:
    raise AssertionError("nothing is signed here")


def follower() -> Follower:
    return Follower(Sites(local_files=True), nobody_signs)


def test_definitions_without_versions_are_followed(tmp_path: Path) -> None:
    """They converge and rotate; what left the upstream is no longer defined."""
    given = followed(tmp_path, b"one")
    (first,), findings = resolve(
        [
            given,
        ],
        [],
        follower=follower(),
    )
    (version,) = first.versions
    assert (version.version, version.build_date, version.mirror_url, findings) == ("20261101", "2026-11-01", None, [])
    assert version.checksum == f"sha256:{hashlib.sha256(b'one').hexdigest()}"
    cloud = settled([first])
    (again,), _ = resolve([given], cloud, follower=follower())
    assert plan([again], cloud, Policy(), TODAY).changes == ()
    newer = followed(tmp_path, b"two", "20261120")
    (second,), _ = resolve([newer], cloud, follower=follower())
    cloud = made(plan([second], cloud, Policy(), TODAY), cloud)
    names = {image.name: image.properties["internal_version"] for image in cloud}
    assert names == {"Followed": "20261120", "Followed (20261101)": "20261101"}
    _, (finding,) = resolve([given], cloud, follower=follower())
    assert "build 20261101 " in finding.message
    assert "is older than 20261120, which is already recorded" in finding.message


def test_the_whole_of_two_images_of_one_version_tells_what_the_cloud_has(tmp_path: Path) -> None:
    given = followed(tmp_path, b"one")
    (first,), _ = resolve([given], [], follower=follower())
    (whole,) = settled([first])
    properties = {**whole.properties, "internal_version": "20261105", markers.VERIFIED: markers.UNVERIFIED}
    left = replace(whole, id="left", status="queued", properties=properties)
    usable = replace(left, id="usable", status="active")
    for images in ([whole, left, usable], [whole, usable, left]):
        _, (finding,) = resolve([given], images, follower=follower())
        assert "is older than 20261105" in finding.message
    assert resolve([given], [whole, left], follower=follower())[1] == []
