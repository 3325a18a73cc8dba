from datetime import UTC, datetime

import pytest

from rag.ingest.read_web import WebReader, visible_text
from rag.records import Document, Source

PARAGRAPH = "The kettle boils at a lower temperature on the mountain, which is why the tea there is never quite right. "

ARTICLE = f"""<!DOCTYPE html><html lang="en"><head><title>Tea on the mountain | The Daily Kettle</title>
<meta property="og:title" content="Tea on the mountain"><meta name="author" content="Ada Brewer">
<meta property="article:published_time" content="2024-02-03T10:00:00Z">
<script>var secret = "SCRIPT";</script><style>.x {{ color: red }}</style></head><body>
<div class="cookie-banner" id="cookie-consent"><p>We use COOKIES and similar technologies.</p>
<button>Accept all</button></div>
<header><nav><ul><li><a href="/">HOMELINK</a></li><li><a href="/sport">SPORTLINK</a></li>
<li><a href="/shop">SHOPLINK</a></li></ul></nav></header>
<main><article><h1>Tea on the mountain</h1><p class="byline">By Ada Brewer</p>
<p>{PARAGRAPH * 2}</p>
<p>See <a href="https://example.org/boiling">the table of boiling points</a> for more. {PARAGRAPH}</p>
<h2>What to do</h2><ul><li>Carry a pressure cooker.</li><li>Use more leaves.</li></ul>
<p>{PARAGRAPH * 2}</p>
<pre><code>boil(water)\n  pour(tea)</code></pre>
<h2>Figures</h2><table><tr><th>height</th><th>boils at</th></tr><tr><td>3000 m</td><td>90 °C</td></tr></table>
<p>{PARAGRAPH * 2}</p></article></main>
<aside class="related"><h3>RELATED stories</h3><ul><li><a href="/a">Ten OTHERSTORY kettles</a></li></ul></aside>
<section id="comments" class="comments">
<h3>2 comments</h3><div class="comment"><p>COMMENTER says: first!</p></div></section>
<footer><p>Copyright FOOTER 2024. <a href="/privacy">PRIVACYLINK</a></p></footer></body></html>"""

BOILERPLATE = (
    "COOKIES",
    "HOMELINK",
    "SPORTLINK",
    "RELATED",
    "OTHERSTORY",
    "COMMENTER",
    "FOOTER",
    "PRIVACYLINK",
    "SCRIPT",
)

DIVS = (
    ARTICLE.replace("<article>", '<div class="post-content">').replace("</article>", "</div>").replace("main>", "div>")
)
OLD = f"""<html><head><title>Garden notes</title></head><body><table width=800><tr><td bgcolor=gray width=150>
<a href=1.html>MENU ONE</a><br><a href=2.html>MENU TWO</a></td><td><font size=5><b>Garden notes</b></font>
<p>{PARAGRAPH * 3}<p>{PARAGRAPH * 3}<p>{PARAGRAPH * 3}</td></tr></table></body></html>"""


def read(markup: str | bytes, path: str = "/web/page.html") -> Document:
    return WebReader().read(Source(path, "text/html", markup if isinstance(markup, bytes) else markup.encode()))


@pytest.mark.parametrize("page", [ARTICLE, DIVS], ids=["article", "divs"])
def test_the_article_is_in_and_the_boilerplate_is_out(page: str) -> None:
    text = read(page).text
    assert text.count(PARAGRAPH.strip()) == 7
    for kept in ("Carry a pressure cooker.", "pour(tea)", "3000 m | 90 °C", "the table of boiling points for more"):
        assert kept in text
    assert [word for word in BOILERPLATE if word in text] == []


def test_an_old_page_of_tables_keeps_its_prose() -> None:
    assert read(OLD).text.count(PARAGRAPH.strip()) == 9


def test_title_author_date_headings_and_links() -> None:
    page = read(ARTICLE)
    assert page.title == "Tea on the mountain"
    assert page.date == datetime(2024, 2, 3, tzinfo=UTC)
    assert ("author", "Ada Brewer") in page.fields
    assert [(each.level, each.text) for each in page.headings] == [
        (1, "Tea on the mountain"),
        (2, "What to do"),
        (2, "Figures"),
    ]
    assert all(page.text.startswith(each.text, each.start) for each in page.headings)
    assert [link.target for link in page.links] == ["https://example.org/boiling"]
    assert page.language == "en"


def test_a_page_without_an_article_gives_all_that_is_visible() -> None:
    page = read("<title>Tiny</title><script>no</script><h2>Head</h2><p>One<br>two <b>three</b></p><td>x<td>y")
    assert page.title == "Tiny"
    assert "no" not in page.text.split()
    assert " ".join(page.text.split()) == "Head One two three x y"


def test_visible_text_of_a_mail_body() -> None:
    markup = "<style>x</style><div>Dear&nbsp;Anna,</div><p hidden>no</p><div>see <a href=x>this</a>.</div>"
    markup += "<!-- no --><ul><li>a<li>b</ul>"
    assert visible_text(markup) == "Dear Anna,\n\nsee this.\n\na\n\nb"
    assert visible_text("") == ""


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [("iso-8859-1", "cp1252"), ("windows-1251", "cp1251"), ("shift_jis", "shift_jis"), ("utf-8", "utf-8")],
)
def test_the_declared_charset_is_used(declared: str, encoding: str) -> None:
    words = {"cp1251": "Привет", "shift_jis": "東京"}.get(encoding, "naïve — “café”")
    page = read(f"<html><head><meta charset={declared}></head><body><p>{words}</p></body></html>".encode(encoding))
    assert words in page.text
    assert page.warnings == ()


def test_utf8_wins_over_a_wrong_declaration() -> None:
    assert "naïve" in read("<meta charset=iso-8859-1><p>naïve".encode()).text


def test_entities_are_text_and_nothing_is_run_or_fetched() -> None:
    page = read("<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><p>a &lt;b&gt; &amp; &e; &#128512;</p>")
    assert "a <b> &" in page.text
    assert "😀" in page.text
    assert "root:" not in page.text


@pytest.mark.parametrize("depth", [140, 300, 1500])
def test_deep_nesting_keeps_the_text(depth: int) -> None:
    assert "deep words" in read("<div>" * depth + "deep words" + "</div>" * depth).text


def test_absurd_nesting_is_told() -> None:
    page = read("<p>start</p>" + "<div>" * 100_000 + "lost")
    assert "start" in page.text
    assert page.warnings == ("it is nested too deeply to be read to its end",)


@pytest.mark.parametrize("markup", ["", " ", "<html></html>", "<!-- -->", "<p> </p>"])
def test_a_page_without_text_is_told(markup: str) -> None:
    page = read(markup)
    assert (page.text, page.title, page.warnings) == ("", "page", ("it has no text",))


@pytest.mark.parametrize(
    "markup", ["<", "<<<>>>", "<a href=x>a</a>" * 3000, "<p", "<table>" * 500 + "x", "plain words"]
)
def test_broken_markup_is_read(markup: str) -> None:
    assert read(markup).warnings in ((), ("it has no text",))
