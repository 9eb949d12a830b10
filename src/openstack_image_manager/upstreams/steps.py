"""Run one step of a resolver: fetch its document, and find the builds in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import regex

from openstack_image_manager.definitions.resolvers import limits
from openstack_image_manager.definitions.resolvers.model import Step
from openstack_image_manager.definitions.resolvers.placeholders import Variables, fill, groups, pattern
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.transfer import checksum_files
from openstack_image_manager.upstreams import documents, indexes, listings
from openstack_image_manager.upstreams.budget import UpstreamClient
from openstack_image_manager.upstreams.build import with_address
from openstack_image_manager.upstreams.candidates import Candidate
from openstack_image_manager.upstreams.match_timeout import MatchTimer
from openstack_image_manager.upstreams.sites import Document

# The document that a signature covers, by kind of step.
SIGNED = {
    "checksum-file": "checksum",
    "json": "index",
    "simplestreams": "index",
    "debian-manifest": "index",
    "github-release": "index",
    "pointer": "index",
}
Signed = Callable[[str, Document, Variables], Document]


class StepRun:
    """One step with the known variables; `index`: its position in the resolver.

    `signed` returns the part of a document that may be read.
    """

    def __init__(
        self,
        step: Step,
        variables: Variables,
        client: UpstreamClient,
        timer: MatchTimer,
        *,
        index: int,
        fresh: bool = False,
        prereleases: bool = False,
        signed: Signed | None = None,
    ) -> None:
        self.step = step
        self.variables = variables
        self.client = client
        self.timer = timer
        self.index = index
        self.fresh = fresh
        self.prereleases = prereleases
        self.signed = signed
        self.unmatched: list[str] = []  # names of files or builds; a document has a limited size, so this has one too

    def candidates(self) -> list[Candidate]:
        """Return all builds that the step finds, unordered. Raises FetchError, VerificationError."""
        kind = self.step.kind
        handlers = {
            "listing": self._listing,
            "checksum-file": self._checksum_file,
            "json": self._json,
            "simplestreams": self._simplestreams,
            "debian-manifest": self._debian_manifest,
            "pointer": self._pointer,
        }
        self.client.spend()
        if kind == "static":
            return [self._static(entry) for entry in self.step.static or []]
        url = fill(str(self.step.value(kind)), self.variables)
        try:
            candidates = self._github_release(github_releases(url)) if kind == "github-release" else handlers[kind](url)
            kept = list(islice(candidates, limits.BUILDS + 1))
            if len(kept) > limits.BUILDS:
                raise VerificationError(f"more than {limits.BUILDS} builds fit; narrow match")
            return kept
        except VerificationError as error:
            raise VerificationError(with_address(url, error)) from None

    def _document(self, url: str, page: bool = False) -> Document:
        document = self.client.document(url, page, self.fresh)
        over = SIGNED.get(self.step.kind)
        return self.signed(over, document, self.variables) if over and self.signed else document

    def _candidate(self, name: str, variables: Variables, **more: Any) -> Candidate:
        limits.check_build(name, variables)
        return Candidate(name, {**self.variables, **variables}, **more)

    def _match(self, wanted: regex.Pattern[str], text: str, option: str = "match") -> regex.Match[str] | None:
        if len(text) > limits.LINE:
            raise VerificationError(f"has a name or line of {len(text)} characters; at most {limits.LINE} are allowed")
        match = self.timer.match(wanted, text, f"steps[{self.index}].{option}", self.step.value(option))
        if match is None and option == "match":
            self.unmatched.append(text)
        return match

    def _listing(self, url: str) -> Iterator[Candidate]:
        wanted = pattern(self.step.match or "", self.variables)
        for name in listings.names(self._document(url, page=True).text):
            if match := self._match(wanted, name):
                variables = {"file": name.removesuffix("/"), "url": listings.address(url, name), **groups(match)}
                yield self._candidate(name, variables)

    def _checksum_file(self, url: str) -> Iterator[Candidate]:
        text = self._document(url).text
        wanted = pattern(self.step.match or "", self.variables)
        sizes = checksum_files.sizes(text)
        entries = checksum_files.parse(text, self.step.algorithm, self.step.encoding)
        for name, checksum in entries.items():
            base = name.rpartition("/")[2]
            if match := self._match(wanted, name) or self._match(wanted, base):
                place = listings.address(url, documents.path(name, "a name"))
                variables = {"checksum_url": url, "file": base, "url": place, **groups(match)}
                yield self._candidate(base, variables, checksum=checksum, size=sizes.get(name), source=url)

    def _json(self, url: str) -> Iterator[Candidate]:
        text = self._document(url).text
        document = _yaml(text) if self.step.syntax == "yaml" else documents.load_json(text)
        wanted = pattern(self.step.match, self.variables) if self.step.match else None
        items = fill(self.step.items or "", self.variables)
        where = {path: fill(value, self.variables) for path, value in self.step.where.items()}
        for name, variables, checksum, size in indexes.json_items(document, items, where, self.step.fields):
            match = self._match(wanted, name) if wanted else None
            if match or not wanted:
                more = groups(match) if match else {}
                yield self._candidate(name, {**variables, **more}, checksum=checksum, size=size, source=url)

    def _simplestreams(self, url: str) -> Iterator[Candidate]:
        step = self.step
        root = fill(step.root, self.variables) if step.root else url.rpartition("/streams/")[0] + "/"
        text = self._document(url).text
        product, item = fill(step.product or "", self.variables), fill(step.item or "", self.variables)
        yield from self._matching(indexes.simplestreams(text, product, item, root), url)

    def _debian_manifest(self, url: str) -> Iterator[Candidate]:
        root = fill(self.step.root or "", self.variables)
        text = self._document(url).text
        disk_format = fill(self.step.format or "", self.variables)
        yield from self._matching(indexes.debian_manifest(text, root, disk_format), url)

    def _matching(self, candidates: list[Candidate], url: str) -> Iterator[Candidate]:
        wanted = pattern(self.step.match, self.variables) if self.step.match else None
        for candidate in candidates:
            match = self._match(wanted, candidate.name) if wanted else None
            if match or not wanted:
                more = {**candidate.variables, **(groups(match) if match else {})}
                yield self._candidate(
                    candidate.name, more, checksum=candidate.checksum, size=candidate.size, source=url
                )

    def _github_release(self, url: str) -> Iterator[Candidate]:
        tag = pattern(self.step.tag or ".*", self.variables)
        for release in indexes.github_releases(self._document(url).text, self.prereleases):
            if not (tagged := self._match(tag, release.tag, "tag")):
                continue
            known = {"tag": release.tag, "published": release.published, **groups(tagged)}
            wanted = pattern(self.step.match or "", {**self.variables, **known})
            for asset in release.assets:
                if match := self._match(wanted, asset.name):
                    more = {**known, **asset.variables, **groups(match)}
                    yield self._candidate(release.tag, more, checksum=asset.checksum, size=asset.size, source=url)

    def _pointer(self, url: str) -> Iterator[Candidate]:
        step, option = self.step, "redirect" if self.step.redirect else "match"
        if step.redirect:
            wanted = pattern(step.redirect, self.variables)
            texts = self.client.redirects(url, self.fresh)
        else:
            text = self._document(url).text
            if step.keys:
                variables = indexes.key_values(text, step.keys)
                yield self._candidate(" ".join(variables.values()), variables)
                return
            wanted = pattern(step.match or "", self.variables)
            texts = list(indexes.lines(text))
        for text in texts:
            if match := self._match(wanted, text, option):
                yield self._candidate(text, groups(match))
                if step.redirect:  # only the first match: later ones may lead to storage that expires
                    return

    def _static(self, entry: dict[str, str]) -> Candidate:
        variables = {name: fill(value, self.variables) for name, value in entry.items()}
        checksum = documents.checksum(variables.pop("checksum"), "checksum") if "checksum" in variables else None
        size = documents.size(variables.pop("size", None))
        return self._candidate(" ".join(variables.values()), variables, checksum=checksum, size=size)


def github_releases(project: str) -> str:
    """Return the URL of the newest releases of OWNER/PROJECT. Raises VerificationError for any other value."""
    if not re.fullmatch(r"[A-Za-z0-9-]+/(?!\.{1,2}$)[A-Za-z0-9._-]+", project):
        raise VerificationError("is not OWNER/PROJECT")
    return f"https://api.github.com/repos/{project}/releases?per_page=100"


def _yaml(text: str) -> Any:
    from openstack_image_manager.definitions.nodes import plain
    from openstack_image_manager.definitions.yaml_tree import InvalidYamlError

    try:
        return plain(text.encode("utf-8", "surrogatepass"))
    except InvalidYamlError as error:
        raise VerificationError(f"{error} (line {error.line})") from None
