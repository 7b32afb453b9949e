"""A folder of images with a sub-folder for each class."""

import os
import warnings

import numpy as np
import pytest

from skcnn import NumpyCNNClassifier
from skcnn.datasets import load_image_folder, load_images


@pytest.fixture
def folder(save, coloured, tmp_path):
    """Two cats and three dogs."""
    for name in ("dog/3.png", "cat/2.png", "dog/1.PNG", "cat/1.png", "dog/2.png"):
        save(f"animals/{name}", coloured())
    return tmp_path / "animals"


def names(folder, filenames):
    return [os.path.relpath(name, folder).replace(os.sep, "/") for name in filenames]


def test_a_bunch_in_the_order_of_the_names(folder):
    animals = load_image_folder(folder)
    assert animals.data.shape == (5, 6, 8, 3)
    assert animals.data.dtype == np.uint8
    assert animals.target.dtype.kind == "U"
    assert animals.target.tolist() == ["cat", "cat", "dog", "dog", "dog"]
    assert animals.target_names == ["cat", "dog"]
    assert names(folder, animals.filenames) == ["cat/1.png", "cat/2.png", "dog/1.PNG", "dog/2.png", "dog/3.png"]
    np.testing.assert_array_equal(animals.data, load_images(animals.filenames))


def test_images_and_labels(folder):
    X, y = load_image_folder(str(folder), size=(4, 5), grey=True, resize="crop", return_X_y=True)
    assert X.shape == (5, 4, 5)
    assert y.tolist() == ["cat", "cat", "dog", "dog", "dog"]
    np.testing.assert_array_equal(X[0], load_images(folder / "cat/1.png", size=(4, 5), grey=True, resize="crop")[0])


def test_a_classifier_predicts_the_names(save, tmp_path):
    for i in range(8):
        save(f"data/dark/{i}.png", np.full((8, 8), 20 + i, np.uint8))
        save(f"data/bright/{i}.png", np.full((8, 8), 220 + i, np.uint8))
    X, y = load_image_folder(tmp_path / "data", grey=True, return_X_y=True)
    clf = NumpyCNNClassifier(random_state=0).fit(X, y)
    new = save("new.png", np.full((8, 8), 215, np.uint8))
    assert clf.predict(load_images(new, grey=True)).tolist() == ["bright"]


def test_grey_and_coloured_files_can_be_mixed(folder, save):
    save("animals/cat/0.png", np.zeros((6, 8), np.uint8))
    assert load_image_folder(folder).data.shape == (6, 6, 8, 3)
    assert load_image_folder(folder, grey=True).data.shape == (6, 6, 8)


def test_other_files_and_hidden_ones_are_ignored(folder, save, coloured):
    for name in ("Thumbs.db", ".DS_Store", "notes.txt", "._1.png", ".hidden.png", "png", "1.png.txt"):
        (folder / "cat" / name).write_text("no image")
        (folder / name).write_text("no image")
    save("animals/.git/1.png", coloured())
    save("animals/cat/.cache/1.png", coloured())
    assert names(folder, load_image_folder(folder).filenames)[:3] == ["cat/1.png", "cat/2.png", "dog/1.PNG"]


def test_deeper_images_belong_to_the_class(folder, save, coloured):
    for name in ("indoor/1.png", "a/b/c/1.png", "3.png/1.png"):
        save(f"animals/cat/{name}", coloured())
    cats = names(folder, load_image_folder(folder).filenames)[:5]
    assert cats == ["cat/1.png", "cat/2.png", "cat/3.png/1.png", "cat/a/b/c/1.png", "cat/indoor/1.png"]


def test_names_of_any_script(save, coloured, tmp_path):
    for name in ("Füchse/Über uns.png", "猫/写真 1.png", "a, b (c)/'1'.png", "ship.png/1.png"):
        save(f"data/{name}", coloured())
    animals = load_image_folder(tmp_path / "data")
    assert animals.target.tolist() == animals.target_names == ["Füchse", "a, b (c)", "ship.png", "猫"]


def test_links_are_followed_but_not_in_circles(folder, save, coloured, tmp_path):
    save("elsewhere/9.png", coloured())
    try:
        (folder / "fox").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    except OSError:
        pytest.skip("links are not allowed here")
    (folder / "cat" / "3.png").symlink_to(tmp_path / "elsewhere/9.png")
    (folder / "cat" / "all").symlink_to(folder, target_is_directory=True)
    (folder / "dog" / "self").symlink_to(folder / "dog", target_is_directory=True)
    found = names(folder, load_image_folder(folder).filenames)
    dogs = ["dog/1.PNG", "dog/2.png", "dog/3.png"]
    assert found == ["cat/1.png", "cat/2.png", "cat/3.png", *dogs, "fox/9.png"]


def test_a_broken_link_is_an_unreadable_file(folder):
    try:
        (folder / "cat" / "3.png").symlink_to(folder / "gone.png")
    except OSError:
        pytest.skip("links are not allowed here")
    with pytest.raises(OSError, match=r"3\.png \(No such file or directory\)"):
        load_image_folder(folder)


def test_home(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    assert len(load_image_folder("~/animals").data) == 5


def test_the_current_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert len(load_image_folder(".").data) == 5


def test_unreadable_files_are_an_error_that_names_them(folder):
    for name in ("cat/1.png", "dog/2.png"):
        (folder / name).write_text("no image")
    text = (
        r'2 of 5 image files cannot be read: .*1\.png \(.*2\.png \(.*\. To leave out such files, pass on_error="warn"'
    )
    with pytest.raises(OSError, match=text):
        load_image_folder(folder)


def test_unreadable_files_are_left_out_with_a_warning(folder):
    complete = load_image_folder(folder)
    for name in ("cat/1.png", "dog/2.png"):
        (folder / name).write_text("no image")
    with pytest.warns(UserWarning, match=r"2 of 5 image files cannot be read: .*They are left out") as caught:
        rest = load_image_folder(folder, on_error="warn")
    assert caught[0].filename == __file__
    assert names(folder, rest.filenames) == ["cat/2.png", "dog/1.PNG", "dog/3.png"]
    assert rest.target.tolist() == ["cat", "dog", "dog"]
    np.testing.assert_array_equal(rest.data, complete.data[[1, 2, 4]])


def test_a_class_without_readable_files_is_no_class(folder):
    for name in ("cat/1.png", "cat/2.png"):
        (folder / name).write_text("no image")
    without_class = pytest.warns(UserWarning, match="folders cat contain no images that can be read, so they are not c")
    with pytest.warns(UserWarning, match="2 of 5 image files"), without_class:
        assert load_image_folder(folder, on_error="warn").target_names == ["dog"]


def test_if_all_files_are_unreadable_there_is_an_error(folder):
    for path in folder.rglob("*.*"):
        path.write_text("no image")
    with pytest.raises(OSError, match="5 of 5 image files cannot be read"):
        load_image_folder(folder, on_error="warn")


def test_on_error_is_checked(folder):
    with pytest.raises(ValueError, match="on_error must be 'raise' or 'warn', got 'ignore'"):
        load_image_folder(folder, on_error="ignore")


def test_the_first_odd_size_is_named(folder, save, coloured):
    save("animals/dog/1b.png", coloured(9, 7))
    with pytest.raises(ValueError, match=r"1\.png has 6 rows and 8 columns, .*1b\.png has 9 rows and 7 columns"):
        load_image_folder(folder)


def test_an_empty_folder_is_no_class_but_a_warning(folder):
    for name in ("fox", "notes"):
        (folder / name).mkdir()
    (folder / "notes" / "a.txt").touch()
    with pytest.warns(UserWarning, match=r"fox, notes in .* contain no images, so they are not classes"):
        assert load_image_folder(folder).target_names == ["cat", "dog"]


def test_images_beside_the_folders_are_left_out_with_a_warning(folder, save, coloured):
    save("animals/1.png", coloured())
    with pytest.warns(UserWarning, match=r"animals.1\.png belong to no class"):
        assert len(load_image_folder(folder).data) == 5


def test_parts_of_a_data_set_are_probably_not_classes(folder):
    (folder / "cat").rename(folder / "Train")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_image_folder(folder)  # a dog could be beside a train
    (folder / "dog").rename(folder / "test")
    with pytest.warns(UserWarning, match="The classes are Train, test"):
        load_image_folder(folder)


def test_images_that_are_almost_black_cause_a_warning(save, tmp_path):
    for name, largest in (("cat/1.png", 4095), ("dog/1.png", 4000)):
        save(f"data/{name}", np.linspace(0, largest, 48).astype(np.uint16).reshape(6, 8))
    with pytest.warns(UserWarning, match="almost black: their largest pixel is 16 of 255"):
        load_image_folder(tmp_path / "data")


def test_images_without_folders(save, coloured, tmp_path):
    save("data/1.png", coloured())
    with pytest.raises(
        ValueError, match=r"data contains images, but no folders .*such as cat/1\.jpg and dog/1\.jpg"
    ) as caught:
        load_image_folder(tmp_path / "data")
    assert "load_images reads images without classes" in str(caught.value)


@pytest.mark.parametrize("name", ["", "cat/", "cat/a.txt"])
def test_no_images(tmp_path, name):
    pytest.importorskip("PIL")
    path = tmp_path / "data" / name
    (path.parent if path.suffix else path).mkdir(parents=True, exist_ok=True)
    if path.suffix:
        path.touch()
    with pytest.raises(ValueError, match=r"data contains no folders with images\. .*extensions .*\.jpg"):
        load_image_folder(tmp_path / "data")


def test_a_path_that_is_no_folder(save, coloured, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"path must be a folder, but .*gone does not exist"):
        load_image_folder(tmp_path / "gone")
    path = save("a.png", coloured())
    with pytest.raises(NotADirectoryError, match=r"path must be a folder, but .*a\.png is a file"):
        load_image_folder(path)
