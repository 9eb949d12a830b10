"""What a site may answer: the password that it was asked with is not shown."""

from __future__ import annotations

import pytest
from tests.support.hostile import flood, hostile

from openstack_image_manager.errors import FetchError
from openstack_image_manager.transfer.download import fetch_bytes

SECRET = "s3cr3t-W0rd"


@pytest.mark.parametrize("status", [403, 503])
def test_a_site_that_says_the_password(status: int) -> None:
    answer = f"HTTP/1.1 {status} robot with {SECRET} is not welcome\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
    with hostile(flood(answer.encode(), b"", 0)) as url, pytest.raises(FetchError) as caught:
        fetch_bytes(url.replace("http://", f"http://robot:{SECRET}@"))
    assert f"{status} robot with *** is not welcome" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_redirect_to_a_signed_address_that_fails() -> None:
    refused = f"HTTP/1.1 403 not with {SECRET}\r\nContent-Length: 0\r\n\r\n".encode()
    with hostile(flood(refused, b"", 0)) as there:
        moved = f"HTTP/1.1 302 Found\r\nLocation: {there}?X-Amz-Signature={SECRET}\r\nContent-Length: 0\r\n\r\n"
        with hostile(flood(moved.encode(), b"", 0)) as url, pytest.raises(FetchError) as caught:
            fetch_bytes(url)
    assert "403 not with ***" in str(caught.value)
