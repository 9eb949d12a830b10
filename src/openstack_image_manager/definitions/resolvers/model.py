"""Define `resolve:` as frozen types: the steps that lead to the newest build of an upstream."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from openstack_image_manager.definitions.values import empty_list, empty_mapping

# Each kind of step: the options it takes, those that it needs, and the variables that it gives by itself.
KINDS: dict[str, tuple[frozenset[str], frozenset[str], frozenset[str]]] = {
    kind: (frozenset(takes.split()) | {"order"}, frozenset(needs.split()), frozenset(gives.split()))
    for kind, takes, needs, gives in (
        ("listing", "match", "match", "file url"),
        ("checksum-file", "match algorithm encoding signature", "match", "file url checksum_url"),
        ("json", "syntax items where fields match signature", "", ""),
        (
            "simplestreams",
            "product item root match signature",
            "product item",
            "file url version label pubname release",
        ),
        ("debian-manifest", "root format signature", "root format", "file url version"),
        ("github-release", "tag match", "match", "file url tag published"),
        ("pointer", "keys match redirect signature", "", ""),
        ("static", "", "", ""),
    )
}
INITIAL = ("name", "shortname", "os_version", "os_distro", "architecture")
NONE = "none"  # in place of a resolver's name: no upstream is followed
POLICIES = ("required", "optional", "none")


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, serialize_by_alias=True)


def _listed(value: Any) -> Any:
    """A single value means a list of one."""
    return [value] if isinstance(value, str | dict) else value


def _lookup(value: Any) -> Any:
    """A text means a variable with a constant value."""
    return {"otherwise": value} if isinstance(value, str) else value


def _named(value: Any) -> Any:
    """A text means the resolver of that name."""
    return {"use": value} if isinstance(value, str) else value


class Lookup(_Block):
    """The value of a variable: a text, or a text for each value of another variable."""

    by: str | None = Field(None, description="The variable that decides.", examples=["architecture"])
    values: dict[str, str] = Field(
        default_factory=empty_mapping, description="Its values, and what each gives.", examples=[{"x86_64": "amd64"}]
    )
    otherwise: str | None = Field(
        None, description="For all other values; without it, they are errors.", examples=["{architecture}"]
    )


Table = Annotated[Lookup, BeforeValidator(_lookup)]
Texts = Annotated[list[str], BeforeValidator(_listed)]
Algorithm = Literal["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]
Encoding = Literal["hex", "base64"]


class DocumentSignature(_Block):
    """The required signature of a document."""

    kind: Literal["detached", "clearsigned", "openssl-rsa"] = Field(
        description="detached, clearsigned (the signed text is all that is read) or openssl-rsa.",
        examples=["detached"],
    )
    url: str | None = Field(
        None, description="The signature; clearsigned texts hold it.", examples=["{checksum_url}.asc"]
    )
    keys: Texts = Field(
        default_factory=empty_list,
        description="Fingerprints of the primary keys that may sign (openssl-rsa: SHA-256 of the public keys).",
        examples=[["FC226859C0860BF0DDB95B085B106C736FEDFC85"]],
    )
    policy: str = Field(
        "required",
        description="required; optional: unsigned is allowed, wrongly signed is not; or none.",
        examples=["optional"],
    )


class Step(_Block):
    """One step: exactly one of the eight kinds, and its options."""

    listing: str | None = Field(
        None,
        description="A web page or MirrorCache table: the names of a directory.",
        examples=["https://dl.rockylinux.org/pub/rocky/"],
    )
    checksum_file: str | None = Field(
        None,
        alias="checksum-file",
        description="A checksum file: the names in it, with digests and sizes.",
        examples=["https://cloud.centos.org/centos/9-stream/x86_64/images/CHECKSUM"],
    )
    json_document: str | None = Field(
        None, alias="json", description="A JSON or YAML document.", examples=["https://factory.talos.dev/versions"]
    )
    simplestreams: str | None = Field(
        None,
        description="A products file of simplestreams.",
        examples=["https://cloud-images.ubuntu.com/releases/streams/v1/com.ubuntu.cloud:released:download.sjson"],
    )
    debian_manifest: str | None = Field(
        None,
        alias="debian-manifest",
        description="The manifest next to a Debian cloud image.",
        examples=["https://cloud.debian.org/images/cloud/trixie/latest/debian-13-genericcloud-amd64.json"],
    )
    github_release: str | None = Field(
        None,
        alias="github-release",
        description="The files of a project's newest 100 releases.",
        examples=["gardenlinux/gardenlinux"],
    )
    pointer: str | None = Field(
        None,
        description="A small file or a redirect that contains a version or name.",
        examples=["https://stable.release.flatcar-linux.net/amd64-usr/current/version.txt"],
    )
    static: Annotated[list[dict[str, str]] | None, BeforeValidator(_listed)] = Field(
        None, description="Variables as they stand here, for each build.", examples=[{"version": "0.6.3"}]
    )
    match: str | None = Field(
        None,
        description="Regular expression for the whole name (or line); named groups become variables.",
        examples=[r"image-(?P<version>\d+)\.qcow2"],
    )
    order: str | None = Field(None, description="Sort key: the largest is the newest.", examples=["{release}-{respin}"])
    algorithm: Algorithm | None = Field(None, description="Which digests to take.", examples=["sha512"])
    encoding: Encoding = Field("hex", description="How digests are written.", examples=["base64"])
    syntax: Literal["json", "yaml"] = Field("json", description="Language of the document.", examples=["yaml"])
    items: str | None = Field(None, description="Path to the list (or mapping) of builds.", examples=["builds.stable"])
    where: dict[str, str] = Field(
        default_factory=empty_mapping,
        description="Path to value: which items count.",
        examples=[{"arch": "{architecture}"}],
    )
    fields: dict[str, str] = Field(
        default_factory=empty_mapping,
        description="Variable to path; file, url, checksum and size are known.",
        examples=[{"url": "link", "checksum": "sha256"}],
    )
    product: str | None = Field(
        None, description="Name of the product.", examples=["com.ubuntu.cloud:server:24.04:amd64"]
    )
    item: str | None = Field(None, description="Name or ftype of the item.", examples=["disk1.img"])
    root: str | None = Field(
        None, description="Base URL of relative paths.", examples=["https://cloud.debian.org/images/cloud/"]
    )
    format: str | None = Field(None, description="Which of the image formats.", examples=["qcow2"])
    tag: str | None = Field(
        None,
        description="Regular expression for the whole tag; named groups become variables.",
        examples=[r"v(?P<version>\d+)"],
    )
    keys: dict[str, str] = Field(
        default_factory=empty_mapping,
        description="Variable to key of a key=value file.",
        examples=[{"version": "FLATCAR_VERSION_ID"}],
    )
    redirect: str | None = Field(
        None,
        description="Regular expression for the whole address that is redirected to.",
        examples=[r".*/(?P<version>\d+)/"],
    )
    signature: DocumentSignature | None = Field(
        None,
        description="Required signature of the document of this step, in addition to signature below resolve.",
        examples=[{"kind": "detached", "url": "{site}/version.txt.sig", "keys": ["{key}"]}],
    )

    @property
    def kind(self) -> str:
        """The one kind that is given ('' for none)."""
        return next((kind for kind in KINDS if self.value(kind) is not None), "")

    def value(self, name: str) -> Any:
        """The value of a name of the format."""
        return getattr(self, ATTRIBUTES[name])

    @property
    def given(self) -> frozenset[str]:
        """The names of the format that are given."""
        return frozenset(name for name, attribute in ATTRIBUTES.items() if attribute in self.model_fields_set)


# Names of the format to names of Python.
ATTRIBUTES = {info.alias or name: name for name, info in Step.model_fields.items()}


class ChecksumRule(_Block):
    """Where the digest of the chosen file is, when no step gives it."""

    url: str = Field(description="The checksum file.", examples=["{url}.sha512"])
    algorithm: Algorithm | None = Field(None, description="Which digest to take.", examples=["sha512"])
    encoding: Encoding = Field("hex", description="How digests are written.", examples=["base64"])


class SignatureRule(DocumentSignature):
    """The required signature of an index, a checksum or an image."""

    over: Literal["index", "checksum", "image", "unpacked-image"] = Field(
        description="The signed document or file.", examples=["checksum"]
    )
    max_age: int | None = Field(
        None, gt=0, description="Days after which a signature is too old: a warning.", examples=[30]
    )


class Resolver(_Block):
    """How the newest build of an image is found; a name means one that is shipped."""

    use: str | None = Field(
        None, description="A shipped resolver; the other fields replace parts of it.", examples=["rocky"]
    )
    variables: dict[str, Table] = Field(
        default_factory=empty_mapping,
        description="More variables, each known to the next.",
        examples=[{"flavour": "Base"}],
    )
    steps: list[Step] = Field(
        default_factory=empty_list,
        description="The steps; each knows the variables of those before it.",
        examples=[[{"listing": "https://example.org/", "match": r"(?P<version>\d+)\.img"}]],
    )
    url: str = Field("{url}", description="Address of the image.", examples=["https://example.org/{file}"])
    version: str = Field("{version}", description="The version.", examples=["{date}.{respin}"])
    build_date: str | None = Field(
        None, description="When it was built; else Last-Modified or the signature shows it.", examples=["{date}"]
    )
    exclude: Texts = Field(
        default_factory=empty_list,
        description="Regular expressions for whole versions that are never taken.",
        examples=[[r"20250812\.1"]],
    )
    prereleases: bool = Field(False, description="true: alpha, beta and rc versions count as well.", examples=[True])
    checksum: ChecksumRule | None = Field(
        None, description="Where the digest is, when no step gives it.", examples=[{"url": "{url}.sha512"}]
    )
    signature: SignatureRule | None = Field(
        None,
        description="The required signature of an index, a checksum or an image.",
        examples=[{"kind": "clearsigned", "over": "checksum", "keys": ["36F612DCF27F7D1A48A835E4DBFCF71C6D9F90A6"]}],
    )

    @property
    def is_none(self) -> bool:
        """True for `resolve: none`."""
        return self.use == NONE


Resolve = Annotated[Resolver, BeforeValidator(_named)]
