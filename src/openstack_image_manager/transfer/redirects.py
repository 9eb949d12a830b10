"""Request a URL and follow its redirects one by one, and only to allowed hosts."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_auth_from_url, requote_uri, select_proxy

from openstack_image_manager.redaction import public_url, remember_url
from openstack_image_manager.transfer.addresses import is_allowed, is_internal, literal_address
from openstack_image_manager.transfer.deadline import ConnectionWatch

MOST = 10
ALLOWED_HOSTS = "OPENSTACK_IMAGE_MANAGER_ALLOWED_HOSTS"  # names, addresses and networks, separated by blanks
_ENDLESS = f"redirected {MOST} times, without an end"


class RedirectError(ValueError):
    """A redirect to a host or scheme that is not allowed."""


@dataclass(frozen=True, slots=True)
class RedirectTrail:
    """The URLs that a request was sent to, in order. `internal`: the first one is internal, so that redirects may lead
    to other internal addresses."""

    hops: tuple[str, ...] = ()
    internal: bool = False

    def check(self, url: str) -> None:
        """Raise RedirectError for a URL to which no request may be redirected."""
        parts = urlsplit(url)
        scheme, host = parts.scheme.lower(), parts.hostname or ""
        if scheme not in ("http", "https"):
            raise RedirectError(f"redirected to {public_url(url)}, which is neither http: nor https:, and not followed")
        if not self.hops:
            return
        # Bytes of an unprotected connection could have been replaced.
        if scheme == "http" and not self.hops[0].lower().startswith("http:"):
            raise RedirectError("redirected from https to http; use an address without that")
        if len(self.hops) > MOST:
            raise RedirectError(_ENDLESS)
        if address := literal_address(host):
            self.check_peer(url, address)

    def check_peer(self, url: str, address: str) -> None:
        """Raise RedirectError for an internal address of a host."""
        if self.internal or not self.hops or not is_internal(address):
            return
        host = urlsplit(url).hostname or ""
        if not is_allowed(host, address, os.environ.get(ALLOWED_HOSTS, "").split()):
            raise RedirectError(
                f"redirected to {public_url(url)}, an internal address ({address}), and not followed; "
                f"if that is right, add {host} to {ALLOWED_HOSTS}"
            )


@dataclass(frozen=True, slots=True)
class Answer:
    """The response and the redirects to it."""

    response: requests.Response
    trail: RedirectTrail

    def close(self) -> None:
        """Close the connection."""
        self.response.close()


class _Session(requests.Session):
    """A session that reads no body by itself: requests reads the bodies of redirects completely, also unfollowed."""

    def __init__(self, trail: RedirectTrail, watch: ConnectionWatch) -> None:
        super().__init__()
        self.trail = trail
        self.watch = watch
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(self))

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002  as requests has it
        """None, so that requests follows no redirect."""
        return None

    def target(self, answer: requests.Response) -> str | None:
        """Where the answer redirects to."""
        location = super().get_redirect_target(answer)
        return requote_uri(urljoin(answer.url, location)) if location else None


class _Adapter(HTTPAdapter):
    """Makes connections that are watched and whose peer is checked before anything is sent."""

    def __init__(self, session: _Session) -> None:
        super().__init__()
        self._session = session

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """The pool of connections to a host, or to the proxy in front of it."""
        pool: Any = super().get_connection_with_tls_context(request, verify, proxies, cert)
        session, url = self._session, request.url or ""
        direct = not select_proxy(url, proxies)

        class Watched(pool.ConnectionCls):  # type: ignore[misc]  # the class depends on TLS and on the proxy
            def _new_conn(self) -> socket.socket:
                connection: socket.socket = super()._new_conn()
                try:
                    session.watch.add(connection)
                    if direct:
                        _check_peer(session, url, connection.getpeername()[0])
                except BaseException:
                    connection.close()
                    raise
                return connection

        pool.ConnectionCls = Watched
        return pool


def _check_peer(session: _Session, url: str, address: str) -> None:
    session.trail.check_peer(url, address)
    if not session.trail.hops and is_internal(address):
        session.trail = replace(session.trail, internal=True)


def send(
    url: str,
    headers: Mapping[str, str],
    patience: tuple[float, float],
    watch: ConnectionWatch,
    request_url: Callable[[str], str] | None,
    trail: RedirectTrail,
) -> Answer:
    """The answer, with its body unread, and the redirects to it; `trail`: the redirects that led to `url`.

    `request_url`: the URL to ask for the target of a redirect, such as that of a mirror; None: a redirect is the
    answer. Raises exceptions of requests, FetchError and RedirectError."""
    sent = dict(headers)
    with _Session(trail, watch) as session:
        for _ in range(MOST + 1):
            session.trail.check(url)
            remember_url(url)
            if not session.trail.hops and is_internal(literal_address(urlsplit(url).hostname or "") or "1.1.1.1"):
                session.trail = replace(session.trail, internal=True)
            user = get_auth_from_url(url)
            session.auth = user if any(user) else _no_credentials
            answer = session.get(url, headers=sent, stream=True, timeout=patience, allow_redirects=False)
            session.trail = replace(session.trail, hops=(*session.trail.hops, answer.url))
            try:
                target = session.target(answer) if request_url else None
            except ValueError:
                answer.close()
                raise
            if target is None or request_url is None:
                return Answer(answer, session.trail)
            # Unread: a body without end would fill the memory. The watch holds a copy of the connection.
            answer.close()
            watch.release()
            secret = answer.request.headers.get("Authorization")
            if secret and _is_same_host(answer.url, target):
                sent["Authorization"] = secret
            else:
                sent.pop("Authorization", None)
            url = request_url(target)
            if url != target:  # the redirect to a mirror is the user's
                session.trail = RedirectTrail()
        raise RedirectError(_ENDLESS)


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add no credentials: requests would add those of ~/.netrc, also for a URL that someone else wrote."""
    return request


def _is_same_host(before: str, after: str) -> bool:
    """True if credentials for one URL may be sent to the other: the same server, or the same with TLS."""
    ports = {"http": 80, "https": 443}
    one, other = (
        (parts.hostname, parts.scheme, parts.port or ports[parts.scheme]) for parts in map(urlsplit, (before, after))
    )
    return one == other or (one[0] == other[0] and one[1:] == ("http", 80) and other[1:] == ("https", 443))
