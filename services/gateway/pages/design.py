"""The component page: every component in all its states, over people and posts made up for it."""
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from litestar import Response

from ..http import AnyRequest
from ..views import (
    AudienceView,
    ChartNode,
    CommunityRef,
    CommunityRow,
    DesignPage,
    Form,
    NotificationView,
    PersonRef,
    PersonRow,
    PostView,
    ReactionView,
    ReadConfirmation,
    SearchResult,
)
from . import convert
from .common import get, render, shell
from .posts import compose_view

_NOBODY: Final = "00000000-0000-7000-8000-0000000000"
INES: Final = PersonRef(id=_NOBODY + "01", name="Ines Marchetti", handle="ines", title="Process engineer", pronouns="she/her")
MEI: Final = PersonRef(id=_NOBODY + "02", name="田中 芽衣", handle="mei", title="Quality")
OMAR: Final = PersonRef(id=_NOBODY + "03", name="عمر الخطيب", handle="omar", title="مدير المشاريع")
GONE: Final = PersonRef(id=_NOBODY + "04", name="Tess de Vries", title="Field service", has_left=True)
ERASED: Final = PersonRef(id=_NOBODY + "05", name="", is_erased=True)
GUILD: Final = CommunityRef(id=_NOBODY + "11", name="Sealing guild", kind="closed")


def _posts(now: datetime) -> list[PostView]:
    everyone = AudienceView(kind="everyone")
    text = (
        "The **new film** runs: 40 metres without a tear. Details for everybody who asked:\n\n"
        "- web tension 12 N\n- dryer at 80 °C\n\n> Slower is faster.\n\nMore at https://example.com and under #sealing."
    )
    return [
        PostView(
            id=_NOBODY + "21", author=INES, audience=everyone, body_html=convert.rendered(text), publish_time=now - timedelta(minutes=12),
            language="en", edit_time=now - timedelta(minutes=3), reply_count=4, is_saved=True, can_edit=True, can_delete=True,
            reactions=[ReactionView(emoji="👍", count=12, is_mine=True), ReactionView(emoji="🎉", count=3)],
            confirmation=ReadConfirmation(count=7, total=0),
        ),
        PostView(
            id=_NOBODY + "22", author=MEI, audience=AudienceView(kind="community", name=GUILD.name, url="#part-posts"),
            body_html=convert.rendered("明日の監査の準備ができました。ありがとうございます!"),
            publish_time=now - timedelta(hours=5), language="ja",
        ),
        PostView(
            id=_NOBODY + "23", author=OMAR, audience=AudienceView(kind="people", people=[INES, MEI], size=2),
            body_html=convert.rendered("هل يمكننا اللقاء غدًا؟"), publish_time=now - timedelta(days=2), language="ar",
        ),
        PostView(
            id=_NOBODY + "24", author=GONE, audience=everyone, body_html=convert.rendered("Thank you all for nine good years."),
            publish_time=now - timedelta(days=40), language="en",
        ),
        PostView(
            id=_NOBODY + "25", author=ERASED, audience=everyone, body_html="", publish_time=now - timedelta(days=400), is_deleted=True
        ),
    ]


@get("/design")
async def design(request: AnyRequest) -> Response[bytes]:
    """Every component in all its states."""
    around = await shell(request)
    now = around.now
    assert now is not None
    form = Form(values={"audience": "everyone"})
    page = DesignPage(
        shell=around, posts=_posts(now), compose=compose_view(request, around, form=form),
        people=[
            PersonRow(person=INES, department="Process engineering", location="Lyon", is_following=True),
            PersonRow(person=MEI, department="Quality", location="名古屋"),
            PersonRow(person=OMAR, department="Projects", location="دبي"),
            PersonRow(person=GONE, department="Service", can_follow=False),
        ],
        communities=[
            CommunityRow(
                id=_NOBODY + "12", name="Test bench", kind="open", description="What runs, what does not, and who has the torque wrench.",
                member_count=214, last_post_time=now - timedelta(hours=1), faces=[INES, MEI, OMAR],
            ),
            CommunityRow(id=GUILD.id, name=GUILD.name, kind="closed", description="Seals.", member_count=12, membership="requested"),
            CommunityRow(id=_NOBODY + "13", name="Move to Lyon", kind="secret", member_count=5, membership="member"),
        ],
        notifications=[
            NotificationView(
                kind="reaction", url="#part-lists", time=now - timedelta(minutes=2), people=[INES, MEI], count=5, emojis=["👍", "🎉"],
                excerpt="The new film runs: 40 metres without a tear.", is_unread=True,
            ),
            NotificationView(kind="reply", url="#part-lists", time=now - timedelta(hours=3), people=[OMAR], excerpt="Which tension?"),
            NotificationView(kind="join_request", url="#part-lists", time=now - timedelta(days=1), people=[GONE], community=GUILD),
            NotificationView(kind="follow", url="#part-lists", time=now - timedelta(days=3), people=[MEI]),
        ],
        results=[
            SearchResult(
                kind="person", url="#part-lists", title_html="Ines <mark>Marchetti</mark>", snippet_html="Film webs and dryers",
                person=INES,
            ),
            SearchResult(
                kind="post", url="#part-lists", title_html="Ines Marchetti", snippet_html="The new <mark>film</mark> runs: 40 metres",
                person=INES, time=now - timedelta(days=2), language="en",
            ),
            SearchResult(kind="community", url="#part-lists", title_html="<mark>Sealing</mark> guild", community=GUILD),
        ],
        chart=ChartNode(
            person=INES, report_count=3, is_centre=True,
            reports=[ChartNode(person=MEI, report_count=1, reports=[ChartNode(person=GONE)]), ChartNode(person=OMAR)],
        ),
    )
    return render(request, page)
