"""What a service answers, in one line."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
import requests

from openstack_image_manager.cloud.image_api import error_sentence

HTML = """<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1>
You are not authorized to complete this action.<br /><br />
</body></html>"""


@pytest.mark.parametrize(
    ("status", "reason", "body", "said"),
    [
        (403, "Forbidden", HTML, "403: You are not authorized to complete this action."),
        (
            404,
            "Not Found",
            "404 Not Found\n\nThe resource could not be found.\n",
            "404: The resource could not be found.",
        ),
        (404, "Not Found", "404 Not Found: No image found with ID 1", "404: No image found with ID 1"),
        (404, "Not Found", "404 not found.", "404: Not Found"),
        (404, "Not Found", "404", "404: Not Found"),
        (404, "Not Found", "", "404: Not Found"),
        (404, "Not Found", "4040 is no port", "404: 4040 is no port"),
        (404, "Not Found", "404 images", "404: 404 images"),
        (409, "Conflict", "<body>Already at store &#x27;slow&#x27;<br></body>", "409: Already at store 'slow'"),
        (500, None, "oh", "500: oh"),
    ],
)
def test_a_refusal_says_its_status_once(status: int, reason: str | None, body: str, said: str) -> None:
    answer: Any = requests.Response()  # typed as if every service said a reason
    answer.status_code, answer.raw = status, io.BytesIO(body.encode())
    answer.reason = reason
    assert error_sentence(answer, "Glance") == f"Glance answered {said}"


def test_a_long_refusal_takes_no_long_time() -> None:
    answer: Any = requests.Response()
    answer.status_code, answer.raw, answer.encoding = 500, io.BytesIO(b"<title" * 10_000_000), "nobody-knows"
    answer.reason = "x-" * 30_000
    begun = time.process_time()
    said = error_sentence(answer, "Glance")
    assert time.process_time() - begun < 3
    assert len(said) < 600
