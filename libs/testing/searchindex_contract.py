"""What every search index promises. An engine subclasses `SearchIndexContract` and says how one is opened."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from libs.searchindex.index import (
    BODY_BYTES_MAX,
    LIMIT_MAX,
    OFFSET_MAX,
    QUERY_LENGTH_MAX,
    READER_AUDIENCE_MAX,
    TAGS_MAX,
    Checkpoint,
    Document,
    IndexBusy,
    Query,
    Removal,
    Results,
    SearchIndex,
    Sort,
)

NOW = 1_790_000_000_000_000
"""The time, in microseconds, that an engine under test takes for now."""
DAY = 24 * 3600 * 1_000_000
EVERYONE = ("everyone",)


def post(id: str, body: str, version: int = 1, **more: Any) -> Document:
    """A post that everyone may find, unless told otherwise."""
    given: dict[str, Any] = {"id": id, "kind": "post", "version": version, "title": "", "body": body}
    given |= {"audience": EVERYONE, "create_time": NOW}
    return Document(**(given | more))


def person(id: str, name: str, *keywords: str, **more: Any) -> Document:
    """A person that everyone may find, unless told otherwise."""
    given: dict[str, Any] = {"id": id, "kind": "person", "version": 1, "title": name, "keywords": keywords, "audience": EVERYONE}
    return Document(**(given | more))


async def filled(index: SearchIndex, *documents: Document | Removal) -> SearchIndex:
    """The index after these writes, visible."""
    await index.write(documents)
    await index.refresh()
    return index


async def ids(index: SearchIndex, text: str = "", audience: Sequence[str] = EVERYONE, **more: Any) -> list[str]:
    """The ids of the first hits, best first."""
    return [hit.id for hit in (await index.search(Query(text=text, audience=audience, **more))).hits]


async def people(index: SearchIndex, text: str, audience: Sequence[str] = EVERYONE) -> list[str]:
    """The ids of suggested people, best first."""
    return [hit.id for hit in await index.suggest_people(text, audience)]


def marked(results: Results) -> list[str]:
    """What is highlighted in title and snippet of the first hit."""
    hit = results.hits[0]
    return [fragment.text[start:end] for fragment in (hit.title, hit.snippet) for start, end in fragment.highlights]


# (language of the documents, query, the id that comes first, the ids that are not found); see `library`.
RELEVANCE = [
    ("en", "running meetings", "en-meetings", ["en-lunch"]),
    ("en", "meeting", "en-meetings", ["en-lunch"]),
    ("en", "holiday policies", "en-holiday", ["en-meetings"]),
    ("de", "vertrag", "de-vertraege", ["de-haus", "en-lunch"]),
    ("de", "Verträge unterschrieben", "de-vertraege", ["de-haus"]),
    ("de", "hauser", "de-haus", ["de-vertraege"]),
    ("de", "hauptstrasse", "de-haus", ["de-vertraege"]),
    ("de", "Mueller", "de-vertraege", ["de-haus"]),
    ("de", "muller", "de-vertraege", ["de-haus"]),
    ("fr", "réunion", "fr-reunions", ["fr-equipe", "en-meetings"]),
    ("fr", "reunions", "fr-reunions", ["fr-equipe"]),
    ("fr", "équipes", "fr-equipe", ["fr-reunions"]),
    ("fr", "leila", "fr-equipe", ["fr-reunions"]),
    ("es", "canción", "es-canciones", ["es-vacaciones"]),
    ("es", "vacacion", "es-vacaciones", ["es-canciones"]),
    ("pt", "reunioes", "pt-reunioes", ["fr-reunions"]),
    ("it", "contratto", "it-contratti", ["de-vertraege"]),
    ("nl", "vergadering", "nl-vergadering", ["de-haus"]),
    ("ru", "договор", "ru-dogovor", ["en-lunch"]),
    ("ar", "اجتماع", "ar-meetings", ["en-meetings"]),
    ("ar", "الْمَكْتَب", "ar-meetings", ["en-lunch"]),
    ("el", "συνάντηση", "el-meeting", ["en-meetings"]),
    ("tr", "toplantı", "tr-meeting", ["en-meetings"]),
    ("sv", "mote", "sv-meeting", ["en-meetings"]),
    ("ja", "営業時間", "ja-tower", ["ja-train"]),
    ("ja", "東京タワーの営業時間", "ja-tower", ["ja-train"]),
    ("ja", "ﾀﾜｰ", "ja-tower", ["ja-train"]),
    ("ja", "電車", "ja-train", ["ja-tower"]),
    ("ja", "駅", "ja-train", ["ja-tower"]),
    ("zh", "年假", "zh-leave", ["zh-office", "ja-tower"]),
    ("zh", "办公室", "zh-office", ["zh-leave"]),
    ("ko", "회의", "ko-meeting", ["ja-tower"]),
    ("", "parking spaces", "no-language-parking", ["en-lunch"]),
    ("", "Parkplatz", "no-language-parkplatz", ["en-lunch"]),
]


def library() -> list[Document]:
    """A small shelf of documents in many languages, for the relevance suite."""
    return [
        post("en-meetings", "Running the weekly meeting: agenda first, decisions in writing.", language="en", title="Our meetings"),
        post("en-holiday", "The new policy on holidays: ask your lead two weeks before.", language="en-GB", title="Holiday policy"),
        post("en-lunch", "Soup and bread on Thursday, everybody is invited.", language="en", title="Lunch"),
        post("de-vertraege", "Frau Müller hat alle Verträge mit den Lieferanten unterschrieben.", language="de", title="Neue Verträge"),
        post("de-haus", "Die Häuser in der Hauptstraße werden im Frühling gestrichen.", language="de-AT"),
        post("fr-reunions", "Les réunions du lundi commencent désormais à dix heures.", language="fr"),
        post("fr-equipe", "Leïla rejoint l'équipe des développeurs à Lyon.", language="fr"),
        post("es-canciones", "Las canciones de la fiesta están en la lista compartida.", language="es"),
        post("es-vacaciones", "Pedid las vacaciones antes de junio.", language="es"),
        post("pt-reunioes", "As reuniões de equipa passam para terça-feira.", language="pt"),
        post("it-contratti", "I contratti sono stati firmati ieri.", language="it"),
        post("nl-vergadering", "De vergaderingen beginnen om negen uur.", language="nl"),
        post("ru-dogovor", "Новые договоры подписаны вчера.", language="ru"),
        post("ar-meetings", "تبدأ الاجتماعات في المكتب الجديد عند الساعة العاشرة.", language="ar"),
        post("el-meeting", "Οι συναντήσεις αρχίζουν στις δέκα.", language="el"),
        post("tr-meeting", "Toplantılar saat onda başlıyor.", language="tr"),
        post("sv-meeting", "Möten börjar klockan tio.", language="sv"),
        post("ja-tower", "東京タワーの営業時間は九時からです。", language="ja"),
        post("ja-train", "電車が遅れています。駅で待っています。", language="ja"),
        post("zh-leave", "今年的年假请在十二月之前申请。", language="zh"),
        post("zh-office", "新的办公室在三楼,欢迎参观。", language="zh"),
        post("ko-meeting", "회의는 오후 세 시에 시작합니다.", language="ko"),
        post("no-language-parking", "Each parking space has a number now."),
        post("no-language-parkplatz", "Die Parkplätze haben jetzt Nummern."),
    ]


def staff() -> list[Document]:
    """A few people whose names are easily misspelt."""
    return [
        person("mueller", "Jürgen Müller", "Electrical Engineer", "Finance", "Köln", names=["juergen.mueller"]),
        person("miller", "Julia Miller", "Analyst", "Finance"),
        person("leila", "Leïla Benali", "Designer", "Lyon"),
        person("obrien", "Seán O'Brien", "Counsel"),
        person("katarzyna", "Katarzyna Wiśniewska", "Researcher", "Warszawa"),
        person("yamada", "山田太郎", "営業部", names=["taro.yamada"]),
        person("anne", "Anne-Marie Dupont", "Anthropologist"),
        person("mary", "Mary Anne Young", "Anaesthetist"),
        person("alexandra", "Alexandra Papadopoulou", "Head of Design"),
    ]


class SearchIndexContract:
    """Subclass with `open_index`; every test starts with an empty index."""

    visible_seconds = 1.0
    """How long a test waits for a write to show. The promise is a second; an engine that shares a busy machine may be given longer."""

    async def open_index(self, place: Path) -> SearchIndex:
        """Opens the index that belongs to a place, created at first. The engine takes `NOW` for the time."""
        raise NotImplementedError

    @pytest.fixture
    async def index(self, tmp_path: Path) -> Any:
        """An empty index, closed after the test."""
        index = await self.open_index(tmp_path)
        yield index
        await index.close()

    # Writing

    async def test_a_document_is_found_and_shown_as_it_was_given(self, index: SearchIndex) -> None:
        given = post("p1", "Fresh bread", author_id="ann", community_id="bakers", extra={"note": ["a", 1]}, title="Daily <b>")
        await filled(index, given)
        (hit,) = (await index.search(Query(text="bread", audience=EVERYONE))).hits
        assert (hit.id, hit.kind, hit.author_id, hit.community_id, hit.create_time) == ("p1", "post", "ann", "bakers", NOW)
        assert (hit.title.text, hit.snippet.text, hit.extra) == ("Daily <b>", "Fresh bread", {"note": ["a", 1]})

    async def test_the_newer_version_wins_in_any_order_of_arrival(self, index: SearchIndex) -> None:
        await filled(index, post("p1", "second", 2))
        await filled(index, post("p1", "first", 1))
        assert (await ids(index, "second"), await ids(index, "first")) == (["p1"], [])
        await filled(index, post("p1", "fourth", 4), post("p1", "third", 3))
        assert (await ids(index, "fourth"), await ids(index, "third"), await ids(index)) == (["p1"], [], ["p1"])

    async def test_the_same_write_again_changes_nothing(self, index: SearchIndex) -> None:
        for _ in range(2):
            await filled(index, post("p1", "once", 1), post("p2", "once", 2))
        assert sorted(await ids(index, "once")) == ["p1", "p2"]

    async def test_what_was_removed_stays_away_from_late_writes(self, index: SearchIndex) -> None:
        await filled(index, post("p1", "old", 1), Removal(id="p1", version=3))
        await filled(index, post("p1", "late", 2))
        assert (await ids(index), await index.count(Query(audience=EVERYONE)), await ids(index, "-nothing")) == ([], 0, [])
        await filled(index, post("p1", "again", 4))
        assert await ids(index) == ["p1"]

    async def test_a_late_removal_does_not_take_away_what_is_newer(self, index: SearchIndex) -> None:
        await filled(index, post("p1", "new", 5), Removal(id="p1", version=4), Removal(id="never seen", version=1))
        assert await ids(index) == ["p1"]

    async def test_documents_and_checkpoint_survive_reopening(self, tmp_path: Path) -> None:
        index = await self.open_index(tmp_path)
        await index.write([post("p1", "kept", 7)], Checkpoint("feed", 7))
        await index.close()
        again = await self.open_index(tmp_path)
        await again.refresh()
        assert (await ids(again, "kept"), await again.checkpoint("feed"), await again.checkpoint("identity")) == (["p1"], 7, 0)
        await again.close()

    async def test_a_checkpoint_never_moves_back_and_is_no_document(self, index: SearchIndex) -> None:
        await index.write([], Checkpoint("feed", 9))
        await index.write([], Checkpoint("feed", 8))
        await index.write([], Checkpoint("identity", 2))
        await index.refresh()
        assert (await index.checkpoint("feed"), await index.checkpoint("identity")) == (9, 2)
        assert (await ids(index), await index.count(Query(audience=EVERYONE))) == ([], 0)

    async def test_a_write_is_found_within_a_second_without_refresh(self, index: SearchIndex) -> None:
        await index.write([post("p1", "soon")])
        async with asyncio.timeout(self.visible_seconds):
            while not await ids(index, "soon"):
                await asyncio.sleep(0.01)  # an engine of another process says nothing when it is ready

    async def test_concurrent_writes_all_arrive(self, index: SearchIndex) -> None:
        await asyncio.gather(*(index.write([post(f"p{n}", "together", n)], Checkpoint("feed", n)) for n in range(1, 9)))
        await index.refresh()
        assert (await index.count(Query(text="together", audience=EVERYONE)), await index.checkpoint("feed")) == (8, 8)

    async def test_clear_forgets_documents_removals_and_checkpoints(self, index: SearchIndex) -> None:
        await index.write([post("p1", "old", 5), Removal(id="p2", version=5)], Checkpoint("feed", 5))
        await index.clear()
        await index.refresh()
        assert (await ids(index), await index.checkpoint("feed")) == ([], 0)
        await filled(index, post("p2", "revived", 1))
        assert await ids(index) == ["p2"]

    async def test_a_rebuild_answers_from_the_old_until_it_is_complete(self, tmp_path: Path) -> None:
        index = await self.open_index(tmp_path)
        await index.write([post("old", "bread", 1)], Checkpoint("feed", 1))
        await index.refresh()
        async with index.rebuilding() as fresh:
            assert await fresh.checkpoint("feed") == 0
            await fresh.write([post("new", "bread", 1)], Checkpoint("feed", 4))
            await index.write([post("meanwhile", "bread", 2)])
            await index.refresh()
            assert sorted(await ids(index, "bread")) == ["meanwhile", "old"]
            with pytest.raises(IndexBusy):
                async with index.rebuilding():
                    pass
        await index.refresh()
        assert (await ids(index, "bread"), await index.checkpoint("feed")) == (["new"], 4)
        await filled(index, post("after", "bread", 5))
        await index.close()
        again = await self.open_index(tmp_path)
        assert sorted(await ids(again, "bread")) == ["after", "new"]
        await again.close()

    async def test_a_rebuild_that_fails_leaves_everything_as_it_was(self, index: SearchIndex) -> None:
        await filled(index, post("old", "bread", 1))
        with pytest.raises(RuntimeError, match="half way"):
            async with index.rebuilding() as fresh:
                await fresh.write([post("new", "bread", 1)])
                raise RuntimeError("half way")
        assert await ids(index, "bread") == ["old"]
        async with index.rebuilding() as fresh:
            await fresh.write([post("third", "bread", 1)])
        await index.refresh()
        assert await ids(index, "bread") == ["third"]

    # Audience

    async def test_nothing_is_found_counted_or_suggested_outside_the_audience(self, index: SearchIndex) -> None:
        await filled(
            index,
            post("open", "salary talk"),
            post("board", "salary talk", audience=["community:board", "person:ann"]),
            post("nobody", "salary talk", audience=[]),
            person("hidden", "Salary Sally", audience=["group:hr"]),
        )
        both = ("community:board", "everyone")
        for keys, seen in (((), []), (EVERYONE, ["open"]), (("person:ann",), ["board"]), (both, ["board", "open"])):
            results = await index.search(Query(text="salary", audience=keys))
            assert sorted(hit.id for hit in results.hits) == seen
            assert (results.total, sum(results.facets.values())) == (len(seen), len(seen))
            assert await index.count(Query(text="salary", audience=keys)) == len(seen)
            assert await index.count(Query(audience=keys)) == len(seen)
            assert await people(index, "sally", keys) == []
        for narrowed in ({"kinds": ["person"]}, {"sort": Sort.NEWEST}, {"after_time": 1}):
            results = await index.search(Query(text="salary", audience=("person:ann",), limit=1, **narrowed))
            assert "hidden" not in [hit.id for hit in results.hits]
            assert ("person" in results.facets, results.next_page_token) == (False, "")
        assert await people(index, "sally", ["group:hr"]) == ["hidden"]
        assert await ids(index, "-nothing", ["person:bob"]) == []

    async def test_audience_keys_match_whole_and_exactly(self, index: SearchIndex) -> None:
        await filled(index, post("p1", "secret", audience=["person:Ann 1"]))
        for near in ("person:ann 1", "person:Ann", "person", "person:Ann 1 ", "person:Ann 12", "*"):
            assert await ids(index, "secret", [near]) == []
        assert await ids(index, "secret", ["person:Ann 1"]) == ["p1"]

    async def test_a_reader_of_very_many_things_finds_theirs_only(self, index: SearchIndex) -> None:
        await filled(index, *(post(f"p{n}", "plan", n + 1, audience=[f"community:{n:036}"]) for n in range(4)))
        keys = [f"community:{n:036}" for n in range(3, READER_AUDIENCE_MAX + 3)]
        assert len(keys) == READER_AUDIENCE_MAX
        results = await index.search(Query(text="plan", audience=keys))
        assert ([hit.id for hit in results.hits], results.total, results.facets) == (["p3"], 1, {"post": 1})

    async def test_a_changed_audience_takes_effect_with_the_write(self, index: SearchIndex) -> None:
        await filled(index, post("p1", "plan", 1))
        await filled(index, post("p1", "plan", 2, audience=["community:board"]))
        assert (await ids(index, "plan"), await ids(index, "plan", ["community:board"])) == ([], ["p1"])

    # Filters, order and pages

    async def test_filters_narrow_and_facets_count_the_other_kinds(self, index: SearchIndex) -> None:
        await filled(
            index,
            post("p1", "bread", author_id="ann", community_id="bakers", tags=["Sourdough"], create_time=NOW - 9 * DAY),
            post("p2", "bread", author_id="bob", tags=["rye"], create_time=NOW),
            person("ann", "Ann Bread"),
            Document(id="bakers", kind="community", version=1, title="Bread bakers", audience=EVERYONE, create_time=NOW),
        )
        results = await index.search(Query(text="bread", audience=EVERYONE, kinds=["post"]))
        assert (sorted(hit.id for hit in results.hits), results.total) == (["p1", "p2"], 2)
        assert results.facets == {"post": 2, "person": 1, "community": 1}
        assert sorted(await ids(index, "bread", kinds=["person", "community"])) == ["ann", "bakers"]
        assert await ids(index, "bread", kinds=["page"]) == []
        assert await ids(index, author_id="ann") == ["p1"]
        assert await ids(index, community_id="bakers") == ["p1"]
        assert (await ids(index, tag="sourdough"), await ids(index, tag="#RYE"), await ids(index, "#rye")) == (["p1"], ["p2"], ["p2"])
        assert await ids(index, kinds=["post"], after_time=NOW) == ["p2"]
        assert await ids(index, kinds=["post"], before_time=NOW) == ["p1"]
        assert await index.count(Query(text="bread", audience=EVERYONE, kinds=["post"], author_id="bob")) == 1

    async def test_newest_first_whatever_matches_best(self, index: SearchIndex) -> None:
        await filled(index, *(post(f"p{n}", "bread " * (9 - n), n, create_time=NOW - n * DAY) for n in (3, 1, 2)))
        assert await ids(index, "bread", sort=Sort.NEWEST) == ["p1", "p2", "p3"]
        assert await ids(index) == ["p1", "p2", "p3"]

    async def test_of_equal_matches_the_newer_is_first_but_a_better_match_beats_a_new_one(self, index: SearchIndex) -> None:
        await filled(index, post("old", "rye bread", create_time=NOW - 400 * DAY), post("new", "rye bread", create_time=NOW - DAY))
        assert await ids(index, "bread") == ["new", "old"]
        await filled(index, post("titled", "oven", title="Bread", create_time=NOW - 2_000 * DAY))
        assert (await ids(index, "bread"))[0] == "titled"

    async def test_names_and_titles_count_more_than_bodies(self, index: SearchIndex) -> None:
        titled = post("title", "something else", title="Ann Baker")
        await filled(index, post("body", "Ann Baker baked"), person("person", "Ann Baker"), titled)
        assert (await ids(index, "ann baker"))[-1] == "body"

    async def test_pages_follow_each_other_without_gap_or_repeat(self, index: SearchIndex) -> None:
        documents = [post(f"p{n:03}", "bread", n, create_time=NOW - n * DAY) for n in range(1, 251)]
        await filled(index, *documents)
        for sort in Sort:
            seen: list[str] = []
            query = Query(text="bread", audience=EVERYONE, sort=sort, limit=60)
            while True:
                results = await index.search(query)
                assert results.total == 250
                seen += [hit.id for hit in results.hits]
                if not results.next_page_token:
                    break
                query = Query(text="bread", audience=EVERYONE, sort=sort, limit=60, page_token=results.next_page_token)
            assert sorted(seen) == [document.id for document in documents]

    # Query text

    @pytest.mark.parametrize(("language", "query", "first", "absent"), RELEVANCE, ids=[f"{row[0]}: {row[1]}" for row in RELEVANCE])
    async def test_relevance(self, index: SearchIndex, language: str, query: str, first: str, absent: list[str]) -> None:
        documents = library()
        assert {document.id: document.language for document in documents}[first][:2] == language
        await filled(index, *documents)
        found = await ids(index, query)
        assert found[:1] == [first]
        assert not set(found) & set(absent)

    @pytest.mark.parametrize("written", ["Müller", "Mueller", "Muller", "MÜLLER", "Mu\u0308ller"])
    @pytest.mark.parametrize("typed", ["Müller", "mueller", "muller", "Mu\u0308ller"])
    async def test_spellings_of_a_name_find_each_other(self, index: SearchIndex, written: str, typed: str) -> None:
        said = post("p1", f"Gestern hat {written} gesprochen.")
        await filled(index, said, person("p2", f"Eva {written}"), post("other", "Gestern nicht."))
        assert sorted(await ids(index, typed)) == ["p1", "p2"]
        assert await people(index, typed) == ["p2"]

    async def test_phrases_exclusions_tags_and_handles(self, index: SearchIndex) -> None:
        await filled(
            index,
            post("rye", "Rye bread from the old oven #Sourdough"),
            post("bread", "Bread of rye, thanks @maria.lopez"),
            post("code", "Written in C++ last year 🎉"),
            post("sour", "sourdough without a sign"),
        )
        assert await ids(index, '"rye bread"') == ["rye"]
        assert await ids(index, "“RYE BREAD”") == ["rye"]
        assert sorted(await ids(index, '"rye bread')) == ["bread", "rye"]
        assert await ids(index, "rye -oven") == ["bread"]
        assert await ids(index, 'rye -"rye bread"') == ["bread"]
        assert sorted(await ids(index, "-rye")) == ["code", "sour"]
        assert await ids(index, "#sourdough") == ["rye"]
        assert sorted(await ids(index, "sourdough")) == ["rye", "sour"]
        assert await ids(index, "@maria.lopez") == ["bread"]
        assert await ids(index, "lopez") == ["bread"]
        assert await ids(index, "c++") == ["code"]
        assert await ids(index, "🎉") == ["code"]

    async def test_the_last_word_is_also_a_beginning(self, index: SearchIndex) -> None:
        await filled(index, post("p1", "Quarterly accounting"), post("p2", "Quarterly weather"))
        assert await ids(index, "quarterly accou") == ["p1"]
        assert await ids(index, "accou quarterly") == []
        assert await ids(index, "accou ") == []

    async def test_a_whole_word_comes_before_a_longer_one(self, index: SearchIndex) -> None:
        await filled(index, post("longer", "planetarium visit"), post("whole", "planet visit"))
        assert await ids(index, "planet") == ["whole", "longer"]

    async def test_one_of_many_words_may_be_missing(self, index: SearchIndex) -> None:
        await filled(index, post("p1", "Wie beantrage ich Urlaub im Sommer", language="de"))
        assert await ids(index, "wie kann ich urlaub beantragen") == ["p1"]
        assert await ids(index, "urlaub norwegen") == []

    async def test_text_without_anything_to_search_for_finds_nothing(self, index: SearchIndex) -> None:
        await filled(index, post("p1", "bread"))
        for text in ("!!!", '"', "-", '""', "()[]{}", "\x00", "\ud800"):
            assert await ids(index, text) == []
        assert await ids(index, "  \t") == ["p1"]

    async def test_no_query_text_is_an_error(self, index: SearchIndex) -> None:
        await filled(index, *library(), *staff())
        pieces = ['"', "-", "#", "@", "*", "~2", "(", "[a TO b]", "title:", "AND", "NOT", "\\", "/.*/", "^9", "é", "日", "\ud800", " "]
        for left in pieces:
            typed = [text for right in pieces for text in (left + right, f"a{left}b{right}", f"{left} word {right}")]
            await asyncio.gather(*(index.search(Query(text=text, audience=EVERYONE)) for text in typed))
            await asyncio.gather(*(index.suggest_people(text, EVERYONE) for text in typed))
        for long in ("東", "ab ", "東京大阪京都福岡札幌仙台 ", "ä ", "ü-é ", "#tag ", '"ab cd" ', "-ab ", "東京 ab "):
            await index.search(Query(text=(long * QUERY_LENGTH_MAX)[:QUERY_LENGTH_MAX], audience=EVERYONE))
            await index.suggest_people((long * QUERY_LENGTH_MAX)[:QUERY_LENGTH_MAX], EVERYONE)

    # Highlights

    async def test_what_matched_is_marked_in_the_original_text(self, index: SearchIndex) -> None:
        await filled(index, *library())
        for text, expected in (
            ("vertrag muller", ["Verträge", "Müller", "Verträge"]),
            ("営業時間", ["営業時間"]),
            ("駅", ["駅"]),
            ("equipe", ["équipe"]),
            ("hauptstrasse", ["Hauptstraße"]),
        ):
            assert marked(await index.search(Query(text=text, audience=EVERYONE))) == expected

    async def test_the_snippet_shows_the_place_that_matched(self, index: SearchIndex) -> None:
        await filled(index, post("p1", "filler words here " * 200 + "the <script>needle</script> lies " + "and more follows " * 200))
        results = await index.search(Query(text="needle", audience=EVERYONE))
        snippet = results.hits[0].snippet
        assert (marked(results), len(snippet.text) < 300) == (["needle"], True)
        assert "<script>needle</script>" in snippet.text

    # People

    @pytest.mark.parametrize(
        ("typed", "first"),
        [
            ("jur", "mueller"), ("Jürgen Mü", "mueller"), ("mul jur", "mueller"), ("muler", "mueller"), ("meuller", "mueller"),
            ("juergen.mueller", "mueller"), ("lela", "leila"), ("leyla", "leila"), ("benlai", "leila"), ("obrien", "obrien"),
            ("o'brien", "obrien"), ("sean", "obrien"), ("katarzina", "katarzyna"), ("wisnewska", "katarzyna"), ("wishnievska", "katarzyna"),
            ("山田", "yamada"), ("太郎", "yamada"), ("taro", "yamada"), ("annemarie", "anne"), ("dupont anne", "anne"), ("anne", "anne"),
            ("young", "mary"), ("papadopolou", "alexandra"), ("aelxandra", "alexandra"), ("alexandr papa", "alexandra"),
            ("electrical", "mueller"), ("finance julia", "miller"), ("koln", "mueller"), ("koeln", "mueller"),
        ],
    )  # fmt: skip
    async def test_people_are_found_as_they_are_typed(self, index: SearchIndex, typed: str, first: str) -> None:
        await filled(index, *staff())
        assert (await people(index, typed))[:1] == [first]

    async def test_the_better_name_match_is_suggested_first(self, index: SearchIndex) -> None:
        await filled(
            index,
            person("typo", "Marea Lund"),
            person("title", "Zoe Berg", "Maria project lead"),
            person("last", "Ana Maria Ruiz"),
            person("first", "Maria Zeller"),
            person("longer", "Mariam Abel"),
        )
        assert await people(index, "maria") == ["first", "longer", "last", "typo", "title"]

    async def test_short_words_and_strangers_are_not_guessed(self, index: SearchIndex) -> None:
        await filled(index, *staff())
        for typed in ("xyz", "ann mueller", "jux", "smith", "", "  ", "?!"):
            assert await people(index, typed) == []

    async def test_suggestions_are_people_marked_and_limited(self, index: SearchIndex) -> None:
        await filled(index, post("p1", "Maria", title="Maria"), *(person(f"m{n:02}", f"Maria Number{n:02}") for n in range(30)))
        hits = await index.suggest_people("mari", EVERYONE, limit=5)
        assert [hit.id for hit in hits] == ["m00", "m01", "m02", "m03", "m04"]
        assert hits[0].title.highlights == ((0, 4),)

    # Limits

    async def test_limits_are_kept_and_said(self, index: SearchIndex) -> None:
        for make, names in (
            (lambda: Query(text="x" * (QUERY_LENGTH_MAX + 1)), "text"),
            (lambda: Query(limit=0), "limit"),
            (lambda: Query(limit=LIMIT_MAX + 1), "limit"),
            (lambda: Query(page_token=str(OFFSET_MAX + 1)), "page_token"),
            (lambda: Query(page_token="-1"), "page_token"),
            (lambda: post("p", "x", tags=["t"] * (TAGS_MAX + 1)), "tags"),
            (lambda: post("", "x"), "id"),
            (lambda: post("p", "x", -1), "version"),
            (lambda: post("p", "x", audience="everyone"), "audience"),
            (lambda: post("p", "x", extra={"k": "v" * 5_000}), "extra"),
            (lambda: post("p", "x", extra={"k": object()}), "extra"),
        ):
            with pytest.raises(ValueError, match=names):
                make()
        with pytest.raises(ValueError, match="text"):
            await index.suggest_people("x" * (QUERY_LENGTH_MAX + 1), EVERYONE)
        with pytest.raises(ValueError, match="at most 1000"):
            await index.write([post(f"p{n}", "x") for n in range(1_001)])

    async def test_a_body_is_searched_up_to_its_limit(self, index: SearchIndex) -> None:
        await filled(index, post("p1", "early " + "ü" * BODY_BYTES_MAX + " late"), post("p2", "\ud800 broken \x00 text", title="\udfff"))
        assert (await ids(index, "early"), await ids(index, "late"), await ids(index, "broken")) == (["p1"], [], ["p2"])
