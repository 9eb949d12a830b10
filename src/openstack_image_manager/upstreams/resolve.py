"""Run a resolver step by step, to the newest existing build that is signed as required."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from openstack_image_manager.checksum import BROKEN, Checksum
from openstack_image_manager.definitions.model import LATEST, LONGEST, public_url
from openstack_image_manager.definitions.resolvers.model import POLICIES, DocumentSignature, Resolver, Step
from openstack_image_manager.definitions.resolvers.placeholders import Variables, fill, pattern, used
from openstack_image_manager.errors import Error, FetchError, VerificationError
from openstack_image_manager.transfer import checksum_files
from openstack_image_manager.upstreams import documents
from openstack_image_manager.upstreams.budget import UpstreamClient, check_named, is_local
from openstack_image_manager.upstreams.build import (
    Build,
    Signature,
    Verify,
    check_address,
    check_beginning,
    check_size,
    file_name,
    parse_day,
    with_address,
)
from openstack_image_manager.upstreams.candidates import Candidate, is_prerelease, newest_first
from openstack_image_manager.upstreams.match_timeout import MatchTimer
from openstack_image_manager.upstreams.near_misses import near_misses
from openstack_image_manager.upstreams.sites import Document
from openstack_image_manager.upstreams.steps import StepRun

CANDIDATES_TRIED = 3  # newest first, if the newest leads to no build
GONE = (404, 410)
_UNCOUNTED = "only builds that are never taken (pre-releases, `latest`, and what exclude matches)"
CLEARSIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"


class NothingFoundError(Error):
    """The resolver finds no build."""


@dataclass(frozen=True, slots=True)
class FoundBuild:
    """A build, the signature of its image that must still be verified, and the signature policy.

    `documents_signed_at`: when the newest signed document that led to it was signed. `near_misses`: names of files with
    a higher version that no `match` fits.
    """

    build: Build
    image_signature: Signature | None
    policy: str
    documents_signed_at: str | None = None
    near_misses: tuple[str, ...] = ()


class Search:
    """One search for one definition. `fresh`: fetch all documents again."""

    def __init__(
        self, resolver: Resolver, disk_format: str, client: UpstreamClient, verify: Verify, fresh: bool
    ) -> None:
        self.resolver = resolver
        self.disk_format = disk_format
        self.client = client
        self.verify = verify
        self.fresh = fresh
        self.timer = MatchTimer()
        self._missing: list[str] = []
        self._near_misses: dict[int, list[str]] = {}  # by step
        self._signed: tuple[str | None, str | None] = (None, None)
        self._signed_at: dict[int, str] = {}  # by step: the time of the signature of its last document

    def find(self, known: Variables) -> FoundBuild:
        """Return the newest build. Raises FetchError, VerificationError, NothingFoundError."""
        found = self._search_step(0, known)
        if found is None:
            raise NothingFoundError("; ".join(dict.fromkeys(self._missing[:CANDIDATES_TRIED])))
        near = [name for names in self._near_misses.values() for name in names]
        return replace(found, near_misses=tuple(near))

    def _search_step(self, index: int, known: Variables) -> FoundBuild | None:
        """Return the newest build of the steps from here on; None if there is none below the chosen candidate."""
        step, is_last = self.resolver.steps[index], index == len(self.resolver.steps) - 1
        for candidate in self._newest_candidates(step, index, known, is_last):
            below = self._finish(candidate) if is_last else self._search_step(index + 1, candidate.variables)
            if below is not None:
                return below
        return None

    def _newest_candidates(self, step: Step, index: int, known: Variables, is_last: bool) -> list[Candidate]:
        """Return the newest few candidates of a step. Only these are kept: a step may find as many as fit into
        memory."""
        step_run = StepRun(
            step,
            known,
            self.client,
            self.timer,
            index=index,
            fresh=self.fresh,
            prereleases=self.resolver.prereleases,
            signed=self._verified if is_last and not step.signature else partial(self._verified_step, index),
        )
        try:
            candidates = step_run.candidates()
        except FetchError as error:
            if index == 0 or error.status not in GONE:
                raise
            self._missing.append(str(error))
            return []
        chosen = newest_first(self._with_sort_keys(candidates, step.order, is_last))
        if not chosen:
            where = public_url(fill(str(step.value(step.kind)), known)) if step.kind != "static" else "static"
            self._missing.append(f"{where}: {'nothing matches' if not candidates else _UNCOUNTED}")
        elif step.kind in ("listing", "checksum-file"):
            newest = chosen[0][1].name
            self._near_misses[index] = near_misses(newest, step_run.unmatched, known, self.resolver.prereleases)
        return [candidate for _, candidate in chosen[:CANDIDATES_TRIED]]

    def _with_sort_keys(
        self, candidates: Sequence[Candidate], order: str | None, is_last: bool
    ) -> Iterable[tuple[str, Candidate]]:
        """Yield eligible candidates with their sort keys."""
        for candidate in candidates:
            if not is_last:
                yield (fill(order, candidate.variables) if order else candidate.name), candidate
                continue
            url = fill(self.resolver.url, candidate.variables)
            is_own = self.resolver.url != "{url}"
            file = file_name(url) if is_own else candidate.variables.get("file") or file_name(url)
            known = {**candidate.variables, "url": url, "file": file}
            version = fill(self.resolver.version, known)
            if not version.strip():
                raise VerificationError(
                    f"{public_url(url)}: its version is empty: '{self.resolver.version}' gives nothing for {file}; "
                    "make match capture at least one character"
                )
            if len(version) > LONGEST:
                raise VerificationError(
                    f"{public_url(url)}: its version has {len(version)} characters; at most {LONGEST} are allowed"
                )
            if self._is_eligible(version, known):
                yield (fill(order, known) if order else version), replace(candidate, variables=known)

    def _is_eligible(self, version: str, known: Variables) -> bool:
        """Return False for moving names, pre-releases and versions that the resolver excludes."""
        if version == LATEST or (is_prerelease(version) and not self.resolver.prereleases):
            return False
        return not any(
            self.timer.match(pattern(text, known), version, f"exclude[{index}]", text)
            for index, text in enumerate(self.resolver.exclude)
        )

    def _finish(self, candidate: Candidate) -> FoundBuild | None:
        """Return the build of a candidate, checked without reading the whole image; None if its file or checksum file
        does not exist (yet)."""
        known = candidate.variables
        url = known["url"]
        sources, own = (candidate.source, self._first_url(known)), self._names_site()
        check_address(url, sources, own)
        if not own:
            check_named(url, sources)
        try:
            checksum, size, source, known = self._checksum(candidate, known)
            beginning = self.client.beginning(url)
        except FetchError as error:
            if error.status not in GONE:
                raise
            self._missing.append(str(error))
            return None
        check_beginning(url, beginning.data, self.disk_format)
        check_size(url, beginning.size, size, source)
        signed_by, signed_at = self._signed
        self._must_be_signed(url, signed_by, known)
        if signed_by:
            _must_name_bytes(url, checksum, source, known["file"])
        stated_date = parse_day(fill(self.resolver.build_date, known)) if self.resolver.build_date else None
        build_date = stated_date or beginning.modified or signed_at
        version = fill(self.resolver.version, known)
        source = source if checksum else None
        build = Build(version, url, checksum, source, size or beginning.size, build_date, signed_by, signed_at)
        return self._with_image_signature(build, known)

    def _must_be_signed(self, url: str, signed_by: str | None, known: Variables) -> None:
        """Check that a signed document was read, if one is required. Raises VerificationError."""
        rule = self.resolver.signature
        if (
            rule
            and rule.over in ("index", "checksum")
            and not signed_by
            and signature_policy(rule, known) == "required"
        ):
            raise VerificationError(f"{public_url(url)}: no signed {rule.over} was read, and its signature is required")

    def _names_site(self) -> bool:
        """Return True if the resolver itself names the site of the images, not a document of a site."""
        begin = used(self.resolver.url)[:1] if self.resolver.url.startswith("{") else []
        return not begin or begin[0] in self.resolver.variables

    def _first_url(self, known: Variables) -> str | None:
        step = self.resolver.steps[0]
        return fill(str(step.value(step.kind)), known) if step.kind not in ("static", "github-release") else None

    def _checksum(
        self, candidate: Candidate, known: Variables
    ) -> tuple[Checksum | None, int | None, str | None, Variables]:
        """Return the digest, the size, the document with both, and the variables with its URL."""
        rule = self.resolver.checksum
        if rule is None:
            return candidate.checksum, candidate.size, candidate.source, known
        address = fill(rule.url, known)
        known = {**known, "checksum_url": address}
        document = self._verified("checksum", self.client.document(address, fresh=self.fresh), known)
        name = known["file"]
        try:
            checksum = checksum_files.find(document.text, name, rule.algorithm, rule.encoding, address)
            size = checksum_files.sizes(document.text).get(name, candidate.size)
        except VerificationError as error:
            raise VerificationError(with_address(address, error)) from None
        step_checksum = candidate.checksum
        if step_checksum and step_checksum.algorithm == checksum.algorithm and step_checksum != checksum:
            raise VerificationError(
                f"{public_url(address)} and {public_url(candidate.source or '')} contradict each other on {name}"
            )
        return checksum, size, address, known

    def _verified(self, over: str, document: Document, known: Variables) -> Document:
        """Return the part of a document that may be read: all of it, unless it must be signed."""
        rule = self.resolver.signature
        if rule is None or rule.over != over:
            return document
        self._signed = (None, None)
        document, signed_by, signed_at = self._signed_part(rule, over, document, known)
        self._signed = (signed_by, signed_at)
        return document

    def _verified_step(self, index: int, _over: str, document: Document, known: Variables) -> Document:
        """Do the same for a document of a step with its own signature, or of a step that is not the last."""
        self._signed_at.pop(index, None)
        rule = self.resolver.steps[index].signature
        if rule is None:
            return document
        document, _, signed_at = self._signed_part(rule, "index", document, known)
        if signed_at:
            self._signed_at[index] = signed_at
        return document

    def _signed_part(
        self, rule: DocumentSignature, over: str, document: Document, known: Variables
    ) -> tuple[Document, str | None, str | None]:
        """Return the signed part of the document, the signer and the time; the whole document if the policy allows
        that."""
        policy = signature_policy(rule, known)
        if policy == "none":
            return document, None, None
        wanted = signature_to_verify(rule, over, document.url, {"checksum_url": document.url, **known})
        is_unsigned = rule.kind == "clearsigned" and CLEARSIGNED not in document.data
        verified = None if is_unsigned else self._verify(wanted, document.data, policy)
        if verified is None:
            if policy == "required":
                raise VerificationError(f"{public_url(document.url)}: is not signed, and its signature is required")
            return document, None, None
        data, signed_by, signed_at = verified
        return replace(document, data=data), signed_by.upper() if signed_by else None, signed_at

    def _verify(self, wanted: Signature, data: bytes, policy: str) -> tuple[bytes, str | None, str | None] | None:
        """Return the result of the verifier; None if there is no signature and the policy allows that."""
        if is_local(wanted.url or "") and not is_local(wanted.subject):
            where = f"{public_url(wanted.subject)}: its signature is a local file"
            raise Error(f"{where}, but a file on the web needs a signature on the web")
        try:
            return self.verify(wanted, data, lambda url: self.client.document(url, fresh=self.fresh).data)
        except FetchError as error:
            if error.status not in GONE:
                raise
            if policy == "required":
                where = f"there is no signature at {public_url(wanted.url or '')}, and it is required"
                raise VerificationError(f"{public_url(wanted.subject)}: {where}") from None
            return None
        except VerificationError as error:
            raise VerificationError(with_address(wanted.subject, error)) from None

    def _with_image_signature(self, build: Build, known: Variables) -> FoundBuild:
        rule = self.resolver.signature
        if rule is None:
            return FoundBuild(build, None, "none")
        policy, documents_signed_at = signature_policy(rule, known), max(self._signed_at.values(), default=None)
        if rule.over not in ("image", "unpacked-image"):
            return FoundBuild(build, None, policy, documents_signed_at)
        wanted = replace(signature_to_verify(rule, rule.over, build.url, known), checksum=_unforgeable(build.checksum))
        return FoundBuild(build, wanted if policy != "none" else None, policy, documents_signed_at)

    def with_verified_image(self, found_build: FoundBuild) -> Build:
        """Return the build after its image is verified as required. Raises VerificationError."""
        if found_build.image_signature is None:
            return found_build.build
        verified = self._verify(found_build.image_signature, b"", found_build.policy)
        if verified is None:
            return found_build.build
        data, signed_by, signed_at = verified
        # Record the verified bytes; otherwise other bytes could replace them later.
        build = replace(found_build.build, signed_by=signed_by.upper() if signed_by else None, signed_at=signed_at)
        if _unforgeable(build.checksum):
            return build
        checksum = documents.checksum(data.decode("ascii"), "the verified image")
        return replace(build, checksum=checksum, checksums_url=None, other_digests=build.digests)


def signature_policy(rule: DocumentSignature, known: Variables) -> str:
    """Return the policy of a resolver's signature. Raises Error."""
    policy = fill(rule.policy, known)
    if policy not in POLICIES:
        raise Error(f"'{policy}' is not a valid signature policy; use one of {', '.join(POLICIES)}")
    return policy


def signature_to_verify(rule: DocumentSignature, over: str, subject: str, known: Variables) -> Signature:
    """Return the signature that a resolver asks for. Raises Error."""
    keys = tuple(key for text in rule.keys for key in fill(text, known).split())
    return Signature(rule.kind, over, subject, fill(rule.url, known) if rule.url else None, keys)


def _unforgeable(checksum: Checksum | None) -> Checksum | None:
    """Return the checksum, unless its algorithm is broken."""
    return None if checksum is None or checksum.algorithm in BROKEN else checksum


def _must_name_bytes(url: str, checksum: Checksum | None, source: str | None, file: str) -> None:
    """Refuse a signed document that does not determine the bytes of the image. Raises VerificationError."""
    if checksum is None:
        raise VerificationError(
            f"{public_url(source or url)}: has no digest of {file}, so its signature does not vouch for the image"
        )
    if checksum.algorithm in BROKEN:
        raise VerificationError(
            f"{public_url(source or url)}: the signed digest of {file} is {checksum.algorithm}, which can be forged: "
            "its signature does not vouch for the image"
        )
