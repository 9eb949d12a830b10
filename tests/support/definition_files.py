"""What the tests of definitions share: files as people write them, and how they are read or refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from openstack_image_manager.definitions.loader import DefinitionErrors, Loaded, load

CIRROS = """\
---
images:
  - name: MyCirros
    format: qcow2
    login: cirros
    password: gocubsgo
    min_disk: 1
    min_ram: 32
    status: active
    visibility: private
    multi: false
    meta:
      architecture: x86_64
      hw_disk_bus: scsi
      hw_rng_model: virtio
      hw_scsi_model: virtio-scsi
      hw_watchdog_action: reset
      os_distro: cirros
      replace_frequency: never
      uuid_validity: none
      provided_until: none
    tags: []
    versions:
      - version: "0.6.0"
        url: https://github.com/cirros-dev/cirros/releases/download/0.6.0/cirros-0.6.0-x86_64-disk.img
        checksum: "sha256:94e1e2c94dbbae7d4bdc38e68590a1daf73c9de2d03dd693857b4b0a042548e8"
        build_date: 2022-09-28
"""
UBUNTU = """\
images:
  - name: Ubuntu 24.04
    format: qcow2
    login: ubuntu
    min_disk: 8
    min_ram: 512
    status: active
    visibility: public
    multi: true
    meta:
      architecture: x86_64
      hw_disk_bus: scsi
      hw_scsi_model: virtio-scsi
      hw_watchdog_action: reset
      os_distro: ubuntu
      os_version: '24.04'
    tags: []
    versions:
      - version: '20240416'
        url: https://cloud-images.ubuntu.com/noble/20240416/noble-server-cloudimg-amd64.img
      - version: '20240422'
        url: https://cloud-images.ubuntu.com/noble/20240422/noble-server-cloudimg-amd64.img
"""
RANCHER = """\
images:
- name: RancherOS
  format: qcow2
  login: rancher
  min_disk: 8
  min_ram: 2048
  status: active
  visibility: public
  multi: false
  meta:
    architecture: x86_64
    hw_disk_bus: scsi
    hw_scsi_model: virtio-scsi
    hw_watchdog_action: reset
  tags: []
  versions:
  - version: '1.3.0'
    url: https://github.com/rancher/os/releases/download/v1.3.0/rancheros-openstack.img
  - version: '1.4.0'
    url: https://github.com/rancher/os/releases/download/v1.4.0/rancheros-openstack.img
  - version: '1.4.1'
    url: https://github.com/rancher/os/releases/download/v1.4.1/rancheros-openstack.img
"""
FULL = """\
images:
  - name: Everything
    former_names: [Every Thing, 7]
    enable: no
    shortname: all
    format: raw
    login: me
    password: secret
    min_disk: 3
    min_ram: 64
    status: deactivated
    visibility: community
    members: [shop, 5, {project: cart, domain: customers}, {domain: partners}]
    protected: yes
    owner: service
    former_owners: [old, 7]
    stores: [fast, 5]
    multi: on
    keep: yes
    separator: "-"
    tags: [a, 5]
    meta: {hw_rng_model: null, hw_pmu: no, release: 24.04, hours: 3, "null": ~,
           day: 2024-01-02, at: 2024-01-02T03:04:05+01:00}
    latest_url: https://example.org/latest.img
    latest_checksum_url: http://example.org/SUMS
    resolve:
      variables:
        mirror: https://example.org
        arch: {by: architecture, values: {x86_64: amd64}, otherwise: '{architecture}'}
        day: 2024-01-02
      steps:
        - listing: '{mirror}/'
          match: '(?P<release>\\d+)/'
          order: '{release}'
        - static: {version: 5, file: a.img}
      url: '{mirror}/{release}/{file}'
      exclude: ['1', 7]
      prereleases: yes
      checksum: {url: '{url}.sha512', algorithm: sha512}
      signature:
        {kind: detached, over: checksum, url: '{checksum_url}.asc', keys: 1B9A16984A4E8CB448712D2AE0B78BF4326C6F8F}
    versions:
      - version: 20240101
        url: file:///srv/1.img
        mirror_url: http://mirror/1.img
        mirror_checksum: sha256:94e1e2c94dbbae7d4bdc38e68590a1daf73c9de2d03dd693857b4b0a042548e8
        checksum: D41D8CD98F00B204E9800998ECF8427E
        checksums_url: https://example.org/SUMS
        checksum_url: https://example.org/SUMS
        build_date: 2024-01-02 03:04:05
        size: 1024
        signed_by: d2eb44626fddc30b513d5bb71a5d6c4c7db87c81
        signed_at: 2024-01-02
        source: private
        os_version: 24.04
        image_description: text
        meta: {patchlevel: 3}
        visibility: shared
        hidden: true
        withdrawn: false
        id: 6D1B3C1E-0f5a-4c0e-9a36-0a1b2c3d4e5f
      - version: 2024-01-03
        url: HTTPS://example.org/2.img
"""
NOT_A_URL = "is not a URL; it must begin with http://, https://, file:// and hold no blanks"
HEAD = "images:\n  - name: A\n    format: raw\n"
TAIL = "    versions:\n      - version: '1'\n        url: https://x/1\n"


def read(folder: Path, *texts: str | bytes, **options: Any) -> Loaded:
    """What is loaded of these texts: of one file, or of a folder of several."""
    for name, text in zip("abcdef", texts, strict=False):
        (folder / f"{name}.yml").write_bytes(text.encode() if isinstance(text, str) else text)
    return load(str(folder / "a.yml") if len(texts) == 1 else str(folder), **options)


def refused(folder: Path, *texts: str | bytes) -> list[str]:
    """The complaints about these texts, a line each, without the folder."""
    with pytest.raises(DefinitionErrors) as caught:
        read(folder, *texts)
    lines = str(caught.value).replace(f"{folder}{os.sep}", "").splitlines()
    assert len(lines) == len(caught.value.diagnostics)
    return lines
