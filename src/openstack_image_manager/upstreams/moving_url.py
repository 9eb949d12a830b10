"""Find the permanent URL of the build that a moving URL (`latest_url`) currently serves.

A file is that build if it has the same digest, never because its name looks newest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions.model import LATEST, Definition, public_url
from openstack_image_manager.errors import FetchError, VerificationError
from openstack_image_manager.transfer import checksum_files
from openstack_image_manager.upstreams import listings
from openstack_image_manager.upstreams.budget import UpstreamClient
from openstack_image_manager.upstreams.build import (
    Build,
    check_beginning,
    check_size,
    file_name,
    parse_day,
    with_address,
)
from openstack_image_manager.upstreams.candidates import order

DIRECTORIES_TRIED = 3  # of the newest directories
GONE = (404, 410)
HIDDEN = (401, 403)
_MOVES = re.compile(r"latest|current|release", re.IGNORECASE)
# The build in a name: a day with or without a number, or a version of at least two parts.
_BUILD = re.compile(r"(?<![0-9])(?:20\d{6}(?:[.-]\d+)?|\d+(?:\.\d+)+)(?![0-9])")
_DIRECTORY = re.compile(r"(?:v|release-)?(?P<build>(?:20\d{6}(?:[.-]\d+)?|\d+(?:\.\d+)+))/")


@dataclass(frozen=True, slots=True)
class _FixedFile:
    """A file with the digest: its URL, its version, and the document that lists it."""

    url: str
    version: str
    source: str


class MovingUrl:
    """One lookup of a moving URL and its checksum file."""

    def __init__(self, definition: Definition, client: UpstreamClient, fresh: bool) -> None:
        self.definition = definition
        self.client = client
        self.fresh = fresh
        self.url = definition.latest_url or ""
        self.sums_url = definition.latest_checksum_url or ""
        self.name = file_name(self.url)

    def find(self) -> Build:
        """Return the build that the URL currently serves. Raises FetchError, VerificationError."""
        text = self.client.document(self.sums_url, fresh=self.fresh).text
        try:
            entries = checksum_files.parse(text)
            checksum = checksum_files.find(text, self.name, url=self.sums_url)
            size = checksum_files.sizes(text).get(self.name)
        except VerificationError as error:
            raise VerificationError(with_address(self.sums_url, error)) from None
        for place in self._fixed_files(entries, checksum):
            build = self._build(place.url, place.version, checksum, place.source, size)
            if build is not None:
                return build
        moving = self._build(self.url, "", checksum, self.sums_url, size)
        if moving is None:
            raise FetchError(f"{public_url(self.url)}: is not there", GONE[0])
        return moving

    def _fixed_files(self, entries: Mapping[str, Checksum], checksum: Checksum) -> Iterator[_FixedFile]:
        """Yield permanent names: from the same checksum file, or from a directory next to the moving one."""
        yield from self._matching_files(entries, checksum, self.url, self.sums_url, "")
        segments = self.url.split("/")
        moves = next((at for at, segment in enumerate(segments) if at > 2 and _MOVES.fullmatch(segment)), None)
        if moves is None:
            return
        parent, below = "/".join(segments[:moves]) + "/", "/".join(segments[moves + 1 :])
        if not self.sums_url.startswith(parent):
            return
        sums_below = self.sums_url.removeprefix(parent).partition("/")[2]
        names = self._directory_names(parent)
        builds = [(match["build"], name) for name in names if (match := _DIRECTORY.fullmatch(name))]
        for build, directory in sorted(builds, key=lambda pair: order(pair[0]), reverse=True)[:DIRECTORIES_TRIED]:
            base = listings.address(parent, directory)
            for file, sums in self._file_pairs(below, sums_below, build):
                text = self._document(base + sums)
                if text is not None:
                    entries = _named(text, file, base + sums)
                    yield from self._matching_files(entries, checksum, base + file, base + sums, build)
                    break

    def _directory_names(self, parent: str) -> list[str]:
        """Return the names in a directory; none if the site lists no directories."""
        try:
            return listings.names(self.client.document(parent, page=True, fresh=self.fresh).text)
        except VerificationError as error:
            raise VerificationError(with_address(parent, error)) from None
        except FetchError as error:
            if error.status in (*GONE, *HIDDEN) or not parent.lower().startswith("http"):
                return []
            raise

    def _file_pairs(self, below: str, sums: str, build: str) -> Iterator[tuple[str, str]]:
        """Yield the names of the file and its checksum file in the directory of a build: unchanged, or with the build
        inserted."""
        yield below, sums
        stem, dot, suffix = below.rpartition(".")
        if dot and sums.startswith(below):
            lasting = f"{stem}-{build}.{suffix}"
            yield lasting, lasting + sums.removeprefix(below)

    def _matching_files(
        self, entries: Mapping[str, Checksum], checksum: Checksum, url: str, source: str, build: str
    ) -> Iterator[_FixedFile]:
        """Yield entries with the digest whose name or directory contains the build."""
        suffix = self.name.rpartition(".")[2]
        for name, digest in entries.items():
            builds = _BUILD.findall(name.removesuffix(suffix))
            fits = digest == checksum and name.endswith(suffix) and "/" not in name and "latest" not in name
            if not fits or not (builds or build):
                continue
            address = listings.address(url, name)
            if address != self.url:
                yield _FixedFile(
                    address,
                    build
                    or next((name_build for name_build in reversed(builds) if name_build[:2] == "20"), builds[-1]),
                    source,
                )

    def _document(self, url: str) -> str | None:
        try:
            return self.client.document(url, fresh=self.fresh).text
        except FetchError as error:
            if error.status in GONE:
                return None
            raise

    def _build(self, url: str, version: str, checksum: Checksum, source: str, size: int | None) -> Build | None:
        try:
            beginning = self.client.beginning(url)
        except FetchError as error:
            if error.status in GONE:
                return None
            raise
        check_beginning(url, beginning.data, self.definition.format)
        check_size(url, beginning.size, size, source)
        modified = beginning.modified
        if not version:
            today = datetime.now(UTC).strftime("%Y-%m-%d")
            version = self._recorded_version(checksum) or (modified or today)[:10].replace("-", "")
        build_date = parse_day(version) or modified
        return Build(version, url, checksum, source, size or beginning.size, build_date, None, None)

    def _recorded_version(self, checksum: Checksum) -> str | None:
        """Return the version that the definition has with these bytes."""
        same = (v.version for v in self.definition.versions if v.checksum == str(checksum) and v.version != LATEST)
        return next(same, None)


def _named(text: str, name: str, url: str) -> Mapping[str, Checksum]:
    """Return the entries of the checksum file at `url`; a bare digest belongs to the file `name`."""
    try:
        entries = checksum_files.parse(text)
    except VerificationError as error:
        raise VerificationError(with_address(url, error)) from None
    return {name: entries[""]} if "" in entries else entries
