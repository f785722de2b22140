"""What options, the environment and a file say together, and what is said when one of them is wrong."""

import importlib.util
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from processes import PYRONYM, NameServers, run
from pyronym.cli.configuration import Configuration, configure
from pyronym.cli.items import ITEMS, NOT_OF_SERVERS
from pyronym.client.locate import locateNS
from pyronym.errors import NamingError
from pyronym.settings import Settings

DOCS = Path(__file__).resolve().parents[2] / "docs"


def written(folder: Path, text: str, mode: int = 0o600) -> str:
    file = folder / "pyronym.toml"
    file.write_text(text)
    file.chmod(mode)
    return str(file)


PRECEDENCE = [
    # key, in the file, in the environment, as option, and what comes of them
    ("port", 1, "2", "3", (9090, 1, 2, 3)),
    ("host", ["a", "b"], "c", ("d", "e"), ("localhost", "a,b", "c", "d,e")),
    ("storage", "sql:a", "sql:b", "sql:c", ("memory", "sql:a", "sql:b", "sql:c")),
    ("unixsocket", "a", "b", "c", (None, "a", "b", "c")),
    ("probe", 5, "6.5", "7", (0.0, 5, 6.5, 7.0)),
    ("read_only", True, "no", True, (False, True, False, True)),
    ("tls_require_client_cert", True, "off", True, (False, True, False, True)),
    ("log_level", "INFO", "debug", "error", ("WARNING", "INFO", "DEBUG", "ERROR")),
    ("keys", "a", "b", "c", (None, "a", "b", "c")),
]


@pytest.mark.parametrize(("key", "in_file", "variable", "option", "results"), PRECEDENCE)
def test_an_option_counts_more_than_the_environment_and_that_more_than_the_file(
    key: str, in_file: object, variable: str, option: object, results: tuple[object, ...], tmp_path: Path
) -> None:
    shown = str(in_file).lower() if isinstance(in_file, bool) else repr(in_file)
    file = written(
        tmp_path, f"{key} = {shown}\ntls_cert = 'c.pem'\n" if key.startswith("tls") else f"{key} = {shown}\n"
    )
    environment = {ITEMS[key].variable: variable}
    options = {key: option}
    for has_option in (False, True):
        for has_variable in (False, True):
            for has_file in (False, True):
                highest = 3 if has_option else 2 if has_variable else 1 if has_file else 0
                if key.startswith("tls") and not has_file:
                    continue  # it needs the certificate
                told = configure(
                    options if has_option else {}, environment if has_variable else {}, file if has_file else None
                )
                assert told[key] == results[highest]
                assert told.values[key].origin == highest


def test_each_setting_is_of_servers_or_not() -> None:
    of_servers = [item.setting for item in ITEMS.values() if item.setting]
    assert sorted([*of_servers, *NOT_OF_SERVERS]) == sorted(field.name for field in fields(Settings))
    assert all(item.secret == (not field.repr) for item in ITEMS.values() for field in fields(Settings)
               if field.name == item.setting)  # fmt: skip


def test_all_values_are_shown_so_that_they_can_be_a_file_again(tmp_path: Path) -> None:
    text = 'broadcast_addrs = ["127.0.0.1"]\nserializers_accepted = "json, serpent"\nhost = ["a", "b"]\nprobe = 30\n'
    text += 'storage = "sql:\\u007f\\n\\"ä\\U0001f600"\nhandshake_timeout = 1e3\n'
    told = configure({"port": "1"}, {"PYRONYM_READ_ONLY": "1"}, written(tmp_path, text))
    again = configure({}, {}, written(tmp_path, told.shown()))
    assert values(again) == values(told)
    assert told.settings.serializers_accepted == {"json", "serpent"}
    assert told.settings.broadcast_addrs == ("127.0.0.1",)


def values(told: Configuration) -> dict[str, object]:
    return {key: value.value for key, value in told.values.items()}


def test_the_command_shows_where_values_come_from_and_no_secret(tmp_path: Path) -> None:
    file = written(tmp_path, "etcd_password = 'sesame1'\nport = 9\nhost = 'a'\nmax_tags = 5\n")
    secrets = {"PYRO_HMAC_KEY": "sesame2", "PYRO_SSL_SERVERKEYPASSWD": "sesame3", "PYRONYM_CONFIG": file}
    done = run([PYRONYM, "serve", "--show-config", "-p", "10"], env={**secrets, "PYRO_HOST": "b"})
    assert (done.status, done.stderr) == (0, "")
    assert "sesame" not in done.stdout
    for line in (
        "port = 10  # --port",
        'host = "b"  # PYRO_HOST',
        f"max_tags = 5  # {file}",
        'storage = "memory"  # default',
        f"# etcd_password is secret  # {file}",
        "# key is secret  # PYRO_HMAC_KEY",
        "# tls_key_password is secret  # PYRO_SSL_SERVERKEYPASSWD",
        "# unixsocket is not set",
    ):
        assert line in done.stdout.splitlines()
    assert tomllib.loads(done.stdout)["port"] == 10


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# a\n\nprot = 1\n", "{}, line 3: unknown key 'prot' (did you mean port?)"),
        ("port = 1\n[limits]\nmax_tags = 1\n", "{}, line 2: unknown key 'limits'"),
        ('port = 1\nhost = [\n  "a",\n  # b\n  1,\n]\n', "{}, line 2: invalid host: ['a', 1] (expected a host name"),
        ("port = '1'\n", "{}, line 1: invalid port: '1' (expected a port number from 0 to 65535)"),
        ("port = 1\nnobc = 1\n", "{}, line 2: invalid nobc: 1 (expected true or false)"),
        ("x = '''\nport = 3\n'''\nport = 1\n", "{}, line 1: unknown key 'x'"),
        ("log_level = 'LOUD'\n", "{}, line 1: invalid log_level: 'LOUD' (expected DEBUG, INFO, WARNING"),
        ("serializers_accepted = ['yaml']\n", "{}, line 1: invalid serializers_accepted"),
        ("etcd_password = 1\n", "{}, line 1: invalid etcd_password: a secret of type int (expected a text"),
        ("port = \n", "{}: is not TOML (Invalid value (at line 1, column 8))"),
        ("audit_log_size = 5\n", "{}, line 1: invalid audit_log_size: 5 (expected a number of bytes, 1000 or more)"),
        ("audit_log_size = 5000\n", "--audit-log-size is of no use without --audit-log"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_its_line_and_exit_status_2(text: str, words: str, tmp_path: Path) -> None:
    file = written(tmp_path, text)
    done = run([PYRONYM, "serve", "--config", file])
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words.format(file) in done.stderr


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = run([PYRONYM, "serve", "--config", str(tmp_path / "no.toml")])
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "no.toml" in done.stderr


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("port = 1\n", 0o664, "others than its owner can change it (mode 0664): chmod go-w"),
        ("key = 'sesame'\n", 0o644, "it holds the secret key, and others than its owner can read or change it"),
    ],
)
def test_others_can_neither_change_the_file_nor_read_secrets(text: str, mode: int, words: str, tmp_path: Path) -> None:
    done = run([PYRONYM, "serve", "--config", written(tmp_path, text, mode)])
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr
    assert "sesame" not in done.stderr


@pytest.mark.parametrize(
    ("options", "environment", "words"),
    [
        ({"port": "x"}, {}, "invalid --port: 'x' (expected a port number from 0 to 65535)"),
        (
            {},
            {"PYRONYM_TLS_PORT": "x"},
            "environment variable PYRONYM_TLS_PORT: invalid TLS_PORT: 'x' (expected a port",
        ),
        (
            {},
            {"PYRONYM_READ_ONLY": "x"},
            "environment variable PYRONYM_READ_ONLY: invalid READ_ONLY: 'x' (expected true",
        ),
        ({}, {"PYRO_LOGLEVEL": "x"}, "environment variable PYRO_LOGLEVEL: invalid LOGLEVEL: 'X' (expected DEBUG"),
    ],
)
def test_wrong_options_and_variables_are_named(
    options: dict[str, str], environment: dict[str, str], words: str
) -> None:
    with pytest.raises(ValueError, match=r"^.*expected") as caught:
        configure(options, environment, None)
    assert words in str(caught.value)


def test_what_belongs_together_comes_from_one_place(tmp_path: Path) -> None:
    file = written(tmp_path, "unixsocket = 's'\n")
    assert configure({}, {"PYRO_NS_PORT": "1"}, file)["unixsocket"] == "s"
    assert configure({"port": "1"}, {}, file)["unixsocket"] is None
    key = {"PYRO_SSL_SERVERCERT": "env.pem", "PYRO_SSL_SERVERKEY": "env.key"}
    told = configure({"tls_cert": "option.pem"}, key, None)
    assert (told["tls_cert"], told["tls_key"], told["tls"]) == ("option.pem", "", True)
    told = configure({}, key, None)
    assert (told["tls_cert"], told["tls_key"], told["tls"]) == ("env.pem", "env.key", False)
    told = configure({}, {"PYRO_SSL": "0"}, written(tmp_path, "tls_cert = 'a'\ntls_key = 'b'\n"))
    assert (told["tls_cert"], told["tls_key"], told["tls"]) == ("a", "b", False)


def test_a_server_does_what_its_file_says(serve: NameServers, tmp_path: Path) -> None:
    file = written(tmp_path, f"storage = 'sql:{tmp_path}/a.sqlite'\nmax_tags = 1\nhost = ['127.0.0.2', '127.0.0.1']\n")
    server = serve("--config", file, storage=f"sql:{tmp_path}/b.sqlite")  # and a host and a port as options
    assert server.host == "127.0.0.1"
    assert [path.name for path in sorted(tmp_path.glob("*.sqlite"))] == ["b.sqlite"]
    with locateNS(server.host, server.port) as nameserver:
        with pytest.raises(NamingError, match="tags"):
            nameserver.register("a", "PYRO:a@h:1", metadata=["x", "y"])


def test_the_documentation_is_what_the_code_says() -> None:
    script = DOCS / "write_configuration.py"
    specification = importlib.util.spec_from_file_location("write_configuration", script)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    cure = "run docs/write_configuration.py"
    assert (DOCS / "configuration.md").read_text() == module.page(), cure
    assert (DOCS / "pyronym.toml").read_text() == module.example(), cure


def test_the_example_can_be_used_when_all_of_it_is_said(tmp_path: Path) -> None:
    lines = (DOCS / "pyronym.toml").read_text().splitlines()
    said = "\n".join(line.removeprefix("#") for line in lines if not line.startswith("# "))
    document = tomllib.loads(said)
    assert list(document) == list(ITEMS)
    del document["keys"]  # not together with a single key
    del document["tls_port"]  # not together with a Unix socket
    shown = "\n".join(line for line in said.splitlines() if line.partition(" ")[0] in document)
    told = configure({}, {}, written(tmp_path, shown))
    assert told["nathost"] == "ns.example"
