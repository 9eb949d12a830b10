"""Which addresses are internal, in whatever way they are written."""

from __future__ import annotations

import pytest

from openstack_image_manager.transfer.addresses import is_allowed, is_internal, literal_address

INTERNAL = [
    *["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"],
    *["240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1", "ff0e::1", "::ffff:10.0.0.1"],
    *["::127.0.0.1", "::ffff:0:10.0.0.1", "fec0::1", "64:ff9b:1::a9fe:a9fe"],
    *["64:ff9b::a00:1", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe"],
]


@pytest.mark.parametrize("address", INTERNAL)
def test_internal(address: str) -> None:
    assert is_internal(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_public(address: str) -> None:
    assert not is_internal(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "localhost", "a.LOCALHOST."])
def test_hosts_that_say_their_address(host: str) -> None:
    assert literal_address(host) == "127.0.0.1"


def test_hosts_that_have_names() -> None:
    assert literal_address("example.org") is None
    assert literal_address("1.2.3.4.example.org") is None
    assert literal_address("fe80::1%eth0") == "fe80::1"


def test_what_is_allowed() -> None:
    allowed = ["files.internal", "10.0.0.0/8", "192.168.1.1", "fd00::/8", "10.0.0.0/99"]
    for host, address in (("FILES.internal.", None), ("x", "10.1.1.1"), ("y", "192.168.1.1"), ("z", "fd00::1")):
        assert is_allowed(host, address, allowed)
    for host, address in (("other.internal", None), ("x", "192.168.1.2"), ("x", "::1")):
        assert not is_allowed(host, address, allowed)
