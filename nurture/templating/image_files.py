"""What people upload as a picture becomes a file that every mail program shows: decoded in full, made anew, without what a camera wrote into it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any

from django.utils.translation import gettext as _
from PIL import Image as Raster
from PIL import ImageOps, ImageSequence, UnidentifiedImageError

MOST_BYTES = 5_000_000  # of an upload
MOST_PIXELS = 30_000_000  # of an upload: a picture of a telephone has 12 million; decoded it takes 120 MB for a moment
LONGEST_SIDE = 2_000  # pixels of what is kept: three times a mail's width, for the sharpest screens
MOST_FRAMES = 200  # of a moving picture
MOST_MOVING_PIXELS = 60_000_000  # of all frames together
JPEG_QUALITY = 88

READ = ("PNG", "JPEG", "GIF", "WEBP")  # and what telephones make of JPEG, which says MPO once it is open
PNG, JPEG, GIF = "png", "jpg", "gif"
CONTENT_TYPES = {PNG: "image/png", JPEG: "image/jpeg", GIF: "image/gif"}
_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})

Raster.init()  # else the reader of WebP may not be there yet


class BadImage(Exception):
    """It cannot become a picture of a mail; the message says why, and what would fit, for people."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The bytes that are served, and what was done to the upload."""

    kind: str
    data: bytes
    width: int
    height: int
    remarks: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def prepared(file: IO[bytes], size: int) -> Prepared:
    """Raises BadImage. Only what the bytes say counts, not the name or what the browser calls it."""
    if size > MOST_BYTES:
        raise BadImage(
            _("It has %(has)s MB; %(most)s MB fit. Save it smaller, or as a JPEG.")
            % {"has": f"{size / 1e6:.1f}", "most": MOST_BYTES // 1_000_000}
        )
    try:
        picture = Raster.open(file, formats=READ)
        _check_size(picture)
        return (
            _moving(picture) if getattr(picture, "is_animated", False) and picture.format == "GIF" else _still(picture)
        )
    except UnidentifiedImageError as error:
        raise BadImage(_("It is no picture that mails can show: PNG, JPEG, GIF or WebP fit.")) from error
    except (Raster.DecompressionBombError, Raster.DecompressionBombWarning) as error:
        raise BadImage(_too_many(MOST_PIXELS)) from error
    except BadImage:
        raise
    except Exception as error:  # readers of broken files raise whatever they stumble over
        raise BadImage(_("The file is damaged: it cannot be read to its end. Save it once more.")) from error


def _too_many(most: int) -> str:
    return _("It has too many pixels; %(most)d million fit. Make it smaller.") % {"most": most // 1_000_000}


def _check_size(picture: Raster.Image) -> None:
    if picture.width * picture.height > MOST_PIXELS:
        raise BadImage(_too_many(MOST_PIXELS))


# --- Pictures that stand still -------------------------------------------------------------------------------------------


def _still(picture: Raster.Image) -> Prepared:
    is_photo = picture.format in ("JPEG", "MPO")
    if getattr(picture, "is_animated", False) and not is_photo:
        raise BadImage(_("Pictures that move must be GIFs: mail programs show no other kind moving."))
    was_webp = picture.format == "WEBP"
    if is_photo:
        picture.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # decoded no larger than is kept
    picture.load()
    found = ImageOps.exif_transpose(picture)
    has_alpha = found.has_transparency_data
    remarks = []
    if was_webp:
        remarks.append(
            _("made a PNG, since Outlook shows no WebP") if has_alpha else _("made a JPEG, since Outlook shows no WebP")
        )
    if max(found.size) > LONGEST_SIDE:
        if found.mode not in ("L", "RGB", "RGBA"):
            found = found.convert("RGBA" if has_alpha else "RGB")
        found.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        remarks.append(_("made smaller: %(width)d × %(height)d") % {"width": found.width, "height": found.height})
    if is_photo or (was_webp and not has_alpha):
        return _saved(found if found.mode in ("L", "RGB") else found.convert("RGB"), JPEG, remarks)
    if found.mode not in _PNG_MODES:
        found = found.convert("RGBA" if has_alpha else "RGB")
    return _saved(found, PNG, remarks)


def _saved(picture: Raster.Image, kind: str, remarks: list[str]) -> Prepared:
    """Nothing but the pixels, their colours' profile and what is transparent goes into the new file."""
    kept = ("icc_profile", "transparency") if kind == PNG else ("icc_profile",)
    picture.info = {key: picture.info[key] for key in kept if key in picture.info}
    made = BytesIO()
    if kind == JPEG:
        picture.save(
            made,
            "JPEG",
            quality=JPEG_QUALITY,
            optimize=True,
            progressive=True,
            icc_profile=picture.info.get("icc_profile"),
        )
    else:
        picture.save(made, "PNG", optimize=True)
    return Prepared(kind, made.getvalue(), picture.width, picture.height, tuple(remarks))


# --- Pictures that move --------------------------------------------------------------------------------------------------


def _moving(picture: Raster.Image) -> Prepared:
    frames = int(getattr(picture, "n_frames", 1))
    if max(picture.size) > LONGEST_SIDE:
        raise BadImage(_("A moving picture may be %(most)d pixels wide and high.") % {"most": LONGEST_SIDE})
    if frames > MOST_FRAMES:
        raise BadImage(_("It has %(has)d frames; %(most)d fit.") % {"has": frames, "most": MOST_FRAMES})
    if frames * picture.width * picture.height > MOST_MOVING_PIXELS:
        raise BadImage(_too_many(MOST_MOVING_PIXELS))
    repeats = {"loop": picture.info["loop"]} if "loop" in picture.info else {}  # without the word it plays once
    found: list[Raster.Image] = []
    durations: list[Any] = []
    for frame in ImageSequence.Iterator(picture):
        durations.append(frame.info.get("duration", 100))
        copy = frame.copy()
        copy.info = {key: value for key, value in copy.info.items() if key == "transparency"}
        found.append(copy)
    made = BytesIO()
    found[0].save(made, "GIF", save_all=True, append_images=found[1:], duration=durations, **repeats)
    data = made.getvalue()
    return Prepared(GIF, data, picture.width, picture.height)
