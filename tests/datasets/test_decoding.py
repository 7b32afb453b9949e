"""One image file as an array: every kind of pixels, sizes, and files that cannot be read."""

import os

import numpy as np
import pytest

from skcnn.datasets import load_images

Image = pytest.importorskip("PIL.Image")

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
RED = (255, 0, 0)


def three(grey):
    return np.stack([grey] * 3, axis=-1)


def read(path, **parameters):
    return load_images(path, **parameters)[0]


def test_colours(save, coloured):
    pixels = coloured()
    np.testing.assert_array_equal(read(save("a.png", pixels)), pixels)
    grey = read(save("a.png", pixels), grey=True)
    np.testing.assert_allclose(grey, pixels @ [0.299, 0.587, 0.114], atol=1)


def test_grey_files_have_equal_channels(save):
    np.testing.assert_array_equal(read(save("a.png", GREY)), three(GREY))
    np.testing.assert_array_equal(read(save("a.png", GREY), grey=True), GREY)


@pytest.mark.parametrize("extension", ["bmp", "gif", "pgm", "png", "tif", "tiff", "PNG", "TiF"])
def test_formats_without_loss(save, extension):
    np.testing.assert_array_equal(read(save(f"a.{extension}", GREY), grey=True), GREY)


@pytest.mark.parametrize("extension", ["avif", "ico", "jfif", "jp2", "jpe", "jpeg", "JPG", "webp"])
def test_other_formats(save, extension):
    if f".{extension.lower()}" not in Image.registered_extensions():
        pytest.skip(f"this Pillow cannot write .{extension}")
    image = Image.new("RGB", (16, 16), (200, 100, 50))
    np.testing.assert_allclose(read(save(f"a.{extension}", image)).mean(axis=(0, 1)), (200, 100, 50), atol=3)


@pytest.mark.parametrize(
    ("mode", "name", "expected"),
    [
        ("1", "a.png", (255, 255, 255)),
        ("1", "a.tif", (255, 255, 255)),
        ("P", "a.png", RED),
        ("P", "a.gif", RED),
        ("P", "a.bmp", RED),
        ("CMYK", "a.tif", RED),
        ("CMYK", "a.jpg", RED),
        ("YCbCr", "a.jpg", RED),
        ("RGBA", "a.png", RED),
        ("LA", "a.png", (76, 76, 76)),
    ],
)
@pytest.mark.parametrize("grey", [False, True])
def test_modes(save, mode, name, expected, grey):
    image = Image.new("L", (8, 6), 255) if mode == "1" else Image.new("RGB", (8, 6), RED)
    pixels = read(save(name, image.convert(mode)), grey=grey)
    expected = np.array(expected) @ [0.299, 0.587, 0.114] if grey else expected
    np.testing.assert_allclose(pixels, np.broadcast_to(expected, pixels.shape), atol=2)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<i4"])
def test_16_bits_are_scaled_not_clipped(save, name, dtype):
    pixels = np.linspace(0, 65535, 48).round().astype(dtype).reshape(6, 8)
    can_be_saved = {"a.png": "<u2", "a.pgm": "<i4"}.get(name, dtype)
    path = save(name, pixels.astype(can_be_saved))
    np.testing.assert_array_equal(read(path, grey=True), np.rint(pixels / 257))
    np.testing.assert_array_equal(read(path), three(np.rint(pixels / 257)))


def test_floating_point_pixels_are_scaled_from_0_to_1(save):
    pixels = np.linspace(0, 1, 48).astype(np.float32).reshape(6, 8)
    np.testing.assert_array_equal(read(save("a.tif", pixels), grey=True), np.rint(pixels * 255))


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.float32([[0, 255]]), "pixels from 0 to 255, but 0 to 1 can be read"),
        (np.float32([[0, np.nan]]), "pixels from nan to nan, but 0 to 1 can be read"),
        (np.int32([[-5, 7]]), "pixels from -5 to 7, but 0 to 65535 can be read"),
        (np.int32([[0, 70_000]]), "pixels from 0 to 70000, but 0 to 65535 can be read"),
    ],
)
def test_pixels_of_unknown_range_are_an_error(save, pixels, reason):
    with pytest.raises(OSError, match=reason):
        load_images(save("a.tif", pixels))


def transparent_palette():
    image = Image.new("P", (8, 6), 1)
    image.putpalette([0, 0, 0, *RED])
    return image


@pytest.mark.parametrize(
    ("name", "image", "options", "expected"),
    [
        ("a.png", Image.new("RGBA", (8, 6), (10, 20, 30, 0)), {}, 255),
        ("a.png", Image.new("RGBA", (8, 6), (0, 0, 0, 128)), {}, 127),
        ("a.png", Image.new("LA", (8, 6), (10, 0)), {}, 255),
        ("a.png", Image.new("RGB", (8, 6), (5, 6, 7)), {"transparency": (5, 6, 7)}, 255),
        ("a.png", Image.new("L", (8, 6), 5), {"transparency": 5}, 255),
        ("a.png", Image.new("1", (8, 6), 0), {"transparency": 0}, 255),
        ("a.png", transparent_palette(), {"transparency": 1}, 255),
        ("a.png", transparent_palette(), {"transparency": b"\xff\x80"}, (255, 127, 127)),
        ("a.gif", transparent_palette(), {"transparency": 1}, 255),
        ("a.tif", Image.new("RGBA", (8, 6), (10, 20, 30, 0)), {}, 255),
    ],
)
def test_transparent_pixels_become_white(save, name, image, options, expected):
    pixels = read(save(name, image, **options))
    np.testing.assert_allclose(pixels, np.broadcast_to(expected, (6, 8, 3)), atol=1)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
@pytest.mark.parametrize(
    ("orientation", "shown"),
    [
        (1, lambda x: x),
        (2, lambda x: x[:, ::-1]),
        (3, lambda x: x[::-1, ::-1]),
        (4, lambda x: x[::-1]),
        (5, lambda x: x.transpose(1, 0, 2)),
        (6, lambda x: np.rot90(x, -1)),
        (7, lambda x: np.rot90(x, 2).transpose(1, 0, 2)),
        (8, np.rot90),
        (9, lambda x: x),
    ],
)
def test_photographs_are_turned_upright(save, name, orientation, shown):
    exif = Image.Exif()
    exif[0x0112] = orientation
    corners = np.zeros((16, 32, 3), np.uint8)
    corners[:8, :16], corners[:8, 16:], corners[8:, :16] = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    path = save(name, corners, exif=exif)
    expected = shown(corners)
    assert read(path).shape == expected.shape
    np.testing.assert_allclose(read(path)[4::8, 4::8].astype(int), expected[4::8, 4::8], atol=8)
    resized = read(path, size=(expected.shape[0] // 2, expected.shape[1] // 2))
    np.testing.assert_allclose(resized[2::4, 2::4].astype(int), expected[4::8, 4::8], atol=8)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage" + bytes(range(200)), b"Exif\0\0MM\0*\0\0\0\x08\0\0", b"Exif"])
def test_damaged_exif_is_ignored(save, coloured, exif):
    path = save("a.jpg", coloured(16, 16), exif=exif)
    assert read(path).shape == (16, 16, 3)


def test_of_an_animation_the_first_image_is_read(save):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    for name in ("a.gif", "a.tif", "a.png"):
        path = save(name, frames[0], save_all=True, append_images=frames[1:])
        np.testing.assert_array_equal(read(path), np.full((6, 8, 3), RED))


def test_the_content_counts_not_the_extension(save, coloured, tmp_path):
    pixels = coloured()
    save("a.png", pixels).rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read(tmp_path / "a.jpg"), pixels)


# one quarter is red; the image is twice as wide as high
WIDE = np.zeros((32, 64, 3), np.uint8)
WIDE[:16, :32] = RED


def test_stretch_uses_the_whole_image(save):
    pixels = read(save("a.png", WIDE), size=16)
    assert pixels.shape == (16, 16, 3)
    expected = np.zeros((16, 16), bool)
    expected[:8, :8] = True
    np.testing.assert_array_equal(pixels[..., 0] > 127, expected)


def test_crop_cuts_off_both_sides(save):
    pixels = read(save("a.png", WIDE), size=16, resize="crop")
    expected = np.zeros((16, 16), bool)
    expected[:8, :8] = True  # the red quarter from column 16 of 64 on, and the other half up to column 48
    np.testing.assert_array_equal(pixels[..., 0] > 127, expected)
    high = read(save("b.png", np.ascontiguousarray(WIDE.transpose(1, 0, 2))), size=(4, 8), resize="crop")
    assert (high[..., 0] > 127).tolist() == [[True] * 4 + [False] * 4] * 2 + [[False] * 8] * 2


@pytest.mark.parametrize("grey", [False, True])
def test_pad_adds_white_borders(save, grey):
    pixels = read(save("a.png", np.zeros((32, 64, 3), np.uint8)), size=16, resize="pad", grey=grey)
    rows = pixels.reshape(16, -1)
    assert (rows[:4] == 255).all()
    assert (rows[4:12] == 0).all()
    assert (rows[12:] == 255).all()


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("shape", [(1, 1000), (1000, 1), (1, 1), (3, 2), (5, 7), (300, 200)])
@pytest.mark.parametrize("size", [(5, 7), (1, 1), [7, 5], 12, np.int64(3)])
def test_any_aspect_ratio_fits(save, resize, shape, size):
    path = save("a.png", np.full((*shape, 3), 9, np.uint8))
    pixels = read(path, size=size, resize=resize)
    assert pixels.shape == (*np.broadcast_to(size, 2), 3)
    assert pixels.min() == 9


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_an_image_of_this_size_is_not_changed(save, coloured, resize):
    pixels = coloured(6, 8)
    np.testing.assert_array_equal(read(save("a.png", pixels), size=(6, 8), resize=resize), pixels)


def test_fine_patterns_become_their_mean(save):
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 255
    np.testing.assert_allclose(read(save("a.png", stripes), size=16, grey=True)[:, 1:-1], 128, atol=2)


def test_large_jpegs_look_the_same_though_only_a_part_is_decoded(save, rng):
    pixels = np.asarray(Image.fromarray(rng.integers(0, 256, (8, 6, 3)).astype(np.uint8)).resize((900, 1200)))
    for resize in ("stretch", "crop", "pad"):
        exact = read(save("a.png", pixels), size=(40, 50), resize=resize).astype(int)
        assert np.abs(read(save("a.jpg", pixels, quality=95), size=(40, 50), resize=resize) - exact).max() < 12


def test_damaged_files_are_named(save, coloured, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.gif").touch()
    (tmp_path / "program.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    names = ["text.png", "empty.gif", "program.jpg"]
    for name in names:
        with pytest.raises(OSError, match=f"1 of 1 image files .*{name} .not an image that Pillow can read"):
            load_images(tmp_path / name)
    for name in ("a.jpg", "a.png"):
        path = save(name, coloured(64, 64))
        path.write_bytes(path.read_bytes()[:-1500])
        with pytest.raises(OSError, match=rf"{name} \(.*truncated"):
            load_images(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(OSError, match=r"gone\.png \(No such file or directory\)"):
        load_images(tmp_path / "gone.png")
    with pytest.raises(
        OSError, match=r"cannot be read: .* \(a folder: .*sorted\(Path\(folder\)\.glob\('\*\.jpg'\)\)\)"
    ):
        load_images(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OSError, match=r"pipe\.png \(not a file\)"):
        load_images(tmp_path / "pipe.png")


def test_heic_needs_another_package(tmp_path):
    (tmp_path / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(90))
    with pytest.raises(OSError, match=r"a\.HEIC \(needs the package pillow-heif\)"):
        load_images(tmp_path / "a.HEIC")


def test_an_enormous_image_is_refused(save, coloured, monkeypatch):
    path = save("a.png", coloured(30, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    with pytest.raises(OSError, match=r"a\.png \(Image size \(900 pixels\) exceeds limit.*PIL.Image.MAX_IMAGE_PIXELS"):
        load_images(path, size=4)
