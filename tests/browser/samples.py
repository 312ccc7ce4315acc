"""One sample of every page, in the state that shows most: what screenshots.py draws and what the accessibility tests read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import msgspec

from services.gateway import views as v
from services.gateway import views_delivery as vd
from services.gateway.navigation import navigation
from services.gateway.views_posts import QuotesPage, RepostsPage

NOW = datetime(2026, 11, 23, 14, 20, tzinfo=UTC)


def _ago(**delta: float) -> datetime:
    return NOW - timedelta(**delta)


def _id(number: int) -> str:
    return f"019aa000-0000-7000-8000-{number:012d}"


def _person(number: int, name: str, handle: str, title: str = "", **more: object) -> v.PersonRef:
    return v.PersonRef(id=_id(number), name=name, handle=handle, title=title, **more)  # type: ignore[arg-type]


ROSA = _person(1, "Rosa Almeida", "rosa.almeida", "Head of communications, Porto", pronouns="she/her")
HENRIK = _person(2, "Henrik Dahl", "henrik.dahl", "Chief executive")
NADIA = _person(3, "Nadia Benkirane", "nadia.benkirane", "Materials engineer, Lyon", pronouns="she/her")
KENJI = _person(4, "森 健二", "kenji.mori", "品質管理、名古屋")
LENA = _person(5, "Lena Vogt", "lena.vogt", "Werkleiterin, Kassel")
OMAR = _person(6, "عمر الخطيب", "omar.khatib", "Field service, Amman")
TESS = _person(7, "Tess O’Rourke", "tess.orourke", "Data engineer, Cork")
IVO = _person(8, "Ivo Petrov", "ivo.petrov", "Plant electrician", has_left=True)
GONE = _person(9, "", "", is_erased=True)
AMINA = _person(10, "Amina Diallo", "amina.diallo", "Supply planning, Dakar")
GUS = _person(
    11,
    "Gustavo Bartholomew Fernández-Villanueva de la Torre",
    "gustavo.fernandez",
    "Senior principal engineer for coatings, adhesives and surface treatment",
)
EVERYBODY = [ROSA, HENRIK, NADIA, KENJI, LENA, OMAR, TESS, AMINA, GUS, IVO]

COATINGS = v.CommunityRef(id=_id(101), name="Coatings and films")
SAFETY = v.CommunityRef(id=_id(102), name="Safety first", unread_count=2)
CYCLING = v.CommunityRef(id=_id(103), name="Radfahren Kassel")
WORKS = v.CommunityRef(id=_id(104), name="Works council", kind="closed")
COMMUNITIES = [COATINGS, SAFETY, CYCLING, WORKS]

LANGUAGES = [
    v.Option(value=tag, label=label, is_chosen=tag == "en")
    for tag, label in (("en", "English"), ("de", "Deutsch"), ("fr", "Français"), ("ja", "日本語"), ("ar", "العربية"))
]


def _post(number: int, author: v.PersonRef, body: str, audience: v.AudienceView, when: datetime, **more: object) -> v.PostView:
    return v.PostView(id=_id(number), author=author, body_html=body, audience=audience, publish_time=when, **more)  # type: ignore[arg-type]


EVERYONE = v.AudienceView(kind="everyone")
IN_COATINGS = v.AudienceView(kind="community", name=COATINGS.name, url=COATINGS.url)
IN_CYCLING = v.AudienceView(kind="community", name=CYCLING.name, url=CYCLING.url)

ANNOUNCEMENT = _post(
    201,
    HENRIK,
    "<p><strong>Porto and Lyon become one laboratory on 1 February.</strong> Nobody moves house; the two teams share one bench "
    "plan, one budget and one lead, <a class='mention' href='/people/3'>@nadia.benkirane</a>.</p><p>I answer questions below until six today.</p>",
    EVERYONE,
    _ago(minutes=12),
    reactions=[
        v.ReactionView(emoji="🎉", count=48, is_mine=True),
        v.ReactionView(emoji="👏", count=17),
        v.ReactionView(emoji="🤔", count=4),
    ],
    reply_count=23,
    confirmation=v.ReadConfirmation(count=746, total=1204),
    language="en",
)
QUESTION = _post(
    202,
    NADIA,
    "<p>Does anyone have peel values for the new primer on <em>cold</em> film, below 5 °C? Ours drop by a third after one night in "
    "the warehouse, and the data sheet starts at 15. <a class='hashtag' href='/tags/primer'>#primer</a></p>",
    IN_COATINGS,
    _ago(hours=3, minutes=5),
    reactions=[v.ReactionView(emoji="👀", count=6)],
    reply_count=7,
    is_saved=True,
    edit_time=_ago(hours=2),
    language="en",
    can_edit=True,
    can_delete=True,
)
GERMAN = _post(
    203,
    LENA,
    "<p>Die Duschen im Neubau sind fertig, und der Radkeller hat jetzt 60 Plätze mit Steckdosen. Wer am Donnerstag mitfährt: "
    "7:10 an der Fuldabrücke.</p><ul><li>Licht nicht vergessen</li><li>Kaffee geht auf mich</li></ul>",
    IN_CYCLING,
    _ago(hours=7),
    language="de",
    images=[
        v.ImageView(url="/media/sample-wide.png", description="Radkeller mit zwei langen Reihen leerer Ständer", width=1200, height=675)
    ],
    reactions=[v.ReactionView(emoji="❤️", count=9)],
)
JAPANESE = _post(
    204,
    KENJI,
    "<p>三号ラインの不良率が先月より二割下がりました。乾燥温度を一定に保つだけで効果がありました。手順書は<a href='/posts/1'>こちら</a>です。</p>",
    EVERYONE,
    _ago(days=1, hours=4),
    language="ja",
    reply_count=2,
)
ARABIC = _post(
    205,
    OMAR,
    "<p>وصلت قطع الغيار إلى عمّان هذا الصباح، ونبدأ التركيب غدًا. شكرًا لفريق التخطيط على السرعة.</p>",
    v.AudienceView(kind="followers"),
    _ago(days=2),
    language="ar",
    reactions=[v.ReactionView(emoji="🙏", count=12)],
)
PRIVATE = _post(
    206,
    TESS,
    "<p>Draft figures for Thursday: scrap is down to 2.4 %, rework to 1.1 %. <code>scrap_rate</code> in the plant table now counts trial runs apart.</p>",
    v.AudienceView(kind="people", people=[AMINA, LENA], size=4),
    _ago(days=4),
    reply_count=1,
)
PREVIEW = v.PreviewView(
    url="https://www.example.com/adhesives/cold-film", title="Peel strength on cold film: twelve primers compared",
    site="Adhesives today", description="Twelve primers, four temperatures, and why most data sheets stop at fifteen degrees.",
    image_url="/media/sample-wide.png", image_width=1200, image_height=675,
)
POLL = v.PollView(
    options=[
        v.PollOption(label="Thursday 7:10 at the bridge", count=31, share=0.62, is_mine=True),
        v.PollOption(label="Friday after the early shift, with everybody who comes by train from the north", count=14, share=0.28),
        v.PollOption(label="Not this week", count=5, share=0.1),
    ],
    voter_count=50, close_time=NOW + timedelta(days=2), has_voted=True,
)
OPEN_POLL = v.PollView(
    options=[v.PollOption(label=label, count=count, share=count / 20) for label, count in (("Good", 12), ("Bad", 5), ("I do not know yet", 3))],
    voter_count=20, close_time=NOW + timedelta(hours=5), is_anonymous=True, is_multiple=True,
)
SHARED_POSTS = [
    _post(
        211, NADIA, "<p>Values for cold film, at last.</p>", EVERYONE, _ago(minutes=30), preview=PREVIEW, language="en", can_repost=True,
        repost_count=4, quote_count=2, reposted_by=TESS, repost_id=_id(212), repost_time=_ago(minutes=2), is_reposted=True,
    ),
    _post(213, LENA, "<p>Wann fahren wir?</p>", IN_CYCLING, _ago(hours=1), poll=POLL, language="de", can_repost=True, can_pin=True),
    _post(
        214, ROSA, "<p>How was the move? Say it freely.</p>", EVERYONE, _ago(hours=2), poll=OPEN_POLL, language="en", can_repost=True,
        can_pin_in_community=True, is_thread_muted=True,
    ),
    _post(
        215, GUS, "<p>I could not have said it better.</p>", EVERYONE, _ago(hours=3), is_quote=True, quoted=GERMAN, language="en",
        can_repost=True,
    ),
    _post(216, AMINA, "<p>See what was decided there.</p>", EVERYONE, _ago(hours=4), is_quote=True, language="en", can_repost=True),
    _post(
        217, KENJI, "<p>The photograph shows the injured hand after the treatment.</p>", EVERYONE, _ago(hours=5),
        warning="Accident report, with a picture", is_sensitive=True, images=GERMAN.images, language="en", can_repost=True,
    ),
]
PINNED_POST = _post(
    218, HENRIK, "<p>How this page is used: announcements stay here.</p>", EVERYONE, _ago(days=90), at_head=True, is_pinned=True, language="en",
)
POSTS = [ANNOUNCEMENT, QUESTION, GERMAN, JAPANESE, ARABIC, PRIVATE]


def _reply(number: int, author: v.PersonRef, body: str, when: datetime, *replies: v.PostView, **more: object) -> v.PostView:
    return _post(number, author, body, IN_COATINGS, when, root_id=QUESTION.id, replies=list(replies), in_reply_to=NADIA, **more)


THREAD = v.PostView(
    **{
        **{field: getattr(QUESTION, field) for field in QUESTION.__struct_fields__},
        "replies": [
            _reply(
                301,
                GUS,
                "<p>We measured at 2 °C in spring: 1.8 N/15 mm after 24 h, 2.6 once the roll had warmed to 12. Acclimatise it overnight in the hall.</p>",
                _ago(hours=2, minutes=40),
                _reply(
                    302,
                    NADIA,
                    "<p>Thank you, that fits. How thick was the film?</p>",
                    _ago(hours=2, minutes=30),
                    _reply(303, GUS, "<p>40 µm, cast.</p>", _ago(hours=2, minutes=25)),
                    can_edit=True,
                ),
                reactions=[v.ReactionView(emoji="💡", count=5, is_mine=True)],
            ),
            _post(
                304,
                IVO,
                "",
                IN_COATINGS,
                _ago(hours=2),
                root_id=QUESTION.id,
                is_deleted=True,
                replies=[
                    _reply(305, TESS, "<p>For what it is worth, the warehouse sensors show 3 °C for most of last week.</p>", _ago(hours=1))
                ],
            ),
            _reply(306, GONE, "<p>[erased]</p>", _ago(minutes=50)),
            _reply(307, KENJI, "<p>名古屋でも同じ傾向です。来週データを送ります。</p>", _ago(minutes=18), language="ja"),
        ],
    }
)


def shell(path: str, **more: object) -> v.Shell:
    """A signed-in administrator's shell, three notifications unread."""
    fields: dict[str, object] = {
        "organization_name": "Halden & Søn",
        "viewer": v.Viewer(person=ROSA, is_administrator=True, locale="en", time_zone="Europe/Lisbon"),
        "csrf_token": "sample",
        "path": path,
        "nav": navigation(unread_count=3),
        "communities": COMMUNITIES,
        "unread_count": 3,
        "now": NOW,
    }
    return v.Shell(**{**fields, **more})  # type: ignore[arg-type]


def plain(path: str) -> v.Shell:
    """The shell of one who has not signed in."""
    return v.Shell(organization_name="Halden & Søn", csrf_token="sample", path=path, now=NOW)


COMPOSE = v.ComposeView(
    communities=COMMUNITIES,
    languages=LANGUAGES,
    request_id=_id(900),
    reach={"everyone": 1204, "followers": 88, f"community:{COATINGS.id}": 214},
)
REFUSED = v.ComposeView(
    communities=COMMUNITIES,
    languages=LANGUAGES,
    audience="people",
    form=v.Form(
        values={
            "body": "The figures for Thursday, before they go round.",
            "audience": "people",
            "people": "@nobody.here",
            "image_description": "",
        },
        errors={"people": "Nobody is called @nobody.here.", "image_description": "Describe the image in a few words."},
    ),
)
ROWS = [
    v.PersonRow(
        person=person,
        department=("Research", "Operations", "Data")[number % 3],
        location=("Porto", "Lyon", "Kassel")[number % 3],
        is_following=number % 3 == 0,
        can_follow=person is not ROSA and not person.has_left,
    )
    for number, person in enumerate(EVERYBODY)
]
COMMUNITY_ROWS = [
    v.CommunityRow(
        id=COATINGS.id,
        name=COATINGS.name,
        kind="open",
        description="Films, primers, lacquers and everything that sticks or should not. Questions welcome; bring curves.",
        member_count=214,
        membership="owner",
        last_post_time=_ago(minutes=4),
        faces=[NADIA, GUS, KENJI],
    ),
    v.CommunityRow(
        id=SAFETY.id,
        name=SAFETY.name,
        kind="open",
        description="Near misses, lessons and the monthly walk-round.",
        member_count=1204,
        membership="member",
        last_post_time=_ago(hours=2),
        faces=[LENA, AMINA],
    ),
    v.CommunityRow(
        id=CYCLING.id,
        name=CYCLING.name,
        kind="open",
        description="Mit dem Rad zur Arbeit, im Sommer auch weiter.",
        member_count=31,
        membership="none",
        last_post_time=_ago(days=1),
    ),
    v.CommunityRow(
        id=WORKS.id,
        name=WORKS.name,
        kind="closed",
        description="For elected members; minutes are published for all.",
        member_count=9,
        membership="none",
    ),
    v.CommunityRow(id=_id(105), name="Merger preparation", kind="closed", description="", member_count=3, membership="requested"),
]
COMMUNITY = v.CommunityView(
    id=COATINGS.id,
    name=COATINGS.name,
    handle="coatings",
    kind="open",
    description=COMMUNITY_ROWS[0].description,
    rules_html="<ul><li>Bring numbers with their conditions.</li><li>No customer names.</li></ul>",
    tags=["primer", "film", "adhesion"],
    member_count=214,
    membership="owner",
    owners=[ROSA],
    moderators=[NADIA],
    members=[NADIA, GUS, KENJI, TESS, LENA],
    create_time=_ago(days=700),
    can_moderate=True,
    can_edit=True,
    request_count=2,
)
CLOSED = v.CommunityView(
    id=WORKS.id,
    name=WORKS.name,
    handle="works-council",
    kind="closed",
    description=COMMUNITY_ROWS[3].description,
    member_count=9,
    can_read=False,
    owners=[LENA],
)
NOTIFICATIONS = [
    v.NotificationView(
        kind="reply",
        url="/posts/1",
        time=_ago(minutes=8),
        people=[NADIA, GUS],
        count=5,
        excerpt="We measured at 2 °C in spring: 1.8 N/15 mm after 24 h.",
        is_unread=True,
    ),
    v.NotificationView(
        kind="reaction",
        url="/posts/1",
        time=_ago(hours=1),
        people=[TESS],
        count=1,
        emojis=["🎉", "👏"],
        excerpt="The winter campaign starts on Monday.",
        is_unread=True,
    ),
    v.NotificationView(
        kind="join_request",
        url="/communities/1/requests",
        time=_ago(hours=5),
        people=[AMINA, OMAR],
        count=2,
        community=COATINGS,
        is_unread=True,
    ),
    v.NotificationView(
        kind="mention", url="/posts/2", time=_ago(days=1), people=[LENA], excerpt="@rosa.almeida kannst du das in den Newsletter nehmen?"
    ),
    v.NotificationView(kind="follow", url="/people/4", time=_ago(days=2), people=[KENJI, HENRIK, AMINA], count=9),
    v.NotificationView(kind="admitted", url="/communities/2", time=_ago(days=6), people=[], community=SAFETY),
]
RESULTS = [
    v.SearchResult(kind="person", url=NADIA.url, title_html="<mark>Nadia</mark> Benkirane", person=NADIA),
    v.SearchResult(
        kind="post",
        url="/posts/1",
        title_html="Peel values for the new <mark>primer</mark> on cold film",
        snippet_html="Does anyone have peel values for the new <mark>primer</mark> on cold film, below 5 °C? Ours drop by a third after one night in the warehouse.",
        person=NADIA,
        community=COATINGS,
        time=_ago(hours=3),
        language="en",
    ),
    v.SearchResult(
        kind="community",
        url=COATINGS.url,
        title_html="Coatings and films",
        snippet_html="Films, <mark>primers</mark>, lacquers and everything that sticks or should not.",
        community=COATINGS,
    ),
    v.SearchResult(
        kind="post",
        url="/posts/2",
        title_html="Neue <mark>Primer</mark> im Lager",
        snippet_html="Ab Montag liegen die <mark>Primer</mark> der neuen Charge in Halle 4.",
        person=LENA,
        time=_ago(days=9),
        language="de",
    ),
]
KINDS = [
    v.Option(value="", label="Everything", count=57, is_chosen=True, url="/search?q=primer"),
    v.Option(value="person", label="People", count=2, url="/search?q=primer&kind=person"),
    v.Option(value="post", label="Posts", count=53, url="/search?q=primer&kind=post"),
    v.Option(value="community", label="Communities", count=2, url="/search?q=primer&kind=community"),
]
CHART = v.ChartNode(
    person=LENA,
    is_centre=True,
    report_count=38,
    reports=[
        v.ChartNode(person=KENJI, report_count=12, reports=[v.ChartNode(person=OMAR), v.ChartNode(person=IVO)]),
        v.ChartNode(person=TESS, report_count=4),
        v.ChartNode(person=AMINA, report_count=19),
    ],
)
PERSON = v.PersonView(
    person=NADIA,
    department="Research and development",
    location="Lyon",
    time_zone="Europe/Paris",
    start_date=date(2019, 3, 4),
    about_html="<p>Adhesion, thin films and why things peel. Ask me about test methods; I collect failed samples.</p>",
    facts=[
        v.Fact(label="E-mail", value="nadia.benkirane@halden.example", url="mailto:nadia.benkirane@halden.example", kind="email"),
        v.Fact(label="Phone", value="+33 4 00 00 00 00", url="tel:+33400000000", kind="phone"),
    ],
    languages=["fr", "en", "ar"],
    manager=HENRIK,
    reports=[GUS, TESS],
    communities=[COATINGS, SAFETY],
    follower_count=312,
    following_count=64,
    post_count=148,
    is_following=True,
    roles=["leader"],
)
SESSIONS = [
    v.SessionView(
        id=_id(401),
        device="Firefox on Linux",
        address="192.0.2.14",
        create_time=_ago(days=3),
        last_seen_time=_ago(minutes=0),
        is_current=True,
    ),
    v.SessionView(id=_id(402), device="Safari on iPhone", address="2001:db8::7", create_time=_ago(days=30), last_seen_time=_ago(hours=5)),
]
PAGE = v.PostPage(posts=POSTS, next_url="/?cursor=abc", live_scope="following")
NONE = v.PostPage()


def _home() -> v.Page:
    return v.HomePage(
        shell=shell("/"),
        page=PAGE,
        compose=COMPOSE,
        suggested_communities=COMMUNITY_ROWS[2:4],
        suggested_people=ROWS[1:4],
        tags=[
            v.Option(value="primer", label="primer", count=14),
            v.Option(value="one-lab", label="one-lab", count=9),
            v.Option(value="scrap", label="scrap", count=5),
        ],
    )


def pages() -> Iterator[tuple[str, Callable[[], v.Page]]]:
    """Each page's name with what makes its view."""
    yield "home", _home
    yield "home-empty", lambda: v.HomePage(shell=shell("/"), page=NONE, compose=COMPOSE)
    yield (
        "home-german",
        lambda: v.HomePage(
            shell=shell("/", viewer=v.Viewer(person=LENA, locale="de", time_zone="Europe/Berlin")),
            page=PAGE,
            compose=COMPOSE,
            suggested_people=ROWS[1:3],
        ),
    )
    yield (
        "home-rtl",
        lambda: v.HomePage(
            shell=shell("/", viewer=v.Viewer(person=OMAR, locale="ar", time_zone="Asia/Amman")),
            page=v.PostPage(posts=[ARABIC, ANNOUNCEMENT]),
            compose=COMPOSE,
            suggested_people=ROWS[1:3],
        ),
    )
    yield (
        "home-shared",
        lambda: v.HomePage(
            shell=shell("/"),
            page=v.PostPage(posts=SHARED_POSTS, pinned=[PINNED_POST]),
            compose=msgspec.structs.replace(COMPOSE, quoted=GERMAN, form=v.Form(values={"warning": "Spoilers"}, errors={"poll": "Too few."})),
        ),
    )
    yield "post-reposts", lambda: RepostsPage(shell=shell("/posts/1/reposts"), post=ANNOUNCEMENT, people=EVERYBODY, next_url="/posts/1/reposts?page=a")
    yield "post-reposts-none", lambda: RepostsPage(shell=shell("/posts/1/reposts"), post=ANNOUNCEMENT)
    yield "post-quotes", lambda: QuotesPage(shell=shell("/posts/1/quotes"), post=GERMAN, page=v.PostPage(posts=SHARED_POSTS[3:4]))
    yield "post-quotes-none", lambda: QuotesPage(shell=shell("/posts/1/quotes"), post=GERMAN, page=NONE)
    yield "compose-refused", lambda: v.ComposePage(shell=shell("/compose"), compose=REFUSED)
    yield (
        "thread",
        lambda: v.ThreadPage(
            shell=shell(f"/posts/{THREAD.id}"),
            root=THREAD,
            compose=v.ComposeView(languages=LANGUAGES),
            participants=[NADIA, GUS, TESS, KENJI],
        ),
    )
    yield (
        "post-edit",
        lambda: v.PostEditPage(
            shell=shell("/posts/1/edit"),
            post=QUESTION,
            form=v.Form(values={"body": "Does anyone have peel values for the new primer?"}),
            languages=LANGUAGES,
        ),
    )
    yield (
        "post-conflict",
        lambda: v.PostEditPage(
            shell=shell("/posts/1/edit"),
            post=QUESTION,
            form=v.Form(values={"body": "Does anyone have peel values below 5 °C?"}),
            languages=LANGUAGES,
            conflict=v.Conflict(
                body="Does anyone have peel values below 0 °C?\n\nEdit: solved, see the reply.",
                editor=NADIA,
                edit_time=_ago(minutes=2),
                version="3",
            ),
        ),
    )
    yield (
        "post-history",
        lambda: v.PostHistoryPage(
            shell=shell("/posts/1/history"),
            post=QUESTION,
            versions=[
                v.PostVersion(
                    number=2,
                    time=_ago(hours=2),
                    body_html="",
                    body_diff_html="<p>Does anyone have peel values for the new primer on <ins>cold</ins> film, below <del>10</del><ins>5</ins> °C?</p>",
                ),
                v.PostVersion(
                    number=1, time=_ago(hours=3), body_html="<p>Does anyone have peel values for the new primer on film, below 10 °C?</p>"
                ),
            ],
        ),
    )
    yield (
        "post-reactions",
        lambda: v.ReactionsPage(
            shell=shell("/posts/1/reactions"),
            post=ANNOUNCEMENT,
            reactions=[
                v.ReactionRow(person=person, emoji="🎉👏🤔"[number % 3], time=_ago(minutes=number * 7))
                for number, person in enumerate(EVERYBODY)
            ],
            next_url="/posts/1/reactions?page=a",
        ),
    )
    yield (
        "post-reactions-emoji",
        lambda: v.ReactionsPage(
            shell=shell("/posts/1/reactions?emoji=x"),
            post=GERMAN,
            emoji="❤️",
            reactions=[v.ReactionRow(person=person, emoji="❤️", time=_ago(hours=1)) for person in (OMAR, GONE, IVO)],
        ),
    )
    yield "post-reactions-none", lambda: v.ReactionsPage(shell=shell("/posts/1/reactions"), post=JAPANESE)
    yield "post-delete", lambda: v.PostDeletePage(shell=shell("/posts/1/delete"), post=QUESTION)
    yield (
        "tag",
        lambda: v.TagPage(
            shell=shell("/tags/primer"),
            tag="primer",
            is_following=False,
            post_count=14,
            follower_count=41,
            page=v.PostPage(posts=[QUESTION]),
            related=[v.Option(value="film", label="film")],
        ),
    )
    yield "saved", lambda: v.SavedPage(shell=shell("/saved"), page=v.PostPage(posts=[QUESTION, GERMAN]))
    yield "saved-empty", lambda: v.SavedPage(shell=shell("/saved"), page=NONE)
    yield (
        "communities",
        lambda: v.CommunitiesPage(shell=shell("/communities"), communities=COMMUNITY_ROWS, next_url="/communities?cursor=a"),
    )
    yield (
        "community",
        lambda: v.CommunityPage(
            shell=shell(COMMUNITY.url),
            community=COMMUNITY,
            page=v.PostPage(posts=[QUESTION, PRIVATE]),
            compose=v.ComposeView(communities=COMMUNITIES, languages=LANGUAGES, audience=f"community:{COATINGS.id}"),
        ),
    )
    yield "community-closed", lambda: v.CommunityPage(shell=shell(CLOSED.url), community=CLOSED, page=NONE)
    yield (
        "community-members",
        lambda: v.MembersPage(
            shell=shell(COMMUNITY.url + "/members"),
            community=COMMUNITY,
            members=[
                v.MemberRow(person=ROSA, role="owner", join_time=_ago(days=700)),
                v.MemberRow(person=NADIA, role="moderator", join_time=_ago(days=300), can_change=True),
                v.MemberRow(person=GUS, can_change=True),
            ],
        ),
    )
    yield (
        "community-requests",
        lambda: v.RequestsPage(
            shell=shell(COMMUNITY.url + "/requests"),
            community=COMMUNITY,
            requests=[v.JoinRequest(person=AMINA, request_time=_ago(hours=5)), v.JoinRequest(person=OMAR, request_time=_ago(days=2))],
        ),
    )
    yield (
        "community-edit",
        lambda: v.CommunityEditPage(
            shell=shell(COMMUNITY.url + "/edit"),
            community=COMMUNITY,
            form=v.Form(
                values={
                    "name": COATINGS.name,
                    "description": COMMUNITY.description,
                    "rules": "* Bring numbers",
                    "kind": "open",
                    "tags": "primer, film",
                }
            ),
        ),
    )
    yield (
        "community-new",
        lambda: v.CommunityEditPage(
            shell=shell("/communities/new"),
            form=v.Form(
                values={"name": "Coatings and films", "handle": "coatings"},
                errors={"handle": "This short name is taken; coatings-2 is free."},
            ),
        ),
    )
    yield "person", lambda: v.PersonPage(shell=shell(NADIA.url), person=PERSON, page=v.PostPage(posts=[QUESTION]))
    yield (
        "person-left",
        lambda: v.PersonPage(shell=shell(IVO.url), person=v.PersonView(person=IVO, leave_time=_ago(days=40), post_count=3), page=NONE),
    )
    yield "person-erased", lambda: v.PersonPage(shell=shell(GONE.url), person=v.PersonView(person=GONE), page=NONE)
    yield (
        "person-followers",
        lambda: v.FollowsPage(
            shell=shell(f"{NADIA.url}/followers"),
            person=NADIA,
            follower_count=88,
            following_count=12,
            people=[v.PersonRow(person=row.person, is_following=row.is_following, can_follow=row.can_follow) for row in ROWS if row.person is not NADIA],
            next_url=f"{NADIA.url}/followers?page=a",
        ),
    )
    yield (
        "person-following-none",
        lambda: v.FollowsPage(shell=shell(f"{KENJI.url}/following"), person=KENJI, part="following", follower_count=4),
    )
    yield (
        "people",
        lambda: v.PeoplePage(
            shell=shell("/people"),
            people=ROWS,
            total=1204,
            departments=[v.Option(value="Research", label="Research")],
            locations=[v.Option(value="Porto", label="Porto")],
            next_url="/people?cursor=a",
        ),
    )
    yield "people-none", lambda: v.PeoplePage(shell=shell("/people?q=zzz"), query="zzz")
    yield (
        "organization",
        lambda: v.OrganizationPage(shell=shell(f"/organisation/{LENA.id}"), centre=CHART, managers=[HENRIK, NADIA], peers=[GUS, ROSA]),
    )
    yield (
        "organization-many",
        lambda: v.OrganizationPage(
            shell=shell(f"/organisation/{HENRIK.id}"),
            centre=v.ChartNode(
                person=HENRIK,
                is_centre=True,
                report_count=1203,
                reports=[v.ChartNode(person=person, report_count=number * 7) for number, person in enumerate(EVERYBODY)],
            ),
        ),
    )
    yield (
        "organization-tops",
        lambda: v.OrganizationPage(
            shell=shell("/organisation"),
            tops=[
                v.ChartNode(
                    person=HENRIK,
                    report_count=1203,
                    reports=[v.ChartNode(person=LENA, report_count=38), v.ChartNode(person=NADIA, report_count=12)],
                )
            ],
        ),
    )
    yield (
        "search",
        lambda: v.SearchPage(
            shell=shell("/search?q=primer"),
            query="primer",
            kinds=KINDS,
            communities=COMMUNITIES,
            results=RESULTS,
            total=57,
            next_url="/search?q=primer&cursor=a",
            suggestion="primers",
        ),
    )
    yield "search-none", lambda: v.SearchPage(shell=shell("/search?q=xyzzy"), query="xyzzy", kinds=KINDS)
    yield "notifications", lambda: v.NotificationsPage(shell=shell("/notifications"), notifications=NOTIFICATIONS, position=812)
    yield "notifications-empty", lambda: v.NotificationsPage(shell=shell("/notifications", unread_count=0))
    yield (
        "settings-profile",
        lambda: v.SettingsProfilePage(
            shell=shell("/settings/profile"),
            form=v.Form(
                values={
                    "preferred_name": "Rosa",
                    "title": "Head of communications",
                    "department": "Communications",
                    "location": "Porto",
                    "languages": "pt, en",
                }
            ),
            locked=["department"],
        ),
    )
    yield (
        "settings-security",
        lambda: v.SettingsSecurityPage(
            shell=shell("/settings/security"),
            form=v.Form(errors={"current_password": "This is not your current password.", "password_again": "The two are not the same."}),
        ),
    )
    yield "settings-sessions", lambda: v.SettingsSessionsPage(shell=shell("/settings/sessions"), sessions=SESSIONS)
    yield (
        "settings-tokens",
        lambda: v.SettingsTokensPage(
            shell=shell("/settings/tokens"),
            tokens=[
                v.TokenView(
                    id=_id(501),
                    name="Weekly report",
                    scopes=["posts:read", "people:read"],
                    issue_time=_ago(days=50),
                    last_used_time=_ago(hours=4),
                    expire_time=NOW + timedelta(days=40),
                )
            ],
            scopes=[
                v.Option(value="posts:read", label="Read posts", is_chosen=True),
                v.Option(value="posts:write", label="Write posts"),
                v.Option(value="people:read", label="Read people"),
            ],
            new_token="wct_2h7f0q1sample",
        ),
    )
    yield (
        "settings-notifications",
        lambda: vd.SettingsNotificationsPage(
            shell=shell("/settings/notifications"),
            form=v.Form(
                values={"quiet_start": "20:00", "quiet_end": "07:00", "pushes_per_day": "10", "rhythm": "weekly", "digest_day": "1", "digest_hour": "9"},
                errors={"pushes_per_day": "Write a number from 0 to 200."},
            ),
            kinds=[
                vd.KindRow(name="direct", label="Posts addressed to you", push=True),
                vd.KindRow(name="question", label="Questions you may know the answer to", push=True),
                vd.KindRow(name="reaction", label="Reactions", in_app=False, digest=False),
            ],
            quiet_days=[v.Option(value=str(day), label=name[:3], hint=name, is_chosen=day < 6) for day, name in enumerate(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), 1)],
            rhythms=[v.Option(value="daily", label="Every day"), v.Option(value="weekly", label="Every week"), v.Option(value="never", label="Never")],
            digest_days=[v.Option(value="1", label="Monday"), v.Option(value="2", label="Tuesday")],
            digest_hours=[v.Option(value="9", label="09:00"), v.Option(value="10", label="10:00")],
            devices=[vd.DeviceRow(id=_id(801), label="Firefox, Linux", since=_ago(days=3), is_here=True), vd.DeviceRow(id=_id(802), label="Tusky", since=_ago(days=40))],
            push_key="BCVxsr7N",
            time_zone="Europe/Lisbon",
            mail_address="rosa.almeida@example.com",
            pushes_today=4,
            quiet_until=_ago(hours=-6),
            next_digest_time=_ago(days=-6),
            last_digest_time=_ago(days=1),
        ),
    )
    yield "digest-stop", lambda: vd.DigestStopPage(shell=shell("/digests/stop?token=a"), token="a")
    yield "digest-stopped", lambda: vd.DigestStopPage(shell=shell("/digests/stop?token=a"), state="done")
    yield (
        "settings-appearance",
        lambda: v.SettingsAppearancePage(
            shell=shell("/settings/appearance"),
            form=v.Form(values={"locale": "en", "time_zone": "Europe/Lisbon", "theme": "dark"}),
            locales=[v.Option(value="en", label="English"), v.Option(value="de", label="Deutsch")],
            time_zones=[v.Option(value="Europe/Lisbon", label="Europe/Lisbon")],
        ),
    )
    yield (
        "admin-people",
        lambda: v.AdminPeoplePage(
            shell=shell("/admin/people"),
            people=[
                v.AdminPersonRow(
                    person=person,
                    email=f"{person.handle}@halden.example",
                    department=("Research", "Operations")[number % 2],
                    roles=["employee", "administrator"] if number == 0 else ["employee"],
                    state="left" if person.has_left else "invited" if number == 3 else "active",
                    last_seen_time=None if number == 3 else _ago(hours=number * 9),
                    invitation_url="https://halden.example/invitation/x7" if number == 3 else "",
                )
                for number, person in enumerate(EVERYBODY)
            ],
            total=1204,
            next_url="/admin/people?cursor=a",
        ),
    )
    yield (
        "admin-invite",
        lambda: v.AdminInvitePage(shell=shell("/admin/invite"), link="https://halden.example/invitation/x7Qsample", invited=AMINA),
    )
    yield (
        "admin-invite-mailed",
        lambda: v.AdminInvitePage(
            shell=shell("/admin/invite"), link="https://halden.example/invitation/x7Qsample", invited=AMINA, mailed_to="amina@halden.example"
        ),
    )
    yield (
        "admin-import",
        lambda: v.AdminImportPage(
            shell=shell("/admin/import"),
            kinds=[v.Option(value="csv", label="CSV"), v.Option(value="ldif", label="LDIF")],
            mappings=[v.Option(value="hr", label="hr.yaml")],
        ),
    )
    yield (
        "admin-import-dry-run",
        lambda: v.AdminImportPage(
            shell=shell("/admin/import"),
            import_id=_id(601),
            file_name="people.csv",
            counts={"add": 141, "change": 6, "keep": 1050, "reject": 2},
            changes=[
                v.ImportChange(line=2, action="add", name="Amina Diallo", email="amina.diallo@halden.example"),
                v.ImportChange(
                    line=9,
                    action="change",
                    name="Lena Vogt",
                    email="lena.vogt@halden.example",
                    changes=[("title", "Schichtleiterin", "Werkleiterin"), ("manager", "", "henrik.dahl")],
                ),
                v.ImportChange(line=31, action="reject", name="?", email="not-an-address", reason="email: not an e-mail address"),
                v.ImportChange(line=32, action="keep", name="Tess O’Rourke", email="tess.orourke@halden.example"),
            ],
        ),
    )
    yield (
        "admin-import-running",
        lambda: v.AdminImportPage(
            shell=shell("/admin/import/1"),
            import_id=_id(601),
            file_name="people.csv",
            progress=v.ImportProgress(state="running", done_count=6120, total_count=10000),
        ),
    )
    yield (
        "admin-sessions",
        lambda: v.AdminSessionsPage(
            shell=shell("/admin/sessions"),
            sessions=[
                v.SessionView(
                    id=_id(403),
                    device="Chrome on Windows",
                    address="198.51.100.7",
                    create_time=_ago(days=2),
                    last_seen_time=_ago(minutes=3),
                    person=TESS,
                )
            ],
        ),
    )
    yield (
        "admin-person",
        lambda: v.AdminPersonPage(
            shell=shell("/admin/people/x"),
            person=IVO,
            form=v.Form(values={"name": IVO.name, "department": "Workshop", "manager": "@mei.tanaka"}, errors={"manager": "Nobody leads themselves."}),
        ),
    )
    yield (
        "admin-erasure",
        lambda: v.AdminErasurePage(
            shell=shell("/admin/erasure"),
            person=IVO,
            holdings=[v.Option(value="posts", label="posts", count=312), v.Option(value="reactions", label="reactions", count=1840)],
            form=v.Form(values={"confirm_name": "Ivo"}, errors={"confirm_name": "This is not the name, letter by letter."}),
        ),
    )
    yield (
        "admin-organisation",
        lambda: v.AdminOrganizationPage(
            shell=shell("/admin/organisation"),
            form=v.Form(values={"name": "\u200b"}, errors={"name": "The name of the organisation needs a visible character."}),
        ),
    )
    yield (
        "admin-operation",
        lambda: v.AdminOperationPage(
            shell=shell("/admin/operation"),
            parked=[
                v.ParkedStream(service="search", subscription="search-from-feed", count=2)
            ],
            subscriptions=[
                v.SubscriptionView(service="feed", name="timelines", lag=0),
                v.SubscriptionView(service="search", name="search-from-feed", lag=19),
            ],
            version="0.1",
        ),
    )
    yield "setup", lambda: v.SetupPage(shell=v.Shell(path="/setup", now=NOW))
    yield "sign-in", lambda: v.SignInPage(shell=plain("/sign-in"))
    yield (
        "sign-in-refused",
        lambda: v.SignInPage(
            shell=plain("/sign-in"),
            form=v.Form(values={"email": "rosa.almeida@halden.example"}, message="Address and password do not fit together."),
        ),
    )
    yield "password-forgotten", lambda: v.PasswordForgottenPage(shell=plain("/password/forgotten"))
    yield "password-reset", lambda: v.PasswordResetPage(shell=plain("/password/reset/x"))
    yield "invitation", lambda: v.InvitationPage(shell=plain("/invitation/x"), email="amina.diallo@halden.example", inviter=ROSA)
    yield "error-404", lambda: v.ErrorPage(shell=shell("/posts/nowhere"), status=404)
    yield "error-403", lambda: v.ErrorPage(shell=shell("/admin"), status=403)
    yield "error-500", lambda: v.ErrorPage(shell=plain("/"), status=500, trace_id="4bf92f3577b34da6a3ce929d0e0e4736")
    yield (
        "error-503",
        lambda: v.ErrorPage(
            shell=shell("/posts"), status=503, kept="The figures for Thursday, before they go round.", retry_after_seconds=5
        ),
    )
    yield "offline", lambda: v.OfflinePage(shell=plain("/"))
    from tests.browser import samples_announcements, samples_integrations  # which is made of what stands above

    yield from samples_announcements.pages()
    from tests.browser import samples_reading

    yield from samples_reading.pages()
    from tests.browser import samples_asking

    yield from samples_asking.pages()
    from tests.browser import samples_moderation

    yield from samples_moderation.pages()
    yield from samples_integrations.pages()
    yield (
        "design",
        lambda: v.DesignPage(
            shell=shell("/design"),
            posts=[
                ANNOUNCEMENT,
                QUESTION,
                GERMAN,
                v.PostView(id=_id(210), author=TESS, audience=EVERYONE, body_html="", publish_time=NOW, is_deleted=True),
            ],
            people=[*ROWS[:3], ROWS[9], v.PersonRow(person=GONE, can_follow=False)],
            communities=COMMUNITY_ROWS[:4],
            notifications=NOTIFICATIONS[:3],
            compose=COMPOSE,
            results=RESULTS,
            chart=CHART,
        ),
    )
