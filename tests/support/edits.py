"""What the tests of edits share: files that people wrote, and how a case is checked."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from openstack_image_manager.definitions.editing.edit import AddVersion, Edit, edit

# A file, its edits, and what stands there afterwards instead of what; nothing else may change.
Case = tuple[str, list[Edit], list[tuple[str, str]]]

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


def others(text: str) -> dict[str, Any]:
    """What other programs read: PyYAML without libyaml, and ruamel.yaml as it is for files that people edit, and in
    its strictest form; all values as texts. Those that can't read the text are missing."""
    ways: dict[str, Callable[[str], Any]] = {
        "PyYAML": lambda text: yaml.load(text, yaml.BaseLoader),
        "ruamel": YAML(typ="rt", pure=True).load,
        "ruamel base": YAML(typ="base", pure=True).load,
    }
    found: dict[str, Any] = {}
    for name, load in ways.items():
        with suppress(yaml.YAMLError, YAMLError):
            images = load(text)["images"]
            found[name] = {
                str(image["name"]): [_texts(version) for version in image.get("versions") or () if version != "~"]
                for image in images
            }
    return found


def _texts(value: Any) -> Any:
    return {key: _texts(item) for key, item in value.items()} if isinstance(value, dict) else str(value)


def versions(text: str) -> str:
    """A file of one image A with a list of versions."""
    return HEAD + textwrap.indent(textwrap.dedent(text), "    ")


def check(case: Case) -> None:
    """What stands there afterwards; the same with the byte order mark and the line breaks of another system."""
    for before, edits, changes in (case, _foreign(case)):
        expected = before
        for old, new in changes:
            assert expected.count(old) == 1, f"the case is wrong: {old!r} stands there {expected.count(old)} times"
            expected = expected.replace(old, new)
        assert edit(before, edits, "a.yml").split("\n") == expected.split("\n")


def _foreign(case: Case) -> Case:
    before, edits, changes = case
    swapped = [(old.replace("\n", "\r\n"), new.replace("\n", "\r\n")) for old, new in changes]
    return ("\ufeff" + before).replace("\n", "\r\n"), edits, swapped
