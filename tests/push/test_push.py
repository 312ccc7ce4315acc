"""Web push against the RFCs' own vectors, and against a push service on this machine."""
from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.fetch import FetchRefused
from libs.push.messages import CONTENT_BYTES, NoPublicKey, SigningKey, b64, decrypt, encrypt, unb64
from libs.push.sender import Device, Outcome, PushSender, topic_of
from tests.push.service import PushService

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

# RFC 8291, section 5 and appendix A.
SERVER = SigningKey.read("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
PHONE = SigningKey.read("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")
SECRET = unb64("BTBZMqHH6r4Tts7J_aSIgg")
SALT = unb64("DGv6ra1nlYgDCS1FRnbzlw")
MESSAGE = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
    "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_a_message_is_what_the_rfc_says() -> None:
    assert b64(PHONE.public) == "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    made = encrypt(b"When I grow up, I want to be a watermelon", PHONE.public, SECRET, own=SERVER, salt=SALT)
    assert b64(made) == MESSAGE
    assert decrypt(unb64(MESSAGE), PHONE, SECRET) == b"When I grow up, I want to be a watermelon"


@settings(deadline=None)
@given(st.binary(max_size=CONTENT_BYTES - 1).map(lambda content: content + b"."))
def test_only_the_device_reads_it(content: bytes) -> None:
    body = encrypt(content, PHONE.public, SECRET)
    assert len(body) <= 4_096
    assert decrypt(body, PHONE, SECRET) == content
    with pytest.raises(ValueError, match="another device"):
        decrypt(body, SERVER, SECRET)


def test_what_cannot_be_encrypted_is_refused() -> None:
    with pytest.raises(ValueError, match="3,993"):
        encrypt(b"x" * (CONTENT_BYTES + 1), PHONE.public, SECRET)
    with pytest.raises(NoPublicKey):
        encrypt(b"x", b"\x04" + b"\x01" * 64, SECRET)


def test_the_signature_names_the_push_service_and_can_be_checked() -> None:
    key = SigningKey.read(SigningKey.new().text)
    header = key.authorization("https://push.example.com:8443/p/1?a=b", "mailto:ops@example.com", NOW)
    scheme, _, rest = header.partition(" ")
    fields = dict(part.strip().split("=", 1) for part in rest.split(","))
    first, claims, signature = fields["t"].split(".")
    assert (scheme, unb64(fields["k"])) == ("vapid", key.public)
    told = json.loads(unb64(claims))
    assert (told["aud"], told["sub"]) == ("https://push.example.com:8443", "mailto:ops@example.com")
    assert NOW.timestamp() < told["exp"] <= NOW.timestamp() + 86_400
    raw = unb64(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key.public)
    public.verify(der, f"{first}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))  # raises where it does not hold


@asynccontextmanager
async def service() -> AsyncIterator[PushService]:
    async with PushService.running() as running:
        yield running


def sender(**options: object) -> PushSender:
    return PushSender(SigningKey.new(), "mailto:ops@example.com", lambda: NOW, **options)  # type: ignore[arg-type]


async def test_a_push_arrives_with_its_headers() -> None:
    async with service() as push:
        device = push.device()
        sending = sender(allow_private={"127.0.0.1"})
        sent = await sending.send(device.address, b'{"a":1}', ttl_seconds=60, urgency="high", topic=topic_of("x"))
        assert sent.outcome is Outcome.SENT
        (message,) = push.messages
        assert (message.content, message.headers["ttl"], message.headers["urgency"]) == (b'{"a":1}', "60", "high")
        assert len(message.headers["topic"]) == 32
        assert message.headers["content-encoding"] == "aes128gcm"


async def test_each_answer_of_a_push_service_means_something() -> None:
    async with service() as push:
        device = push.device()
        sending = sender(allow_private={"127.0.0.1"})
        for status, outcome in (
            (410, Outcome.GONE), (404, Outcome.GONE), (429, Outcome.LATER), (503, Outcome.LATER), (400, Outcome.REFUSED),
            (302, Outcome.REFUSED),
        ):
            push.status = status
            assert (await sending.send(device.address, b"x", ttl_seconds=1, urgency="low")).outcome is outcome
        push.status, push.retry_after = 429, "120"
        assert (await sending.send(device.address, b"x", ttl_seconds=1, urgency="low")).pause_seconds == 120
    assert (await sending.send(device.address, b"x", ttl_seconds=1, urgency="low")).outcome is Outcome.LATER


@pytest.mark.parametrize(
    "endpoint", ["http://push.example.com/1", "https://127.0.0.1/1", "https://localhost/1", "https://10.0.0.8/1", "ftp://a.example/1", "no"]
)
async def test_only_public_https_is_sent_to(endpoint: str) -> None:
    with pytest.raises(FetchRefused):
        sender().check(endpoint)
    device = Device(endpoint, PHONE.public, SECRET)
    async with asyncio.timeout(30):
        assert (await sender().send(device, b"x", ttl_seconds=1, urgency="low")).outcome is Outcome.REFUSED
