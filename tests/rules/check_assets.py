#!/usr/bin/env python3
"""Checks what no tool of others checks: that alerts, runbooks, dashboard and the metrics Sentinel exports belong together."""

import json
import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/rules"
DASHBOARDS = ROOT / "deploy/grafana/dashboards"
# Made by prometheus-cpp or the kernel for every process, or by Prometheus itself.
FOREIGN = {"up"}
METRIC = re.compile(r"\b((?:sentinel|process)_[a-z0-9_]+|up)\b(?=\s*(?:\{|\[|\)|==|$))")


def exported():
    """The names that appear in the sources, histograms with their derived series."""
    names = set(FOREIGN)
    for source in (ROOT / "monitor").rglob("*.cpp"):
        for name in re.findall(r'"((?:sentinel|process)_[a-z0-9_]+)"', source.read_text()):
            names |= {name, name + "_bucket", name + "_sum", name + "_count"}
    return names


def check_rules(known, errors):
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line[3:].strip().lower()).replace(" ", "-")
        for line in (ROOT / "docs/runbooks.md").read_text().splitlines()
        if line.startswith("## ")
    }
    fired = {
        check["alertname"]
        for path in sorted((ROOT / "tests/rules").glob("*_test.yml"))
        for case in yaml.safe_load(path.read_text())["tests"]
        for check in case["alert_rule_test"]
        if check["exp_alerts"]
    }
    for path in sorted(RULES.glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                name = rule["alert"]
                if rule.get("labels", {}).get("severity") not in {"warning", "critical"}:
                    errors.append(f"{name}: no severity of warning or critical")
                for wanted in ("summary", "description", "runbook_url"):
                    if not rule.get("annotations", {}).get(wanted):
                        errors.append(f"{name}: no {wanted}")
                anchor = rule["annotations"].get("runbook_url", "").partition("#")[2]
                if anchor not in headings:
                    errors.append(f"{name}: docs/runbooks.md has no section {anchor!r}")
                if name not in fired:
                    errors.append(f"{name}: no case in tests/rules makes it fire")
                check_metrics(name, rule["expr"], known, errors)


def check_metrics(where, expression, known, errors):
    for name in METRIC.findall(re.sub(r'"[^"]*"', '""', expression)):
        if name not in known:
            errors.append(f"{where}: {name} is exported nowhere")


SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WINDOW = re.compile(r"\[([^\]]*)\]")
# Windows that are the panel's subject; all others follow the resolution of the screen.
LONG = {"24h", "30d"}


def check_query(name, expression, known, errors):
    check_metrics(name, expression, known, errors)
    for window in WINDOW.findall(expression):
        if window != "$__rate_interval" and window not in LONG:
            errors.append(f"{name}: a window of {window} instead of $__rate_interval")
    for selector in re.findall(r"\{([^}]*)\}", expression):
        if not {'job=~"$job"', 'instance=~"$instance"'} <= set(selector.split(", ")):
            errors.append(f"{name}: {{{selector}}} does not follow the variables job and instance")


def check_variables(where, variables, errors):
    if not {"datasource", "job", "instance"} <= set(variables) or not {"service", "pool"} & set(variables):
        errors.append(f"{where}: variables are missing, there are {sorted(variables)}")
    for name in {"job", "instance", "service", "pool"} & set(variables):
        one = variables[name]
        if not one["multi"] or not one["includeAll"] or one["allValue"] != ".+" or one["datasource"] != SOURCE:
            errors.append(f"{where}: variable {name} wants multi, includeAll, allValue .+ and the data source variable")


def overlap(one, other):
    return all(one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
               for start, size in (("x", "w"), ("y", "h")))


def check_layout(where, panels, errors):
    for number, panel in enumerate(panels):
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            errors.append(f"{where}: {panel['title']} is wider than the page")
        for other in panels[number + 1:]:
            if overlap(place, other["gridPos"]):
                errors.append(f"{where}: {panel['title']} lies over {other['title']}")


def check_dashboard(path, known, errors):
    board = json.loads(path.read_text())
    where = path.name
    if board["id"] is not None or board["editable"] or not board["uid"]:
        errors.append(f"{where}: wants id null, editable false and a fixed uid")
    check_variables(where, {each["name"]: each for each in board["templating"]["list"]}, errors)
    check_layout(where, board["panels"], errors)
    ids = [panel["id"] for panel in board["panels"]]
    if len(ids) != len(set(ids)):
        errors.append(f"{where}: panel ids are not unique")
    for panel in board["panels"]:
        if panel["type"] == "row":
            continue
        name = f"{where}: {panel['title']}"
        if not panel.get("description"):
            errors.append(f"{name}: no description")
        if not panel["fieldConfig"]["defaults"].get("unit"):
            errors.append(f"{name}: no unit")
        for part in [panel, *panel["targets"]]:
            if part["datasource"] != SOURCE:
                errors.append(f"{name}: wants the data source variable")
        for target in panel["targets"]:
            check_query(name, target["expr"], known, errors)
    for annotation in board["annotations"]["list"]:
        if annotation["datasource"] != SOURCE:
            errors.append(f"{where}: {annotation['name']}: wants the data source variable")
        check_metrics(f"{where}: {annotation['name']}", annotation["expr"], known, errors)


def main():
    errors = []
    known = exported()
    check_rules(known, errors)
    for path in sorted(DASHBOARDS.glob("*.json")):
        check_dashboard(path, known, errors)
    print("\n".join(errors) or "alerts, runbooks, dashboards and metrics belong together")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
