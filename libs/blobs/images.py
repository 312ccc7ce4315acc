"""What becomes of an uploaded image: checked, turned upright, freed of where and with what it was taken, and made small enough to show.

Nothing of the uploaded file survives but its pixels: EXIF, GPS position, comments, colour profiles and hidden appendices stay behind.
"""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageCms, ImageOps

BYTES_MAX: Final = 10 << 20
PIXELS_MAX: Final = 40_000_000
DISPLAY_PIXELS: Final = 2048
THUMBNAIL_PIXELS: Final = 256
FRAMES_MAX: Final = 500

FORMATS: Final = ("JPEG", "PNG", "GIF", "WEBP")
_QUALITY: Final = 85
_TRANSPOSE: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG: Final = 0x0112


class ImageRefused(Exception):
    """The upload cannot be used as an image; the message tells its sender why and what to do."""


class ImageTooLarge(ImageRefused):
    """Too many bytes, pixels or frames."""


class ImageUnreadable(ImageRefused):
    """Not a complete JPEG, PNG, GIF or WebP image."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded image, its media type and its size in pixels."""

    content: bytes
    media_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image to show: `display` has at most 2048 pixels a side, and moves if the original did; `thumbnail` is a still square of 256."""

    display: Picture
    thumbnail: Picture


# One image at a time: decoding 40 megapixels takes up to 200 MB, and a second processor is left to everything else.
_worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="images")


async def prepare_aside(content: bytes, *, bytes_max: int = BYTES_MAX, pixels_max: int = PIXELS_MAX) -> Prepared:
    """`prepare`, away from the event loop, one image at a time."""
    return await asyncio.get_running_loop().run_in_executor(_worker, lambda: prepare(content, bytes_max=bytes_max, pixels_max=pixels_max))


def prepare(content: bytes, *, bytes_max: int = BYTES_MAX, pixels_max: int = PIXELS_MAX) -> Prepared:
    """Check an upload and make what is shown of it. JPEG and WebP stay so, PNG and still GIF become PNG, what moves becomes WebP.

    `pixels_max` counts all frames of an animation. Raises ImageTooLarge and ImageUnreadable.
    """
    if len(content) > bytes_max:
        raise ImageTooLarge(f"The image is larger than {bytes_max / (1 << 20):.0f} MiB. Save it smaller and try again.")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            frames = _frames_within(image, pixels_max)
            return _animation(image, frames) if frames > 1 else _still(image)
    except ImageRefused:
        raise
    except Image.DecompressionBombError:
        raise _too_many_pixels(pixels_max) from None
    except Exception as error:  # decoders raise whatever broken input leads them to
        raise ImageUnreadable("This is not a complete JPEG, PNG, GIF or WebP image. Save it again in one of these formats.") from error


def _too_many_pixels(pixels_max: int) -> ImageTooLarge:
    return ImageTooLarge(
        f"The image has more than {pixels_max / 1e6:.0f} megapixels, all its frames together. Save it smaller and try again."
    )


def _frames_within(image: Image.Image, pixels_max: int) -> int:
    """The number of frames, found without decoding more than the header of each. Raises ImageTooLarge."""
    pixels = image.width * image.height
    if pixels > pixels_max:
        raise _too_many_pixels(pixels_max)
    frames = 1
    if getattr(image, "is_animated", False):
        try:
            image.seek(FRAMES_MAX)
        except EOFError:
            frames = int(getattr(image, "n_frames", 1))
        else:
            raise ImageTooLarge(f"The animation has more than {FRAMES_MAX} frames. Save it shorter and try again.")
        image.seek(0)
    if pixels * frames > pixels_max:
        raise _too_many_pixels(pixels_max)
    return frames


def _still(image: Image.Image) -> Prepared:
    form = image.format or ""
    if form == "JPEG":
        image.draft("RGB", (DISPLAY_PIXELS, DISPLAY_PIXELS))  # decodes at a half, quarter or eighth where that is enough
    shown = _plain(image, _orientation(image))
    return Prepared(_encoded(shown, form), _thumbnail(shown))


def _animation(image: Image.Image, frames: int) -> Prepared:
    orientation, loop = _orientation(image), image.info.get("loop", 1)
    pictures: list[Image.Image] = []
    durations: list[int] = []
    for number in range(frames):
        image.seek(number)
        pictures.append(_plain(image, orientation).convert("RGBA"))
        # Browsers take a missing duration, and one too short to see, for a tenth of a second.
        duration = int(image.info.get("duration", 0) or 0)
        durations.append(duration if duration > 10 else 100)
    out = io.BytesIO()
    pictures[0].save(out, "WEBP", save_all=True, append_images=pictures[1:], duration=durations, loop=loop, quality=75, method=0)
    return Prepared(Picture(out.getvalue(), "image/webp", pictures[0].width, pictures[0].height), _thumbnail(_opaque(pictures[0])))


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # EXIF is written by anybody; broken, it says nothing about what is up
        return 1
    return value if isinstance(value, int) else 1


def _plain(image: Image.Image, orientation: int) -> Image.Image:
    """The pixels as sRGB, small enough, upright, transparent only where they are, and with nothing else attached."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        image = image.point(lambda value: value / 256).convert("L")  # 16 bits a channel
    if "transparency" in image.info or image.mode in ("LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
    elif image.mode in ("P", "1", "L"):
        image = image.convert("RGB")
    # Reduced before anything else is done with it: what follows then costs little, whatever was uploaded.
    if max(image.size) > DISPLAY_PIXELS:
        image.thumbnail((DISPLAY_PIXELS, DISPLAY_PIXELS), Image.Resampling.LANCZOS, reducing_gap=3.0)
    if profile:
        image = _to_srgb(image, profile)
    image = _opaque(image) if image.mode == "RGBA" else image.convert("RGB")
    if orientation in _TRANSPOSE:
        image = image.transpose(_TRANSPOSE[orientation])
    plain = Image.new(image.mode, image.size)
    plain.paste(image)
    return plain


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        target = "RGBA" if image.mode == "RGBA" else "RGB"
        found = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, found, ImageCms.createProfile("sRGB"), outputMode=target)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # colours a little off are better than no image
    return converted if converted is not None else image


def _opaque(image: Image.Image) -> Image.Image:
    """Without its transparency where nothing is transparent."""
    extrema = image.getchannel("A").getextrema()
    return image.convert("RGB") if extrema[0] == 255 else image


def _thumbnail(image: Image.Image) -> Picture:
    square = ImageOps.fit(image, (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), Image.Resampling.LANCZOS)
    return _encoded(square, "JPEG" if square.mode == "RGB" else "PNG")


def _encoded(image: Image.Image, form: str) -> Picture:
    out = io.BytesIO()
    if form == "JPEG":
        image.save(out, "JPEG", quality=_QUALITY, progressive=True, optimize=True)
    elif form == "WEBP":
        image.save(out, "WEBP", quality=_QUALITY, method=2)
    else:
        form = "PNG"
        image.save(out, "PNG")
    return Picture(out.getvalue(), f"image/{form.lower()}", image.width, image.height)
