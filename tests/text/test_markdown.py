"""Markdown of posts: what it becomes, what it refers to, and that nothing typed becomes a script."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.testing.world import shared_data
from libs.text import markdown
from libs.text.markdown import BODY_LENGTH_MAX, Extracted, TextTooLong, excerpt, extract, normal_hashtag, plain, render

PEOPLE = {"mary": ("0199-1", "Mary O'Neil"), "j.doe": ("0199-2", "J <b>"), "_x-y": ("0199-3", "X")}
REL = ' rel="noopener nofollow ugc"'


def a(address: str, words: str, name: str = "") -> str:
    return f'<a href="{address}"{f" class={json.dumps(name)}" if name else ""}{REL}>{words}</a>'


MARY = a("/people/0199-1", "@Mary O'Neil", "mention")


class Checker(HTMLParser):
    """Reads HTML as a browser would and objects to all that a post must not contain."""

    TAGS = frozenset(["a", "blockquote", "br", "code", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "strong", "ul"])

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.TAGS
        assert not (tag == "a" and "a" in self.open), "a link in a link"
        allowed = {"a": {"href", "class", "rel"}, "ol": {"start"}}.get(tag, set())
        values = dict(attrs)
        assert values.keys() <= allowed
        if tag == "a":
            # The sanitiser takes the address from a link to a host that no browser would look up, such as 1.2.3.400.
            address = values.get("href", "/") or ""
            assert values["rel"] == "noopener nofollow ugc"
            assert address
            assert values.get("class", "mention") in ("mention", "hashtag")
            assert urlsplit(address).scheme.lower() in ("http", "https", "mailto") or (
                address[0] == "/" and address[:2] not in ("//", "/\\")
            )
        if tag not in ("br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration")

    def handle_pi(self, data: str) -> None:
        raise AssertionError("a processing instruction")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError("a section")


def checked(source: str) -> str:
    """Render a text, check the result, and return the text a browser shows."""
    checker = Checker()
    checker.feed(render(source, mentions=PEOPLE))
    checker.close()
    assert checker.open == []
    return checker.text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain", "<p>plain</p>"),
        ("**a** *b* ~~c~~ `d`", "<p><strong>a</strong> <em>b</em> <s>c</s> <code>d</code></p>"),
        ("one\ntwo\n\nthree", "<p>one<br>\ntwo</p>\n<p>three</p>"),
        ("> said", "<blockquote>\n<p>said</p>\n</blockquote>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("7. a", '<ol start="7">\n<li>a</li>\n</ol>'),
        ("```python\nx < 1\n```", "<pre><code>x &lt; 1\n</code></pre>"),
        ("# One\n## Two\n### Three\n###### Six", "<p><strong>One</strong></p>\n<p><strong>Two</strong></p>\n<h3>Three</h3>\n<h6>Six</h6>"),
        ("Under\n=====", "<p><strong>Under</strong></p>"),
        ("<b onclick=x>b</b> <!-- c --> &lt;", "<p>&lt;b onclick=x&gt;b&lt;/b&gt; &lt;!-- c --&gt; &lt;</p>"),
        ("[words](https://a.example 'title')", f"<p>{a('https://a.example', 'words')}</p>"),
        ("[here](/posts/1) [not](posts) [nor](//evil.example)", f"<p>{a('/posts/1', 'here')} [not](posts) [nor](//evil.example)</p>"),
        ("![a chart](https://a.example/c.png)", f"<p>{a('https://a.example/c.png', 'a chart')}</p>"),
        ("[![chart](https://a.example/c.png)](https://b.example)", f"<p>{a('https://b.example', 'chart')}</p>"),
        ("[x](javascript:alert(1)) <data:text/html,x>", "<p>[x](javascript:alert(1)) &lt;data:text/html,x&gt;</p>"),
        ("[x](https://bank.example@evil.example)", "<p>[x](https://bank.example@evil.example)</p>"),
        ("| a | b |\n| - | - |", "<p>| a | b |<br>\n| - | - |</p>"),
        ("", ""),
    ],
)
def test_the_subset(source: str, expected: str) -> None:
    assert render(source).strip() == expected
    checked(source)


@pytest.mark.parametrize(
    ("source", "linked"),
    [
        ("https://a.example/x?y=1#z", ["https://a.example/x?y=1#z"]),
        ("(see http://a.example/b_(c)), or", ["http://a.example/b_(c)"]),
        ("http://a.example/_b_/*c*/d!", ["http://a.example/_b_/*c*/d"]),
        ("*http://a.example*", ["http://a.example"]),
        ("www.a.example/b, www.a.example.", ["http://www.a.example/b", "http://www.a.example"]),
        ("mary@a.example, x.y+z@b.example!", ["mailto:mary@a.example", "mailto:x.y+z@b.example"]),
        ("http://localhost:8000/a http://[::1]/b", ["http://localhost:8000/a", "http://[::1]/b"]),
        ("https://日本.example/パス。次", ["https://xn--wgv71a.example/%E3%83%91%E3%82%B9"]),
        ("https://a.example/#tag/@mary", ["https://a.example/#tag/@mary"]),
        ("[http://a.example](http://b.example)", ["http://b.example"]),
        ("README.md main.py a.example ftp://a.example //a.example xhttp://a.example http:// www. a@b", []),
        ("http://a:b http://u@a.example http://[ http://a%5Db", []),
        ("`http://a.example`", []),
        ("http://a.example/" + "x" * 3000, []),
    ],
)
def test_addresses_are_linked_as_typed(source: str, linked: list[str]) -> None:
    assert list(extract(source).links) == linked
    shown = render(source)
    assert [shown.count(f'href="{address}"') for address in linked] == [1] * len(linked)
    assert shown.count("<a") == len(linked)
    checked(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("@mary", MARY),
        ("(@Mary), **@MARY**.", f"({MARY}), <strong>{MARY}</strong>."),
        ("cc:@mary/@j.doe.", f"cc:{MARY}/@j.doe."),
        ("@j.doe!", a("/people/0199-2", "@J &lt;b&gt;", "mention") + "!"),
        ("@_x-y", a("/people/0199-3", "@X", "mention")),
        ("こんにちは@mary", f"こんにちは{MARY}"),
        ("@nobody @mary_ @mary@a x@mary \\@mary @ @. `@mary`", "@nobody @mary_ @mary@a x@mary @mary @ @. <code>@mary</code>"),
        ("[@mary](/x)", a("/x", "@mary")),
    ],
)
def test_mentions_become_people(source: str, expected: str) -> None:
    assert render(source, mentions=PEOPLE).strip() == f"<p>{expected}</p>"
    checked(source)


@pytest.mark.parametrize(
    ("source", "tags"),
    [
        ("#tag #Tag #TAG", ["tag"]),
        ("#Über #STRASSE #straße", ["über", "strasse"]),
        ("#日本語、#한국어 #हिन्दी #ไทย #العربية", ["日本語", "한국어", "हिन्दी", "ไทย", "العربية"]),
        ("＃全角 #ＡＢＣ #e\u0301 #é", ["全角", "abc", "é"]),
        ("#a_b-c (#d) #1a **#e**", ["a_b", "d", "1a", "e"]),
        ("#123 #_ # #½ #ﷺ ## C# a#b &#35;x x/#y \\#z `#c` #" + "x" * 65, []),
        ("#" + "x" * 64, ["x" * 64]),
        ("# #heading", ["heading"]),
        ("```\n#code\n```\n\n    #code", []),
    ],
)
def test_hashtags_of_any_script(source: str, tags: list[str]) -> None:
    assert list(extract(source).hashtags) == tags
    checked(source)


def test_a_hashtag_is_linked_in_its_normal_form_and_shown_as_typed() -> None:
    assert render("#Über").strip() == f"<p>{a('/tags/%C3%BCber', '#Über', 'hashtag')}</p>"


def test_what_is_extracted_keeps_its_order_and_is_named_once() -> None:
    source = "@zoe #b http://z.example @Anna, #a\n\n> @zoe [x](/y) #B http://z.example ![i](http://i.example)"
    assert extract(source) == Extracted(("zoe", "anna"), ("b", "a"), ("http://z.example", "/y", "http://i.example"), ("zoe", "anna"))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("**a** [b](http://c.example) `d` ![e](http://f.example)\nnext", "a b d e\nnext"),
        ("# Title\n\n- one\n- two\n\n> said\n\n```\nx = 1\n```\n\n---\n", "Title\none\ntwo\nsaid\nx = 1"),
        ("@mary #tag &amp; <b>", "@mary #tag & <b>"),
        ("", ""),
    ],
)
def test_plain_text_for_search_and_notifications(source: str, expected: str) -> None:
    assert plain(source) == expected


@pytest.mark.parametrize(
    ("source", "length", "expected"),
    [
        ("short *text*", 200, "short text"),
        ("one\n\ntwo", 200, "one two"),
        ("one two three", 9, "one two…"),
        ("x" * 50, 10, "x" * 9 + "…"),
        ("日本語" * 20, 10, "日本語日本語日本語…"),
        ("ab" + "e\u0301" * 10, 6, "abe\u0301…"),
        ("a 👨\u200d👩\u200d👧 b", 5, "a…"),
        ("a👍🏽b", 3, "a…"),
        ("abc", 0, ""),
    ],
)
def test_excerpts_end_between_words_and_never_within_a_letter(source: str, length: int, expected: str) -> None:
    assert excerpt(source, length) == expected


@given(st.text(max_size=300), st.integers(0, 60))
def test_an_excerpt_keeps_its_length(source: str, length: int) -> None:
    assert len(excerpt(source, length)) <= length
    assert "\n" not in excerpt(source, length)


@given(st.text(min_size=1, max_size=70))
def test_a_normal_hashtag_is_its_own_normal_form(text: str) -> None:
    tag = normal_hashtag(text)
    assert tag is None or (normal_hashtag(tag) == tag and len(tag) <= 64 and not any(map(str.isspace, tag)))


@pytest.mark.parametrize("ask", [render, extract, plain, excerpt])
def test_a_text_past_its_limit_is_refused(ask: Callable[[str], object]) -> None:
    ask("x" * BODY_LENGTH_MAX)
    with pytest.raises(TextTooLong, match="at most 10,000 characters"):
        ask("x" * (BODY_LENGTH_MAX + 1))


@pytest.mark.parametrize(
    "source", ["> " * 40 + "deep @mary #tag", "- " * 40 + "deep", "".join("  " * n + "- x\n" for n in range(40)) + " deep"]
)
def test_a_text_nested_too_deep_is_shown_as_typed(source: str) -> None:
    assert "".join(checked(source).split()) == "".join(source.split())
    assert "deep" in plain(source)
    assert extract(source) == Extracted((), (), ())
    assert "<blockquote>" in render("> " * 10 + "deep")


# What costs Markdown parsers time, repeated to the limit: it may cost what its length explains, not the square of it.
COSTLY = [
    "[",
    "![",
    "](",
    "[a](",
    "[[a]",
    "*a **b ",
    "***a***",
    "_a ",
    "`a",
    "~~a",
    "<a",
    "<![CDATA[",
    "&",
    "\\",
    "> ",
    "- ",
    "> - ",
    "1. ",
    "#a",
    "#\u0301",
    "@a ",
    "@a.",
    "a@",
    "a@b.",
    "a@b.c ",
    "http://",
    "http://[",
    "http://a?",
    "http://a.b/(",
    "http://a.b.c.d.",
    "www.",
    "www.a.",
    "://",
    "[a]: b\n",
    "- a\n",
]


@pytest.mark.parametrize("piece", COSTLY)
def test_hostile_texts_cost_no_more_than_their_length(piece: str) -> None:
    def seconds(length: int) -> float:
        source = (piece * length)[:length]
        began = time.process_time()
        markdown._render(source, (), ())
        extract(source)
        return time.process_time() - began

    # In the square, the whole would cost 16 times its quarter; what takes under 50 ms is no danger and too short to compare.
    # A busy machine slows one run or another, never every pair: what is in the square fails them all.
    whole = quarter = 1e9
    gc.disable()  # the collector walks what other tests left behind
    try:
        for attempt in range(12):
            whole, quarter = min(whole, seconds(BODY_LENGTH_MAX)), min(quarter, seconds(BODY_LENGTH_MAX // 4))
            if attempt >= 2 and (whole < 0.05 or whole < 9 * quarter):
                break
    finally:
        gc.enable()
    assert whole < 0.05 or whole < 9 * quarter
    checked((piece * BODY_LENGTH_MAX)[:BODY_LENGTH_MAX])


PIECES = st.sampled_from(
    [
        "<",
        ">",
        "[",
        "]",
        "(",
        ")",
        "!",
        "`",
        "*",
        "_",
        "~",
        "#",
        "@",
        "&",
        ";",
        ":",
        "/",
        "\\",
        "'",
        '"',
        "=",
        "\n",
        "\n\n",
        " ",
        "    ",
        "\t",
        "\0",
        "- ",
        "1. ",
        "> ",
        "```",
        "a",
        "é",
        "日",
        "👍",
        "\u200d",
        "\u202e",
        "mary",
        "@mary",
        "#tag",
        "http://",
        "www.",
        ".example",
        "javascript:",
        "data:text/html,",
        "alert(1)",
        "<script>",
        "</a>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "&#x6a;",
        "&colon;",
        "style=",
        "href=",
        " onmouseover=alert(1) ",
        "\x01",
        "\ufeff",
    ]
)


@settings(max_examples=400)
@given(st.lists(PIECES | st.text(max_size=8), max_size=40).map("".join))
def test_no_text_becomes_more_than_a_post(source: str) -> None:
    checked(source)
    found = extract(source)
    assert all(normal_hashtag(tag) == tag for tag in found.hashtags)
    assert all(handle == handle.lower() and len(handle) <= 64 for handle in found.mentions)
    plain(source)


@given(st.text(), st.text(min_size=1))
def test_a_persons_name_and_id_are_text(person_id: str, name: str) -> None:
    checker = Checker()
    checker.feed(render("hello @mary", mentions={"mary": (person_id, name)}))
    checker.close()
    assert checker.open == []


def test_the_texts_of_attackers_stay_texts() -> None:
    root = shared_data()
    if root is None:
        pytest.skip("the folder of real data beside the repository is absent")
    hostile = root / "data" / "hostile"
    payloads = [entry["payload"] for entry in json.loads((hostile / "html-xss" / "dompurify-expect.json").read_text(encoding="utf-8"))]
    payloads += json.loads((hostile / "naughty-strings.json").read_text(encoding="utf-8"))
    payloads += [path.read_text(encoding="utf-8") for path in [*(hostile / "svg").iterdir(), hostile / "uploads" / "xss.html"]]
    assert len(payloads) > 500
    for payload in payloads:
        payload = payload[: BODY_LENGTH_MAX - 100]
        for source in (
            payload,
            f"[x]({payload})",
            f"[x](<{payload}>)",
            f"![{payload}](http://a.example)",
            f"<{payload}>",
            f"# {payload}",
            f"`{payload}`",
        ):
            checked(source)


def test_rendering_is_kept_and_may_be_forgotten() -> None:
    try:
        markdown.keep_rendered(2)
        first = render("kept @mary", mentions=PEOPLE)
        assert render("kept @mary", mentions=dict(reversed(PEOPLE.items()))) is first
        assert render("kept @mary", mentions={"mary": ("0199-1", "Mary Married")}) != first
        for other in ("one", "two", "three"):
            render(other)
        again = render("kept @mary", mentions=PEOPLE)
        assert again == first
        assert again is not first
        markdown.keep_rendered(0)
        assert render("x") == render("x")
    finally:
        markdown.keep_rendered(4096)


def test_threads_may_render_at_once() -> None:
    sources = [f"http://a{number}.example #t{number} **b** @mary" for number in range(200)]
    expected = [(render(source, mentions=PEOPLE), extract(source)) for source in sources]
    markdown.keep_rendered(4096)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda source: (render(source, mentions=PEOPLE), extract(source)), sources)) == expected


PLACES = {"köln-büro": ("/communities/0199-7", "Köln Büro"), "team": ("/groups/0199-8", "Team <b>"), "mary": ("/communities/x", "not me")}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("@team.", a("/groups/0199-8", "@Team &lt;b&gt;", "mention") + "."),
        ("@Köln-Büro und @KÖLN-BÜRO", " und ".join([a("/communities/0199-7", "@Köln Büro", "mention")] * 2)),
        ("@mary", a("/people/0199-1", "@Mary O'Neil", "mention")),
        ("@mary是", a("/people/0199-1", "@Mary O'Neil", "mention") + "是"),
        ("@köln x@team @team@team `@team`", "@köln x@team @team@team <code>@team</code>"),
    ],
)
def test_communities_and_groups_are_called_in_any_script(source: str, expected: str) -> None:
    assert render(source, mentions=PEOPLE, places=PLACES).strip() == f"<p>{expected}</p>"


def test_what_may_be_called_is_told_apart_from_people() -> None:
    found = extract("@Köln-Büro @team @mary是 @a@b")
    assert (found.mentions, found.names) == (("k", "team", "mary"), ("köln-büro", "k", "team", "mary是", "mary"))


def test_shortcodes_become_pictures_outside_code() -> None:
    emoji = {"party": "/files/abc", "x2": 'javascript:alert("1")'}
    shown = '<img class="emoji" src="/files/abc" alt=":party:" title=":party:">'
    found = render("a :party::party: 10:30:party: `:party:` [:party:](/x) :nobody:", emoji=emoji)
    assert found.count("<img") == 4
    assert ":nobody:" in found
    assert "<code>:party:</code>" in found
    assert f'">{shown}</a>' in found
    assert render(":party:", emoji=emoji).strip() == f"<p>{shown}</p>"
    assert "javascript" not in render(":x2:", emoji=emoji)
    assert "<img" not in render(":party:")
    assert "<img" not in render("![:party:](http://x.example/y.png) <img src=/files/abc>", emoji={"other": "/files/abc"})
