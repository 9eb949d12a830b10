"""Resolve versions called `latest`, and definitions that follow their upstreams: the upstream decides the version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from openstack_image_manager.background import in_parallel
from openstack_image_manager.checksum import BROKEN, Checksum
from openstack_image_manager.definitions.model import LATEST, Definition, Version, public_url
from openstack_image_manager.definitions.naming import version_key
from openstack_image_manager.errors import Error
from openstack_image_manager.model import Finding, Image
from openstack_image_manager.plan import matching
from openstack_image_manager.plan.matching import is_usable

if TYPE_CHECKING:
    from openstack_image_manager.upstreams.follow import Follower

UPSTREAM_CHECKSUM = "upstream_checksum"


@dataclass(frozen=True, slots=True)
class UpstreamState:
    """The file that an upstream serves at a moving URL: its checksum, its day (YYYYMMDD), and its other digests."""

    checksum: Checksum
    day: str
    others: tuple[Checksum, ...] = ()


def resolve(
    definitions: Iterable[Definition],
    cloud_images: Iterable[Image],
    force: bool = False,
    follower: Follower | None = None,
    is_closed: Callable[[Definition, Sequence[tuple[str, Image]]], bool] = lambda *_: False,
) -> tuple[list[Definition], list[Finding]]:
    """Replace `latest` by the current version; with a `follower`, add the newest build to definitions without versions.

    Definitions whose upstream cannot be queried are returned unchanged, each with a finding of the level error: they
    must be left alone. Old signatures are warnings. Disabled definitions are skipped unless `force` is set.
    `is_closed`: the definition imports nothing more into a cloud with these images, so that `latest` is what it has.
    """
    definitions = list(definitions)
    enabled = [definition for definition in definitions if definition.enable or force]
    moving = [definition for definition in enabled if any(version.version == LATEST for version in definition.versions)]
    followed = [definition for definition in enabled if follower is not None and not definition.versions]
    if not moving and not followed:
        return definitions, []
    known = {definition.name: definition for definition in (*moving, *followed)}
    images: dict[str, dict[str, Image]] = {name: {} for name in known}
    for image in cloud_images:
        key = matching.identify(image, known)
        if key and (is_usable(image) or key[1] not in images[key[0]]):
            images[key[0]][key[1]] = image
    answers: dict[str, Definition | Error] = {}
    for definition in moving:
        if is_closed(definition, list(images[definition.name].items())):
            answers[definition.name] = pin_to_cloud(definition, images[definition.name])
    moving = [definition for definition in moving if definition.name not in answers]
    warnings: dict[str, str] = {}
    for definition, answer in zip(moving, ask_upstreams(moving), strict=True):
        if isinstance(answer, UpstreamState):
            answers[definition.name] = pin(definition, answer, images[definition.name])
        else:
            answers[definition.name] = answer
    if follower is not None and followed:
        newest, warnings = follower.resolve(followed, images)
        answers |= newest
    resolved: list[Definition] = []
    findings = [Finding("warning", name, message) for name, message in warnings.items()]
    for definition in definitions:
        now = answers.get(definition.name, definition)
        if isinstance(now, Error):
            why = "left alone" if definition in followed else "left alone, because its upstream cannot be queried"
            findings.append(Finding("error", definition.name, f"{why}: {now}"))
        resolved.append(definition if isinstance(now, Error) else now)
    return resolved, findings


def ask_upstreams(moving: Sequence[Definition]) -> list[UpstreamState | Error]:
    """Query the upstreams of definitions with a version `latest`; return their states or errors in order."""

    def answer(definition: Definition) -> UpstreamState | Error:
        try:
            return _ask(definition)
        except Error as error:
            return error

    return in_parallel(answer, moving, 8)


def _ask(definition: Definition) -> UpstreamState:
    from openstack_image_manager.transfer import checksum_files, download
    from openstack_image_manager.upstreams.budget import is_local
    from openstack_image_manager.upstreams.build import file_name, parse_day

    version = next(version for version in definition.versions if version.version == LATEST)
    if is_local(version.checksum_file or "") and not is_local(version.url):
        # A web request must not depend on the content of a local file.
        raise Error(f"{version.checksum_file} is a local file, and {public_url(version.url)} is not; use one site")
    name = file_name(version.url)
    url = version.checksum_file or ""
    digests = checksum_files.find_all(download.fetch_text(url), name, url=url)
    checksum, *others = sorted(digests.values(), key=lambda known: len(known.digest), reverse=True)
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    modified = parse_day(download.last_modified(version.url) or "") or today
    day = min(modified[:10], today).replace("-", "")  # the clock of a site may be wrong
    return UpstreamState(checksum, day, tuple(others))


def pin_to_cloud(definition: Definition, images: Mapping[str, Image]) -> Definition:
    """Replace `latest` by the newest version that the cloud has, if any."""
    if not images:
        return definition
    newest = max(images, key=version_key)
    digest = images[newest].properties.get(UPSTREAM_CHECKSUM)

    def pinned(version: Version) -> Version:
        changes = {"version": newest, "meta": {**version.meta, UPSTREAM_CHECKSUM: digest}}
        return version.model_copy(update=changes) if version.version == LATEST else version

    versions = [pinned(version) for version in definition.versions if version.version != newest]
    return definition.model_copy(update={"versions": versions})


def pin(definition: Definition, upstream: UpstreamState, images: Mapping[str, Image]) -> Definition:
    """Replace `latest` by a named version: the image in the cloud with the upstream's checksum, or else a new version
    named by the day."""
    return pin_version(
        definition,
        upstream,
        {version: image.properties.get(UPSTREAM_CHECKSUM, "") for version, image in images.items()},
    )


def _digest(text: str) -> str:
    return text.rpartition(":")[2].strip().lower()


def pin_version(definition: Definition, upstream: UpstreamState, checksums: Mapping[str, str]) -> Definition:
    """Do the same as `pin` with the upstream checksums of the existing versions: bare digests of any algorithm that the
    upstream publishes, in any case."""
    by_digest = {checksum.digest: checksum for checksum in (*upstream.others, upstream.checksum)}
    name = next((version for version, known in checksums.items() if _digest(known) in by_digest), None)
    checksum, recorded = upstream.checksum, upstream.checksum.digest
    if name is not None:
        # The image keeps its digest: a longer one that the upstream adds is not another build.
        recorded = checksums[name].rpartition(":")[2]
        known = by_digest[_digest(recorded)]
        checksum = upstream.checksum if known.algorithm in BROKEN else known
    else:
        taken = set(checksums) | {version.version for version in definition.versions}
        candidates = [upstream.day, *(f"{upstream.day}.{number}" for number in range(1, len(taken) + 2))]
        name = next(candidate for candidate in candidates if candidate not in taken)

    def pinned(version: Version) -> Version:
        if version.version != LATEST:
            return version
        meta = {**version.meta, UPSTREAM_CHECKSUM: recorded}
        return version.model_copy(update={"version": name, "checksum": str(checksum), "meta": meta})

    # A version that is defined under the same name would duplicate the image.
    versions = [pinned(version) for version in definition.versions if version.version != name]
    return definition.model_copy(update={"versions": versions})
