"""Check that the URLs of images answer from here. One byte of each is requested, which proves more than HEAD does:
sites answer HEAD in other ways, or not at all, and an import asks with GET."""

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
# Glance's web-download is urllib, which says so; some sites refuse that and take every other client.
GLANCE = {"User-Agent": "Python-urllib/3.12"}


@dataclass
class Reached:
    """Addresses, each asked once however many clouds there are; and the definitions that they are of, by name."""

    definitions: dict[str, Definition] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)

    def ask(self, definitions: Iterable[Definition]) -> Mapping[str, Answer]:
        """The answers of all addresses of these definitions, and of the checksum files that they need."""
        self.definitions |= {definition.name: definition for definition in definitions}
        versions = [version for definition in self.definitions.values() for version in definition.offered]
        urls = dict.fromkeys(url for version in versions for url in addresses(version))
        texts = dict.fromkeys(url for version in versions if (url := checksum_file(version)))
        asked = [[url for url in each if url not in self.answers] for each in (urls, texts)]
        self.answers |= look(*asked)
        return {url: self.answers[url] for url in (*urls, *texts)}


def look(urls: Collection[str], texts: Collection[str] = ()) -> dict[str, Answer]:
    """What each address says; `texts`: those of checksum files. Of each site that has images, one address is also asked
    as Glance would."""
    stop = threading.Event()

    def one(question: tuple[Callable[[str, threading.Event], Answer], str]) -> Answer:
        ask, url = question
        return ask(url, stop)

    questions = [*((_read, url) for url in texts), *((_ask, url) for url in urls)]
    try:
        found = in_parallel(one, questions, WORKERS)
        read, answers = found[: len(texts)], dict(zip(urls, found[len(texts) :], strict=True))
        first = {urlsplit(url).netloc: url for url, answer in answers.items() if _is_web(url) and not answer.failure}
        chosen = list(first.values())
        asked = in_parallel(lambda url: _as_glance(answers[url], stop), chosen, WORKERS)
        return dict(zip(texts, read, strict=True)) | answers | dict(zip(chosen, asked, strict=True))
    finally:
        stop.set()


def _is_web(url: str) -> bool:
    return urlsplit(url).scheme.lower() in WEB


def _ask(url: str, stop: threading.Event) -> Answer:
    try:
        with Download(url, deadline=time.monotonic() + PATIENCE, stop=stop, headers=PART, hint="") as download:
            kind = download.answer.get("Content-Type", "")
            if kind.startswith("text/html"):
                return Answer(url, failure=f"{public_url(url)}: a web page comes instead of an image")
            return Answer(url, _size(download.status, download.size, download.answer))
    except Error as error:
        return Answer(url, failure=str(error))


def _read(url: str, stop: threading.Event) -> Answer:
    """All of a checksum file, as an import reads it. What it says of the image shows at the import."""
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
    """Bytes of the whole file: of a part that came, the header tells (RFC 9110, 14.4)."""
    if status != 206:
        return size
    whole = re.fullmatch(r"bytes 0-\d+/(\d{1,18})", headers.get("Content-Range", ""))
    return int(whole[1]) if whole else None
