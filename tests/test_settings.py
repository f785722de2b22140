"""The settings and their Pyro4-style face."""

from dataclasses import FrozenInstanceError, replace

import pytest

from pyronym.settings import Configuration, Settings, settings_from_environment


def test_settings_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Settings().ns_port = 1


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("ns_port", 65536),
        ("ns_port", -1),
        ("ns_port", "9090"),
        ("ns_port", True),
        ("ns_host", ""),
        ("host", None),
        ("locate_timeout", 0),
        ("commtimeout", -1.0),
        ("commtimeout", float("inf")),
        ("polltimeout", 0),
        ("prefer_ip_version", 5),
        ("compression", "yes"),
        ("max_message_size", -1),
        ("max_message_size", 2**31),
        ("max_retries", 1.5),
        ("serializer", "yaml"),
        ("serializers_accepted", frozenset()),
        ("serializers_accepted", frozenset({"serpent", "yaml"})),
        ("broadcast_addrs", ["127.0.0.1"]),
        ("threadpool_size", 0),
    ],
)
def test_an_impossible_value_is_refused_with_its_name_and_what_is_expected(item, value):
    with pytest.raises(ValueError, match=rf"invalid {item.upper()}: .* \(expected .+\)"):
        replace(Settings(), **{item: value})


def test_no_limit_of_messages_means_what_the_older_wire_can_say():
    assert Settings(max_message_size=0).message_limit == 2**31 - 1
    assert Settings(max_message_size=1000).message_limit == 1000


def test_environment_variables_set_the_items_of_their_names():
    settings = settings_from_environment(
        {
            "PYRO_NS_PORT": "9000",
            "PYRO_NS_HOST": "ns.example",
            "PYRO_COMPRESSION": "Yes",
            "PYRO_METADATA": "off",
            "PYRO_COMMTIMEOUT": "2.5",
            "PYRO_SERIALIZERS_ACCEPTED": "serpent, json",
            "PYRO_BROADCAST_ADDRS": "127.0.0.1,''",
            "PYRO_NS_BCHOST": "127.0.0.1",
            "PYRO_LOGWIRE": "an item that means nothing here",
            "NS_PORT": "1",
        }
    )
    assert settings == Settings(
        ns_port=9000,
        ns_host="ns.example",
        compression=True,
        metadata=False,
        commtimeout=2.5,
        serializers_accepted=frozenset({"serpent", "json"}),
        broadcast_addrs=("127.0.0.1", ""),
        ns_bchost="127.0.0.1",
    )


@pytest.mark.parametrize(("text", "asked"), [("", ()), (" ", ()), ("''", ("",)), (",10.0.0.255", ("", "10.0.0.255"))])
def test_broadcasts_to_nowhere_are_an_empty_text_and_not_an_empty_address(text, asked):
    assert settings_from_environment({"PYRO_BROADCAST_ADDRS": text}).broadcast_addrs == asked
    config = Configuration(Settings())
    config.BROADCAST_ADDRS = text
    assert asked == config.BROADCAST_ADDRS


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PYRO_NS_PORT", "ninety"),
        ("PYRO_NS_PORT", "70000"),
        ("PYRO_NS_PORT", ""),
        ("PYRO_COMPRESSION", "maybe"),
        ("PYRO_COMMTIMEOUT", "soon"),
        ("PYRO_SERIALIZER", "yaml"),
        ("PYRO_SERIALIZERS_ACCEPTED", "serpent,yaml"),
    ],
)
def test_a_wrong_environment_variable_is_named_with_its_value(variable, text):
    with pytest.raises(ValueError, match=f"environment variable {variable}: invalid .*{text[:3]}.* \\(expected .+\\)"):
        settings_from_environment({variable: text})


def test_config_items_are_read_and_assigned_in_capitals():
    config = Configuration(Settings())
    config.NS_PORT = 9000
    config.SERIALIZERS_ACCEPTED = {"json"}
    config.BROADCAST_ADDRS = "10.0.0.255, 10.0.1.255"
    assert config.NS_PORT == 9000
    assert {"json"} == config.SERIALIZERS_ACCEPTED
    assert config.settings == Settings(
        ns_port=9000, serializers_accepted=frozenset({"json"}), broadcast_addrs=("10.0.0.255", "10.0.1.255")
    )
    assert config.asDict()["NS_PORT"] == 9000


def test_a_refused_assignment_leaves_the_old_value():
    config = Configuration(Settings())
    with pytest.raises(ValueError, match="invalid NS_PORT: 'x'"):
        config.NS_PORT = "x"
    assert config.settings == Settings()


@pytest.mark.parametrize("name", ["NOTHING", "ns_port", "Ns_Port", "_anything"])
def test_unknown_items_are_attribute_errors(name):
    config = Configuration(Settings())
    with pytest.raises(AttributeError, match=f"no such config item: {name}"):
        getattr(config, name)
    with pytest.raises(AttributeError, match=f"no such config item: {name}"):
        setattr(config, name, 1)


def test_reset_reads_the_environment_unless_told_not_to(monkeypatch):
    monkeypatch.setenv("PYRO_NS_PORT", "9001")
    config = Configuration(Settings())
    config.reset()
    assert config.NS_PORT == 9001
    config.reset(useenvironment=False)
    assert config.NS_PORT == 9090


def test_a_snapshot_of_the_settings_does_not_follow_the_config():
    config = Configuration(Settings())
    snapshot = config.settings
    config.NS_PORT = 1
    assert snapshot.ns_port == 9090


def test_items_of_pyro4_that_change_nothing_here_can_be_assigned():
    config = Configuration(Settings())
    assert config.SERVERTYPE == "thread"
    config.SERVERTYPE = "multiplex"
    assert config.SERVERTYPE == "multiplex"
    assert config.settings == Settings()
    assert settings_from_environment({"PYRO_SERVERTYPE": "multiplex"}) == Settings()


def test_the_pause_between_probes_is_none_or_long_enough():
    config = Configuration(Settings())
    assert (config.NS_AUTOCLEAN, config.NS_AUTOCLEAN_GRACE) == (0.0, 20.0)
    config.NS_AUTOCLEAN = 3
    for value in (2.9, -1, "3", True):
        with pytest.raises(ValueError, match=r"invalid NS_AUTOCLEAN: .* \(expected 0 for none, or a number of seconds"):
            config.NS_AUTOCLEAN = value
    assert settings_from_environment({"PYRO_NS_AUTOCLEAN": "30"}).ns_autoclean == 30.0


def test_tls_is_configured_like_stock_pyro():
    environment = {
        "PYRO_SSL": "on",
        "PYRO_SSL_SERVERCERT": "server.pem",
        "PYRO_SSL_SERVERKEY": "server.key",
        "PYRO_SSL_REQUIRECLIENTCERT": "1",
        "PYRO_SSL_CACERTS": "ca.pem",
    }
    settings = settings_from_environment(environment)
    assert (settings.ssl, settings.ssl_requireclientcert) == (True, True)
    assert (settings.ssl_servercert, settings.ssl_serverkey, settings.ssl_cacerts) == (
        "server.pem",
        "server.key",
        "ca.pem",
    )
    config = Configuration(Settings())
    assert (config.SSL, config.SSL_CLIENTCERT) == (False, "")
    config.SSL = True
    assert config.settings.ssl


@pytest.mark.parametrize("item", ["SSL_SERVERKEYPASSWD", "SSL_CLIENTKEYPASSWD"])
def test_passwords_are_not_shown(item):
    config = Configuration(Settings())
    setattr(config, item, "sesame")
    assert "sesame" not in repr(config.settings)
    with pytest.raises(ValueError, match=f"invalid {item}: a secret of type bytes") as caught:
        setattr(config, item, b"sesame")
    assert "sesame" not in str(caught.value)
