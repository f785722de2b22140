"""Who may do what, with stock clients: named HMAC keys, users of a Unix socket, permissions, owners, the audit log."""

from __future__ import annotations

import json
import os
import pwd
import resource
import signal
import sqlite3
import sys
from pathlib import Path

import pytest
from asking import SERIALIZERS, ask

from processes import PYRONYM, NameServers, Process, run, stopping
from tls_files import CLIENT_SUBJECT, Certificates

LAB, CAM, NEW = "the key of the laboratory", "the key of the cameras", "a new key of the laboratory"
USER = pwd.getpwuid(os.getuid()).pw_name
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return private(tmp_path / "keys.toml", f'lab = "{LAB}"\ncam = "{CAM}"\n')


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def rules(path: Path, text: str) -> str:
    file = path / "permissions.toml"
    file.write_text(text)
    file.chmod(0o644)
    return str(file)


def lines(path: Path) -> list[dict[str, object]]:
    """The audit log of a server that has ended, without the times, which must not go back."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    times = [line.pop("time") for line in found]
    assert times == sorted(times)
    assert all(time.endswith("+00:00") for time in times)
    return found


def test_clients_with_different_keys_share_one_namespace(serve: NameServers, stock4_python: Path, keys: Path) -> None:
    server = serve("--keys", str(keys))
    assert ask(stock4_python, server.uri, "ns.register('a', 'PYRO:a@host:1')", key=LAB) == ["None"]
    assert "'a'" in ask(stock4_python, server.uri, "ns.lookup('a')", key=CAM)[0]
    refused = ask(stock4_python, server.uri, "ns.count()", key="another")[0]
    assert refused.startswith("!! Pyro4.errors.CommunicationError(")
    assert "not signed" in ask(stock4_python, server.uri, "ns.count()")[0]
    assert LAB not in server.process.output


def test_a_key_is_changed_without_a_pause(serve: NameServers, stock4_python: Path, keys: Path) -> None:
    server = serve("--keys", str(keys))
    for text, works, fails in [
        (f'lab = ["{NEW}", "{LAB}"]', [LAB, NEW], [CAM]),
        (f'lab = "{NEW}"', [NEW], [LAB]),
        ("lab = ''", [NEW], [LAB]),  # a mistake: what was read before stays
    ]:
        private(keys, text)
        before = len(server.process.lines)
        server.process.signal(signal.SIGHUP)
        server.process.wait_for_line(
            r"SIGHUP: (read again: keys and permissions|.*kept the old keys and permissions)", since=before
        )
        assert [ask(stock4_python, server.uri, "ns.count()", key=key) for key in works] == [["1"]] * len(works)
        assert all(ask(stock4_python, server.uri, "ns.count()", key=key)[0].startswith("!!") for key in fails)


def test_pyro5_clients_are_let_in_beside_keys_only_if_told_so(
    serve: NameServers, stock5_python: Path, stock4_python: Path, keys: Path
) -> None:
    assert "hmac" in ask(stock5_python, serve("--keys", str(keys)).uri, "ns.count()")[0]
    server = serve("--keys", str(keys), "--unsigned-pyro5")
    assert ask(stock5_python, server.uri, "ns.count()") == ["1"]
    assert ask(stock4_python, server.uri, "ns.count()", key=LAB) == ["1"]
    assert ask(stock4_python, server.uri, "ns.count()")[0].startswith("!!")


OWNERSHIP = """
ownership = true
[[rule]]
who = ["key:lab", "key:cam"]
may = ["read", "register", "renew", "remove"]
"""


@pytest.mark.parametrize("storage", ["sql:{}/names.sqlite", "dbm:{}/names.dbm"])
def test_a_name_belongs_to_who_registered_it_after_a_restart_too(
    serve: NameServers, stock4_python: Path, keys: Path, tmp_path: Path, storage: str
) -> None:
    options = ("--keys", str(keys), "--permissions", rules(tmp_path, OWNERSHIP))
    server = serve(*options, storage=storage.format(tmp_path))
    assert ask(stock4_python, server.uri, "ns.register('a', 'PYRO:a@host:1')", key=LAB) == ["None"]
    for ending in (Process.terminate, Process.kill):
        ending(server.process)
        server = serve(*options, storage=storage.format(tmp_path))
        foreign = ask(
            stock4_python,
            server.uri,
            "ns.register('a', 'PYRO:b@host:1')",
            "ns.set_metadata('a', ['x'])",
            "ns.remove('a')",
            "ns.remove(prefix='a')",
            "ns.remove(regex='a')",
            "ns.lookup('a')",
            key=CAM,
        )
        assert [answer.startswith("!! Pyro4.errors.SecurityError(") for answer in foreign[:5]] == [True] * 5
        assert "'a'" in foreign[5], "the connection stays usable"
        assert ask(stock4_python, server.uri, "ns.register('a', 'PYRO:a@host:1', metadata=['m'])", key=LAB) == ["None"]
    assert ask(stock4_python, server.uri, "ns.set_metadata('a', ['n'])", "ns.remove('a')", key=LAB) == ["None", "1"]
    assert ask(stock4_python, server.uri, "ns.register('a', 'PYRO:b@host:1')", key=CAM) == ["None"]


def test_a_stock_server_opens_a_file_with_owners_and_takes_them_away(
    serve: NameServers, serve_stock4: NameServers, stock4_python: Path, keys: Path, tmp_path: Path
) -> None:
    options = ("--keys", str(keys), "--permissions", rules(tmp_path, OWNERSHIP))
    storage = f"sql:{tmp_path}/names.sqlite"
    server = serve(*options, storage=storage)
    names = ["kept", "moved", "again"]
    assert ask(stock4_python, server.uri, *(f"ns.register({n!r}, 'PYRO:a@host:1')" for n in names), key=LAB)
    server.process.terminate()
    stock = serve_stock4(storage=storage)
    changes = ["ns.register('moved', 'PYRO:b@host:1')", "ns.remove('again')", "ns.count()"]
    assert ask(stock4_python, stock.uri, *changes)[-1] == "3"
    stock.process.kill()
    server = serve(*options, storage=storage)
    answers = ask(stock4_python, server.uri, *(f"ns.register({n!r}, 'PYRO:c@host:1')" for n in names), key=CAM)
    assert [answer.startswith("!! Pyro4.errors.SecurityError") for answer in answers] == [True, False, False]
    server.process.terminate()
    owners = dict(sqlite3.connect(tmp_path / "names.sqlite").execute("SELECT name, owner FROM pyronym_extras"))
    assert owners == {"kept": "key:lab", "moved": "key:cam", "again": "key:cam"}


PREFIXES = """
[[rule]]
who = ["net:127.0.0.0/8"]
may = ["read", "register"]
names = ["open."]
"""

DENIED = [
    "ns.lookup('secret')",
    "ns.register('secret', 'PYRO:a@host:1')",
    "ns.register('open.a', 'PYRO:b@host:1')",
    "ns.set_metadata('open.a', ['x'])",
    "ns.remove('open.a')",
    "ns.remove('secret')",
    "ns.remove('nobody')",
    "ns.remove(prefix='open')",
]


@pytest.mark.parametrize(
    ("version", "serializer"), [(version, name) for version, names in SERIALIZERS.items() for name in names]
)
def test_what_no_rule_allows_is_refused_in_every_dialect(
    serve: NameServers, request: pytest.FixtureRequest, tmp_path: Path, version: int, serializer: str
) -> None:
    python = request.getfixturevalue(f"stock{version}_python")
    log = tmp_path / "audit.log"
    server = serve("--permissions", rules(tmp_path, PREFIXES), "--audit-log", str(log))
    allowed = ["ns.register('open.a', 'PYRO:a@host:1')", "ns.lookup('open.a')", "sorted(ns.list())", "ns.ping()"]
    batch = "batch(ns)" if version == 4 else "Pyro5.client.BatchProxy(ns)"
    in_batch = [f"b = {batch}; b.lookup('open.a'); b.register('secret', 'PYRO:a@host:1')", "list(b())"]
    oneway = ["ns._pyroInvoke('register', ['secret', 'PYRO:a@host:1'], {}, flags=4)"]
    answers = ask(python, server.uri, *allowed, *DENIED, *in_batch, *oneway, "sorted(ns.list())", serializer=serializer)
    assert answers[2] == "['Pyro.NameServer', 'open.a']"
    security_error = f"!! Pyro{version}.errors.SecurityError("
    assert [answer[: len(security_error)] for answer in answers[4:12]] == [security_error] * 8
    if serializer != "marshal":  # in which the stock clients cannot write a batch
        assert answers[13].startswith(security_error)
    assert answers[-1] == answers[2], "the connection stays usable, and nothing has changed"
    assert server.process.terminate() == 0
    audit = lines(log)
    assert [line["outcome"] for line in audit] == ["done", *["denied"] * (9 if serializer == "marshal" else 10)]
    assert {line["who"] for line in audit} == {"net:127.0.0.1"}
    assert [line.get("name", line.get("prefix")) for line in audit[1:9]] == [
        "secret", "secret", "open.a", "open.a", "open.a", "secret", "nobody", "open",
    ]  # fmt: skip


def test_a_read_only_server_answers_and_changes_nothing(
    serve: NameServers, stock4_python: Path, stock5_python: Path, tmp_path: Path
) -> None:
    storage = f"sql:{tmp_path}/names.sqlite"
    server = serve(storage=storage)
    ask(stock4_python, server.uri, "ns.register('a', 'PYRO:a@host:1')")
    server.process.terminate()
    server = serve("--read-only", storage=storage)
    for python in (stock4_python, stock5_python):
        answers = ask(
            python,
            server.uri,
            "ns.lookup('a')",
            "ns.register('b', 'PYRO:a@host:1')",
            "ns.register('a', 'PYRO:a@host:1')",
            "ns.set_metadata('a', ['x'])",
            "ns.remove('a')",
            "ns.count()",
        )
        assert "'a'" in answers[0]
        assert all("read-only" in answer and ".SecurityError(" in answer for answer in answers[1:5])
        assert answers[5] == "2"


def test_clients_are_known_by_their_certificates(
    serve: NameServers, stock4_python: Path, stock5_python: Path, certificates: Certificates, tmp_path: Path
) -> None:
    log = tmp_path / "audit.log"
    text = (
        f'[[rule]]\nwho = ["tls:{CLIENT_SUBJECT}"]\nmay = ["admin"]\nnames = ["mine"]\n'
        '[[rule]]\nwho = ["anyone"]\nmay = ["read"]\n'
    )
    server = serve(
        *("--permissions", rules(tmp_path, text), "--audit-log", str(log)),
        *(*certificates.serve_options(), "--tls-ca", certificates.path("ca.pem")),
    )
    for version, python in ((4, stock4_python), (5, stock5_python)):
        lines_ = ["ns.register('mine', 'PYRO:a@host:1')", "ns.register('x', 'PYRO:a@host:1')"]
        answers = ask(python, server.uri, *lines_, env=certificates.client_variables())
        assert answers[0] == "None"
        assert answers[1].startswith(f"!! Pyro{version}.errors.SecurityError(")
        assert f"tls:{CLIENT_SUBJECT} may not register 'x'" in answers[1]
        nameless = ask(python, server.uri, "ns.remove('mine')", env=certificates.nameless_variables())
        assert nameless[0].startswith(f"!! Pyro{version}.errors.SecurityError(")
    server.process.terminate()
    who = [line["who"] for line in lines(log)]
    assert who == [f"tls:{CLIENT_SUBJECT}", f"tls:{CLIENT_SUBJECT}", "net:127.0.0.1"] * 2


def test_permissions_are_read_again_and_stay_when_the_file_is_broken(
    serve: NameServers, stock4_python: Path, keys: Path, tmp_path: Path
) -> None:
    reading = '[[rule]]\nwho = ["anyone"]\nmay = ["read"]\n'
    file = Path(rules(tmp_path, reading))
    server = serve("--keys", str(keys), "--permissions", str(file))
    register = "ns.register('a', 'PYRO:a@host:1')"
    assert "SecurityError" in ask(stock4_python, server.uri, register, key=LAB)[0]
    for change, says, allowed in [
        (
            lambda: rules(tmp_path, reading.replace('"read"', '"read", "register", "renew"')),
            "read again: keys and permissions",
            True,
        ),
        (lambda: rules(tmp_path, "[[rule]"), f"kept the old keys and permissions: {file}: is not TOML", True),
        (
            lambda: rules(tmp_path, reading.replace("read", "fly")),
            f"kept the old keys and permissions: {file}: rule 1: may: 'fly'",
            True,
        ),
        (
            lambda: file.chmod(0o666),
            f"kept the old keys and permissions: {file}: others than its owner can change it",
            True,
        ),
        (file.unlink, "kept the old keys and permissions: .*No such file or directory.*permissions.toml", True),
        (lambda: private(keys, "lab = 5"), "kept the old keys and permissions", True),
        (
            lambda: (rules(tmp_path, reading), private(keys, f'lab = "{LAB}"')),
            "read again: keys and permissions",
            False,
        ),
    ]:
        change()
        before = len(server.process.lines)
        server.process.signal(signal.SIGHUP)
        server.process.wait_for_line(says, since=before)
        answer = ask(stock4_python, server.uri, register, key=LAB)[0]
        assert (answer == "None") == allowed, (says, answer)
        assert len(server.process.lines) == before + 1


def fill_up(process: Process, size: int) -> None:
    """As good as a full disk for files of this size: what is written goes up to there, and then fails."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))


def test_changes_go_on_when_the_disk_of_the_audit_log_is_full_and_what_is_lost_is_counted(
    serve: NameServers, stock5_python: Path, tmp_path: Path
) -> None:
    log = tmp_path / "audit.log"
    server = serve("--audit-log", str(log))
    fill_up(server.process, 1000)
    changes = [f"ns.register('n{number}', 'PYRO:a@host:1')" for number in range(20)]
    assert ask(stock5_python, server.uri, *changes) == ["None"] * 20
    server.process.wait_for_line(
        "cannot write to the audit log, its lines are lost until that is over: .*File too large"
    )
    fill_up(server.process, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    assert ask(stock5_python, server.uri, "ns.register('last', 'PYRO:a@host:1')") == ["None"]
    assert server.process.terminate() == 0
    *written, lost, last = lines(log)
    assert (lost["what"], lost["lines"]) == ("lost", 20 - len(written))
    assert last["name"] == "last"
    assert [line["name"] for line in written] == [f"n{number}" for number in range(len(written))]
    assert sum("audit log" in line for line in server.process.lines) == 2
    assert "Traceback" not in server.process.output


def test_users_of_a_unix_socket_are_known_by_their_names(
    serve: NameServers, stock4_python: Path, stock5_python: Path, tmp_path: Path
) -> None:
    log = tmp_path / "audit.log"
    text = f'[[rule]]\nwho = ["unix:{USER}"]\nmay = ["admin"]\nnames = ["mine"]\n'
    server = serve("--permissions", rules(tmp_path, text), "--audit-log", str(log), unixsocket=tmp_path / "socket")
    for python in (stock4_python, stock5_python):
        answers = ask(python, server.uri, "ns.register('mine', 'PYRO:a@host:1')", "ns.register('x', 'PYRO:a@host:1')")
        assert answers[0] == "None"
        assert f"unix:{USER} may not register 'x'" in answers[1]
    server.process.terminate()
    assert {line["who"] for line in lines(log)} == {f"unix:{USER}"}


def test_changes_are_written_down_with_all_that_they_are(
    serve: NameServers, stock4_python: Path, keys: Path, tmp_path: Path
) -> None:
    log = tmp_path / "audit.log"
    server = serve("--keys", str(keys), "--audit-log", str(log), storage=f"sql:{tmp_path}/names.sqlite")
    ask(
        stock4_python,
        server.uri,
        "ns.register('a', 'PYRO:a@host:1', metadata=['y', 'x'])",
        "ns.register('b', 'PYRO:b@host:1')",
        "ns.set_metadata('a', ['z'])",
        "ns.lookup('a')",
        "ns.remove(prefix='')",
        "ns.remove(regex='.')",
        key=CAM,
    )
    assert log.stat().st_mode & 0o777 == 0o600
    assert server.process.terminate() == 0
    found = lines(log)
    assert all(str(line.pop("from")).startswith("127.0.0.1:") for line in found)
    common = {"who": "key:cam", "outcome": "done"}
    a, b = {"name": "a", "uri": "PYRO:a@host:1"}, {"name": "b", "uri": "PYRO:b@host:1"}
    assert found == [
        {**common, "what": "register", **a, "tags": ["x", "y"]},
        {**common, "what": "register", **b, "tags": []},
        {**common, "what": "set_metadata", **a, "tags": ["z"]},
        {**common, "what": "remove", "name": "a"},
        {**common, "what": "remove", "name": "b"},
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--keys", "{open}"], "chmod 600"),
        (["--keys", "{none}"], "No such file"),
        (["--keys", "{bad}"], "is not TOML"),
        (["--keys", "{keys}", "-k", "other"], "--keys"),
        (["--permissions", "{bad}"], "is not TOML"),
        (["--permissions", "{keys}"], "unknown item 'lab'"),
        (["--audit-log", "{none}/log"], "No such file"),
        (["--audit-log-size", "10000"], "--audit-log"),
        (["--user", "no such user"], "no such user"),
    ],
)
def test_options_that_cannot_be_are_one_line(keys: Path, tmp_path: Path, options: list[str], words: str) -> None:
    (tmp_path / "open").write_text(f'lab = "{LAB}"')
    (tmp_path / "open").chmod(0o640)
    private(tmp_path / "bad", f"lab : {LAB}")
    places = {name: str(tmp_path / name) for name in ("open", "none", "bad")} | {"keys": str(keys)}
    done = run([PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", *(text.format(**places) for text in options)])
    assert done.status in (1, 2)
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("pyronym: error: ")
    assert words in error
    assert LAB not in done.stderr


@pytest.mark.parametrize(
    ("host", "options", "warned"),
    [
        ("0.0.0.0", [], True),
        ("127.0.0.1", [], False),
        ("::1", [], False),
        ("0.0.0.0", ["--keys", "{keys}"], False),
        ("0.0.0.0", ["--keys", "{keys}", "--unsigned-pyro5"], True),
    ],
)
def test_a_server_on_the_network_without_protection_warns(
    serve: NameServers, keys: Path, host: str, options: list[str], warned: bool
) -> None:
    server = serve("-x", *(text.format(keys=keys) for text in options), host=host)
    assert ("--keys FILE" in server.process.output) == warned
    assert ("listening on " in server.process.output) == warned


@AS_ROOT
def test_a_server_that_stays_root_says_so(serve: NameServers) -> None:
    assert "running as root, who may do everything: --user NAME" in serve().process.output


@AS_ROOT
def test_a_server_started_by_root_goes_on_as_another_user(stock4_python: Path, keys: Path, tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    folder = Path("/tmp") / f"pyronym-test-{os.getpid()}"  # the other user must be able to reach it
    folder.mkdir()
    try:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        log, database = folder / "audit.log", folder / "names.sqlite"
        in_groups = "import os, sys; os.setgroups([0, 4]); os.execv(sys.argv[1], sys.argv[1:])"
        command = [sys.executable, "-c", in_groups, PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0"]
        command += ["-s", f"sql:{database}"]
        process = Process([*command, "--user", "nobody", "--audit-log", str(log)])
        with stopping([process]):
            uri = process.wait_for_line(r"^URI = (PYRO:\S+)")[1]
            assert "running as root" not in process.output
            status = Path(f"/proc/{process.pid}/status").read_text()
            for kind, number in (("Uid", nobody.pw_uid), ("Gid", nobody.pw_gid)):
                assert f"{kind}:\t" + "\t".join([str(number)] * 4) in status
            groups = status.partition("Groups:")[2].splitlines()[0].split()
            assert {int(group) for group in groups} == set(os.getgrouplist("nobody", nobody.pw_gid))
            assert ask(stock4_python, uri, "ns.register('a', 'PYRO:a@host:1')") == ["None"]
            assert process.terminate() == 0
        assert log.stat().st_uid == database.stat().st_uid == nobody.pw_uid
        assert sorted(path.name for path in folder.iterdir()) == ["audit.log", "names.sqlite"]
        assert lines(log)[0]["name"] == "a"
        done = run([*command, "--user", "nobody", "--keys", str(keys)])  # a file of root's
        assert (done.status, "Permission denied" in done.stderr) == (1, True), done.stderr
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
