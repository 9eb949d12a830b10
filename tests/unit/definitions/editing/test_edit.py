"""Careful edits of files as people write them: each case is a file, its edits, and the only lines that change."""

from __future__ import annotations

import pytest
from tests.support.edits import DASHES_BELOW_KEY, DIGEST, INDENTED, Case, check

from openstack_image_manager.definitions.editing.edit import AddVersion, RemoveVersion, SetImageField, SetVersionField

CASES: dict[str, Case] = {
    "the newest goes last where the oldest is first": (
        INDENTED,
        [AddVersion("Ubuntu 24.04", {"version": "20240501", "url": "https://x/1", "build_date": "2024-05-01"})],
        [
            (
                "        # end of 20240422\n",
                "        # end of 20240422\n      - version: '20240501'\n        url: https://x/1\n"
                "        build_date: 2024-05-01\n",
            )
        ],
    ),
    "the first is removed with the comment that names it, without the heading of the list": (
        INDENTED,
        [RemoveVersion("Ubuntu 24.04", "20240416")],
        [
            (INDENTED[INDENTED.index("      # 20240416 has") : INDENTED.index("      # broken")], ""),
        ],
    ),
    "the last is removed with the comments above and below it": (
        INDENTED,
        [RemoveVersion("Ubuntu 24.04", "20240422")],
        [(INDENTED[INDENTED.index("      # broken on arm") : INDENTED.index("\n  # ---")], "")],
    ),
    "a field goes behind its place in the order, other comments stay": (
        INDENTED,
        [SetVersionField("Ubuntu 24.04", "20240416", "mirror_url", "https://m/1")],
        [("  # GA\n", "  # GA\n        mirror_url: https://m/1\n")],
    ),
    "a value keeps the comment behind it": (
        INDENTED,
        [
            SetVersionField("Ubuntu 24.04", "20240416", "url", "https://x/#1"),
            SetImageField("Ubuntu 24.04", "meta", {"os_version": "24.10", "os_purpose": "generic"}),
            SetImageField("Ubuntu 24.04", "min_disk", 9),
            SetImageField("Ubuntu 24.04", "keep", True),
        ],
        [
            (
                "https://cloud-images.ubuntu.com/noble/20240416/noble-server-cloudimg-amd64.img  # GA",
                "https://x/#1  # GA",
            ),
            ("os_version: '24.04'   # not 24.4\n", "os_version: '24.10'   # not 24.4\n      os_purpose: generic\n"),
            ("min_disk: 8", "min_disk: 9"),
            ("multi: true\n", "multi: true\n    keep: true\n"),
        ],
    ),
    "an empty list gets lines as the file has elsewhere": (
        INDENTED,
        [AddVersion("Debian 12", {"version": "1", "url": "https://x/1"})],
        [("versions: []   # to come\n", "versions:   # to come\n      - version: '1'\n        url: https://x/1\n")],
    ),
    "several images at once, several edits of one": (
        INDENTED,
        [
            AddVersion("Debian 12", {"version": "1", "url": "https://x/1"}),
            SetVersionField("Ubuntu 24.04", "20240422", "checksum", DIGEST),
            SetVersionField("Ubuntu 24.04", "20240422", "mirror_url", "https://m/1"),
            RemoveVersion("Ubuntu 24.04", "20240416"),
            AddVersion("Debian 12", {"version": "2", "url": "https://x/2"}),
            SetVersionField("Debian 12", "1", "hidden", True),
        ],
        [
            (INDENTED[INDENTED.index("      # 20240416 has") : INDENTED.index("      # broken")], ""),
            (
                "        build_date: 2024-04-22\n",
                f"        mirror_url: https://m/1\n        checksum: {DIGEST}\n        build_date: 2024-04-22\n",
            ),
            (
                "versions: []   # to come\n",
                "versions:   # to come\n      - version: '2'\n        url: https://x/2\n"
                "      - version: '1'\n        url: https://x/1\n        hidden: true\n",
            ),
        ],
    ),
    "the newest goes first where the newest is first, below the heading, with blank lines and columns as they are": (
        DASHES_BELOW_KEY,
        [AddVersion("Rocky 9", {"version": "9.4-1", "checksum": DIGEST, "url": "https://x/1"})],
        [
            (
                "  # newest first\n",
                f'  # newest first\n  - version: "9.4-1"\n    checksum: "{DIGEST}"\n    url:      "https://x/1"\n',
            )
        ],
    ),
    "a version that was commented out is nobody's comment": (
        DASHES_BELOW_KEY,
        [RemoveVersion("Rocky 9", "9.4-20240508.0")],
        [
            (
                DASHES_BELOW_KEY[
                    DASHES_BELOW_KEY.index('  - version: "9.4-20240508') : DASHES_BELOW_KEY.index("- name: Rocky 8")
                ],
                "",
            )
        ],
    ),
    "the first is removed with the blank lines below it": (
        DASHES_BELOW_KEY,
        [RemoveVersion("Rocky 9", "9.4-20240609.1")],
        [
            (
                DASHES_BELOW_KEY[
                    DASHES_BELOW_KEY.index('  - version: "9.4-2024060') : DASHES_BELOW_KEY.index('  # - version: "9')
                ],
                "",
            )
        ],
    ),
    "mappings in brackets, at the end of a file without a last line break": (
        DASHES_BELOW_KEY,
        [
            AddVersion("Rocky 8", {"version": "8.11", "url": "https://x/1", "meta": {"patchlevel": 3}}),
            SetVersionField("Rocky 8", "8.10", "mirror_url", "https://m/1"),
            SetVersionField("Rocky 8", "8.9", "meta", {"hw_pmu": True}),
        ],
        [
            (", meta: {}}", ", meta: {hw_pmu: true}}"),
            (
                '8.10.qcow2"}',
                '8.10.qcow2", mirror_url: "https://m/1"}\n'
                "  - {version: '8.11', url: \"https://x/1\", meta: {patchlevel: 3}}",
            ),
        ],
    ),
    "the last is removed at the end of a file without a last line break": (
        DASHES_BELOW_KEY,
        [RemoveVersion("Rocky 8", "8.10")],
        [("\n  - {version: '8.10', url: \"https://dl.rockylinux.org/8.10.qcow2\"}", "")],
    ),
    "nothing changes where nothing differs": (
        DASHES_BELOW_KEY,
        [
            SetVersionField("Rocky 8", "8.9", "url", "https://dl.rockylinux.org/8.9.qcow2"),
            SetVersionField("Rocky 8", "8.9", "meta", {}),
            SetImageField("Rocky 9", "multi", True),
        ],
        [],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_only_the_lines_that_must_change(case: Case) -> None:
    check(case)
