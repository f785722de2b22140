"""Writes the files in ``stock_files/``, as stock Pyro4 leaves them. Run it with a Python that has Pyro4 4.82::

/path/to/stock/python tests/storage/make_stock_files.py
"""

import os
import sqlite3
import sys
import warnings
from contextlib import closing

NAMES = {
    "plain": ("PYRO:plain@host:1", None),
    "Plain": ("PYRO:other@host:1", set()),
    "tagged": ("PYRO:tagged@host:1", {"x", "y ü", "%"}),
    "app_1": ("PYRO:app@host:1", {"x"}),
    "": ("PYRO:empty@host:1", None),
    "ü.☃.\U0001f600.e\u0301": ("PYRO:ü@host:1", {"\U0001f600"}),
    "gone": ("PYRO:gone@host:1", {"x"}),
    "long." + "n" * 2000: ("PYRO:long@host:1", {"t" * 500}),
}


def write(storage):
    for name, value in NAMES.items():
        storage[name] = value
    storage["plain"] = "PYRO:plain@host:2", None  # stock Pyro4 gives it a new id, so it moves to the end
    del storage["gone"]


def main(folder):
    warnings.simplefilter("ignore")
    from Pyro4.naming_storage import DbmStorage, SqlStorage

    for file in os.listdir(folder):
        os.unlink(os.path.join(folder, file))
    current = os.path.join(folder, "current.sqlite")
    write(SqlStorage(current))
    with closing(sqlite3.connect(current)) as db:
        # Nothing in the schema keeps a tag from being there twice.
        db.execute("INSERT INTO pyro_metadata SELECT object, metadata FROM pyro_metadata WHERE metadata = 'y ü'")
        db.commit()
    with closing(sqlite3.connect(os.path.join(folder, "oldest.sqlite"))) as db:
        # What Pyro4 up to 4.38 made, before there was metadata.
        db.execute("CREATE TABLE pyro_names (name nvarchar PRIMARY KEY NOT NULL, uri nvarchar NOT NULL)")
        rows = [(name, uri) for name, (uri, _) in NAMES.items() if name != "gone"]
        db.executemany("INSERT INTO pyro_names(name, uri) VALUES (?, ?)", rows)
        db.commit()
    write(DbmStorage(os.path.join(folder, "names.dbm")))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "stock_files"))
