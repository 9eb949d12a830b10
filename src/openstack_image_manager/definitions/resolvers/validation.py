"""Check a resolver, as far as that is possible without asking a site."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from itertools import islice

from openstack_image_manager.checksum import BROKEN
from openstack_image_manager.definitions.diagnostics import Loc, suggestion
from openstack_image_manager.definitions.resolvers import limits
from openstack_image_manager.definitions.resolvers.model import (
    INITIAL,
    KINDS,
    POLICIES,
    DocumentSignature,
    Resolver,
    SignatureRule,
    Step,
)
from openstack_image_manager.definitions.resolvers.placeholders import fill, has_stray_brace, used
from openstack_image_manager.definitions.values import UNSUPPORTED_SCHEME, USE_HTTPS
from openstack_image_manager.errors import Error

Problem = tuple[Loc, str]
_NAME = re.compile(rf"[a-z_][a-z0-9_]{{0,{limits.NAME - 1}}}")
# 40 digits are a fingerprint of version 4, 64 of version 6 (RFC 9580, 5.5.4).
_OPENPGP, _RSA = re.compile(r"[0-9A-Fa-f]{40}([0-9A-Fa-f]{24})?"), re.compile(r"[0-9A-Fa-f]{64}")
_KEYS = {"detached": _OPENPGP, "clearsigned": _OPENPGP, "openssl-rsa": _RSA}
_KEY_MESSAGES = (
    "must be the whole fingerprint of a primary key: 40 or 64 digits",
    "must be the whole SHA-256 of a public key: 64 digits",
)
INDEXES = ("json", "simplestreams", "debian-manifest", "github-release")  # these can have digests
MOST = 20  # problems of one resolver: each takes the time to look for what was meant
_POINTERS = ("keys", "match", "redirect")


def problems(resolver: Resolver, known: Iterable[str] = INITIAL) -> list[Problem]:
    """Paths and messages: wrong patterns, placeholders that nothing gives, options of other steps. `known` are the
    variables that the definition gives."""
    if too_much := list(islice(limits.problems(resolver.model_dump(exclude_unset=True)), MOST)):
        # Most variables are texts, which are kept in `otherwise`.
        return [(loc[:-1] if loc[-1] == "otherwise" else loc, message) for loc, message in too_much]
    return list(islice(_Check(set(known)).resolver(resolver), MOST))


class _Check:
    """Goes through a resolver in the order in which it is carried out, and keeps what is known so far."""

    def __init__(self, known: set[str]) -> None:
        self.known = known
        self.local = False  # a step before read a file of this machine

    def resolver(self, resolver: Resolver) -> Iterator[Problem]:
        yield from self._variables(resolver)
        if not resolver.steps:
            yield ("steps",), "is missing; add the steps that lead to the newest build"
            return
        for index, step in enumerate(resolver.steps):
            for loc, message in self._step(step):
                yield ("steps", index, *loc), message
        yield from self._address(("url",), resolver.url)
        self.known |= {"url", "file"}
        yield from self._template(("version",), resolver.version)
        if resolver.build_date:
            yield from self._template(("build_date",), resolver.build_date)
        for index, text in enumerate(resolver.exclude):
            yield from self._pattern(("exclude", index), text)
        if resolver.checksum:
            yield from self._address(("checksum", "url"), resolver.checksum.url)
            self.known.add("checksum_url")
        if resolver.signature:
            yield from self._signature(resolver.signature)
            yield from self._signed_document(resolver, resolver.signature)

    def _variables(self, resolver: Resolver) -> Iterator[Problem]:
        for name, lookup in resolver.variables.items():
            loc: Loc = ("variables", name)
            if not _NAME.fullmatch(name):
                yield loc, f"'{name}' is not a valid variable name: lower-case letters, digits and _"
            if lookup.by is None and (lookup.values or lookup.otherwise is None):
                yield loc, "must be a text, or have 'by: VARIABLE' and 'values:'"
            elif lookup.by is not None and lookup.by not in self.known | set(INITIAL):
                yield (*loc, "by"), self._unknown(lookup.by)
            for value in (*lookup.values.values(), lookup.otherwise or ""):
                # A missing value may be for other images: evaluating shows it.
                yield from self._template(loc, value, self.known | set(INITIAL))
                if _is_ftp(value):
                    yield loc, USE_HTTPS
            self.known.add(name)

    def _step(self, step: Step) -> Iterator[Problem]:
        kinds = [kind for kind in KINDS if step.value(kind) is not None]
        if len(kinds) != 1:
            message = f"these are {', '.join(kinds)}" if kinds else "here is none"
            yield (), f"must have exactly one of {', '.join(KINDS)}; {message}"
            return
        kind = kinds[0]
        takes, needs, gives = KINDS[kind]
        for name in sorted(step.given - takes - {kind}):
            yield (name,), f"is not an option of {kind}; it takes {', '.join(sorted(takes))}"
        for name in sorted(needs - step.given):
            yield (), f"{kind} needs {name}; add it"
        yield from self._source(step, kind)
        if step.signature and step.redirect:
            yield ("signature",), "a redirect has no document that could be signed"
        elif step.signature:
            yield from self._document_signature(("signature",), step.signature)
        yield from self._what_it_finds(step, kind)
        self.known |= gives
        if step.order:
            yield from self._template(("order",), step.order)

    def _source(self, step: Step, kind: str) -> Iterator[Problem]:
        source = step.value(kind)
        if kind == "github-release":
            yield from self._template((kind,), source)
            if not used(source) and not re.fullmatch(r"[^/\s]+/[^/\s]+", source):
                yield (kind,), "must be OWNER/PROJECT"
        elif kind != "static":
            yield from self._address((kind,), source)
            self.local = self.local or source.lower().startswith("file:")
        for name in ("product", "item", "items"):
            if text := step.value(name):
                yield from self._template((name,), text)
        for path, text in step.where.items():
            yield from self._template(("where", path), text)
        if step.root:
            yield from self._address(("root",), step.root)

    def _what_it_finds(self, step: Step, kind: str) -> Iterator[Problem]:
        if kind == "pointer" and sum(bool(step.value(name)) for name in _POINTERS) != 1:
            yield (), f"pointer needs exactly one of {', '.join(_POINTERS)}"
        if kind == "json" and not (step.fields or step.match):
            yield (), "json needs fields, or match for a list of texts"
        if kind == "static":
            entries = step.static or [{}]
            for index, entry in enumerate(entries):
                for name, text in entry.items():
                    yield from self._template(("static", index, name), text)
            self.known |= set.intersection(*(set(entry) for entry in entries))
        for name in (*step.fields, *step.keys):
            if not _NAME.fullmatch(name):
                yield ("fields" if name in step.fields else "keys", name), f"'{name}' is not a valid variable name"
        self.known |= set(step.fields) | set(step.keys)
        if "url" in step.fields:
            self.known.add("file")
        for name in ("tag", "redirect", "match"):
            if text := step.value(name):
                yield from self._pattern((name,), text)
                self.known |= {"tag"} if name == "tag" else set()

    def _signed_document(self, resolver: Resolver, rule: SignatureRule) -> Iterator[Problem]:
        """The signed document must give the digest, and that digest must not be one that can be forged."""
        last = resolver.steps[-1]
        loc: Loc = ("signature", "over")
        if rule.over == "checksum" and resolver.checksum is None and last.kind != "checksum-file":
            yield loc, "no checksum file is read here: neither by the last step nor by checksum"
        if rule.over == "index":
            yield from self._signed_index(resolver, last)
        if last.signature and (rule.over == "index" or (rule.over == "checksum" and resolver.checksum is None)):
            loc = ("steps", len(resolver.steps) - 1, "signature")
            yield loc, f"signature: over: {rule.over} is about this document already; remove one of them"
        where, algorithm = self._digest(resolver)
        if rule.over in ("index", "checksum") and rule.policy != "none" and algorithm in BROKEN:
            yield where, f"{algorithm} can be forged, so a signature over it does not vouch for the image"

    def _signed_index(self, resolver: Resolver, last: Step) -> Iterator[Problem]:
        loc: Loc = ("signature", "over")
        if last.kind not in INDEXES:
            what = "redirect" if last.redirect else last.kind
            yield loc, f"the last step ({what}) reads no index that has digests; {', '.join(INDEXES)} do"
        elif last.kind == "json" and "checksum" not in last.fields:
            yield loc, "the index has no digests, so its signature does not vouch for the image; add fields: checksum"
        elif resolver.checksum is not None:
            yield (
                loc,
                "the digest comes from the file that checksum names, which is not signed then; use over: checksum",
            )

    def _digest(self, resolver: Resolver) -> tuple[Loc, str | None]:
        """Where the resolver chooses which digest is taken, and which one."""
        if resolver.checksum is not None:
            return ("checksum", "algorithm"), resolver.checksum.algorithm
        return ("steps", len(resolver.steps) - 1, "algorithm"), resolver.steps[-1].algorithm

    def _signature(self, rule: SignatureRule) -> Iterator[Problem]:
        loc: Loc = ("signature",)
        if rule.kind == "clearsigned" and rule.over not in ("index", "checksum"):
            yield (*loc, "over"), "clearsigned texts are an index or a checksum file"
        yield from self._document_signature(loc, rule)

    def _document_signature(self, loc: Loc, rule: DocumentSignature) -> Iterator[Problem]:
        if rule.url:
            yield from self._address((*loc, "url"), rule.url)
        elif rule.kind != "clearsigned":
            yield loc, f"{rule.kind} needs url, where the signature is; add it"
        if rule.url and rule.kind == "clearsigned":
            yield loc, "clearsigned texts are an index or a checksum file and hold their signature; no url belongs here"
        yield from self._template((*loc, "policy"), rule.policy)
        if not used(rule.policy) and rule.policy not in POLICIES:
            yield (*loc, "policy"), f"must be one of {', '.join(POLICIES)}" + suggestion(rule.policy, POLICIES)
        if not rule.keys and rule.policy != "none":
            yield loc, "needs keys, who may sign; add them, or 'policy: none'"
        for index, key in enumerate(rule.keys):
            yield from self._template((*loc, "keys", index), key)
            if not used(key) and not _KEYS[rule.kind].fullmatch(key):
                yield (*loc, "keys", index), _KEY_MESSAGES[rule.kind == "openssl-rsa"]

    def _pattern(self, loc: Loc, text: str) -> Iterator[Problem]:
        yield from self._placeholders(loc, text, self.known)
        try:
            names = limits.groups(fill(text, dict.fromkeys(used(text), "x")))
        except Error as error:
            yield loc, str(error)
            self.known |= set(re.findall(r"\(\?P<(\w+)>", text))
            return
        for name in names:
            if not _NAME.fullmatch(name):
                yield loc, f"'{name}' is not a valid variable name: lower-case letters, digits and _"
        self.known |= set(names)

    def _address(self, loc: Loc, text: str) -> Iterator[Problem]:
        yield from self._template(loc, text)
        if _is_ftp(text):
            yield loc, USE_HTTPS
        elif not re.match(r"\{[a-z_]|(?i:https?|file)://", text):
            yield loc, "is not a URL; it must begin with https://, http://, file:// or a placeholder"
        if self.local and re.match(r"(?i:https?):", text):
            yield loc, "comes after a step that reads a file of this machine; what is in it could leave this machine"

    def _template(self, loc: Loc, text: str, known: Set[str] | None = None) -> Iterator[Problem]:
        yield from self._placeholders(loc, text, self.known if known is None else known)
        if has_stray_brace(text):
            yield loc, "has a brace outside of a placeholder; placeholders are written {like_this}"

    def _placeholders(self, loc: Loc, text: str, known: Set[str]) -> Iterator[Problem]:
        for name in dict.fromkeys(used(text)):
            if name not in known:
                yield loc, self._unknown(name)

    def _unknown(self, name: str) -> str:
        if name in ("os_version", "os_distro", "architecture"):
            return f"{{{name}}} is meta.{name}, which the definition does not have; add it"
        if name == "shortname":
            return "{shortname} is shortname, which the definition does not have; add it"
        return f"{{{name}}} is unknown here" + suggestion(name, sorted(self.known))


def _is_ftp(text: str) -> bool:
    return text.lower().startswith(f"{UNSUPPORTED_SCHEME}:")
