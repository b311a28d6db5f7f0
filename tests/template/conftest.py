"""The template in the forms that the tests look at. They are shared: no test may change them."""

from __future__ import annotations

import pytest

from tests.template.stack import Json, Resources, load, translate


@pytest.fixture(scope="session")
def template() -> Json:
    """template.yaml itself."""
    return load()


@pytest.fixture(scope="session")
def translated(template: Json) -> Json:
    """What CloudFormation makes of it."""
    return translate(template)


@pytest.fixture(scope="session")
def resources(translated: Json) -> Resources:
    return Resources(translated["Resources"])


@pytest.fixture(scope="session")
def definition(template: Json) -> Json:
    """The workflow as it stands in the template, with its placeholders."""
    found: Json = template["Resources"]["JobsMachine"]["Properties"]["Definition"]
    return found
