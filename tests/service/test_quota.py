"""Names per client: the counting alone, and in a name server whose storage fails."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pyronym.directory.record import Change, Record
from pyronym.errors import LimitError, StorageError
from pyronym.service.nameservice import NameService, waited_for
from pyronym.service.permissions import OPEN, Client, Grant
from pyronym.service.quota import Quota
from pyronym.settings import Settings
from pyronym.storage.mapping import storage_behind
from pyronym.storage.memory import MemoryStorage

NO_TAGS: frozenset[str] = frozenset()


def test_a_client_has_so_many_names_and_others_have_theirs() -> None:
    quota = Quota(2)
    for client in ("a", "b"):
        for name in (f"{client}1", f"{client}2"):
            quota.take(client, name)
    with pytest.raises(LimitError, match=r"too many names: a has registered 2 \(MAX_NAMES_PER_CLIENT\)"):
        quota.take("a", "a3")
    quota.take("a", "a2")  # again
    quota.release("a1")
    quota.release("unknown")
    quota.take("a", "a3")


def test_a_name_that_another_client_takes_over_is_his() -> None:
    quota = Quota(1)
    quota.take("a", "name")
    quota.take("b", "name")
    quota.take("a", "other")
    with pytest.raises(LimitError):
        quota.take("b", "third")
    quota.release("name")
    assert quota._counts == {"a": 1}


def grant(host: str) -> Grant:
    return OPEN.grant(Client(None, None, None, host))


class Broken:
    """A storage that takes nothing; with `immediate` it says so at once."""

    description = "broken"

    def __init__(self, immediate: bool) -> None:
        self.immediate = immediate

    def load(self) -> list[Record]:
        return []

    def commit(self, changes: Sequence[Change]) -> None:
        raise StorageError("broken")

    def close(self) -> None:
        pass


def test_names_that_are_removed_by_anybody_do_not_count_any_more() -> None:
    service = NameService(storage_behind(MemoryStorage()), Settings(max_names_per_client=2))
    mine, other = grant("10.0.0.1"), grant("10.0.0.2")
    for name in ("a", "b"):
        service.register(name, "PYRO:a@b:1", NO_TAGS, grant=mine)
    with pytest.raises(LimitError):
        service.register("c", "PYRO:a@b:1", NO_TAGS, grant=mine)
    assert service.get("c") is None
    service.remove(["a"], grant=other)
    service.register("c", "PYRO:a@b:1", NO_TAGS, grant=mine)
    for number in range(5):
        service.register(f"inside.{number}", "PYRO:a@b:1", NO_TAGS)  # the program itself is no client
    service.close()


@pytest.mark.parametrize("immediate", [True, False])
def test_names_that_could_not_be_registered_do_not_count(immediate: bool) -> None:
    service = NameService(Broken(immediate), Settings(max_names_per_client=1))
    for name in ("a", "b", "c"):
        with pytest.raises(StorageError, match="broken"):
            waited_for(service.register(name, "PYRO:a@b:1", NO_TAGS, grant=grant("10.0.0.1")))
    service.close()
