"""The situations in which the commands of the documentation are typed by tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from pyronym.directory.record import Change, Record
from pyronym.storage.sqlite import SqliteStore


def fill(file: Path) -> None:
    with closing(SqliteStore(file)) as store:
        records = [Record(f"lab.{number:03}", "PYRO:o@h:1", frozenset({"tag"})) for number in range(300)]
        store.commit([Change(record.name, record) for record in records])


def damage(folder: Path) -> None:
    """Break one of the pages that have records."""
    file = folder / "names.sqlite"
    data = bytearray(file.read_bytes())
    place = data.find(b"lab.150")
    place -= place % 4096
    data[place : place + 30] = b"\xff" * 30
    file.write_bytes(data)


@dataclass(frozen=True)
class Situation:
    """In which an example is typed: what is typed before and after it, what is prepared in its folder, what stands for
    what its page says, and the exit status. PORT0, PORT1: ports that are free.
    """

    before: str = ""
    after: str = ""
    prepare: Callable[[Path], object] = lambda folder: None
    instead: Mapping[str, str] = field(default_factory=dict)
    status: int = 0


HERE = {
    "pip install": ": pip install",  # which does nothing: it is installed
    "/etc/": "FOLDER/etc/",
    "/var/log/": "FOLDER/",
    "9090": "PORT0",
    "9095": "PORT1",
}
"""What is written in many examples, and what is typed instead."""

RESOLVE = "python -c 'import pyronym; print(pyronym.resolve(\"PYRONAME:Pyro.NameServer\"))'"
TLS_SERVER = "$ pyronym serve --tls-cert tls/server.pem --tls-key tls/server.key\n"
HTTP_SERVER = "$ pyronym serve --http :8080\n"

SITUATIONS = {
    ("docs/storage.md", "$ pyronym check names.sqlite"): Situation(),
    ("docs/storage.md", "$ pyronym salvage names.sqlite saved.sqlite"): Situation(
        prepare=damage,
        instead={"341": "...", "59 names are lost: lab.camera, ...": "... names are lost: ...", ": 16": ": ..."},
        status=1,  # for what is lost
    ),
    ("docs/storage.md", "$ pyronym backup names.sqlite /backup/names.sqlite"): Situation(
        prepare=lambda folder: (folder / "backup").mkdir(), instead={"/backup/": "FOLDER/backup/"}
    ),
    ("docs/client.md", "$ export PYRO_NS_HOST=ns1:9090,ns2:9090"): Situation(
        before="$ pyronym serve\n",
        after=f"$ {RESOLVE}\nPYRO:Pyro.NameServer@...\n",
        instead={"ns1:9090": "127.0.0.1:PORT1", "ns2:9090": "localhost:PORT0"},
    ),
    ("docs/dashboard.md", "$ pip install 'pyronym[web]'"): Situation(instead={"8080": "PORT1"}),
    ("docs/dashboard.md", "$ curl localhost:8080/api/v1/history/lab.camera"): Situation(
        before=HTTP_SERVER, instead={"8080": "PORT1", "lab.camera": "lab.camera --fail --silent --show-error; echo"}
    ),
    ("docs/operating.md", "$ pyronym serve --probe 30 --probe-grace 60"): Situation(),
    ("docs/operating.md", "$ pyronym serve -n 10.0.0.5 -n 192.168.1.5:9095 -n [fd00::5] -n localhost"): Situation(
        instead={"10.0.0.5": "127.0.0.5", "192.168.1.5": "127.0.0.6", "fd00::5": "::1"}
    ),
    ("docs/tls.md", "$ pip install 'pyronym[certs]'"): Situation(prepare=lambda folder: (folder / "tls").unlink()),
    ("docs/tls.md", "$ pyronym serve --tls-cert tls/server.pem --tls-key tls/server.key"): Situation(),
    ("docs/tls.md", "$ export PYRO_SSL=1 PYRO_SSL_CACERTS=tls/ca.pem"): Situation(before=TLS_SERVER),
    ("docs/tls.md", "$ pyronym serve -p 9090 --tls-cert tls/server.pem --tls-key tls/server.key --tls-port 9443"): (
        Situation(instead={"9443": "PORT1"})
    ),
    ("docs/configuration.md", "$ pyronym serve --config /etc/pyronym.toml --port 9095"): Situation(),
    (
        "docs/logs.md",
        "$ pyronym serve --log-level info --log-file /var/log/pyronym.log --log-format json --access-log",
    ): Situation(),
}
"""Of the examples that are commands."""
