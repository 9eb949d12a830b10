"""Write the configuration files of the sandbox."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from openstack_image_manager.sandbox.process import HOST

Config = Mapping[str, Mapping[str, str]]

REGIONS = {"glance-one": "RegionOne", "glance-two": "RegionTwo"}
GLANCE_DIRECTORIES = ("fast", "slow", "staging", "tasks", "work", "locks", "policy.d")

# Named in the environment, not in argv: Keystone parses sys.argv for itself and refuses gunicorn's options.
_GUNICORN = """\
import gc
import sys
import threading
import types

import jsonschema
import sqlalchemy
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import NoMoreData
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import QueuePool

bind = "{host}:{port}"
wsgi_app = "{service}.wsgi.api:application"
chdir = {directory!r}
proc_name = "sandbox {name}"
worker_class = "gthread"
workers = 1
threads = 16
keepalive = 60
timeout = 300
graceful_timeout = 3
control_socket_disable = True


def post_worker_init(worker):
    # Keystone loads its policy during the first request that needs it, and refuses simultaneous requests.
    if {service!r} == "keystone":
        from keystone.common.rbac_enforcer import RBACEnforcer

        RBACEnforcer()._enforcer.load_rules()
    # The objects of a service stay in memory. A garbage collection of them takes a sixth of a second, after every few
    # hundred listed images.
    gc.collect()
    gc.freeze()


_request = threading.local()


def pre_request(worker, request):
    _request.only_reads = request.method in ("GET", "HEAD")


# SAML, which the sandbox does not offer, prepares its XML schemas at every start of Keystone, in more than a second.
_saml = types.ModuleType("saml2.xml.schema")
_saml.XMLSchemaError = _saml.validate = None
sys.modules["saml2.xml.schema"] = _saml


# oslo.db opens a connection to sqlite for each transaction, which takes a fifth of the time of a request. It names its
# pool NullPool: that name is given to a pool that keeps connections, enough of them for all threads.
class _Pool(QueuePool):
    def __init__(self, creator, pre_ping=False, **options):
        super().__init__(creator, pool_size=64, **options)


sqlalchemy.pool.NullPool = _Pool


# Every request with a body would check the service's own schema, which never changes, before the body.
jsonschema.Draft202012Validator.check_schema = lambda schema, **options: None


# sqlite as the services use it answers "database is locked" as soon as two requests write: a transaction that begins
# with a read cannot wait for the lock. A transaction that begins as a writer waits. Requests that only read never wait,
# as in the databases of real clouds.
@event.listens_for(Engine, "connect")
def _connect(connection, record):
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=OFF")


@event.listens_for(Engine, "begin")
def _begin(connection):
    if "in_transaction" not in connection.info:
        reads = getattr(_request, "only_reads", False)
        connection.execute(sqlalchemy.text("BEGIN" if reads else "BEGIN IMMEDIATE"))
        connection.info["in_transaction"] = True


# A client that dies in the middle of a body with Content-Length looks like the end of the body to gunicorn, and Glance
# would keep the incomplete data. uWSGI and mod_wsgi, which clouds use, report an error.
_read = LengthReader.read


def _read_or_fail(self, size):
    wanted = min(self.length, size)
    data = _read(self, size)
    if len(data) < wanted:
        raise NoMoreData(data)
    return data


LengthReader.read = _read_or_fail
"""


def gunicorn(service: str, directory: Path, port: int) -> str:
    """Return the settings of the WSGI server, with the sqlite settings that concurrent requests need."""
    return _GUNICORN.format(service=service, name=directory.name, directory=str(directory), host=HOST, port=port)


def environment(directory: Path) -> Mapping[str, str]:
    """Return the environment of a service: ours without Python settings and without proxies, since it uses loopback."""
    leaks = ("PYTHON", "COV_", "OS_", "GUNICORN", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    return {key: value for key, value in os.environ.items() if not key.upper().startswith(leaks)} | {
        "GUNICORN_CMD_ARGS": f"--config={shlex.quote(str(directory / 'gunicorn.conf.py'))}",
        "OS_KEYSTONE_CONFIG_FILES": str(directory / "keystone.conf"),
        "OS_GLANCE_CONFIG_DIR": str(directory),
    }


def ini(sections: Config, extra: Config) -> str:
    """Format an oslo.config file; `extra` adds to the sections and overrides them."""
    lines = []
    for name in {**sections, **extra}:
        lines.append(f"[{name}]")
        lines += [f"{key} = {value}" for key, value in {**sections.get(name, {}), **extra.get(name, {})}.items()]
        lines.append("")
    return "\n".join(lines)


def keystone(directory: Path, token_expiration: int, extra: Config) -> str:
    """Return keystone.conf; `token_expiration` in seconds."""
    sections = {
        "database": {"connection": f"sqlite:///{directory}/keystone.sqlite"},
        "token": {"provider": "fernet", "expiration": str(token_expiration)},
        "fernet_tokens": {"key_repository": f"{directory}/fernet-keys"},
        "fernet_receipts": {"key_repository": f"{directory}/fernet-keys"},
        "credential": {"key_repository": f"{directory}/credential-keys"},
        # the cheapest bcrypt: a log-in takes milliseconds
        "identity": {"password_hash_rounds": "4"},
        "cache": {"enabled": "true", "backend": "dogpile.cache.memory"},
        "oslo_policy": {"policy_dirs": f"{directory}/policy.d"},
    }
    return ini(sections, extra)


def glance(
    directory: Path, paste: Path, port: int, keystone_url: str, password: str, region: str, extra: Config
) -> str:
    """Return glance-api.conf: two file stores, all import methods, downloads from 127.0.0.1 (any port) only."""
    sections = {
        "DEFAULT": {
            "enabled_backends": "fast:file,slow:file",
            # list options with bounds need brackets
            "enabled_import_methods": "[glance-direct,web-download,copy-image]",
            "worker_self_reference_url": f"http://{HOST}:{port}",
        },
        "database": {"connection": f"sqlite:///{directory}/glance.sqlite"},
        "glance_store": {"default_backend": "fast"},
        "fast": {"filesystem_store_datadir": f"{directory}/fast"},
        "slow": {"filesystem_store_datadir": f"{directory}/slow"},
        "os_glance_staging_store": {"filesystem_store_datadir": f"{directory}/staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": f"{directory}/tasks"},
        "task": {"work_dir": f"{directory}/work"},
        "oslo_concurrency": {"lock_path": f"{directory}/locks"},
        "oslo_policy": {"policy_dirs": f"{directory}/policy.d"},
        "paste_deploy": {"flavor": "keystone", "config_file": str(paste)},
        "import_filtering_opts": {
            "allowed_schemes": "[http]",
            "allowed_hosts": f"[{HOST}]",
            # both empty: any port
            "allowed_ports": "[]",
            "disallowed_ports": "[]",
        },
        "keystone_authtoken": {
            "www_authenticate_uri": keystone_url,
            "auth_url": keystone_url,
            "auth_type": "password",
            "username": "glance",
            "password": password,
            "project_name": "service",
            "user_domain_id": "default",
            "project_domain_id": "default",
            "region_name": region,
        },
    }
    return ini(sections, extra)


CONVERSION: Config = {
    "image_import_opts": {"image_import_plugins": "['image_decompression','image_conversion']"},
    "image_conversion": {"output_format": "raw"},
}


def merged(first: Config, second: Config) -> Config:
    """Merge both by section; `second` overrides `first`."""
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in {**first, **second}}


def clouds(keystone_url: str, password: str, image_url: str | None = None) -> str:
    """Return clouds.yaml with `openstack`, `member` and `second`; `image_url` replaces Glance's URL for the first
    two."""
    accounts = {
        "openstack": ("admin", "RegionOne"),
        "member": ("member", "RegionOne"),
        "second": ("admin", "RegionTwo"),
    }
    lines = ["clouds:"]
    for name, (account, region) in accounts.items():
        lines += [
            f"  {name}:",
            f"    region_name: {region}",
            "    identity_api_version: 3",
            "    auth:",
            f"      auth_url: {keystone_url}",
            f"      username: {account}",
            f"      password: {password}",
            f"      project_name: {account}",
            "      user_domain_id: default",
            "      project_domain_id: default",
        ]
        if image_url and region == "RegionOne":
            lines.append(f"    image_endpoint_override: {image_url}")
    return "\n".join(lines) + "\n"
