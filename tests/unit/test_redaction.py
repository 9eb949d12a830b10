"""No secret leaves, in whatever place it stands, and nothing else is taken for one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from openstack_image_manager import redaction
from openstack_image_manager.redaction import (
    has_secrets,
    in_json,
    in_python,
    in_xml,
    inert,
    is_inert,
    printable,
    public_url,
    public_urls,
    redact,
    remember,
    remember_environment,
    remember_fields,
    remember_url,
    without_secrets,
)

SECRET = "s3cr3t-W0rd"
FERNET = "gAAAAABmX2l4d0Z5c3RlbS10b2tlbi1vZi1rZXlzdG9uZQ-_=="
NAMES = ("pass", "PW", "session", "session_id", "code", "hash", "st", "e", "md5", "passphrase", "sid", "otp")
WEB_TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLWl0"


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """Each test with the secrets alone that it names."""
    before = set(redaction._known)
    redaction._known.clear()
    yield
    redaction._known.clear()
    redaction._known.update(before)


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://user:{SECRET}@example.org/disk.img",
        f"GET https://user:p@{SECRET}@example.org/disk.img",
        f"GET https://{SECRET}@example.org?x=1",
        f"https://a:1@one.org/ https://b:{SECRET}@two.org/",
        f"https://example.org/disk?X-Amz-Signature={SECRET}&X-Amz-Date=20240416",
        f"https://example.org/disk?a=1&amp;X-Amz-Signature={SECRET}&amp;b=2",
        f"https://example.org/disk?%73ig={SECRET}&auth={SECRET}",
        f"'GET /disk?temp_url_sig={SECRET} HTTP/1.1' 200",
        f"/disk?a=1&AWSAccessKeyId={SECRET}#x",
        *(f"https://example.org/disk?a=1&{name}={SECRET}" for name in NAMES),
        *(f"GET /disk#{name}={SECRET} 200" for name in ("access_token", *NAMES)),
        f"token {FERNET}",
        f"token {WEB_TOKEN}",
    ],
)
def test_what_stands_in_urls_and_tokens_are_never_shown(text: str) -> None:
    for cleaned in (without_secrets(text), redact(text)):
        assert SECRET not in cleaned
        assert FERNET[:12] not in cleaned
        assert WEB_TOKEN[-12:] not in cleaned
        assert "***" in cleaned


@pytest.mark.parametrize(
    "text",
    [
        f'-H "X-Auth-Token: {SECRET}" -H "Accept: */*"',
        f"X-Subject-Token: {SECRET} Connection: close",
        f"x-auth-key:{SECRET}",
        f"Authorization: Basic {SECRET}",
        f"Proxy-Authorization: Basic {SECRET}",
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
        json.dumps(json.dumps(json.dumps({"user": {"password": f"two words {SECRET}"}}))),
        f"password={SECRET}",
        f"a 'password={SECRET}'",
        f"adminPassword = {SECRET};",
        f"adminPass: {SECRET}",
        f"secret_key: {SECRET}, next: 1",
        f"aws_secret_access_key = {SECRET}",
        f"application_credential_secret: {SECRET}",
        f"auth_token={SECRET}",
        f"passcode={SECRET}",
        f"PASSPHRASE={SECRET}",
        f"password: '{SECRET}",
        yaml.safe_dump({"auth": {"username": "a", "password": SECRET, "project_name": "b"}}),
        " ".join(yaml.safe_dump({"auth": {"password": SECRET, "project_name": "b"}}).split()),
    ],
)
def test_others_may_show_no_secret_in_any_of_its_places(text: str) -> None:
    masked = redact(text)
    assert SECRET not in masked
    assert "***" in masked


def test_a_password_that_is_a_word_or_short_is_masked_in_its_field() -> None:
    assert redact('{"password": "ubuntu", "image": "ubuntu"}') == '{"password": ***, "image": "ubuntu"}'
    assert redact('{"password": 12345678, "min_disk": 1}') == '{"password": ***, "min_disk": 1}'
    assert redact("auth: password: ubuntu project_name: admin") == "auth: password: *** project_name: admin"
    assert redact("password: 1\nname: 1") == "password: ***\nname: 1"
    assert redact("password=ubuntu for ubuntu") == "password=*** for ubuntu"


def test_what_stands_around_a_secret_stays() -> None:
    assert redact(f"GET https://u:{SECRET}@example.org:8080/d?a=1 200") == "GET https://***@example.org:8080/d?a=1 200"
    assert redact(f"/d?sig={SECRET}&a=1") == "/d?sig=***&a=1"
    assert redact(f'-H "X-Auth-Token: {SECRET}" -H "A: b"') == '-H "X-Auth-Token: ***" -H "A: b"'
    assert redact(f'{{"password": "{SECRET}", "name": "x"}}') == '{"password": ***, "name": "x"}'
    assert redact(f"{{'token': '{SECRET}', 'b': 'c'}}") == "{'token': ***, 'b': 'c'}"


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/a@b/disk.img?versionId=1",
        "Vary: X-Auth-Token x-openstack-request-id: req-20bbb9f9",
        "found extension EntryPoint(name='v3token', group='keystoneauth1.plugin')",
        '{"href": "http://example.org", "mail": "a@b"}',
        "wrong checksum: expected sha256:94e1, got sha256:0000; nothing was published",
        '{"token": {"methods": ["password"], "user": {"name": "x"}}}',
        '{"token": null, "password": true}',
        "Unexpected exception for http://127.0.0.1/v3/auth/tokens: Missing dependencies for SOCKS support.",
        "Unexpected exception for http://127.0.0.1/v3/auth/token: Missing dependencies",
        "cloud 'token': login at http://127.0.0.1/v3 failed",
        "Invalid token: signature expired",
        "The password: it must not be empty",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert redact(text) == text
    assert without_secrets(text) == text


@pytest.mark.parametrize("name", ["OS_PASSWORD", "OS_TOKEN", "OS_APPLICATION_CREDENTIAL_SECRET", "GITHUB_TOKEN"])
def test_secrets_of_the_environment_are_known_however_they_are_written(name: str) -> None:
    secret = 'a"b/c %é'
    remember_environment({name: secret, "OS_USERNAME": "alice-1234", "OS_PASSWORD_": ""})
    for text in (secret, json.dumps({"x": secret}), repr([secret]), f"/x={quote(secret, safe='')}&y=1"):
        cleaned = redact(f"alice-1234 said {text}")
        assert cleaned.startswith("alice-1234 said ")
        assert "***" in cleaned
        assert "b/c" not in cleaned
        assert "b%2Fc" not in cleaned


@pytest.mark.parametrize("word", ["1", "ubuntu", "openstack", "administrator", "20240416", "a1b2c3d", "", None])
def test_what_may_be_a_word_or_a_number_is_not_searched_for(word: str | None) -> None:
    remember(word)
    text = "1 ubuntu openstack administrator 20240416 a1b2c3d"
    assert redact(text) == text


@pytest.mark.parametrize("secret", ["hunter22", "S3cretPw", "correcthorsebattery", "1234567812345678", "with blank"])
def test_what_is_no_word_is_found_wherever_it_stands(secret: str) -> None:
    remember(secret)
    assert redact(f"user alice gave {secret}, which is wrong") == "user alice gave ***, which is wrong"
    assert redact(f"b'alice:{secret}'") == "b'alice:***'"


def test_a_value_of_ours_is_never_compared_with_a_password() -> None:
    remember("ubuntu-24.04")
    assert without_secrets("ubuntu-24.04 from https://example.org/ubuntu-24.04/") == (
        "ubuntu-24.04 from https://example.org/ubuntu-24.04/"
    )


def test_secrets_of_an_address_that_was_asked_are_known() -> None:
    remember_url(
        "https://robot:p%40ss-w0rd@example.org/x?X-Amz-Signature=0123456789abcdef&part=everything-1&k=unheard-0f"
    )
    remember_url("https://ghp-0123456789@example.org/")
    remember_url("http://[bad")
    said = redact("robot, p@ss-w0rd, 0123456789abcdef, ghp-0123456789, everything-1, unheard-0f")
    assert said == "robot, ***, ***, ***, everything-1, ***"


def test_passwords_of_proxies_are_known() -> None:
    remember_environment({"https_proxy": "http://alice:pr0xy-w0rd@proxy:3128", "HTTP_PROXY": "http://a:0ther-w0rd@p"})
    assert redact("pr0xy-w0rd 0ther-w0rd") == "*** ***"


@given(st.text(min_size=1).filter(lambda text: text not in '{"password": ***}'))
def test_any_password_in_json_is_masked(password: str) -> None:
    assert redact(json.dumps({"password": password, "a": 1})) == '{"password": ***, "a": 1}'
    assert redact(json.dumps({"password": password}, ensure_ascii=False)) == '{"password": ***}'


@pytest.mark.parametrize(
    "text",
    [
        *("\\" * 200_000, "?sig" * 50_000, "?" + "sig" * 70_000, "password" * 25_000, '"' * 200_000, "a://" * 50_000),
        *("x-" * 100_000, "-eyJ" * 50_000),
        *("x-token" * 30_000, "eyJaaaaaaaaaa." * 15_000, "pass: a " * 25_000, "##" * 100_000, "\n \n:" * 50_000),
    ],
)
def test_a_long_text_of_others_takes_no_long_time(text: str) -> None:
    begun = time.process_time()
    inert(printable(redact(text)))
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://u:p@example.org:1/a?build=1", "https://example.org:1/a?build=1"),
        ("https://example.org/a?build=1&X-Amz-Signature=s&%74oken=t&pwd=p&raw", "https://example.org/a?build=1&raw"),
        ("https://example.org/a?build=1;token=t&raw&hdnts=st~1~hmac=2&verify=3", "https://example.org/a?raw"),
        ("https://example.org/a?Release=12&oauth=b", "https://example.org/a?Release=12"),
        ("https://example.org/a?user=bob&pass=X&session=X&hash=X&st=X&e=1&md5=X", "https://example.org/a"),
        ("https://example.org/a?k=X", "https://example.org/a"),
        ("https://example.org/a?X", "https://example.org/a"),
        ("https://example.org/a?file=d.img#access_token=X", "https://example.org/a?file=d.img"),
        ("https://example.org/a#X", "https://example.org/a"),
        (f"https://example.org/a?name={'X' * 100}", "https://example.org/a"),
        ("https://u:p@[bad/a?sig=1", "https://[bad/a"),
        ("no URL", "no URL"),
    ],
)
def test_a_url_without_its_secrets(url: str, public: str) -> None:
    assert public_url(url) == public
    assert public_urls(f"see {url} there") == f"see {public} there"
    assert has_secrets(url.replace("[", "")) == (url != public)


COMMANDS = [
    "::error title=x::y",
    "  ::set-output name=x::1",
    "\t::add-mask::x",
    "##[error]x",
    "x ##[group]y",
    "###[x]",
    "a ##vso[task.setvariable variable=a]b",
    "##teamcity[buildStop]",
    "\x1b[1m::debug::x",
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("before", ["", "a line\n", "::1\n"])
def test_no_line_is_a_command(command: str, before: str) -> None:
    assert not is_inert(command)
    text = inert(before + command)
    assert is_inert(text)
    assert (
        json.loads(f'["{text}"]', strict=False) == [before + command] if '"' not in text and "\x1b" not in text else 1
    )
    for size in range(1, len(command)):
        begun = before + inert(command[:size])
        rest = inert(command[size:], before=begun)
        assert is_inert(begun.removeprefix(before) + rest), size


@pytest.mark.parametrize("text", ["", "a::b", "a: ::b", "# #[x]", "## [x]", "##x", "## Image plan for x", "#[x]", ":"])
def test_what_no_runner_obeys_stays(text: str) -> None:
    assert inert(text) == text
    assert is_inert(text)


@given(st.text())
def test_what_is_escaped_is_the_same_in_json(text: str) -> None:
    shown = inert(printable(json.dumps(text, ensure_ascii=False), in_json))
    assert json.loads(shown) == text
    assert shown.isprintable()
    assert is_inert(shown)


def test_escapes() -> None:
    assert [escape("\x1b") for escape in (in_python, in_json, in_xml)] == [r"\x1b", r"\u001b", "&#27;"]
    assert [escape("\U000e0001") for escape in (in_python, in_json)] == [r"\U000e0001", r"\udb40\udc01"]
    assert printable("a\nb\u202ec") == r"a\nb\u202ec"
    assert printable("ä b") == "ä b"


def test_fields_that_hold_secrets_are_known_and_ids_are_not():
    remember_fields({"password": "first-0ne", "application_credential_secret": "sec0nd-one", "passcode": "th1rd-one"})
    remember_fields({"application_credential_id": "0123456789abcdef", "username": "alice-1234"})
    assert redact("first-0ne sec0nd-one th1rd-one") == "*** *** ***"
    assert redact("0123456789abcdef alice-1234") == "0123456789abcdef alice-1234"
