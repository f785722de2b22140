"""What docs/http.md shows is what happens, and the alert rules are such."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from http_client import Http
from processes import run

ROOT = Path(__file__).parent.parent.parent
ALERTS = ROOT / "contrib" / "prometheus-alerts.yml"
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[str, str]]:
    """The commands with curl, and what they print."""
    found = []
    for block in _BLOCK.findall((ROOT / "docs" / "http.md").read_text()):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = example.partition("\n")
            if command.startswith("curl"):
                found.append((command, output))
    return found


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_example_with_curl_prints_what_the_page_says(http: Http):
    assert len(examples()) > 8
    for command, output in examples():
        address = http.url.replace("http://127.0.0.1", "localhost")
        done = run(["sh", "-c", command.replace("curl", "curl -s", 1).replace("localhost:8080", address)])
        pattern = re.escape(output.strip()).replace(r"\.\.\.", ".*")
        assert re.fullmatch(pattern, done.stdout.strip(), re.DOTALL), (command, done.stdout)


def test_every_alert_says_what_has_happened_and_what_to_do():
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    for rule in group["rules"]:
        assert {"alert", "expr", "labels", "annotations"} <= set(rule)
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert {"summary", "description"} == set(rule["annotations"])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_prometheus_accepts_the_alert_rules():
    done = subprocess.run(["promtool", "check", "rules", ALERTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_names_every_metric(http: Http):
    text = http.get("/metrics").text
    page = (ROOT / "docs" / "http.md").read_text()
    for name in re.findall(r"^# TYPE pyronym_(\w+) \w+$", text, re.MULTILINE):
        assert re.search(rf"\b(pyronym)?_{name}\b", page) or name == "info", name
