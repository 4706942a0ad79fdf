"""The description of the REST interfaces is served, and true: whatever it allows is answered as it says.

`make fuzz` asks more often.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error, response_schema_conformance, status_code_conformance

from device.server.openapi import description
from tests.server.conftest import wait_for
from tools import fuzz  # noqa: F401 - tells schemathesis how recordings are sent

COUNT = 15
SCHEMA = schemathesis.openapi.from_dict(description())
OPERATIONS = {result.ok().label: result.ok() for result in SCHEMA.get_all_operations()}


def test_the_description_is_served(served):
    with served.client() as client:
        assert client.get("/openapi.json").json() == description()


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_as_described(served, label):
    operation = OPERATIONS[label]

    @settings(max_examples=COUNT, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy())
    def ask(case):
        answer = case.call(base_url=served.http, timeout=30)
        checks = [not_a_server_error, status_code_conformance]
        if "json" in answer.headers.get("content-type", [""])[0]:
            checks.append(response_schema_conformance)
        case.validate_response(answer, checks=checks)

    ask()
    wait_for(lambda: served.service.connections == 0)
