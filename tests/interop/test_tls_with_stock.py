"""TLS between our parts and the stock ones, which are as they come from PyPI with SSL on."""

from __future__ import annotations

import shutil
import socket
import ssl
from pathlib import Path

import pytest
from asking import ask

from processes import PYRONYM, NameServers, Process, StockDaemons, run, run_stock, stopping
from pyronym import Proxy
from pyronym.client.locate import locate
from pyronym.errors import CommunicationError, NameServerNotFoundError
from pyronym.settings import Settings
from tls_files import Certificates, authority, issued, make, variables

REGISTER = "ns.register('a', 'PYRO:a@host:1')"
OWN = "str(ns.lookup('Pyro.NameServer'))"


@pytest.fixture(params=[4, 5], ids=["pyro4", "pyro5"])
def dialect(request: pytest.FixtureRequest) -> int:
    """Of the stock programs of a test. Both use TLS by an SSLContext, so they run on every Python."""
    number: int = request.param
    return number


@pytest.fixture
def stock_python(dialect: int, stock4_python: Path, stock5_python: Path) -> Path:
    return stock4_python if dialect == 4 else stock5_python


@pytest.fixture
def stock_daemon(dialect: int, stock4_daemon: StockDaemons, stock5_daemon: StockDaemons) -> StockDaemons:
    return stock4_daemon if dialect == 4 else stock5_daemon


@pytest.fixture
def serve_stock(dialect: int, serve_stock4: NameServers, serve_stock5: NameServers) -> NameServers:
    return serve_stock4 if dialect == 4 else serve_stock5


# Stock clients, our server


def test_a_stock_client_uses_the_name_server(
    serve: NameServers, stock_python: Path, certificates: Certificates
) -> None:
    server = serve(*certificates.serve_options())
    for environment in (certificates.nameless_variables(), certificates.client_variables()):
        answers = ask(stock_python, server.uri, REGISTER, "str(ns.lookup('a'))", OWN, env=environment)
        assert answers == ["None", "'PYRO:a@host:1'", f"'{server.uri}'"]


def test_the_environment_alone_switches_tls_on(
    serve: NameServers, stock_python: Path, certificates: Certificates
) -> None:
    server = serve(env=variables(certificates.server(ssl_requireclientcert=True)))
    assert ask(stock_python, server.uri, REGISTER, env=certificates.client_variables()) == ["None"]
    assert ask(stock_python, server.uri, REGISTER, env=certificates.nameless_variables())[0].startswith("!! ")
    assert "HMAC key not set" not in server.process.output  # not anyone can connect


def test_a_stock_client_without_the_certificate_that_is_required_is_told_so(
    serve: NameServers, stock_python: Path, certificates: Certificates
) -> None:
    server = serve(*certificates.serve_options(), "--tls-ca", certificates.path("ca.pem"), "--tls-require-client-cert")
    (answer,) = ask(stock_python, server.uri, REGISTER, env=certificates.nameless_variables())
    assert "certificate required" in answer
    server.process.wait_for_line("refused .*it showed no client certificate; its SSL_CLIENTCERT must be set")
    assert ask(stock_python, server.uri, REGISTER, env=certificates.client_variables()) == ["None"]


def test_a_stock_client_without_tls_is_told_so(
    serve: NameServers, stock_python: Path, certificates: Certificates
) -> None:
    server = serve(*certificates.serve_options())
    (answer,) = ask(stock_python, server.uri, REGISTER)
    assert "this port speaks TLS: set SSL and SSL_CACERTS in the client (PYRO_SSL=1, PYRO_SSL_CACERTS=FILE)" in answer
    server.process.wait_for_line("refused .*it speaks without TLS at a port for TLS only")


def test_a_stock_client_with_tls_at_a_plain_port_is_no_riddle(
    serve: NameServers, stock_python: Path, certificates: Certificates
) -> None:
    server = serve()
    (answer,) = ask(stock_python, server.uri, REGISTER, env=certificates.nameless_variables())
    assert "wrong version number" in answer
    server.process.wait_for_line("broken message: .*the peer speaks TLS")


def test_a_stock_client_does_not_trust_another_ca(
    serve: NameServers, stock_python: Path, certificates: Certificates, tmp_path: Path
) -> None:
    stranger = issued(tmp_path, "stranger", authority().issued)
    server = serve(*certificates.serve_options())
    environment = certificates.nameless_variables() | {"PYRO_SSL_CACERTS": stranger["cert"]}
    (answer,) = ask(stock_python, server.uri, REGISTER, env=environment)
    assert "certificate verify failed" in answer
    server.process.wait_for_line("refused .*the other side does not trust the CA of our certificate")


def test_a_stock_client_with_an_expired_certificate_is_told_so(
    serve: NameServers, stock_python: Path, certificates: Certificates, tmp_path: Path
) -> None:
    old = authority(2020)
    ca, client = issued(tmp_path, "ca", old.issued), issued(tmp_path, "client", old.client("late"))
    server = serve(*certificates.serve_options(), "--tls-ca", ca["cert"])
    environment = certificates.nameless_variables() | {
        "PYRO_SSL_CLIENTCERT": client["cert"],
        "PYRO_SSL_CLIENTKEY": client["key"],
    }
    (answer,) = ask(stock_python, server.uri, REGISTER, env=environment)
    assert "certificate expired" in answer
    server.process.wait_for_line(r"refused .*certificate has expired \(it must be renewed\)")


def test_old_versions_of_tls_are_refused(serve: NameServers, certificates: Certificates) -> None:
    server = serve(*certificates.serve_options())
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(certificates.path("ca.pem"))
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(server.address) as sock:
        with pytest.raises(ssl.SSLError, match="protocol version"):
            old.wrap_socket(sock, server_hostname="127.0.0.1")
    server.process.wait_for_line("refused .*the other side knows no version of TLS from 1.2 on")


# Moving over: TLS and plain at once


def with_tls(server_output: str) -> str:
    return server_output.partition("URI with TLS = ")[2].split()[0]


def test_tls_and_plain_ports_serve_one_namespace(
    serve: NameServers, stock_python: Path, certificates: Certificates
) -> None:
    server = serve(*certificates.serve_options(), "--tls-port", "0")
    server.process.wait_for_line("URI with TLS")
    secure = with_tls(server.process.output)
    assert ask(stock_python, server.uri, REGISTER, OWN) == ["None", f"'{server.uri}'"]
    answers = ask(stock_python, secure, "str(ns.lookup('a'))", OWN, "ns.list()", env=certificates.nameless_variables())
    assert answers[:2] == ["'PYRO:a@host:1'", f"'{secure}'"]
    assert secure in answers[2]
    assert server.uri not in answers[2]
    assert "HMAC key not set" in server.process.output  # the plain port is for anyone


def test_the_own_address_is_the_one_that_the_client_came_in_on(serve: NameServers, certificates: Certificates) -> None:
    server = serve(*certificates.serve_options(), "--tls-port", "0", "--nobc", host="0.0.0.0")
    server.process.wait_for_line("URI with TLS")
    port = int(with_tls(server.process.output).rpartition(":")[2])
    for chosen, settings in ((port, certificates.nameless()), (server.port, Settings())):
        with locate("127.0.0.1", chosen, settings=settings) as nameserver:
            assert str(nameserver.lookup("Pyro.NameServer")) == f"PYRO:Pyro.NameServer@127.0.0.1:{chosen}"


def test_beyond_a_nat_the_tls_port_keeps_its_number(serve: NameServers, certificates: Certificates) -> None:
    command = [PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", *certificates.serve_options(), "--tls-port", "0"]
    process = Process([*command, "--nathost", "ns.example", "--natport", "1234"])
    with stopping([process]):
        tls = process.wait_for_line(r"^URI with TLS = PYRO:Pyro.NameServer@ns.example:(\d+)$")
        with locate("127.0.0.1", int(tls[1]), settings=certificates.nameless()) as nameserver:
            own = nameserver.lookup("Pyro.NameServer")
        assert str(own) == f"PYRO:Pyro.NameServer@ns.example:{tls[1]}"
        assert process.terminate() == 0


def test_a_running_server_takes_a_new_certificate(serve: NameServers, stock_python: Path, tmp_path: Path) -> None:
    used, new = make(tmp_path / "used"), make(tmp_path / "new")
    server = serve(*used.serve_options())
    assert ask(stock_python, server.uri, REGISTER, env=used.nameless_variables()) == ["None"]
    (used.folder / "server.key").write_text("half a fi")
    assert ask(stock_python, server.uri, REGISTER, env=used.nameless_variables()) == ["None"]
    server.process.wait_for_line("ERROR pyronym.tls: the TLS files have changed, but the old ones stay in use")
    for name in ("server.pem", "server.key"):
        shutil.copy(new.folder / name, used.folder / name)
    assert ask(stock_python, server.uri, REGISTER, env=new.nameless_variables()) == ["None"]


# Our clients, stock servers


def test_our_proxy_calls_a_stock_daemon(stock_daemon: StockDaemons, certificates: Certificates) -> None:
    uri = stock_daemon(env=certificates.server_variables())["echo"]
    with Proxy(uri, settings=certificates.nameless()) as echo:
        assert echo.echo("x" * 200_000) == "x" * 200_000
        assert list(echo.numbers(3)) == [0, 1, 2]


def test_our_proxy_shows_its_certificate_to_a_stock_daemon(
    stock_daemon: StockDaemons, certificates: Certificates
) -> None:
    uri = stock_daemon(env=variables(certificates.server(ssl_requireclientcert=True)))["echo"]
    with Proxy(uri, settings=certificates.client()) as echo:
        assert echo.echo(1) == 1
    with Proxy(uri, settings=certificates.nameless()) as echo:
        with pytest.raises(CommunicationError):
            echo.echo(1)


def test_our_proxy_without_tls_does_not_wait_for_a_stock_daemon_with_it(
    stock_daemon: StockDaemons, certificates: Certificates
) -> None:
    uri = stock_daemon(env=certificates.server_variables())["echo"]
    with Proxy(uri, settings=Settings()) as echo:
        with pytest.raises(CommunicationError):
            echo.echo(1)


def test_our_proxy_with_tls_says_why_a_plain_stock_daemon_cannot_be_called(
    stock_daemon: StockDaemons, certificates: Certificates
) -> None:
    uri = stock_daemon()["echo"]
    with Proxy(uri, settings=certificates.nameless(commtimeout=10.0)) as echo:
        with pytest.raises(CommunicationError, match=r"(does not|does it) speak TLS"):
            echo.echo(1)


def test_our_search_finds_a_stock_name_server(serve_stock: NameServers, certificates: Certificates) -> None:
    server = serve_stock(env=certificates.server_variables())
    with locate(server.host, server.port, settings=certificates.nameless()) as nameserver:
        nameserver.register("b", "PYRO:b@host:2")
        assert str(nameserver.lookup("b")) == "PYRO:b@host:2"
    with pytest.raises(NameServerNotFoundError, match="SSL_CACERTS must hold the CA that issued it"):
        locate(server.host, server.port, settings=Settings(ssl=True))


# The commands


def test_the_control_tool_uses_the_client_settings(serve: NameServers, certificates: Certificates) -> None:
    server = serve(*certificates.serve_options(), "--tls-ca", certificates.path("ca.pem"), "--tls-require-client-cert")
    tool = [Path(PYRONYM).parent / "python", "-m", "pyronym.nsc", "-n", server.host, "-p", str(server.port), "ping"]
    assert run(tool, env=certificates.client_variables()).stdout == "Name server ping ok.\n"
    nameless = run(tool, env=certificates.nameless_variables())
    assert (nameless.status, nameless.stdout.count("\n")) == (1, 1)
    assert "the other side wants a client certificate; set SSL_CLIENTCERT" in nameless.stdout
    plain = run(tool)
    assert (plain.status, plain.stdout.count("\n")) == (1, 1)
    assert "this port speaks TLS" in plain.stdout
    broken = run(tool, env=certificates.client_variables() | {"PYRO_SSL_CLIENTKEY": certificates.path("ca.key")})
    assert (broken.status, broken.stdout, broken.stderr.count("\n")) == (2, "", 1)
    assert "SSL_CLIENTKEY: it is not the key of the certificate" in broken.stderr


def test_a_stock_program_finds_a_stock_daemon_through_our_server_with_tls_everywhere(
    serve: NameServers, stock_daemon: StockDaemons, stock_python: Path, certificates: Certificates
) -> None:
    server = serve(*certificates.serve_options())
    where = {"PYRO_NS_HOST": server.host, "PYRO_NS_PORT": str(server.port)}
    stock_daemon("lab.echo=echo", env=certificates.server_variables() | where)
    report = "peer.report(peer.Proxy('PYRONAME:lab.echo').echo('hello'))"
    environment = certificates.nameless_variables() | where
    assert run_stock(stock_python, f"import peer; {report}", env=environment) == "hello"
