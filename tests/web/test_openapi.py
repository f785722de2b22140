"""The API is as its description says: tried by schemathesis, with what is described and with what is not."""

import sys
from pathlib import Path

import pytest

from http_client import Http
from processes import PYRONYM, NameServers, run, stopping

TOKEN = "token-for-the-description"
ALLOWED = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "400", "403", "404", "409", "412", "422"]
"""
"""Preconditions, and what no schema can say: regular expressions, cursors and URIs that are none."""
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openapi")
    tokens = folder / "tokens.toml"
    tokens.write_text(f'ops = "{TOKEN}"\n')
    tokens.chmod(0o600)
    servers = NameServers([PYRONYM, "serve"])
    with stopping(servers.processes):
        server = servers("--http", ":0", "--http-tokens", str(tokens))
        yield Http(server, TOKEN)
        assert "Traceback" not in server.process.output


def test_the_description_can_be_had_by_all(http):
    description = http.get("/api/v1/openapi.json").json
    assert description["openapi"].startswith("3.1")
    assert set(description["paths"]) == {
        "/api/v1/names", "/api/v1/names/{name}", "/api/v1/tree", "/api/v1/history/{name}",
        "/api/v1/events", "/api/v1/status", "/api/v1/nodes",
        "/healthz", "/readyz", "/metrics",
    }  # fmt: skip


def test_its_page_shows_all_of_it_and_loads_nothing_from_elsewhere(http):
    page, style = http.get("/api/v1/docs"), http.get("/static/docs.css")
    assert page.headers["Content-Type"].startswith("text/html")
    for words in ("GET /api/v1/names", "PUT /api/v1/names/{name}", "RecordView", "if-match (header)", "ProblemView"):
        assert words in page.text
    assert "//" not in page.text.replace("https://errors.pydantic.dev", "")
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert (style.status, "url(" in style.text, "@import" in style.text) == (200, False, False)


def test_the_api_is_as_it_is_described(http, tmp_path):
    config = tmp_path / "schemathesis.toml"
    config.write_text(ALLOWED)
    done = run(
        [
            "env", "-C", tmp_path,  # where it keeps what it has found
            SCHEMATHESIS, "--config-file", config, "run", f"{http.url}/api/v1/openapi.json",
            "-H", f"Authorization: Bearer {TOKEN}",
            "--exclude-path", "/api/v1/events",  # which never ends
            "--checks", "all",
            "--max-examples", "12", "--seed", "1", "--generation-database", "none",
            "--phases", "examples,coverage,fuzzing,stateful", "--workers", "1",
        ],
        timeout=100,
    )  # fmt: skip
    assert done.status == 0, done.stdout[-6000:]
