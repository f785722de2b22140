"""Rules and what they allow: against a model that says it in the plainest words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyronym.directory.record import Record
from pyronym.errors import SecurityError
from pyronym.service.permissions import OPEN, VERBS, Client, parse_permissions

NAMES = ["", "a", "a.b", "a.b.c", "b", "A", "Pyro.NameServer"]
CLIENTS = [
    Client(),
    Client(host="10.0.0.7"),
    Client(host="::1"),
    Client(key_name="lab", host="10.0.0.7"),
    Client(key_name="cam"),
    Client(unix_user="lab"),
    Client(tls_subject="CN=lab", key_name="lab", host="192.0.2.1"),
]
WHO = ["anyone", "key:lab", "key:cam", "unix:lab", "tls:CN=lab", "net:10.0.0.0/8", "net:::/0", "net:192.0.2.1"]
rules = st.fixed_dictionaries(
    {
        "who": st.lists(st.sampled_from(WHO), min_size=1, max_size=2),
        "may": st.lists(st.sampled_from(VERBS), min_size=1, max_size=3),
    },
    optional={"names": st.lists(st.sampled_from(["", "a", "a.", "b"]), min_size=1, max_size=2)},
)
documents = st.fixed_dictionaries(
    {"rule": st.lists(rules, min_size=1, max_size=4)}, optional={"ownership": st.booleans()}
)


def is_named(client, who):
    """Whether an entry of `who` is about the client."""
    return {
        "anyone": True,
        "key:lab": client.key_name == "lab",
        "key:cam": client.key_name == "cam",
        "unix:lab": client.unix_user == "lab",
        "tls:CN=lab": client.tls_subject == "CN=lab",
        "net:10.0.0.0/8": client.host == "10.0.0.7",
        "net:::/0": client.host == "::1",
        "net:192.0.2.1": client.host == "192.0.2.1",
    }[who]


def allows(document, client, verb, name):
    return any(
        any(is_named(client, who) for who in rule["who"])
        and (verb in rule["may"] or "admin" in rule["may"])
        and any(name.startswith(prefix) for prefix in rule.get("names", [""]))
        for rule in document["rule"]
    )


def refused(check, *arguments):
    try:
        check(*arguments)
    except SecurityError:
        return True
    return False


@given(documents, st.sampled_from(CLIENTS), st.sampled_from(NAMES), st.booleans())
def test_a_grant_allows_what_a_rule_allows(document, client, name, read_only):
    grant = parse_permissions(document, read_only=read_only).grant(client)
    for verb in ("register", "renew", "remove", "admin"):
        assert grant.may(verb, name) == (allows(document, client, verb, name) and not read_only)
    can_read = allows(document, client, "read", name) or name == "Pyro.NameServer"
    assert grant.may("read", name) == can_read
    assert refused(grant.check_read, name) == (not can_read)
    assert not grant.reads_everything or all(grant.may("read", other) for other in NAMES)


@given(
    documents,
    st.sampled_from(CLIENTS),
    st.sampled_from(NAMES),
    st.sampled_from([None, "key:lab", "key:cam", "unix:lab", "tls:CN=lab", "net:10.0.0.7"]),
    st.booleans(),
)
def test_a_record_can_be_changed_by_its_owner_and_by_an_admin(document, client, name, owner, exists):
    grant = parse_permissions(document).grant(client)
    record = Record(name, "PYRO:a@host:1", owner=owner) if exists else None
    is_foreign = document.get("ownership", False) and exists and owner is not None and owner not in client.identities
    is_locked = is_foreign and not allows(document, client, "admin", name)
    for verb in ("renew", "remove"):
        expected = not allows(document, client, verb, name) or is_locked
        assert refused(grant.check_change, verb, name, record) == expected
    verb = "renew" if exists else "register"
    expected = not allows(document, client, verb, name) or is_locked
    assert refused(grant.check_register, name, record) == expected


@given(documents, st.sampled_from(CLIENTS))
def test_what_a_client_registers_is_its_own_as_long_as_it_is_known(document, client):
    grant = parse_permissions(document).grant(client)
    known = client.identities and document.get("ownership", False)
    assert grant.owner == (client.principal if known else None)


@given(st.sampled_from(CLIENTS), st.text())
def test_without_rules_everybody_may_do_everything(client, name):
    grant = OPEN.grant(client)
    assert grant.reads_everything
    assert all(grant.may(verb, name) for verb in ("read", "register", "renew", "remove"))


def test_the_best_proof_names_the_principal():
    assert [client.principal for client in CLIENTS] == [
        "anyone", "net:10.0.0.7", "net:::1", "key:lab", "key:cam", "unix:lab", "tls:CN=lab",
    ]  # fmt: skip


RULE = {"who": ["anyone"], "may": ["read"]}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "no rule"),
        ({"ownership": True}, "no rule"),
        ({"rule": []}, "no rule"),
        ({"rule": {"who": []}}, "no rule"),
        ({"rule": [RULE], "ownership": 1}, "ownership: 1"),
        ({"rule": [RULE], "rules": []}, "unknown item 'rules'"),
        ({"rule": [RULE, 5]}, "rule 2: 5"),
        ({"rule": [{**RULE, "name": ["a"]}]}, "rule 1: unknown item 'name'"),
        ({"rule": [{**RULE, "names": "a"}]}, "rule 1: names: 'a'"),
        ({"rule": [{**RULE, "names": []}]}, "rule 1: names: \\[\\]"),
        ({"rule": [{**RULE, "may": ["write"]}]}, "rule 1: may: 'write'"),
        ({"rule": [{"who": ["anyone"]}]}, "rule 1: may: None"),
        ({"rule": [{"may": ["read"]}]}, "rule 1: who: None"),
        ({"rule": [{**RULE, "who": ["lab"]}]}, "rule 1: who: 'lab'"),
        ({"rule": [{**RULE, "who": ["key:"]}]}, "rule 1: who: 'key:'"),
        ({"rule": [{**RULE, "who": ["anyone:x"]}]}, "rule 1: who: 'anyone:x'"),
        ({"rule": [{**RULE, "who": ["net:10.0.0.1/8"]}]}, "rule 1: who: 'net:10.0.0.1/8'.*expected a network"),
        ({"rule": [{**RULE, "who": [5]}]}, "rule 1: who: \\[5\\]"),
    ],
)
def test_a_document_that_cannot_be_understood_says_where(document, words):
    with pytest.raises(ValueError, match=words):
        parse_permissions(document)
