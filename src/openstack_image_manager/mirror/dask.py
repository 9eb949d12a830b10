"""Copy with the workers of a Dask cluster. `job` defines the data that is sent; it contains no secrets.

docs/decisions/020 explains why the limits are on this side, and how lost workers are handled.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from types import TracebackType
from typing import Any, Self

from openstack_image_manager import __version__
from openstack_image_manager.errors import Error, Interrupted, UsageError, reason
from openstack_image_manager.humanize import count
from openstack_image_manager.mirror.job import create_job, read_answer, run_job
from openstack_image_manager.mirror.location import Target
from openstack_image_manager.mirror.plan import Comparison
from openstack_image_manager.mirror.record import Record

CONNECT_TIMEOUT = 5  # seconds
POLL_INTERVAL = 1.0  # seconds
NO_WORKERS_TIMEOUT = 60.0  # seconds without workers
TIMEOUT = 8 * 3600.0  # seconds for one version, including the wait for a worker


def scheduler_address(executor: str) -> str:
    """Return the scheduler's address from dask://HOST:PORT. Raises UsageError."""
    match = re.fullmatch(r"dask://([^/@\s]+:\d+)/?", executor)
    if not match:
        raise UsageError(f"--executor {executor}: write it like dask://scheduler.example.org:8786")
    return f"tcp://{match[1]}"


class Cluster:
    """A client of a scheduler; `with` closes it. Raises Error if there is no scheduler or no worker."""

    def __init__(self, executor: str, target: Target, endpoint: str, keys: str | None, stop: threading.Event) -> None:
        where_to = scheduler_address(executor)
        try:
            import distributed
        except ImportError:
            hint = "pip install '.[dask]' in its source directory"
            raise Error(f"--executor {executor} needs Dask here and on the workers: {hint}") from None
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # the messages of this program are enough
        self._target, self._endpoint, self._keys, self._stop = target, endpoint, keys, stop
        self._address = executor
        self._library: Any = distributed
        try:
            self._client: Any = distributed.Client(
                where_to, timeout=CONNECT_TIMEOUT, set_as_default=False, name="openstack-image-manager"
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise Error(
                f"--executor {executor}: the scheduler does not answer ({type(error).__name__}); "
                "check that it runs, with a similar version of Dask"
            ) from None
        if not self._workers():
            self.__exit__(None, None, None)
            raise Error(f"--executor {executor}: the cluster has no workers; start some with: dask worker {where_to}")

    def _workers(self) -> int:
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def copy_version(self, comparison: Comparison) -> tuple[str, Record]:
        """Copy the version with a worker; if it is lost, retry on others as often as the scheduler allows.

        Raises Error, and Interrupted, after which the worker finishes its copy.
        """
        work = create_job(comparison, self._target, self._endpoint, self._keys)
        future = self._client.submit(
            run_job, work, pure=False, retries=0, key=f"mirror-{comparison.item.key}-{id(comparison)}"
        )
        try:
            return read_answer(self._wait(future, comparison))
        except self._library.KilledWorker as error:
            lost = error.allowed_failures + 1
            raise Error(
                f"{comparison.item.key}: lost {count(lost, 'worker')} that copied it; check their logs"
            ) from None
        except (Error, Interrupted):
            raise
        except Exception as error:
            cause = reason(f"{type(error).__name__}: {error}")
            hint = f"check that openstack-image-manager {__version__} is installed there"
            raise Error(f"{comparison.item.key}: a worker failed ({cause}); {hint}") from None
        finally:
            future.release()

    def _wait(self, future: Any, comparison: Comparison) -> dict[str, Any]:
        end, last_seen = time.monotonic() + TIMEOUT, time.monotonic()
        while True:
            try:
                answer: dict[str, Any] = future.result(timeout=POLL_INTERVAL)
                return answer
            except TimeoutError:
                pass
            now = time.monotonic()
            last_seen = now if self._workers() else last_seen
            if self._stop.is_set():
                future.cancel()
                raise Interrupted("interrupted")
            if now - last_seen > NO_WORKERS_TIMEOUT or now > end:
                future.cancel()
                why = "has no workers left" if now - last_seen > NO_WORKERS_TIMEOUT else "did not finish in time"
                raise Error(f"{comparison.item.key}: the cluster {why} ({self._address}); run again when it is healthy")
