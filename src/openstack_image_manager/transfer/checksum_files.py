"""Read the checksum files that distributions publish."""

from __future__ import annotations

import base64
import binascii
import re
import threading
from urllib.parse import unquote, urlsplit

from openstack_image_manager.checksum import DIGEST_LENGTHS, Checksum
from openstack_image_manager.definitions.model import Version
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.transfer.unpack import is_packed

_HEX = r"(?P<digest>[0-9a-fA-F]{32,128})"
_SECTION = re.compile(r"#\s*(?P<algorithm>MD5|SHA1|SHA224|SHA256|SHA384|SHA512) HASH")
_BSD = re.compile(rf"(?P<algorithm>[A-Z0-9-]+) \((?P<name>.+)\) = {_HEX}")
_COREUTILS = re.compile(rf"{_HEX}[ \t]+\*?(?P<name>\S.*)")
_BARE = re.compile(_HEX)
_SIZE = re.compile(r"#\s*(?P<name>\S.*): (?P<size>[0-9]{1,18}) bytes")
# The same with digests in base64, which may have lost their padding.
_BASE64 = r"(?P<digest>[A-Za-z0-9+/]{22,86}={0,2})"
_ENCODINGS = {
    "hex": (_BSD, _COREUTILS, _BARE),
    "base64": tuple(re.compile(pattern.pattern.replace(_HEX, _BASE64)) for pattern in (_BSD, _COREUTILS, _BARE)),
}
_BY_LENGTH = {length: algorithm for algorithm, length in DIGEST_LENGTHS.items()}


def parse(text: str, algorithm: str | None = None, encoding: str = "hex") -> dict[str, Checksum]:
    """Names and digests of a checksum file; a file with nothing but one digest has it under the name ''.

    Reads coreutils lines (`HEX  NAME`, `HEX *NAME`), BSD lines (`SHA256 (NAME) = HEX`), sections (`# SHA512 HASH`)
    and bare digests, in hex or base64. Where a name has digests of several algorithms, the longest one counts, or that
    of `algorithm`. Raises VerificationError when one name has two digests of one algorithm: the right one is unknown.
    """
    bsd, coreutils, single = _ENCODINGS[encoding]
    # Not splitlines(): it also splits at control characters, which would cut a name short.
    lines = [line for raw in text.split("\n") if (line := raw.strip())]
    if len(lines) == 1 and (bare := single.fullmatch(lines[0])):
        checksum = _checksum(bare["digest"], None, encoding)
        return {"": checksum} if checksum and algorithm in (None, checksum.algorithm) else {}
    checksums: dict[tuple[str, str], Checksum] = {}
    section = None
    for line in lines:
        if heading := _SECTION.fullmatch(line):
            section = heading["algorithm"]
        elif match := bsd.fullmatch(line) or coreutils.fullmatch(line):
            name = match["name"].removeprefix("./")
            checksum = _checksum(match["digest"], match.groupdict().get("algorithm") or section, encoding)
            if checksum is None or not name or algorithm not in (None, checksum.algorithm):
                continue
            if checksums.setdefault((name, checksum.algorithm), checksum) != checksum:
                raise VerificationError(f"the checksum file has two different {checksum.algorithm} digests of {name}")
    best: dict[str, Checksum] = {}
    for (name, _), checksum in checksums.items():
        if name not in best or len(checksum.digest) > len(best[name].digest):
            best[name] = checksum
    return best


def _checksum(digest: str, algorithm: str | None, encoding: str) -> Checksum | None:
    """None where the length of the digest does not fit the algorithm, or any."""
    if encoding == "base64":
        try:
            bare = digest.rstrip("=")
            digest = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True).hex()
        except binascii.Error:
            return None
    known = algorithm.lower().replace("-", "") if algorithm else _BY_LENGTH.get(len(digest), "")
    return Checksum(known, digest.lower()) if DIGEST_LENGTHS.get(known) == len(digest) else None


def sizes(text: str) -> dict[str, int]:
    """The sizes in bytes from comments (`# NAME: N bytes`). Raises VerificationError when one name has two."""
    sizes_by_name: dict[str, int] = {}
    for line in text.split("\n"):
        if match := _SIZE.fullmatch(line.strip()):
            size = int(match["size"])
            if sizes_by_name.setdefault(match["name"], size) != size:
                raise VerificationError(f"the checksum file has two different sizes of {match['name']}")
    return sizes_by_name


def find(text: str, name: str, algorithm: str | None = None, encoding: str = "hex") -> Checksum:
    """The digest of the file `name`. Raises VerificationError when the text has none, or several that fit."""
    entries = parse(text, algorithm, encoding)
    if name in entries:
        return entries[name]
    by_basename = {entry: checksum for entry, checksum in entries.items() if entry.rpartition("/")[2] == name}
    if len(by_basename) == 1:
        return next(iter(by_basename.values()))
    if by_basename:
        raise VerificationError(f"the checksum file has several files called {name}: {', '.join(sorted(by_basename))}")
    if "" in entries:
        return entries[""]
    raise VerificationError(f"the checksum file has no digest of {name}")


def with_checksum(
    version: Version,
    text: str | None = None,
    *,
    deadline: float | None = None,
    stop: threading.Event | None = None,
) -> Version:
    """The version with the checksum from its checksum file, where it has only the file. `text`: the file, if it is
    already fetched; `deadline`, `stop`: see `fetch_text`. Raises FetchError, VerificationError, Interrupted."""
    if version.checksum or not version.checksum_file:
        return version
    from openstack_image_manager.transfer.download import fetch_text

    if text is None:
        text = fetch_text(version.checksum_file, deadline=deadline, stop=stop)
    checksum = find(text, unquote(urlsplit(version.url).path.rpartition("/")[2]))
    return version.model_copy(update={"checksum": str(checksum)})


def copy_checksum(version: Version) -> str | None:
    """The checksum that the bytes at `mirror_url` must have; None: unknown. A mirror holds the unpacked image. Where
    the upstream is not packed, `checksum` counts, and `mirror_checksum` is ignored."""
    if version.checksum and not is_packed(version.url):
        return version.checksum
    return version.mirror_checksum
