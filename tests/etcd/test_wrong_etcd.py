"""Wrong addresses, wrong clusters, wrong passwords: one clear message each, and nothing overwritten."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from etcd_cluster import Cluster, etcd_program, free_ports, members_here, wait_until
from processes import PYRONYM, Process, run
from pyronym.errors import StorageError
from pyronym.service.pipeline import waited_for
from pyronym.settings import Settings
from pyronym.storage.choose import storage_by_name
from pyronym.storage.etcd.address import etcd_address

TAGS = frozenset()
URI = "PYRO:o@h:1"


def test_an_address_names_members_prefix_and_user():
    address = etcd_address("etcds://lab@h1:1,h2,[::1]:3/a/b/")
    assert address.endpoints == ("https://h1:1", "https://h2:2379", "https://[::1]:3")
    assert (address.prefix, address.user, address.tls) == ("a/b", "lab", True)
    plain = etcd_address("etcd://h1")
    assert (plain.endpoints, plain.prefix, plain.user, plain.tls) == (("http://h1:2379",), "pyronym", None, False)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("etcd:h1:2379", "neither etcd:// nor etcds://"),
        ("etcd://", "'' is no HOST"),
        ("etcd://h1,,h2/p", "'' is no HOST"),
        ("etcd://h1:x/p", "'h1:x' is no HOST"),
        ("etcd://h1:0/p", "no port 0"),
        ("etcd://h1:99999/p", "no port 99999"),
        ("etcd://@h1/p", "the user has no name"),
        ("etcd://h1//p", "empty part"),
        ("etcd://h1/a//b", "empty part"),
    ],
)
def test_a_wrong_address_is_a_wrong_option(address, words):
    with pytest.raises(ValueError, match="invalid address of etcd") as caught:
        storage_by_name(address, Settings())
    assert words in str(caught.value)


def test_a_wrong_address_ends_the_command_with_one_line():
    done = run([PYRONYM, "serve", "-s", "etcd:h1:2379"])
    assert (done.status, done.stderr.count("\n")) == (2, 1)
    assert "expected etcd://[USER@]HOST" in done.stderr


def test_a_password_in_the_address_is_refused_and_not_repeated():
    done = run([PYRONYM, "serve", "-s", "etcd://lab:secret@h1/p"])
    assert done.status == 2
    assert "PYRO_ETCD_PASSWORD" in done.stderr
    assert "secret" not in done.stderr


def ends(url, *words, env=None, arguments=("--no-wait",)):
    """The command ends with one line with these words, and status 1."""
    done = run([PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", "-s", url, *arguments], env=env)
    assert (done.status, done.stderr.count("\n")) == (1, 1), done.stderr
    for word in words:
        assert word in done.stderr


def test_without_waiting_an_unreachable_cluster_is_an_error():
    (port,) = free_ports("127.0.0.1", 1)
    ends(f"etcd://127.0.0.1:{port}/p", f"cannot reach etcd://127.0.0.1:{port}/p", "Connection refused")


def test_a_start_waits_for_the_cluster_and_says_so(tmp_path):
    cluster = Cluster(members_here(tmp_path, 1))
    process = Process([PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", "-s", cluster.url("p")])
    try:
        process.wait_for_line(f"waiting for {cluster.url('p')}: http://{cluster.locations}: .*refused")
        cluster.start()
        process.wait_for_line("^URI = PYRO:Pyro.NameServer@127")
        assert process.terminate() == 0
    finally:
        process.close()
        cluster.close()


def test_what_is_not_etcd_is_said_at_once():
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        ends(f"etcd://127.0.0.1:{other.server_port}/p", "this is not etcd, which speaks gRPC", arguments=())
        other.shutdown()


def test_a_prefix_of_something_else_is_left_alone(cluster, prefix):
    cluster.put(f"{prefix}/other", "value")
    ends(cluster.url(prefix), "the prefix is not pyronym's", "other keys")
    assert cluster.get(f"{prefix}/pyronym") is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('{"v":2,"program":"pyronym"}', "version 2, and this program knows versions up to 1"),
        ('{"v":1,"program":"other"}', "not pyronym's"),
        ("text", "not pyronym's"),
    ],
)
def test_a_prefix_of_a_newer_version_is_left_alone(cluster, prefix, value, words):
    cluster.put(f"{prefix}/pyronym", value)
    ends(cluster.url(prefix), words, arguments=())
    assert cluster.get(f"{prefix}/pyronym") == value


def test_two_prefixes_share_a_cluster_and_nothing_else(cluster, prefix, node):
    a, b = node(cluster.url(f"{prefix}/a")), node(cluster.url(f"{prefix}/ab"))
    waited_for(a.register("name", URI, TAGS))
    waited_for(b.register("other", URI, TAGS, safe=True))
    assert [record.name for record in a.everything()] == ["name"]
    assert [record.name for record in b.everything()] == ["other"]


def test_what_another_prefix_does_makes_nobody_stale(cluster, prefix, node, caplog):
    a, b = node(cluster.url(f"{prefix}/a")), node(cluster.url(f"{prefix}/b"))
    a.adopt("PYRO:Pyro.NameServer@127.0.0.1:1", TAGS)
    wait_until(lambda: cluster.get(f"{prefix}/a/nodes/{a.node.id}"), "it has nothing more to say")
    waited_for(b.register("name", URI, TAGS))
    ahead = b.status.revision
    wait_until(lambda: a.status.revision >= ahead, "it proves that it is not behind")
    assert not [message for message in caplog.messages if "away" in message]


def test_users_need_their_password(tmp_path, node):
    cluster = Cluster(members_here(tmp_path, 1))
    try:
        cluster.start()
        for arguments in (
            ["user", "add", "root:root-secret"],
            ["user", "grant-role", "root", "root"],
            ["user", "add", "lab:lab-secret"],
            ["role", "add", "lab"],
            ["role", "grant-permission", "lab", "--prefix=true", "readwrite", "mine/"],
            ["user", "grant-role", "lab", "lab"],
            ["auth", "enable"],
        ):
            command = [str(etcd_program("etcdctl")), "--endpoints", cluster.locations, *arguments]
            subprocess.run(command, check=True, capture_output=True, timeout=20)
        url = cluster.url("mine", user="lab@")
        a = node(url, etcd_password="lab-secret")
        waited_for(a.register("name", URI, TAGS, lease=a.new_lease(10)))
        (tmp_path / "password").write_text("lab-secret\n")
        with pytest.raises(ValueError, match="chmod 600"):
            node(url, etcd_passwordfile=str(tmp_path / "password"))
        (tmp_path / "password").chmod(0o600)
        b = node(url, etcd_passwordfile=str(tmp_path / "password"))
        assert b.get("name").uri == URI
        ends(url, "authentication failed", "PYRO_ETCD_PASSWORD", env={"PYRO_ETCD_PASSWORD": "wrong"}, arguments=())
        ends(cluster.url("mine"), "PYRO_ETCD_PASSWORD", arguments=())
        ends(cluster.url("theirs", user="lab@"), "permission denied", env={"PYRO_ETCD_PASSWORD": "lab-secret"})
        cluster.members[0].kill()  # with it the tokens are gone
        wait_until(lambda: a.status.stale_since is not None, "it notices")
        cluster.members[0].start()
        wait_until(lambda: a.status.stale_since is None, "it has logged in again")
        waited_for(a.register("after", URI, TAGS))
    finally:
        cluster.close()


def test_tls_checks_both_sides(tmp_path, certificates, node):
    files = {
        name: certificates.path(name) for name in ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")
    }
    extra = ["--cert-file", files["server.pem"], "--key-file", files["server.key"]]
    extra += ["--client-cert-auth", "--trusted-ca-file", files["ca.pem"]]
    cluster = Cluster(members_here(tmp_path, 1), extra, scheme="https")
    ours = {"etcd_cacert": files["ca.pem"], "etcd_cert": files["client.pem"], "etcd_key": files["client.key"]}
    try:
        cluster.members[0].start()
        a = wait_until(lambda: _opened(node, cluster.url("p"), ours), "etcd answers")
        waited_for(a.register("name", URI, TAGS))
        assert a.get("name").uri == URI
        ends(cluster.url("p"), "certificate verify failed; check", arguments=())
        ends(cluster.url("p").replace("etcds:", "etcd:"), "if it speaks TLS, the address begins with etcds://")
        no_certificate = {"PYRO_ETCD_CACERT": files["ca.pem"]}
        ends(cluster.url("p"), "TLS: sslv3 alert bad certificate; check PYRO_ETCD_CACERT", env=no_certificate)
    finally:
        cluster.close()


def _opened(node, url, settings):
    try:
        return node(url, **settings)
    except StorageError:
        return None


def test_a_missing_tls_file_is_a_wrong_option():
    done = run([PYRONYM, "serve", "-s", "etcds://h1/p"], env={"PYRO_ETCD_CACERT": "/nowhere/ca.pem"})
    assert done.status == 2
    assert "/nowhere/ca.pem" in done.stderr


def test_pyronym_alone_imports_no_grpc():
    code = "import sys, pyronym, pyronym.cli.serve; pyronym.NameServerDaemon; sys.exit('grpc' in sys.modules)"
    assert run([sys.executable, "-c", code]).status == 0
