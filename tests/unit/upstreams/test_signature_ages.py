"""How old the recorded signatures are."""

from __future__ import annotations

from datetime import date

from tests.support.bare import definition as having

from openstack_image_manager.upstreams import signature_ages

TODAY = date(2026, 8, 31)
SIGNED = {"checksum": "sha256:" + "1" * 64, "signed_by": "AB" * 20, "signed_at": "2026-08-01 10:00:00"}


def version(name: str, **fields: str | None) -> dict[str, str | None]:
    return {"version": name, "url": "https://x/1", **SIGNED, **fields}


def test_the_signature_of_the_newest_version() -> None:
    (found,) = signature_ages.signatures([having(version("1", signed_at="2025-01-01"), version("2"))], TODAY)
    assert (found.version, found.signed_by, found.signed_at, found.signed_days) == (
        "2",
        "AB" * 20,
        "2026-08-01 10:00:00",
        30,
    )
    (told,) = signature_ages.findings([found])
    assert (told.level, told.subject) == ("note", found.image)
    assert told.message == "2 was signed 30 days ago, on 2026-08-01"
    assert signature_ages.data([found]) == [
        {
            "image": found.image,
            "version": "2",
            "signed_by": "AB" * 20,
            "signed_at": "2026-08-01 10:00:00",
            "signed_days": 30,
        }
    ]


def test_what_says_nothing_of_a_signature() -> None:
    unsigned = having(version("1", signed_by=None, signed_at=None))
    no_time = having(version("1", signed_at=None))
    no_bytes = having(version("1", checksum=None))
    weak = having(version("1", checksum="md5:" + "1" * 32))
    disabled = having(version("1")).model_copy(update={"enable": False})
    assert signature_ages.signatures([unsigned, no_time, no_bytes, weak, disabled, having()], TODAY) == []


def test_days_in_words() -> None:
    assert [signature_ages.days(number) for number in (-1, 0, 1, 2)] == ["today", "today", "1 day ago", "2 days ago"]
