"""The sandbox touches no directory that is not its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from openstack_image_manager.errors import Error
from openstack_image_manager.sandbox import Sandbox


def test_a_directory_with_other_content_is_not_changed(tmp_path: Path) -> None:
    precious = tmp_path / "data" / "file"
    precious.parent.mkdir()
    precious.write_text("precious")
    for act in (Sandbox(tmp_path).reset, Sandbox(tmp_path).down):
        with pytest.raises(Error, match="is not a sandbox"):
            act()
    assert precious.read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
