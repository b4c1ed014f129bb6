"""Safe HTML of what was said: Markdown for typed answers, escaped text for all else. Holds no template.

Two walls, each sufficient alone: markdown-it renders with raw HTML off, and nh3 lets only the listed tags pass.
Nothing here can make a browser load anything: pictures become their description.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

import nh3
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

LINK_SCHEMES = frozenset({"http", "https", "mailto"})
LINK_REL = "noopener nofollow noreferrer"
_TAGS = {
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


def markdown_html(text: str) -> SafeString:
    """The HTML of an assistant's Markdown."""
    cleaned = nh3.clean(
        _renderer.render(text),
        tags=_TAGS,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        # A link that replaced the page would end a running call.
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes=set(LINK_SCHEMES),
        link_rel=LINK_REL,
    )
    return mark_safe(cleaned)  # noqa: S308 - cleaned by nh3 just above


def plain_html(text: str) -> SafeString:
    """Text as it is, escaped. Line breaks stay line breaks in the source: the page shows them with `pre-wrap`."""
    return escape(text)


def heard_html(text: str, heard_chars: int) -> SafeString:
    """Escaped text in two spans: what was heard, and the rest that was cut off. An empty part has no span."""
    heard, unheard = text[:heard_chars], text[heard_chars:]
    html = format_html('<span class="heard">{}</span>', heard) if heard else SafeString("")
    return html + format_html('<span class="unheard">{}</span>', unheard) if unheard else html


def _link_is_allowed(url: str) -> bool:
    """Full addresses of three kinds. A relative one would point into our own pages, which an answer has no say in."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme.lower() in LINK_SCHEMES and bool(parts.netloc or parts.path)


def _lower_headings(state: StateCore) -> None:
    """The page's own outline ends at the second level, so an answer's begins at the third."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"


def _describe_image(
    renderer: RendererProtocol, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    """The picture's description: loading it would tell its owner who reads what, and when."""
    return str(escape(tokens[index].content))


def _build() -> MarkdownIt:
    # `breaks`: models write one line per thought and mean the break.
    markdown = MarkdownIt("commonmark", {"html": False, "linkify": False, "breaks": True})
    markdown.enable(["table", "strikethrough"])
    markdown.validateLink = _link_is_allowed  # type: ignore[method-assign]
    markdown.core.ruler.push("lower_headings", _lower_headings)
    markdown.add_render_rule("image", _describe_image)
    return markdown


_renderer = _build()
