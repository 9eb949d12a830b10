"""Log in to Keystone as clouds.yaml or the OS_* environment says; every failure is one readable line.

Configuration: https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import copy
from typing import Any

from openstack_image_manager.cloud import clouds_yaml
from openstack_image_manager.errors import CloudError, Error, UnknownCloudError
from openstack_image_manager.redaction import public_url, redact, remember, remember_fields

ANSWER_TIMEOUT = 60.0  # seconds for any answer; `api_timeout` of a cloud in clouds.yaml wins
ENVIRONMENT = "OS_* environment"
MISSING_SOCKS = (
    "a proxy variable (all_proxy, https_proxy, http_proxy) names a SOCKS proxy, and the package PySocks for that is "
    "missing; install it in this environment (pip install PySocks), or name an http proxy"
)
_LOADING = threading.Lock()


class Connection:
    """A session with a cloud; `config`: its configuration from openstacksdk, `notes`: on its entry in clouds.yaml."""

    def __init__(self, config: Any, notes: tuple[str, ...] = ()) -> None:
        from keystoneauth1.identity.generic.base import BaseGenericPlugin

        from openstack_image_manager.cloud.answers import BoundedAdapter

        self.config, self.notes = config, notes
        self.session = config.get_session()
        http = self.session.session
        for scheme, transport in list(http.adapters.items()):
            http.mount(scheme, BoundedAdapter(transport))
        auth = self.session.auth
        # Where the URL names the version, Keystone need not be asked for its versions.
        fresh = isinstance(auth, BaseGenericPlugin) and auth.auth_ref is None  # it may have a token of a keyring
        if fresh and str(auth.auth_url).rstrip("/").endswith("/v3"):
            self.session.auth = auth.create_plugin(self.session, (3, 0), auth.auth_url) or auth

    def ask_for_versions(self) -> None:
        """Ask Keystone for its versions, where the login depends on them; the session keeps the answer. Raises
        MissingAuthPlugin when Keystone requires a login first: keystoneauth would begin one within the login, and wait
        for ever."""
        from keystoneauth1 import discover, exceptions
        from keystoneauth1.identity.generic.base import BaseGenericPlugin

        auth = self.session.auth
        if isinstance(auth, BaseGenericPlugin) and auth.auth_ref is None:
            bare = copy(self.session)
            bare.auth = None
            # The login meets every other error again, and can do without the answer.
            with suppress(exceptions.HttpError, exceptions.DiscoveryFailure):
                discover.get_discovery(bare, auth.auth_url, authenticated=False)

    def close(self) -> None:
        """Close the connections to the cloud."""
        self.session.session.close()


def log_in(cloud: str | None) -> tuple[Connection, str]:
    """A connection that has a token for a project, and the address of the cloud's image service without its version.

    `cloud` is a name in clouds.yaml, None: what the OS_* environment says. Raises CloudError."""
    name = cloud or ENVIRONMENT
    try:
        with translated_errors(name):
            return _log_in(cloud, f"cloud '{name}'")
    except Error:
        raise
    except Exception as error:
        # openstacksdk does not check what it reads: a list instead of a mapping is an AttributeError, and a missing
        # password a bare Exception.
        if cloud and (odd := _not_a_mapping("clouds", cloud, "auth")):
            raise CloudError(f"cloud '{name}': {odd}") from None
        if cloud and (wrong := _mistake(error, cloud)):
            raise CloudError(f"cloud '{name}': {wrong}") from None
        hint = "check the cloud's entry in clouds.yaml" if cloud else "check the OS_* variables"
        raise CloudError(f"cloud '{name}': login is not possible: {_line(error)}; {hint}") from None


def load() -> Any:
    """openstack.config, and in memory openstack.exceptions, without the other modules of openstacksdk: its `__init__`
    loads those of all services, which takes longer than a run with nothing to do. So the package gets into sys.modules
    without its `__init__`. Any later import of openstack has the same small package."""
    with _LOADING:
        if "openstack" not in sys.modules:
            spec = importlib.util.find_spec("openstack")
            assert spec is not None, "it is a dependency"
            sys.modules["openstack"] = importlib.util.module_from_spec(spec)
        import openstack.config
        import openstack.exceptions

        return openstack.config


def _configuration() -> Any:
    """All that clouds.yaml and the environment say."""
    return load().OpenStackConfig()


def _log_in(cloud: str | None, where: str) -> tuple[Connection, str]:
    from keystoneauth1 import exceptions as auth

    region, notes = _region(cloud, where)
    auth_data = region.config["auth"]
    remember_fields(auth_data)
    connection = Connection(region, notes)
    try:
        try:
            connection.ask_for_versions()
            remember(connection.session.get_token())
        except auth.MissingAuthPlugin:
            keystone = public_url(str(region.config["auth"].get("auth_url", "")))
            raise CloudError(f"{where}: {keystone} answers 401 before any login; check auth_url") from None
        except (auth.HttpError, auth.InvalidResponse, auth.CatalogException, auth.DiscoveryFailure) as error:
            if isinstance(error, auth.Unauthorized):
                raise
            keystone = public_url(str(region.config["auth"].get("auth_url", "")))
            hint = "check auth_url, user and project"
            raise CloudError(f"{where}: login at {keystone} failed: {_line(error)}; {hint}") from None
        if connection.session.get_project_id() is None:
            raise CloudError(f"{where}: the login is for no project; set project_name and project_domain_name")
        endpoint = region.get_session_endpoint("image")
        if not endpoint:
            asked = f"region_name '{region.region_name or ''}', interface '{region.get_interface('image')}'"
            raise CloudError(f"{where}: no image service in the catalogue for {asked}; check them in clouds.yaml")
    except BaseException:
        connection.close()
        raise
    return connection, endpoint.rstrip("/").removesuffix("/v2")


def _region(cloud: str | None, where: str) -> tuple[Any, tuple[str, ...]]:
    """The configuration of the cloud in one region, and notes on it. openstacksdk skips a clouds.yaml that is not YAML,
    with only a log entry."""
    skipped = _Messages(logging.WARNING)
    logger = logging.getLogger("openstack.config")
    logger.addHandler(skipped)
    try:
        config = _configuration()
    finally:
        logger.removeHandler(skipped)
    clouds = config.cloud_config["clouds"]
    cloud, region_name = clouds_yaml.find(clouds, cloud) if cloud is not None else (None, None)
    if cloud is not None and cloud not in clouds and skipped.messages:
        raise CloudError(f"{where}: {'; '.join(skipped.messages)}")
    if cloud is not None and (missing := _missing_file()):
        raise CloudError(f"{where}: {missing}")
    if cloud is not None and cloud not in clouds:
        if config.config_filename is None:
            raise CloudError(
                f"{where}: there is no readable clouds.yaml here, in ~/.config/openstack or in /etc/openstack; "
                "set OS_CLIENT_CONFIG_FILE to its path, or OS_AUTH_URL and its like"
            )
        names = ", ".join(sorted(set(map(str, clouds)) - {"defaults", config.envvar_key})) or "none"
        raise UnknownCloudError(
            f"{where}: not in {config.config_filename}; name one with --cloud (its clouds: {names})"
        )
    if cloud is not None and clouds[cloud] is None:
        raise CloudError(f"{where}: its entry in {config.config_filename} is empty; give it auth and region_name")
    region, notes = _get_one(config, cloud, region_name, where)
    region.config["api_timeout"] = region.config.get("api_timeout") or ANSWER_TIMEOUT
    return region, notes


def _get_one(config: Any, cloud: str | None, region_name: str | None, where: str) -> tuple[Any, tuple[str, ...]]:
    """The cloud in the region that was asked for, that OS_REGION_NAME chooses, or in its first one, with notes about
    what that leaves out."""
    notes: list[str] = []
    # catch_warnings is for the whole process: a warning would print the path of a module of openstacksdk.
    with _LOADING, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if cloud is None:
            region = config.get_one(config.envvar_key)
        else:
            regions = clouds_yaml.region_names(config, cloud)
            chosen = region_name or (os.environ.get("OS_REGION_NAME") if len(regions) > 1 else None)
            if chosen and regions and chosen not in regions:
                raise UnknownCloudError(f"{where}: has no region '{chosen}'; its regions: {', '.join(regions)}")
            if len(regions) > 1 and not chosen:
                others = ", ".join(clouds_yaml.qualified(cloud, other) for other in regions[1:])
                notes.append(f"{where}: only its first region {regions[0]} is used; for the others, name {others}")
            region = config.get_one(cloud, region_name=chosen or "")
    if cloud is not None and any("vendor profile" in str(warning.message) for warning in caught):
        spot = clouds_yaml.place("clouds", cloud, "profile")
        notes.append(f"{spot}: openstacksdk does not know this profile, so it has no effect; correct or remove it")
    return region, tuple(notes)


def _mistake(error: Exception, cloud: str) -> str | None:
    config = _configuration()
    cloud, _ = clouds_yaml.find(config.cloud_config["clouds"], cloud)
    entry = config.cloud_config["clouds"].get(cloud) or {}
    return clouds_yaml.mistake(error, cloud, str(entry.get("auth_type") or "password"))


def known_clouds() -> list[str]:
    """The names of all clouds in clouds.yaml, `NAME:REGION` for each of several regions. Raises CloudError when there
    is none."""
    with translated_errors("clouds.yaml"):
        try:
            config = _configuration()
        except (AttributeError, TypeError) as error:
            raise CloudError(_not_a_mapping("clouds") or f"clouds.yaml cannot be read: {_line(error)}") from None
    names = sorted(set(map(str, config.cloud_config["clouds"])) - {"defaults", config.envvar_key})
    if missing := _missing_file():
        raise CloudError(missing)
    if config.config_filename is None or not names:
        raise CloudError("there is no readable clouds.yaml with clouds in it; set OS_CLIENT_CONFIG_FILE to its path")
    return [name for cloud in names for name in _with_regions(config, cloud)]


def _with_regions(config: Any, cloud: str) -> list[str]:
    """One name for each region of a cloud; the login to an entry that cannot be read reports what is wrong with it."""
    with _LOADING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            regions = clouds_yaml.region_names(config, cloud)
        except Exception:  # openstacksdk does not check what it reads, see log_in
            regions = []
    return [clouds_yaml.qualified(cloud, region) for region in regions] if len(regions) > 1 else [cloud]


def _not_a_mapping(*keys: str) -> str | None:
    """The message about the outermost entry of clouds.yaml that is not a mapping; None: all are."""
    from openstack_image_manager.definitions.nodes import plain
    from openstack_image_manager.definitions.yaml_tree import InvalidYamlError

    path = clouds_yaml.path()
    try:
        with open(path, "rb") as file:
            value = plain(file.read(clouds_yaml.MOST))
    except (OSError, InvalidYamlError):
        return None
    for number, key in enumerate(keys, 1):
        if key not in value:
            return None
        value = value[key]
        if not isinstance(value, dict):
            return f"'{'.'.join(keys[:number])}' in {path} must be a mapping of names to values"
    return None


def _missing_file() -> str | None:
    """The error of OS_CLIENT_CONFIG_FILE; openstacksdk silently reads other files instead."""
    path = os.environ.get("OS_CLIENT_CONFIG_FILE")
    try:
        if path:
            open(path, "rb").close()
    except FileNotFoundError:
        return f"OS_CLIENT_CONFIG_FILE names {path}, which does not exist; correct it, or unset it"
    except OSError as error:
        return f"OS_CLIENT_CONFIG_FILE names {path}, which cannot be read: {error.strerror}"
    return None


class _Messages(logging.Handler):
    """Keeps the log messages, one line each."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(" ".join(redact(record.getMessage()).removeprefix("Skipping config file ").split()))


@contextmanager
def translated_errors(cloud: str) -> Iterator[None]:
    """Turn the exceptions of openstacksdk and keystoneauth into one readable line each."""
    from keystoneauth1 import exceptions as auth

    load()
    from openstack import exceptions as sdk

    where = f"cloud '{cloud}'"
    try:
        yield
    except auth.Unauthorized as error:
        raise CloudError(f"{where}: login refused; check user, password and project ({_line(error)})", 401) from None
    except auth.SSLError as error:
        hint = "check the certificate, and cacert in clouds.yaml"
        raise CloudError(f"{where}: TLS failed with {_reason(error)}; {hint}") from None
    except auth.ConnectionError as error:
        from openstack_image_manager.cloud.answers import RefusedAnswerError

        cause = getattr(error, "original", None)
        if isinstance(cause, RefusedAnswerError):
            raise CloudError(f"{where}: {cause}") from None
        if "Missing dependencies for SOCKS support" in str(error):
            raise CloudError(f"{where}: {MISSING_SOCKS}") from None
        raise CloudError(f"{where}: no connection to {_reason(error)}; check that address") from None
    except (auth.MissingRequiredOptions, auth.NoMatchingPlugin) as error:
        raise CloudError(f"{where}: login data is incomplete: {_line(error)}") from None
    except (auth.ClientException, sdk.SDKException) as error:
        status = getattr(error, "http_status", None) or getattr(error, "status_code", None)
        raise CloudError(f"{where}: {_line(error)}", status) from None


def _reason(error: Exception) -> str:
    """`URL (Connection refused)`, without the names of the exceptions of three libraries."""
    text = _line(error, 2000)
    url = re.search(r"https?://[^\s'\"]+", text)
    cause = re.search(r"certificate verify failed: [^(\"']+|\[Errno -?\d+\] [\w ]+|Request to \S+ timed out", text)
    if url is None or cause is None:
        return text[:300]
    reason = re.sub(r"\[Errno -?\d+\] |Request to \S+ ", "", cause.group()).strip()
    return f"{public_url(url.group().rstrip(':,'))} ({reason})"


def _line(error: Exception, limit: int = 300) -> str:
    return " ".join(redact(str(error)).split())[:limit]
