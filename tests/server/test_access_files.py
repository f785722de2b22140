"""The files with keys and permissions: what they say, and what is wrong with them in one line that shows no key."""

import pytest

from pyronym.server.access_files import read_keys, read_permissions
from pyronym.service.permissions import Client

SECRET = "a secret of good length"


def file(tmp_path, text, mode=0o600):
    path = tmp_path / "file.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return str(path)


def test_a_name_may_have_several_keys(tmp_path):
    ring = read_keys(file(tmp_path, f'lab = ["{SECRET}", "{SECRET} ü"]\n"my cam" = "{SECRET}!"'))
    found = [ring.find(lambda secret, end=end: secret == (SECRET + end).encode()).name for end in ("", " ü", "!")]
    assert found == ["lab", "lab", "my cam"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_keys_that_others_can_read_are_refused(tmp_path, mode):
    with pytest.raises(ValueError, match=f"mode {mode:04o}.: chmod 600 .*file.toml"):
        read_keys(file(tmp_path, f'lab = "{SECRET}"', mode))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no key"),
        (f'lab = "{SECRET}"\ncam = "{SECRET}"', "lab and cam have the same key"),
        ("lab = ''", "lab is not a key"),
        ("lab = []", "lab is not a key"),
        (f"lab = ['{SECRET}', 5]", "lab is not a key"),
        (f"[lab]\nkey = '{SECRET}'", "lab is not a key"),
        (f"lab: {SECRET}", "is not TOML"),
        (b"lab = '\xff'", "is not TOML"),
        ("lab = " + "[" * 10_000, "is nested too deeply"),
    ],
)
def test_keys_that_are_none_are_refused(tmp_path, text, words):
    with pytest.raises(ValueError, match=words) as raised:
        read_keys(file(tmp_path, text))
    assert "\n" not in str(raised.value)
    assert SECRET not in str(raised.value)


def test_a_short_key_is_warned_about(tmp_path, caplog):
    read_keys(file(tmp_path, "lab = 'short!'"))
    assert "the key of lab has 6 bytes" in caplog.text
    assert "short!" not in caplog.text


def test_permissions_can_be_read_by_all_and_changed_by_none(tmp_path):
    text = '[[rule]]\nwho = ["anyone"]\nmay = ["read"]'
    assert read_permissions(file(tmp_path, text, 0o644)).grant(Client()).reads_everything
    with pytest.raises(ValueError, match="chmod go-w"):
        read_permissions(file(tmp_path, text, 0o664))
    with pytest.raises(ValueError, match=r"file.toml: rule 1: may"):
        read_permissions(file(tmp_path, '[[rule]]\nwho = ["anyone"]'))
