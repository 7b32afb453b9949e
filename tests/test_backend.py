"""The backend of compiled kernels: with numba, without it, and where the compiled code is stored."""

import hashlib
import io
import os
import shutil
import stat
import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import skcnn
from skcnn import NumpyCNNClassifier
from skcnn.optimizers import SGD, ClipNorm, RMSprop
from tests.scripts import run_script

# convolutions by Winograd's algorithm and directly, a max pool, and a hidden layer
SETTINGS = {"n_kernels": (8, 9), "kernel_size": (5, 3), "hidden_layer_sizes": 8, "max_iter": 2, "random_state": 0}
PREAMBLE = f"""
import sys, warnings
import numpy as np
import skcnn
from sklearn.datasets import load_digits
from skcnn import NumpyCNNClassifier

X, y = (part[:120] for part in load_digits(return_X_y=True))


def make(**parameters):
    return NumpyCNNClassifier(**{{**{SETTINGS}, **parameters}})


"""
WITHOUT_NUMBA = 'import sys; sys.modules["numba"] = None\n' + PREAMBLE


def make(**parameters):
    return NumpyCNNClassifier(**{**SETTINGS, **parameters})


def run(text, folder, preamble=PREAMBLE, timeout=60, **environment):
    """Run a script and return the lines that it prints."""
    done = run_script(preamble + text, folder, timeout=timeout, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def digest(clf, X):
    return hashlib.sha256(clf.predict_proba(X).tobytes()).hexdigest()


class TestWithoutNumba:
    @pytest.mark.parametrize("call", ["fit(X, y)", "partial_fit(X, y, np.unique(y))"])
    def test_training_is_an_error_that_says_what_to_install(self, call, tmp_path):
        text = f"""
clf = make(backend="numba")
try:
    clf.{call}
except ImportError as error:
    print(error)
print(hasattr(clf, "network_"))
"""
        message, is_fitted = run(text, tmp_path, WITHOUT_NUMBA)
        assert message.startswith('backend="numba" needs numba: pip install "skcnn[fast]", or set backend="numpy" (')
        assert is_fitted == "False"

    def test_compiling_is_an_error_that_says_what_to_install(self, tmp_path):
        text = "try:\n    skcnn.compile_kernels()\nexcept ImportError as error:\n    print(error)"
        (message,) = run(text, tmp_path, WITHOUT_NUMBA)
        assert 'pip install "skcnn[fast]"' in message

    @pytest.mark.parametrize("trained_with", ["numpy", "numba"])
    @pytest.mark.parametrize("library", ["skcnn", "joblib"])
    def test_a_saved_model_predicts_with_a_warning(self, trained_with, library, digits, tmp_path):
        if trained_with == "numba":
            pytest.importorskip("numba")
        clf = make(backend=trained_with).fit(*digits)
        expected = clf.predict_proba(digits[0])
        clf.set_params(backend="numba")
        if library == "skcnn":
            skcnn.save(clf, tmp_path / "model")
        else:
            joblib.dump(clf, tmp_path / "model")
        text = f"""
from {library} import load

clf = load("model")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    proba = clf.predict_proba(X)
for warning in caught:
    print(warning.filename == __file__, warning.message)
np.save("proba.npy", proba)
"""
        (warning,) = run(text, tmp_path, WITHOUT_NUMBA)
        assert warning.startswith(
            'True Predicting with NumPy\'s kernels, because backend="numba" needs numba: pip install'
        )
        np.testing.assert_allclose(np.load(tmp_path / "proba.npy"), expected, rtol=0, atol=1e-5)

    def test_numba_that_was_installed_meanwhile_is_found(self, tmp_path):
        pytest.importorskip("numba")
        text = """
try:
    make(backend="numba").fit(X, y)
except ImportError:
    del sys.modules["numba"]
print(make(backend="numba").fit(X, y).n_iter_)
"""
        assert run(text, tmp_path, WITHOUT_NUMBA) == ["2"]


def test_numba_is_imported_only_if_it_is_used(tmp_path):
    assert run('make(backend="numpy").fit(X, y).predict(X); print("numba" in sys.modules)', tmp_path) == ["False"]


def test_verbose_says_nothing_about_the_other_backend(digits, capsys):
    make(backend="numpy", verbose=1).fit(*digits)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:10] for line in lines] == ["Images of ", "Epoch 1/2:", "Epoch 2/2:"]


class TestResults:
    @pytest.fixture(autouse=True)
    def numba(self):
        pytest.importorskip("numba")

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("batch_norm", [False, True])
    def test_a_model_predicts_with_either_backend(self, dtype, batch_norm, digits):
        for backend, other in (("numpy", "numba"), ("numba", "numpy")):
            clf = make(backend=backend, dtype=dtype, batch_norm=batch_norm).fit(*digits)
            expected = clf.predict_proba(digits[0])
            clf.set_params(backend=other)
            np.testing.assert_allclose(clf.predict_proba(digits[0]), expected, rtol=0, atol=1e-5)

    @pytest.mark.usefixtures("small_shards")
    @pytest.mark.parametrize("batch_norm", [False, True])
    def test_any_number_of_threads_and_a_refit_give_the_same_bits(self, batch_norm, uint8_images):
        X, y = uint8_images
        clf = make(backend="numba", batch_norm=batch_norm, batch_size=64, n_kernels=(8, 8))
        assert len(clf.set_params(n_jobs=1).fit(X, y).network_.shards(64, train=True)) > 1
        expected = digest(clf, X)
        for n_jobs in (1, 2, 3):
            assert digest(clf.set_params(n_jobs=n_jobs).fit(X, y), X) == expected
            assert digest(clone(clf).fit(X, y), X) == expected

    @pytest.mark.parametrize(
        ("solver", "rate"), [("adamw", 0.002), (SGD(0.0), 0.1), (ClipNorm(RMSprop(momentum=0.9), max_norm=0.1), 0.002)]
    )
    def test_optimizers_take_the_same_steps_on_any_number_of_threads(self, solver, rate, digits, monkeypatch):
        from skcnn._engine import compiled_optimizers

        unfitted = make(backend="numba", batch_norm=True, solver=solver, learning_rate_init=rate)
        with monkeypatch.context() as patch:
            patch.setattr(compiled_optimizers, "with_compiled_steps", lambda optimizer, workers: optimizer)
            expected = digest(clone(unfitted).fit(*digits), digits[0])
        monkeypatch.setattr(compiled_optimizers, "BYTES_OF_PART", 1)
        for n_jobs in (1, 2):
            assert digest(clone(unfitted).set_params(n_jobs=n_jobs).fit(*digits), digits[0]) == expected

    def test_a_new_process_gives_the_same_bits(self, digits, tmp_path):
        clf = make(backend="numba", batch_norm=True).fit(*digits)
        text = """
import hashlib

clf = make(backend="numba", batch_norm=True).fit(X, y)
print(hashlib.sha256(clf.predict_proba(X).tobytes()).hexdigest())
"""
        assert run(text, tmp_path) == [digest(clf, digits[0])]

    def test_a_training_that_was_cut_off_ends_in_the_same_bits(self, digits, tmp_path, monkeypatch):
        unfitted = make(backend="numba", batch_norm=True, max_iter=4, augment=stopping)
        expected = digest(clone(unfitted).fit(*digits), digits[0])
        calls = count(1)
        monkeypatch.setattr(Stop, "is_now", staticmethod(lambda: next(calls) == 35))  # in the third epoch
        with pytest.raises(Stop):
            clone(unfitted).fit(*digits, checkpoint=tmp_path / "c")
        monkeypatch.undo()
        assert (tmp_path / "c").exists()
        assert digest(clone(unfitted).fit(*digits, checkpoint=tmp_path / "c"), digits[0]) == expected

    @pytest.mark.parametrize(("backend", "other"), [("numpy", "numba"), ("numba", "numpy")])
    def test_a_checkpoint_of_the_other_backend_is_refused(self, backend, other, digits, tmp_path):
        make(backend=backend).fit(*digits, checkpoint=tmp_path / "c")
        with pytest.raises(ValueError, match=f"backend was '{backend}' and is now '{other}'"):
            make(backend=other).fit(*digits, checkpoint=tmp_path / "c")

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_a_forked_child_predicts_and_fits(self, tmp_path):
        text = """
import os, signal

clf = make(backend="numba", n_jobs=2, batch_norm=True).fit(X, y)
expected = clf.predict_proba(X).tobytes()
child = os.fork()
if child == 0:
    signal.alarm(30)
    same = clf.predict_proba(X).tobytes() == expected and clf.fit(X, y).predict_proba(X).tobytes() == expected
    os._exit(0 if same else 1)
print(os.waitpid(child, 0)[1], clf.predict_proba(X).tobytes() == expected)
"""
        assert run(text, tmp_path) == ["0 True"]

    def test_several_threads_call_kernels_for_the_first_time_at_once(self, digits, tmp_path):
        skcnn.save(make(backend="numba", n_jobs=2).fit(*digits), tmp_path / "model")
        text = """
import threading
from concurrent.futures import ThreadPoolExecutor

clf, start = skcnn.load("model"), threading.Barrier(4)


def predict(_):
    start.wait(30)
    return clf.predict_proba(X).tobytes()


with ThreadPoolExecutor(4) as threads:
    print(len(set(threads.map(predict, range(4)))))
"""
        assert run(text, tmp_path) == ["1"]

    def test_a_search_on_two_processes(self, digits):
        grid = {"kernel_size": [3, 5], "backend": ["numpy", "numba"]}
        search = GridSearchCV(make(), grid, cv=2, n_jobs=2, error_score="raise").fit(*digits)
        alone = GridSearchCV(make(), grid, cv=2, error_score="raise").fit(*digits)
        scores = search.cv_results_["mean_test_score"]
        np.testing.assert_array_equal(scores, alone.cv_results_["mean_test_score"])
        assert digest(search, digits[0]) == digest(alone, digits[0])


class Stop(Exception):
    """Raised in the middle of training."""

    @staticmethod
    def is_now():
        return False


def stopping(images, rng):
    if Stop.is_now():
        raise Stop
    return images


class TestVerbose:
    @pytest.fixture(autouse=True)
    def compiler(self, monkeypatch, digits):
        pytest.importorskip("numba")
        from skcnn._kernels.compiled import compiler

        make(backend="numba", max_iter=1).fit(*digits)
        return compiler

    @pytest.mark.parametrize("fit", ["fit", "partial_fit"])
    def test_it_says_that_kernels_are_compiled(self, fit, compiler, digits, capsys, monkeypatch):
        monkeypatch.setattr(compiler, "are_compiled", lambda: False)
        classes = {} if fit == "fit" else {"classes": np.unique(digits[1])}
        getattr(make(backend="numba", verbose=1, max_iter=1), fit)(*digits, **classes)
        first, *_, last = capsys.readouterr().out.splitlines()
        assert first == "Compiling the kernels, which takes 10 to 30 seconds."
        assert last.startswith("Epoch 1/1:")

    def test_it_says_nothing_if_they_are_compiled(self, digits, capsys):
        make(backend="numba", verbose=1, max_iter=1).fit(*digits)
        network, epoch = capsys.readouterr().out.splitlines()
        assert network.startswith("Images of ")
        assert epoch.startswith("Epoch 1/1:")

    def test_code_that_cannot_be_stored_is_compiled_once_in_a_process(self, compiler, monkeypatch):
        monkeypatch.setattr(compiler, "cache_folder", lambda: None)
        assert compiler.are_compiled()
        monkeypatch.setattr(compiler, "_functions", [])
        assert not compiler.are_compiled()

    def test_a_closed_output_loses_no_training(self, compiler, digits, monkeypatch):
        pipe = io.StringIO()
        pipe.close()
        monkeypatch.setattr(compiler, "are_compiled", lambda: False)
        monkeypatch.setattr(sys, "stdout", pipe)
        clf = make(backend="numba", verbose=1).fit(*digits)
        monkeypatch.undo()
        assert clf.n_iter_ == 2


class TestFolder:
    """Where the compiled code is stored."""

    @pytest.fixture
    def compiler(self):
        pytest.importorskip("numba")
        from skcnn._kernels.compiled import compiler

        return compiler

    @pytest.fixture
    def folder(self, compiler, monkeypatch):
        """Return a function that returns the folder in the present environment."""
        monkeypatch.delenv("SKCNN_CACHE_DIR", raising=False)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        return compiler.cache_folder.__wrapped__

    def test_its_name_has_the_version_and_a_hash_of_the_sources(self, folder, compiler, monkeypatch, tmp_path):
        monkeypatch.setenv("SKCNN_CACHE_DIR", str(tmp_path))
        first = folder()
        version, hashed = first.name.rsplit("-", 1)
        assert version == skcnn.__version__
        assert len(hashed) == 16
        package = tmp_path / "sources"
        shutil.copytree(Path(compiler.__file__).parent, package)
        monkeypatch.setattr(compiler, "__file__", str(package / "compiler.py"))
        assert folder() == first
        with (package / "runs.py").open("a") as file:
            file.write("# changed\n")
        assert folder() != first
        assert folder().name.startswith(f"{version}-")

    def test_another_version_of_numba_has_another_folder(self, folder, compiler, monkeypatch, tmp_path):
        monkeypatch.setenv("SKCNN_CACHE_DIR", str(tmp_path))
        first = folder()
        monkeypatch.setattr(compiler.numba, "__version__", "99.0")
        assert folder() != first

    def test_the_environment_chooses_it(self, folder, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        if sys.platform not in ("win32", "darwin"):
            assert folder().parent == tmp_path / "xdg" / "skcnn"
        monkeypatch.setenv("SKCNN_CACHE_DIR", str(tmp_path / "own" / "deep"))
        assert folder().parent == tmp_path / "own" / "deep"
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SKCNN_CACHE_DIR", "relative")
        assert folder().parent == tmp_path / "relative"

    @pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="has other conventions")
    def test_the_default_is_in_the_home_of_the_user(self, folder, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path))
        assert folder().parent == tmp_path / ".cache" / "skcnn"

    @pytest.mark.skipif(not hasattr(os, "getuid"), reason="has other permissions")
    def test_a_user_without_a_home_has_none(self, folder, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("os.path.expanduser", lambda path: path)
        assert folder() is None
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(not hasattr(os, "getuid"), reason="has other permissions")
    def test_one_that_others_can_write_to_is_not_used(self, folder, monkeypatch, tmp_path):
        monkeypatch.setenv("SKCNN_CACHE_DIR", str(tmp_path))
        before = os.umask(0)
        try:
            own = folder()
        finally:
            os.umask(before)
        assert stat.S_IMODE(own.stat().st_mode) == 0o700
        for mode in (0o770, 0o702, 0o777):
            own.chmod(mode)
            assert folder() is None
        own.chmod(0o755)
        assert folder() == own
        monkeypatch.setattr(os, "getuid", lambda: own.stat().st_uid + 1)
        assert folder() is None

    def test_where_there_cannot_be_one_there_is_none(self, folder, compiler, monkeypatch, tmp_path):
        (tmp_path / "file").touch()
        monkeypatch.setenv("SKCNN_CACHE_DIR", str(tmp_path / "file" / "below"))
        assert folder() is None
        assert compiler._cache_in(None, compiler.kernel) is None
        assert compiler._cache_in(tmp_path / "file" / "below", compiler.kernel) is None, "numba would choose another"

    def test_the_code_of_other_versions_stays(self, folder, monkeypatch, tmp_path):
        monkeypatch.setenv("SKCNN_CACHE_DIR", str(tmp_path))
        old = tmp_path / "0.0.1-0123456789abcdef"
        old.mkdir()
        (old / "forward.nbi").write_text("old")
        own = folder()
        assert set(tmp_path.iterdir()) == {old, own}
        assert (old / "forward.nbi").read_text() == "old"
        assert list(own.iterdir()) == []

    @pytest.mark.parametrize("own", ["", "own"])
    def test_the_setting_of_numba_does_not_change(self, own, compiler, tmp_path):
        text = f"""
from numba import config
import skcnn._kernels.compiled.convolution

print(config.CACHE_DIR == {own!r})
"""
        assert run(text, tmp_path, NUMBA_CACHE_DIR=own) == ["True"]
        assert not (tmp_path / "own").exists()

    def test_a_second_process_compiles_nothing(self, compiler, digits, tmp_path):
        make(backend="numba", batch_norm=True).fit(*digits).predict(digits[0])
        assert run(FIT_AND_COUNT, tmp_path) == ["0 missing"]

    def test_damaged_files_are_replaced(self, compiler, digits, tmp_path):
        environment = copy_of_stored(compiler, digits, tmp_path)
        for pattern in ("convolution.forward-*.nbi", "batch_norm.normalise-*.nbc"):
            for path in tmp_path.rglob(pattern):
                path.write_bytes(path.read_bytes()[:20])
        assert run(FIT_AND_COUNT, tmp_path, **environment) == ["3 missing"], "the network needs two forms of `forward`"
        assert run(FIT_AND_COUNT, tmp_path, **environment) == ["0 missing"]

    def test_a_full_disk_is_no_error(self, compiler, digits, tmp_path):
        resource = pytest.importorskip("resource")
        environment = copy_of_stored(compiler, digits, tmp_path)
        for path in tmp_path.rglob("convolution.forward-*"):
            path.unlink()
        limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, {resource.RLIM_INFINITY}))\n"
        assert run(limit + FIT_AND_COUNT, tmp_path, **environment) == ["2 missing"]
        assert [path for path in tmp_path.rglob("convolution.forward-*") if path.suffix != ".nbi"] == []

    def test_an_exception_of_a_signal_handler_comes_out(self, compiler, monkeypatch):
        def timeout(*_):
            raise TimeoutError("by the handler of SIGALRM")

        stored = compiler._cache_in(compiler.cache_folder(), compiler.kernel)
        monkeypatch.setattr(compiler.FunctionCache, "load_overload", timeout)
        monkeypatch.setattr(compiler.FunctionCache, "save_overload", timeout)
        with pytest.raises(TimeoutError, match="SIGALRM"):
            stored.load_overload((), None)
        with pytest.raises(TimeoutError, match="SIGALRM"):
            stored.save_overload((), None)

    def test_code_for_another_type_is_not_used(self, compiler, monkeypatch):
        found = SimpleNamespace(signature=SimpleNamespace(args=("float32",)))
        stored = compiler._cache_in(compiler.cache_folder(), compiler.kernel)
        monkeypatch.setattr(compiler.FunctionCache, "load_overload", lambda *_: found)
        assert stored.load_overload(("float32",), None) is found
        assert stored.load_overload(("float64",), None) is None


FIT_AND_COUNT = """
make(backend="numba", batch_norm=True).fit(X, y).predict(X)
from skcnn._kernels.compiled import compiler

print(sum(sum(function.stats.cache_misses.values()) for function in compiler._functions), "missing")
"""


def copy_of_stored(compiler, digits, tmp_path):
    """Copy the stored code to a folder that tests may damage, and return the environment that chooses it."""
    make(backend="numba", batch_norm=True).fit(*digits).predict(digits[0])
    stored = compiler.cache_folder()
    if stored is None:
        pytest.skip("nothing can be stored here")
    own = tmp_path / "cache" / stored.name
    shutil.copytree(stored, own)
    own.chmod(0o700)
    return {"SKCNN_CACHE_DIR": str(tmp_path / "cache")}


@pytest.mark.slow  # everything is compiled
class TestCompiling:
    def test_compile_kernels_stores_all_that_fits_need(self, tmp_path):
        pytest.importorskip("numba")
        text = """
from itertools import product
from pathlib import Path
from skcnn._engine.backends import must_compile
from skcnn.layers import BatchNorm, Conv2D, Dense, Flatten, MinPool2D, ReLU, Residual


def stored():
    return {path: path.stat().st_mtime_ns for path in Path("cache").rglob("*.nb?")}


print(must_compile("numba"))
skcnn.compile_kernels()
print(must_compile("numba"))
before = stored()
assert before
layers = [BatchNorm(), Residual([Conv2D(3), BatchNorm(), ReLU()]), Conv2D(4, bias=False), MinPool2D((2, 3), 1)]
layers += [Flatten(), Dense(4), BatchNorm(), ReLU()]
rng = np.random.default_rng(0)
for dtype in ("float32", "float64"):
    for shape in ((12, 12), (12, 9, 3)):
        X, y = rng.normal(size=(30, *shape)).astype(dtype), np.arange(30) % 3
        grid = product([1, 3, 5, ((2, 3), (3, 2))], ["max", "min", "avg"], [1, 2, 3], [False, True])
        for kernel_size, pool, pool_size, batch_norm in grid:
            settings = {"kernel_size": kernel_size, "pool": pool, "pool_size": pool_size, "batch_norm": batch_norm}
            make(backend="numba", max_iter=1, **settings).fit(X, y).predict(X)
        weighted = {"sample_weight": 1.0 + y}
        make(backend="numba", max_iter=1, batch_norm=True, stride=2, pool_size=1).fit(X, y, **weighted).predict(X)
        own = NumpyCNNClassifier(layers=layers, max_iter=2, early_stopping=True, backend="numba", random_state=0)
        own.fit(X, y).predict(X)
        make(backend="numba", scaling=None, n_jobs=2).fit(X, y).partial_fit(X[::2], y[::2]).predict_proba(X[::-1])
print(stored() == before)
"""
        environment = {"SKCNN_CACHE_DIR": str(tmp_path / "cache")}
        assert run(text, tmp_path, timeout=400, **environment) == ["True", "False", "True"]
        assert run(FIT_AND_COUNT, tmp_path, **environment) == ["0 missing"]

    def test_where_nothing_can_be_written_kernels_are_compiled_in_memory(self, digits, tmp_path):
        pytest.importorskip("numba")
        clf = make(backend="numba", max_iter=1, dtype="float32").fit(*digits)
        (tmp_path / "file").touch()
        text = """
import hashlib

clf = make(backend="numba", max_iter=1, dtype="float32", verbose=1).fit(X, y)
print(hashlib.sha256(clf.predict_proba(X).tobytes()).hexdigest())
clf.fit(X, y)
"""
        environment = {"SKCNN_CACHE_DIR": str(tmp_path / "file" / "below"), "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
        notice, epoch, printed, second_epoch = run(text, tmp_path, timeout=200, **environment)
        assert notice.startswith("Compiling the kernels")
        assert epoch[:10] == second_epoch[:10] == "Epoch 1/1:"
        assert printed == digest(clf, digits[0])
        assert {path.name for path in tmp_path.iterdir()} == {"file", "script.py"}
