"""What `backup` in tests/cli/test_upkeep.py rests on, where chance would not show it."""

import shutil
from contextlib import closing

from generated import finish_writing, put, stored

from pyronym.storage import dbm, upkeep


def test_a_dbm_that_is_written_afresh_while_it_is_copied_is_copied_again(tmp_path, monkeypatch):
    monkeypatch.setattr(dbm, "_MIN_JOURNAL", 5)
    copyfile = shutil.copyfile
    disturbances = iter(range(3))
    with closing(dbm.DbmStore(tmp_path / "names")) as store:

        def write_a_lot():
            for round_ in range(20):
                store.commit([put(f"n{i}", f"PYRO:{round_}.{'x' * (i % 9)}@h:1", ["tag"]) for i in range(10)])
            finish_writing(store)

        def disturbed(source, target):
            copyfile(source, target)
            if source.endswith(".dat") and next(disturbances, None) is not None:
                write_a_lot()

        write_a_lot()
        monkeypatch.setattr(shutil, "copyfile", disturbed)
        assert upkeep.backup("dbm", str(tmp_path / "names"), str(tmp_path / "copy")) == 10
        assert next(disturbances, None) is None
        expected = stored(store)
    with closing(dbm.DbmStore(tmp_path / "copy")) as copy:
        assert stored(copy) == expected
