"""Make bootstrapped databases once, and copy them for every new sandbox: creating the tables takes 10 s."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import sqlite3
import subprocess
from collections.abc import Mapping
from pathlib import Path

from openstack_image_manager.errors import Error
from openstack_image_manager.sandbox import config, process
from openstack_image_manager.sandbox.install import MARKER, REQUIREMENTS, discard, fingerprint, is_complete
from openstack_image_manager.sandbox.process import HOST, Say

_ACCOUNTS = Path(__file__).with_name("accounts.py")


def wanted() -> str:
    """Return the fingerprint of a current template, and of the data copied from it."""
    return fingerprint(REQUIREMENTS, _ACCOUNTS)


def make(directory: Path, python: Path, log: Path, say: Say) -> None:
    """Make sure `directory` holds `keystone/`, `glance/` and `password`; an incomplete or outdated one is made
    again."""
    if is_complete(directory, wanted()):
        return
    say("Preparing empty databases (once; about 15 seconds)")
    partial = directory.with_name(directory.name + ".partial")
    for path in (partial, directory):
        discard(path)
    keystone, glance = partial / "keystone", partial / "glance"
    for path in (keystone, glance):
        path.mkdir(parents=True)
    password = secrets.token_hex(12)
    (partial / "password").write_text(password)
    log.unlink(missing_ok=True)
    _keystone(keystone, python, password, log)
    (glance / "glance-manage.conf").write_text(
        config.ini({"database": {"connection": f"sqlite:///{glance}/glance.sqlite"}}, {})
    )
    _run([str(python.with_name("glance-manage")), f"--config-dir={glance}", "db_sync"], config.environment(glance), log)
    (partial / MARKER).write_text(wanted())
    partial.rename(directory)


def point(database: Path, urls: dict[tuple[str, str], str]) -> None:
    """Write the services' URLs into Keystone's catalogue; keys are (service type, region)."""
    query = "UPDATE endpoint SET url = ? WHERE region_id = ? AND service_id IN (SELECT id FROM service WHERE type = ?)"
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        for (kind, region), url in urls.items():
            connection.execute(query, (url, region, kind))


def _keystone(directory: Path, python: Path, password: str, log: Path) -> None:
    """Create keys, tables, the administrator with the first region, then everything in accounts.py."""
    (directory / "keystone.conf").write_text(config.keystone(directory, 3600, {}))
    for repository in ("fernet-keys", "credential-keys"):
        (directory / repository).mkdir(mode=0o700)
        for number in ("0", "1"):  # the next key and the current one
            (directory / repository / number).write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
    first, second = config.REGIONS.values()
    env = {**config.environment(directory), "OS_BOOTSTRAP_PASSWORD": password}
    manage = [str(python.with_name("keystone-manage")), f"--config-file={directory}/keystone.conf"]
    addresses = [f"--bootstrap-{name}-url=http://{HOST}/" for name in ("public", "internal", "admin")]
    _run([*manage, "db_sync"], env, log)
    _run([*manage, "bootstrap", *addresses, f"--bootstrap-region-id={first}"], env, log)
    _run([str(python), str(_ACCOUNTS), second], env, log)


def _run(command: list[str], env: Mapping[str, str], log: Path) -> None:
    with log.open("a") as record:
        ended = subprocess.run(command, env=env, stdout=record, stderr=record, timeout=300, check=False)
    if ended.returncode:
        name = Path(command[0]).name
        raise Error(f"{name} failed. Its last lines:\n{process.tail(log)}\nThe whole log: {log}")
