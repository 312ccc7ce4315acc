"""Samples of the pages of moderation, policy, retention and exports."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from services.gateway import views as v
from services.gateway import views_moderation as m
from tests.browser import samples as s

RUDE = "<p>Whoever planned this line has never <strong>once</strong> stood at it. Fools, all of you.</p>"
POST_CASE = m.CaseRow(
    id=s._id(401), subject="post", subject_id=s._id(402), author=s.GUS, community_name=s.COATINGS.name, state="assigned", assignee=s.ROSA,
    report_count=3, categories=["harassment", "rules"], last_time=s._ago(minutes=40),
)
PERSON_CASE = m.CaseRow(id=s._id(403), subject="person", subject_id=s.IVO.id, author=s.IVO, to_administrators=True,
    categories=["spam"], last_time=s._ago(days=1))
PLACE_CASE = m.CaseRow(
    id=s._id(404), subject="community", subject_id=s.CYCLING.id, subject_name=s.CYCLING.name, categories=[], last_time=s._ago(days=2),
    state="appealed",
)
DONE_CASE = m.CaseRow(
    id=s._id(405), subject="post", subject_id=s._id(406), author=s.GONE, state="decided", outcome="removed", last_time=s._ago(days=9)
)
DECISION = m.DecisionView(
    outcome="removed", guideline="We argue about the matter, never about the person.", reason="The second sentence insults colleagues.",
    time=s._ago(days=2), decider=s.ROSA, appeal_end_time=s.NOW + timedelta(days=28),
)
APPEALED = m.DecisionView(
    outcome="muted", guideline="Be kind.", reason="Third time this month.", time=s._ago(days=3), decider=s.ROSA,
    mute_end_time=s.NOW + timedelta(days=4), appeal_words="I was quoting the customer, and said so.", appeal_time=s._ago(days=1),
    verdict="upheld", verdict_reason="The quotation marks were lost in an edit.", verdict_by=s.LENA, verdict_time=s._ago(hours=2),
)
RULE = m.RuleRow(
    id=s._id(411), name="Small talk after two years", audience="everyone", age_days=730, unit="thread",
        reason="Works agreement of March 2026",
    is_enabled=True,
)
DRAFT = m.RuleRow(
    id=s._id(412), name="Radfahren", audience="community", audience_name=s.CYCLING.name, age_days=90, unit="post",
        reason="Wunsch der Gruppe",
    is_enabled=False,
)
REHEARSAL = m.RehearsalView(
    post_count=1_284, protected_count=17, departments=[v.Option(value="a", label="Quality", count=640), v.Option(value="b", label="",
        count=12)],
    oldest_time=s._ago(days=1_400), newest_time=s._ago(days=731),
    examples=[
        m.ExampleView(id=s._id(421), time=s._ago(days=1_400), author=s.KENJI, excerpt="三号ラインの不良率が先月より二割下がりました。"),
        m.ExampleView(id=s._id(422), time=s._ago(days=1_390)),
    ],
)
HOLDS = [
    m.HoldRow(
        id=s._id(431), subject="person", name=s.GUS.name, from_time=s._ago(days=600), until_time=s._ago(days=30), reason="Case 7/2026",
        placer=s.ROSA, place_time=s._ago(days=5),
    ),
    m.HoldRow(
        id=s._id(432), subject="everything", name="", from_time=None, until_time=None, reason="Audit", placer=s.ROSA,
        place_time=s._ago(days=90), is_active=False, lift_time=s._ago(days=3), lift_reason="The audit is over.",
    ),
]
COMMUNITIES = [v.Option(value=one.id, label=one.name) for one in s.COMMUNITIES]
GUIDELINES = "<ul><li>We argue about the matter, never about the person.</li><li>We name our sources.</li></ul>"


def _case(**more: object) -> Callable[[], v.Page]:
    return lambda: m.CasePage(**{  # type: ignore[arg-type]
        "shell": s.shell("/moderation/cases/1"), "case": POST_CASE, "body_html": RUDE, "warning": "Angry",
            "images": ["/media/sample-wide.png"],
        "reports": [
            m.ReportView(reporter=s.NADIA, category="harassment", words="This is about my team.", time=s._ago(hours=1)),
            m.ReportView(reporter=None, category="", words="", time=s._ago(hours=2), watched_words=["fools", "機密"]),
        ],
        "history": [
            m.StepView(step="matched", person=None, time=s._ago(hours=2)), m.StepView(step="reported", person=s.NADIA,
                time=s._ago(hours=1)),
            m.StepView(step="assigned", person=s.ROSA, time=s._ago(minutes=40)),
        ],
        "guidelines": ["We argue about the matter, never about the person.", "We name our sources."],
        "outcomes": ["no_breach", "reminded", "covered", "removed", "muted", "member_removed"], "may_decide": True, "version": "3", **more,
    })


def pages() -> Iterator[tuple[str, Callable[[], v.Page]]]:
    """Each page's name with what makes its view."""
    yield "moderation", lambda: m.ModerationPage(shell=s.shell("/moderation"), cases=[POST_CASE, PERSON_CASE, PLACE_CASE],
        next_url="/moderation?page=a")
    yield "moderation-done", lambda: m.ModerationPage(shell=s.shell("/moderation?tab=done"), tab="done", cases=[DONE_CASE])
    yield "moderation-empty", lambda: m.ModerationPage(shell=s.shell("/moderation"))
    yield "moderation-case", _case()
    yield "moderation-case-refused", _case(
        is_mine=True,
        form=v.Form(values={"outcome": "covered", "reason": "Insults"}, errors={"guideline": "Name the guideline.",
            "warning": "Say what of."}),
    )
    yield "moderation-case-appeal", _case(
        case=PLACE_CASE, body_html="", may_decide=False, may_decide_appeal=True, decisions=[DECISION, APPEALED], is_deleted=True
    )
    yield "moderation-case-erased", _case(case=DONE_CASE, is_gone=True, may_decide=False, decisions=[DECISION])
    yield "moderation-notice", lambda: m.NoticePage(
        shell=s.shell("/moderation/notices/1"), id=s._id(401), subject="post", is_mine=True, body_html=RUDE, community_name=s.COATINGS.name,
        decisions=[DECISION], may_appeal=True, form=v.Form(errors={"words": "Say why."}),
    )
    yield "moderation-notice-reporter", lambda: m.NoticePage(
        shell=s.shell("/moderation/notices/2"), id=s._id(402), subject="person", is_mine=False, report_time=s._ago(days=3),
    )
    yield "report", lambda: m.ReportPage(
        shell=s.shell("/report"), subject="post", subject_id=s._id(402), person=s.GUS, body_html=RUDE, back="/",
        form=v.Form(errors={"category": "Say what is wrong: choose one of the categories."}),
    )
    yield "reports", lambda: m.MyReportsPage(
        shell=s.shell("/reports"), reports=[
            m.MyReport(category="harassment", words="Look at the last line.", time=s._ago(days=1), is_decided=False, subjects=[
                ("post", "/moderation/notices/1"), ("person", "/moderation/notices/2"),
            ]),
            m.MyReport(category="spam", words="", time=s._ago(days=9), is_decided=True, subjects=[("community", "/moderation/notices/3")]),
        ],
    )
    yield "reports-none", lambda: m.MyReportsPage(shell=s.shell("/reports"), reports=[])
    yield "guidelines", lambda: m.GuidelinesPage(shell=s.shell("/guidelines"), body_html=GUIDELINES, version=2, is_due=True)
    yield "guidelines-first", lambda: m.GuidelinesPage(
        shell=s.shell("/posts"), body_html=GUIDELINES, version=2, is_due=True, action="/posts",
        kept=[v.Option(value="Hello", label="body")], lost_file=True,
    )
    yield "guidelines-accepted", lambda: m.GuidelinesPage(shell=s.shell("/guidelines"), body_html=GUIDELINES, version=2)
    yield "admin-policy", lambda: m.AdminPolicyPage(
        shell=s.shell("/admin/policy"), has_guidelines=True,
        form=v.Form(
            values={"guidelines": "* Be kind.", "values": "Care\nCourage", "blocking_allowed": "1", "watched_words": "leak"},
            errors={"values": "A value stands there twice: name each once."},
        ),
    )
    yield "admin-retention", lambda: m.AdminRetentionPage(shell=s.shell("/admin/retention"), rules=[RULE, DRAFT], communities=COMMUNITIES)
    yield "admin-retention-empty", lambda: m.AdminRetentionPage(
        shell=s.shell("/admin/retention"), communities=COMMUNITIES, form=v.Form(errors={"age_days": "An age is 1 to 36,500 days."})
    )
    yield "admin-rule", lambda: m.AdminRulePage(
        shell=s.shell("/admin/retention/1"), rule=DRAFT, rehearsal=REHEARSAL,
        runs=[m.RunView(deleted_count=311, protected_count=4, time=s._ago(days=1), is_partial=True)],
    )
    yield "admin-rule-on", lambda: m.AdminRulePage(shell=s.shell("/admin/retention/1"), rule=RULE)
    yield "admin-holds", lambda: m.AdminHoldsPage(
        shell=s.shell("/admin/holds"), holds=HOLDS, communities=COMMUNITIES, form=v.Form(values={"subject": "person"})
    )
    yield "admin-holds-empty", lambda: m.AdminHoldsPage(shell=s.shell("/admin/holds"),
        form=v.Form(errors={"person": "Nobody is called that."}))
    yield "admin-audit", lambda: m.AdminAuditPage(
        shell=s.shell("/admin/audit"), next_url="/admin/audit?page=a",
        entries=[
            m.AuditRow(action=action, actor=s.ROSA, time=s._ago(days=days), reason="agreed with the works council", url="/admin/policy")
            for days, action in enumerate((
                "policy.changed", "watch.changed", "case.decided", "case.escalated", "appeal.decided", "rule.drafted", "rule.enabled",
                "rule.disabled", "hold.placed", "hold.lifted", "export.requested",
            ))
        ] + [m.AuditRow(action="rule.applied", actor=s.GONE, time=s._ago(days=12))],
    )
    yield "admin-audit-empty", lambda: m.AdminAuditPage(shell=s.shell("/admin/audit?kind=hold"), kind="hold")
    yield "settings-export", lambda: m.SettingsExportPage(
        shell=s.shell("/settings/export"), communities=COMMUNITIES, can_take_others=True,
            form=v.Form(errors={"person": "Nobody is called that."}),
        exports=[
            m.ExportRow(id=s._id(441), subject="person", name=s.ROSA.name, state="waiting", request_time=s._ago(minutes=1), done_count=120),
            m.ExportRow(
                id=s._id(442), subject="community", name=s.COATINGS.name, state="ready", request_time=s._ago(days=1), size_bytes=1_400_000,
                post_count=2_104, expire_time=s.NOW + timedelta(days=6),
            ),
            m.ExportRow(id=s._id(443), subject="person", name="", state="failed", request_time=s._ago(days=2)),
            m.ExportRow(id=s._id(444), subject="person", name=s.IVO.name, state="expired", request_time=s._ago(days=30)),
        ],
    )
