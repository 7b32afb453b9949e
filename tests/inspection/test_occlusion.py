import re

import numpy as np
import pytest

from skcnn.inspection import OcclusionDisplay


def slow_change(clf, image, index, patch, stride, value):
    """The change of a probability, one prediction after the other. `image` is (h, w, c)."""
    h, w, _ = image.shape

    def probability(pixels):
        return clf.predict_proba(pixels[np.newaxis])[0, index]

    change = np.zeros((-(-h // stride), -(-w // stride)))
    for i, j in np.ndindex(change.shape):
        row, column = min(i * stride + stride // 2, h - 1), min(j * stride + stride // 2, w - 1)
        covered = image.copy()
        for y, x in np.ndindex(h, w):
            top, left = row - patch[0] // 2, column - patch[1] // 2
            if top <= y < top + patch[0] and left <= x < left + patch[1]:
                covered[y, x] = value
        change[i, j] = probability(covered) - probability(image)
    return change


@pytest.mark.parametrize(("patch_size", "patch"), [(None, (2, 2)), (3, (3, 3)), ((1, 4), (1, 4)), (7, (7, 7))])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_change_is_that_of_one_patch_after_the_other(grey, image, patch_size, patch, stride):
    display = OcclusionDisplay.from_estimator(grey, image, patch_size=patch_size, stride=stride)
    index = grey.predict_proba(image[np.newaxis])[0].argmax()
    expected = slow_change(grey, image[..., np.newaxis], index, patch, stride, image.mean())
    np.testing.assert_allclose(display.change, expected, atol=1e-12)
    assert display.label == grey.predict(image[np.newaxis])[0]
    assert display.probability == grey.predict_proba(image[np.newaxis])[0, index]
    np.testing.assert_array_equal(display.heatmap_.get_array(), display.change)
    np.testing.assert_array_equal(display.image_.get_array(), image)
    left, right, bottom, top = display.heatmap_.get_extent()
    assert (left, top) == (-0.5, -0.5)
    assert (right - left, bottom - top) == tuple(stride * n for n in reversed(display.change.shape))
    assert (*display.ax_.get_xlim(), *display.ax_.get_ylim()) == (-0.5, 5.5, 7.5, -0.5)


@pytest.mark.parametrize("label", ["bag", "hat", "shoe"])
def test_any_class_can_be_of_interest(grey, image, label):
    display = OcclusionDisplay.from_estimator(grey, image, class_of_interest=label, fill=0.5)
    expected = slow_change(grey, image[..., np.newaxis], list(grey.classes_).index(label), (2, 2), 1, 0.5)
    np.testing.assert_allclose(display.change, expected, atol=1e-12)
    limit = np.abs(display.change).max()
    assert display.heatmap_.get_clim() == (-limit, limit)
    assert display.ax_.get_title().startswith(f"probability of {label}: 0.")


def test_colours_are_covered_by_their_own_means(colour):
    image = np.random.default_rng(0).integers(0, 256, (3, 8, 6)).astype(np.uint8)
    before = image.copy()
    display = OcclusionDisplay.from_estimator(colour, image, patch_size=20, stride=8)
    np.testing.assert_array_equal(image, before)
    even = np.broadcast_to(np.rint(image.mean(axis=(1, 2)))[:, np.newaxis, np.newaxis], image.shape)
    both = colour.predict_proba(np.stack([image, even.astype(np.uint8)]))
    index = both[0].argmax()
    np.testing.assert_allclose(display.change, [[both[1, index] - both[0, index]]], atol=1e-6)


def test_signals_are_lines(signal):
    row = np.random.default_rng(1).normal(size=(1, 20, 2))
    display = OcclusionDisplay.from_estimator(signal, row, patch_size=3, stride=2)
    assert display.image_ is None
    assert display.change.shape == (1, 10)
    for channel, line in enumerate(display.lines_):
        np.testing.assert_array_equal(line.get_ydata(), row[0, :, channel])
    assert display.ax_.get_xlim() == (-0.5, 19.5)


def test_two_classes(make, data):
    X, y = data
    clf = make().fit(X, y == 0)
    for_true = OcclusionDisplay.from_estimator(clf, X[0], class_of_interest=True)
    for_false = OcclusionDisplay.from_estimator(clf, X[0], class_of_interest=False)
    np.testing.assert_allclose(for_true.change, -for_false.change, atol=1e-12)


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"class_of_interest": "sock"}, "class_of_interest='sock' must be one of the classes ['bag', 'hat', 'shoe']"),
        ({"patch_size": 0}, "patch_size must be an int, a pair (rows, columns) of ints or None, got 0"),
        ({"patch_size": (2, 2, 2)}, "patch_size must be an int, a pair"),
        ({"patch_size": (2, 7)}, "patch_size=(2, 7) does not fit the image of 8x6 pixels"),
        ({"stride": 0.5}, "stride must be an int of at least 1 or None, got 0.5"),
        ({"fill": np.nan}, "fill must be a finite number or None, got nan"),
        ({"fill": "black"}, "fill must be a finite number or None, got 'black'"),
    ],
)
def test_wrong_arguments_are_named(grey, image, kwargs, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        OcclusionDisplay.from_estimator(grey, image, **kwargs)
