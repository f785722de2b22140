"""Several keys at once: the first message says which one a connection has, and only that one counts from then on."""

import hmac

import pytest

from pyronym.errors import SecurityError
from pyronym.wire.codec import Decoder, encode
from pyronym.wire.keys import Key, KeyRing
from pyronym.wire.message import PYRO4, PYRO5, Message, MessageType

LIMIT = 1000
RING = KeyRing([Key("lab", b"new lab key"), Key("lab", b"old lab key"), Key("cam", b"cam key")])


def message(key, protocol=PYRO4):
    return encode(Message(protocol, MessageType.INVOKE, 2, 0, 1, b"data", {"TEST": b"x"}), limit=LIMIT, hmac_key=key)


@pytest.mark.parametrize(("secret", "name"), [(b"new lab key", "lab"), (b"old lab key", "lab"), (b"cam key", "cam")])
def test_the_first_message_says_which_key_it_is(secret, name):
    decoder = Decoder(limit=LIMIT, hmac_key=RING)
    decoder.feed(message(secret) * 2)
    assert decoder.next_message() == decoder.next_message()
    assert (decoder.key.name, decoder.key.secret) == (name, secret)


@pytest.mark.parametrize(("first", "second"), [(b"new lab key", b"old lab key"), (b"cam key", b"new lab key")])
def test_another_key_of_the_ring_does_not_count_later(first, second):
    decoder = Decoder(limit=LIMIT, hmac_key=RING)
    decoder.feed(message(first) + message(second))
    assert decoder.next_message() is not None
    with pytest.raises(SecurityError, match="message hmac mismatch"):
        decoder.next_message()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (message(b"foreign key"), "message hmac mismatch"),
        (message(None), "hmac key config not symmetric"),
        (message(None, PYRO5), "hmac key config not symmetric"),
    ],
)
@pytest.mark.parametrize("ring", [RING, KeyRing([])])
def test_what_no_key_of_the_ring_has_signed_is_refused(data, words, ring):
    decoder = Decoder(limit=LIMIT, hmac_key=ring)
    decoder.feed(data)
    with pytest.raises(SecurityError, match=words):
        decoder.next_message()
    assert decoder.key is None


def test_only_pyro5_can_be_let_in_unsigned():
    decoder = Decoder(limit=LIMIT, hmac_key=RING, unsigned_pyro5=True)
    decoder.feed(message(None, PYRO5))
    assert decoder.next_message() is not None
    decoder = Decoder(limit=LIMIT, hmac_key=RING, unsigned_pyro5=True)
    decoder.feed(message(None))
    with pytest.raises(SecurityError):
        decoder.next_message()


def test_all_keys_are_tried_wherever_the_right_one_is():
    tried = []
    assert RING.find(lambda secret: tried.append(secret) or secret == b"new lab key").secret == b"new lab key"
    assert tried == [b"new lab key", b"old lab key", b"cam key"]


@pytest.mark.parametrize(("key", "comparisons"), [(RING, 3), (b"cam key", 1)])
def test_signatures_are_compared_in_constant_time(monkeypatch, key, comparisons):
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda *two: compared.append(two) or compare(*two))
    decoder = Decoder(limit=LIMIT, hmac_key=key)
    decoder.feed(message(b"cam key"))
    assert decoder.next_message() is not None
    assert len(compared) >= comparisons


def test_secrets_are_not_shown():
    assert "cam key" not in repr(Key("cam", b"cam key"))
