import hmac

from hypothesis import example, given
from hypothesis import strategies as st

from pyronym.wire.straight import signatures


@given(st.binary(min_size=1, max_size=130), st.lists(st.binary(max_size=200), max_size=3))
@example(b"k" * 64, [b""])
@example(b"k" * 65, [b""])
def test_a_signature_is_the_one_that_the_library_makes(key, messages):
    signature = signatures(key)
    for message in messages:
        assert signature(message) == hmac.digest(key, message, "sha1")
