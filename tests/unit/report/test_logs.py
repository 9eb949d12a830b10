"""--debug shows requests, but never secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from openstack_image_manager import log_context
from openstack_image_manager.report.log import is_json, say, set_up

SECRET = "s3cr3t-W0rd"


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
    logging.getLogger("keystoneauth").error("this must stay hidden")
    assert capsys.readouterr() == ("", "")
    assert len(root.handlers) == 1


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("debug", [False, True])
def test_where_to_log_in_reaches_the_person_whole(
    root: logging.Logger, capsys: pytest.CaptureFixture[str], form: str, debug: bool
) -> None:
    set_up(debug, form)
    address = "https://idp.example/go?user_code=ABCD-EFGH&token=a&session=b"
    with log_context.about(cloud="federated"):
        logging.getLogger("keystoneauth.identity.v3.oidc").warning("To authenticate please go to: %s", address)
    logging.getLogger("keystoneauth.identity.v3.oidc").debug("device_code")
    logging.getLogger("keystoneauth.identity.v3.base").warning("token=secret-of-a-session")
    err = capsys.readouterr().err
    assert address in err
    assert "secret-of-a-session" not in err
    if (form, debug) == ("text", False):
        assert err == f"note: cloud 'federated': To authenticate please go to: {address}\n"
    if form == "json":
        first = json.loads(err.splitlines()[0])
        assert (first["message"], first["cloud"]) == (f"To authenticate please go to: {address}", "federated")


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
    with log_context.about(cloud="prod"):
        with log_context.about(definition="Debian 13"):
            log.debug('REQ: curl -H "X-Auth-Token: %s"\n-d x', SECRET)
            log_context.LOG.info("imported", extra={"image": "Debian 13 (1)"})
        log.warning("odd")
    try:
        raise ValueError(f"https://user:{SECRET}@example.org/")
    except ValueError:
        log.exception("failed")
    say("error", "a password: ubuntu")
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
    assert (fifth["level"], fifth["message"], "cloud" in fifth) == ("error", "a password: ubuntu", False)


def test_json_without_debug_has_messages_and_warnings_of_libraries(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(debug=False, form="json")
    assert is_json()
    logging.getLogger("urllib3").info("not this")
    logging.getLogger("urllib3").warning("this")
    log_context.LOG.info("and this")
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["this", "and this"]


def test_a_message_is_a_line_of_text(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(debug=False)
    say("warning", "My token: versions is empty")
    assert capsys.readouterr().err == "warning: My token: versions is empty\n"
