"""A name server whose disk fails under it: changes fail and say why, lookups go on, and it goes on when it is over."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from disks import on_disk
from generated import put, stored
from killing import STORES

import pyronym
from processes import PYRONYM, run
from pyronym.errors import NamingError

URI = "PYRO:o@h:1"


class Faults:
    """What fails on the disk that a name server has its files on."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def begin(self, operation: str, number: int) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(f"{operation} {number}\n")
        new.replace(self.file)

    def end(self) -> None:
        self.file.unlink()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


@pytest.fixture
def faults(tmp_path):
    return Faults(tmp_path / "faults")


@contextmanager
def client_of(server):
    with pyronym.locateNS(server.host, server.port) as nameserver:
        yield nameserver


def fill(nameserver, registered):
    """Register names until that fails, or there are very many."""
    for number in range(1000):
        nameserver.register(f"n{number}", "PYRO:" + "x" * 4000 + "@h:1")
        registered.add(f"n{number}")


def names_in(kind, file):
    with closing(STORES[kind](file)) as store:
        return stored(store).keys() - {"Pyro.NameServer"}


FULL = "the disk is full; make room on it"
FAILED = "the disk failed; check the disk"
LIMITED = "; check the disk, whether it is mounted read-only, quotas, limits of file size"


@pytest.mark.parametrize(
    ("kind", "operation", "number", "says"),
    [
        ("sql", "write", errno.ENOSPC, FULL),
        ("sql", "write", errno.EIO, FAILED),
        ("sql", "write", errno.EROFS, FAILED),
        ("sql", "write", errno.EDQUOT, LIMITED),
        ("sql", "write", errno.EFBIG, LIMITED),
        ("sql", "sync", errno.EIO, "the disk failed to keep what was written; check the disk"),
        ("dbm", "write", errno.ENOSPC, FULL),
        ("dbm", "write", errno.EIO, FAILED),
        ("dbm", "write", errno.EROFS, "it is on a read-only file system; allow writing"),
        ("dbm", "write", errno.EDQUOT, "the disk quota is used up; make room"),
        ("dbm", "write", errno.EFBIG, "the limit of file size is reached; raise the limit"),
        ("dbm", "truncate", errno.EIO, FAILED),
        ("dbm", "sync", errno.EIO, FAILED),
    ],
)
def test_a_disk_that_fails_fails_changes_only_and_only_as_long_as_it_does(
    kind, operation, number, says, folder, faults, serve
):
    server = serve(storage=f"{kind}:{folder}/names", env=on_disk(folder, faults=faults.file))
    with client_of(server) as nameserver:
        nameserver.register("before", URI)
        for _ in range(2):
            faults.begin(operation, number)
            for change in (
                lambda: nameserver.register("during", "PYRO:" + "x" * 4000 + "@h:1"),
                lambda: nameserver.register("before", "PYRO:other@h:1"),
                lambda: nameserver.remove("before"),
            ):
                with pytest.raises(
                    NamingError, match=f"^cannot write to {folder}/names: .*{says.partition(';')[2]}"
                ) as caught:
                    change()
                assert says in str(caught.value)
            assert str(nameserver.lookup("before")) == URI
            assert nameserver.list(prefix="dur") == {}
            faults.end()
            nameserver.register("after", URI)
    server.process.kill()
    assert names_in(kind, folder / "names") == {"before", "after"}
    assert server.process.output.count("no change can be stored until this is over, lookups go on: cannot write") == 2
    assert server.process.output.count(f"{kind}:{folder}/names works again after") == 2


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("operation", ["open", "write", "truncate", "sync", "rename", "remove"])
def test_a_disk_that_fails_now_and_then_leaves_what_was_acknowledged(kind, operation, folder, faults, tmp_path):
    """Each step of checkpoints, of writing a dbm afresh and of closing fails once in a while; then the power goes."""
    program = Path(__file__).with_name("failing.py")
    command = [os.sys.executable, program, kind, folder / "names", faults.file, operation]
    environment = {**os.environ, **on_disk(folder, faults=faults.file), "PYTHONPATH": ":".join(os.sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "failed" in done.stdout or operation in ("open", "rename", "remove", "truncate")


@pytest.mark.parametrize("kind", STORES)
def test_a_limit_of_file_size(kind, folder, serve):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        server = serve(storage=f"{kind}:{folder}/names")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    registered = set()
    with client_of(server) as nameserver:
        with pytest.raises(NamingError, match=r"file size"):
            fill(nameserver, registered)
        assert nameserver.count() == len(registered) + 1
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        nameserver.register("after", URI)
    server.process.kill()
    assert names_in(kind, folder / "names") == {*registered, "after"}


@contextmanager
def mounted(folder, *what):
    """A file system of its own in `folder`. Skips the test where that is not possible."""
    if os.geteuid() != 0 or subprocess.run(["mount", *what, str(folder)], capture_output=True, check=False).returncode:
        pytest.skip("no permission to mount a small file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder, option):
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


@pytest.mark.parametrize("kind", STORES)
def test_a_file_system_that_is_mounted_read_only_is_refused_at_the_start(kind, with_names, folder, serve):
    with mounted(folder, "-t", "tmpfs", "tmpfs"):
        file = with_names(kind)
        remount(folder, "ro")
        done = run([PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", "-s", f"{kind}:{file}"])
        assert (done.status, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert f"cannot open {file}: " in done.stderr
        assert "read-only" in done.stderr
        remount(folder, "rw")
        server = serve(storage=f"{kind}:{file}")
        with client_of(server) as nameserver:
            assert str(nameserver.lookup("before")) == URI
            nameserver.register("after", URI)
        assert server.process.terminate() == 0


@pytest.mark.parametrize("kind", STORES)
def test_a_file_system_that_the_kernel_makes_read_only(kind, folder, tmp_path, serve):
    """What it does after errors of the disk. (It does not let anybody else do it while a file is open for writing.)"""
    image = tmp_path / "image"
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("no mkfs.ext4 to make a file system with")
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    storage = f"{kind}:{folder}/names"
    with mounted(folder, "-o", "loop", str(image)):
        server = serve(storage=storage)
        with client_of(server) as nameserver:
            nameserver.register("before", URI)
            remount(folder, "abort")
            for _ in range(2):
                with pytest.raises(NamingError, match=r"^cannot write to .*read-only"):
                    nameserver.register("during", URI)
            assert str(nameserver.lookup("before")) == URI
            assert nameserver.list(prefix="dur") == {}
        assert server.process.output.count("no change can be stored until this is over, lookups go on") == 1
        assert server.process.terminate() == 1  # it could not put its files in order
        assert "Traceback" not in server.process.output
    with mounted(folder, "-o", "loop", str(image)):  # such a file system has to be mounted anew
        server = serve(storage=storage)
        with client_of(server) as nameserver:
            assert str(nameserver.lookup("before")) == URI
            nameserver.register("after", URI)
        assert server.process.terminate() == 0


@pytest.mark.parametrize("kind", STORES)
def test_a_disk_that_is_really_full(kind, folder, serve):
    with mounted(folder, "-t", "tmpfs", "-o", "size=2m", "tmpfs"):
        server = serve(storage=f"{kind}:{folder}/names")
        with client_of(server) as nameserver:
            nameserver.register("before", URI)
            filler = folder / "filler"
            with suppress(OSError), open(filler, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            with pytest.raises(NamingError, match=r"the disk is full; make room on it"):
                fill(nameserver, set())
            assert str(nameserver.lookup("before")) == URI
            filler.unlink()
            nameserver.register("after", URI)
        server.process.kill()
        assert {"before", "after"} <= names_in(kind, folder / "names")


# Files that are taken away or replaced while they are in use


IN_USE = [("sql", ""), ("sql", "-wal"), ("dbm", ".dat"), ("dbm", ".tags"), ("dbm", ".journal")]


@pytest.fixture
def with_names(folder):
    """A function that makes a storage's files with one name in them."""

    def make(kind):
        file = folder / "names"
        with closing(STORES[kind](file)) as store:
            store.commit([put("before", URI, ["tag"])])
        return file

    return make


@pytest.mark.parametrize(("kind", "part"), IN_USE)
def test_a_file_that_is_taken_away_is_missed_until_it_is_put_back(kind, part, with_names, serve):
    file = with_names(kind)
    in_use, away = Path(f"{file}{part}"), Path(f"{file}.away")
    server = serve(storage=f"{kind}:{file}")
    with client_of(server) as nameserver:
        nameserver.register("second", URI)
        in_use.rename(away)
        for _ in range(2):
            with pytest.raises(
                NamingError, match=rf"^cannot write to {in_use}: it was deleted while it was in use; put"
            ):
                nameserver.register("during", URI)
        assert str(nameserver.lookup("before")) == URI
        away.rename(in_use)
        nameserver.register("after", URI)
    server.process.kill()
    assert names_in(kind, file) == {"before", "second", "after"}


@pytest.mark.parametrize(("kind", "part"), IN_USE)
def test_a_file_that_is_replaced_is_left_alone(kind, part, with_names, serve):
    file = with_names(kind)
    in_use, other = Path(f"{file}{part}"), Path(f"{file}.other")
    server = serve(storage=f"{kind}:{file}")
    with client_of(server) as nameserver:
        nameserver.register("second", URI)
        other.write_bytes(b"of another")
        other.replace(in_use)
        with pytest.raises(NamingError, match=rf"{in_use}: another file was put in its place while it was in use; put"):
            nameserver.register("during", URI)
        assert str(nameserver.lookup("second")) == URI
    server.process.terminate()
    assert "Traceback" not in server.process.output
    server.process.close()
    if part != "-wal":  # that one has the name of something that SQLite deletes
        assert in_use.read_bytes() == b"of another"


@pytest.mark.parametrize("kind", STORES)
def test_what_is_written_while_the_file_is_taken_away_is_not_acknowledged(kind, with_names, monkeypatch):
    file = with_names(kind)
    in_use = file if kind == "sql" else Path(f"{file}.dat")
    with closing(STORES[kind](file)) as store:
        look = store._files.check

        def look_and_take_away(what):
            look(what)
            in_use.rename(f"{file}.away")
            monkeypatch.undo()

        monkeypatch.setattr(store._files, "check", look_and_take_away)
        with pytest.raises(NamingError, match="it was deleted while it was in use"):
            store.commit([put("during")])
        Path(f"{file}.away").rename(in_use)


@pytest.mark.parametrize("kind", STORES)
def test_a_folder_that_is_gone_does_not_hinder_the_end(kind, with_names, serve):
    file = with_names(kind)
    server = serve(storage=f"{kind}:{file}")
    shutil.rmtree(file.parent)
    with client_of(server) as nameserver:
        with pytest.raises(NamingError, match="it was deleted while it was in use"):
            nameserver.register("during", URI)
        assert str(nameserver.lookup("before")) == URI
    server.process.terminate()
    assert "Traceback" not in server.process.output
    server.process.close()
