"""Answers against docs/openapi.yaml: what is documented is what is said."""
import json
import re

import yaml
from jsonschema import Draft202012Validator

from .engine import ROOT

DOCUMENT = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text(encoding="utf-8"))


def _pattern(template):
    """Slashes of {name} stay slashes."""
    parts = re.split(r"(\{\w+\})", template)
    return re.compile("".join(
        (".+" if part == "{name}" else "[^/]+") if part.startswith("{") else re.escape(part) for part in parts))


PATTERNS = sorted(((template, _pattern(template)) for template in DOCUMENT["paths"]), key=lambda p: -len(p[0]))


def _check(pointer, value, what):
    validator = Draft202012Validator({**DOCUMENT, "$ref": "#" + pointer}, format_checker=Draft202012Validator.FORMAT_CHECKER)
    errors = [f"{'/'.join(map(str, error.path))}: {error.message[:300]}" for error in validator.iter_errors(value)]
    assert not errors, f"{what} is not what openapi.yaml says: {errors[:5]}"


def check_schema(name, value):
    _check(f"/components/schemas/{name}", value, name)


def documented(path):
    return next((template for template, pattern in PATTERNS if pattern.fullmatch(path)), None)


def check_answer(method, path, answer):
    """The status must be documented there, or one that any call may have; the body must fit. Returns it."""
    template = documented(path.split("?")[0])
    assert template, f"{path} is not in openapi.yaml"
    what = f"{method} {template}: {answer.status}"
    responses = DOCUMENT["paths"][template].get(method.lower(), {}).get("responses", {})
    response = responses.get(str(answer.status))
    if response is None:
        assert answer.status in (400, 405, 429, 503), f"{what} is not in openapi.yaml"
        response = {"$ref": "#/components/responses/Problem"}
    if "$ref" in response:
        assert answer.headers["Content-Type"] == "application/problem+json", what
        check_schema("Problem", answer.json)
        assert answer.json["status"] == answer.status
        return answer.json
    content = response.get("content")
    if not content:
        assert answer.body == b"", f"{what} has no body"
        return None
    kind = answer.headers["Content-Type"].split(";")[0]
    assert kind in content, f"{what} has type {kind}"
    if kind != "application/json":
        return answer.text
    escaped = template.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
    value = json.loads(answer.body)
    _check(f"/paths/{escaped}/{method.lower()}/responses/{answer.status}/content/application~1json/schema", value, what)
    return value
