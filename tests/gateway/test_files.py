"""Images: what is taken in, what is given out, and to whom."""
from __future__ import annotations

import io

from PIL import Image

from .conftest import Network


def picture(width: int = 640, height: int = 400, form: str = "JPEG") -> bytes:
    held = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "Camera with a serial number"
    Image.new("RGB", (width, height), (20, 90, 160)).save(held, form, exif=exif)
    return held.getvalue()


async def test_an_image_from_upload_to_post(network: Network) -> None:
    ada, bo = network.administrator, await network.person("Bo Berg")
    made = await ada.post("/uploads", files={"file": ("pump.jpg", picture(), "image/jpeg")})
    assert made.status_code == 201, made.text
    upload = made.json()
    assert (upload["width"], upload["height"], upload["media_type"]) == (640, 400, "image/jpeg")
    post = await ada.post(
        "/posts", {"body": "The new pump", "attachments": [{"blob_id": upload["blob_id"], "description": "A blue pump"}]}
    )
    assert post.status_code == 201, post.text
    attached = post.json()["attachments"][0]
    assert attached["description"] == "A blue pump"
    assert attached["size_bytes"] == upload["size_bytes"]

    shown = await bo.client.get(attached["url"])
    assert shown.status_code == 200
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "sandbox" in shown.headers["content-security-policy"]
    assert "script-src" not in shown.headers["content-security-policy"]
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert b"serial number" not in shown.content
    assert (await bo.client.get(attached["url"], headers={"if-none-match": shown.headers["etag"]})).status_code == 304
    small = await bo.client.get(upload["thumbnail_url"])
    assert Image.open(io.BytesIO(small.content)).size == (256, 256)
    assert (await network.anybody.client.get(attached["url"])).status_code == 401


async def test_a_thumbnail_is_made_where_an_import_left_none(network: Network) -> None:
    ref = await network.gateway.blobs.put(picture(), "image/jpeg", limit_bytes=1 << 20)
    for _ in range(2):
        small = await network.administrator.client.get(f"/media/{ref.id}?size=thumbnail")
        assert Image.open(io.BytesIO(small.content)).size == (256, 256)


async def test_the_image_itself_may_be_the_body(network: Network) -> None:
    made = await network.administrator.client.post("/api/v1/uploads", content=picture(form="PNG"), headers={"content-type": "image/png"})
    assert made.status_code == 201, made.text


async def test_a_photo_of_oneself(network: Network) -> None:
    bo = await network.person("Bo Berg")
    blob_id = (await bo.post("/uploads", files={"file": picture()})).json()["blob_id"]
    assert (await bo.put(f"/people/{bo.id}/photo", {"blob_id": blob_id})).json()["photo_url"] == f"/media/{blob_id}"
    assert (await bo.put(f"/people/{bo.id}/photo", {"blob_id": "f" * 64 + "-image.png"})).status_code == 400
    assert (await bo.delete(f"/people/{bo.id}/photo")).json()["photo_url"] is None


async def test_what_is_no_image_is_refused(network: Network) -> None:
    ada = network.administrator
    for content in (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", picture()[:200], b"GIF89a", b"x"):
        refused = await ada.post("/uploads", files={"file": ("x.png", content, "image/png")})
        assert refused.status_code == 400, refused.text
        assert refused.json()["field"] == "file"
    assert (await ada.post("/uploads", files={"picture": picture()})).status_code == 400
    assert (await ada.client.post("/api/v1/uploads", content=b"x", headers={"content-type": "text/html"})).status_code == 415
    assert (await ada.client.post("/api/v1/uploads", content=b"x", headers={"content-type": "multipart/form-data"})).status_code == 400
    large = b"\xff\xd8\xff" + b"x" * network.gateway.context.settings.image_bytes_max
    assert (await ada.post("/uploads", files={"file": large})).status_code == 413
    assert (await network.anybody.post("/uploads", files={"file": picture()})).status_code == 401


async def test_unknown_files_are_not_found(network: Network) -> None:
    for name in ("nothing", "0" * 64 + "-image.png", "x" * 900, "..%2f..%2fetc%2fpasswd"):
        assert (await network.administrator.client.get(f"/media/{name}")).status_code == 404
    assert (await network.administrator.client.get("/media/nothing?size=huge")).status_code == 400
