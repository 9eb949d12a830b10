"""Why something failed, in one line that people understand."""

from __future__ import annotations

from openstack_image_manager.errors import reason


def test_the_innermost_reason() -> None:
    inner = ConnectionError("<urllib3.connection object at 0x7f00>: Connection refused")
    assert reason(OSError(ValueError("outer"), inner)) == "outer"
    assert reason(OSError(inner)) == "Connection refused"
    assert reason(OSError(2, "No such file")) == "No such file"
    assert reason(EOFError()) == "EOFError"


def test_reasons_in_words() -> None:
    said = "Failed to establish a new connection: [Errno 111] Connection refused"
    assert reason(ValueError(f"HTTPSConnection(host='127.0.0.1', port=9): {said}")) == said
