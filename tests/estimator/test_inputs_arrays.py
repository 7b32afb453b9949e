"""Objects that can be converted to an array of images, and those that are refused because they cannot."""

import array
import io
from collections import deque
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.utils import Bunch

from tests.estimator.helpers import PREDICTIONS, last_row, same_bits

SHAPES = [(40, 36), (40, 6, 6), (40, 4, 3, 3)]


class Lazy:
    """An array that is computed when it is needed, or read from a file, as those of dask, xarray and h5py."""

    def __init__(self, values):
        self.values, self.shape, self.dtype, self.ndim = values, values.shape, values.dtype, values.ndim

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        return self.values[rows]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


class OnlyArray:
    """An object without a length, a shape or a dtype."""

    def __init__(self, values):
        self._values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self._values, dtype)


class WithInterface:
    """What an image of Pillow is to NumPy."""

    def __init__(self, values, mode=None):
        self._values = np.ascontiguousarray(values)
        self.__array_interface__ = self._values.__array_interface__
        if mode:
            self.mode = mode


class OnlyDLPack:
    """An array that other libraries can only read by DLPack."""

    def __init__(self, values):
        self._values = values

    def __dlpack__(self, **arguments):
        return self._values.__dlpack__(**arguments)

    def __dlpack_device__(self):
        return self._values.__dlpack_device__()


class WithColumns(Lazy):
    """An array with an axis that is called columns, as those of xarray may have."""

    def __init__(self, values):
        super().__init__(values)
        self.columns = np.arange(values.shape[1])


class Broken:
    """An array that cannot be read."""

    def __init__(self, error):
        self._error = error

    def __array__(self, dtype=None, copy=None):
        raise self._error


FORMS = {
    "lazy": Lazy,
    "nothing but __array__": OnlyArray,
    "__array_interface__": WithInterface,
    "DLPack": OnlyDLPack,
    "axis called columns": WithColumns,
    "memoryview": memoryview,
    "list of arrays": list,
    "tuple of arrays": tuple,
    "deque of arrays": deque,
    "list of lazy arrays": lambda X: [Lazy(x) for x in X],
    "list of images": lambda X: [WithInterface(x, "L") for x in X],
    "list of DLPack": lambda X: [OnlyDLPack(x) for x in X],
    "list of memoryviews": lambda X: [memoryview(np.ascontiguousarray(x)) for x in X],
    "list of lists": lambda X: X.tolist(),
    "masked array": np.ma.masked_array,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_X_is_read_like_its_array(make, data, form, shape):
    X, y = data[0].reshape(shape).copy(), data[1]
    plain = make().fit(X, y, X_val=X, y_val=y)
    clf = make().fit(form(X), y, X_val=form(X), y_val=y)
    assert clf.image_shape_ == plain.image_shape_
    assert last_row(clf)["val_loss"] == last_row(plain)["val_loss"]
    for name in PREDICTIONS:
        assert same_bits(getattr(clf, name)(form(X)), getattr(plain, name)(X))
    assert clf.score(form(X), y) == plain.score(X, y)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_partial_fit_reads_X_like_its_array(make, images, form):
    X, y = images[0].copy(), images[1]
    plain = make().partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    clf = make().partial_fit(form(X), y, classes=[0, 1, 2]).partial_fit(form(X), y)
    assert same_bits(clf.predict_proba(form(X)), plain.predict_proba(X))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("form", ["lazy", "DLPack", "list of arrays", "list of images", "memoryview"])
def test_the_dtype_of_the_array_is_kept(make, uint8_images, form, dtype):
    X, y = uint8_images[0].astype(dtype), uint8_images[1]
    clf = make().fit(FORMS[form](X), y)
    assert clf.network_.dtype == np.float32
    assert same_bits(clf.predict_proba(FORMS[form](X)), make().fit(X, y).predict_proba(X))


OTHER_LIBRARIES = {
    "tensor": ("torch", lambda torch, X: torch.from_numpy(X)),
    "list of tensors": ("torch", lambda torch, X: list(torch.from_numpy(X))),
    "dask": ("dask.array", lambda dask, X: dask.from_array(X, chunks=7)),
    "xarray": ("xarray", lambda xarray, X: xarray.DataArray(X, dims=["n", "columns", "rows"])),
    "list of Pillow's images": ("PIL.Image", lambda image, X: [image.fromarray(x) for x in X]),
}


@pytest.mark.parametrize(("library", "form"), OTHER_LIBRARIES.values(), ids=OTHER_LIBRARIES)
def test_arrays_of_other_libraries(make, uint8_images, library, form):
    library = pytest.importorskip(library)
    X, y = uint8_images
    assert same_bits(make().fit(form(library, X), y).predict_proba(form(library, X)), make().fit(X, y).predict_proba(X))


def test_datasets_of_files(make, uint8_images, tmp_path):
    h5py = pytest.importorskip("h5py")
    X, y = uint8_images
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["X"], file["y"] = X, y
        clf = make().fit(file["X"], file["y"])
        assert same_bits(clf.predict_proba(file["X"]), make().fit(X, y).predict_proba(X))


@pytest.mark.parametrize("X", [OnlyArray, Lazy, memoryview], ids=lambda form: form.__name__)
def test_numpy_arrays_are_not_copied(X):
    from skcnn._estimator.arrays import as_images

    images = np.zeros((5, 4, 4), np.uint8)
    assert np.shares_memory(as_images(X(images)), images)
    assert as_images(images) is images


@pytest.mark.parametrize(
    "error", [RuntimeError("no device"), TypeError("no device"), ValueError("no device")], ids=repr
)
@pytest.mark.parametrize("form", [lambda x: x, lambda x: [x] * 40], ids=["one", "list"])
def test_why_an_array_cannot_be_read(make, data, fitted, error, form):
    for action in (lambda: make().fit(form(Broken(error)), data[1]), lambda: fitted.predict(form(Broken(error)))):
        with pytest.raises(ValueError, match=r"X.*cannot be converted to an array: no device"):
            action()


@pytest.mark.parametrize("error", [MemoryError("too large"), OSError("no device")], ids=repr)
def test_errors_of_the_machine_keep_their_type(make, data, error):
    with pytest.raises(type(error), match="X cannot be converted to an array: "):
        make().fit(Broken(error), data[1])


@pytest.mark.parametrize("error", [OSError("truncated"), ValueError("truncated"), AssertionError()], ids=repr)
def test_an_image_that_cannot_be_read_is_named(make, error):
    images = [*np.zeros((4, 6, 6)), Broken(error), *np.zeros((3, 6, 6))]
    kind = OSError if isinstance(error, OSError) else ValueError
    text = str(error) or "AssertionError"
    with pytest.raises(kind, match=rf"X\[4\] \(Broken\) cannot be converted to an array: {text}$"):
        make().fit(images, np.arange(8) % 2)


def file_of_image(part=slice(None)):
    image = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    image.fromarray(np.arange(3 * 64 * 64, dtype=np.uint8).reshape(64, 64, 3)).save(file, "JPEG")
    return image, io.BytesIO(file.getvalue()[part])


def test_a_damaged_image_of_pillow_is_named(make):
    image, file = file_of_image(slice(-300))
    images = [image.new("RGB", (64, 64)) for _ in range(8)]
    images[4] = image.open(file)
    with pytest.raises(OSError, match=r"X\[4\] \(JpegImageFile\) cannot be converted to an array: .*truncated"):
        make().fit(images, np.arange(8) % 2)


@pytest.mark.parametrize("collect", [list, pd.Series], ids=lambda collect: collect.__name__)
def test_images_whose_file_is_closed(make, collect):
    def read(keep):
        images = []
        for _ in range(8):
            image, file = file_of_image()
            with file, image.open(file) as opened:
                images.append(keep(opened))
        return images

    with pytest.raises(ValueError, match=r"X\[0\] \(JpegImageFile\) cannot be .*take image\.copy\(\) while it is"):
        make().fit(collect(read(lambda image: image)), np.arange(8) % 2)
    make().fit(read(lambda image: image.copy()), np.arange(8) % 2)


def as_objects(images):
    objects = np.empty(len(images), object)
    objects[:] = images
    return objects


ODD = {
    "another height": (lambda x: x[:5], r"\(5, 6, 3\)"),
    "another width": (lambda x: x[:, :5], r"\(6, 5, 3\)"),
    "grey": (lambda x: x[:, :, 0], r"\(6, 6\)"),
    "with an alpha channel": (lambda x: np.dstack([x, x[:, :, 0]]), r"\(6, 6, 4\)"),
    "None": (lambda x: None, "None"),
    "NaN": (lambda x: np.nan, "nan"),
    "missing in pandas": (lambda x: pd.NA, "<NA>"),
    "a number": (lambda x: 3, "a number"),
    "a path": (lambda x: "image.png", "type str"),
    "a dict": (lambda x: {"image": x}, "type dict"),
}


@pytest.mark.parametrize("collect", [list, tuple, as_objects, pd.Series])
@pytest.mark.parametrize(("change", "text"), ODD.values(), ids=ODD)
def test_the_first_image_that_differs_is_named(make, collect, change, text):
    images = list(np.zeros((8, 6, 6, 3), np.uint8))
    images[5], images[7] = change(images[5]), change(images[7])
    with pytest.raises(
        ValueError, match=rf"X\[0\] is of shape \(6, 6, 3\), but X\[5\] is .*{text}.*Resize and convert"
    ):
        make().fit(collect(images), np.arange(8) % 2)


def test_another_form_at_the_beginning(make):
    with pytest.raises(ValueError, match=r"X\[0\] is None, but X\[1\] is of shape \(6, 6\)"):
        make().fit([None, *np.zeros((7, 6, 6))], np.arange(8) % 2)


def test_tensors_of_several_shapes(make, torch):
    with pytest.raises(ValueError, match=r"X\[0\] is of shape \(6, 6\), but X\[1\] is of shape \(6, 5\)"):
        make().fit([torch.zeros(6, 6), torch.zeros(6, 5)], [0, 1])


def test_images_of_several_modes(make):
    images = [WithInterface(np.zeros((6, 6), np.uint8), mode) for mode in ("L", "L", "1", "L")]
    with pytest.raises(ValueError, match=r"X\[0\] is of shape \(6, 6\) and mode L, but X\[2\] is .* and mode 1"):
        make().fit(images, [0, 1, 0, 1])


@pytest.mark.parametrize("mode", ["P", "PA"])
def test_palette_images_warn(make, data, mode):
    images = [WithInterface(x, mode) for x in data[0].reshape(40, 6, 6)]
    with pytest.warns(UserWarning, match=r"palette images.*image\.convert\('RGB'\)"):
        make().fit(images, data[1])


@pytest.mark.parametrize("collect", [as_objects, pd.Series])
def test_separate_images_need_stack(make, images, fitted, collect):
    X = collect(list(images[0]))
    for action in (lambda: make().fit(X, images[1]), lambda: fitted.predict(X)):
        with pytest.raises(ValueError, match=r"40 separate arrays of shape \(6, 6\); pass np\.stack\(X\)"):
            action()
    assert same_bits(fitted.predict_proba(np.stack(X)), fitted.predict_proba(images[0]))


@pytest.mark.parametrize(
    ("collect", "advice"),
    [
        (as_objects, r"list\(X\)"),
        (pd.Series, r"list\(X\)"),
        (lambda images: as_objects(images)[:, np.newaxis], r"list\(X\[:, 0\]\)"),
        (lambda images: pd.DataFrame({"image": images}), r"list\(X\['image'\]\)"),
    ],
    ids=["objects", "series", "column", "frame"],
)
def test_images_with_a_mode_need_list(make, images, collect, advice):
    # in an array of np.stack, palette images would look like grey ones
    X = collect([WithInterface(x, "P") for x in images[0]])
    with pytest.raises(ValueError, match=rf"of shape \(6, 6\) and mode P.*; pass {advice}$"):
        make().fit(X, images[1])


def in_cells(images):
    return as_objects(images)[:, np.newaxis]


@pytest.mark.parametrize(
    ("collect", "column"),
    [(in_cells, r"X\[:, 0\]"), (lambda images: pd.DataFrame({"image": images}), r"X\['image'\]")],
    ids=["array", "frame"],
)
def test_images_in_cells_need_stack(make, images, collect, column):
    with pytest.raises(ValueError, match=rf"arrays of shape \(6, 6\) in its cells; pass np\.stack\({column}\)"):
        make().fit(collect(list(images[0])), images[1])


PATHS = {
    "list": lambda paths: paths,
    "objects": as_objects,
    "series": pd.Series,
    "column": lambda paths: as_objects(paths)[:, np.newaxis],
    "frame": lambda paths: pd.DataFrame({"path": paths}),
    "the folder": lambda paths: paths[0],
}


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("kind", [str, str.encode, Path], ids=["str", "bytes", "Path"])
@pytest.mark.parametrize("collect", PATHS.values(), ids=PATHS)
def test_paths_are_not_images(make, data, fitted, collect, kind):
    X = collect([kind(f"folder/image{i}.png") for i in range(40)])
    for action in (lambda: make().fit(X, data[1]), lambda: fitted.predict(X)):
        with pytest.raises(ValueError, match=r"image0\.png.*pixels must be numbers; if these are paths.*load_image_f"):
            action()


def test_an_array_of_paths(make, data):
    with pytest.raises(ValueError, match=r"'a\.png'.*load_image_folder"):
        make().fit(np.array(["a.png"] * 40), data[1])


NUMBERS = " ".join(["0.0", "17.5"] * 18)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
NO_PIXELS = {
    "a label": ("cat", "'cat'", "pass only pixels as X, and labels as y"),
    "pixels": (NUMBERS, "'0.0 17.5 .* 17.5'", r"split .* np\.array\(\[x\.split\(\) for x in {name}\], dtype=float\)"),
    "with commas": (NUMBERS.replace(" ", ","), "'0.0,17.5,.*'", r"x\.split\(','\) for x in {name}\]"),
    "a file": (PNG, r"b'\\x89PNG.*'", r"\[PIL\.Image\.open\(io\.BytesIO\(x\)\) for x in {name}\]"),
    "a dict of a file": (
        {"bytes": PNG, "path": None},
        r"{{'bytes': b'\\x89PNG.*}}",
        r"\[PIL\.Image\.open\(io\.BytesIO\(x\['bytes'\]\)\) for x in {name}\]",
    ),
    "a dict of a path": ({"bytes": None, "path": "a.png"}, "{{'bytes': None, 'path': 'a.png'}}", "if these are paths"),
    "a name with a separator": ("T-shirt/top", "'T-shirt/top'", "if these are paths"),
}


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize(("value", "found", "advice"), NO_PIXELS.values(), ids=NO_PIXELS)
def test_text_and_files_are_not_pixels(make, data, fitted, value, found, advice):
    table = pd.DataFrame(data[0]).rename(columns=str)
    table["last"] = [value] * 40
    forms = {
        "X": [[value] * 40, pd.Series([value] * 40)],
        r"X\['last'\]": [table, table[["last"]]],
        r"X\[:, 36\]": [table.to_numpy()],
    }
    for name, X in ((name, X) for name, several in forms.items() for X in several):
        text = f"^{name} contains {found}, but pixels must be numbers; .*{advice}".format(name=name)
        for action in (lambda X=X: make().fit(X, data[1]), lambda X=X: fitted.predict(X)):
            with pytest.raises(ValueError, match=text):
                action()


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_text_in_tables_of_other_libraries(make, data, library):
    library = pytest.importorskip(library)
    columns = {"pixel": data[0][:, 0], "label": ["cat", "dog"] * 20}
    table = (library.DataFrame if hasattr(library, "DataFrame") else library.table)(columns)
    with pytest.raises(ValueError, match=r"X\['label'\] contains 'cat', but pixels must be numbers"):
        make().fit(table, data[1])


def test_other_errors_of_numbers_in_strings_are_kept(make, data, fitted):
    X = data[0].astype(str).astype(object)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make().fit(X, data[1][:5])
    with pytest.raises(ValueError, match="X has 35 features"):
        fitted.predict(X[:, :35])


@pytest.mark.parametrize(
    ("X", "text"),
    [
        ([None] * 4, r"X must contain images, but X\[0\] is None"),
        ([{"a": 1}] * 4, r"X must contain images, but X\[0\] is of type dict"),
        ([sparse.csr_array(np.eye(6))] * 4, r"X must contain images, but X\[0\] is sparse \(use \.toarray\(\)\)"),
        ([(np.zeros((6, 6)), 1)] * 4, r"X\[0\] \(tuple\) cannot be converted to an array"),
        ([[[1, 2], [3]]] * 4, r"X\[0\] \(list\) cannot be converted to an array"),
    ],
    ids=["None", "dicts", "sparse", "pairs", "ragged"],
)
def test_a_list_of_other_things(make, X, text):
    with pytest.raises(ValueError, match=text):
        make().fit(X, [0, 1, 0, 1])


@pytest.mark.parametrize(
    "form",
    [iter, lambda X: (x for x in X), lambda X: map(np.asarray, X), lambda X: dict(enumerate(X)).values()],
    ids=["iterator", "generator", "map", "values"],
)
def test_iterators_and_views_need_list(make, images, fitted, form):
    with pytest.raises(ValueError, match=r"Expected 2D array .* got .*Pass list\(X\)"):
        make().fit(form(images[0]), images[1])
    assert same_bits(fitted.predict_proba(list(form(images[0]))), fitted.predict_proba(images[0]))


def file_of_arrays(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)
    return np.load(file)


@pytest.mark.parametrize("form", [dict, Bunch, file_of_arrays], ids=["dict", "Bunch", "npz"])
def test_of_a_mapping_its_array_is_needed(make, images, form):
    X = form(data=images[0], target=images[1])
    with pytest.raises(
        ValueError, match=r"X must be an array of images, got .* keys \['data', 'target'\].*X\['data'\]"
    ):
        make().fit(X, images[1])
    make().fit(X["data"], images[1])


@pytest.mark.parametrize("X", [object(), {}, set()], ids=["object", "dict", "set"])
def test_other_objects(make, X):
    with pytest.raises(ValueError, match=r"got .*[Pp]ass"):
        make().fit(X, [0, 1])


def test_an_open_file_is_no_image_of_pillow(make):
    with (
        open(__file__, encoding="utf-8") as file,
        pytest.raises(ValueError, match=r"got <_io\.TextIOWr.*Pass list\(X\)"),
    ):
        make().fit(file, [0, 1])


class Uncomparable:
    def __ne__(self, other):
        raise RuntimeError("no comparison")


def test_objects_that_cannot_be_compared(make):
    with pytest.raises(ValueError, match=r"X\[0\] is of type Uncomparable"):
        make().fit([Uncomparable(), Uncomparable()], [0, 1])


@pytest.mark.parametrize("dates", [{}, {"tz": "UTC"}], ids=["local", "in a time zone"])
def test_tables_of_dates(make, dates):
    X = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=8, **dates)})
    for table in (X, X.assign(day=X.day - X.day[0]), X.assign(pixel=1.0)):
        with pytest.raises(ValueError, match=r"X contains dates or time spans \((date|time)"):
            make().fit(table, np.arange(8) % 2)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_dates_in_tables_of_other_libraries(make, library):
    library = pytest.importorskip(library)
    days = pd.date_range("2020-01-01", periods=8).date.tolist()
    table = (library.DataFrame if hasattr(library, "DataFrame") else library.table)({"day": days})
    with pytest.raises(ValueError, match="X contains dates or time spans"):
        make().fit(table, np.arange(8) % 2)


LABELS = {
    "lazy": Lazy,
    "nothing but __array__": OnlyArray,
    "__array_interface__": WithInterface,
    "DLPack": OnlyDLPack,
    "memoryview": memoryview,
    "array.array": lambda y: array.array("q", y.tolist()),
    "list of arrays": lambda y: [np.array(label) for label in y],
    "deque": deque,
    "index": pd.Index,
}


@pytest.mark.parametrize("form", LABELS.values(), ids=LABELS)
def test_labels_are_read_like_their_array(make, data, form):
    X, y = data[0], data[1].copy()
    clf = make().fit(X, form(y), X_val=X, y_val=form(y))
    plain = make().fit(X, y, X_val=X, y_val=y)
    assert clf.classes_.tolist() == [0, 1, 2]
    assert last_row(clf)["val_loss"] == last_row(plain)["val_loss"]
    assert clf.score(X, form(y)) == plain.score(X, y)
    assert same_bits(clf.predict_proba(X), plain.predict_proba(X))
    later = make().partial_fit(X, form(y), classes=form(np.arange(3)))
    assert same_bits(later.predict_proba(X), make().partial_fit(X, y, classes=[0, 1, 2]).predict_proba(X))


@pytest.mark.parametrize("name", ["torch", "dask.array", "xarray", "polars"])
def test_labels_of_other_libraries(make, data, name):
    library = pytest.importorskip(name)
    as_theirs = {"torch": "from_numpy", "dask.array": "from_array", "xarray": "DataArray", "polars": "Series"}[name]
    X, y = data[0], data[1].copy()
    clf = make().fit(X, getattr(library, as_theirs)(y))
    assert clf.classes_.tolist() == [0, 1, 2]
    assert clf.score(X, getattr(library, as_theirs)(y)) == clf.score(X, y)
