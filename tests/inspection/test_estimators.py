"""What all displays refuse, and what they have in common."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcnn import NumpyCNNClassifier
from skcnn.inspection import ActivationsDisplay, KernelsDisplay, OcclusionDisplay, TrainingDisplay

DISPLAYS = {TrainingDisplay: (), KernelsDisplay: (), ActivationsDisplay: ("image",), OcclusionDisplay: ("image",)}
every_display = pytest.mark.parametrize("display", DISPLAYS, ids=lambda display: display.__name__)


def draw(display, estimator, image, **kwargs):
    return display.from_estimator(estimator, *([image] if DISPLAYS[display] else []), **kwargs)


@every_display
@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (MLPClassifier(), "MLPClassifier"),
        (make_pipeline(StandardScaler(), NumpyCNNClassifier()), "Pipeline"),
        (NumpyCNNClassifier, "type"),
    ],
)
def test_other_estimators_are_refused(display, estimator, name, image):
    with pytest.raises(TypeError, match=f"estimator must be a NumpyCNNClassifier, got {name}; pass the"):
        draw(display, estimator, image)


@every_display
def test_the_classifier_must_be_fitted(display, image):
    with pytest.raises(NotFittedError):
        draw(display, NumpyCNNClassifier(), image)


@pytest.mark.parametrize("display", [ActivationsDisplay, OcclusionDisplay])
@pytest.mark.parametrize("path", ["photos/cat.png", Path("photos/cat.png")])
def test_a_path_is_refused_with_what_reads_it(display, grey, path):
    with pytest.raises(TypeError, match=r"got the path 'photos.cat\.png'; read it with datasets\.load_images"):
        draw(display, grey, path)


@every_display
def test_without_matplotlib_the_error_says_what_to_install(display, grey, image, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    text = re.escape(f'{display.__name__} needs matplotlib: pip install "skcnn[plots]"')
    with pytest.raises(ImportError, match=text):
        draw(display, grey, image)


def test_importing_the_displays_imports_no_matplotlib():
    subprocess.run(
        [sys.executable, "-c", "import sys, skcnn.inspection; assert 'matplotlib' not in sys.modules"], check=True
    )


@every_display
def test_a_display_draws_on_the_axes_that_it_is_given_and_draws_again(display, grey, image):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(1, 2)
    drawn = draw(display, grey, image, ax=ax[0])
    assert drawn.figure_ is figure
    assert len(plt.get_fignums()) == 1
    if display is not TrainingDisplay:
        assert drawn.ax_ is ax[0]
    again = drawn.plot()
    assert again is drawn
    assert drawn.figure_ is not figure
    assert len(plt.get_fignums()) == 2


@pytest.mark.parametrize("display", [ActivationsDisplay, OcclusionDisplay])
@pytest.mark.parametrize("shape", [(6, 8), (8, 6, 3), (47,), (8, 6, 1, 1), ()])
def test_images_of_another_shape_are_refused(display, shape, grey):
    text = re.escape(f"image must have the shape (8, 6) or (8, 6, 1) or (48,), got {shape}")
    with pytest.raises(ValueError, match=text):
        display.from_estimator(grey, np.zeros(shape))


@pytest.mark.parametrize("display", [ActivationsDisplay, OcclusionDisplay])
def test_a_batch_is_refused_with_a_hint(display, grey, colour):
    with pytest.raises(ValueError, match=r"pass a single image, such as X\[0\]"):
        display.from_estimator(grey, np.zeros((2, 8, 6)))
    text = r"image must have the shape \(3, 8, 6\) or \(144,\), got \(1, 3, 8, 6\); pass a single image"
    with pytest.raises(ValueError, match=text):
        display.from_estimator(colour, np.zeros((1, 3, 8, 6)))


@pytest.mark.parametrize(("display", "data"), [(ActivationsDisplay, "maps"), (OcclusionDisplay, "change")])
def test_an_image_may_be_flat(display, data, grey, colour, image):
    expected = getattr(display.from_estimator(grey, image), data)
    for same in (image.ravel(), image[..., np.newaxis], image.tolist()):
        np.testing.assert_array_equal(getattr(display.from_estimator(grey, same), data), expected)
    in_colour = np.random.default_rng(0).integers(0, 256, (3, 8, 6)).astype(np.uint8)
    expected = getattr(display.from_estimator(colour, in_colour), data)
    np.testing.assert_array_equal(getattr(display.from_estimator(colour, in_colour.ravel()), data), expected)


@pytest.mark.parametrize("display", [ActivationsDisplay, OcclusionDisplay])
def test_rows_of_a_table_are_images(display, make, data):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(data[0], columns=[f"pixel{i}" for i in range(36)])
    display.from_estimator(make().fit(table, data[1]), table.iloc[0])
