"""Find the signature of a version before it is copied: it is verified again where possible, or else taken from the
definition.

Only definitions with their own `resolve:` are checked for signatures; docs/mirror.md describes the results.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstack_image_manager.checksum import BROKEN, Checksum
from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.definitions.resolvers import shipped, variables
from openstack_image_manager.definitions.resolvers.model import Resolver, SignatureRule
from openstack_image_manager.errors import Error, FetchError, VerificationError
from openstack_image_manager.signatures.evidence import SignatureVerifier, format_time
from openstack_image_manager.signatures.keyring import Keyring, keyring
from openstack_image_manager.signatures.verify import OpenPGP, Rsa
from openstack_image_manager.transfer import checksum_files
from openstack_image_manager.transfer.checksum_files import with_checksum
from openstack_image_manager.transfer.text import decode
from openstack_image_manager.transfer.unpack import CHUNK
from openstack_image_manager.upstreams.build import Signature, file_name, with_address
from openstack_image_manager.upstreams.resolve import CLEARSIGNED, GONE, signature_policy, signature_to_verify
from openstack_image_manager.upstreams.sites import Sites, sites_from_environment

VERIFIED, RECORDED = "verified", "recorded"


@dataclass(frozen=True, slots=True)
class Proof:
    """A version with its checksum and the state of its signature: verified now, recorded by the definition, or None.

    `over`: a signature over the image itself, which is checked while its bytes are copied.
    """

    version: Version
    signature: str | None = None
    over: Signature | None = None
    signed: bytes = b""
    keyring: Keyring | None = None

    @contextmanager
    def check_image(self) -> Iterator[ImageCheck]:
        """Return a check that must see every byte. Raises VerificationError if there is no key to check with."""
        if self.over is None or self.keyring is None:
            yield ImageCheck(self, None)
            return
        kind = Rsa if self.over.kind == "openssl-rsa" else OpenPGP
        try:
            with kind(self.signed, self.over.keys, self.keyring) as check:
                yield ImageCheck(self, check)
        except VerificationError as error:
            raise VerificationError(with_address(self.over.subject, error)) from None


class ImageCheck:
    """The signature check of one image while it is copied."""

    def __init__(self, proof: Proof, check: OpenPGP | Rsa | None) -> None:
        self._proof, self._check = proof, check
        self._over = proof.over.over if proof.over else ""

    def watch(self, source: Any) -> Any:
        """Return the source, wrapped so that its bytes are checked while they are read."""
        return _CheckedSource(source, self._check) if self._check and self._over == "image" else source

    def image(self, chunk: bytes) -> None:
        """Check the next bytes of the unpacked image."""
        if self._check and self._over == "unpacked-image":
            self._check.update(chunk)

    def finish(self) -> Proof:
        """Finish the check after the last byte. Raises VerificationError unless a pinned key signed the image."""
        if self._check is None:
            return self._proof
        signed = self._check.finish()
        return _signed(self._proof.version, signed.fingerprint, format_time(signed.created))


class _CheckedSource:
    def __init__(self, source: Any, check: OpenPGP | Rsa) -> None:
        self._source, self._check = source, check

    def check(self) -> None:
        self._source.check()

    def read(self, size: int = CHUNK) -> bytes:
        chunk: bytes = self._source.read(size)
        self._check.update(chunk)
        return chunk

    def hexdigest(self) -> str:
        digest: str = self._source.hexdigest()
        return digest


class _UnprovableError(Error):
    """The signed documents of the version no longer exist, or no longer name it."""


@dataclass(frozen=True, slots=True)
class Prover:
    """Verify the signatures of all versions of a run."""

    sites: Sites
    keyring: Keyring
    stop: threading.Event

    def prove(self, definition: Definition, version: Version) -> Proof:
        """Verify the version before its bytes are read.

        Raises FetchError, and VerificationError for a bad signature. A missing signature is an error if it is required
        and the definition records none.
        """
        given = definition.resolve
        resolver = shipped.complete(given) if given is not None and not given.is_none else None
        rule = resolver.signature if resolver else None
        if resolver is None or rule is None:
            return Proof(_with_checksum(version, self.stop))
        known = variables.evaluate(resolver, variables.initial(definition))
        known |= {"url": version.url, "file": file_name(version.url), "version": version.version}
        known |= {"checksum_url": version.checksum_file} if version.checksum_file else {}
        policy = signature_policy(rule, known)
        if policy == "none":
            return Proof(_with_checksum(version, self.stop))
        try:
            return self._verify_again(resolver, rule, version, known)
        except _UnprovableError as reason:
            if version.is_signed:
                return Proof(version, RECORDED)
            if policy == "required":
                raise VerificationError(
                    f"{with_address(version.url, reason)}; its signature is required, and the definition has no "
                    "signed_by with a checksum: run update to record one, or set resolve: signature: policy: optional"
                ) from None
            return Proof(_with_checksum(version, self.stop))

    def _verify_again(self, resolver: Resolver, rule: SignatureRule, version: Version, known: dict[str, str]) -> Proof:
        over_image = rule.over in ("image", "unpacked-image")
        subject = version.url if over_image else version.checksum_file
        if subject is None or (rule.over == "index" and resolver.checksum):
            raise _UnprovableError(f"the definition does not say where the signed {rule.over} is")
        try:
            wanted = signature_to_verify(rule, rule.over, subject, known)
        except Error as error:
            raise _UnprovableError(f"the URL of its signature is unknown: {error}") from None
        if over_image:
            return Proof(
                _with_checksum(version, self.stop), None, wanted, self._document(wanted.url or ""), self.keyring
            )
        data, signed_by, signed_at = self._read(wanted, self._document(subject))
        return _signed(_with_signed_checksum(version, decode(data)), signed_by, signed_at)

    def _read(self, wanted: Signature, data: bytes) -> tuple[bytes, str | None, str | None]:
        if wanted.kind == "clearsigned" and CLEARSIGNED not in data:
            raise _UnprovableError(f"{wanted.subject} is not signed")
        try:
            return SignatureVerifier(self.keyring, self.stop, self.sites.mirrors)(wanted, data, self._document)
        except VerificationError as error:
            raise VerificationError(with_address(wanted.subject, error)) from None

    def _document(self, url: str) -> bytes:
        try:
            return self.sites.document(url).data
        except FetchError as error:
            if error.status in GONE:
                raise _UnprovableError(str(error)) from None
            raise


def _with_checksum(version: Version, stop: threading.Event) -> Version:
    """Return the version with its promised checksum.

    A signature that the definition records was not over a checksum that is fetched now, so it is removed. Raises
    FetchError, VerificationError, Interrupted.
    """
    with_digest = with_checksum(version, stop=stop)
    return with_digest if version.is_signed else with_digest.model_copy(update={"signed_by": None, "signed_at": None})


def _with_signed_checksum(version: Version, text: str) -> Version:
    """Return the version with its checksum from the signed text.

    Raises _UnprovableError if the text no longer contains these bytes, as names are reused, or has only a digest that
    can be forged.
    """
    if version.checksum is None:
        try:
            checksum = checksum_files.find(text, file_name(version.url), url=version.checksum_file or "")
        except VerificationError as error:
            raise _UnprovableError(str(error)) from None
    else:
        checksum = Checksum.parse(version.checksum)
        short = base64.b64encode(bytes.fromhex(checksum.digest)).decode().rstrip("=")
        if not (checksum.digest in text.lower() or short in text):
            raise _UnprovableError(f"{version.checksum} is no longer in {version.checksum_file}")
    if checksum.algorithm in BROKEN:
        raise _UnprovableError(f"its signed digest is {checksum.algorithm}, which can be forged")
    return version.model_copy(update={"checksum": version.checksum or str(checksum)})


def _signed(version: Version, signed_by: str | None, signed_at: str | None) -> Proof:
    known = {"signed_by": signed_by.upper() if signed_by else None, "signed_at": signed_at}
    return Proof(version.model_copy(update=known), VERIFIED)


def create_prover(keys: Path | None, stop: threading.Event) -> Prover:
    """Create a prover that uses the environment of this machine, and keys from `keys`, the user and the system."""
    return Prover(sites_from_environment({}, use_cache=False, stop=stop), keyring(keys), stop)
