"""Versions that come and go in lists of all kinds, and what their comments and blank lines do."""

from __future__ import annotations

import pytest
from tests.support.edits import HEAD, Case, add, check, versions

from openstack_image_manager.definitions.editing.edit import AddVersion, RemoveVersion, SetImageField, SetVersionField

CASES: dict[str, Case] = {
    "an empty list in brackets": (
        "images: [{name: A, format: raw, versions: []}, {name: B, format: raw, versions: }, "
        "{name: C, format: raw, versions: ~}]\n",
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
    "no habit to be seen": (
        "? images\n: - name: A\n    format: raw\n    versions:\n",
        [add("1")],
        [("    versions:\n", "    versions:\n      - version: '1'\n        url: https://x/1\n")],
    ),
    "brackets with an anchor": (
        versions("versions: &all [{version: '2', url: https://x/2}, {version: '1', url: https://x/1}]\n"),
        [add("3"), SetVersionField("A", "2", "source", "a, b: c"), SetVersionField("A", "1", "source", "a, b")],
        [
            ("&all [", "&all [{version: '3', url: https://x/3}, "),
            ("https://x/2}", "https://x/2, source: 'a, b: c'}"),
            ("https://x/1}", "https://x/1, source: 'a, b'}"),
        ],
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
            "versions: [\n"
            "    {version: '3', url: https://x/3}\n"
            "  , {version: '2', url: https://x/2}\n"
            "  , {version: '1', url: https://x/1}\n"
            "  ]\n"
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
            "versions:\n"
            "# newest first\n"
            "# 2 is fine\n"
            "# (really)\n"
            "- version: '2'\n"
            "  url: https://x/2\n"
            "- version: '1'\n"
            "  url: https://x/1\n"
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
            "versions:\n"
            "- version: '1'\n"
            "  url: https://x/1\n"
            "- version: '2'\n"
            "  url: https://x/2\n"
            "\n"
            "- version: '3'\n"
            "  url: https://x/3\n"
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


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_only_the_lines_that_must_change(case: Case) -> None:
    check(case)
