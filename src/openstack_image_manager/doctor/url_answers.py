"""Check that the URLs of images answer. One byte is requested with GET, as an import does, because sites answer HEAD
differently or not at all."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from openstack_image_manager.background import in_parallel
from openstack_image_manager.definitions.model import Definition, public_url
from openstack_image_manager.doctor.needs import WEB, Answer, addresses, checksum_file
from openstack_image_manager.errors import Error, FetchError
from openstack_image_manager.transfer.download import Download, fetch_text

WORKERS = 16
PATIENCE = 30.0  # seconds for one address, retries included
PART = {"Range": "bytes=0-0"}
# Glance's web-download uses urllib; some sites refuse only this User-Agent.
GLANCE = {"User-Agent": "Python-urllib/3.12"}


@dataclass
class UrlAnswers:
    """The answers of URLs, which are requested once for all clouds; and their definitions by name."""

    definitions: dict[str, Definition] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)

    def ask(self, definitions: Iterable[Definition]) -> Mapping[str, Answer]:
        """Return the answers of all URLs of these definitions, and of the checksum files that they need."""
        self.definitions |= {definition.name: definition for definition in definitions}
        versions = [version for definition in self.definitions.values() for version in definition.offered]
        urls = dict.fromkeys(url for version in versions for url in addresses(version))
        texts = dict.fromkeys(url for version in versions if (url := checksum_file(version)))
        unknown = [[url for url in group if url not in self.answers] for group in (urls, texts)]
        self.answers |= request(*unknown)
        return {url: self.answers[url] for url in (*urls, *texts)}


def request(urls: Collection[str], texts: Collection[str] = ()) -> dict[str, Answer]:
    """Request all URLs; `texts` are those of checksum files. One URL of each site is also requested with the User-Agent
    of Glance."""
    stop = threading.Event()

    def answer(question: tuple[Callable[[str, threading.Event], Answer], str]) -> Answer:
        ask, url = question
        return ask(url, stop)

    questions = [*((_read, url) for url in texts), *((_ask, url) for url in urls)]
    try:
        results = in_parallel(answer, questions, WORKERS)
        read, answers = results[: len(texts)], dict(zip(urls, results[len(texts) :], strict=True))
        first = {urlsplit(url).netloc: url for url, answer in answers.items() if _is_web(url) and not answer.failure}
        chosen = list(first.values())
        checked = in_parallel(lambda url: _as_glance(answers[url], stop), chosen, WORKERS)
        return dict(zip(texts, read, strict=True)) | answers | dict(zip(chosen, checked, strict=True))
    finally:
        stop.set()


def _is_web(url: str) -> bool:
    return urlsplit(url).scheme.lower() in WEB


def _ask(url: str, stop: threading.Event) -> Answer:
    try:
        with Download(url, deadline=time.monotonic() + PATIENCE, stop=stop, headers=PART, hint="") as download:
            kind = download.answer.get("Content-Type", "")
            if kind.startswith("text/html"):
                return Answer(url, failure=f"{public_url(url)}: a web page instead of an image")
            return Answer(url, _size(download.status, download.size, download.answer))
    except Error as error:
        return Answer(url, failure=str(error))


def _read(url: str, stop: threading.Event) -> Answer:
    """Read a whole checksum file, as an import does. The import checks its content."""
    try:
        fetch_text(url, timeout=PATIENCE, stop=stop)
    except Error as error:
        return Answer(url, failure=str(error), is_text=True)
    return Answer(url, is_text=True)


def _as_glance(answer: Answer, stop: threading.Event) -> Answer:
    headers = PART | GLANCE
    try:
        with Download(answer.url, deadline=time.monotonic() + PATIENCE, stop=stop, headers=headers, hint=""):
            return answer
    except FetchError as error:
        return Answer(answer.url, answer.size, refuses_glance=str(error).rpartition(": ")[2])


def _size(status: int, size: int | None, headers: Mapping[str, str]) -> int | None:
    """Return the bytes of the whole file: a partial answer has them in its header (RFC 9110, 14.4)."""
    if status != 206:
        return size
    whole = re.fullmatch(r"bytes 0-\d+/(\d{1,18})", headers.get("Content-Range", ""))
    return int(whole[1]) if whole else None
