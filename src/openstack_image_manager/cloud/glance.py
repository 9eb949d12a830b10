"""Call Glance (Image API v2): list, create, stage, import, wait, patch, (de)activate, delete.

Only authentication, catalogue, session and retries come from openstacksdk. Its image helpers are not used: some ignore
4xx and 5xx answers, `update_image` rewrites all properties, `create_image` looks up names and local files.
API: https://docs.openstack.org/api-ref/image/v2/
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from openstack_image_manager.background import BackgroundCall
from openstack_image_manager.cloud import image_api
from openstack_image_manager.cloud.image_api import (
    NOT_PATCHED,
    as_image,
    error_sentence,
    patch_operation,
    refuse_deleted,
)
from openstack_image_manager.cloud.session import ANSWER_TIMEOUT, ENVIRONMENT, log_in, translated_errors
from openstack_image_manager.errors import CloudError, ImportFailedError, Interrupted, reason
from openstack_image_manager.model import GONE, WHOLE, FieldChange, Image
from openstack_image_manager.redaction import public_url

PAGE = 1000  # the most that Glance gives at once
MOST_PAGES = 2000  # of one listing: two million images, or 50,000 where the cloud allows only 25 on a page
MOST_ROUNDS = 5  # requests for changes during a listing; one is enough unless images change at that very moment
STAGE_TIMEOUT = 600.0  # seconds for the answer after the last byte of an upload
ABANDONED = 60.0  # seconds without a sign of life of an import that has all its bytes
LONGEST_PAUSE = 5.0  # seconds between two polls of an import
FIRST_POLL = 1.0  # seconds before the first poll, at most, when earlier imports took longer
RETRIES = 3
RETRIABLE = (429, 502, 503, 504)
BODY: Any = {"headers": {"Content-Type": "application/octet-stream"}, "timeout": (ANSWER_TIMEOUT, STAGE_TIMEOUT)}
Images = list[Image]
StartTimes = list[datetime | None]  # when Glance began the listing, once its first answer arrived
PATCH_TYPE = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


class Glance:
    """The image service of one cloud, as the user whom the cloud's configuration names."""

    def __init__(self, connection: Any, endpoint: str, cloud: str, most_pages: int = MOST_PAGES) -> None:
        from keystoneauth1.adapter import Adapter

        self.cloud, self._most_pages = cloud, most_pages
        self.notes: tuple[str, ...] = ()  # on the cloud's entry in clouds.yaml
        self._listing: tuple[str, BackgroundCall[Images]] | None = None
        self._usual = 0.0  # seconds that imports take at least
        self._connection = connection
        # Version discovery would cost three calls in every run, and v2 has been the only version for years.
        self._api = Adapter(connection.session, endpoint_override=f"{endpoint}/v2")

    @classmethod
    def connect(cls, cloud: str | None) -> Glance:
        """Log in; `cloud` is a name in clouds.yaml, None: the OS_* environment. Raises CloudError."""
        connection, endpoint = log_in(cloud)
        glance = cls(connection, endpoint, cloud or ENVIRONMENT)
        glance.notes = connection.notes
        return glance

    def close(self) -> None:
        """Close the connections to the cloud."""
        self._connection.close()

    @property
    def project(self) -> str | None:
        """The id of the project that the token is for."""
        with translated_errors(self.cloud):
            project: str | None = self._connection.session.get_project_id()
            return project

    @property
    def project_name(self) -> str | None:
        """The name of that project, from the token."""
        name: str | None = self.access().project_name
        return name

    @property
    def region(self) -> str | None:
        """The region as configured."""
        region: str | None = self._connection.config.get_region_name()
        return region

    def service(self, kind: str) -> str | None:
        """The endpoint of another service in the catalogue, such as compute; None: there is none."""
        with translated_errors(self.cloud):
            endpoint: str | None = self._connection.config.get_session_endpoint(kind)
            return endpoint

    def keystone(self, path: str, key: str, **query: str) -> dict[str, Any]:
        """The JSON object with `key` at this path below Keystone's /v3. Raises CloudError as `request_json` does."""
        endpoint = self.service("identity")
        if not endpoint:
            raise CloudError(f"cloud '{self.cloud}': there is no identity service in its catalogue")
        url = f"{endpoint.removesuffix('/').removesuffix('/v3')}/v3{path}"
        return self.request_json("GET", url, key, who="Keystone", params=query)

    def is_admin(self) -> bool:
        """True if the token has the role admin; policies may give rights to others too."""
        return "admin" in self.access().role_names

    def access(self) -> Any:
        """The content of the token: user, project, roles."""
        with translated_errors(self.cloud):
            return self._connection.session.auth.get_access(self._connection.session)

    def list(self, tag: str | None, owners: Collection[str | None] | None = ()) -> list[Image]:
        """Visible and hidden images with the tag (None: all): public ones, ours, those of `owners` (None: of all)."""
        known_owners = {self.project, *(owners or ())}
        listing, self._listing = self._listing, None
        try:
            images = listing[1].result() if listing and listing[0] == tag else self._list_tagged(tag)
        except CloudError as error:
            if error.status is None:
                raise
            raise CloudError(f"cloud '{self.cloud}': cannot list its images: {error}", error.status) from None
        return [
            image for image in images if owners is None or image.owner in known_owners or image.visibility == "public"
        ]

    def start_listing(self, tag: str) -> None:
        """Start to list the images with the tag; the next `list` uses the result."""
        self._listing = tag, BackgroundCall(lambda: self._list_tagged(tag))

    def _list_tagged(self, tag: str | None) -> Images:
        """The images with the tag, each once. Hidden and visible images take two requests, and an image that changes
        between them is in both answers or in neither. So changes are requested again, until there are none. Images of
        other projects, and images without our tag, may change all the time."""
        query = {"tag": tag} if tag else {}
        images: dict[str, Image] = {}
        for number in range(MOST_ROUNDS):
            hidden = BackgroundCall(partial(self._list_dated, {**query, "os_hidden": "true"}))
            answers = [self._list_dated({**query, "os_hidden": "false"}), hidden.result()]
            fresh = [image for listed, _ in answers for image in listed if images.get(image.id) != image]
            before = dict(images)
            for image in fresh:
                image_api.keep_newer(images, image)
            if number and images == before:
                return [*images.values()]
            begun = [day for _, day in answers if day is not None]
            # Without the cloud's own time, all images are requested again.
            if len(begun) == len(answers):
                query["updated_at"] = f"gte:{min(begun):%Y-%m-%dT%H:%M:%SZ}"
        if tag is None or self.project not in {image.owner for image in fresh}:
            return [*images.values()]
        raise CloudError(f"cloud '{self.cloud}': its images change faster than they can be listed; run again")

    def _list_dated(self, query: dict[str, str]) -> tuple[Images, datetime | None]:
        """The images, and when Glance began to list them, by its own clock and a margin earlier."""
        begun: StartTimes = []
        return [*self.find(self._widest_query(query), begun)], begun[0]

    def _widest_query(self, query: dict[str, str]) -> dict[str, str]:
        # Only a listing of all visibilities has community images of other projects; an administrator may manage some.
        return {**query, **({"visibility": "all"} if self.is_admin() else {})}

    def of_definition(self, tag: str | None, name: str) -> Images:  # noqa: ARG002  all images, whatever their tags
        """All images with the property image_name=`name`, with and without the `tag`; each image once. The order
        visible, hidden, visible also finds an image that is hidden or shown in between."""
        images: dict[str, Image] = {}
        for hidden in ("false", "true", "false"):
            for image in self.find(self._widest_query({"image_name": name, "os_hidden": hidden})):
                image_api.keep_newer(images, image)
        # Some databases find names of another case too.
        return [image for image in images.values() if image.properties.get("image_name") == name]

    def managed(self, tag: str | None, owners: Collection[str | None] | None = ()) -> Sequence[Image]:
        """The images of `list` that this user manages."""
        return self.manageable(self.list(tag, owners))

    def manageable(self, images: Iterable[Image]) -> Sequence[Image]:
        """The images that this user can manage: an administrator all, other users those of their own project."""
        admin = self.is_admin()
        return [image for image in images if admin or image.owner == self.project]

    def find(self, query: dict[str, str], begun: StartTimes | None = None) -> Iterator[Image]:
        """The images that these query parameters find. Raises CloudError for an invalid one, see `as_image`."""
        yield from map(self._image, self.pages(query, begun))

    def pages(self, query: dict[str, str], begun: StartTimes | None = None) -> Iterator[dict[str, Any]]:
        """The images that these query parameters find, as JSON, each once. `begun` gets the time of the first answer.
        Raises CloudError for pages that lead elsewhere, in a circle, or nowhere."""
        path, params = "/images", {"limit": str(PAGE), **query}
        seen: set[str] = set()
        markers: set[str] = set()
        while True:
            start = time.monotonic()
            page, answer = self._answer_of("GET", path, "images", params=params)
            if begun is not None and not begun:
                begun.append(image_api.server_time(answer.headers.get("Date", ""), time.monotonic() - start))
            images = page["images"]
            if len(images) > PAGE or not all(image_api.is_id(image.get("id")) for image in images):
                raise self._unexpected("GET", answer, "one of its pages has too many images, or images without an id")
            new = [image for image in images if image["id"] not in seen]
            # A list, as an image may come twice on one page as well.
            unique = {image["id"]: image for image in new}
            yield from unique.values()
            seen |= unique.keys()
            if not page.get("next"):
                return
            following = image_api.next_page(page["next"])
            if following is None:
                raise self._unexpected("GET", answer, "its next page is not of the same listing")
            path, marker = following
            params = {}
            if marker in markers or not unique or len(markers) + 1 >= self._most_pages:
                raise self._unexpected("GET", answer, "its pages never end")
            markers.add(marker)

    def get(self, image_id: str) -> Image:
        """The image as it is now. Raises CloudError, with status 404 when it is gone or just being deleted."""
        return self._present(self._get(image_id), image_id)

    def _get(self, image_id: str) -> dict[str, Any]:
        return self.request_json("GET", f"/images/{image_id}", "id")

    def _present(self, data: dict[str, Any], image_id: str) -> Image:
        image = self._image(data, image_id)
        refuse_deleted(image)
        return image

    def _image(self, data: dict[str, Any], image_id: str | None = None) -> Image:
        try:
            image = as_image(data)
        except ValueError as error:
            raise CloudError(f"cloud '{self.cloud}': {error}; check the image endpoint") from None
        if image_id is not None and image.id.lower() != image_id.lower():
            raise CloudError(f"cloud '{self.cloud}': asked for image {image_id}, the answer is about {image.id}")
        return image

    def import_methods(self) -> frozenset[str]:
        """The import methods of the cloud: glance-direct, web-download, …"""
        return frozenset(self.request_json("GET", "/info/import", "import-methods")["import-methods"]["value"])

    def create(self, image: Image, container_format: str = "bare") -> Image:
        """Create the record in one POST; the caller chooses the id, so that a lost answer does no harm."""
        try:
            data = self.request_json("POST", "/images", "id", json=image_api.creation_body(image, container_format))
            return self._image(data, image.id or None)
        except CloudError as error:
            # 409: our first request succeeded although its answer was lost, or the id was used before.
            if error.status != 409:
                raise
            try:
                existing = self.get(image.id)
            except CloudError:
                raise CloudError(f"{error}; Glance never reuses an image id; choose another one", 409) from None
            if existing.status != "queued" or existing.properties != image.properties:
                raise
            return existing

    def stage(self, image_id: str, chunks: Iterable[bytes]) -> None:
        """Upload bytes to the staging area; nothing is published. An exception of the iterator ends the upload, and
        Glance sets the image back to queued."""
        self.request("PUT", f"/images/{image_id}/stage", data=chunks, retry=False, **BODY)

    def stores(self) -> frozenset[str]:
        """The ids of the cloud's stores; empty where it has only one, without a name."""
        try:
            stores = self.request_json("GET", "/info/stores", "stores")["stores"]
        except CloudError as error:
            if error.status != 404:
                raise
            return frozenset()
        return frozenset(store["id"] for store in stores)

    def drop_from_store(self, image_id: str, store: str) -> None:
        """Delete the copy in one store; Glance refuses to delete the last one."""
        self.request("DELETE", f"/stores/{store}/{image_id}")

    def import_image(
        self, image_id: str, method: str, uri: str | None = None, stores: Collection[str] | None = None
    ) -> None:
        """Order the import; Glance answers 400 to a URI that its filter refuses. `stores`: where the bytes go; a store
        that fails does not undo the others."""
        try:
            self.request("POST", f"/images/{image_id}/import", json=image_api.import_body(method, uri, stores))
        except CloudError as error:
            # 409: our first request succeeded although its answer was lost, or another run has ordered it.
            if error.status != 409:
                raise
            current = self.get(image_id)
            begun = () if method == "copy-image" else (*WHOLE, "importing")
            if current.status not in begun and not current.import_task:
                raise

    def wait(
        self,
        image_id: str,
        deadline: float,
        stop: threading.Event,
        progress: Callable[[str], None] | None = None,
        abandoned: float = ABANDONED,
    ) -> Image:
        """Wait until the import is done; `deadline` in seconds of time.monotonic(). Raises CloudError with the message
        of Glance's task. A failure is read from a property or a task, never guessed from elapsed time."""
        begun = changed = time.monotonic()
        pause, seen = 0.1, ""
        # A poll costs Glance a considerable part of the import of a small image.
        if stop.wait(min(self._usual, deadline - begun)):
            raise Interrupted("interrupted")
        while True:
            image = self._get(image_id)
            now = self._image(image, image_id)
            status = now.status
            if now.updated_at != seen:
                changed, seen = time.monotonic(), now.updated_at
            # While the import holds its lock, it also saves the image as it was, over any change of ours. A Glance that
            # died holds the lock for ever: it counts as abandoned once all copies are made and nothing happens.
            silent = time.monotonic() - changed > abandoned
            dead = silent and not image.get("os_glance_importing_to_stores")
            if status in WHOLE and (dead or not image.get("os_glance_import_task")):
                self._usual = min((time.monotonic() - begun) * 0.8, self._usual * 1.1 + 0.05, FIRST_POLL)
                return now
            failed = image.get("os_glance_failed_import") or status in ("killed", *GONE)
            task = self._task(image_id) if failed or silent or status == "queued" or progress else {}
            # os_glance_failed_import of an earlier import stays until the next one has begun.
            if task.get("status", "failure" if failed else "") == "failure":
                message = reason(task["message"]) if task.get("message") else f"the image is {status}"
                raise ImportFailedError(f"Glance could not import it: {message}")
            if progress and task.get("message"):
                progress(reason(task["message"]))
            if time.monotonic() + pause > deadline:
                raise CloudError(f"the import did not finish in time: the image is still {status} (--import-timeout)")
            if stop.wait(pause):
                raise Interrupted("interrupted")
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def _task(self, image_id: str) -> dict[str, Any]:
        """The newest task of the image, preferably one that has not failed; Glance keeps tasks for 48 hours."""
        try:
            tasks = self.request_json("GET", f"/images/{image_id}/tasks", "tasks")["tasks"]
        except CloudError:
            return {}
        return max(tasks, key=lambda task: (task["created_at"], task["status"] != "failure"), default={})

    def patch(self, image_id: str, changes: Iterable[FieldChange]) -> Image:
        """Make all changes in one PATCH, all or nothing, except those that have requests of their own."""
        operations = [patch_operation(change) for change in changes if change.field not in NOT_PATCHED]
        if not operations:
            return self.get(image_id)
        patched = self.request_json("PATCH", f"/images/{image_id}", "id", json=operations, headers=PATCH_TYPE)
        return self._present(patched, image_id)

    def set_status(self, image_id: str, status: str) -> None:
        """Set the status to `active` or `deactivated`; the current status is fine."""
        action = "reactivate" if status == "active" else "deactivate"
        self.request("POST", f"/images/{image_id}/actions/{action}")

    def delete(self, image_id: str) -> None:
        """Delete the image; an image that is already gone is fine."""
        try:
            self.request("DELETE", f"/images/{image_id}")
        except CloudError as error:
            # 400: two deletes at the same moment ("status transition from deleted to deleted is not allowed").
            if error.status != 404 and not (error.status == 400 and self.is_gone(image_id)):
                raise

    def is_gone(self, image_id: str) -> bool:
        """True if there is no such image, or Glance is deleting it."""
        try:
            self.get(image_id)
        except CloudError as error:
            return error.status == 404
        return False

    def request_json(self, method: str, path: str, key: str, **arguments: Any) -> dict[str, Any]:
        """The JSON object with `key` that the answer holds. Raises CloudError as `request` does, and for an answer that
        does not follow the API."""
        return self._answer_of(method, path, key, **arguments)[0]

    def _answer_of(self, method: str, path: str, key: str, **arguments: Any) -> tuple[dict[str, Any], Any]:
        answer = self.request(method, path, **arguments)
        try:
            data = answer.json()
        except (ValueError, RecursionError):
            data = None
        if not image_api.is_shaped(data, key):
            raise self._unexpected(method, answer, who=arguments.get("who", "Glance"))
        return data, answer

    def _unexpected(
        self, method: str, answer: Any, why: str = "check its endpoint in the catalogue", who: str = "Glance"
    ) -> CloudError:
        url = public_url(answer.url.partition("?")[0])
        asked = url if method == "GET" else f"{method} {url}"
        return CloudError(f"cloud '{self.cloud}': {asked} does not answer as {who} does; {why}")

    def request(self, method: str, path: str, retry: bool = True, who: str = "Glance", **arguments: Any) -> Any:
        """Send one request and give the answer. Raises CloudError with Glance's message for every 4xx and 5xx, and for
        any status that does not mean success. `path` may be a whole URL, of the service that `who` names."""
        retries = RETRIES if retry else 0
        with translated_errors(self.cloud):
            answer = self._api.request(
                path,
                method,
                raise_exc=False,
                connect_retries=retries,
                status_code_retries=retries,
                retriable_status_codes=RETRIABLE,
                **arguments,
            )
        if answer.status_code >= 400:
            raise CloudError(error_sentence(answer, who), answer.status_code)
        if answer.status_code not in image_api.success_statuses(method, path.partition("?")[0]):
            answer.close()
            raise self._unexpected(
                method, answer, f"its status is {answer.status_code}; nothing is assumed to be done", who
            )
        return answer
