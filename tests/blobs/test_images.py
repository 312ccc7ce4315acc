"""Uploaded images: what is accepted, what becomes of it, and what is refused, made here and from real and hostile files."""

from __future__ import annotations

import asyncio
import io
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from libs.blobs import images
from libs.blobs.images import ImageTooLarge, ImageUnreadable, Picture, Prepared, prepare
from libs.blobs.store import sniff
from libs.testing.world import shared_data

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::PIL.Image.DecompressionBombWarning")

QUADRANTS = {(0, 0): (220, 20, 20), (1, 0): (20, 220, 20), (0, 1): (20, 20, 220), (1, 1): (220, 220, 20)}


def drawn(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """Red, green, blue and yellow quarters, so that turning shows."""
    image = Image.new("RGB", (width, height))
    for (x, y), colour in QUADRANTS.items():
        image.paste(colour, (x * width // 2, y * height // 2, (x + 1) * width // 2, (y + 1) * height // 2))
    return image.convert(mode)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def opened(picture: Picture) -> Image.Image:
    image = Image.open(io.BytesIO(picture.content))
    assert image.size == (picture.width, picture.height)
    assert f"image/{(image.format or '').lower()}" == picture.media_type == sniff(picture.content)
    return image


def corner(image: Image.Image, x: int, y: int) -> tuple[int, int]:
    """Which quarter of the drawing stands in this corner now."""
    pixel = image.convert("RGB").getpixel((image.width * (1 + 2 * x) // 4, image.height * (1 + 2 * y) // 4))
    assert isinstance(pixel, tuple)
    return min(QUADRANTS, key=lambda each: sum(abs(a - b) for a, b in zip(QUADRANTS[each], pixel, strict=True)))


def check(prepared: Prepared) -> None:
    """What holds for every prepared image: it opens, is small enough, and carries nothing but pixels."""
    for picture in (prepared.display, prepared.thumbnail):
        image = opened(picture)
        image.load()
        assert not image.getexif()
        assert image.info.keys().isdisjoint({"exif", "icc_profile", "comment", "xmp", "XML:com.adobe.xmp", "photoshop", "Comment"})
    assert max(prepared.display.width, prepared.display.height) <= images.DISPLAY_PIXELS
    assert (prepared.thumbnail.width, prepared.thumbnail.height) == (images.THUMBNAIL_PIXELS,) * 2


@pytest.mark.parametrize(("form", "shown"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("GIF", "image/png"), ("WEBP", "image/webp")])
def test_the_four_formats_are_accepted(form: str, shown: str) -> None:
    prepared = prepare(encoded(drawn(), form))
    check(prepared)
    assert (prepared.display.media_type, prepared.display.width, prepared.display.height) == (shown, 64, 48)
    assert [corner(opened(prepared.display), *place) for place in QUADRANTS] == list(QUADRANTS)
    assert [corner(opened(prepared.thumbnail), *place) for place in QUADRANTS] == list(QUADRANTS)


@pytest.mark.parametrize("form", ["BMP", "TIFF", "ICO", "PPM", "TGA", "PCX", "JPEG2000", "PDF"])
def test_other_formats_are_refused_with_what_to_do(form: str) -> None:
    with pytest.raises(ImageUnreadable, match="Save it again in one of these formats"):
        prepare(encoded(drawn(), form))


@pytest.mark.parametrize("size", [(5000, 1000), (1000, 5000), (2049, 2049), (30_000, 1), (1, 30_000)])
def test_large_images_are_reduced_in_proportion(size: tuple[int, int]) -> None:
    prepared = prepare(encoded(drawn(*size), "PNG"))
    check(prepared)
    assert max(prepared.display.width, prepared.display.height) == images.DISPLAY_PIXELS
    scale = images.DISPLAY_PIXELS / max(size)
    assert abs(prepared.display.width - max(1, size[0] * scale)) <= 1
    assert abs(prepared.display.height - max(1, size[1] * scale)) <= 1


def test_small_images_are_not_enlarged() -> None:
    prepared = prepare(encoded(drawn(2, 2), "PNG"))
    assert (prepared.display.width, prepared.display.height) == (2, 2)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_images_are_turned_upright(form: str, orientation: int) -> None:
    upright = drawn()
    # How a camera held so would have stored the upright picture.
    undo = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}
    stored = upright
    for step in undo.get(orientation, []):
        stored = stored.transpose(Image.Transpose(step))
    exif = Image.Exif()
    exif[0x0112] = orientation
    prepared = prepare(encoded(stored, form, exif=exif.tobytes()))
    check(prepared)
    assert (prepared.display.width, prepared.display.height) == upright.size
    assert [corner(opened(prepared.display), *place) for place in QUADRANTS] == list(QUADRANTS)


def test_nothing_of_the_file_survives_but_its_pixels() -> None:
    secret = b"52.5163N 13.3777E"
    exif = Image.Exif()
    exif[0x010E] = secret.decode()
    exif.get_ifd(0x8825)[0x001D] = secret.decode()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", secret.decode(), zip=False)
    for content in (
        encoded(drawn(), "JPEG", exif=exif.tobytes(), comment=secret, xmp=secret, icc_profile=profile) + secret,
        encoded(drawn(), "PNG", exif=exif.tobytes(), pnginfo=text, icc_profile=profile) + secret,
        encoded(drawn(), "WEBP", exif=exif.tobytes(), xmp=secret, icc_profile=profile) + secret,
        encoded(drawn(), "GIF", comment=secret) + secret,
        encoded(drawn(), "WEBP", exif=exif.tobytes(), xmp=secret, save_all=True, append_images=[drawn(mode="L")]) + secret,
    ):
        assert secret in content
        prepared = prepare(content)
        check(prepared)
        assert secret not in prepared.display.content + prepared.thumbnail.content


@pytest.mark.parametrize(
    ("mode", "form"),
    [("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("LA", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG"), ("L", "JPEG"), ("RGBA", "WEBP")],
)
def test_every_colour_mode_is_shown(mode: str, form: str) -> None:
    prepared = prepare(encoded(drawn(mode=mode), form))
    check(prepared)
    assert opened(prepared.display).mode in ("RGB", "RGBA")
    assert opened(prepared.display).convert("L").getextrema() != (0, 0)


def test_sixteen_bits_keep_their_brightness() -> None:
    prepared = prepare(encoded(Image.new("I;16", (8, 8), 0x8000), "PNG"))
    assert opened(prepared.display).getpixel((4, 4)) == (128, 128, 128)


def test_transparency_stays_where_there_is_some() -> None:
    clear = drawn(mode="RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 0))
    for form in ("PNG", "WEBP"):
        shown = opened(prepare(encoded(clear, form)).display)
        assert shown.mode == "RGBA"
        assert shown.getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert opened(prepare(encoded(drawn(mode="RGBA"), "PNG")).display).mode == "RGB"


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
def test_animations_keep_moving(form: str) -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "blue")]
    prepared = prepare(encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=[100, 200, 300], loop=0))
    check(prepared)
    shown = opened(prepared.display)
    assert (shown.format, shown.n_frames, shown.info.get("loop")) == ("WEBP", 3, 0)  # type: ignore[attr-defined]
    durations = []
    for number in range(3):
        shown.seek(number)
        shown.load()
        durations.append(shown.info["duration"])
    assert durations == [100, 200, 300]
    assert not getattr(opened(prepared.thumbnail), "is_animated", False)


def png_header(width: int, height: int) -> bytes:
    """A small file that claims to be a huge image."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(6325, 6325), (40_000_001, 1), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_bombs_are_refused_by_their_header(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooLarge, match="more than 40 megapixels"):
        prepare(png_header(*size))


def test_limits_can_be_set() -> None:
    content = encoded(drawn(100, 100), "PNG")
    assert prepare(content, bytes_max=len(content), pixels_max=10_000).display.width == 100
    with pytest.raises(ImageTooLarge, match="larger than"):
        prepare(content, bytes_max=len(content) - 1)
    with pytest.raises(ImageTooLarge, match="megapixels"):
        prepare(content, pixels_max=9_999)


def test_animations_are_limited_in_frames_and_in_all_their_pixels() -> None:
    frames = [Image.new("RGB", (100, 100), ("red", "blue")[number % 2]) for number in range(20)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert prepare(content, pixels_max=200_000).display.width == 100
    with pytest.raises(ImageTooLarge, match="megapixels"):
        prepare(content, pixels_max=199_999)
    many = [Image.new("RGB", (2, 2), ("red", "blue")[number % 2]) for number in range(images.FRAMES_MAX + 1)]
    with pytest.raises(ImageTooLarge, match="more than 500 frames"):
        prepare(encoded(many[0], "GIF", save_all=True, append_images=many[1:]))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP"])
def test_incomplete_files_are_refused(form: str) -> None:
    whole = encoded(Image.effect_noise((200, 200), 50).convert("RGB"), form)
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(ImageUnreadable):
            prepare(whole[: int(len(whole) * share)])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_files_are_shown_or_refused(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP"]))
    content = bytearray(encoded(drawn(32, 32), form))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        prepared = prepare(bytes(content))
    except images.ImageRefused:
        return
    check(prepared)


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"GIF89a", b"\xff\xd8\xff", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"RIFF\0\0\0\0WEBP"]
)
def test_what_is_no_image_is_refused(content: bytes) -> None:
    with pytest.raises(ImageUnreadable):
        prepare(content)


async def test_preparing_aside_leaves_the_loop_free() -> None:
    content = encoded(drawn(), "JPEG")
    prepared = await asyncio.gather(*(images.prepare_aside(content) for _ in range(4)))
    assert prepared == [prepare(content)] * 4
    with pytest.raises(ImageTooLarge):
        await images.prepare_aside(content, bytes_max=10)


def shared(*folders: str) -> list[Path]:
    root = shared_data()
    if root is None:
        pytest.skip("the folder of real data beside the repository is absent")
    return sorted(path for folder in folders for path in (root / "data" / folder).rglob("*") if path.is_file())


def test_real_images_are_shown_and_nothing_else_is() -> None:
    refused = set()
    for path in shared("media/images", "media/smallest"):
        try:
            check(prepare(path.read_bytes()))
        except ImageUnreadable:
            refused.add(path.suffix)
    assert refused == {
        ".heif",
        ".heic",
        ".bmp",
        ".ico",
        ".tif",
        ".gif",
        ".webp",
        ".jxl",
        ".mp3",
        ".mp4",
        ".pdf",
        ".svg",
        ".wav",
        ".webm",
        ".zip",
    }
    # Of .gif and .webp only the smallest, which have a header and no picture.
    assert all(path.stat().st_size < 30 for path in shared("media") if path.suffix in (".gif", ".webp") and not _accepted(path))


def _accepted(path: Path) -> bool:
    try:
        prepare(path.read_bytes())
    except ImageUnreadable:
        return False
    return True


def test_photographs_held_every_way_stand_upright() -> None:
    for path in shared("media/images/orientation"):
        prepared = prepare(path.read_bytes())
        assert (prepared.display.width > prepared.display.height) == path.name.startswith("Landscape"), path.name


def test_hostile_files_are_refused_or_made_harmless() -> None:
    accepted = []
    for path in shared("hostile/images-pillow", "hostile/uploads", "hostile/svg"):
        content = path.read_bytes()
        try:
            prepared = prepare(content)
        except images.ImageRefused:
            continue
        check(prepared)
        assert b"<?php" not in prepared.display.content + prepared.thumbnail.content
        assert b"<script" not in (prepared.display.content + prepared.thumbnail.content).lower()
        accepted.append(path.name)
    assert "GIF_exploit.gif" in accepted, "a picture with a program behind it is a picture"
    assert {"decompression_bomb.gif", "truncated_jpeg.jpg", "truncated_image.png", "broken.png", "xss.html"}.isdisjoint(accepted)
    assert not [name for name in accepted if name.endswith((".svg", ".tif", ".dds", ".blp", ".avi", ".html"))]
