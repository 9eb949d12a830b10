"""Keep secrets, control characters and commands to CI runners out of everything that leaves this process.

**A secret is known by where it stands.** In all that is printed, logged or written to a report, `without_secrets`
replaces the user and the password of a URL, secret parameters of its query or fragment, and tokens that are known by
their form. Images, versions, dates and digests stay as they are: no value of our own is ever compared with a password.

**A stored address has no secrets, whatever they are called.** `public_url` keeps of a query only parameters whose names
say that they choose a file, and no fragment: others invent new names for secrets every day.

**Others do not leave secrets out.** `redact` is for the errors of libraries, the answers of servers and what libraries
log. It is applied where such a text comes in, before a word of ours is put around it. It also replaces headers such as
Authorization and X-Auth-Token, the values of fields such as `password` and `secret`, and, wherever they stand, the
secrets that this process was given (`remember`). Of these only what cannot be a word of the sentence: at least eight
characters that are not all letters and not all digits, or any sixteen. So a password such as `ubuntu` or `1` is
replaced in its field or header and nowhere else.

**A line of output is never a command.** CI runners obey lines that begin with `::` and texts such as `##vso[…]`, and
terminals and GitLab obey control characters. `inert` and `printable` write one of these characters as its escape.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit, urlunsplit

MASK = "***"
SECRET_PARAMETER = re.compile(
    r"sig|token|key|credential|secret|passw|passphrase|passcode|pwd|policy|auth(?!or)|jwt|hmac|hdn[et]|verify|session"
    # Whole names; md5, hash, st and e are those of nginx's secure_link.
    r"|^(?:pass|pw|pin|code|sid|sess|hash|md5|st|e|nonce|otp|ticket)$",
    re.IGNORECASE,
)
# Parameters that choose a file and hold no secret: a stored address keeps only these.
_HARMLESS = frozenset(
    {"arch", "architecture", "branch", "build", "channel", "date", "dist", "distribution", "distro", "download", "file"}
    | {"filename", "flavor", "flavour", "format", "image", "name", "os", "part", "path", "platform", "product", "raw"}
    | {"ref", "release", "rev", "revision", "series", "stream", "tag", "type", "variant", "version", "versionid"}
)
_LONGEST = 100  # characters of a harmless parameter
_VARIABLE = re.compile(r"(?:OS|AWS|GITHUB|GH|GITLAB)_\w*(?:PASS|SECRET|TOKEN)")
# Names of properties, and what else may hold a secret in an image's name or properties.
_SECRET_NAME = re.compile(r"passw|passphrase|passcode|secret|token|credential|(?:api|private).?key", re.IGNORECASE)
_LONG_ENOUGH, _LONG = 8, 16  # characters of a secret; see above

_URL = re.compile(r"\b\w+://\S+")
_USERINFO = re.compile(r"\b(\w+://)[^/?#\s\"<>]+@")
# A parameter of a query or fragment; in XML an & is &amp;.
_PARAMETER = re.compile(r"((?:[?&;#]|&amp;)([\w.%-]+)=)[^&\s\"'#<>\\]+")
# Fernet tokens of Keystone, and JSON Web Tokens.
_TOKEN = re.compile(r"gAAAAA[\w-]{20,}=*|(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}")
_HEADER = re.compile(
    r"(\b(?:authorization|cookie):\s*)[^\r\n\"']+|((?<![\w-])x-[\w-]{0,64}(?:token|key|secret):\s*)[^\s\"',]+",
    re.IGNORECASE,
)
_FIELD = r"(?:pass(?:word|wd|code|phrase)?|secret|(?:secret|private|api)_?(?:access_?)?key|token|authorization|cookie)"
_SECRET_FIELD = re.compile(rf"{_FIELD}$", re.IGNORECASE)
_QUOTED = r"b?(\\{0,15}[\"'])(?:(?!\2)(?:\\.|.))*\2?"
# A field of JSON, also of JSON within JSON, or as Python writes it: a quoted value ends with its first quote.
_JSON_FIELD = re.compile(rf"({_FIELD}\\{{0,15}}[\"']\s*:\s*)(?:{_QUOTED}|-?\d[\d.]*)", re.IGNORECASE | re.DOTALL)
# A field of YAML, of a query or of an INI file, but not the end of a path, and not a colon before a sentence.
_BARE_FIELD = re.compile(
    rf"((?<![\w/])\w*{_FIELD}(?:\s*=\s*|\s*:\s*(?![a-z]{{1,15}} +\w+(?![\w:=]))))(?:{_QUOTED}|[^\"'\s,;{{}}\[\]]+)",
    re.IGNORECASE | re.DOTALL,
)
# Texts that GitHub, Azure, TeamCity and others take for a command; the last character is the one to escape.
_COMMAND = re.compile(r"^(?:[^\S\n]|\x1b\[[0-?]*[ -/]*[@-~])*::|##\w{0,40}\[", re.MULTILINE)

_known: set[str] = set()


def public_url(url: str) -> str:
    """The URL without what must not be shown or stored: user, password, fragment, and of the query all that may hold a
    secret."""
    try:
        parts = urlsplit(url)
    except ValueError:  # somebody's property that only looks like a URL
        return re.sub(r"://[^/@]*@", "://", url).partition("?")[0].partition("#")[0]
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(filter(_is_harmless, parts.query.split("&")))
    return urlunsplit((parts.scheme, host, parts.path, query, ""))


def _is_harmless(pair: str) -> bool:
    return pair.partition("=")[0].lower() in _HARMLESS and ";" not in pair and len(pair) <= _LONGEST


def public_urls(text: str) -> str:
    """The text, each URL in it as `public_url` gives it."""
    return _URL.sub(lambda url: public_url(url[0]), text) if "://" in text else text


def has_secrets(url: str) -> bool:
    """True for a URL with a user, a password, a fragment, or a query that may hold a secret."""
    parts = urlsplit(url)
    return (
        "@" in parts.netloc or bool(parts.fragment) or not all(map(_is_harmless, filter(None, parts.query.split("&"))))
    )


def _is_secret(pair: str) -> bool:
    return any(SECRET_PARAMETER.search(unquote(part.partition("=")[0])) for part in pair.split(";"))


def without_secrets(text: str) -> str:
    """The text without the secrets that stand in URLs, and without tokens: for all that leaves this process."""
    text = _USERINFO.sub(rf"\1{MASK}@", text)
    return _TOKEN.sub(MASK, _PARAMETER.sub(_masked, text))


def _masked(parameter: re.Match[str]) -> str:
    return f"{parameter[1]}{MASK}" if _is_secret(parameter[2]) else parameter[0]


def redact(text: str) -> str:
    """A text that others wrote, without the secrets that it may hold; see above."""
    for form in sorted(_known, key=len, reverse=True):
        text = text.replace(form, MASK)
    text = without_secrets(text)
    text = _HEADER.sub(rf"\1\2{MASK}", text)
    return _BARE_FIELD.sub(rf"\1{MASK}", _JSON_FIELD.sub(rf"\1{MASK}", text))


def remember(*secrets: str | None) -> None:
    """Know secrets of this process, however they are written, unless they may be a word of a sentence."""
    for secret in secrets:
        if secret and _is_distinctive(secret):
            in_urls = (quote(secret, safe=""), quote(secret), quote_plus(secret))
            in_code = (json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret))
            _known.update((secret, *in_urls, *(literal[1:-1] for literal in in_code)))


def names_a_secret(text: str) -> bool:
    """True for a name that says that it holds a secret."""
    return bool(_SECRET_NAME.search(text))


def remember_fields(values: Mapping[str, object]) -> None:
    """Know the values of fields such as `password` and `token`."""
    remember(*(str(value) for name, value in values.items() if _SECRET_FIELD.search(name)))


def remember_environment(variables: Mapping[str, str]) -> None:
    """Know the passwords, secrets and tokens that environment variables hold."""
    remember(*(value for name, value in variables.items() if _VARIABLE.match(name)))
    for name, value in variables.items():
        if name.lower().endswith("_proxy"):
            remember_url(value)


def remember_url(url: str) -> None:
    """Know the password of a URL, and all parameters that may be secrets."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, max_num_fields=100)
    except ValueError:  # no URL, or one with more parameters than any has
        return
    remember(*(value for name, value in pairs if name.lower() not in _HARMLESS))
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    remember(unquote(password or user))


def _is_distinctive(secret: str) -> bool:
    word = secret.isalpha() or secret.isdigit()
    return len(secret) >= (_LONG if word else _LONG_ENOUGH)


def in_python(character: str) -> str:
    r"""The character's escape as Python writes it: `\x1b`, `\n`."""
    return ascii(character)[1:-1]


def in_yaml(character: str) -> str:
    r"""The character's escape in a double-quoted text of YAML: `\U0000001b`."""
    return f"\\U{ord(character):08x}"


def in_json(character: str) -> str:
    r"""The character's escape in JSON: `\u001b`. YAML reads it alike for all but characters beyond U+FFFF."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def in_xml(character: str) -> str:
    """The character's reference in XML: `&#27;`."""
    return f"&#{ord(character)};"


def printable(text: str, escape: Callable[[str], str] = in_python) -> str:
    """The text on one line, without characters that a terminal obeys or that are invisible."""
    return text if text.isprintable() else "".join(c if c.isprintable() else escape(c) for c in text)


def inert(text: str, escape: Callable[[str], str] = in_json, before: str = "") -> str:
    """The text without what a CI runner would obey, where it stands behind `before`, which stays as it is."""

    def escaped(command: re.Match[str]) -> str:
        return command[0] if command.end() <= len(before) else command[0][:-1] + escape(command[0][-1])

    return _COMMAND.sub(escaped, before + text)[len(before) :]


def is_inert(text: str) -> bool:
    """True for a text that no CI runner would obey, wherever in a line it stands."""
    return not _COMMAND.search(text)
