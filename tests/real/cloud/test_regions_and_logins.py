"""Regions, federated logins, and mistakes in clouds.yaml as people make them, at a real Keystone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.attempts import Attempt, refused, spoilt
from tests.support.device_login import DeviceLogin

from openstack_image_manager.sandbox.site import serving

BOTH = ["RegionOne", "RegionTwo"]
FIRST = "only its first region RegionOne is used; for the others, name many:RegionTwo"


def many(entry: dict[str, Any], **regions: Any) -> str:
    """A clouds.yaml with the cloud `many`, which has these regions, and `one`."""
    without = {key: value for key, value in entry.items() if key != "region_name"}
    return yaml.safe_dump({"clouds": {"many": {**without, **regions}, "one": entry}})


# Where a shape is from, and what it says of regions.
REGIONS = [
    ("gtema/openstack#1534", {"regions": BOTH}),
    ("prowler-cloud/prowler, OpenstackProvider", {"regions": BOTH, "identity_api_version": 3}),
    ("openstacksdk, user guide", {"regions": [{"name": "RegionOne", "values": {"image_api_version": 2}}, "RegionTwo"]}),
    ("softwarefactory-project/dhall-openstacksdk", {"regions": [{"name": name} for name in BOTH]}),
    ("os-client-config, before `regions`", {"region_name": "RegionOne,RegionTwo"}),
    ("os-client-config, a list", {"region_name": BOTH}),
]


@pytest.mark.parametrize("regions", [shape[1] for shape in REGIONS], ids=[shape[0] for shape in REGIONS])
def test_each_region_is_a_cloud_of_its_own(attempt: Attempt, entry: dict[str, Any], regions: dict[str, Any]) -> None:
    clouds = many(entry, **regions)
    outcome = attempt(clouds, "--all-clouds", "--output", "json")
    assert [cloud["cloud"] for cloud in json.loads(outcome.out)["clouds"]] == [
        "many:RegionOne",
        "many:RegionTwo",
        "one",
    ]
    assert outcome.err == ""
    outcome = attempt(clouds, "--cloud", "many")
    assert (outcome.code, FIRST in outcome.out, outcome.err) == (0, True, ""), outcome.text


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--cloud", "many:RegionTwo"], {}),
        (["--cloud", "many", "--region", "RegionTwo"], {}),
        (["--cloud", "many"], {"OS_REGION_NAME": "RegionTwo"}),
        ([], {"OS_REGION_NAME": "RegionTwo", "OS_CLOUD": "many"}),
        (["--cloud", "many", "--region", "RegionTwo"], {"OS_REGION_NAME": "RegionOne"}),
        (["--cloud", "many:RegionTwo"], {"OS_REGION_NAME": "RegionOne"}),
    ],
)
def test_the_region_that_is_chosen(
    attempt: Attempt, entry: dict[str, Any], tmp_path: Path, arguments: list[str], variables: dict[str, str]
) -> None:
    saved = tmp_path / "saved.plan"
    outcome = attempt(many(entry, regions=BOTH), *arguments, "--out", str(saved), **variables)
    assert outcome.code == 0, outcome.text
    assert json.loads(saved.read_text())["where"]["region"] == "RegionTwo"
    assert "first region" not in outcome.text


@pytest.mark.parametrize("variables", [{}, {"OS_REGION_NAME": "RegionTwo"}])
def test_one_region_stays_what_the_file_says(
    attempt: Attempt, entry: dict[str, Any], tmp_path: Path, variables: dict[str, str]
) -> None:
    """CSCfi's openrc for Pouta: `regions` with one entry."""
    without = {key: value for key, value in entry.items() if key != "region_name"}
    for cloud in (entry, {**without, "regions": ["RegionOne"]}):
        saved = tmp_path / "saved.plan"
        assert attempt(cloud, "--cloud", "openstack", "--out", str(saved), **variables).code == 0
        assert json.loads(saved.read_text())["where"]["region"] == "RegionOne"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--cloud", "many:Nowhere"], ("cloud 'many:Nowhere': has no region 'Nowhere'", "RegionOne, RegionTwo")),
        (["--cloud", "one", "--region", "RegionTwo"], ("cloud 'one:RegionTwo': has no region", "RegionOne")),
        (["--cloud", "none:RegionOne"], ("cloud 'none:RegionOne': not in", "many, one")),
        (["--cloud", "many:"], ("cloud 'many:': not in", "many, one")),
        (["--all-clouds", "--region", "RegionOne"], ("--region and --all-clouds exclude each other",)),
    ],
)
def test_a_region_that_is_not_there(
    attempt: Attempt, entry: dict[str, Any], arguments: list[str], parts: tuple[str, ...]
) -> None:
    refused(attempt(many(entry, regions=BOTH), *arguments), *parts, code=2)


def test_region_of_the_environment(attempt: Attempt) -> None:
    variables = {"OS_AUTH_URL": "http://127.0.0.1:9/v3"}
    refused(attempt("{}", "--region", "RegionTwo", **variables), "--region needs --cloud", "OS_REGION_NAME", code=2)


@pytest.mark.parametrize(
    ("source", "auth", "extra", "parts"),
    [
        (
            "os-migrate/os-migrate#751",
            {"application_credential_id": "0" * 32, "application_credential_secret": "s" * 20},
            {},
            ("'application_credential_", "needs the line 'auth_type: v3applicationcredential'", "not below it"),
        ),
        (
            "an application credential by its name",
            {"application_credential_name": "images", "application_credential_secret": "s" * 20},
            {},
            ("'application_credential_", "needs the line 'auth_type: v3applicationcredential'"),
        ),
        (
            "openstacksdk, domains in auth",
            {"default_domain": "default"},
            {},
            ("'default_domain' below auth is not known to auth_type 'password'", "write 'default_domain_id'"),
        ),
        (
            "os-migrate/os-migrate#792, run together",
            {"region_name": "RegionOne"},
            {},
            ("'region_name' below auth is not known to auth_type 'password'; remove or correct it",),
        ),
    ],
)
def test_the_line_of_a_mistake(
    attempt: Attempt, entry: dict[str, Any], source: str, auth: dict[str, str], extra: dict[str, str], parts: tuple[str]
) -> None:
    gone = {"username", "password", "project_name", "user_domain_id", "project_domain_id"} if len(auth) > 1 else set()
    kept = {key: value for key, value in entry["auth"].items() if key not in gone}
    text = yaml.safe_dump({"clouds": {"openstack": {**entry, **extra, "auth": {**kept, **auth}}}}, sort_keys=False)
    outcome = attempt(text, "--cloud", "openstack")
    numbers = [number for number, line in enumerate(text.splitlines(), 1) if any(f"{key}:" in line for key in auth)]
    refused(outcome, "clouds.yaml:", *parts)
    assert any(f"clouds.yaml:{number}: " in outcome.err for number in numbers), source


def test_a_profile_that_nobody_knows(attempt: Attempt, entry: dict[str, Any]) -> None:
    text = yaml.safe_dump({"clouds": {"openstack": {"profile": "unknownvendor", **entry}}}, sort_keys=False)
    outcome = attempt(text, "--cloud", "openstack")
    assert (outcome.code, outcome.err) == (0, ""), outcome.text
    assert "clouds.yaml:3: openstacksdk does not know this profile, so it has no effect" in outcome.out


# Entries of public clouds.yaml files that work as they are; our own values.
@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("openstack/openstack-ansible", {"tenant_name": "admin", "identity_api_version": "3", "interface": "internal"}),
        ("os-migrate, README", {"identity_api_version": "3", "volume_api_version": "3"}),
        ("openstack/openstack-helm", {"identity_api_version": 3, "cacert": None}),
        ("b3lab/safir", {"volume_api_version": "2", "identity_api_version": "3"}),
        ("CSCfi, Pouta", {"interface": "public", "identity_api_version": 3}),
        ("gtema/keystone, verify", {"verify": False}),
    ],
)
def test_public_entries(attempt: Attempt, entry: dict[str, Any], source: str, changes: dict[str, Any]) -> None:
    outcome = attempt(spoilt(entry, **changes), "--cloud", "openstack")
    assert (outcome.code, outcome.err) == (0, ""), (source, outcome.text)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_where_to_log_in_is_printed_at_once(attempt: Attempt, entry: dict[str, Any], log_format: str) -> None:
    """SovereignCloudStack/standards#208: the device flow is the login for the command line."""
    with serving(DeviceLogin()) as provider:
        auth = {"identity_provider": "idp", "protocol": "openid", "client_id": "cli", "client_secret": "none"}
        auth |= {"discovery_endpoint": f"{provider.url}/.well-known/openid-configuration"}
        auth |= {key: entry["auth"][key] for key in ("auth_url", "project_name", "project_domain_id")}
        cloud = {"region_name": "RegionOne", "auth_type": "v3oidcdeviceauthz", "auth": auth}
        outcome = attempt(cloud, "--cloud", "openstack", "--log-format", log_format)
    first, last = outcome.err.splitlines()
    if log_format == "text":
        assert first == f"note: cloud 'openstack': To authenticate please go to: {provider.address}"
    else:
        message = f"To authenticate please go to: {provider.address}"
        assert (json.loads(first)["message"], json.loads(first)["cloud"]) == (message, "openstack")
    assert (outcome.code, outcome.out) == (1, "")
    assert "Timeout for OpenID Connect device authorization" in last
