#!/usr/bin/env python3
"""Rules of the house that a compiler does not check, over the tracked files.

Each rule is a generator of findings and comes with a sample that it must find: a rule that finds nothing in
its own sample fails, so that no rule is silently dead. Prints findings and one line per rule; writes JUnit
XML to the file given by --junit.
"""
import argparse
import re
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

STANDARD_IN_CORE = set(
    """algorithm any array bit bitset cassert charconv chrono climits cmath compare concepts cstddef cstdint
    cstdio cstdlib cstring cctype deque exception expected flat_map flat_set format forward_list functional
    initializer_list iterator limits list map memory memory_resource new numbers numeric optional queue ranges
    ratio set span sstream stack stdexcept string string_view system_error tuple type_traits typeindex typeinfo
    unordered_map unordered_set utility variant vector version""".split()
)
ROOMS = ["core", "protocol", "io", "observe", "web", "app"]
MAY_INCLUDE = {
    "core": {"core"},
    "protocol": {"protocol", "core"},
    "io": {"io", "protocol", "core"},
    "observe": {"observe", "protocol", "core"},
    "web": {"web", "observe", "io", "protocol", "core"},
    "app": set(ROOMS),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
INCLUDES = re.compile(INCLUDE.pattern, re.M)
CLOCK = re.compile(
    r"::now\s*\(|\brandom_device\b|\bgetenv\s*\(|\bclock_gettime\b|\bgettimeofday\b|(?<![\w:.>])time\s*\("
    r"|(?<![\w:.>])s?rand\s*\(|\bstd::thread\b|\bstd::jthread\b|\bstd::mutex\b|\bstd::async\b"
    r"|\bf?printf\s*\(|\bstd::cout\b|\bstd::cerr\b|\bfopen\s*\("
)
# Said in pieces, so that this file does not find itself.
LEFT_OPEN = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
SWITCHED_OFF = re.compile(
    r"\[!may" + r"fail\]|\[!should" + r"fail\]|\[\.[]]|test\.sk" + r"ip|xf" + r"ail|DISAB" + r"LED_"
)
SLEEPS = re.compile(
    r"sleep" + r"_for|sleep" + r"_until|time\.sl" + r"eep|waitFor" + r"Timeout|^\s*sl" + r"eep [0-9]"
)
MACHINE = re.compile(
    r"://(deb|registry|snapshot)\.[a-z]|(^|[^a-z.\w/-])/(wo" + r"rk|fa" + r"rm)/"
)


def without_comments(text):
    """Blanks comments and string contents, keeping the lines."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)

    def blank(match):
        token = match.group(0)
        if token.startswith('"'):
            return '""'
        return "\n" * token.count("\n")

    return pattern.sub(blank, text)


def room_of(path):
    match = re.match(r"monitor/(\w+)/", path)
    return match.group(1) if match else None


def is_cpp(path):
    return path.endswith((".cpp", ".hpp")) and path.startswith(("monitor/", "demo-service/", "tests/"))


def core_is_pure(path, text):
    if room_of(path) != "core" or not is_cpp(path):
        return
    for number, line in enumerate(text.splitlines(), 1):
        include = INCLUDE.match(line)
        if include and include.group(1) == "<" and include.group(2) not in STANDARD_IN_CORE:
            yield number, f"core/ includes <{include.group(2)}>: it may use values of the standard library only"
    for number, line in enumerate(without_comments(text).splitlines(), 1):
        found = CLOCK.search(line)
        if found:
            yield number, f"core/ uses '{found.group(0).strip()}': pass the value in with the event instead"


def rooms_point_one_way(path, text):
    room = room_of(path)
    if room not in MAY_INCLUDE or not is_cpp(path):
        return
    for number, line in enumerate(text.splitlines(), 1):
        include = INCLUDE.match(line)
        if not include or include.group(1) != '"':
            continue
        other = include.group(2).split("/")[0]
        if other in ROOMS and other not in MAY_INCLUDE[room]:
            yield number, f"{room}/ includes {include.group(2)}: arrows point app -> web, observe, io -> protocol -> core"


def headers_have_guards(path, text):
    if path.endswith(".hpp") and is_cpp(path) and "#pragma once" not in text:
        yield 1, "a header without #pragma once"


ASIO = re.compile(r"boost/(asio|beast)(\.hpp|/)")


def asio_stays_inside(files):
    """Asio and Beast are slow to compile: a header that includes them is private to its folder's .cpp files."""
    heavy = {path for path, text in files if path.endswith(".hpp") and is_cpp(path)
             and any(ASIO.match(name) for _, name in INCLUDES.findall(text))}
    names = {path.removeprefix("monitor/"): path for path in heavy} | {Path(path).name: path for path in heavy}
    for path, text in files:
        if not is_cpp(path) or path.startswith("tests/"):
            continue
        for _, name in INCLUDES.findall(text):
            other = names.get(name)
            if not other or other == path:
                continue
            if path in heavy and Path(path).parent == Path(other).parent:
                continue
            if path.endswith(".hpp") or Path(path).parent != Path(other).parent:
                yield path, 1, f"includes {other}, which pulls in Asio: forward-declare in the header, include it in a .cpp"


def files_are_short(path, text):
    if path.endswith((".cpp", ".hpp", ".py", ".sh", ".ts", ".tsx")):
        lines = text.count("\n")
        if lines > 500:
            yield 1, f"{lines} lines, 500 at most: is it one room, or several?"


def nothing_left_open(path, text):
    if path.endswith((".cpp", ".hpp", ".py", ".sh", ".cmake", ".txt", ".yml", ".yaml")) or is_script(path, text):
        for number, line in enumerate(text.splitlines(), 1):
            found = LEFT_OPEN.search(line)
            if found:
                yield number, f"'{found.group(0)}': finish it"


def tests_are_on(path, text):
    if path.startswith("tests/"):
        for number, line in enumerate(text.splitlines(), 1):
            found = SWITCHED_OFF.search(line)
            if found:
                yield number, f"a test that is switched off or may fail: '{found.group(0)}'"


def tests_do_not_sleep(path, text):
    if path.startswith("tests/") and not path.startswith("tests/bench"):
        for number, line in enumerate(text.splitlines(), 1):
            if SLEEPS.search(line):
                yield number, "a test that sleeps: wait for the event, with a deadline"


def no_machine_names(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        found = MACHINE.search(line)
        if found:
            yield number, f"a path or host of one machine: '{found.group(0).strip()}'"


# Rule, a path and a text in which it must find something.
RULES = [
    (core_is_pure, "monitor/core/sample.cpp", "auto t = std::chrono::steady_clock::now();\n"),
    (core_is_pure, "monitor/core/sample.hpp", "#include <boost/asio.hpp>\n"),
    (core_is_pure, "monitor/core/sample.hpp", "#include <thread>\n"),
    (rooms_point_one_way, "monitor/protocol/sample.hpp", '#include "io/engine.hpp"\n'),
    (headers_have_guards, "monitor/io/sample.hpp", "int f();\n"),
    (files_are_short, "monitor/io/sample.cpp", "\n" * 501),
    (nothing_left_open, "monitor/io/sample.cpp", "// TO" + "DO later\n"),
    (tests_are_on, "tests/unit/sample.cpp", 'TEST_CASE("x", "[!may' + 'fail]")\n'),
    (tests_do_not_sleep, "tests/unit/sample.cpp", "std::this_thread::sleep" + "_for(1s);\n"),
    (no_machine_names, "docs/sample.md", "see http:" + "//deb.example.org\n"),
]


def is_script(path, text):
    return text.startswith("#!") and "sh" in text.split("\n", 1)[0]


def tracked():
    out = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                         cwd=ROOT, check=True, capture_output=True)
    for path in sorted(set(out.stdout.decode().split("\0"))):
        if not path or not (ROOT / path).is_file():
            continue
        try:
            yield path, (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def command(arguments, files):
    """Runs a checker over files in batches; the lines it printed, empty if it was content."""
    said = []
    for start in range(0, len(files), 50):
        run = subprocess.run(arguments + files[start:start + 50], cwd=ROOT, capture_output=True, text=True)
        if run.returncode != 0:
            said += (run.stdout + run.stderr).strip().splitlines()
    return said


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--junit")
    parser.add_argument("--filter", default="")
    options = parser.parse_args()

    files = list(tracked())
    results = {}
    for rule, path, text in RULES:
        if not list(rule(path, text)):
            results.setdefault(rule.__name__, []).append(f"the rule does not find its own sample in {path}")
    for rule in dict.fromkeys(rule for rule, _, _ in RULES):
        findings = results.setdefault(rule.__name__, [])
        for path, text in files:
            findings += [f"{path}:{number}: {what}" for number, what in rule(path, text)]
    sample = [("monitor/io/a.hpp", "#include <boost/asio.hpp>\n"), ("monitor/io/b.hpp", '#include "io/a.hpp"\n')]
    results["asio_stays_inside"] = [f"{path}:{number}: {what}" for path, number, what in asio_stays_inside(files)]
    if not list(asio_stays_inside(sample)):
        results["asio_stays_inside"].append("the rule does not find its own sample")
    cpp = [path for path, _ in files if is_cpp(path)]
    scripts = [path for path, text in files if is_script(path, text)] + ["docker/lib.sh"]
    unformatted = {line.split(":")[0] for line in command(["clang-format", "--dry-run", "-Werror"], cpp)
                   if "clang-format-violations" in line}
    results["clang_format"] = [f"{path}: run clang-format -i on it" for path in sorted(unformatted)]
    results["shellcheck"] = command(["shellcheck", "-x"], sorted(set(scripts)))

    suite = xml.Element("testsuite", name="style")
    failed = 0
    for name, findings in results.items():
        if options.filter not in name:
            continue
        case = xml.SubElement(suite, "testcase", classname="style", name=name)
        if findings:
            failed += 1
            xml.SubElement(case, "failure").text = "\n".join(findings)
            print(f"FAILED {name}: {len(findings)} findings")
            print("\n".join("  " + line for line in findings[:40]))
        else:
            print(f"passed {name}")
    if options.junit:
        xml.ElementTree(suite).write(options.junit)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
