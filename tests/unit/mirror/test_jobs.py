"""Work for other machines: plain values, nothing secret, the same work again at the other end."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from openstack_image_manager import __version__
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.errors import Error, UsageError
from openstack_image_manager.mirror.dask import scheduler_address
from openstack_image_manager.mirror.job import _bucket, can_be_sent, create_job, read_answer, read_job, run_job
from openstack_image_manager.mirror.location import items, parse_target
from openstack_image_manager.mirror.plan import Comparison, StoredObject, Verdict
from openstack_image_manager.mirror.record import Record

HERE = parse_target("s3://b/p", "https://s3.example.org")
RECORD = Record("A", "1", "u", "sha256:1", 7, None, "computed", None, None, "2", "3", 9, "2026-06-01T00:00:00+00:00")


def judged(verdict: Verdict = Verdict.MISSING, stored: StoredObject | None = None, **version: Any) -> Comparison:
    given = {"version": "1", "url": "https://example.org/1.raw", "checksum": "sha256:" + "1" * 64, **version}
    made = Definition.model_validate(
        {
            "name": "A",
            "format": "raw",
            "password": "gocubsgo",
            "login": "cirros",
            "meta": {"architecture": "x86_64"},
            "resolve": {"use": "debian"},
            "versions": [given],
        }
    )
    (item,) = items([made], HERE)
    return Comparison(item, verdict, "", stored)


@pytest.mark.parametrize("record", [None, RECORD])
def test_the_same_work_arrives(record: Record | None) -> None:
    stored = StoredObject("p/a/1-a.raw", 9, datetime(2026, 6, 1, tzinfo=UTC), record, is_own=True)
    sent = judged(Verdict.MISMATCH, stored, size=9, mirror_url=None)
    text = json.dumps(create_job(sent, HERE, "https://u:p@s3.example.org", "/keys"))
    assert not any(secret in text for secret in ("gocubsgo", "cirros", "u:p"))
    got = read_job(json.loads(text))
    assert (got.verdict, got.stored, got.item.key) == (Verdict.MISMATCH, stored, "p/a/1-a.raw")
    assert got.item.version == sent.item.version
    assert got.item.definition.resolve == sent.item.definition.resolve
    assert (got.item.definition.meta, got.item.subject) == (sent.item.definition.meta, sent.item.subject)
    assert read_job(json.loads(json.dumps(create_job(judged(), HERE, "https://h", None)))).stored is None


@pytest.mark.parametrize(
    ("version", "may"),
    [
        ({}, True),
        ({"url": "https://u:p@example.org/1.raw"}, False),
        ({"url": "https://example.org/1.raw?X-Amz-Signature=1"}, False),
        ({"checksums_url": "https://example.org/SUMS?token=1"}, False),
        ({"checksums_url": "https://example.org/SUMS"}, True),
    ],
)
def test_what_has_secrets_in_its_addresses_stays_here(version: dict[str, str], may: bool) -> None:
    assert can_be_sent(judged(**version)) is may


def test_answers() -> None:
    from dataclasses import asdict

    assert read_answer({"message": "copied", "record": asdict(RECORD)}) == ("copied", RECORD)
    with pytest.raises(Error, match="no room"):
        read_answer({"error": "no room"})


def test_another_version_does_nothing() -> None:
    work = {**create_job(judged(), HERE, "https://h", None), "made_by": "0.0.1"}
    said = f"the worker has version {__version__}, this machine has 0.0.1; install the same version on both"
    assert run_job(work) == {"error": said}


def test_after_a_failure_of_the_storage_it_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials may be right by then."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    stored = StoredObject("k", 1, datetime(2026, 6, 1, tzinfo=UTC), None, True)
    work = create_job(judged(Verdict.UNFINISHED, stored), HERE, "http://127.0.0.1:9", None)
    del work["definition"]["resolve"]
    answer = run_job(work)
    assert "no credentials; set" in answer["error"]
    assert _bucket.cache_info().currsize == 0


@pytest.mark.parametrize("executor", ["dask://h", "tcp://h:1", "dask://u@h:1", "dask://h:1/x", "dask://:1"])
def test_what_is_no_scheduler_is_refused(executor: str) -> None:
    with pytest.raises(UsageError, match="write it like dask://scheduler"):
        scheduler_address(executor)
    assert scheduler_address("dask://h.example.org:8786/") == "tcp://h.example.org:8786"


def test_records_of_a_judged_version_are_not_shared() -> None:
    """What is sent is a copy: changing it changes nothing here."""
    here = judged(Verdict.CURRENT, StoredObject("k", 1, datetime(2026, 6, 1, tzinfo=UTC), RECORD))
    sent = create_job(here, HERE, "https://h", None)
    sent["stored"]["record"]["name"] = "B"
    assert here.stored
    assert here.stored.record == replace(RECORD)
