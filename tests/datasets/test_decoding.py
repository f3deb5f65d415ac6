import io
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import encoded, exif, png_of_size, turned
from PIL import Image, ImageOps

from datasets.decoding import BrokenPictureError, decode, endings

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

SIDE = 8
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def filled(mode: str, colour, **info) -> Image.Image:
    picture = Image.new(mode, (SIDE, SIDE), colour)
    picture.info |= info
    return picture


def palette(**settings) -> bytes:
    picture = Image.new("P", (SIDE, SIDE), 1)
    picture.putpalette([0, 0, 0, 10, 200, 30])
    return encoded(picture, **settings)


def deep(value: int, kind: str = "u2", form: str = "PNG") -> bytes:
    return encoded(np.full((SIDE, SIDE), value, kind), form)


MODES = {
    "1": (encoded(filled("1", 1)), WHITE),
    "L": (encoded(filled("L", 90)), (90, 90, 90)),
    "L, clear": (encoded(filled("L", 90), transparency=90), WHITE),
    "P": (palette(), (10, 200, 30)),
    "P, clear": (palette(transparency=1), WHITE),
    "P, half clear": (palette(transparency=bytes([255, 128])), (132, 227, 142)),
    "P, GIF, clear": (palette(form="GIF", transparency=1), WHITE),
    "LA": (encoded(filled("LA", (90, 255))), (90, 90, 90)),
    "LA, clear": (encoded(filled("LA", (90, 0))), WHITE),
    "RGB, clear": (encoded(filled("RGB", (9, 8, 7)), transparency=(9, 8, 7)), WHITE),
    "RGBA": (encoded(filled("RGBA", (200, 100, 0, 255))), (200, 100, 0)),
    "RGBA, half clear": (encoded(filled("RGBA", (200, 100, 0, 51))), (244, 224, 204)),
    "RGBA, clear": (encoded(filled("RGBA", (200, 100, 0, 0))), WHITE),
    "CMYK": (encoded(filled("CMYK", (0, 255, 255, 0)), "TIFF"), (255, 0, 0)),
    "CMYK, JPEG": (encoded(filled("CMYK", (0, 0, 0, 255)), "JPEG"), BLACK),
    "YCbCr": (encoded(filled("YCbCr", (120, 128, 128)), "TIFF"), (120, 120, 120)),
    "16 bits": (deep(0x5A17), (0x5A, 0x5A, 0x5A)),
    "16 bits, white": (deep(0xFFFF), WHITE),
    "16 bits, dark": (deep(0x00FF), BLACK),
    "16 bits, TIFF": (deep(0x5A17, form="TIFF"), (0x5A, 0x5A, 0x5A)),
    "16 bits, TIFF, the higher byte first": (deep(0x5A17, ">u2", "TIFF"), (0x5A, 0x5A, 0x5A)),
    "16 bits, PGM": (b"P5 8 8 65535 " + b"\x5a\x17" * 64, (0x5A, 0x5A, 0x5A)),
    "32 bits, of which 16 are used": (deep(0x5A17, "i4", "TIFF"), (0x5A, 0x5A, 0x5A)),
    "32 bits, of which more are used": (deep(1 << 20, "i4", "TIFF"), WHITE),
    "32 bits, below 0": (deep(-5, "i4", "TIFF"), BLACK),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_red_green_and_blue(mode):
    content, colour = MODES[mode]
    pixels = decode(content, SIDE, "crop")
    assert (pixels.dtype, pixels.shape) == (np.uint8, (3, SIDE, SIDE))
    np.testing.assert_array_equal(pixels, np.broadcast_to(np.array(colour)[:, None, None], pixels.shape))


ROWS, COLUMNS = np.mgrid[:32, :32] * 8
GRADIENT = np.dstack([ROWS, COLUMNS, (ROWS + COLUMNS) // 2]).astype(np.uint8)
FORMS = {
    "BMP": (encoded(GRADIENT, "BMP"), 0),
    "ICO": (encoded(GRADIENT, "ICO", sizes=[(32, 32)]), 0),
    "JPEG": (encoded(GRADIENT, "JPEG", quality=95), 6),
    "PNG": (encoded(GRADIENT), 0),
    "PPM": (encoded(GRADIENT, "PPM"), 0),
    "TGA": (encoded(GRADIENT, "TGA"), 0),
    "TIFF": (encoded(GRADIENT, "TIFF", compression="tiff_lzw"), 0),
    "WEBP": (encoded(GRADIENT, "WEBP", lossless=True), 0),
    "GIF": (encoded(GRADIENT, "GIF"), 24),
    "GIF, of two frames": (
        encoded(GRADIENT, "GIF", save_all=True, append_images=[Image.new("RGB", (32, 32), "red")]),
        24,
    ),
    "TIFF, of two pages": (
        encoded(GRADIENT, "TIFF", save_all=True, append_images=[Image.new("RGB", (32, 32), "red")]),
        0,
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_format_gives_the_same_picture(form):
    content, most = FORMS[form]
    difference = np.abs(decode(content, 32, "crop").transpose(1, 2, 0).astype(int) - GRADIENT)
    assert difference.max() <= most


def test_of_two_formats_that_take_a_file_the_one_known_by_its_first_bytes_is_right():
    noise = np.random.default_rng(0).integers(0, 256, (170, 170, 3), np.uint8)
    content = encoded(noise, "ICO", sizes=[(170, 170)])
    assert Image.open(io.BytesIO(content), formats=["TGA"]).size != (170, 170)
    np.testing.assert_array_equal(decode(content, 170, "crop").transpose(1, 2, 0), noise)


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("size", [(1600, 1200), (700, 2100)])
def test_large_jpeg_files_look_as_if_all_their_pixels_were_decoded(size, fit):
    rough = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    content = encoded(Image.fromarray(rough).resize(size, Image.Resampling.BICUBIC), "JPEG", quality=90)
    square = (SIDE * 4, SIDE * 4)
    with Image.open(io.BytesIO(content)) as whole:
        plain = {
            "crop": lambda: ImageOps.fit(whole, square, Image.Resampling.BILINEAR),
            "stretch": lambda: whole.resize(square, Image.Resampling.BILINEAR),
            "pad": lambda: ImageOps.pad(whole, square, Image.Resampling.BILINEAR),
        }[fit]()
    difference = np.abs(decode(content, SIDE * 4, fit).transpose(1, 2, 0).astype(int) - np.asarray(plain))
    assert difference.mean() < 2
    assert difference.max() < 16


UPRIGHT = np.random.default_rng(1).integers(0, 256, (4, 8, 3), np.uint8)
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.transpose(1, 0, 2),
    6: np.rot90(UPRIGHT),
    7: UPRIGHT[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(UPRIGHT, -1),
}
"""By EXIF 2.3: which sides of the picture the first row and the first column of the pixels are."""


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_pictures_are_turned_as_their_exif_orientation_says(form, orientation):
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}.get(form, {})
    tags = Image.Exif()
    tags[0x0112] = orientation
    stored, upright = (pixels.repeat(16, 0).repeat(16, 1) for pixels in (STORED[orientation], UPRIGHT))
    found = decode(encoded(stored, form, exif=tags, **options), 8, "stretch").astype(int)
    assert np.abs(found - decode(encoded(upright), 8, "stretch")).max() <= (12 if form == "JPEG" else 0)


DAMAGED = {
    "no tags at all": (b"Exif\0\0", 1),
    "noise": (b"Exif\0\0" + bytes(range(256)), 1),
    "cut off": (exif(turned(6))[:-9], 1),
    "tags beyond the end": (b"Exif\0\0II*\0\xff\xff\0\0", 1),
    "orientation 0": (exif(turned(0)), 1),
    "orientation 9": (exif(turned(9)), 1),
    "orientation as text": (exif((0x0112, 2, 2, b"6\0\0\0")), 1),
    "another tag of the wrong type": (exif((0x011A, 2, 4, b"abc\0"), turned(6)), 6),
    "another tag out of range": (exif((0x0100, 8, 1, b"\xff\xff\0\0"), turned(6)), 6),
    "another tag beyond the end": (exif((0x010F, 2, 400, b"\xff\xff\0\0"), turned(6)), 6),
    "another tag that leads back": (exif(turned(6), (0x8769, 4, 1, b"\x08\0\0\0")), 6),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_what_damage_leaves_of_an_orientation_counts(damage):
    tags, orientation = DAMAGED[damage]
    pixels = np.ascontiguousarray(STORED[orientation])
    found = decode(encoded(pixels, "WEBP", lossless=True, exif=tags), 8, "stretch")
    np.testing.assert_array_equal(found, decode(encoded(UPRIGHT), 8, "stretch"))


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.mark.parametrize(
    ("fit", "seen"),
    [
        ("crop", [[GREEN] * 3] * 3),
        ("stretch", [[RED, GREEN, BLUE]] * 3),
        ("pad", [[BLACK] * 3, [RED, GREEN, BLUE], [BLACK] * 3]),
    ],
)
@pytest.mark.parametrize("scale", [10, 100])
@pytest.mark.parametrize("upright", [False, True], ids=["landscape", "portrait"])
def test_a_picture_is_made_square_as_said(fit, seen, scale, upright):
    stripes = np.array([[RED, GREEN, BLUE]], np.uint8).repeat(scale, 0).repeat(scale, 1)
    expected = np.array(seen)
    if upright:
        stripes, expected = np.ascontiguousarray(stripes.swapaxes(0, 1)), expected.swapaxes(0, 1)
    found = decode(encoded(stripes), 30, fit)[:, 5::10, 5::10].transpose(1, 2, 0)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", [(1, 1000), (1000, 1)], ids=["wide", "high"])
def test_a_line_of_pixels_is_seen_whatever_the_fit(shape):
    content = encoded(np.full(shape, 200, np.uint8))
    assert (decode(content, SIDE, "crop") == 200).all()
    assert (decode(content, SIDE, "stretch") == 200).all()
    padded = decode(content, SIDE, "pad")[0]
    assert sorted({*padded.any(axis=shape.index(1000)).tolist()}) == [False, True]
    assert (padded == 200).sum() == SIDE
    assert (padded == 0).sum() == SIDE * (SIDE - 1)


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
def test_the_smallest_pictures_are_enlarged(fit):
    np.testing.assert_array_equal(decode(encoded(np.full((1, 1), 77, np.uint8)), 5, fit), 77)
    found = decode(encoded(np.array([[0, 255], [0, 255]], np.uint8)), 64, fit)[0]
    assert (found[:, 0].max(), found[:, -1].min()) == (0, 255)
    assert (np.diff(found.astype(int), axis=1) >= 0).all()


SAFE = "more pixels than are safe to decode"
UNKNOWN = "not a picture that Pillow opens"
BROKEN = {
    "empty": (b"", UNKNOWN),
    "text": (b"no picture\n" * 100, UNKNOWN),
    "an error page": (b"<!DOCTYPE html><html><body>404</body></html>", UNKNOWN),
    "zeros": (bytes(1000), UNKNOWN),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>', UNKNOWN),
    "EPS": (encoded(GRADIENT, "EPS"), UNKNOWN),
    "PDF": (encoded(GRADIENT, "PDF"), UNKNOWN),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), UNKNOWN),
    "half a JPEG": (encoded(GRADIENT.repeat(16, 0).repeat(16, 1), "JPEG")[:5000], "image file is truncated"),
    "half a PNG": (FORMS["PNG"][0][: len(FORMS["PNG"][0]) // 2], ""),
    "half a TIFF": (encoded(GRADIENT, "TIFF")[:1000], ""),
    "half a WebP": (FORMS["WEBP"][0][: len(FORMS["WEBP"][0]) // 2], ""),
    "half a BMP": (FORMS["BMP"][0][:1000], "image file is truncated"),
    "only the first bytes of a JPEG": (FORMS["JPEG"][0][:4], ""),
    "a damaged PNG": (FORMS["PNG"][0].replace(b"IDAT", b"IDAT\xff\xff"), ""),
    "floating point": (encoded(np.ones((4, 4), np.float32), "TIFF"), "floating-point pixels have no agreed white"),
    "more pixels than Pillow decodes without a warning": (png_of_size(12_000, 10_000), SAFE),
    "more pixels than Pillow decodes": (png_of_size(30_000, 30_000), SAFE),
    "as many pixels as can be said": (png_of_size(2**31 - 1, 2**31 - 1), SAFE),
    "no pixels at all": (png_of_size(0, 8), ""),
}


@pytest.mark.filterwarnings("default::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_whole_picture_is_said_in_a_few_words(case, recwarn):
    content, reason = BROKEN[case]
    with pytest.raises(BrokenPictureError) as error:
        decode(content, SIDE, "crop")
    assert str(error.value).startswith(reason)
    assert "\n" not in str(error.value)
    assert 0 < len(str(error.value)) <= 120


def test_reasons_are_one_short_line_whatever_pillow_says(monkeypatch):
    def refusing(*args, **keywords):
        raise ValueError("first\n  second " + "long " * 100)

    monkeypatch.setattr(Image, "open", refusing)
    with pytest.raises(BrokenPictureError, match=r"^first second long [long ]{80,100}$"):
        decode(b"", SIDE, "crop")


def test_no_other_program_is_run(tmp_path, monkeypatch):
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {tmp_path}/run\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    with pytest.raises(BrokenPictureError, match=f"^{UNKNOWN}$"):
        decode(BROKEN["EPS"][0], SIDE, "crop")
    assert not (tmp_path / "run").exists()


def test_the_endings_are_those_of_what_can_be_decoded():
    assert {".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"} <= endings()
    assert endings().isdisjoint({".eps", ".ps", ".pdf", ".mpg", ".h5", ".wmf", ".csv", ".txt", ".db", ""})


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.data())
@pytest.mark.filterwarnings("ignore")
def test_any_bytes_are_a_picture_or_broken(data):
    content = bytearray(data.draw(st.one_of(st.binary(max_size=100), st.sampled_from([f[0] for f in FORMS.values()]))))
    for _ in range(data.draw(st.integers(0, 6))) if content else ():
        content[data.draw(st.integers(0, min(len(content), 200) - 1))] = data.draw(st.integers(0, 255))
    side, fit = data.draw(st.integers(1, 12)), data.draw(st.sampled_from(["crop", "stretch", "pad"]))
    try:
        pixels, reason = decode(bytes(content[: data.draw(st.integers(0, len(content)))]), side, fit), "none"
    except BrokenPictureError as error:
        pixels, reason = np.zeros((3, side, side), np.uint8), str(error)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (3, side, side))
    assert (0 < len(reason) <= 120, "\n" in reason) == (True, False)
