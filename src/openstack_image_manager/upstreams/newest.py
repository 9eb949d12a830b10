"""Find the newest build of the upstream, for one definition or for many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from openstack_image_manager.background import started, wait_for_all
from openstack_image_manager.definitions.diagnostics import field_path
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.resolvers import shipped, validation, variables
from openstack_image_manager.definitions.resolvers.model import Resolver
from openstack_image_manager.errors import Error, Interrupted, UsageError, VerificationError
from openstack_image_manager.upstreams.budget import UpstreamClient
from openstack_image_manager.upstreams.build import (
    Build,
    Verify,
    check_recorded,
    check_signed,
    is_new,
    stale_warning,
)
from openstack_image_manager.upstreams.moving_url import MovingUrl
from openstack_image_manager.upstreams.near_misses import near_miss_warning
from openstack_image_manager.upstreams.other_digests import with_other_digests
from openstack_image_manager.upstreams.resolve import Search
from openstack_image_manager.upstreams.sites import Sites

T = TypeVar("T")
UNANSWERED = "its upstream had not answered yet; nothing was changed"
WORKERS = 64  # definitions at a time; `Sites` limits the requests to one host


def newest(definition: Definition, sites: Sites, verify: Verify) -> Build:
    """Return the newest existing build of the upstream that is signed as the policy requires and not older than the
    recorded ones.

    A signature over the image is verified only for a new build (`is_new`). Raises Error, FetchError, VerificationError;
    each message is one line.
    """
    resolver, client = shipped.resolver_of(definition), UpstreamClient(sites)
    if resolver is None:
        if not shipped.moves(definition):
            what = "add resolve, or latest_url and latest_checksum_url"
            raise UsageError(f"no upstream is known; {what}")
        build = with_other_digests(
            definition, _with_retry(lambda fresh: MovingUrl(definition, client, fresh).find(), client), client
        )
        check_recorded(definition, build)
        return build
    known = _checked_variables(resolver, definition)

    def search(fresh: bool) -> Search:
        return Search(resolver, definition.format, client, verify, fresh)

    found_build = _with_retry(lambda fresh: search(fresh).find(known), client)
    found_build = replace(found_build, build=with_other_digests(definition, found_build.build, client))
    check_recorded(definition, found_build.build)
    if is_new(definition, found_build.build):
        build = search(False).with_verified_image(found_build)
        check_signed(definition, build, found_build.policy, found_build.documents_signed_at)
    elif (
        found_build.image_signature
    ):  # the image is not read again, so nothing is recorded that only its signature would prove
        build = replace(found_build.build, checksum=None, checksums_url=None, other_digests=())
    else:
        build = found_build.build
    max_age = resolver.signature.max_age if resolver.signature else None
    warnings = (
        stale_warning(build.signed_at, max_age, datetime.now(UTC)),
        near_miss_warning(list(found_build.near_misses)),
    )
    return replace(build, warning="; ".join(filter(None, warnings)) or None)


def _checked_variables(resolver: Resolver, definition: Definition) -> dict[str, str]:
    """Return the initial variables. Raises Error if the resolver is not valid for this definition."""
    known = variables.initial(definition)
    problems = validation.problems(resolver, known)
    if problems:
        loc, message = problems[0]
        raise Error(f"{field_path(('resolve', *loc))}: {message}")
    return variables.evaluate(resolver, known)


def _with_retry(find: Callable[[bool], T], client: UpstreamClient) -> T:
    """Try again with fresh documents: contradictory ones may have been fetched during the upload of a new build."""
    try:
        return find(False)
    except VerificationError:
        if client.read_local:  # the content of a local file must not cause requests
            raise
        return find(True)


def check_all(
    definitions: Sequence[Definition], sites: Sites, verify: Verify
) -> list[tuple[Definition, Build | Error]]:
    """Return the newest build or the error of each definition, in order; a failure stops no other.

    After Ctrl-C, unknown results are Interrupted, and known results stay.
    """

    def check(definition: Definition) -> Build | Error:
        try:
            return newest(definition, sites, verify)
        except Error as error:
            return error

    # Not a pool: a site that hangs does not notice Ctrl-C, and the end of the program would wait for it.
    with started(check, definitions, WORKERS) as futures:
        try:
            for future in futures:
                wait_for_all([future])
                future.result()
        except KeyboardInterrupt:
            sites.stop()
        return [
            (definition, future.result() if future.done() else Interrupted(UNANSWERED))
            for definition, future in zip(definitions, futures, strict=True)
        ]
