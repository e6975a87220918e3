"""The published description is true: generated requests never break the server, and the page needs nothing else."""

import re

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from tests.fakes.doors import KEY, fake_doors, scripted
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import FakeModelServer

from tramontane.entrypoints.api import build_app
from tramontane.foundation.settings import HttpSettings

ROOM = FakeRoom(FakeModelServer("fake", script=scripted, slots=256))
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", build_app(fake_doors(ROOM)), headers={"host": "127.0.0.1"})


@SCHEMA.parametrize()
@settings(
    max_examples=10, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)
def test_no_generated_request_breaks_the_server(case: schemathesis.Case) -> None:
    if isinstance(case.body, dict) and "model" in case.body:
        case.body["model"] = "fake"
    response = case.call(headers={"authorization": f"Bearer {KEY}", "host": "127.0.0.1"})
    case.validate_response(response, checks=[not_a_server_error])
    assert "x-request-id" in {name.lower() for name in response.headers}


async def test_every_model_route_is_described_with_its_fields_and_keys(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    chat = document["paths"]["/v1/chat/completions"]["post"]
    assert chat["security"] == [{"bearer": []}, {"key": []}]
    fields = document["components"]["schemas"]["MistralChat"]["properties"]
    assert fields["temperature"]["anyOf"][0]["maximum"] == 1.5
    assert {"messages", "tools", "response_format", "random_seed"} <= fields.keys()
    assert "text/event-stream" in chat["responses"]["200"]["content"]
    assert {"/healthz", "/metrics", "/openai/v1/embeddings"} <= document["paths"].keys()
    assert "security" not in document["paths"]["/healthz"]["get"]


async def test_the_page_loads_nothing_from_anywhere(client: httpx2.AsyncClient) -> None:
    response = await client.get("/docs")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert re.findall(r"(?:src|href)=[\"']?([^\"'> ]+)", response.text) == ["/openapi.json"]
    assert "<script" not in response.text
    assert "POST /v1/fim/completions" in response.text


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_the_description_can_be_switched_off(path: str) -> None:
    transport = httpx2.ASGITransport(app=build_app(fake_doors(settings=HttpSettings(docs=False))))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert (await client.get(path)).status_code == 404
