"""German is complete, and its compiled catalogue is that of the source. How good it reads is for people to say."""

import ast
import gettext
import json
import re
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets, label_for_field
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils import translation
from django.utils.translation.template import templatize

from realtime.probe_faults import FAULTS

# Whose texts are in Django's own catalogue.
DJANGO_ACTIONS = {"Delete selected %(verbose_name_plural)s"}
ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "locale/de/LC_MESSAGES"
ENTRY = re.compile(
    r'^msgid ((?:".*"\n)+)(?:msgid_plural (?:".*"\n)+msgstr\[0\] |msgstr )((?:".*"\n?)+)', re.MULTILINE
)
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def joined(quoted: str) -> str:
    return "".join(ast.literal_eval(part) for part in QUOTED.findall(quoted))


def source() -> dict[str, str]:
    """What `django.po` says: English to German."""
    text = (CATALOGUE / "django.po").read_text("utf-8")
    return {joined(english): joined(german) for english, german in ENTRY.findall(text) if joined(english)}


def texts_of_templates() -> set[str]:
    """Every text that the templates mark for translation."""
    found: set[str] = set()
    for path in (ROOT / "templates").rglob("*.*"):
        marked = templatize(path.read_text("utf-8"), origin=str(path))
        for call in re.findall(r"""\b(?:n?gettext|_)\((u?"(?:[^"\\]|\\.)*"|u?'(?:[^'\\]|\\.)*')""", marked):
            found.add(ast.literal_eval(call).replace("%%", "%"))
    return found


def test_every_text_of_the_templates_is_translated() -> None:
    texts = texts_of_templates()
    assert len(texts) > 150
    assert sorted(texts - source().keys()) == []


def test_what_the_probe_advises_is_translated_for_the_admin() -> None:
    assert sorted({fault.advice for fault in FAULTS.values()} - source().keys()) == []


def test_every_name_in_the_admin_is_translated(db: None) -> None:
    """Of our models, their columns and choices, and what our admin classes add: none of it falls back on English."""
    english: set[str] = set()
    with translation.override("en"):
        for model in apps.get_models():
            if (
                model._meta.app_label not in ("conversations", "realtime")
                or model not in admin.site._registry
            ):
                continue
            shown = admin.site._registry[model]
            english |= {str(model._meta.verbose_name), str(model._meta.verbose_name_plural)}
            request = RequestFactory().get("/")
            request.user = User(is_superuser=True)
            names = {*shown.get_list_display(request), *flatten_fieldsets(shown.get_fieldsets(request))}
            english |= {label_for_field(name, model, shown) for name in names}
            english |= {
                str(text)
                for _name, options in shown.get_fieldsets(request)
                if (text := options.get("description"))
            }
            english |= {str(shown.search_help_text)} if shown.search_help_text else set()
            english |= {str(one.title) for one in shown.list_filter if isinstance(one, type)}
            english |= {str(action[2]) for action in shown.get_actions(request).values()} - DJANGO_ACTIONS
            for field in model._meta.get_fields():
                english |= {str(text) for _value, text in getattr(field, "choices", None) or ()}
    assert len(english) > 120
    assert sorted(english - source().keys() - {"ID"}) == []  # Django's own, the same in German


def test_no_translation_is_empty() -> None:
    assert [english for english, german in source().items() if not german] == []


def test_a_thing_has_one_name() -> None:
    """A conversation is a "Gespräch" and a call an "Anruf": with one word for both, "end it" would mean either."""
    for english, german in source().items():
        assert "Unterhaltung" not in german, english
        if re.search(r"\bcalls?\b", english) and "onversation" not in english:
            assert "Gespräch" not in german, english


def test_the_compiled_catalogue_is_that_of_the_source() -> None:
    with (CATALOGUE / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for english, german in source().items():
        one_of_several = "%(counter)s" in english
        assert (compiled.ngettext(english, "", 1) if one_of_several else compiled.gettext(english)) == german


def test_placeholders_survive_the_translation() -> None:
    names = re.compile(r"%\(\w+\)s|\{\w+\}")
    for english, german in source().items():
        assert sorted(names.findall(english)) == sorted(names.findall(german)), english


# How the relay names what it tells a page: in a warning, an error, a refusal, or a class of errors.
CODES = (
    r'_warn\(\s*"([\w.]+)"',
    r'tell_error\(\s*"([\w.]+)"',
    r'\bcode="([\w.]+)"',
    r'Refused\(\s*\d+,\s*"([\w.]+)"',
    r'^    code(?:, \w+)* = "([\w.]+)"',
    r'self\.code(?:, self\.\w+)* = "([\w.]+)"',
)
# A countdown has words of its own. Of `token.`, a refused handshake tells nobody: the page mints anew, which says why.
NOT_SHOWN = {"session.ending", "session.stay"}


def test_what_the_relay_tells_a_page_has_words_in_the_language_of_the_page() -> None:
    """By its code. The sentence that comes with it is English, for programs and for pages of an older version."""
    told: set[str] = set()
    for path in (ROOT / "realtime").rglob("*.py"):
        if "local" not in path.parts and not path.name.startswith("probe"):
            told |= {
                code for pattern in CODES for code in re.findall(pattern, path.read_text(), re.MULTILINE)
            }
    assert len(told) > 40
    known = re.findall(
        r'^  "?([\w.]+)"?: (?:\["|[A-Z])', (ROOT / "static/voice/problems.js").read_text(), re.MULTILINE
    )
    notices = re.findall(r'^"([\w.]+)": "', (ROOT / "templates/parts/strings.html").read_text(), re.MULTILINE)
    shown = {code for code in told - NOT_SHOWN if not code.startswith("token.")}
    assert sorted(shown - {*known, *notices}) == []


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_words_of_javascript_are_one_json_object(language: str) -> None:
    with translation.override(language):
        page = render_to_string("parts/strings.html")
    words = json.loads(page.partition(">")[2].rpartition("<")[0])
    assert words["listening"] == {"en": "Listening", "de": "Ich höre zu"}[language]
    assert all(isinstance(text, str) and text for text in words.values())
