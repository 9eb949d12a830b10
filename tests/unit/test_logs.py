"""What --debug shows, and what nothing ever shows."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openstack_image_manager import told
from openstack_image_manager.cli.logs import is_json, mask, say, set_up

SECRET = "s3cr3t-W0rd"
FERNET = "gAAAAABmX2l4d0Z5c3RlbS10b2tlbi1vZi1rZXlzdG9uZQ-_=="


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://user:{SECRET}@example.org/disk.img",
        f"GET https://user:p@{SECRET}@example.org/disk.img",
        f"GET https://{SECRET}@example.org?x=1",
        f"https://a:1@one.org/ https://b:{SECRET}@two.org/",
        f"https://example.org/disk?X-Amz-Signature={SECRET}&X-Amz-Date=20240416",
        f"'GET /disk?temp_url_sig={SECRET} HTTP/1.1' 200",
        f"/disk?a=1&AWSAccessKeyId={SECRET}#x",
        f'-H "X-Auth-Token: {SECRET}" -H "Accept: */*"',
        f"X-Subject-Token: {SECRET} Connection: close",
        f"x-auth-key:{SECRET}",
        f"Authorization: Basic {SECRET}",
        f"authorization: AWS4-HMAC-SHA256 Credential=AKIA, Signature={SECRET}",
        f"Set-Cookie: session={SECRET}; HttpOnly",
        f"{{'Authorization': 'Basic {SECRET}'}}",
        f"{{'Authorization': b'Basic {SECRET}'}}",
        f'{{"password": "{SECRET}"}}',
        f'{{"password": "two words {SECRET}"}}',
        f'{{"password": "a \\" quote {SECRET}"}}',
        f'{{"password":"line\n{SECRET}"}}',
        f"{{'password': 'it is \\'{SECRET}'}}",
        f'{{"password": "never ends {SECRET}',
        json.dumps(json.dumps({"user": {"password": f"two words {SECRET}"}})),
        f"password={SECRET}",
        f"adminPassword = {SECRET};",
        f"secret_key: {SECRET}, next: 1",
        f"auth_token={SECRET}",
        f"passcode={SECRET}",
        f"PASSPHRASE={SECRET}",
    ],
)
def test_no_secret_is_shown_in_any_of_its_places(text: str) -> None:
    masked = mask(text)
    assert SECRET not in masked
    assert "***" in masked


def test_what_stands_around_a_secret_stays() -> None:
    assert mask(f"GET https://u:{SECRET}@example.org:8080/d?a=1 200") == "GET https://***@example.org:8080/d?a=1 200"
    assert mask(f"/d?sig={SECRET}&a=1") == "/d?sig=***&a=1"
    assert mask(f'-H "X-Auth-Token: {SECRET}" -H "A: b"') == '-H "X-Auth-Token: ***" -H "A: b"'
    assert mask(f'{{"password": "{SECRET}", "name": "x"}}') == '{"password": ***, "name": "x"}'
    assert mask(f"{{'token': '{SECRET}', 'b': 'c'}}") == "{'token': ***, 'b': 'c'}"


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/a@b/disk.img?versionId=1",
        "Vary: X-Auth-Token x-openstack-request-id: req-20bbb9f9",
        "found extension EntryPoint(name='v3token', group='keystoneauth1.plugin')",
        '{"href": "http://example.org", "mail": "a@b"}',
        "wrong checksum: expected sha256:94e1, got sha256:0000; nothing was published",
        '{"token": {"methods": ["password"], "user": {"name": "x"}}}',
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert mask(text) == text


def test_a_token_of_keystone_is_known_wherever_it_stands() -> None:
    assert mask(f'{{"identity": {{"methods": ["token"], "token": {{"id": "{FERNET}"}}}}}}').count("gAAAA") == 0


@pytest.mark.parametrize("name", ["OS_PASSWORD", "OS_TOKEN", "OS_APPLICATION_CREDENTIAL_SECRET", "OS_PASSCODE"])
def test_secrets_of_the_environment_are_masked_however_they_are_written(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = 'a"b/c %é'
    monkeypatch.setenv(name, secret)
    monkeypatch.setenv("OS_USERNAME", "alice")
    monkeypatch.setenv("OS_PASSWORD_", "")
    for text in (secret, json.dumps({"x": secret}), "/x=a%22b%2Fc%20%25%C3%A9&y=1"):
        assert mask(f"alice said {text}").startswith("alice said ")
        assert "***" in mask(text)
        assert "b/c" not in mask(text)
        assert "b%2Fc" not in mask(text)


@given(st.text(min_size=1).filter(lambda text: text not in '{"password": ***}'))
def test_any_password_in_json_is_masked(password: str) -> None:
    assert mask(json.dumps({"password": password, "a": 1})) == '{"password": ***, "a": 1}'
    assert mask(json.dumps({"password": password}, ensure_ascii=False)) == '{"password": ***}'


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    logger = logging.getLogger()
    handlers, level = list(logger.handlers), logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def test_without_debug_nothing_is_logged(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(debug=False)
    logging.getLogger("keystoneauth").error("no one shall see this")
    assert capsys.readouterr() == ("", "")
    assert len(root.handlers) == 1


def test_debug_logs_to_standard_error_without_secrets(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(debug=True)
    set_up(debug=True)
    log = logging.getLogger("keystoneauth")
    log.debug('REQ: curl -H "X-Auth-Token: %s"', SECRET)
    try:
        raise ValueError(f"https://user:{SECRET}@example.org/")
    except ValueError:
        log.exception("failed")
    out, err = capsys.readouterr()
    assert out == ""
    assert SECRET not in err
    assert err.count("X-Auth-Token: ***") == 1
    assert "https://***@example.org/" in err
    assert "keystoneauth" in err


def test_json_is_one_object_a_line_with_the_place_and_without_secrets(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(debug=True, form="json")
    log = logging.getLogger("keystoneauth")
    with told.about(cloud="prod"):
        with told.about(definition="Debian 13"):
            log.debug('REQ: curl -H "X-Auth-Token: %s"\n-d x', SECRET)
            told.LOG.info("imported", extra={"image": "Debian 13 (1)"})
        log.warning("odd")
    try:
        raise ValueError(f"https://user:{SECRET}@example.org/")
    except ValueError:
        log.exception("failed")
    say("error", f"https://user:{SECRET}@example.org/")
    out, err = capsys.readouterr()
    assert (out, SECRET in err) == ("", False)
    first, second, third, fourth, fifth = map(json.loads, err.splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "debug",
        "logger": "keystoneauth",
        "message": 'REQ: curl -H "X-Auth-Token: ***"\n-d x',
        "cloud": "prod",
        "definition": "Debian 13",
    }
    assert (second["image"], second["definition"], second["level"]) == ("Debian 13 (1)", "Debian 13", "info")
    assert (third["cloud"], "definition" in third) == ("prod", False)
    assert (fourth["message"], "https://***@example.org/" in fourth["exception"]) == ("failed", True)
    assert (fifth["level"], fifth["message"], "cloud" in fifth) == ("error", "https://***@example.org/", False)


def test_json_without_debug_has_what_a_run_tells_and_what_others_warn_of(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(debug=False, form="json")
    assert is_json()
    logging.getLogger("urllib3").info("not this")
    logging.getLogger("urllib3").warning("this")
    told.LOG.info("and this")
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["this", "and this"]


def test_what_a_person_must_see_is_a_line_of_text(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(debug=False)
    say("warning", f"https://user:{SECRET}@example.org/")
    assert capsys.readouterr().err == "warning: https://***@example.org/\n"
