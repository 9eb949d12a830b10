"""Write Swift's configuration files and rings."""

from __future__ import annotations

import array
import gzip
import json
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from openstack_image_manager.sandbox.config import Config, ini
from openstack_image_manager.sandbox.process import HOST

PROXY = "object-storage"
BACKENDS = {"swift-account": "account", "swift-container": "container", "swift-object": "object"}
REGION = "us-east-1"  # the default region of S3 clients
ACCOUNT = "sandbox"
DEVICE = "disk"

# 5 MiB is S3's own minimum of every part but the last; 10,000 its limit of parts.
_S3 = {"location": REGION, "min_segment_size": str(5 * 2**20), "max_upload_part_num": "10000"}
_FILTERS: Config = {
    "catch_errors": {},
    "gatekeeper": {},
    "healthcheck": {},
    "listing_formats": {},
    "s3api": _S3,
    "tempauth": {},
    "copy": {},
    "container_quotas": {},
    # synchronous, because no background service removes the parts of a deleted object
    "slo": {"max_manifest_segments": "10000", "allow_async_delete": "false"},
    "dlo": {},
}

# Swift always writes to a syslog daemon, in addition to the configured log; this hook for loggers removes it.
# (The log of requests, Swift's proxy_logging, has no such hook, and would open a UDP port to all networks.)
LOGGING = """\
from logging.handlers import SysLogHandler


def no_syslog(conf, name, log_to_console, log_route, fmt, logger, adapted_logger):
    for handler in [each for each in logger.handlers if isinstance(each, SysLogHandler)]:
        logger.removeHandler(handler)
        handler.close()
"""


@dataclass(frozen=True)
class Keys:
    """The secrets of one object storage."""

    admin: str = field(repr=False)  # of the user with all rights
    member: str = field(repr=False)  # of the user without rights until an ACL grants them
    tokens: str = field(repr=False)  # base64 of 32 bytes, which encrypt Swift's own tokens


def files(directory: Path, ports: Mapping[str, int], keys: Keys) -> Mapping[str, bytes]:
    """Return all configuration files by name; they contain the keys."""
    result = {
        "swift.conf": ini({"swift-hash": {"swift_hash_path_suffix": ACCOUNT}}, {}).encode(),
        "sandboxlog.py": LOGGING.encode(),
        f"{PROXY}.conf": _proxy(directory, ports[PROXY], keys).encode(),
    }
    for name, kind in BACKENDS.items():
        result[f"{name}.conf"] = _backend(directory, ports[name], kind).encode()
        result[f"{kind}.ring.gz"] = _ring(ports[name])
    return result


def _common(directory: Path, port: int, name: str) -> dict[str, str]:
    return {
        "bind_ip": HOST,
        "bind_port": str(port),
        "swift_dir": str(directory),
        "workers": "0",  # no children
        "log_name": name,
        "log_custom_handlers": "sandboxlog.no_syslog",
    }


def _proxy(directory: Path, port: int, keys: Keys) -> str:
    users: dict[str, str] = {
        f"user_{ACCOUNT}_admin": f"{keys.admin} .admin",
        f"user_{ACCOUNT}_member": keys.member,
        # Swift's own tokens, which would need a memcached otherwise; the S3 API has none
        "fernet_key_1": keys.tokens,
        "active_fernet_key_id": "1",
    }
    pipeline = " ".join([*_FILTERS, "proxy-server"])
    sections: dict[str, Mapping[str, str]] = {
        "DEFAULT": _common(directory, port, PROXY),
        "pipeline:main": {"pipeline": pipeline},
        "app:proxy-server": {"use": "egg:swift#proxy", "account_autocreate": "true"},
    }
    for name, settings in _FILTERS.items():
        sections[f"filter:{name}"] = {"use": f"egg:swift#{name}", **settings}
    return ini(sections, {"filter:tempauth": users})


def _backend(directory: Path, port: int, kind: str) -> str:
    default = {
        "devices": str(directory / "devices"),
        "mount_check": "false",
        "fallocate_reserve": "0",
    }
    sections = {
        "DEFAULT": {**_common(directory, port, f"swift-{kind}"), **default},
        "pipeline:main": {"pipeline": f"{kind}-server"},
        f"app:{kind}-server": {"use": f"egg:swift#{kind}"},
    }
    return ini(sections, {})


def _ring(port: int) -> bytes:
    """Return a ring of one device: Swift's ring file format, version 1 (its documentation: "The Rings")."""
    place = {"ip": HOST, "port": port, "replication_ip": HOST, "replication_port": port}
    device = {"id": 0, "region": 1, "zone": 1, "weight": 1.0, "device": DEVICE, "meta": "", **place}
    power = 1
    head = {"devs": [device], "part_shift": 32 - power, "replica_count": 1, "byteorder": sys.byteorder}
    text = json.dumps(head).encode()
    partitions = array.array("H", [0] * 2**power)  # all on device 0
    return gzip.compress(b"R1NG" + struct.pack("!HI", 1, len(text)) + text + partitions.tobytes(), mtime=0)
