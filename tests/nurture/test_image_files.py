"""What becomes of uploaded pictures: what fits, what is refused with words, what is left out of the file."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import ExifTags
from PIL import Image as Raster

from nurture.templating import image_files
from nurture.templating.image_files import BadImage, Prepared, prepared

RED, BLUE = (200, 20, 20), (20, 20, 200)


def picture(
    kind: str, size: tuple[int, int] = (40, 20), *, mode: str = "RGB", colour: Any = RED, **values: Any
) -> bytes:
    made = BytesIO()
    Raster.new(mode, size, colour).save(made, kind, **values)
    return made.getvalue()


def prepare(data: bytes) -> Prepared:
    return prepared(BytesIO(data), len(data))


def opened(found: Prepared) -> Raster.Image:
    image = Raster.open(BytesIO(found.data))
    image.load()
    return image


def moving(frames: int = 3, size: tuple[int, int] = (30, 20), *, kind: str = "GIF", **values: Any) -> bytes:
    colours = [Raster.new("RGB", size, (number * 40 % 256, 90, 200 - number % 150)) for number in range(frames)]
    made = BytesIO()
    colours[0].save(made, kind, save_all=True, append_images=colours[1:], **values)
    return made.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A file of a few bytes that claims to be huge."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("kind", "becomes"), [("PNG", "png"), ("JPEG", "jpg"), ("GIF", "png"), ("WEBP", "jpg")])
def test_each_kind_becomes_what_every_mail_program_shows(kind: str, becomes: str) -> None:
    found = prepare(picture(kind))
    assert (found.kind, found.width, found.height) == (becomes, 40, 20)
    assert opened(found).format == {"png": "PNG", "jpg": "JPEG"}[becomes]
    pixel = opened(found).convert("RGB").getpixel((20, 10))
    assert isinstance(pixel, tuple)
    assert all(abs(has - wanted) < 8 for has, wanted in zip(pixel, RED, strict=True))


def test_transparency_stays() -> None:
    for data in (
        picture("PNG", mode="RGBA", colour=(10, 200, 10, 0)),
        picture("WEBP", mode="RGBA", colour=(10, 200, 10, 0), lossless=True, exact=True),
    ):
        found = prepare(data)
        assert (found.kind, opened(found).convert("RGBA").getpixel((0, 0))) == ("png", (10, 200, 10, 0))


def test_the_same_picture_is_the_same_file() -> None:
    assert (
        prepare(picture("PNG")).sha256 == prepare(picture("PNG")).sha256 != prepare(picture("PNG", colour=BLUE)).sha256
    )


def test_what_a_camera_wrote_is_left_out_and_the_picture_stands_upright() -> None:
    exif = Raster.Exif()
    exif[ExifTags.Base.Orientation] = 6  # lies on its side
    exif[ExifTags.Base.Artist] = "Ada Secret"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 31.0, 12.0)
    found = prepare(picture("JPEG", exif=exif, comment=b"secret words"))
    assert (found.width, found.height) == (20, 40)
    assert b"Secret" not in found.data
    assert b"secret" not in found.data
    assert dict(opened(found).getexif()) == {}


def test_what_hangs_behind_a_picture_is_left_out() -> None:
    found = prepare(picture("PNG") + b"<script>alert(1)</script>PK\x03\x04")
    assert b"script" not in found.data


def test_large_ones_are_made_smaller_and_it_is_said() -> None:
    found = prepare(picture("JPEG", (4000, 1000)))
    assert (found.width, found.height, found.remarks) == (2000, 500, ("made smaller: 2000 × 500",))
    assert prepare(picture("PNG", (2000, 10))).remarks == ()


def test_odd_colours() -> None:
    assert opened(prepare(picture("JPEG", mode="CMYK", colour=(0, 200, 200, 0)))).mode == "RGB"
    assert opened(prepare(picture("JPEG", mode="L", colour=90))).mode == "L"
    assert opened(prepare(picture("PNG", mode="I;16", colour=900))).mode in ("L", "RGB")
    assert opened(prepare(picture("PNG", mode="P", colour=3))).mode in ("P", "RGB")


def test_moving_pictures_keep_their_frames_and_pace() -> None:
    found = prepare(moving(duration=[100, 250, 70], loop=0, comment=b"secret"))
    image: Any = opened(found)
    assert (found.kind, image.n_frames, image.info["loop"]) == ("gif", 3, 0)
    paces = []
    for number in range(3):
        image.seek(number)
        paces.append(image.info["duration"])
    assert paces == [100, 250, 70]
    assert b"secret" not in found.data


def test_a_picture_that_plays_once_plays_once() -> None:
    assert "loop" not in opened(prepare(moving(duration=100))).info


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "It is no picture that mails can show: PNG, JPEG, GIF or WebP fit."),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "It is no picture that mails can show"),
        (b"<html><script>alert(1)</script>", "It is no picture that mails can show"),
        (b"GIF89a<script>alert(1)</script>", "It is no picture that mails can show"),
        (picture("BMP"), "It is no picture that mails can show"),
        (picture("TIFF"), "It is no picture that mails can show"),
        (picture("PNG", (200, 200))[:-30], "damaged"),
        (picture("JPEG", (900, 900))[:2000], "damaged"),
        (png_header(6000, 6000), "It has too many pixels; 30 million fit. Make it smaller."),
        (png_header(10_000, 10_000), "It has too many pixels"),
        (png_header(60_000, 60_000), "It has too many pixels"),
        (png_header(500, 500), "damaged"),
        (moving(kind="PNG"), "Pictures that move must be GIFs"),
        (moving(kind="WEBP"), "Pictures that move must be GIFs"),
        (moving(2, (2001, 4)), "A moving picture may be 2000 pixels wide and high."),
        (moving(201, (2, 2)), "It has 201 frames; 200 fit."),
    ],
)  # fmt: skip
def test_refused_with_what_would_fit(data: bytes, words: str) -> None:
    with pytest.raises(BadImage, match=words):
        prepare(data)


def test_too_heavy_is_refused_before_it_is_read() -> None:
    with pytest.raises(BadImage, match=r"It has 5\.0 MB; 5 MB fit\."):
        prepared(BytesIO(b""), image_files.MOST_BYTES + 1)


def test_all_frames_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "MOST_MOVING_PIXELS", 1000)
    with pytest.raises(BadImage, match="too many pixels"):
        prepare(moving(3, (30, 20)))
