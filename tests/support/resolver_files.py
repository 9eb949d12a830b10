"""Definitions with `resolve:`, and what is said against them."""

from __future__ import annotations

from pathlib import Path

from openstack_image_manager.definitions.loader import DefinitionErrors, load

DEFINITION = """\
images:
  - name: A
    format: raw
    meta: {architecture: x86_64, os_distro: linux, os_version: '1'}
    versions: []
"""
GOOD = """\
    resolve:
      variables:
        site: https://x
        arch: {by: architecture, values: {x86_64: amd64}}
      steps:
        - listing: '{site}/'
          match: '(?P<minor>[0-9]+)/'
        - checksum-file: '{site}/{minor}/SUMS'
          match: 'a-{arch}-(?P<version>[0-9]{8})[.]img'
      build_date: '{version}'
      checksum: {url: '{url}.sums'}
      signature: {kind: detached, over: checksum, url: '{checksum_url}.asc', keys: '%s'}
""" % ("AB" * 20)


def complaints(folder: Path, text: str) -> list[str]:
    """What is said against a file, without its path and the words before each place in `resolve:`."""
    (folder / "a.yml").write_text(text)
    try:
        load(str(folder / "a.yml"))
    except DefinitionErrors as error:
        lines = [line.removeprefix(f"{folder / 'a.yml'}:") for line in str(error).splitlines()]
        return [line.replace("A: resolve.", "") for line in lines]
    return []
