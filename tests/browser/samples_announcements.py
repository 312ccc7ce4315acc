"""Samples of the pages of announcements."""
from __future__ import annotations

from collections.abc import Callable, Iterator

from services.gateway import views as v
from services.gateway import views_announcements as a
from tests.browser import samples as s

MERGER = a.AnnouncementView(
    id=s._id(901), title="Porto and Lyon become one laboratory on 1 February", author=s.HENRIK, audience=s.EVERYONE,
    publish_time=s._ago(hours=5), change_time=s._ago(hours=1), version=3, must_confirm=True, deadline=s._ago(days=-4), is_corrected=True,
    body_html="<p>Nobody moves house; the two teams share <strong>one</strong> bench plan, one budget and one lead.</p>",
    excerpt="Nobody moves house; the two teams share one bench plan, one budget and one lead.", language="en",
    what_was_wrong="It said January; it is February.", is_pending=True, is_misinformed=True, audience_count=1204,
)
HALL = a.AnnouncementView(
    id=s._id(902), title="Halle 4 bleibt am Freitag geschlossen", author=s.LENA, audience=v.AudienceView(kind="chart", name="Lena Vogt"),
    publish_time=s._ago(days=1), excerpt="Die Wartung der Lüftung dauert bis 16 Uhr.", language="de", is_pending=True, audience_count=38,
)
OLD = a.AnnouncementView(
    id=s._id(903), title="Travel rules 2027", author=s.ROSA, audience=s.EVERYONE, publish_time=s._ago(days=12), must_confirm=True,
    excerpt="From January trains come first below five hours.", is_confirmed=True, audience_count=1198,
)
GONE = a.AnnouncementView(
    id=s._id(904), title="", author=s.GONE, audience=s.IN_COATINGS, publish_time=s._ago(days=40), is_erased=True, is_withdrawn=True,
)
REACH = a.ReachView(
    audience_count=1204,
    bars=[
        a.ReachBar(key="shown", count=1011, ever_count=1190), a.ReachBar(key="opened", count=874, ever_count=998),
        a.ReachBar(key="confirmed", count=745, ever_count=803),
    ],
    has_versions=True, wrong_count=1060, misinformed_count=186, reminder_count=1, reminders_left=2, remindable_count=459,
    remind_times=[s._ago(days=-3), s._ago(days=-1)],
)
VERSIONS = [
    a.VersionView(
        number=3, time=s._ago(hours=1), editor=s.ROSA, is_correction=True, what_was_wrong=MERGER.what_was_wrong, title=MERGER.title,
        body_html=MERGER.body_html,
    ),
    a.VersionView(number=2, time=s._ago(hours=4), editor=s.HENRIK, title=MERGER.title, body_html="<p>Nobody moves house.</p>"),
    a.VersionView(number=1, time=s._ago(hours=5), editor=s.HENRIK, title="Porto and Lyon in January", body_html="<p>Nobody moves.</p>"),
]


def _replaced(found: a.AnnouncementView, **changes: object) -> a.AnnouncementView:
    return a.AnnouncementView(**{name: getattr(found, name) for name in found.__struct_fields__} | changes)  # type: ignore[arg-type]


def pages() -> Iterator[tuple[str, Callable[[], v.Page]]]:
    """Each page's name with what makes its view."""
    yield (
        "home-announced",
        lambda: v.HomePage(shell=s.shell("/"), page=s.NONE, compose=s.COMPOSE, announcements=[MERGER, HALL]),
    )
    yield (
        "announcements",
        lambda: a.AnnouncementsPage(
            shell=s.shell("/announcements"), announcements=[MERGER, HALL, OLD, GONE], next_url="/announcements?page=x", can_announce=True
        ),
    )
    yield "announcements-empty", lambda: a.AnnouncementsPage(shell=s.shell("/announcements?tab=pending"), tab="pending")
    yield (
        "announcement",
        lambda: a.AnnouncementPage(shell=s.shell(MERGER.url), announcement=_replaced(MERGER, is_misinformed=False), versions=VERSIONS),
    )
    yield (
        "announcement-reach",
        lambda: a.AnnouncementPage(
            shell=s.shell(MERGER.url), announcement=_replaced(MERGER, is_own=True, can_edit=True, can_see_reach=True), versions=VERSIONS,
            reach=REACH,
        ),
    )
    yield (
        "announcement-new",
        lambda: a.AnnouncementNewPage(
            shell=s.shell("/announcements/new"), is_company_wide=True, communities=s.COMMUNITIES, languages=s.LANGUAGES,
            groups=[v.Option(value=s._id(601), label="Welders"), v.Option(value=s._id(602), label="Night shift")], request_id="one",
            form=v.Form(
                values={
                    "title": MERGER.title, "body": "Nobody moves house.", "audience": "chart", "head": "@lena.vogt", "must_confirm": "1",
                },
                errors={"head": "Nobody is found by this name. Write @ and choose from the list."},
            ),
            preview_count=1204, preview_html=MERGER.body_html,
        ),
    )
    yield (
        "announcement-edit",
        lambda: a.AnnouncementEditPage(
            shell=s.shell(f"{MERGER.url}/edit"), announcement=MERGER, seen_count=1060,
            form=v.Form(values={"title": MERGER.title, "body": "Nobody moves house.", "version": "3", "kind": "correction"}),
        ),
    )
    yield (
        "announcement-people",
        lambda: a.AnnouncementPeoplePage(
            shell=s.shell(f"{MERGER.url}/people"), announcement=_replaced(MERGER, can_see_reach=True), fact="confirmed", is_missing=True,
            people=[
                a.ReachRow(person=s.NADIA, show_time=s._ago(hours=3), open_time=s._ago(hours=2)), a.ReachRow(person=s.KENJI),
                a.ReachRow(person=s.OMAR, show_time=s._ago(hours=1)), a.ReachRow(person=s.GONE, confirm_time=s._ago(hours=4)),
                a.ReachRow(person=s.GUS),
            ],
            next_url="/announcements/x/people?page=2", csv_url="/api/v1/broadcasts/x/reach/people.csv",
        ),
    )
