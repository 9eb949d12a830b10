"""Find digests of other algorithms, to compare a build with recorded versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.errors import FetchError, VerificationError
from openstack_image_manager.transfer import checksum_files
from openstack_image_manager.upstreams.budget import UpstreamClient, is_local
from openstack_image_manager.upstreams.build import Build, comparable_algorithms, file_name


def with_other_digests(definition: Definition, build: Build, client: UpstreamClient) -> Build:
    """Add digests by the algorithms of recorded versions, if the upstream publishes them.

    They are in the same checksum file, or in its sibling (SHA512SUMS next to SHA256SUMS). A missing digest stops no
    update. Raises Interrupted.
    """
    if client.read_local and not is_local(build.checksums_url or ""):
        return build
    digests = (_digest(build, algorithm, client) for algorithm in comparable_algorithms(definition, build))
    return replace(build, other_digests=tuple(digest for digest in digests if digest is not None))


def _digest(build: Build, algorithm: str, client: UpstreamClient) -> Checksum | None:
    for url in _checksum_urls(build, algorithm):
        try:
            return checksum_files.find(client.document(url).text, file_name(build.url), algorithm, url=url)
        except (FetchError, VerificationError):
            continue
    return None


def _checksum_urls(build: Build, algorithm: str) -> Iterator[str]:
    if build.checksums_url is None or build.checksum is None:
        return
    yield build.checksums_url
    folder, slash, name = build.checksums_url.rpartition("/")
    known = build.checksum.algorithm
    sibling = name.replace(known, algorithm).replace(known.upper(), algorithm.upper())
    if sibling != name:
        yield folder + slash + sibling
