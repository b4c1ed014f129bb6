"""The OpenAPI schema and its page: complete, without complaint, for those logged in, and without any outside host."""

import re
from io import StringIO

import pytest
import yaml
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView


def api_paths(resolver: URLResolver, prefix: str = "/") -> set[str]:
    found: set[str] = set()
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            found |= api_paths(entry, route) if entry.app_name != "admin" else set()
        elif isinstance(entry, URLPattern):
            view = getattr(entry.callback, "cls", None)
            if view is not None and issubclass(view, APIView) and "drf_spectacular" not in view.__module__:
                found.add(re.sub(r"<\w+:(\w+)>", r"{\1}", route))
    return found


def test_the_schema_is_valid_complete_and_made_without_a_warning() -> None:
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)
    schema = yaml.safe_load(out.getvalue())
    assert set(schema["paths"]) == api_paths(get_resolver())
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            good = [code for code in operation["responses"] if code.startswith("2")]
            assert good, f"{method} {path}"


@pytest.mark.parametrize("path", ["/api/schema/", "/api/docs/"])
def test_it_is_for_those_logged_in(db: None, path: str) -> None:
    assert Client().get(path).status_code in (401, 403)


def test_the_page_needs_no_other_host_and_no_inline_script(ada: User) -> None:
    hers = Client()
    hers.force_login(ada)
    page = hers.get("/api/docs/").content.decode()
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page) == []
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=", page) == []
    scripts = re.findall(r"""src=["']([^"']+)""", page)
    assert len(scripts) == 3
    own = [script for script in scripts if not script.startswith("/static/")]
    [starter] = own
    answer = hers.get(starter.replace("&amp;", "&"))
    assert answer.status_code == 200
    assert "javascript" in answer["Content-Type"]
    assert "http://" not in answer.content.decode().replace("http://testserver", "")
