"""Files are replaced in one step, and locked, whatever happens meanwhile."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import skcnn
from skcnn._engine import surely
from skcnn._storage import files
from skcnn._storage.files import Lock, replace_file, resolved
from tests.storage.interruptions import raised_at


@pytest.fixture
def path(tmp_path):
    return str(tmp_path.resolve() / "c")


def names(path):
    return sorted(os.listdir(os.path.dirname(path)))


def write(path, content=b"new"):
    return Lock(path, "path").hold(lambda: replace_file(path, content))


def test_a_file_is_replaced_and_nothing_else_is_left(path):
    for content in (b"", b"old" * 10**6, b"new"):
        write(path, content)
        assert Path(path).read_bytes() == content
        assert names(path) == ["c"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666, 0o440])
def test_the_mode_is_kept(mode, path):
    Path(path).write_bytes(b"old")
    os.chmod(path, mode)
    write(path)
    assert os.stat(path).st_mode & 0o777 == mode


def test_a_new_file_has_the_mode_of_the_umask(path):
    before = os.umask(0o027)
    try:
        write(path)
    finally:
        os.umask(before)
    assert os.stat(path).st_mode & 0o777 == 0o640


def test_a_link_is_resolved_so_it_stays_one(path, tmp_path):
    (tmp_path / "scratch").mkdir()
    os.symlink(tmp_path / "scratch" / "target", path)
    write(resolved(path, "path"))
    assert os.path.islink(path)
    assert (tmp_path / "scratch" / "target").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["c.part", "c.lock"])
def test_a_link_in_place_of_a_temporary_file_is_neither_followed_nor_replaced(name, path, tmp_path):
    target = tmp_path / "precious"
    target.write_bytes(b"precious")
    os.symlink(target, tmp_path / name)
    with pytest.raises(OSError, match="c"):
        write(path)
    assert target.read_bytes() == b"precious"
    assert os.path.islink(tmp_path / name)
    assert names(path) == sorted([name, "precious"])


def test_what_a_killed_process_left_is_removed_but_not_a_lock_file_of_another_program(path, tmp_path):
    (tmp_path / "c.part").write_bytes(b"half of")
    (tmp_path / "c.lock").write_bytes(b"")
    write(path)
    assert names(path) == ["c"]
    (tmp_path / "c.lock").write_bytes(b"of another program")
    write(path)
    assert names(path) == ["c", "c.lock"]


@pytest.mark.parametrize("function", ["write", "fsync", "replace", "open", "fchmod"])
def test_an_error_names_the_path_and_leaves_the_old_file(function, path, monkeypatch):
    Path(path).write_bytes(b"old")
    real = getattr(os, function)

    def fail(*args, **kwargs):
        if function == "open" and not str(args[0]).endswith(".part"):
            return real(*args, **kwargs)
        raise OSError(28, "No space left on device", "some other name")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError, match="No space left on device") as error:
        write(path)
    monkeypatch.undo()
    assert (error.value.filename, error.value.filename2) == (path, None)
    assert Path(path).read_bytes() == b"old"
    assert names(path) == ["c"]


def test_the_file_and_its_folder_are_flushed(path, monkeypatch):
    flushed, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (flushed.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    write(path)
    assert flushed == [f"{path}.part", os.path.dirname(path)]


def test_an_exception_of_a_signal_handler_leaves_no_lock_and_no_file(path):
    n, descriptors = 1, len(os.listdir("/proc/self/fd"))
    while raised_at(n, TimeoutError(), [files, surely], lambda: write(path)):
        assert names(path) in ([], ["c"]), n
        assert len(os.listdir("/proc/self/fd")) == descriptors, n
        n += 1
    assert n > 300, "the whole way was tried"


HOLD = """
import sys, types
package = types.ModuleType("skcnn")  # in place of the whole package, which takes a second to import
package.__path__ = [sys.argv[2]]
sys.modules["skcnn"] = package
from skcnn._storage.files import Lock

def hold():
    print("held", flush=True)
    sys.stdin.read()

Lock(sys.argv[1], "path").hold(hold)
"""


@pytest.fixture
def other(path):
    """Another process, which holds the lock."""
    command = [sys.executable, "-c", HOLD, path, os.path.dirname(skcnn.__file__)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_another_process_has_the_lock_until_it_ends(other, path):
    with pytest.raises(OSError, match=r"path is in use by another process or thread: '.*c'"):
        write(path)
    assert names(path) == ["c.lock"], "the lock of the other process is still there"
    other.stdin.close()
    other.wait()
    write(path)


def test_a_killed_process_holds_no_lock(other, path):
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert names(path) == ["c.lock"]
    write(path)
    assert names(path) == ["c"]


def test_a_process_waits_for_another_one(other, path):
    threading.Timer(0.3, other.stdin.close).start()
    start = time.monotonic()
    Lock(path, "path", seconds=20).hold(int)
    assert 0.2 < time.monotonic() - start < 15


def test_threads_exclude_each_other(path):
    def in_another_thread():
        with pytest.raises(OSError, match="in use by another process or thread"):
            write(path)
        done.append(True)

    def run_another_thread():
        thread = threading.Thread(target=in_another_thread)
        thread.start()
        thread.join()

    done = []
    Lock(path, "path").hold(run_another_thread)
    assert done == [True]
    assert names(path) == []


def test_a_forked_child_neither_keeps_nor_removes_the_lock(path):
    def fork():
        child = os.fork()
        if child:
            return child
        os.close(end)
        os.read(start, 1)  # it outlives the parent's lock
        os._exit(0)

    start, end = os.pipe()
    child = Lock(path, "path").hold(fork)
    write(path)
    os.close(end)
    os.waitpid(child, 0)
    os.close(start)
    assert names(path) == ["c"]


def test_a_file_system_without_locks(path, monkeypatch):
    def no_locks(descriptor, operation):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", no_locks)
    write(path)
    assert names(path) == ["c"]


@pytest.mark.parametrize("ends", [True, False])
def test_without_locks_a_file_that_another_process_is_writing_is_kept(ends, path, monkeypatch):
    Path(path).write_bytes(b"old")
    other, flush = files._Part(path), files._flush

    def flush_and_let_another_process_write(descriptor):
        monkeypatch.undo()
        flush(descriptor)
        other.write(b"half")
        if ends:
            other.discard()

    monkeypatch.setattr(files, "_flush", flush_and_let_another_process_write)
    with pytest.raises(OSError, match="c is being written by another process") as error:
        replace_file(path, b"new")
    assert (error.value.errno, error.value.filename) == (errno.EBUSY, path)
    assert Path(path).read_bytes() == b"old"
    assert names(path) == (["c"] if ends else ["c", "c.part"])
    other.discard()
    assert names(path) == ["c"]


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="a folder in which nobody can create files")
def test_a_folder_in_which_no_file_can_be_created(path):
    start = time.monotonic()
    with pytest.raises(OSError, match=r"path cannot be written: No such file or directory \(x\.lock\): '/proc/x'"):
        Lock("/proc/x", "path", seconds=10).hold(int)
    assert time.monotonic() - start < 1
    with pytest.raises(FileNotFoundError, match="path is in a folder that does not exist"):
        Lock(f"{path}/new/c", "path", seconds=10).hold(int)


def test_paths_that_are_no_files(tmp_path):
    paths = [(b"c", TypeError), (None, TypeError), ("", ValueError), ("a\0b", ValueError), ("a\ud800", ValueError)]
    for path, error in paths:
        with pytest.raises(error, match="place must be"):
            resolved(path, "place")
    os.mkfifo(tmp_path / "pipe")
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    for path in (tmp_path, tmp_path / "pipe", "/dev/null", tmp_path / "loop", f"{tmp_path}/new/", "x" * 5000):
        with pytest.raises(OSError, match="place "):
            resolved(path, "place")
