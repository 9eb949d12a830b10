"""Versions called `latest`, and definitions that follow their upstreams: what those have now decides the version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from openstack_image_manager.background import in_parallel
from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions.model import Definition, Version, public_url
from openstack_image_manager.errors import Error
from openstack_image_manager.model import Finding, Image
from openstack_image_manager.plan import matching
from openstack_image_manager.plan.matching import is_usable

if TYPE_CHECKING:
    from openstack_image_manager.upstreams.follow import Follower

LATEST = "latest"
UPSTREAM_CHECKSUM = "upstream_checksum"


@dataclass(frozen=True, slots=True)
class UpstreamState:
    """What an upstream has under a moving URL: its checksum and the day it is of (YYYYMMDD)."""

    checksum: Checksum
    day: str


def resolve(
    definitions: Iterable[Definition],
    found: Iterable[Image],
    force: bool = False,
    follower: Follower | None = None,
) -> tuple[list[Definition], list[Finding]]:
    """Definitions with `latest` replaced by what it stands for and, with a `follower`, those without versions with
    their upstream's newest build. Those whose upstream can't be asked come back as they were, each with a finding of
    the level error: they must be left alone. Signatures that are too old are warnings. Disabled ones are not asked
    about, unless `force` says so."""
    definitions = list(definitions)
    enabled = [definition for definition in definitions if definition.enable or force]
    moving = [d for d in enabled if any(version.version == LATEST for version in d.versions)]
    followed = [d for d in enabled if follower is not None and not d.versions]
    if not moving and not followed:
        return definitions, []
    known = {definition.name: definition for definition in (*moving, *followed)}
    there: dict[str, dict[str, Image]] = {name: {} for name in known}
    for image in found:
        key = matching.identify(image, known)
        if key and (is_usable(image) or key[1] not in there[key[0]]):
            there[key[0]][key[1]] = image
    answers: dict[str, Definition | Error] = {}
    warnings: dict[str, str] = {}
    for definition, answer in zip(moving, ask_upstreams(moving), strict=True):
        if isinstance(answer, UpstreamState):
            answers[definition.name] = pin(definition, answer, there[definition.name])
        else:
            answers[definition.name] = answer
    if follower is not None and followed:
        newest, warnings = follower.resolve(followed, there)
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
    """What the upstreams of definitions with a version `latest` have now, or why that is not known, in their order."""

    def answer(definition: Definition) -> UpstreamState | Error:
        try:
            return _ask(definition)
        except Error as error:
            return error

    return in_parallel(answer, moving, 8)


def _ask(definition: Definition) -> UpstreamState:
    from openstack_image_manager.transfer import checksum_files, download
    from openstack_image_manager.upstreams.budget import is_local
    from openstack_image_manager.upstreams.build import parse_day

    version = next(version for version in definition.versions if version.version == LATEST)
    if is_local(version.checksum_file or "") and not is_local(version.url):
        # Whether the web is asked must not depend on what is in a local file, which may be any.
        raise Error(f"{version.checksum_file} is a local file, and {public_url(version.url)} is not; use one site")
    name = unquote(urlsplit(version.url).path.rpartition("/")[2])
    checksum = checksum_files.find(download.fetch_text(version.checksum_file or ""), name)
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    modified = parse_day(download.last_modified(version.url) or "") or today
    return UpstreamState(checksum, min(modified[:10], today).replace("-", ""))  # the clock of a site may be wrong


def pin(definition: Definition, upstream: UpstreamState, there: Mapping[str, Image]) -> Definition:
    """The definition with `latest` as a version of its own: the one in the cloud that has the upstream's
    checksum, or else a new one, called by the day."""
    return pin_version(
        definition, upstream, {v: image.properties.get(UPSTREAM_CHECKSUM, "") for v, image in there.items()}
    )


def pin_version(definition: Definition, upstream: UpstreamState, there: Mapping[str, str]) -> Definition:
    """See `pin`; `there`: the upstream's checksums of the versions that there are."""
    digest = upstream.checksum.digest
    name = next((version for version, known in there.items() if known.endswith(digest)), None)
    if name is None:
        taken = set(there) | {version.version for version in definition.versions}
        candidates = [upstream.day, *(f"{upstream.day}.{number}" for number in range(1, len(taken) + 2))]
        name = next(candidate for candidate in candidates if candidate not in taken)

    def pinned(version: Version) -> Version:
        if version.version != LATEST:
            return version
        meta = {**version.meta, UPSTREAM_CHECKSUM: digest}
        return version.model_copy(update={"version": name, "checksum": str(upstream.checksum), "meta": meta})

    # A version that is defined under that name as well would be the same image twice.
    versions = [pinned(version) for version in definition.versions if version.version != name]
    return definition.model_copy(update={"versions": versions})
