"""Values of all kinds that are set: quotes, blocks of text, properties, anchors and tags stay as the file has them."""

from __future__ import annotations

import pytest
from tests.support.edits import DIGEST, Case, add, check, versions

from openstack_image_manager.definitions.editing.edit import AddVersion, SetImageField, SetVersionField

FLOW = "images:\n- {name: A, format: raw, versions: [{version: '1', url: http://x/1}]}\n"
CASES: dict[str, Case] = {
    "in brackets an address with ? is quoted, since not every program reads it else": (
        FLOW,
        [AddVersion("A", {"version": "2", "url": "http://x/img.raw?build=2", "size": 4096})],
        [("[{version: '1'", "[{version: '2', url: 'http://x/img.raw?build=2', size: 4096}, {version: '1'")],
    ),
    "a value keeps its quotes where it can": (
        versions("""\
            versions:
              - version: 20240101
                url: 'https://x/1'
                build_date: 2024-01-01
                image_description: it's
                source: "private"
                os_version: 24.04
                checksum:
                hidden: ~
            """),
        [
            add("1.10", os_version="24.1", image_description="it's: \u2028", source='"', build_date="2024-01-02"),
            SetVersionField("A", "20240101", "os_version", "24.10"),
            SetVersionField("A", "20240101", "url", "https://x/'2'"),
            SetVersionField("A", "20240101", "image_description", "a: b"),
            SetVersionField("A", "20240101", "source", 'say "\u00a0"'),
            SetVersionField("A", "20240101", "checksum", DIGEST),
            SetVersionField("A", "20240101", "hidden", False),
        ],
        [
            (
                "      - version: 20240101\n",
                "      - version: '1.10'\n        url: 'https://x/1.10'\n        os_version: 24.1\n"
                '        image_description: "it\'s: \\U00002028"\n        source: "\\""\n'
                "        build_date: 2024-01-02\n      - version: 20240101\n",
            ),
            ("os_version: 24.04", "os_version: '24.10'"),
            ("'https://x/1'", "'https://x/''2'''"),
            ("image_description: it's", "image_description: 'a: b'"),
            ('"private"', '"say \\"\\U000000a0\\""'),
            ("checksum:\n", f"checksum: {DIGEST}\n"),
            ("hidden: ~", "hidden: false"),
        ],
    ),
    "texts in blocks": (
        versions("""\
            versions:
              - version: '1'
                url: >-   # long
                    https://x/1

                checksums_url: |-
                    https://x/1/SUMS
                image_description: |+
                    two

                source: >
                    private
              - version: '2'
                url: >-
                  https://x/2
            """),
        [
            AddVersion("A", {"version": "3", "url": "https://x/3", "image_description": "x", "meta": {"a": "b"}}),
            SetVersionField("A", "1", "url", "https://x/0"),
            SetVersionField("A", "1", "mirror_url", "https://m/1"),
            SetVersionField("A", "1", "image_description", "one"),
            SetVersionField("A", "2", "checksums_url", "https://x/2/SUMS"),
            SetVersionField("A", "2", "url", "https://x/ 2".replace(" ", "")),
        ],
        [
            ("            https://x/1\n\n", "            https://x/0\n        mirror_url: https://m/1\n\n"),
            ("image_description: |+\n            two\n\n", "image_description: one\n"),
            (
                "          https://x/2\n",
                "          https://x/2\n        checksums_url: |-\n            https://x/2/SUMS\n"
                "      - version: '3'\n        url: >-\n          https://x/3\n        image_description: x\n"
                "        meta:\n          a: b\n",
            ),
        ],
    ),
    "properties are indented like those of the neighbour": (
        versions("""\
            versions:
              - version: '1'
                url: https://x/1
                meta:
                    a: b
            """),
        [AddVersion("A", {"version": "2", "url": "https://x/2", "meta": {"a": "c", "d": "e"}})],
        [
            (
                "      - version: '1'\n",
                "      - version: '2'\n        url: https://x/2\n        meta:\n            a: c\n            d: e\n"
                "      - version: '1'\n",
            )
        ],
    ),
    "anchors stay, and what is merged can be overridden": (
        """\
images:
  - &base
    name: A
    format: raw
    meta: &meta {architecture: x86_64}
    versions:
      - &v
        version: &n '1'
        url: &u https://x/1
      -
        version: '2'
        url: https://x/2
  - <<: *base
    name: B
    meta:
      <<: *meta
      os_distro: b
    versions: &w
    - <<: *v
      version: '3'
""",
        [
            SetVersionField("A", "2", "url", "https://x/22"),
            SetVersionField("B", "3", "url", "https://x/3"),
            SetImageField("B", "meta", {"os_distro": "c", "os_version": "1"}),
            SetImageField("B", "format", "qcow2"),
            add("3"),
            AddVersion("B", {"version": "4", "url": "https://x/4"}),
        ],
        [
            ("https://x/2\n", "https://x/22\n      -\n        version: '3'\n        url: https://x/3\n"),
            ("*v\n      version: '3'\n", "*v\n      version: '3'\n      url: https://x/3\n"),
            ("      os_distro: b\n", "      os_distro: c\n      os_version: 1\n"),
            ("    name: B\n", "    name: B\n    format: qcow2\n"),
            ("    versions: &w\n", "    versions: &w\n    - version: '4'\n      url: https://x/4\n"),
        ],
    ),
    "anchors and tags of a value stay": (
        versions(
            "versions:\n  - version: !!str 1\n    url: &u 'https://x/1'\n    source: &e\n    os_version: !!str 10\n"
        ),
        [
            SetVersionField("A", "1", "url", "https://x/2"),
            SetVersionField("A", "1", "source", "private"),
            SetVersionField("A", "1", "os_version", "11"),
        ],
        [("&u 'https://x/1'", "&u 'https://x/2'"), ("&e", "&e private"), ("!!str 10", "!!str 11")],
    ),
    "meta that is empty": (
        versions("""\
            meta:  # nothing
              # yet
            versions:
            - {version: '1', url: https://x/1, meta: }
            """),
        [SetImageField("A", "meta", {"a": "b", "c": None}), SetVersionField("A", "1", "meta", {"a": 3})],
        [
            ("    meta:  # nothing\n      # yet\n", "    meta:  # nothing\n      # yet\n      a: b\n      c: null\n"),
            ("meta: }", "meta: {a: 3} }"),
        ],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_only_the_lines_that_must_change(case: Case) -> None:
    check(case)
