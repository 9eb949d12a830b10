"""Call Glance (Image API v2): list, create, stage, import, wait, patch, (de)activate, delete.

Only authentication, catalogue, session and retries come from openstacksdk. Its image helpers are not used: some swallow
4xx and 5xx answers, `update_image` rewrites the whole property bag, `create_image` looks up names and local files.
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
MOST_ROUNDS = 5  # questions for what changed during a listing; one is enough unless images change at that very moment
STAGE_TIMEOUT = 600.0  # seconds for the answer after the last byte of an upload
ABANDONED = 60.0  # seconds without a sign of life of an import that has all its bytes
LONGEST_PAUSE = 5.0  # seconds between two questions whether an import is done
SOON = 1.0  # seconds without a question, at most, when earlier imports took longer
RETRIES = 3
RETRIABLE = (429, 502, 503, 504)
BODY: Any = {"headers": {"Content-Type": "application/octet-stream"}, "timeout": (ANSWER_TIMEOUT, STAGE_TIMEOUT)}
Images = list[Image]
StartTimes = list[datetime | None]  # when Glance began to look, once its first answer is there
PATCH_TYPE = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


class Glance:
    """The image service of one cloud, as the user whom the cloud's configuration names."""

    def __init__(self, connection: Any, endpoint: str, cloud: str, most_pages: int = MOST_PAGES) -> None:
        from keystoneauth1.adapter import Adapter

        self.cloud, self._most_pages = cloud, most_pages
        self._begun: tuple[str, BackgroundCall[Images]] | None = None
        self._usual = 0.0  # seconds before which the last import was not done
        self._connection = connection
        # Discovery of versions would cost three calls of every run, and there has been only v2 for years.
        self._api = Adapter(connection.session, endpoint_override=f"{endpoint}/v2")

    @classmethod
    def connect(cls, cloud: str | None) -> Glance:
        """Log in; `cloud` is a name in clouds.yaml, None: what the OS_* environment says. Raises CloudError."""
        return cls(*log_in(cloud), cloud or ENVIRONMENT)

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
        """The name of that project, as the token says."""
        name: str | None = self.access().project_name
        return name

    @property
    def region(self) -> str | None:
        """The region as configured."""
        region: str | None = self._connection.config.get_region_name()
        return region

    def service(self, kind: str) -> str | None:
        """The address of another service in the catalogue, such as compute; None: there is none."""
        with translated_errors(self.cloud):
            endpoint: str | None = self._connection.config.get_session_endpoint(kind)
            return endpoint

    def keystone(self, path: str, key: str, **which: str) -> dict[str, Any]:
        """The JSON object with `key` that Keystone has under this path below /v3. Raises CloudError as `ask` does."""
        address = self.service("identity")
        if not address:
            raise CloudError(f"cloud '{self.cloud}': there is no identity service in its catalogue")
        url = f"{address.removesuffix('/').removesuffix('/v3')}/v3{path}"
        return self.ask("GET", url, key, who="Keystone", params=which)

    def is_admin(self) -> bool:
        """True if the token has the role admin; policies may give rights to others too."""
        return "admin" in self.access().role_names

    def access(self) -> Any:
        """What the token says: user, project, roles."""
        with translated_errors(self.cloud):
            return self._connection.session.auth.get_access(self._connection.session)

    def list(self, tag: str | None, owners: Collection[str | None] | None = ()) -> list[Image]:
        """Visible and hidden images with the tag (None: all): public ones, ours, those of `owners` (None: of all)."""
        whose = {self.project, *(owners or ())}
        begun, self._begun = self._begun, None
        try:
            found = begun[1].result() if begun and begun[0] == tag else self._tagged(tag)
        except CloudError as error:
            if error.status is None:
                raise
            raise CloudError(f"cloud '{self.cloud}': its images can't be listed: {error}", error.status) from None
        return [i for i in found if owners is None or i.owner in whose or i.visibility == "public"]

    def begin(self, tag: str) -> None:
        """Ask for the images with the tag now; the next `list` takes what came."""
        self._begun = tag, BackgroundCall(lambda: self._tagged(tag))

    def _tagged(self, tag: str | None) -> Images:
        """Hidden and visible images are two questions, so an image that is hidden or shown between them is in both
        answers or in neither. What changed since is asked for again, until nothing has. Each image is there once.
        Images of other projects, and images without our tag, may change all the time."""
        which = {"tag": tag} if tag else {}
        images: dict[str, Image] = {}
        for number in range(MOST_ROUNDS):
            hidden = BackgroundCall(partial(self._dated, {**which, "os_hidden": "true"}))
            answers = [self._dated({**which, "os_hidden": "false"}), hidden.result()]
            fresh = [image for found, _ in answers for image in found if images.get(image.id) != image]
            before = dict(images)
            for image in fresh:
                image_api.keep_newer(images, image)
            if number and images == before:
                return [*images.values()]
            begun = [day for _, day in answers if day is not None]
            # Without the cloud's own time all images are asked for again.
            if len(begun) == len(answers):
                which["updated_at"] = f"gte:{min(begun):%Y-%m-%dT%H:%M:%SZ}"
        if tag is None or not any(image.owner == self.project for image in fresh):
            return [*images.values()]
        raise CloudError(f"cloud '{self.cloud}': its images change faster than they can be listed; run again")

    def _dated(self, which: dict[str, str]) -> tuple[Images, datetime | None]:
        """The images, and when Glance began to look for them, by its own clock and a bit earlier."""
        begun: StartTimes = []
        return [*self.found(self._widest(which), begun)], begun[0]

    def _widest(self, which: dict[str, str]) -> dict[str, str]:
        # Community images of other projects are in no listing but one of all; an administrator may look after some.
        return {**which, **({"visibility": "all"} if self.is_admin() else {})}

    def of_definition(self, tag: str | None, name: str) -> Images:  # noqa: ARG002  all images, whatever their tags
        """All images with the property image_name=`name`, with and without the `tag`; each image once. Visible, hidden,
        visible again: one that is hidden or shown in between is in one of the lists."""
        images: dict[str, Image] = {}
        for hidden in ("false", "true", "false"):
            for image in self.found(self._widest({"image_name": name, "os_hidden": hidden})):
                image_api.keep_newer(images, image)
        # Some databases find names of another case too.
        return [image for image in images.values() if image.properties.get("image_name") == name]

    def ours(self, tag: str | None, owners: Collection[str | None] | None = ()) -> Sequence[Image]:
        """Those of `list` that this user looks after: an administrator all, others those of their own project."""
        found, admin = self.list(tag, owners), self.is_admin()
        return [image for image in found if admin or image.owner == self.project]

    def found(self, which: dict[str, str], begun: StartTimes | None = None) -> Iterator[Image]:
        """The images that these query parameters find. Raises CloudError for one that can't be read: see `as_image`."""
        yield from map(self._image, self.pages(which, begun))

    def pages(self, which: dict[str, str], begun: StartTimes | None = None) -> Iterator[dict[str, Any]]:
        """The images, as the API writes them, that these query parameters find, each once. `begun` gets the time of the
        first answer. Raises CloudError for pages that lead elsewhere, in a circle, or nowhere."""
        path, params = "/images", {"limit": str(PAGE), **which}
        seen: set[str] = set()
        markers: set[str] = set()
        while True:
            start = time.monotonic()
            page, answer = self._asked("GET", path, "images", params=params)
            if begun is not None and not begun:
                begun.append(image_api.server_time(answer.headers.get("Date", ""), time.monotonic() - start))
            images = page["images"]
            if len(images) > PAGE or not all(image_api.is_id(image.get("id")) for image in images):
                raise self._odd("GET", answer, "one of its pages has too many images, or images without an id")
            new = [image for image in images if image["id"] not in seen]
            # A list, as an image may come twice on one page as well.
            unique = {image["id"]: image for image in new}
            yield from unique.values()
            seen |= unique.keys()
            if not page.get("next"):
                return
            following = image_api.next_page(page["next"])
            if following is None:
                raise self._odd("GET", answer, "its next page is none of the same listing")
            path, marker = following
            params = {}
            if marker in markers or not unique or len(markers) + 1 >= self._most_pages:
                raise self._odd("GET", answer, "its pages never end")
            markers.add(marker)

    def get(self, image_id: str) -> Image:
        """The image as it is now. Raises CloudError, with status 404 when it is gone or just being deleted."""
        return self._present(self._get(image_id), image_id)

    def _get(self, image_id: str) -> dict[str, Any]:
        return self.ask("GET", f"/images/{image_id}", "id")

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
        """What the cloud offers: glance-direct, web-download, …"""
        return frozenset(self.ask("GET", "/info/import", "import-methods")["import-methods"]["value"])

    def create(self, image: Image, container_format: str = "bare") -> Image:
        """Make the record, everything in one POST; the caller chooses the id, so that a lost answer does no harm."""
        try:
            made = self.ask("POST", "/images", "id", json=image_api.creation_body(image, container_format))
            return self._image(made, image.id or None)
        except CloudError as error:
            # 409: the first try of ours got through although its answer was lost, or the id was used before.
            if error.status != 409:
                raise
            try:
                twin = self.get(image.id)
            except CloudError:
                raise CloudError(f"{error}; an id can never be used again, choose another one", 409) from None
            if twin.status != "queued" or twin.properties != image.properties:
                raise
            return twin

    def stage(self, image_id: str, chunks: Iterable[bytes]) -> None:
        """Send bytes to the staging area; nothing is published. An exception of the iterator breaks the upload off,
        after which Glance has the image queued again."""
        self.call("PUT", f"/images/{image_id}/stage", data=chunks, retry=False, **BODY)

    def stores(self) -> frozenset[str]:
        """The ids of the cloud's stores; empty where it has but one, without a name."""
        try:
            stores = self.ask("GET", "/info/stores", "stores")["stores"]
        except CloudError as error:
            if error.status != 404:
                raise
            return frozenset()
        return frozenset(store["id"] for store in stores)

    def drop_from_store(self, image_id: str, store: str) -> None:
        """Delete the copy in one store; Glance refuses to delete the last one."""
        self.call("DELETE", f"/stores/{store}/{image_id}")

    def import_image(
        self, image_id: str, method: str, uri: str | None = None, stores: Collection[str] | None = None
    ) -> None:
        """Ask for the import; Glance refuses a URI that its filter does not like with 400, at once. `stores`: where the
        bytes go; one of them that fails does not undo the others."""
        try:
            self.call("POST", f"/images/{image_id}/import", json=image_api.import_body(method, uri, stores))
        except CloudError as error:
            # 409: the first try got through although its answer was lost, or another run has asked already.
            if error.status != 409:
                raise
            current = self.get(image_id)
            there = () if method == "copy-image" else (*WHOLE, "importing")
            if current.status not in there and not current.import_task:
                raise

    def wait(
        self,
        image_id: str,
        deadline: float,
        stop: threading.Event,
        progress: Callable[[str], None] | None = None,
        abandoned: float = ABANDONED,
    ) -> Image:
        """Wait until the import is done; `deadline` in seconds of time.monotonic(). Raises CloudError with the reason
        that Glance's task gives. Failure is a property or a task, never a guess from elapsed time."""
        begun = changed = time.monotonic()
        pause, seen = 0.1, ""
        # Each question costs Glance a part of what an import of a small image does.
        if stop.wait(min(self._usual, deadline - begun)):
            raise Interrupted("interrupted")
        while True:
            image = self._get(image_id)
            now = self._image(image, image_id)
            status = now.status
            if now.updated_at != seen:
                changed, seen = time.monotonic(), now.updated_at
            # While the import still holds its lock it also still saves the image as it was, over any change of ours.
            # A Glance that died holds it for ever: with all copies made and nothing happening, it is left behind.
            silent = time.monotonic() - changed > abandoned
            dead = silent and not image.get("os_glance_importing_to_stores")
            if status in WHOLE and (dead or not image.get("os_glance_import_task")):
                self._usual = min((time.monotonic() - begun) * 0.8, self._usual * 1.1 + 0.05, SOON)
                return now
            failed = image.get("os_glance_failed_import") or status in ("killed", *GONE)
            task = self._task(image_id) if failed or silent or status == "queued" or progress else {}
            # What an earlier import left in os_glance_failed_import stays until the next one has begun.
            if task.get("status", "failure" if failed else "") == "failure":
                why = reason(task["message"]) if task.get("message") else f"the image is {status}"
                raise ImportFailedError(f"Glance could not import it: {why}")
            if progress and task.get("message"):
                progress(reason(task["message"]))
            if time.monotonic() + pause > deadline:
                raise CloudError(f"the import did not finish in time: the image is still {status} (--import-timeout)")
            if stop.wait(pause):
                raise Interrupted("interrupted")
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def _task(self, image_id: str) -> dict[str, Any]:
        """The newest task of the image, of one second one that has not failed; Glance keeps them for 48 hours."""
        try:
            tasks = self.ask("GET", f"/images/{image_id}/tasks", "tasks")["tasks"]
        except CloudError:
            return {}
        return max(tasks, key=lambda task: (task["created_at"], task["status"] != "failure"), default={})

    def patch(self, image_id: str, changes: Iterable[FieldChange]) -> Image:
        """All differences in one PATCH, all or nothing; less those that have requests of their own."""
        operations = [patch_operation(change) for change in changes if change.field not in NOT_PATCHED]
        if not operations:
            return self.get(image_id)
        patched = self.ask("PATCH", f"/images/{image_id}", "id", json=operations, headers=PATCH_TYPE)
        return self._present(patched, image_id)

    def set_status(self, image_id: str, status: str) -> None:
        """`active` or `deactivated`; asking for what it is already is fine."""
        action = "reactivate" if status == "active" else "deactivate"
        self.call("POST", f"/images/{image_id}/actions/{action}")

    def delete(self, image_id: str) -> None:
        """Delete the image; one that is gone already is fine."""
        try:
            self.call("DELETE", f"/images/{image_id}")
        except CloudError as error:
            # 400: two deletes at the same moment ("status transition from deleted to deleted is not allowed").
            if error.status != 404 and not (error.status == 400 and self.is_gone(image_id)):
                raise

    def is_gone(self, image_id: str) -> bool:
        """True if there is no such image, or it is just being deleted."""
        try:
            self.get(image_id)
        except CloudError as error:
            return error.status == 404
        return False

    def ask(self, method: str, path: str, key: str, **arguments: Any) -> dict[str, Any]:
        """The JSON object with `key` that a request answers with. Raises CloudError as `call` does, and for an answer
        that is none of Glance's."""
        return self._asked(method, path, key, **arguments)[0]

    def _asked(self, method: str, path: str, key: str, **arguments: Any) -> tuple[dict[str, Any], Any]:
        answer = self.call(method, path, **arguments)
        try:
            data = answer.json()
        except (ValueError, RecursionError):
            data = None
        if not image_api.is_shaped(data, key):
            raise self._odd(method, answer, who=arguments.get("who", "Glance"))
        return data, answer

    def _odd(
        self, method: str, answer: Any, why: str = "check its endpoint in the catalogue", who: str = "Glance"
    ) -> CloudError:
        url = public_url(answer.url.partition("?")[0])
        asked = url if method == "GET" else f"{method} {url}"
        return CloudError(f"cloud '{self.cloud}': {asked} does not answer as {who} does; {why}")

    def call(self, method: str, path: str, retry: bool = True, who: str = "Glance", **arguments: Any) -> Any:
        """One request; its answer. Raises CloudError with Glance's own sentence for every 4xx and 5xx, and for a status
        that does not say that it was done. `path` may be a whole URL, of the service that `who` names."""
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
            raise self._odd(method, answer, f"its status is {answer.status_code}; nothing is assumed to be done", who)
        return answer
