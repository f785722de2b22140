"""Health, metrics and status by HTTP."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from etcd_cluster import etcd_program, running, wait_until
from http_client import Http
from processes import PYRONYM, NameServer, NameServers, Process, stopping
from pyronym.client.locate import locateNS
from pyronym.server.nameserver import NameServerDaemon
from pyronym.web.health import health_of
from server.serving import serving

WELL = {"alive": True, "ready": True, "reasons": []}
CONTRIB = Path(__file__).parent.parent.parent / "contrib"


def metrics(http: Http) -> dict[tuple[str, ...], float]:
    """The samples by their names and labels."""
    answer = http.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, *map(str, sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture
def stored(serve: NameServers, tmp_path) -> tuple[NameServer, Http]:
    server = serve("--http", ":0", storage=f"sql:{tmp_path / 'names.sqlite'}")
    return server, Http(server)


def test_a_server_is_alive_and_ready_until_changes_cannot_be_stored(stored, tmp_path):
    _, http = stored
    wait_until(lambda: http.get("/readyz").json == WELL, "it has started")
    assert (http.get("/healthz").status, http.get("/healthz").json) == (200, WELL)
    (tmp_path / "names.sqlite").unlink()
    status, words = http.put("a").problem
    assert (status, "names.sqlite" in words) == (503, True)
    health, ready = http.get("/healthz"), http.get("/readyz")
    assert (health.status, ready.status) == (200, 503)
    assert ready.json["ready"] is False
    assert ready.json["reasons"][0].startswith("changes cannot be stored since 20")
    assert "names.sqlite" not in ready.text, "strangers are not told where the files are"
    assert metrics(http)["pyronym_storage_trouble_seconds",] > 0
    assert "names.sqlite" in http.get("/api/v1/status").json["storage"]["trouble"]["reason"]


def test_a_server_that_does_not_run_yet_is_alive_but_not_ready():
    daemon = NameServerDaemon("127.0.0.1", 0)
    daemon.measures.pulse.start()
    health = health_of(daemon)
    assert (health.alive, health.ready, health.reasons) == (True, False, ["it is still starting"])
    with serving(daemon):
        wait_until(lambda: health_of(daemon).ready, "it runs")
    daemon.measures.pulse.last -= 100  # as if its loop had been busy for so long
    health = health_of(daemon)
    assert (health.alive, health.ready, health.reasons) == (False, False, ["its loop does not answer"])


@pytest.mark.skipif(etcd_program() is None, reason="etcd is not installed")
def test_while_its_storage_is_away_a_server_says_that_it_is_starting(tmp_path):
    processes: list[Process] = []
    with running(tmp_path, 1) as cluster, stopping(processes):
        cluster.members[0].kill()
        options = ["-n", "127.0.0.1", "-p", "0", "-s", cluster.url("late"), "--http", ":0"]
        processes.append(server := Process([PYRONYM, "serve", *options]))
        http = Http(server)
        server.wait_for_line("waiting for etcd")
        alive, ready, names = (http.get(path) for path in ("/healthz", "/readyz", "/api/v1/names"))
        assert (alive.status, ready.status, alive.json) == (200, 503, ready.json)
        assert (ready.json["alive"], ready.json["ready"]) == (True, False)
        assert ready.json["reasons"][0].startswith("it is still starting: the names are not loaded")
        assert (names.problem, names.headers["Retry-After"]) == ((503, ready.json["reasons"][0]), "5")
        assert http.get("/healthz", {"Host": "evil.example"}).status == 421
        cluster.start()
        wait_until(lambda: http.get("/readyz").json == WELL, "it has started")
        assert http.get("/api/v1/names").json["total"] == 1


@pytest.mark.skipif(etcd_program() is None, reason="etcd is not installed")
def test_a_node_without_etcd_is_alive_and_stale(serve: NameServers, tmp_path):
    with running(tmp_path, 1) as cluster:
        server = serve("--http", ":0", storage=cluster.url("web"))
        http = Http(server)
        http.put("a")
        wait_until(lambda: http.get("/readyz").status == 200, "it has started")
        assert [node["self"] for node in http.get("/api/v1/nodes").json] == [True]
        cluster.members[0].kill()
        wait_until(lambda: http.get("/readyz").status == 503, "it knows")
        assert http.get("/healthz").status == 200
        assert "answers may be out of date since" in " ".join(http.get("/readyz").json["reasons"])
        assert http.name("GET", "a").status == 200
        assert http.put("b").problem[0] == 503
        assert metrics(http)["pyronym_stale_seconds",] > 0


def test_what_clients_do_is_in_the_metrics(stored):
    server, http = stored
    with locateNS(*server.address) as ns:
        before = metrics(http)
        ns.register("a", "PYRO:o@h:1", lease=60)
        for _ in range(7):
            ns.lookup("a")
        after = metrics(http)

    def grown(*sample: str) -> float:
        return after.get(sample, 0) - before.get(sample, 0)

    protocol = next(sample[2] for sample in after if sample[0] == "pyronym_requests_total")
    assert grown("pyronym_requests_total", "lookup", protocol, "ok") == 7
    assert grown("pyronym_requests_total", "register", protocol, "ok") == 1
    assert grown("pyronym_request_seconds_count", "register") == 1
    assert grown("pyronym_storage_commit_seconds_count") == 1
    assert grown("pyronym_storage_commit_changes_sum") == 1
    assert grown("pyronym_names") == grown("pyronym_leases") == 1
    assert after["pyronym_connections",] == 1
    assert grown("pyronym_http_requests_total", "GET", "200") == 1
    assert after["process_resident_memory_bytes",] > 1e6
    wait_until(lambda: metrics(http)["pyronym_loop_lag_seconds_count",], "the pulse of the loop is told")
    with locateNS(*server.address) as ns:
        assert ns.status().keys() == http.get("/api/v1/status").json.keys()


def test_every_metric_of_the_dashboard_and_of_the_alert_rules_exists(http: Http):
    http.put("a")
    known = {sample[0] for sample in metrics(http)} | {"pyronym_storage_lag_seconds"}  # that one only with etcd
    known |= {"pyronym_request_seconds_bucket", "pyronym_requests_total"}  # as soon as somebody asks
    for path in (CONTRIB / "grafana-dashboard.json", CONTRIB / "prometheus-alerts.yml"):
        named = set(re.findall(r"\b(?:pyronym|process)_[a-z_]+", path.read_text()))
        assert named
        assert named <= known, path.name


def test_the_dashboard_is_one_that_grafana_can_load():
    dashboard = json.loads((CONTRIB / "grafana-dashboard.json").read_text())
    assert {"title", "panels", "schemaVersion", "uid"} <= set(dashboard)
    for panel in dashboard["panels"]:
        assert {"title", "type", "gridPos", "targets"} <= set(panel)
        assert all(target["expr"] for target in panel["targets"])
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
