"""The sample organisation holds together whenever it is loaded, and its reader says what is wrong and where."""
from __future__ import annotations

import copy
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.sample.load_sample import FOLDER, Post, Sample, build_sample, read_documents, read_sample

NOW = datetime(2031, 5, 14, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def documents() -> Mapping[str, Any]:
    return read_documents()


@pytest.fixture(scope="module")
def sample(documents: Mapping[str, Any]) -> Sample:
    return build_sample(documents, NOW)


# --- what is in it ---------------------------------------------------------------------------------------------------


def test_size_is_that_of_a_mid_sized_organisation(sample: Sample) -> None:
    replies = sum(post.reply_to is not None for post in sample.posts)
    assert 55 <= len(sample.people) <= 65
    assert 380 <= len(sample.posts) <= 480
    assert 0.40 <= replies / len(sample.posts) <= 0.55
    assert 8 <= len({person.department for person in sample.people}) <= 10
    assert 5 <= len({person.location for person in sample.people}) <= 6
    assert Counter(community.kind for community in sample.communities) == {"open": 5, "closed": 2, "secret": 1}


def test_roles_needed_to_try_every_page(sample: Sample) -> None:
    roles = Counter(role for person in sample.people for role in person.roles)
    assert roles["guest"] == 1
    assert roles["administrator"] >= 2
    assert roles["communications"] >= 2
    assert roles["leader"] >= 5
    assert all("employee" in person.roles for person in sample.people if not person.is_guest)


def test_languages(sample: Sample) -> None:
    languages = Counter(post.language for post in sample.posts)
    assert set(languages) == {"en", "de", "fr", "es", "pt", "ja", "zh", "ar"}
    assert languages.most_common(1)[0][0] == "en"
    spoken = {person.key: person.languages for person in sample.people}
    assert [post.key for post in sample.posts if post.language not in spoken[post.author]] == []


def test_everybody_and_every_community_has_a_voice(sample: Sample) -> None:
    assert {person.key for person in sample.people} == {post.author for post in sample.posts}
    per_community = Counter(post.audience.community for post in sample.posts if post.audience.community)
    assert set(per_community) == {community.key for community in sample.communities}
    assert min(per_community.values()) >= 15
    assert {post.audience.kind for post in sample.posts} == {"everyone", "followers", "community", "people"}


def test_no_text_stands_twice(sample: Sample) -> None:
    assert [body for body, count in Counter(post.body for post in sample.posts).items() if count > 1] == []
    assert [text for text, count in Counter(person.about for person in sample.people).items() if count > 1] == []


def test_everything_that_people_do_here_has_an_example(sample: Sample) -> None:
    today = sample.today
    posts = {post.key: post for post in today.posts}
    questions = [post.key for post in today.posts if post.question]
    answered = {post.reply_to for post in today.posts}
    solved = {post.reply_to for post in today.posts if post.best}
    assert len(questions) == 3 and len(solved) == 1 and len(set(questions) - answered) == 1
    assert sorted(post.poll.lasts for post in today.posts if post.poll) == [timedelta(minutes=5), timedelta(days=6)]
    assert len([post for post in today.posts if post.praises]) == 3
    assert any(post.quotes for post in today.posts) and any(post.warning for post in today.posts)
    assert {idea.steps[-1].state if idea.steps else "new" for idea in today.ideas} == {"new", "discussed", "trial", "done", "not_now"}
    assert {one.steps[-1].state if one.steps else "open" for one in today.enquiries} == {"open", "accepted", "answered", "declined"}
    assert all(idea.sponsor != idea.by and idea.by not in idea.votes for idea in today.ideas)
    assert all(one.asker not in one.votes for one in today.enquiries)
    leaders = {person.key for person in sample.people if "leader" in person.roles}
    assert {key for one in today.enquiries for key in (*one.to, *(step.by for step in one.steps))} <= leaders
    used = {emoji.shortcode for emoji in today.emoji if any(f":{emoji.shortcode}:" in post.body for post in today.posts)}
    assert used == {emoji.shortcode for emoji in today.emoji} and used
    assert {draft.in_days is None for draft in today.drafts} == {True, False}
    spoken = {person.key: person.languages for person in sample.people}
    assert [post.key for post in today.posts if post.language not in spoken[post.author]] == []
    assert {post.language for post in posts.values()} >= {"en", "de", "fr", "es", "pt"}
    assert not {key for post in today.posts for key in (post.author, *post.praises)} & {"imke"}


# --- references ------------------------------------------------------------------------------------------------------


def test_managers_stand_before_their_people_under_one_head(sample: Sample) -> None:
    seen: set[str] = set()
    for person in sample.people:
        assert person.manager in seen or (person.manager is None and not seen)
        seen.add(person.key)


def test_references_resolve(sample: Sample) -> None:
    people = {person.key for person in sample.people}
    posts = {post.key for post in sample.posts}
    for community in sample.communities:
        assert {*community.owners, *community.moderators} <= set(community.members) <= people
    for follow in sample.follows:
        assert {follow.person, *follow.people} <= people - {"imke"}
    for post in sample.posts:
        assert {post.author, *post.mentions, *post.saves, *post.audience.people} <= people
        assert {key for keys in post.reactions.values() for key in keys} <= people
        assert post.reply_to is None or post.reply_to in posts
    assert sum(len(post.mentions) for post in sample.posts) >= 20


def test_a_thread_keeps_one_audience_and_the_secret_stays_inside(sample: Sample) -> None:
    posts = {post.key: post for post in sample.posts}
    members = {community.key: set(community.members) for community in sample.communities}
    kinds = {community.key: community.kind for community in sample.communities}
    for post in sample.posts:
        if post.reply_to is not None:
            assert post.audience == posts[post.reply_to].audience
        community = post.audience.community
        if community is not None and kinds[community] != "open":
            assert {post.author, *post.saves, *(key for keys in post.reactions.values() for key in keys)} <= members[community]
    outside = [post.key for post in sample.posts if "heron" in post.body.lower() and post.audience.community != "heron"]
    assert outside == []


# --- times -----------------------------------------------------------------------------------------------------------


def _moments() -> list[datetime]:
    """Every weekday, the hours round midnight in UTC, and the weeks in which clocks change on one continent but not on the other."""
    starts = [datetime(2031, month, 1, tzinfo=UTC) for month in range(1, 13)]
    starts += [datetime(2031, 3, 8, tzinfo=UTC) + timedelta(days=day) for day in range(30)]
    starts += [datetime(2031, 10, 20, tzinfo=UTC) + timedelta(days=day) for day in range(20)]
    return [start + timedelta(hours=hour, minutes=1) for start in starts for hour in (0, 9, 23)]


def test_times_hold_whenever_it_is_loaded(documents: Mapping[str, Any]) -> None:
    for now in _moments():
        posts = build_sample(documents, now).posts
        times = {post.key: post.publish_time for post in posts}
        assert now - timedelta(hours=1) < posts[-1].publish_time <= now
        assert timedelta(days=80) < now - posts[0].publish_time < timedelta(days=95)
        assert [post.publish_time for post in posts] == sorted(times.values())
        assert [post.key for post in posts if post.reply_to and post.publish_time <= times[post.reply_to]] == []


def test_posts_are_written_in_waking_hours_of_working_days(sample: Sample, documents: Mapping[str, Any]) -> None:
    zones = {person.key: ZoneInfo(person.time_zone) for person in sample.people}
    on_the_clock = {entry["key"] for name, entries in documents.items() if name.startswith("posts") for entry in entries if "at" in entry}
    assert len(on_the_clock) > 380
    for post in sample.posts:
        if post.key in on_the_clock:
            local = post.publish_time.astimezone(zones[post.author])
            assert local.weekday() < 5 and 6 <= local.hour < 22, post.key


def test_nobody_writes_before_the_first_day(sample: Sample) -> None:
    start = {person.key: person.start_date for person in sample.people}
    assert [post.key for post in sample.posts if post.publish_time.date() < start[post.author]] == []


def test_now_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="now: needs a time zone"):
        read_sample(datetime(2031, 5, 14, 9, 30))


# --- what the reader refuses -----------------------------------------------------------------------------------------

Damage = Callable[[dict[str, Any]], None]


def _entry(documents: Mapping[str, Any], file: str, key: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in documents[file] if entry["key"] == key)
    return found


def _set(file: str, key: str, **fields: Any) -> Damage:
    return lambda documents: _entry(documents, file, key).update(fields)


def _today(section: str, key: str, /, **fields: Any) -> Damage:
    def damage(documents: dict[str, Any]) -> None:
        next(entry for entry in documents["today.yaml"][section] if key in (entry.get("key"), entry.get("post"))).update(fields)

    return damage


def _drop(file: str, key: str, name: str) -> Damage:
    def damage(documents: dict[str, Any]) -> None:
        del _entry(documents, file, key)[name]

    return damage


def _repeat(file: str, key: str) -> Damage:
    return lambda documents: documents[file].append(_entry(documents, file, key))


def _follow(person: str, **fields: Any) -> Damage:
    return lambda documents: documents["follows.yaml"].update({person: fields})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_set("people.yaml", "lena", shoe_size="39"), "people.yaml: lena: unknown field shoe_size"),
        (_set("people.yaml", "lena", manager="nobody"), "people.yaml: lena: unknown manager 'nobody'"),
        (_set("people.yaml", "tobias", manager="lena"), "people.yaml: .*: managers form a cycle: .*tobias"),
        (_set("people.yaml", "lena", manager="lena"), "people.yaml: lena: managers form a cycle: lena -> lena"),
        (_drop("people.yaml", "lena", "manager"), "people.yaml: exactly one person has no manager, not 2: hedwig, lena"),
        (_set("people.yaml", "hedwig", manager="lena"), "people.yaml: exactly one person has no manager, not 0"),
        (_set("people.yaml", "lena", email="tobias.rehm@example.com"), "people.yaml: lena: e-mail tobias.rehm@example.com stands twice"),
        (_set("people.yaml", "lena", email="lena@averlund.test"), "people.yaml: lena: e-mail .* is not of the form"),
        (_set("people.yaml", "lena", time_zone="Europe/Ulm"), "people.yaml: lena: unknown time zone 'Europe/Ulm'"),
        (_set("people.yaml", "lena", roles=["queen"]), "people.yaml: lena: unknown role 'queen'"),
        (_set("people.yaml", "lena", started_days_ago=3), "people.yaml: lena: needs either start_date or started_days_ago"),
        (_set("people.yaml", "lena", languages=["German"]), "people.yaml: lena: 'German' is not a language tag"),
        (_drop("people.yaml", "lena", "title"), "people.yaml: lena: title is missing"),
        (_set("people.yaml", "lena", employee_number="10001"), "people.yaml: lena: employee number 10001 stands twice"),
        (_repeat("people.yaml", "imke"), "people.yaml: imke: e-mail .* stands twice"),
        (_set("communities.yaml", "ideas", kind="hidden"), "communities.yaml: ideas: unknown kind 'hidden'"),
        (_set("communities.yaml", "ideas", owners=[]), "communities.yaml: ideas: needs an owner"),
        (_set("communities.yaml", "ideas", moderators=["tobias"]), "communities.yaml: ideas: 'tobias' stands twice"),
        (_repeat("communities.yaml", "ideas"), "communities.yaml: ideas: the key stands twice"),
        (_follow("nobody", people=[]), "follows.yaml: nobody: unknown person"),
        (_follow("lena", people=["nobody"]), "follows.yaml: lena: unknown person 'nobody'"),
        (_follow("lena", people=["lena"]), "follows.yaml: lena: follows themselves"),
        (_follow("imke", tags=["nowhere"]), "follows.yaml: imke: follows #nowhere, which no post carries"),
        (_set("posts-company.yaml", "year-plan", mood="good"), "posts-company.yaml: year-plan: unknown field mood"),
        (_set("posts-company.yaml", "year-plan", author="nobody"), "posts-company.yaml: year-plan: unknown person 'nobody'"),
        (_set("posts-company.yaml", "year-plan", body="Hello @nobody"), "posts-company.yaml: year-plan: unknown person 'nobody'"),
        (_set("posts-company.yaml", "year-plan", body="x" * 5_001), "posts-company.yaml: year-plan: body longer than 5000 characters"),
        (_set("posts-company.yaml", "year-plan", audience="all"), "posts-company.yaml: year-plan: audience is everyone, followers"),
        (_set("posts-company.yaml", "year-plan", audience={"community": "golf"}), "posts-company.yaml: year-plan: unknown community"),
        (_set("posts-company.yaml", "year-plan", reply_to="later"), "posts-company.yaml: year-plan: answers 'later'"),
        (_set("posts-company.yaml", "year-plan", minutes_ago=5), "posts-company.yaml: year-plan: needs either minutes_ago"),
        (_set("posts-company.yaml", "year-plan", at="8.35"), "posts-company.yaml: year-plan: at is '8.35'"),
        (_set("posts-company.yaml", "year-plan", workdays_ago=0), "posts-company.yaml: year-plan: workdays_ago must be a whole number"),
        (_set("posts-company.yaml", "year-plan", workdays_ago=20), "posts-company.yaml: year-plan-1: is not later than year-plan"),
        (_set("posts-company.yaml", "year-plan-1", audience="everyone"), "posts-company.yaml: year-plan-1: unknown field audience"),
        (_set("posts-company.yaml", "year-plan", reactions={"👍": ["imke"]}), "posts-company.yaml: year-plan: imke takes part"),
        (_set("posts-company.yaml", "year-plan", reactions={"ok": ["lena"]}), "posts-company.yaml: year-plan: 'ok' is not an emoji"),
        (_set("posts-company.yaml", "year-plan", reactions={"👍": ["lena", "lena"]}), "posts-company.yaml: year-plan: 'lena' stands twice"),
        (_set("posts-projects.yaml", "he-start", saves=["emre"]), "posts-projects.yaml: he-start: emre takes part but may not read it"),
        (_set("posts-everyday.yaml", "fo-jonas1", saves=["imke"]), "posts-everyday.yaml: fo-jonas1: imke takes part but may not read it"),
        (_today("posts", "q-glue", key="year-plan"), "today.yaml: year-plan: the key stands twice"),
        (_today("posts", "q-glue-2", reply_to="year-plan"), "today.yaml: q-glue-2: answers 'year-plan'"),
        (_today("posts", "q-hydraulic", best=True), "today.yaml: q-hydraulic: only an answer to a question"),
        (_today("posts", "q-glue", kind="riddle"), "today.yaml: q-glue: unknown kind 'riddle'"),
        (_today("posts", "thanks-tarek", value="", mood=1), "today.yaml: thanks-tarek: value must be a text"),
        (_today("posts", "cut-thumb", community="golf"), "today.yaml: cut-thumb: unknown community 'golf'"),
        (_today("posts", "quote-fear", quotes="nothing"), "today.yaml: quote-fear: quotes 'nothing', which is no post"),
        (_today("posts", "q-glue", praises=["mira"]), "today.yaml: q-glue: thanks need both"),
        (_today("posts", "poll-cake", poll={"minutes": 4, "options": {}}), "today.yaml: poll-cake: poll: needs either days or minutes"),
        (_today("ideas", "desk-plants", votes=["nobody"]), "today.yaml: ideas 2: unknown person 'nobody'"),
        (_today("ideas", "desk-plants", post="nothing"), "today.yaml: ideas 2: unknown post 'nothing'"),
        (_today("pins", "year-plan", in_community="yes"), "today.yaml: pins 1: in_community is true or false"),
        (_today("emoji", "carton", file="none.png"), "today.yaml: carton: the file none.png is missing"),
        (_today("enquiries", "en-heat", steps=[{"state": "lost"}]), "today.yaml: en-heat: step 1: unknown state 'lost'"),
        (_repeat("posts-company.yaml", "coffee-q"), "posts-company.yaml: coffee-q: the key stands twice"),
    ],
)
def test_damage_is_refused_with_file_and_key(documents: Mapping[str, Any], damage: Damage, message: str) -> None:
    damaged = copy.deepcopy(dict(documents))
    damage(damaged)
    with pytest.raises(ValueError, match=message):
        build_sample(damaged, NOW)


def _copy(tmp_path: Path) -> Path:
    folder = tmp_path / "sample"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return folder


def test_a_copy_of_the_folder_reads_the_same(tmp_path: Path, sample: Sample) -> None:
    assert read_sample(NOW, _copy(tmp_path)) == sample


def test_a_mapping_key_written_twice_is_refused(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    with (folder / "people.yaml").open("a", encoding="utf-8") as people:
        people.write("\n- key: twice\n  name: One\n  name: Two\n")
    with pytest.raises(ValueError, match=r"(?s)people.yaml: key 'name' stands twice.*line \d+"):
        read_sample(NOW, folder)


def test_a_missing_and_an_oversized_file_are_refused(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    (folder / "posts-company.yaml").write_text("#" * 2_000_001, encoding="utf-8")
    with pytest.raises(ValueError, match=r"posts-company\.yaml: larger than 2000000 bytes"):
        read_sample(NOW, folder)
    (folder / "follows.yaml").unlink()
    with pytest.raises(ValueError, match=r"follows\.yaml: the file is missing"):
        read_sample(NOW, folder)


def test_mentions_and_tags_are_read_beside_any_script_but_not_in_code_or_addresses(documents: Mapping[str, Any]) -> None:
    changed = {name: list(document) if isinstance(document, list) else document for name, document in documents.items()}
    body = "@lenaさんと@kenjiさん、 #日本 `@nobody #code` a@lena.example #2 **#Yes**"
    changed["posts-everyday.yaml"].append(
        {"key": "scripts", "author": "haruka", "audience": "everyone", "language": "ja", "minutes_ago": 1, "body": body}
    )
    post: Post = next(post for post in build_sample(changed, NOW).posts if post.key == "scripts")
    assert post.mentions == ("lena", "kenji")
    assert post.tags == ("日本", "yes")
