"""Check that an image is of its format, and safe, with the inspectors that Glance uses."""

from __future__ import annotations

from typing import Any

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.transfer.unpack import CHUNK
from openstack_image_manager.transfer.web_page import is_markup

HEAD = 4 * CHUNK  # enough for every header that the inspectors look at, but for the ends of some vmdk and vhdx
PIECE = 32 * 1024  # what an inspector gets at once: that of vhdx misses a table that came together with its pointer
MOST_VIRTUAL = 64 * 1024**4  # bytes: the end of VHDX, beyond that of VMDK and VHD, and of what anybody boots
AS_PUBLISHED = ("aki", "ari", "ami")  # kernels and ramdisks are compressed files by nature
NO_INSPECTOR = (*AS_PUBLISHED, "ploop")


class Inspection:
    """Is the content what the definition says, and safe? Looks at the bytes with the inspectors that Glance uses."""

    def __init__(self, disk_format: str) -> None:
        from oslo_utils.imageutils import format_inspector

        self._format = disk_format
        self._inspectors = {name: make() for name, make in format_inspector.ALL_FORMATS.items() if name != "raw"}
        self._size = 0
        self.head_is_read = False

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes. Raises VerificationError as soon as they are wrong."""
        if self._size == 0 and is_markup(chunk):
            raise VerificationError("a web page came instead of an image")
        self._size += len(chunk)
        for name, inspector in list(self._inspectors.items()):
            try:
                for start in range(0, len(chunk), PIECE):
                    inspector.eat_chunk(chunk[start : start + PIECE])
            except Exception:  # parsers fail anyhow on foreign bytes; an image without that of its format is refused
                del self._inspectors[name]
        if not self.head_is_read and self._size >= HEAD:
            self.head_is_read = True
            self._judge()
            if (wanted := self._wanted()) and wanted.complete:
                _check_safety(self._format, wanted)
            # Only what the rest of the file can still tell something about is fed on.
            self._inspectors = {name: each for name, each in self._inspectors.items() if not each.complete}

    def finish(self) -> None:
        """All bytes were seen. Raises VerificationError if they are not an image of the format, or unsafe."""
        if self._size == 0:
            raise VerificationError("the file is empty")
        for inspector in self._inspectors.values():
            inspector.finish()
        if not self.head_is_read:
            self._judge()
        if wanted := self._wanted():
            _check_safety(self._format, wanted)

    def _wanted(self) -> Any:
        """The inspector whose word counts: of a raw disk, that of its partition table."""
        return self._inspectors.get("gpt" if self._format == "raw" else self._format)

    def _judge(self) -> None:
        """Refuse any other format than the one defined; the inspectors that do not match are dismissed."""
        self._inspectors = {name: inspector for name, inspector in self._inspectors.items() if _matches(inspector)}
        # A partition table is what a raw disk begins with, and what a bootable ISO has beside its own header.
        known = sorted(name for name in self._inspectors if name != "gpt")
        wanted = [] if self._format == "raw" else [self._format]
        if known != wanted and self._format not in NO_INSPECTOR:
            found = " and ".join(known) or "none of the known formats"
            raise VerificationError(f"its content is {found}, but the definition says format: {self._format}")


def _matches(inspector: Any) -> bool:
    try:
        return bool(inspector.format_match)
    except AttributeError:  # that of vmdk stumbles over a text that is followed by other bytes
        return False


def _check_safety(name: str, inspector: Any) -> None:
    from oslo_utils.imageutils import format_inspector

    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed as error:
        refusal = " (Glance refuses that from 2026.2 on)" if name == "raw" else ""
        raise VerificationError(f"unsafe {name}: {'; '.join(map(str, error.failures.values()))}{refusal}") from None
    except format_inspector.ImageFormatError as error:
        raise VerificationError(f"unsafe {name}: {error}") from None
    try:
        size = inspector.virtual_size
    except KeyError:  # that of vmdk has none for a bare descriptor
        return
    if size > MOST_VIRTUAL:
        raise VerificationError(f"it says that its disk has {size} bytes, more than {MOST_VIRTUAL} (64 TiB): refused")
