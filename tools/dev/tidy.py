#!/usr/bin/python3
"""House rules as a program: ./dev tidy.

Each rule is a function from a Tree to Findings; RULES at the end lists them. A finding names the place, the rule it
broke and what to do instead. Warnings are printed and do not fail.
"""

import argparse
import ast
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

FILE_LINES_WARN = 500
FILE_LINES_FAIL = 800
FUNCTION_LINES_FAIL = 100

CODE = {".hpp", ".cpp", ".h", ".c"}
SCRIPTS = {".py", ".sh", ".js", ".mjs"}
TEXT = CODE | SCRIPTS | {".md", ".txt", ".cmake", ".json", ".toml", ".sql", ".service", ".yml", ".yaml", ""}
# Inputs for tests may be as ugly as the world is.
FOREIGN = re.compile(r"(^|/)(corpus|dict|fixtures|node_modules)/")


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    message: str
    is_warning: bool = False

    def __str__(self):
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {'warning: ' if self.is_warning else ''}{self.message}"


class Tree:
    """The files of one checkout, read once."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.files = sorted(p for p in self._list() if (self.root / p).is_file())
        self._texts = {}

    def _list(self):
        if (self.root / ".git").exists():
            listed = subprocess.run(
                ["git", "-C", str(self.root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                check=True, capture_output=True)
            return set(listed.stdout.decode().split("\0")) - {""}
        found = set()
        for folder, names, files in os.walk(self.root):
            names[:] = [n for n in names if n not in ("build", ".git", "node_modules", "__pycache__")]
            found.update(str(pathlib.Path(folder, f).relative_to(self.root)) for f in files)
        return found

    def text(self, path):
        """The file as text, None when it is not UTF-8 text."""
        if path not in self._texts:
            try:
                self._texts[path] = (self.root / path).read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                self._texts[path] = None
        return self._texts[path]

    def having(self, suffixes, under=""):
        for path in self.files:
            if path.startswith(under) and pathlib.PurePath(path).suffix in suffixes and not FOREIGN.search(path):
                if self.text(path) is not None:
                    yield path, self.text(path)


def code_only(text):
    """C++ with comments and the inside of literals blanked, lines kept: what a banned name is searched in."""
    token = re.compile(
        r'R"(?P<tag>[^()\\ ]{0,16})\(.*?\)(?P=tag)"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
        re.DOTALL)

    def blank(match):
        found = match.group(0)
        quote = found[0] if found[0] in "\"'" else ('"' if found[0] == "R" else " ")
        inner = re.sub(r"[^\n]", " ", found)
        return quote + inner[1:-1] + quote if len(inner) > 1 else inner

    return token.sub(blank, text)


# --- who may include whom -------------------------------------------------------------------------------------

CORE = {"core/base", "core/model", "core/manifest", "core/trust", "core/twin", "core/mqtt", "core/websocket", "core/delta", "core/chunks"}
# room -> rooms whose headers it may include, besides its own.
MAY_INCLUDE = {
    "core/base": set(),
    "core/model": {"core/base"},
    "core/trust": {"core/base", "core/model"},
    "core/mqtt": {"core/base"},
    "core/websocket": {"core/base"},
    "core/delta": {"core/base"},
    "core/chunks": {"core/base"},
    "core/manifest": {"core/base", "core/model"},
    "core/twin": {"core/base", "core/model"},
    "server/net": CORE,
    "server/store": CORE,
    "server/blobs": CORE,
    "server/hub": CORE | {"server/store", "server/net"},
    "server/service": CORE | {"server/store", "server/blobs"},
    "server/api": CORE | {"server/store", "server/blobs", "server/net", "server/hub", "server/service"},
    "device/extension": CORE,
    "device/slots": CORE,
    "device/agent": CORE | {"device/extension"},
    "device/installer": CORE | {"device/extension", "device/slots"},
    "tools/cli": CORE,
    "tools/fleet": CORE | {"device/agent"},
}
# Single headers that a room may include besides: the words that two halves speak, kept by one of them.
DOORS = {("device/agent", "device/installer/messages.hpp")}
# Code outside src/: top folder -> wings it may include.
OUTSIDE_MAY_INCLUDE = {
    "apps": ("core/", "server/", "device/", "tools/"),
    "extensions": ("core/", "device/slots/"),
    "extensions' tests": ("core/", "device/slots/", "device/extension/"),
    "include": (),
    "test": ("core/", "server/", "device/", "tools/"),
    "bench": ("core/", "server/", "device/", "tools/"),
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)


def include_directions(tree):
    for path, text in tree.having(CODE):
        parts = path.split("/")
        room = "/".join(parts[1:3]) if parts[0] == "src" else None
        outside = "extensions' tests" if parts[0] == "extensions" and path.endswith("_test.cpp") else parts[0]
        if room and room not in MAY_INCLUDE:
            yield Finding(path, 0, f"room {room} is not in MAY_INCLUDE of tools/dev/tidy.py; say there what it may include")
            continue
        for match in INCLUDE.finditer(text):
            target = match.group(2)
            line = text.count("\n", 0, match.start()) + 1
            target_room = "/".join(target.split("/")[:2])
            is_ours = target.split("/")[0] in ("core", "server", "device", "tools") and target.count("/") >= 2
            if match.group(1) == "<":
                continue
            if target.startswith("../") or target.startswith("./"):
                yield Finding(path, line, f"include \"{target}\": write the path from src/, not a relative one")
            elif room and not is_ours and not target.startswith("godwit/"):
                yield Finding(path, line, f"include \"{target}\": write our headers from src/ (core/..., godwit/...), libraries with <>")
            elif room and is_ours and target_room != room and target_room not in MAY_INCLUDE[room] and (room, target) not in DOORS:
                yield Finding(path, line, f"{room} may not include {target_room}: arrows point down only (ARCHITECTURE.md, \"Who may include whom\")")
            elif not room and is_ours and not target.startswith(OUTSIDE_MAY_INCLUDE.get(outside, ())):
                yield Finding(path, line, f"{parts[0]}/ may not include {target_room}")


# A library lives behind one wall; <header prefix> -> folders that may name it.
LIBRARY_HOMES = {
    "toml++/": ("src/core/base/config.cpp",),
    "boost/json/src.hpp": ("src/core/base/json_library.cpp",),
    "boost/asio": ("src/server/net/", "src/server/hub/", "src/server/api/", "apps/godwitd/", "bench/", "test/"),
    "boost/beast": ("src/server/net/", "src/server/api/"),
    "sqlite3.h": ("src/server/store/", "bench/"),
    "curl/": ("src/server/service/import/", "src/tools/cli/", "extensions/downloader-curl/", "apps/", "bench/", "test/"),
    "archive": ("extensions/step-files/", "extensions/step-container/"),
    "zlib.h": ("src/device/slots/",),
    "zstd.h": ("src/core/delta/", "src/core/chunks/", "src/device/slots/"),
    "CLI/": ("apps/", "src/tools/", "bench/"),
}


def library_homes(tree):
    for path, text in tree.having(CODE):
        for match in INCLUDE.finditer(text):
            for prefix, homes in LIBRARY_HOMES.items():
                if match.group(2).startswith(prefix) and not path.startswith(homes):
                    yield Finding(path, text.count("\n", 0, match.start()) + 1,
                                  f"<{match.group(2)}> is used behind {', '.join(homes)} only")


# --- sizes ------------------------------------------------------------------------------------------------------


def file_lengths(tree):
    for path, text in tree.having(CODE | SCRIPTS):
        lines = text.count("\n")
        if lines > FILE_LINES_FAIL:
            yield Finding(path, 0, f"{lines} lines; {FILE_LINES_FAIL} is the limit, 100 to 400 read well: split it by subject")
        elif lines > FILE_LINES_WARN:
            yield Finding(path, 0, f"{lines} lines; above {FILE_LINES_WARN} a file wants to be two", is_warning=True)


TYPE_SCOPE = re.compile(r"(^|\s)(namespace|class|struct|union|enum)(\s|$)|extern\s*\"\s*\"\s*$")


def function_spans(text):
    """(first line, last line) of each C++ function body, by braces: good enough for code that clang-format laid out."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: "\n" * m.group(0).count("\n"), code_only(text), flags=re.MULTILINE)
    stack, spans, start = [], [], 0
    line = 1
    for i, c in enumerate(code):
        if c == "\n":
            line += 1
        elif c in ";":
            start = i + 1
        elif c == "{":
            head = code[start:i].strip()
            in_function = any(kind == "function" for kind, _ in stack)
            is_function = not in_function and ")" in head and not TYPE_SCOPE.search(head.split("(")[0])
            stack.append(("function" if is_function else "other", line))
            start = i + 1
        elif c == "}":
            if stack:
                kind, first = stack.pop()
                if kind == "function":
                    spans.append((first, line))
            start = i + 1
    return spans


def function_lengths(tree):
    for path, text in tree.having(CODE):
        for first, last in function_spans(text):
            if last - first + 1 > FUNCTION_LINES_FAIL:
                yield Finding(path, first, f"a function of {last - first + 1} lines; {FUNCTION_LINES_FAIL} is the limit, 70 the custom")
    for path, text in tree.having({".py"}):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = node.end_lineno - node.lineno + 1
                if lines > FUNCTION_LINES_FAIL:
                    yield Finding(path, node.lineno, f"function {node.name} has {lines} lines; {FUNCTION_LINES_FAIL} is the limit")


# --- names we do not use ----------------------------------------------------------------------------------------

# (pattern, what to use instead, path prefixes or suffixes where it is allowed)
BANNED = [
    (r"\bgetenv\s*\(", "read the environment in apps/ and pass values down", ("apps/", "src/core/base/service_manager.cpp", "src/device/extension/spawn.cpp", "src/device/extension/testing/", "test/", "bench/", "_test.cpp")),
    (r"\b(strcpy|strcat|strncpy|strncat)\s*\(", "use std::string", ()),
    (r"\b(v?sprintf)\s*\(", "use fmt::format", ()),
    (r"\bgets\s*\(", "use read_file or a bounded read", ()),
    (r"\bstrtok\s*\(", "split a std::string_view", ()),
    (r"(?<![\w.:>])(std::|::)?system\s*\(", "use posix_spawn with an argument list, never a shell", ("_test.cpp",)),
    (r"\bpopen\s*\(", "use posix_spawn with an argument list, never a shell", ("_test.cpp",)),
    (r"\bs?rand\s*\(", "use godwit::Random, or random_bytes for keys", ()),
    (r"\b(atoi|atol|atoll|atof)\s*\(", "use std::from_chars: it can say no", ("bench/",)),
    (r"(?<!_)\b(gmtime|localtime|ctime|asctime)\s*\(", "use core/base/clock.hpp", ()),
    (r"(?<![\w:])strerror\s*\(", "use error_from_errno", ("extensions/",)),
    (r"\b(tmpnam|tempnam|mktemp)\s*\(", "use mkstemp or write_file_durably", ()),
    (r"\b(setjmp|longjmp)\s*\(", "use Result", ()),
    (r"\balloca\s*\(", "use a container", ()),
    (r"\bassert\s*\(", "use GODWIT_CHECK: it stays in release builds", ("extensions/",)),
    (r"\bgoto\b", "use a guard object or a function", ()),
    (r"\bstd::endl\b", "use '\\n'", ()),
    (r"\bstd::regex\b", "write a small parser: std::regex recurses on foreign text", ()),
    (r"\bco_(await|return|yield)\b", "use callbacks: g++ 12 miscompiles ordinary coroutines (docs/adr/0001)", ()),
]


def banned_names(tree):
    compiled = [(re.compile(pattern), instead, allowed) for pattern, instead, allowed in BANNED]
    for path, text in tree.having(CODE):
        for number, line in enumerate(code_only(text).split("\n"), 1):
            for pattern, instead, allowed in compiled:
                match = pattern.search(line)
                if match and not (path.startswith(allowed) or path.endswith(allowed)):
                    yield Finding(path, number, f"`{match.group(0).strip()}` is not used here: {instead}")
            if path.endswith(".hpp") and re.search(r"^\s*using\s+namespace\b", line):
                yield Finding(path, number, "`using namespace` in a header reaches everybody who includes it: name what you use")


def unfinished(tree):
    word = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]) + r")\b")
    merge = re.compile("^(" + "|".join(7 * sign for sign in "<=>") + r")( |$)")
    for path, text in tree.having(CODE | SCRIPTS | {".md", ".txt", ".cmake"}):
        for number, line in enumerate(text.split("\n"), 1):
            if word.search(line):
                yield Finding(path, number, "unfinished work is an issue of the tracker, not a note in a file")
            if merge.match(line):
                yield Finding(path, number, "a merge was left half done")


# --- shape of files ---------------------------------------------------------------------------------------------


def headers_introduce_themselves(tree):
    for path, text in tree.having({".hpp", ".h"}):
        if not text.lstrip().startswith(("//", "/*")):
            yield Finding(path, 1, "a header opens with a paragraph: what it is, who owns it, which threads may call it")
        if "#pragma once" not in text and "#ifndef GODWIT_" not in text:
            yield Finding(path, 1, "`#pragma once` is missing")


def whitespace(tree):
    for path, text in tree.having(TEXT):
        if text and not text.endswith("\n"):
            yield Finding(path, 0, "the last line has no end")
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                yield Finding(path, number, "blanks at the end of the line")
            if "\t" in line and not path.endswith(("/Makefile", "/deb/rules")):  # make wants them
                yield Finding(path, number, "a tab; we indent with two blanks (Python: four)")


# Written in pieces, so that this file does not find itself.
PRIVATE = [(re.compile(re.escape(a + b)), why) for a, b, why in [
    ("/wo", "rk/", "a path of one machine"),
    ("/fa", "rm/", "a path of one machine"),
    ("/ro", "ot/", "a path of one machine"),
    ("../sha", "red", "a folder outside this repository"),
    ("registry.np", "mjs", "the host of a registry; leave it to the client's configuration"),
    ("deb.debian", ".org", "the host of a registry; leave it to the client's configuration"),
]]


def private_places(tree):
    for path in tree.files:
        text = tree.text(path)
        if text is None or FOREIGN.search(path):
            continue
        for pattern, why in PRIVATE:
            for match in pattern.finditer(text):
                yield Finding(path, text.count("\n", 0, match.start()) + 1, f"names {why}")


def rooms_have_readmes(tree):
    rooms = set()
    for path in tree.files:
        parts = path.split("/")
        if parts[0] == "src" and len(parts) > 3:
            rooms.add("/".join(parts[:3]))
        elif parts[0] in ("extensions", "apps", "include") and len(parts) > 2:
            rooms.add("/".join(parts[:2]))
        elif parts[0] in ("bench", "console", "demo", "test", "docs", "tools", "cmake") and len(parts) > 1:
            rooms.add(parts[0])
    for room in sorted(rooms):
        if f"{room}/README.md" not in tree.files:
            yield Finding(room, 0, "has no README.md: purpose, main types, what is not here, how to test")


# --- documents --------------------------------------------------------------------------------------------------


def dev_verbs(tree):
    match = re.search(r"^readonly VERBS=\(([^)]*)\)", tree.text("dev") or "", re.MULTILINE)
    return set(match.group(1).split()) if match else set()


def commands_exist(tree):
    verbs = dev_verbs(tree)
    for path, text in tree.having({".md"}):
        for match in re.finditer(r"\./dev ([a-z][a-z-]*)", text):
            if match.group(1) not in verbs:
                yield Finding(path, text.count("\n", 0, match.start()) + 1, f"`./dev {match.group(1)}`: there is no such verb")


def links_lead_somewhere(tree):
    folders = {str(parent) for path in tree.files for parent in pathlib.PurePath(path).parents}
    for path, text in tree.having({".md"}):
        prose = re.sub(r"```.*?```", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.DOTALL)
        for match in re.finditer(r"\]\(([^)\s]+)\)", prose):
            target = match.group(1).split("#")[0]
            if not target or re.match(r"[a-z]+:", target):
                continue
            resolved = os.path.normpath(os.path.join(os.path.dirname(path), target))
            if resolved not in tree.files and resolved not in folders:
                yield Finding(path, prose.count("\n", 0, match.start()) + 1, f"the link {match.group(1)} leads nowhere")


def documents_named_in_code_exist(tree):
    for path, text in tree.having(CODE | SCRIPTS | {".md"}):
        if path.startswith("tools/dev/"):
            continue  # examples of broken paths
        for match in re.finditer(r"(?<![\w/])(docs/[\w/-]+\.md)", text):
            if match.group(1) not in tree.files:
                yield Finding(path, text.count("\n", 0, match.start()) + 1, f"{match.group(1)} does not exist")


GTEST = re.compile(r"\bTEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)")
PROMISED = re.compile(r"`((?:\w+\.\w+)|(?:[\w/.-]+\.(?:py|mjs|js)::\w+))`")


def promises_have_tests(tree):
    """docs/reference/behaviour.md: in each table row the last column names tests that exist."""
    path = "docs/reference/behaviour.md"
    text = tree.text(path) if path in tree.files else None
    if text is None:
        return
    known = {f"{suite}.{name}" for _, code in tree.having({".cpp"}) for suite, name in GTEST.findall(code)}
    for file, code in tree.having({".py", ".mjs", ".js"}):
        known.update(f"{file}::{name}" for name in re.findall(r"^\s*(?:async )?(?:def|function) (test_\w+)", code, re.MULTILINE))
    for number, line in enumerate(text.split("\n"), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or set(line) <= set("|-: ") or cells[-1].lower() in ("test", "tests", "kept by"):
            continue
        names = PROMISED.findall(cells[-1])
        if not names:
            yield Finding(path, number, "a promise without a test: name `Suite.test` or `file.py::test` in the last column")
        for name in names:
            if name not in known:
                yield Finding(path, number, f"promised test {name} does not exist")


# --- tests ----------------------------------------------------------------------------------------------------------


def test_modules_have_names_of_their_own(tree):
    """pytest takes the second module of a name for the first one and collects nothing."""
    seen = {}
    for path in tree.files:
        name = pathlib.PurePath(path).name
        if not (name.startswith("test_") or name.endswith("_test.py")) or not name.endswith(".py"):
            continue
        if name in seen:
            yield Finding(path, 0, f"{seen[name]} has the same name: give this one another")
        seen.setdefault(name, path)


# --- formats ----------------------------------------------------------------------------------------------------


def formats_parse(tree):
    for path, text in tree.having({".json"}):
        try:
            json.loads(text)
        except ValueError as problem:
            yield Finding(path, 0, f"is not JSON: {problem}")
    for path, text in tree.having({".sh", ""}):
        if path == "dev" or path == ".ci/run" or path.endswith(".sh"):
            checked = subprocess.run(["bash", "-n", str(tree.root / path)], capture_output=True, text=True)
            if checked.returncode != 0:
                yield Finding(path, 0, f"bash cannot read it: {checked.stderr.strip()}")


def clang_format(tree):
    program = shutil.which("clang-format")
    if program is None:
        yield Finding(".clang-format", 0, "clang-format is not installed, so the layout was not checked", is_warning=True)
        return
    files = [path for path, _ in tree.having(CODE)]
    if not files or ".clang-format" not in tree.files:
        return
    for start in range(0, len(files), 50):
        checked = subprocess.run([program, "--dry-run", "--ferror-limit=1", *files[start:start + 50]], cwd=tree.root,
                                 capture_output=True, text=True)
        for match in re.finditer(r"^(\S+?):(\d+):\d+: (?:warning|error): code should be clang-formatted", checked.stderr, re.MULTILINE):
            yield Finding(match.group(1), int(match.group(2)), "is not laid out as clang-format does it: run ./dev fmt")


RULES = [
    include_directions, library_homes, file_lengths, function_lengths, banned_names, unfinished, headers_introduce_themselves,
    whitespace, private_places, rooms_have_readmes, commands_exist, links_lead_somewhere, documents_named_in_code_exist,
    promises_have_tests, test_modules_have_names_of_their_own, formats_parse, clang_format,
]


def check(root, rules=None):
    tree = Tree(root)
    return [finding for rule in (rules or RULES) for finding in rule(tree)]


def main():
    parser = argparse.ArgumentParser(prog="./dev tidy", description=__doc__)
    parser.add_argument("--only", choices=[rule.__name__ for rule in RULES], action="append", help="run one rule (may be repeated)")
    args = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    chosen = [rule for rule in RULES if not args.only or rule.__name__ in args.only]
    findings = check(root, chosen)
    for finding in findings:
        print(finding)
    errors = sum(not finding.is_warning for finding in findings)
    print(f"tidy: {len(chosen)} rules, {errors} broken places, {len(findings) - errors} warnings")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
