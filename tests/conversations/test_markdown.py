"""What of an assistant's text becomes markup, and what never does."""

import re
from html.parser import HTMLParser

import pytest
from django.utils.safestring import SafeString
from hypothesis import given
from hypothesis import strategies as st

from conversations.markdown import heard_html, markdown_html, plain_html

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<style>body{display:none}</style>",
    "<form action=/account/ method=post><input name=action value=delete></form>",
    "<a href='javascript:alert(1)'>x</a>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<!--><script>alert(1)</script>-->",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](vbscript:msgbox(1))",
    "[x](file:///etc/passwd)",
    "[x](//evil.example/)",
    "[x](/accounts/logout/)",
    '[x](https://a.example/" onmouseover="alert(1))',
    '[x](https://a.example "t" onmouseover="alert(1)")',
    "<javascript:alert(1)>",
    "[x][y]\n\n[y]: javascript:alert(1)",
    "![x](https://tracker.example/pixel.png)",
    '![" onerror="alert(1)](https://a.example/x.png)',
    "```<script>\nalert(1)\n```",
    "`<script>alert(1)</script>`",
    "|<script>|\n|-|\n|<img src=x onerror=alert(1)>|",
    "# <script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "\x00<script>alert(1)</script>",
]
SAFE_TAGS = {
    *(
        "a",
        "blockquote",
        "br",
        "code",
        "del",
        "em",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "s",
    ),
    *("strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}
SAFE_ATTRIBUTES = {"a": {"href", "title", "rel", "target"}, "ol": {"start"}}


class Reader(HTMLParser):
    """Fails on whatever a browser would see that is not on the list. A list of its own, not the product's."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SAFE_TAGS, tag
        for name, value in attrs:
            assert name in SAFE_ATTRIBUTES.get(tag, set()), (tag, name)
            if name == "href":
                assert re.match(r"(https?|mailto):", value or ""), value
        if tag == "a":
            assert dict(attrs)["rel"] == "noopener nofollow noreferrer"

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration")


def read(html: str) -> None:
    reader = Reader()
    reader.feed(html)
    reader.close()


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_leaves_markup_outside_the_list(attack: str) -> None:
    read(markdown_html(attack))
    read(markdown_html(f"Harmless.\n\n> 1. {attack}"))


@given(st.lists(st.sampled_from([*ATTACKS, "*", "`", "[", "](", "\n\n", "<", ">", '"', "&lt;"]), max_size=6))
def test_no_mixture_of_attacks_leaves_markup_outside_the_list(pieces: list[str]) -> None:
    read(markdown_html("".join(pieces)))


@pytest.mark.parametrize("attack", ATTACKS)
def test_speech_and_what_people_write_has_no_markup_at_all(attack: str) -> None:
    assert "<" not in plain_html(attack)
    shown = re.sub(r'</?span(?: class="(?:un)?heard")?>', "", heard_html(attack, 7))
    assert "<" not in shown


def test_the_usual_markdown_is_shown() -> None:
    html = markdown_html(
        "# Top\n\n**b** *e* ~~s~~ `c`\nnext\n\n3. x\n\n|a|\n|-|\n|1|\n\n```python\n1 < 2\n```"
    )
    for part in (
        *("<h3>Top</h3>", "<strong>b</strong>", "<em>e</em>", "<s>s</s>", "<code>c</code><br>"),
        *('<ol start="3">', "<td>1</td>", "<pre><code>1 &lt; 2\n</code></pre>"),
    ):
        assert part in html


def test_links_open_apart_and_tell_nothing_of_us() -> None:
    assert markdown_html("[x](https://example.com/?a=1&b=2)") == (
        '<p><a href="https://example.com/?a=1&amp;b=2" target="_blank" rel="noopener nofollow noreferrer">x</a></p>\n'
    )


def test_pictures_become_their_description() -> None:
    assert markdown_html("See ![a cat](https://example.com/cat.png)!") == "<p>See a cat!</p>\n"


def test_what_was_heard_and_what_was_not_are_apart() -> None:
    assert (
        heard_html("One & two", 5) == '<span class="heard">One &amp;</span><span class="unheard"> two</span>'
    )


@pytest.mark.parametrize(
    ("heard_chars", "html"), [(0, '<span class="unheard">ab</span>'), (2, '<span class="heard">ab</span>')]
)
def test_a_part_that_is_empty_has_no_span(heard_chars: int, html: str) -> None:
    assert heard_html("ab", heard_chars) == html


def test_the_html_is_marked_safe_for_templates() -> None:
    assert all(
        isinstance(html, SafeString) for html in (markdown_html("a"), plain_html("a"), heard_html("ab", 1))
    )
