"""Careful edits of definition files: each case is a file, its edits, and the only lines that change."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from openstack_image_manager.edit import AddVersion, Edit, RemoveVersion, SetImageField, SetVersionField, edit

DIGEST = "sha256:94e1e2c94dbbae7d4bdc38e68590a1daf73c9de2d03dd693857b4b0a042548e8"
HEAD = "images:\n  - name: A\n    format: raw\n"
INDENTED = """\
---
# Images of the web team
images:

  - name: Ubuntu 24.04  # LTS
    format: qcow2
    login: ubuntu
    min_disk: 8
    visibility: public
    multi: true
    meta:
      architecture: x86_64
      os_version: '24.04'   # not 24.4
    tags: []

    versions:
      # Oldest first; ask before removing any.

      # 20240416 has the kernel with the fix
      - version: '20240416'
        url: https://cloud-images.ubuntu.com/noble/20240416/noble-server-cloudimg-amd64.img  # GA
        # mirror_url: not yet
        build_date: 2024-04-16
      # broken on arm
      - version: '20240422'
        url: https://cloud-images.ubuntu.com/noble/20240422/noble-server-cloudimg-amd64.img
        build_date: 2024-04-22
        # end of 20240422

  # ------------------------------------------------------------------
  - name: Debian 12
    format: qcow2
    # none yet
    versions: []   # to come

# the end
"""
DASHES_BELOW_KEY = """\
images:
- name: Rocky 9
  format: qcow2
  multi: true
  versions:
  # newest first
  - version: "9.4-20240609.1"
    checksum: "sha256:94e1e2c94dbbae7d4bdc38e68590a1daf73c9de2d03dd693857b4b0a042548e8"
    url:      "https://dl.rockylinux.org/pub/rocky/9.4/Rocky-9-GenericCloud-Base-9.4-20240609.1.x86_64.qcow2"

  # - version: "9.4-20240509.0"
  #   url: withdrawn
  - version: "9.4-20240508.0"
    url:      "https://dl.rockylinux.org/pub/rocky/9.4/Rocky-9-GenericCloud-Base-9.4-20240509.0.x86_64.qcow2"
- name: Rocky 8
  format: qcow2
  versions:
  - {version: '8.9', url: "https://dl.rockylinux.org/8.9.qcow2", meta: {}}
  - {version: '8.10', url: "https://dl.rockylinux.org/8.10.qcow2"}"""


def add(version: str, **fields: Any) -> AddVersion:
    return AddVersion("A", {"version": version, "url": f"https://x/{version}", **fields})


def versions(text: str) -> str:
    """A file of one image A with a list of versions."""
    return HEAD + textwrap.indent(textwrap.dedent(text), "    ")


CASES: dict[str, tuple[str, list[Edit], list[tuple[str, str]]]] = {
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
    "one line of JSON": (
        '{"images":[{"name":"A","format":"raw","versions":[{"version":"1","url":"https://x/1"}]}]}',
        [
            add("2", hidden=True),
            SetVersionField("A", "1", "mirror_url", "https://m/1"),
            RemoveVersion("A", "1"),
            SetVersionField("A", "2", "mirror_url", "https://m/2"),
            SetImageField("A", "min_ram", 5),
            add("1"),
            RemoveVersion("A", "2"),
            add("3"),
            add("0"),
            SetImageField("A", "meta", {"a": "b"}),
        ],
        [
            (
                '"format":"raw","versions":[{"version":"1","url":"https://x/1"}]',
                '"format":"raw","min_ram":5,"meta":{"a":"b"},"versions":[{"version":"3","url":"https://x/3"}, '
                '{"version":"1","url":"https://x/1"}]'.replace(
                    '[{"version":"3"', '[{"version":"0","url":"https://x/0"}, {"version":"3"'
                ),
            )
        ],
    ),
    "an empty list in brackets": (
        "images: [{name: A, format: raw, versions: []}, {name: B, format: raw, versions: }, {name: C, format: raw, versions: ~}]\n",
        [
            add("1"),
            AddVersion("B", {"version": "1", "url": "https://x/1"}),
            AddVersion("C", {"version": "1", "url": "https://x/1"}),
        ],
        [
            ("versions: []", "versions: [{version: '1', url: https://x/1}]"),
            ("versions: }", "versions: [{version: '1', url: https://x/1}] }"),
            ("versions: ~", "versions: [{version: '1', url: https://x/1}]"),
        ],
    ),
    "no list yet, with comments below the key": (
        "images:\n- name: A\n  format: raw\n  versions:\n    # none yet\n  # all\n  min_ram: 3\n",
        [add("1")],
        [("    # none yet\n", "    # none yet\n  - version: '1'\n    url: https://x/1\n")],
    ),
    "null instead of a list, and the dashes of another image": (
        HEAD
        + "    versions: null\n  - name: B\n    format: raw\n    versions:\n    -   version: 1\n        url: https://x/9\n",
        [add("1")],
        [("versions: null\n", "versions:\n    -   version: 1\n        url: https://x/1\n")],
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
CASES |= {
    "brackets over several lines": (
        versions("""\
            versions: [  # newest first
              { version: '3', url: 'https://x/3' },  # three
              # two
              { version: '2', url: 'https://x/2' },  # two
              { version: '1', url: 'https://x/1' },  # one
              # end
            ]
            """),
        [RemoveVersion("A", "2"), add("4", meta={"a": "b"}), RemoveVersion("A", "1")],
        [
            (
                "      { version: '3'",
                "      { version: '4', url: 'https://x/4', meta: {a: b} },\n      { version: '3'",
            ),
            ("      # two\n      { version: '2', url: 'https://x/2' },  # two\n", ""),
            ("      { version: '1', url: 'https://x/1' },  # one\n", ""),
        ],
    ),
    "brackets over several lines, oldest first, with a last comma": (
        versions("versions: [\n  {version: '1', url: https://x/1},\n  {version: '2', url: https://x/2}, # two\n]\n"),
        [add("3")],
        [("# two\n", "# two\n      {version: '3', url: https://x/3},\n")],
    ),
    "brackets over several lines, oldest first, without a last comma": (
        versions("versions: [\n  {version: '1', url: https://x/1},\n  {version: '2', url: https://x/2} # two\n]\n"),
        [add("3"), RemoveVersion("A", "2")],
        [("      {version: '2', url: https://x/2} # two\n", "      {version: '3', url: https://x/3}\n")],
    ),
    "brackets over several lines, the last item is removed with the comma before it": (
        versions("versions: [\n  {version: '1', url: https://x/1},  # one\n  {version: '2', url: https://x/2}\n]\n"),
        [RemoveVersion("A", "2")],
        [("},  # one\n", "}  # one\n"), ("      {version: '2', url: https://x/2}\n", "")],
    ),
    "brackets that close in the last item's line": (
        versions("versions: [{version: '1', url: https://x/1},\n  {version: '2',\n   url: https://x/2}]\n"),
        [add("3")],
        [("url: https://x/2}]", "url: https://x/2},\n      {version: '3',\n       url: https://x/3}]")],
    ),
    "commas that begin lines": (
        versions(
            "versions: [\n    {version: '3', url: https://x/3}\n  , {version: '2', url: https://x/2}\n  , {version: '1', url: https://x/1}\n  ]\n"
        ),
        [RemoveVersion("A", "3"), RemoveVersion("A", "1")],
        [
            ("{version: '3', url: https://x/3}\n      , ", ""),
            (", {version: '1', url: https://x/1}\n", "\n"),
        ],
    ),
    "one line of brackets with a last comma": (
        versions("versions: [{version: '1', url: https://x/1}, {version: '2', url: https://x/2}, ]\n"),
        [add("3"), RemoveVersion("A", "1"), RemoveVersion("A", "3")],
        [("{version: '1', url: https://x/1}, ", "")],
    ),
    "blank lines between versions": (
        versions("""\
            versions:

            - version: '3'
              url: https://x/3

            # two
            - version: '2'
              url: https://x/2

            - version: '1'
              url: https://x/1

            min_ram: 5
            """),
        [add("4"), RemoveVersion("A", "2"), RemoveVersion("A", "1")],
        [
            ("    - version: '3'\n", "    - version: '4'\n      url: https://x/4\n\n    - version: '3'\n"),
            (
                "\n    # two\n    - version: '2'\n      url: https://x/2\n\n    - version: '1'\n      url: https://x/1\n",
                "",
            ),
        ],
    ),
    "a comment that names the first version moves with it": (
        versions(
            "versions:\n# newest first\n# 2 is fine\n# (really)\n- version: '2'\n  url: https://x/2\n- version: '1'\n  url: https://x/1\n"
        ),
        [add("3"), RemoveVersion("A", "2")],
        [
            (
                "    # 2 is fine\n    # (really)\n    - version: '2'\n      url: https://x/2\n",
                "    - version: '3'\n      url: https://x/3\n",
            ),
        ],
    ),
    "blank lines on one side only stay": (
        versions(
            "versions:\n- version: '1'\n  url: https://x/1\n- version: '2'\n  url: https://x/2\n\n- version: '3'\n  url: https://x/3\n"
        ),
        [RemoveVersion("A", "2")],
        [("    - version: '2'\n      url: https://x/2\n", "")],
    ),
    "values in a column": (
        versions("versions:\n- version:   '1'\n  url:       https://x/1\n  checksum:  \n"),
        [SetVersionField("A", "1", "os_version", "5"), SetVersionField("A", "1", "image_description", "d")],
        [("  checksum:  \n", "  checksum:  \n      os_version: 5\n      image_description: d\n")],
    ),
    "keys with quotes, unusual blanks, and the order of others": (
        versions(
            "versions:\n- \"url\" :  https://x/1\n  'version' : '1'\n- {version: '2', # two\n   url: https://x/2}\n"
        ),
        [
            SetVersionField("A", "2", "mirror_url", "https://m/2"),
            SetVersionField("A", "1", "mirror_url", "https://m/1"),
            add("3"),
        ],
        [
            ("https://x/1\n", 'https://x/1\n      "mirror_url" :  https://m/1\n'),
            ("url: https://x/2}", "url: https://x/2, mirror_url: https://m/2}\n    - {version: '3', url: https://x/3}"),
        ],
    ),
}


def check(before: str, edits: list[Edit], changes: list[tuple[str, str]]) -> None:
    expected = before
    for old, new in changes:
        assert expected.count(old) == 1, f"the case is wrong: {old!r} stands there {expected.count(old)} times"
        expected = expected.replace(old, new)
    assert edit(before, edits, "a.yml").split("\n") == expected.split("\n")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_only_the_lines_that_must_change(case: tuple[str, list[Edit], list[tuple[str, str]]]) -> None:
    check(*case)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_byte_order_marks_and_line_breaks_stay(case: tuple[str, list[Edit], list[tuple[str, str]]]) -> None:
    before, edits, changes = case
    foreign = ("\ufeff" + before).replace("\n", "\r\n")
    check(foreign, edits, [(old.replace("\n", "\r\n"), new.replace("\n", "\r\n")) for old, new in changes])
