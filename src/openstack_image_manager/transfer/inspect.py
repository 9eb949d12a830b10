"""Check that an image is of its format, and safe, with the inspectors that Glance uses."""

from __future__ import annotations

from typing import Any

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.transfer.unpack import CHUNK
from openstack_image_manager.transfer.web_page import is_markup

HEAD = 4 * CHUNK  # enough for every header that the inspectors read, except the ends of some vmdk and vhdx
PIECE = 32 * 1024  # bytes for an inspector at a time: the one of vhdx misses a table in the same piece as its pointer
MOST_VIRTUAL = 64 * 1024**4  # bytes: the limit of VHDX, more than VMDK and VHD have
AS_PUBLISHED = ("aki", "ari", "ami")  # kernels and ramdisks are compressed files by nature
NO_INSPECTOR = (*AS_PUBLISHED, "ploop")


class Inspection:
    """Checks that the content has the defined format and is safe, with the inspectors that Glance uses."""

    def __init__(self, disk_format: str) -> None:
        from oslo_utils.imageutils import format_inspector

        self._format = disk_format
        self._inspectors = {name: make() for name, make in format_inspector.ALL_FORMATS.items() if name != "raw"}
        self._size = 0
        self.head_is_read = False

    def feed(self, chunk: bytes) -> None:
        """Inspect the next bytes. Raises VerificationError as soon as they are wrong."""
        if self._size == 0 and is_markup(chunk):
            raise VerificationError("a web page came instead of an image")
        self._size += len(chunk)
        for name, inspector in list(self._inspectors.items()):
            try:
                for start in range(0, len(chunk), PIECE):
                    inspector.eat_chunk(chunk[start : start + PIECE])
            except Exception:  # parsers may fail on foreign bytes; an image without the parser of its format is refused
                del self._inspectors[name]
        if not self.head_is_read and self._size >= HEAD:
            self.head_is_read = True
            self._judge()
            if (wanted := self._wanted()) and wanted.complete:
                _check_safety(self._format, wanted)
            # Only these inspectors need the rest of the file.
            self._inspectors = {
                name: inspector for name, inspector in self._inspectors.items() if not inspector.complete
            }

    def finish(self) -> None:
        """End of the file. Raises VerificationError if it is not an image of the format, or unsafe."""
        if self._size == 0:
            raise VerificationError("the file is empty")
        for inspector in self._inspectors.values():
            inspector.finish()
        if not self.head_is_read:
            self._judge()
        if wanted := self._wanted():
            _check_safety(self._format, wanted)

    def _wanted(self) -> Any:
        """The inspector of the defined format: for a raw disk, that of its partition table."""
        return self._inspectors.get("gpt" if self._format == "raw" else self._format)

    def _judge(self) -> None:
        """Refuse any other format than the defined one, and drop the inspectors that do not match."""
        self._inspectors = {name: inspector for name, inspector in self._inspectors.items() if _matches(inspector)}
        # A raw disk begins with a partition table, and a bootable ISO has one next to its own header.
        known = sorted(name for name in self._inspectors if name != "gpt")
        wanted = [] if self._format == "raw" else [self._format]
        if known != wanted and self._format not in NO_INSPECTOR:
            found = " and ".join(known) or "none of the known formats"
            raise VerificationError(f"its content is {found}, but the definition says format: {self._format}")


def _matches(inspector: Any) -> bool:
    try:
        return bool(inspector.format_match)
    except AttributeError:  # the one of vmdk fails on text that is followed by other bytes
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
    except KeyError:  # the one of vmdk has none for a bare descriptor
        return
    if size > MOST_VIRTUAL:
        raise VerificationError(f"it says that its disk has {size} bytes, more than {MOST_VIRTUAL} (64 TiB): refused")
