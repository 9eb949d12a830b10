"""Every upstream is asked by the resolvers that are shipped, at small copies of its site on loopback."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from tests.support.documents import digest, image, table_listing
from tests.support.newest_builds import NEWEST
from tests.support.site import Switches
from tests.support.upstreams import SIGNED_AT, World, ask, definition, signature, verify

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions.loader import load
from openstack_image_manager.definitions.resolvers import shipped
from openstack_image_manager.definitions.resolvers.shipped import has_upstream
from openstack_image_manager.errors import Error
from openstack_image_manager.upstreams.build import Build, is_new
from openstack_image_manager.upstreams.newest import check_all
from openstack_image_manager.upstreams.sites import Sites

# The digest of cirros is pinned in the shipped data, which no small file of a test has.
PINNED = Checksum("sha256", "7d6355852aeb6dbcd191bcda7cd74f1536cfe5cbf8a10495a7283a8396e4b75b")


@pytest.mark.parametrize("name", NEWEST)
def test_the_newest_build_of_every_upstream(whole_world: World, name: str) -> None:
    wanted, version, url, checksum, checksums_url, day, signed_by = NEWEST[name]
    build = ask(whole_world, wanted)
    assert (build.version, build.url, build.checksum, build.checksums_url) == (version, url, checksum, checksums_url)
    assert build.signed_by == signed_by
    assert build.signed_at == (SIGNED_AT if signed_by else None)
    assert build.size in (2000, 706, 604, 506)
    assert build.build_date is not None
    assert day in ("modified", build.build_date)
    assert is_new(wanted, build)
    assert "higher version" not in (build.warning or "")


RENAMED = {
    "3.23": ("alpine-3.23.6-x86_64-bios-cloudinit-r0.qcow2", "3.23.6-r0"),
    "3.24": ("alpine-3.24.2-x86_64-cloudinit-r2.qcow2", "3.24.2-r2"),
}


@pytest.mark.parametrize("series", RENAMED)
def test_alpine_with_old_and_new_names(world: World, series: str) -> None:
    """A resolver that knows the old names only finds an old build there, and warns."""
    name, version = RENAMED[series]
    old = f"nocloud_alpine-{series}.1-x86_64-bios-cloudinit-r0.qcow2"
    others = [name.replace("cloudinit", "tiny"), name.replace("cloudinit", "cloudinit-metal")]
    folder = f"/alpine/v{series}/releases/cloud"
    site = world.host("dl-cdn.alpinelinux.org")
    names = [old, name, f"{name}.sha512", *others, name.replace("x86_64", "aarch64"), old.replace("nocloud", "aws")]
    site.on(f"{folder}/", Switches(html=table_listing(names)))
    for file in (old, name):
        site.put(f"{folder}/{file}", image(file))
        site.put(f"{folder}/{file}.sha512", f"{digest(image(file), 'sha512')}\n".encode())
        site.put(f"{folder}/{file}.asc", signature(image(file), "F26ADFADBAE702EF7AF637459DA7EF23BFFCDF22"))
    build = ask(world, definition("alpine", series))
    assert (build.version, build.url, build.warning) == (version, f"https://{site_of(name, series)}", None)
    resolver = shipped.shipped().resolvers["alpine"].model_dump(exclude_none=True, exclude_defaults=True)
    resolver["steps"][0]["match"] = (
        r"{cloud}_alpine-(?P<release>[\d.]+)-{architecture}-bios-cloudinit-r(?P<respin>\d+)\.qcow2"
    )
    build = ask(world, definition("alpine", series, resolve=resolver))
    assert build.version == f"{series}.1-r0"
    assert build.warning is not None
    assert build.warning.startswith(f"the upstream has files with a higher version that match does not fit: {name}")


def site_of(name: str, series: str) -> str:
    return f"dl-cdn.alpinelinux.org/alpine/v{series}/releases/cloud/{name}"


def test_cirros_is_pinned(whole_world: World) -> None:
    build = ask(whole_world, definition("cirros", "0.6.3"))
    name = "cirros-0.6.3-x86_64-disk.img"
    assert build.url == f"https://github.com/cirros-dev/cirros/releases/download/0.6.3/{name}"
    assert (build.version, build.checksum, build.checksums_url) == ("0.6.3", PINNED, None)


def test_every_shipped_resolver_is_tried_here(whole_world: World) -> None:
    used = {each.wanted.resolve.use for each in NEWEST.values() if each.wanted.resolve}
    used |= {shipped.shipped().defaults[each.wanted.meta["os_distro"] or ""].resolver for each in NEWEST.values()}
    assert set(shipped.shipped().resolvers) - used == {"cirros"}


def test_no_one_is_asked_with_head_and_each_document_once(whole_world: World) -> None:
    sites = Sites(mirrors=whole_world.mirrors)
    before = {name: len(site.requests) for name, site in whole_world.sites.items()}
    answers = check_all([each.wanted for each in NEWEST.values()] * 2, sites, verify)
    assert not [answer for _, answer in answers if isinstance(answer, Error)]
    assert whole_world.requests("HEAD") == []
    for name, site in whole_world.sites.items():
        documents = [each.path for each in site.requests[before[name] :] if "range" not in each.headers]
        assert len(documents) == len(set(documents)), name


OWN = """\
images:
  - name: My Linux 7
    format: qcow2
    meta: {architecture: x86_64, os_distro: mylinux, os_version: '7'}
    resolve:
      variables:
        site: https://images.example.org
      steps:
        - listing: '{site}/{os_version}/'
          match: 'build-(?P<date>[0-9]{8})-(?P<number>[0-9]+)/'
          order: '{number}'
        - checksum-file: '{site}/{os_version}/build-{date}-{number}/SHA512SUMS'
          match: 'mylinux-{os_version}-{architecture}\\.(?P<kind>qcow2)'
          algorithm: sha512
          encoding: base64
      version: '{date}.{number}'
      build_date: '{date}'
      exclude: '20260101\\..*'
      signature:
        {kind: detached, over: checksum, url: '{checksum_url}.sig', keys: 'ABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCD'}
    versions: []
"""


def test_a_new_distribution_takes_yaml_alone(world: World, tmp_path: Path) -> None:
    site = world.host("images.example.org")
    site.on("/7/", Switches(html=table_listing(["build-20260601-9/", "build-20260602-10/", "latest/"])))
    folder, name = "/7/build-20260602-10", "mylinux-7-x86_64.qcow2"
    site.put(f"{folder}/{name}", image("mine"))
    encoded = base64.b64encode(hashlib.sha512(image("mine")).digest()).decode()
    sums = f"{encoded}  {name}\n{encoded[::-1].replace('=', '')}==  other.qcow2\n".encode()
    site.put(f"{folder}/SHA512SUMS", sums)
    site.put(f"{folder}/SHA512SUMS.sig", signature(sums, "abcdefabcdefabcdefabcdefabcdefabcdefabcd"))
    (tmp_path / "mine.yml").write_text(OWN)
    (wanted,) = load(str(tmp_path / "mine.yml")).definitions
    assert has_upstream(wanted)
    assert ask(world, wanted) == Build(
        "20260602.10",
        f"https://images.example.org{folder}/{name}",
        Checksum("sha512", digest(image("mine"), "sha512")),
        f"https://images.example.org{folder}/SHA512SUMS",
        2000,
        "2026-06-02",
        "ABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCD",
        SIGNED_AT,
    )
