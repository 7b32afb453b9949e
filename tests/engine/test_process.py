"""The threads of BLAS, which belong to the whole process."""

import threading

import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from skcnn import NumpyCNNClassifier
from skcnn._engine.process import allowed_threads, one_blas_thread


def blas_threads():
    return {
        library.filepath: library.num_threads
        for library in ThreadpoolController().select(user_api="blas").lib_controllers
    }


def test_guard_holds_one_thread_and_gives_back():
    before = blas_threads()
    with one_blas_thread:
        assert set(blas_threads().values()) == {1}
        with one_blas_thread:
            assert allowed_threads() == max(before.values())
        assert set(blas_threads().values()) == {1}
    assert blas_threads() == before


def test_guard_gives_back_after_an_error():
    before = blas_threads()
    with pytest.raises(RuntimeError, match="inside"), one_blas_thread:
        raise RuntimeError("inside")
    assert blas_threads() == before


def test_guard_in_a_thread_when_another_has_set_limits():
    """threadpoolctl lets only the first thread that sets OpenBLAS's limit set it again."""
    seen = []

    def limited():
        with one_blas_thread:
            seen.append(set(blas_threads().values()))

    with threadpool_limits(limits=2, user_api="blas"):
        thread = threading.Thread(target=limited)
        thread.start()
        thread.join(10)
        assert seen == [{1}]
        assert set(blas_threads().values()) == {2}


def test_guard_with_overlapping_users():
    """The first user ends first. If each user restored what it found, BLAS would keep one thread in the end."""
    before = blas_threads()
    first_in, second_in = threading.Event(), threading.Event()

    def first():
        with one_blas_thread:
            first_in.set()
            second_in.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    first_in.wait(10)
    with one_blas_thread:
        second_in.set()
        thread.join(10)
        assert set(blas_threads().values()) == {1}
    assert blas_threads() == before


def test_blas_threads_are_the_same_after_fit_predict_and_failure(uint8_images):
    X, y = uint8_images
    for limit in (1, 2):
        with threadpool_limits(limits=limit, user_api="blas"):
            before = blas_threads()
            clf = NumpyCNNClassifier(max_iter=1).fit(X, y)
            clf.predict(X)
            with pytest.raises(ValueError, match="too large"):
                clf.set_params(scaling=None).fit(X.astype(float), y).predict(X / 255 * 1.7e308)
            assert blas_threads() == before
