#!/usr/bin/python3
"""Writes the generated pages of docs/: ./dev docs. With --check it only says which page is not what it would write.

From sources: error-codes.md, result-codes.md, store-schema.md, and roles and routes in rest.md between its markers. From the programs, where
they are built: the configuration pages, cli.md and agent-workflow.md.
"""

import argparse
import pathlib
import re
import subprocess
import sys

from error_codes import ERROR_CODES

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTE = "<!-- Written by ./dev docs; change its source instead. -->\n\n"


def source(path):
    return (ROOT / path).read_text()


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


# --- from sources -----------------------------------------------------------------------------------------------


def error_codes():
    enum = re.search(r"enum class Code : std::uint32_t \{(.*?)\n\};", source("src/core/base/error.hpp"), re.DOTALL).group(1)
    numbers = {name: int(number) for name, number in re.findall(r"^\s*(\w+) = (\d+),", enum, re.MULTILINE)}
    if numbers.keys() != ERROR_CODES.keys():
        sys.exit(f"generate_docs: error.hpp and error_codes.py differ: {sorted(numbers.keys() ^ ERROR_CODES.keys())}")
    text = "# Error codes\n\n" + NOTE
    text += "What our own programs answer and log. Numbers are stable and never get a second meaning. Codes that devices report are in\n"
    text += "[result-codes.md](result-codes.md).\n\n"
    groups = {0: "Success", 1: "The caller or the outside world", 2: "Content", 3: "The machine", 4: "Extensions", 9: "Bugs"}
    for group, title in groups.items():
        rows = [(str(number), f"`{name}`", ERROR_CODES[name][0], ERROR_CODES[name][1])
                for name, number in numbers.items() if number // 1000 == group]
        if rows:
            text += f"## {title}\n\n" + table(["number", "name", "cause", "remedy"], rows) + "\n"
    return text.rstrip("\n") + "\n"


STRING = r'"((?:[^"\\]|\\.)*)"'


def result_codes():
    header = source("src/core/model/outcome.hpp")
    erc_block = re.search(r"namespace erc \{(.*?)\}", header, re.DOTALL).group(1)
    result_block = re.search(r"namespace result \{(.*?)\}", header, re.DOTALL).group(1)
    erc = {name: int(value, 0) for name, value in re.findall(r"(\w+) = (0x[0-9A-Fa-f]+|\d+)", erc_block)}
    results = {name: int(value) for name, value in re.findall(r"(\w+) = (-?\d+)", result_block)}
    code = re.sub(r'"\s*\n\s*"', "", source("src/core/model/result_codes.cpp"))

    def number(word, names):
        return names[word.split("::")[1]] if "::" in word else int(word, 0)

    extended_block, result_rows = code.split("kResults", 1)
    extended = [(number(first, erc), number(last, erc) if last else None, name, text) for first, last, name, text in
                re.findall(r"(?:one\(|\{)([\w:]+),\s*(?:(0x[0-9A-F]+),\s*)?" + STRING + r",\s*" + STRING, extended_block)]
    plain = [(number(value, results), name, text) for value, name, text in
             re.findall(r"\{([\w:-]+),\s*" + STRING + r",\s*" + STRING + r"\}", result_rows)]
    if len(extended) < 30 or len(plain) < 30:
        sys.exit("generate_docs: result_codes.cpp no longer looks as expected; adapt result_codes() in generate_docs.py")
    text = "# Result codes\n\n" + NOTE
    text += "What a device reports about an update, in the numbers of Device Update. `godwit explain CODE` says the same on the command line.\n\n"
    text += "## Result codes\n\nAbove zero is success, 0 is failure, -1 is cancelled.\n\n"
    text += table(["code", "name", "meaning"], [(str(value), f"`{name}`", words) for value, name, words in plain])
    text += "\n## Extended codes\n\n"
    text += "A 32-bit number printed as eight hex digits: facility (4 bits), component (8 bits), value (20 bits). Device Update's REST shows it\n"
    text += "as a signed decimal number, Godwit's own routes as hex with its sentence.\n\n"
    rows = [(f"`{first:08X}`" + (f" to `{last:08X}`" if last else ""), f"`{name}`", words) for first, last, name, words in extended]
    return text + table(["code", "name", "cause and remedy"], rows)


def roles():
    block = re.search(r"return std::to_array<RoleRow>\(\{(.*?)\}\);", source("src/server/api/permissions.hpp"), re.DOTALL).group(1)
    groups = {"updates": ["updates_read", "updates_write", "updates_delete"], "management": ["management_read", "management_write", "management_delete"],
              "hub": ["registry_read", "registry_write", "hub_read", "hub_write", "device_connect"]}
    columns = ["updates_read", "updates_write", "updates_delete", "management_read", "management_write", "management_delete",
               "registry_read", "registry_write", "hub_read", "hub_write", "device_connect", "access_write"]
    rows = []
    for name, words in re.findall(r'\{Role::\w+,\s*"([\w-]+)",\s*(.*?)\},?\s*(?:\n|$)', block):
        held = set(re.findall(r"bit\((\w+)\)", words))
        for group, members in groups.items():
            if re.search(rf"(?<!\w){group}(?!\w)", re.sub(r"bit\(\w+\)", "", words)):
                held.update(members)
        rows.append([f"`{name}`"] + ["yes" if column in held else "" for column in columns])
    return table(["role"] + [column.replace("_", "/") for column in columns], rows)


ROUTE_FILES = [("Device Update data plane", "deviceupdate/*.cpp"), ("Hub registry", "iothub/*.cpp"),
               ("Provisioning", "provisioning/*.cpp"),
               ("Godwit's own", "godwit/*.cpp"), ("Files and health", "surface.cpp")]


ROUTE = re.compile(r'(?:\{|add_stream\()\s*(?:Method::)?(get|head|put|post|patch|delete_),\s*((?:"[^"]*"|[A-Z_]+|\s)+),\s*((?:\w+ \? Permission::\w+ : )?(?:Permission::)?\w+)')


def routes_of(code):
    """(METHOD, path, permission) of the rows in a source file; paths and permissions may be names that the file defines."""
    texts = {}
    for name, words in re.findall(r"#define ([A-Z_]+) (.*)", code):
        texts[name] = words

    def path_of(words):
        return "".join(part[1:-1] if part.startswith('"') else path_of(texts.get(part, "")) for part in re.findall(r'"[^"]*"|[A-Z_]+', words))

    permissions = dict(re.findall(r"constexpr Permission (\w+) = Permission::(\w+)", code))
    for method, words, permission in ROUTE.findall(code):
        names = re.findall(r"Permission::(\w+)", permission) or [permissions.get(permission, permission)]  # two where the configuration decides
        yield method.rstrip("_").upper(), path_of(words), " or ".join(names).replace("_", "/")


def routes():
    text = ""
    for title, pattern in ROUTE_FILES:
        rows = []
        for path in sorted((ROOT / "src/server/api").glob(pattern)):
            if not path.name.endswith("_test.cpp"):
                rows += [(method, f"`{route}`", permission) for method, route, permission in routes_of(path.read_text())]
        if rows:
            text += f"### {title}\n\n" + table(["method", "path", "permission"], rows) + "\n"
    return text


def store_schema():
    text = "# Database schema\n\n" + NOTE
    text += "SQLite, WAL, `synchronous=FULL`. The schema is the sum of numbered migrations, each applied once, in a transaction of its own; a released one never\n"
    text += "changes. A database that is newer than the program is refused. Times are milliseconds since 1970 UTC, digests are 32 bytes, documents are compact\n"
    text += "JSON. Code: `src/server/store/sqlite`.\n"
    for path in sorted((ROOT / "src/server/store/sqlite").glob("migration_*.cpp")):
        code = path.read_text()
        sql = re.search(r'R"sql\(\n?(.*?)\)sql"', code, re.DOTALL).group(1)
        number, name = re.search(r"Migration(?: migration_\d+\(\) \{\s*return )?\s*\{\s*(?:\.version = )?(\d+),\s*(?:\.name = )?\"([^\"]*)\"", code).groups()
        text += f"\n## {number}: {name}\n\n```sql\n{sql.strip()}\n```\n"
    return text


def between_markers(path, parts):
    text = source(path)
    for name, content in parts.items():
        pattern = re.compile(rf"(<!-- {name}: .*?-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        if not pattern.search(text):
            sys.exit(f"generate_docs: {path} has lost its markers for {name}")
        text = pattern.sub(lambda m: m.group(1) + "\n" + content.rstrip("\n") + "\n\n" + m.group(2), text)
    return text


# --- from programs ----------------------------------------------------------------------------------------------


def output_of(program, *arguments):
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, timeout=30,
                          env={"PATH": "/usr/bin:/bin", "COLUMNS": "120", "HOME": "/nonexistent"})
    if done.returncode != 0:
        sys.exit(f"generate_docs: {program.name} {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
    return re.sub(r"[ \t]+$", "", done.stdout, flags=re.MULTILINE).rstrip("\n") + "\n"


CONFIGURED = {
    "godwitd": ("`godwit.toml` in the service's data folder, or the file given with `--config`.", ["--print-config"]),
    "godwit-agent": ("`agent.toml`, given with `--config`.", ["--print-config"]),
    "godwit-installer": ("`installer.toml`, owned by root, given with `--config`.", ["--print-config"]),
    "godwit-slots": ("`/etc/godwit/slots.toml`, owned by root: the two sides of a device. Read by `godwit/image:1` and by `godwit-slots`.", ["--print-config"]),
}


def configuration(program, intro, arguments, folder):
    text = f"# Configuration of {program}\n\n" + NOTE
    text += f"{intro} TOML, strict: an unknown key is refused with the nearest known one, a value out of range with its range.\n"
    text += "Durations are text with a unit (`250ms`, `30s`, `15m`, `8h`, `7d`), sizes are bytes or text (`64KiB`, `32MiB`, `2GiB`).\n\n"
    text += "These are all keys with their defaults:\n\n```toml\n" + output_of(folder / program, *arguments) + "```\n"
    return text + (variables(folder / program) if program == "godwitd" else "")


def variables(program):
    rows = [[f"`{word}`" for word in line.split()] for line in output_of(program, "--print-variables").splitlines()]
    text = "\n## By environment and on the command line\n\n"
    text += "`godwitd run --set KEY=VALUE` is stronger than the environment, the environment is stronger than the file. A value is written as in the file without\n"
    text += "the quotes; a list as in the file: `[\"/usr/bin/scan\", \"-\"]`. A variable that begins with `GODWITD_CONFIG_` and belongs to no key is refused with the\n"
    text += "nearest one, a wrong value with the variable's name. Keys of a further instance's `instance.toml` are stronger than both. `godwitd init` writes into the\n"
    text += "file what the environment says; its own flags win. `GODWITD_DATA` names the data folder for every verb that takes `--data`.\n\n"
    return text + table(["variable", "key"], rows)


def subcommands(help_text):
    """Names under "Subcommands:" of a CLI11 help page."""
    match = re.search(r"^Subcommands:\n((?:[ \t]+\S.*\n?)+)", help_text, re.MULTILINE)
    return re.findall(r"^  (\S+)", match.group(1), re.MULTILINE) if match else []


def cli(folder):
    text = "# Command line\n\n" + NOTE

    def page(words, level):
        nonlocal text
        help_text = output_of(folder / "godwit", *words, "--help")
        text += f"{'#' * min(level, 4)} godwit {' '.join(words)}".rstrip() + "\n\n```\n" + help_text + "```\n\n"
        for name in subcommands(help_text):
            page([*words, name], level + 1)

    page([], 2)
    return text.rstrip("\n") + "\n"


def pages(folder):
    yield "docs/reference/error-codes.md", error_codes()
    yield "docs/reference/result-codes.md", result_codes()
    yield "docs/reference/formats/store-schema.md", store_schema()
    if "<!-- roles:" in source("docs/reference/rest.md"):
        yield "docs/reference/rest.md", between_markers("docs/reference/rest.md", {"roles": roles(), "routes": routes()})
    for program, (intro, arguments) in CONFIGURED.items():
        if (folder / program).exists():
            short = program.replace("godwit-", "")
            yield f"docs/reference/{short}-configuration.md", configuration(program, intro, arguments, folder)
    if (folder / "godwit").exists():
        yield "docs/reference/cli.md", cli(folder)
    if (folder / "godwit-agent").exists():
        yield "docs/explain/agent-workflow.md", output_of(folder / "godwit-agent", "--print-workflow")


def main():
    parser = argparse.ArgumentParser(prog="./dev docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is not current")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin", help="where the programs lie")
    args = parser.parse_args()
    stale = 0
    for path, text in pages(args.bin):
        file = ROOT / path
        if file.exists() and file.read_text() == text:
            continue
        stale += 1
        print(f"{path}: {'is not current: run ./dev docs' if args.check else 'written'}")
        if not args.check:
            file.write_text(text)
    return 1 if args.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
