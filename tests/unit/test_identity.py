"""Images of other projects that look like ours."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cloud import definition, settled

from openstack_image_manager.identity import of_others


@pytest.mark.parametrize(("enable", "force", "told"), [(True, False, 1), (False, False, 0), (False, True, 1)])
def test_a_definition_with_images_of_another_project_is_an_error(enable: bool, force: bool, told: int) -> None:
    theirs = [
        replace(image, owner="theirs") for image in settled([definition(versions=["1", "2"]), definition("Other")])
    ]
    findings = of_others(theirs, [definition(enable=enable)], force)
    assert len(findings) == told
    for finding in findings:
        assert (finding.level, finding.subject) == ("error", "Ubuntu 24.04")
        assert "belongs to project theirs (there are 2)" in finding.message
