"""Mistakes in layers of one's own: the layer is named, in fit and in predict, wherever it stands."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from skcnn import NumpyCNNClassifier
from skcnn.layers import PREDICT, TRAIN, Conv2D, Flatten, Layer, ReLU, Residual, Sequential

# an error at the first shard of several, with and without other threads
pytestmark = pytest.mark.usefixtures("small_shards")
every_n_jobs = pytest.mark.parametrize("n_jobs", [1, 2])


@dataclass(frozen=True, repr=False)
class Wrong(Layer):
    """The identity, but for one mistake at one moment: "fit", "predict" or "backward"."""

    mistake: Any
    moment: str = "fit"
    is_right: ClassVar[bool] = False  # a fit predicts some images too: the layer must make no mistake then

    def _result(self, moment, x, second):
        return self.mistake(x, second) if moment == self.moment and not Wrong.is_right else (x, second)

    def forward(self, params, x, context=PREDICT):
        return self._result("fit" if context.train else "predict", x, None)

    def backward(self, params, cache, d_out, context=TRAIN):
        return self._result("backward", d_out, {})


class WrongTogether(Wrong):
    """The same for a layer that depends on the batch."""

    depends_on_batch = True

    def forward(self, params, x, context=PREDICT):
        if context.train:
            yield x.sum(axis=0)
        return super().forward(params, x, context)

    def backward(self, params, cache, d_out, context=TRAIN):
        yield d_out.sum(axis=0)
        return super().backward(params, cache, d_out, context)


PLACES = {
    "plain": lambda layer: layer,
    "Residual": lambda layer: Residual([ReLU(), layer]),
    "Sequential": lambda layer: Sequential([Sequential([ReLU(), layer]), ReLU()]),
    "Sequential in Residual": lambda layer: Residual([Sequential([ReLU(), layer])]),
}
every_place = pytest.mark.parametrize("place", PLACES)
every_moment = pytest.mark.parametrize("moment", ["fit", "predict", "backward"])
every_kind = pytest.mark.parametrize("kind", [Wrong, WrongTogether])


def error_of(layer, place, images, n_jobs=1):
    """The error of the fit with the layer behind a convolution, or of the predictions after it."""
    stack = [Conv2D(2), PLACES[place](layer), Flatten()]
    clf = NumpyCNNClassifier(layers=stack, max_iter=1, batch_size=10, random_state=0, n_jobs=n_jobs)
    X, y = images
    if layer.moment == "predict":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Wrong, "is_right", True)
            clf.fit(X, y)
    with pytest.raises(Exception) as raised:  # noqa: PT011, its type is what most tests are about
        clf.predict(X) if layer.moment == "predict" else clf.fit(X, y)
    return raised.value


def assert_named(error, layer, place):
    """All names on the way to the layer are in the message, the outermost first, or in the notes."""
    outer = PLACES[place](layer)
    names = [f"layers[1] {outer!r}"]
    while outer is not layer:
        index = next(i for i, inner in enumerate(outer.layers) if repr(layer) in repr(inner))
        outer = outer.layers[index]
        names.append(f"layers[{index}] {outer!r}")
    notes = getattr(error, "__notes__", [])
    if notes:
        assert notes == names[::-1]
    else:
        message = error.args[0]
        assert message.startswith(": ".join(names) + ": "), message


def only_one(x, second):
    return x


def none_and(x, second):
    return None, second


@every_place
@every_moment
@every_kind
@pytest.mark.parametrize("mistake", [only_one, none_and])
def test_a_layer_that_returns_no_pair_is_named(mistake, kind, moment, place, images):
    layer = kind(mistake, moment)
    error = error_of(layer, place, images)
    assert type(error) is TypeError
    assert_named(error, layer, place)
    what = "backward must return (d_x, gradients)" if moment == "backward" else "forward must return (output, cache)"
    assert what in str(error)


def half_of_the_channels(x, second):
    return x[..., :1], second


def one_sample_less(x, second):
    return x[:-1], second


@every_n_jobs
@every_place
@every_moment
@every_kind
@pytest.mark.parametrize("mistake", [half_of_the_channels, one_sample_less])
def test_a_layer_of_a_wrong_shape_is_named(mistake, kind, moment, place, n_jobs, images):
    layer = kind(mistake, moment)
    error = error_of(layer, place, images, n_jobs)
    assert type(error) is ValueError
    assert_named(error, layer, place)
    what = "backward returned as d_x" if moment == "backward" else "forward returned"
    n = 40 if moment == "predict" else 10
    n_samples = n // 2  # in a shard
    wrong = (n_samples, 6, 6, 1) if mistake is half_of_the_channels else (n_samples - 1, 6, 6, 2)
    text = f"{what} an array of shape {wrong}, but by out_shape it must be {(n_samples, 6, 6, 2)}"
    assert str(error).endswith(text)


class OwnError(Exception):
    """An exception of several arguments, and so of a text of its own making."""

    def __init__(self, code, reason):
        super().__init__(code, reason)
        self.code = code


class Untouchable(Exception):
    """An exception whose text is not that of its arguments."""

    def __str__(self):
        return "always the same"


ERRORS = [
    ValueError("negative"),
    TypeError("no float"),
    KeyError("W"),
    ZeroDivisionError("by zero"),
    ZeroDivisionError(),
    OwnError(7, "no reason"),
    Untouchable("anything"),
    FileNotFoundError(2, "No such file", "table.npy"),
    UnicodeDecodeError("utf8", b"x", 0, 1, "reason"),
]


@every_n_jobs
@every_moment
@every_kind
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{type(error).__name__}{len(error.args)}")
def test_an_error_that_a_layer_raises_keeps_its_type_and_names_the_layer(error, kind, moment, n_jobs, images):
    def raising(x, second):
        raise type(error)(*error.args)

    layer = kind(raising, moment)
    for place in PLACES:
        raised = error_of(layer, place, images, n_jobs)
        assert type(raised) is type(error)
        assert_named(raised, layer, place)
        if isinstance(error, OwnError):
            assert raised.code == 7
            assert raised.args == error.args
        if len(error.args) == 1 and not isinstance(error, Untouchable):
            assert raised.args[0].endswith(f": {error.args[0]}")


NO_PAIRS = {
    "an array": lambda x: x,
    "None": lambda x: None,
    "one": lambda x: (x,),
    "three": lambda x: (x, None, None),
    "no array": lambda x: (None, None),
    "lists": lambda x: (x.tolist(), None),
    "a generator": lambda x: (part for part in (x, None, None)),
}


@every_place
@every_moment
@pytest.mark.parametrize("returned", NO_PAIRS)
def test_a_layer_that_does_not_return_a_pair_of_an_array_and_more_is_named(returned, moment, place, images):
    layer = Wrong(lambda x, second: NO_PAIRS[returned](x), moment)
    assert_named(error_of(layer, place, images), layer, place)


@pytest.mark.parametrize("n_samples", [1, 2, 3])
def test_an_array_in_place_of_a_pair_is_never_taken_for_one(n_samples, images):
    """Not even two samples, which can be unpacked as a pair can."""
    layer = Wrong(lambda x, second: x, "predict")
    clf = NumpyCNNClassifier(layers=[layer, Flatten()], max_iter=1, random_state=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Wrong, "is_right", True)
        clf.fit(*images)
    with pytest.raises((ValueError, TypeError), match=r"^layers\[0\] Wrong\("):
        clf.predict(images[0][:n_samples])


def unready(method):
    """A layer that remembers something, and one of whose methods raises."""

    def raising(self, *args):
        raise KeyError(method)

    def initial_state(self, in_shape, dtype):
        return {"mean": np.zeros(in_shape, dtype)}

    return type("Unready", (Layer,), {"initial_state": initial_state, method: raising})()


METHODS = ["out_shape", "init", "initial_state", "window", "multiply_adds", "prepare", "next_state", "gradients"]


@every_place
@pytest.mark.parametrize("method", METHODS)
def test_an_error_outside_forward_and_backward_names_the_layer_too(method, place, images):
    layer = unready(method)
    stack = [Conv2D(2), PLACES[place](layer), Flatten()]
    with pytest.raises(KeyError) as raised:
        NumpyCNNClassifier(layers=stack, max_iter=1, random_state=0).fit(*images).network_.summary()
    assert_named(raised.value, layer, place)
    assert raised.value.args[0].endswith(f": {method}")


class NeverYields(Wrong):
    """A layer that says that it depends on the batch, and does not."""

    depends_on_batch = True


@every_place
def test_a_layer_that_should_yield_and_does_not_is_named(place, uint8_images):
    error = error_of(NeverYields(lambda x, second: (x, second)), place, uint8_images)
    assert isinstance(error, TypeError)
    assert "NeverYields" in str(error)
    assert "must yield in forward" in str(error)


class ShapeAsList(Layer):
    """A layer that returns its shape as a list."""

    def out_shape(self, in_shape):
        return list(in_shape)


def test_a_shape_may_be_a_list(uint8_images):
    clf = NumpyCNNClassifier(layers=[ShapeAsList(), Conv2D(2), ShapeAsList(), Flatten()], max_iter=1)
    assert clf.fit(*uint8_images).network_.shapes[3] == (28, 28, 2)


def test_a_layer_that_yields_must_say_that_it_depends_on_the_batch():
    with pytest.raises(TypeError, match="Forgot yields in forward or backward, so it must set depends_on_batch = True"):

        class Forgot(Layer):
            def forward(self, params, x, context=PREDICT):
                yield x.sum(axis=0)

            def backward(self, params, cache, d_out, context=TRAIN):
                return d_out, {}


@dataclass(frozen=True, repr=False)
class Strict(Layer):
    """Divides by the batch's sums under a floating-point setting of its own."""

    depends_on_batch = True

    def forward(self, params, x, context=PREDICT):
        if context.train:
            with np.errstate(divide="raise"):
                yield x.sum(axis=0)
                assert np.geterr()["divide"] == "raise"
        return x, None

    def backward(self, params, cache, d_out, context=TRAIN):
        total = yield d_out.sum(axis=0)
        assert np.geterr()["divide"] == "ignore"
        with pytest.raises(ValueError, match="read-only"):
            total += 1
        return d_out, {}


@every_n_jobs
@pytest.mark.parametrize("batch_size", [3, 64])
def test_settings_within_a_pass_stay_its_own_and_totals_are_read_only(n_jobs, batch_size, uint8_images):
    if np.lib.NumpyVersion(np.__version__) < "2.0.0":
        pytest.skip("settings belong to threads in this NumPy")
    clf = NumpyCNNClassifier(layers=[Conv2D(2), Strict(), Flatten()], max_iter=1, batch_size=batch_size, n_jobs=n_jobs)
    assert clf.fit(*uint8_images).n_iter_ == 1


@dataclass(frozen=True, repr=False)
class Grads(Layer):
    """The identity, with gradients of some kind."""

    kind: str

    def forward(self, params, x, context=PREDICT):
        return x, None

    def backward(self, params, cache, d_out, context=TRAIN):
        total = d_out.sum()
        kinds = {"none": None, "array": d_out, "number": total, "read-only": np.broadcast_to(total, (2,))}
        return d_out, kinds[self.kind]

    def gradients(self, params, d_prepared):
        return {} if self.kind in ("number", "read-only") else d_prepared


@every_n_jobs
@pytest.mark.parametrize("batch_size", [3, 64])
@pytest.mark.parametrize("kind", ["none", "number", "read-only"])
def test_prepared_gradients_of_any_kind_are_summed_over_one_shard_or_many(kind, batch_size, n_jobs, uint8_images):
    stack = [Conv2D(2), Grads(kind), Flatten()]
    clf = NumpyCNNClassifier(layers=stack, max_iter=1, batch_size=batch_size, n_jobs=n_jobs, random_state=0)
    plain = NumpyCNNClassifier(layers=[Conv2D(2), Flatten()], max_iter=1, batch_size=batch_size, random_state=0)
    assert clf.fit(*uint8_images).loss_curve_ == plain.fit(*uint8_images).loss_curve_


@pytest.mark.parametrize("batch_size", [3, 64])
def test_gradients_that_are_no_dict_are_an_error_that_names_the_layer(batch_size, uint8_images):
    clf = NumpyCNNClassifier(layers=[Conv2D(2), Grads("array"), Flatten()], max_iter=1, batch_size=batch_size)
    with pytest.raises(TypeError, match=r"layers\[1\] Grads.*gradients must be dicts, got ndarray"):
        clf.fit(*uint8_images)


@dataclass(frozen=True, repr=False)
class Yields(Layer):
    """The identity, which yields in a way of its own."""

    depends_on_batch = True
    kind: str

    def forward(self, params, x, context=PREDICT):
        if context.train:
            sums = {
                "list": lambda: [x.sum(axis=(0, 1, 2)), (x * x).sum(axis=(0, 1, 2))],
                "number": lambda: float(len(x)),
                "nothing": lambda: None,
                "text": lambda: "1",
                "samples": lambda: x,
            }
            total = yield sums[self.kind]()
            assert total.shape == {"list": (2, 2), "number": ()}.get(self.kind)
            if self.kind == "number":
                assert total == context.n_samples
            if self.kind == "uneven" and len(x) % 2:
                yield x.sum()
        return x, None

    def backward(self, params, cache, d_out, context=TRAIN):
        if self.kind == "number" or len(d_out) % 2:
            yield d_out.sum()
        return d_out, {}


@every_n_jobs
@pytest.mark.parametrize("batch_size", [3, 64])
def test_numbers_are_summed_over_one_shard_or_many(batch_size, n_jobs, uint8_images):
    stack = [Conv2D(2), Yields("number"), Flatten()]
    clf = NumpyCNNClassifier(layers=stack, max_iter=1, batch_size=batch_size, n_jobs=n_jobs)
    assert clf.fit(*uint8_images).n_iter_ == 1


@every_n_jobs
@pytest.mark.parametrize(
    ("kind", "text"),
    [("nothing", "yield arrays of numbers"), ("text", "yield arrays of numbers"), ("samples", "of one shape")],
)
def test_what_cannot_be_summed_is_an_error_that_names_the_layer(kind, text, n_jobs, uint8_images):
    X, y = uint8_images
    clf = NumpyCNNClassifier(layers=[Conv2D(2), Yields(kind), Flatten()], max_iter=1, batch_size=63, n_jobs=n_jobs)
    with pytest.raises(TypeError, match=rf"layers\[1\] Yields\(kind='{kind}'\): .*{text}"):
        clf.fit(X[:63], y[:63])


@every_n_jobs
def test_shards_that_yield_unequally_often_are_an_error_that_names_the_layer(n_jobs, uint8_images):
    X, y = uint8_images
    clf = NumpyCNNClassifier(layers=[Conv2D(2), Yields("list"), Flatten()], max_iter=1, batch_size=63, n_jobs=n_jobs)
    with pytest.raises(RuntimeError, match=r"layers\[1\] Yields\(kind='list'\): .* must yield equally often"):
        clf.fit(X[:63], y[:63])


@every_place
@every_moment
@pytest.mark.parametrize("dtype", [int, bool, complex, object])
def test_a_layer_that_returns_no_floats_is_named(dtype, moment, place, images):
    layer = Wrong(lambda x, second: (x.astype(dtype), second), moment)
    error = error_of(layer, place, images)
    assert type(error) is TypeError
    assert_named(error, layer, place)
    what = "backward returned as d_x" if moment == "backward" else "forward returned"
    assert str(error).endswith(f"{what} an array of {np.dtype(dtype)}, but it must be float64")


@dataclass(frozen=True, repr=False)
class Built(Layer):
    """A layer with a parameter or a state, whose methods return something else."""

    method: str
    returned: Any

    def out_shape(self, in_shape):
        return self.returned if self.method == "out_shape" else in_shape

    def init(self, in_shape, rng, dtype):
        return self.returned if self.method == "init" else {}

    def initial_state(self, in_shape, dtype):
        return {"mean": np.zeros(2, dtype)} if self.method == "next_state" else {}

    def next_state(self, state, cache):
        return self.returned if self.method == "next_state" else state

    def multiply_adds(self, in_shape, out_shape):
        return self.returned if self.method == "multiply_adds" else 0

    def forward(self, params, x, context=PREDICT):
        return x, None

    def backward(self, params, cache, d_out, context=TRAIN):
        return d_out, {name: np.ones(2, d_out.dtype) for name in params}


RETURNED = {
    "out_shape": [None, 6, (6.0, 6.0, 2.0), (-1, 6, 2), (0, 6, 2), "abc", (None, 6, 6, 2), ((6, 6), 2)],
    "init": [[np.ones(2)], 3, {0: np.ones(2)}, {"W": np.ones(2) + 0j}, {"W": None}, {"W": "ab"}],
    "next_state": [None, [1], {"mean": np.zeros(3)}, {"other": np.zeros(2)}],
    "multiply_adds": [None, "many", -1, np.nan],
}


@every_place
@pytest.mark.parametrize(
    ("method", "returned"), [(method, value) for method, values in RETURNED.items() for value in values], ids=repr
)
def test_a_method_that_returns_something_else_names_the_layer(method, returned, place, images):
    layer = Built(method, returned)
    stack = [Conv2D(2), PLACES[place](layer), Flatten()]
    with pytest.raises((TypeError, ValueError), match=r"^layers\[1\] .*(dicts|must return)") as raised:
        NumpyCNNClassifier(layers=stack, max_iter=1, random_state=0).fit(*images)
    assert method in str(raised.value)


@pytest.mark.parametrize("value", [np.ones(2), np.ones(2, int), [1, 1], np.ones(2, bool), np.ones(2, ">f8")])
def test_parameters_of_any_real_numbers_are_cast(value, uint8_images):
    stack = [Conv2D(2), Built("init", {"W": value}), Flatten()]
    clf = NumpyCNNClassifier(layers=stack, max_iter=1, random_state=0).fit(*uint8_images)
    assert clf.network_.params[1]["W"].dtype == np.float32
    assert clf.network_.params[1]["W"].dtype.isnative


@pytest.mark.parametrize("dtype", [int, complex])
def test_gradients_that_are_no_floats_are_an_error_that_names_the_layer(dtype, uint8_images):
    @dataclass(frozen=True, repr=False)
    class Whole(Built):
        def backward(self, params, cache, d_out, context=TRAIN):
            return d_out, {"W": np.ones(2, dtype)}

    clf = NumpyCNNClassifier(layers=[Conv2D(2), Whole("init", {"W": np.ones(2)}), Flatten()], max_iter=1)
    with pytest.raises(TypeError, match=r"layers\[1\] .*: backward must return floats, but the gradient for 'W' is an"):
        clf.fit(*uint8_images)
