"""`keys` fetches and lists public keys of upstreams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openstack_image_manager.cli import options
from openstack_image_manager.cli.groups import with_groups

if TYPE_CHECKING:
    from openstack_image_manager.signatures.keyring import AnyKey

YEAR = 366  # days; a key that expires within them is pointed out

keys_app = typer.Typer(
    help="Manage the public keys of upstreams.\n\n\b\nExample:\n  openstack-image-manager keys list",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(keys_app, name="keys")


Keys = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        metavar="DIR",
        help="Directory of keys. Default: openstack-image-manager/keys in your data directory.",
    ),
]


@keys_app.command()
@with_groups
def fetch(
    *,
    url: Annotated[str, typer.Argument(metavar="URL", help="File that contains the key.")],
    fingerprint: Annotated[
        str, typer.Argument(metavar="FINGERPRINT", help="Fingerprint of the primary key, or SHA-256 of an RSA key.")
    ],
    keys: Keys = None,
    reporting: options.Report,
) -> None:
    """Fetch a key and store it if its fingerprint matches.

    Only the fingerprint is trusted: compare it with a second source of the upstream.

    \b
    Example:
      openstack-image-manager keys fetch https://repo.almalinux.org/almalinux/RPM-GPG-KEY-AlmaLinux-9 \\
        BF18AC2876178908D6E71267D36CB86CB86B3716
    """
    from openstack_image_manager.errors import UsageError, VerificationError
    from openstack_image_manager.signatures.keyring import default_directory, fetch_key
    from openstack_image_manager.signatures.report import of_key
    from openstack_image_manager.signatures.verdict import normalize_fingerprints

    with reporting.recording("keys fetch") as record:
        try:
            normalize_fingerprints([fingerprint])
        except VerificationError as error:
            raise UsageError(str(error)) from None
        path = fetch_key(url, fingerprint, keys or default_directory())
        record.content = of_key(url, path.stem, path)
        typer.echo(f"stored: {path}")


@keys_app.command("list")
def list_keys(keys: Keys = None) -> None:
    """List stored keys and those of the catalogue, with their subkeys and when they expire.

    \b
    Example:
      openstack-image-manager keys list
    """
    from openstack_image_manager.report.log import say
    from openstack_image_manager.signatures.keyring import SHIPPED, default_directory, list_keys
    from openstack_image_manager.signatures.programs import missing_program

    for directory in [keys] if keys else [default_directory(), SHIPPED]:
        lines = [line for path, key in list_keys(directory) for line in _lines(path, key)]
        typer.echo("\n".join(lines) if lines else f"There are no keys in {directory}.")
    if missing := missing_program():
        say("warning", missing)


def _lines(path: Path, key: AnyKey | str) -> list[str]:
    from openstack_image_manager.redaction import printable
    from openstack_image_manager.signatures.keyring import PublicKey

    if isinstance(key, str):
        return [f"(unusable: {key})  {path}"]
    if isinstance(key, PublicKey):
        return [f"{key.fingerprint}  RSA public key  {path}"]
    owner = printable(key.user_ids[0]) if key.user_ids else "(no user id)"
    return [
        f"{key.fingerprint}  {owner}{_state(key.primary.revoked, key.primary.expires)}  {path}",
        *(f"  subkey {subkey.fingerprint}{_state(subkey.revoked, subkey.expires)}" for subkey in key.subkeys),
    ]


def _state(revoked: bool, expires: int) -> str:
    from datetime import UTC, datetime

    from openstack_image_manager.humanize import count

    if revoked:
        return " (revoked)"
    if not expires:
        return ""
    end = datetime.fromtimestamp(expires, UTC)
    days = (end - datetime.now(UTC)).days
    soon = f", within {count(days + 1, 'day')}" if 0 <= days < YEAR else ""
    return f" ({'expired' if days < 0 else 'expires'} {end:%Y-%m-%d}{soon})"
