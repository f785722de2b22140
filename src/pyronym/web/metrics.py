"""Metrics, as Prometheus reads them. Nothing is counted here: it is all read from those who have counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from typing import Final

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from pyronym.histogram import Histogram
from pyronym.server.nameserver import Measures, NameServerDaemon
from pyronym.service.nodes import Status
from pyronym.web.access import Asking
from pyronym.web.problems import responses
from pyronym.wire.message import PYRO4, PYRO5

PROTOCOLS: Final = {PYRO4: "pyro4", PYRO5: "pyro5"}

router = APIRouter()


class Traffic:
    """What the HTTP side has answered."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        """By method and status."""


class NameServerCollector(Collector):
    """Reads the counters of a name server."""

    def __init__(self, daemon: NameServerDaemon, traffic: Traffic) -> None:
        self._daemon = daemon
        self._traffic = traffic

    def describe(self) -> list[Metric]:
        """Nothing: asked at registration, when there is nobody to be confused with."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        service, measures = self._daemon.nameserver.service, self._daemon.measures
        status, health = service.status, service.health
        yield InfoMetricFamily("pyronym", "The name server.", {"version": version("pyronym")})
        yield from _requests(measures, self._traffic)
        yield from _sizes(status, measures, len(service.nodes()))
        yield from _trouble(status)
        yield _histogram("pyronym_storage_commit_seconds", "Seconds that group commits took.", health.seconds)
        yield _histogram("pyronym_storage_commit_changes", "Changes in one group commit.", health.changes)
        yield _histogram("pyronym_loop_lag_seconds", "Seconds by which the event loop is late.", measures.pulse.lags)


def _requests(measures: Measures, traffic: Traffic) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "pyronym_requests", "Calls answered on the wire.", labels=("method", "protocol", "result")
    )
    for (protocol, method, result), count in measures.requests.items():
        requests.add_metric((method, PROTOCOLS[protocol], result), count)
    yield requests
    latency = HistogramMetricFamily(
        "pyronym_request_seconds",
        "Seconds from a call to its answer; those of plain lookups and registrations are sampled.",
        labels=("method",),
    )
    for method, histogram in dict(measures.pulse.latencies).items():
        latency.add_metric((method,), _buckets(histogram), histogram.total)
    yield latency
    answers = CounterMetricFamily("pyronym_http_requests", "Requests answered by HTTP.", labels=("method", "status"))
    for (method, status), count in dict(traffic.answers).items():
        answers.add_metric((method, str(status)), count)
    yield answers
    offences = CounterMetricFamily("pyronym_offences", "What clients were stopped from doing.", labels=("kind",))
    for kind, count in measures.offences.items():
        offences.add_metric((str(kind),), count)
    yield offences


def _sizes(status: Status, measures: Measures, nodes: int) -> Iterator[Metric]:
    yield GaugeMetricFamily("pyronym_connections", "Connections on the wire that are open.", measures.connections)
    yield GaugeMetricFamily("pyronym_names", "Names that are registered.", status.records)
    yield GaugeMetricFamily("pyronym_leases", "Leases that this node counts.", status.leases)
    yield GaugeMetricFamily("pyronym_watches", "Watches that wait for changes.", status.watches)
    yield GaugeMetricFamily("pyronym_revision", "The revision of the directory.", status.revision)
    yield GaugeMetricFamily("pyronym_nodes", "Nodes of this name server that live.", nodes)


def _trouble(status: Status) -> Iterator[Metric]:
    now = time.time()
    since = None if status.trouble is None else status.trouble.since
    yield GaugeMetricFamily(
        "pyronym_storage_trouble_seconds", "For how long no change could be stored; 0: they can.", _age(since, now)
    )
    yield GaugeMetricFamily(
        "pyronym_stale_seconds",
        "For how long answers may be out of date; 0: they are not.",
        _age(status.stale_since, now),
    )
    if status.lag is not None:
        yield GaugeMetricFamily("pyronym_storage_lag_seconds", "Age of changes of other nodes when known.", status.lag)


def _age(since: float | None, now: float) -> float:
    """More than 0 for all that has begun, even if it was just now or the clock was put back."""
    return 0.0 if since is None else max(0.001, now - since)


def _histogram(name: str, words: str, histogram: Histogram) -> Metric:
    return HistogramMetricFamily(name, words, _buckets(histogram), histogram.total)


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    return [("+Inf" if bound == float("inf") else str(bound), count) for bound, count in histogram.up_to()]


def new_registry(daemon: NameServerDaemon, traffic: Traffic) -> CollectorRegistry:
    """All metrics of a name server and of its process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(NameServerCollector(daemon, traffic))
    return registry


@router.get(
    "/metrics",
    tags=["health"],
    response_class=Response,
    responses=responses(401, 403, 421) | {200: {"content": {"text/plain": {}}, "description": "Metrics"}},
)
def metrics(request: Request, guard: Asking) -> Response:
    """Metrics for Prometheus. For those who may read some names."""
    guard.check_status()
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(request.app.state.registry), media_type=media_type)
