"""Many image files as one array."""

import _thread
import builtins
import contextlib
import io
import signal
import sys
import time

import numpy as np
import pytest

from skcnn.datasets import image_files, load_image_folder, load_images
from skcnn.datasets.image_files import read_images
from tests.scripts import run_script


@pytest.fixture(params=[1, 2, 5])
def n_threads(request, monkeypatch):
    monkeypatch.setattr(image_files.joblib, "cpu_count", lambda: request.param)
    return request.param


@pytest.fixture
def files(save, coloured):
    arrays = [coloured() for _ in range(200)]
    return [save(f"{i}.png", array) for i, array in enumerate(arrays)], np.array(arrays)


def test_images_are_in_the_order_of_the_paths(files, n_threads):
    paths, arrays = files
    images = load_images(reversed(paths))
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, arrays[::-1])
    images[0] = 0  # the array belongs to the caller


def test_paths_of_any_type(files):
    paths, arrays = files
    for few in (paths[:3], tuple(map(str, paths[:3])), np.array(list(map(str, paths[:3]))), iter(paths[:3])):
        np.testing.assert_array_equal(load_images(few), arrays[:3])
    for one in (paths[0], str(paths[0]), np.str_(paths[0])):
        np.testing.assert_array_equal(load_images(one), arrays[:1])


def test_home(files, monkeypatch):
    paths, arrays = files
    monkeypatch.setenv("HOME", str(paths[0].parent))
    monkeypatch.setenv("USERPROFILE", str(paths[0].parent))
    np.testing.assert_array_equal(load_images("~/3.png"), arrays[3:4])
    np.testing.assert_array_equal(load_images(["~/3.png"]), arrays[3:4])


@pytest.mark.parametrize(
    ("paths", "error", "text"),
    [
        ([], ValueError, "paths must contain at least one path, got none"),
        (3, TypeError, "paths must be a path or several paths, got int"),
        ([None], TypeError, "paths must be a path or several paths, got NoneType"),
        (np.zeros((2, 3, 3)), TypeError, "paths must be a path or several paths, got ndarray"),
        (b"a.png", TypeError, "paths must be a path or several paths, got bytes"),
        ([b"a.png"], TypeError, "paths must be a path or several paths, got bytes"),
        (bytearray(b"a.png"), TypeError, "paths must be a path or several paths, got bytearray"),
        (io.BytesIO(b"a.png"), TypeError, "paths must be a path or several paths, got BytesIO"),
        (io.StringIO("a.png"), TypeError, "paths must be a path or several paths, got StringIO"),
    ],
)
def test_other_paths(paths, error, text):
    pytest.importorskip("PIL")
    with pytest.raises(error, match=text):
        load_images(paths)


@pytest.mark.parametrize("load", [load_images, load_image_folder])
@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        *(
            ({"size": size}, r"size must be None, an int of at least 1 or a pair \(rows, columns\) of such ints, got")
            for size in (0, -1, 1.5, True, "64", (64,), (64, 64, 3), (5, 0), [5, 0.5])
        ),
        ({"grey": None}, "grey must be True or False, got None"),
        ({"grey": "yes"}, "grey must be True or False, got 'yes'"),
        ({"resize": "squash"}, "resize must be 'stretch', 'crop' or 'pad', got 'squash'"),
    ],
)
def test_parameters_are_checked(load, parameters, text):
    with pytest.raises(ValueError, match=text):
        load("anything", **parameters)


def test_without_a_size_all_must_have_the_same(save, coloured):
    paths = [save("a.png", coloured()), save("b.png", coloured()), save("c.png", coloured(8, 6))]
    with pytest.raises(ValueError, match=r"pass the size.*a\.png has 6 rows and 8 columns, .*c\.png has 8 rows and 6"):
        load_images(paths)
    assert load_images(paths, size=5).shape == (3, 5, 5, 3)


def test_all_unreadable_files_are_named(files, n_threads):
    paths, _ = files
    for path in paths[:3]:
        path.write_text("no image")
    with pytest.raises(
        OSError, match=r"3 of 200 image files cannot be read: .*[^1]0\.png \(.*1\.png \(.*2\.png \([^,]*$"
    ):
        load_images(paths)


def test_of_many_unreadable_files_ten_are_named(files):
    paths, _ = files
    for path in paths[:30]:
        path.write_text("no image")
    with pytest.raises(OSError, match=r"30 of 200 image files.* and 20 more") as caught:
        load_images(paths)
    assert str(caught.value).count(".png") == 10


def test_an_array_larger_than_the_memory_is_refused_before_files_are_read(tmp_path):
    pytest.importorskip("PIL")
    with pytest.raises(MemoryError, match=r"an array of \(2, 1000000, 10000000, 3\) would need .* MiB of memory"):
        load_images([tmp_path / "gone.png"] * 2, size=(10**6, 10**7))


def test_without_pillow_the_error_says_how_to_install_it(monkeypatch):
    actual = builtins.__import__

    def without_pillow(name, *args, **kwargs):
        if name.split(".")[0] == "PIL":
            raise ModuleNotFoundError("No module named 'PIL'", name="PIL")
        return actual(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "skcnn.datasets.decoding", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_pillow)
    for load in (load_images, load_image_folder):
        with pytest.raises(ImportError, match=r'needs Pillow: pip install "skcnn\[images\]" \(No module named'):
            load("anything")


def test_importing_the_package_does_not_import_pillow(tmp_path):
    script = "import sys, skcnn, skcnn.datasets\nassert 'PIL' not in sys.modules"
    assert run_script(script, tmp_path, 60).returncode == 0


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_verbose_shows_a_progress_bar_on_a_terminal(files, monkeypatch):
    paths, _ = files
    for stream, verbose, is_shown in ((Terminal, 1, True), (Terminal, 0, False), (io.StringIO, 1, False)):
        monkeypatch.setattr(sys, "stderr", stream())
        load_images(paths, verbose=verbose)
        assert ("Reading images: 100%" in sys.stderr.getvalue()) == is_shown


@pytest.mark.parametrize("stderr", [None, "closed"])
def test_verbose_without_stderr(files, monkeypatch, stderr):
    paths, _ = files
    closed = Terminal()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed if stderr else None)
    assert len(load_images(paths[:3], verbose=1)) == 3


class SlowDecoder:
    """Reads nothing, slowly, and counts."""

    size, shape = (2, 2), (2, 2, 3)

    def __init__(self):
        self.n_read = 0

    def read(self, path):
        self.n_read += 1
        time.sleep(0.005)
        return np.zeros(self.shape, np.uint8)


@contextlib.contextmanager
def raised_soon(error):
    """Let a signal handler raise an error while the block runs."""

    def handle(*args):
        raise error

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no such timer")
@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError])
def test_an_interruption_ends_the_call_and_its_threads(n_threads, error):
    decoder, n_before = SlowDecoder(), _thread._count()
    with pytest.raises(error), raised_soon(error):
        read_images(["a"] * 100_000, decoder, verbose=1)
    assert _thread._count() == n_before
    n_read = decoder.n_read
    time.sleep(0.03)
    assert decoder.n_read == n_read < 50_000


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no such timer")
def test_a_time_limit_is_no_unreadable_file(files):
    paths, _ = files
    with pytest.raises(TimeoutError), raised_soon(TimeoutError):
        load_images(paths * 1000)


def test_where_no_thread_can_be_started_one_reads_everything(files, n_threads, monkeypatch):
    def fail(*args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("_thread.start_new_thread", fail)
    paths, arrays = files
    np.testing.assert_array_equal(load_images(paths), arrays)
