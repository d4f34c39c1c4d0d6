"""Every rule of tidy.py: one tree that breaks it, one that does not."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import tidy  # noqa: E402


def findings(tmp_path, files, rule):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [str(f) for f in tidy.check(tmp_path, [rule])]


BROKEN = [
    (tidy.include_directions, {"src/core/base/a.cpp": '#include "core/model/ids.hpp"\n'}, "core/base may not include core/model"),
    (tidy.include_directions, {"src/device/agent/a.cpp": '#include "server/hub/hub.hpp"\n'}, "device/agent may not include server/hub"),
    (tidy.include_directions, {"src/server/service/x/a.cpp": '#include "server/hub/hub.hpp"\n'}, "server/service may not include server/hub"),
    (tidy.include_directions, {"src/device/agent/a.cpp": '#include "device/installer/act.hpp"\n'}, "device/agent may not include device/installer"),
    (tidy.include_directions, {"src/core/base/a.cpp": '#include "../model/ids.hpp"\n'}, "write the path from src/"),
    (tidy.include_directions, {"src/core/base/a.cpp": '#include "error.hpp"\n'}, "write our headers from src/"),
    (tidy.include_directions, {"src/server/attic/a.cpp": "\n"}, "is not in MAY_INCLUDE"),
    (tidy.include_directions, {"extensions/x/a.cpp": '#include "device/agent/agent.hpp"\n'}, "extensions/ may not include"),
    (tidy.library_homes, {"src/core/twin/a.cpp": "#include <sqlite3.h>\n"}, "<sqlite3.h> is used behind"),
    (tidy.file_lengths, {"src/core/base/a.cpp": "\n" * 801}, "801 lines; 800 is the limit"),
    (tidy.file_lengths, {"src/core/base/a.cpp": "\n" * 501}, "warning: 501 lines"),
    (tidy.function_lengths, {"a.cpp": "namespace x {\nint f(int a) {\n" + "  a += 1;\n" * 110 + "  return a;\n}\n}\n"}, "a.cpp:2: a function of 113 lines"),
    (tidy.function_lengths, {"a.py": "def f():\n" + "    x = 1\n" * 101}, "function f has 102 lines"),
    (tidy.banned_names, {"src/core/base/a.cpp": "auto x = std::getenv(\"HOME\");\n"}, "read the environment in apps/"),
    (tidy.banned_names, {"src/core/base/a.cpp": "strcpy(a, b);\n"}, "use std::string"),
    (tidy.banned_names, {"src/core/base/a.cpp": "int r = system(\"ls\");\n"}, "never a shell"),
    (tidy.banned_names, {"src/core/base/a.cpp": "int r = std::rand();\n"}, "use godwit::Random"),
    (tidy.banned_names, {"src/core/base/a.cpp": "co_await f();\n"}, "use callbacks"),
    (tidy.banned_names, {"src/core/base/a.hpp": "using namespace std;\n"}, "`using namespace` in a header"),
    (tidy.unfinished, {"a.md": "TO" + "DO: write\n"}, "unfinished work"),
    (tidy.unfinished, {"a.md": "one\n" + 7 * ">" + " branch\n"}, "a merge was left half done"),
    (tidy.headers_introduce_themselves, {"a.hpp": "#pragma once\n"}, "opens with a paragraph"),
    (tidy.headers_introduce_themselves, {"a.hpp": "// What it is.\n"}, "`#pragma once` is missing"),
    (tidy.whitespace, {"a.md": "blank \n"}, "blanks at the end"),
    (tidy.whitespace, {"a.cpp": "\tx;\n"}, "a tab"),
    (tidy.whitespace, {"a.cpp": "x;"}, "the last line has no end"),
    (tidy.whitespace, {"a.cpp": "x;\r\n"}, "blanks at the end"),
    (tidy.private_places, {"a.md": "see /wo" + "rk/main\n"}, "a path of one machine"),
    (tidy.private_places, {"package-lock.json": '"https://registry.np' + 'mjs.org/x"\n'}, "the host of a registry"),
    (tidy.rooms_have_readmes, {"src/core/base/error.hpp": "\n"}, "src/core/base: has no README.md"),
    (tidy.rooms_have_readmes, {"extensions/step-x/a.c": "\n"}, "extensions/step-x: has no README.md"),
    (tidy.commands_exist, {"dev": "readonly VERBS=(test demo)\n", "README.md": "run `./dev tset`\n"}, "./dev tset`: there is no such verb"),
    (tidy.links_lead_somewhere, {"docs/a.md": "[x](../b.md)\n"}, "the link ../b.md leads nowhere"),
    (tidy.documents_named_in_code_exist, {"src/core/base/a.hpp": "// see docs/reference/limits.md\n"}, "docs/reference/limits.md does not exist"),
    (tidy.promises_have_tests, {"docs/reference/behaviour.md": "| it holds | `Twin.holds` |\n"}, "promised test Twin.holds does not exist"),
    (tidy.promises_have_tests, {"docs/reference/behaviour.md": "| it holds | by faith |\n"}, "a promise without a test"),
    (tidy.test_modules_have_names_of_their_own, {"test/a/test_x.py": "", "test/b/test_x.py": ""}, "test/a/test_x.py has the same name"),
    (tidy.formats_parse, {"a.json": "{,}\n"}, "is not JSON"),
    (tidy.formats_parse, {"a.sh": "if then\n"}, "bash cannot read it"),
    (tidy.clang_format, {".clang-format": "BasedOnStyle: Google\n", "a.cpp": "int   x ;\n"}, "run ./dev fmt"),
]


@pytest.mark.parametrize("rule, files, expected", BROKEN, ids=[f"{r.__name__}-{i}" for i, (r, _, _) in enumerate(BROKEN)])
def test_a_broken_rule_is_found_with_its_place(tmp_path, rule, files, expected):
    found = findings(tmp_path, files, rule)
    assert len(found) == 1, found
    assert expected in found[0]


CLEAN = [
    (tidy.include_directions, {"src/server/hub/a.cpp": '#include <vector>\n#include "server/net/tls.hpp"\n#include "core/mqtt/packet.hpp"\n',
                               "apps/godwitd/main.cpp": '#include "server/api/api.hpp"\n',
                               "src/device/installer/a.cpp": '#include "godwit/step_handler.h"\n#include "device/extension/process.hpp"\n'}),
    (tidy.banned_names, {"src/core/base/a.cpp": "// strcpy(a, b) is banned\nconst char* s = \"system(1)\";\nsnprintf(b, 3, f);\nfile.system(1);\n"
                                                "auto raw = R\"x(goto \" rand( )x\";\nint n = 1'000; gmtime_r(a, b);\nusing namespace std;\n",
                         "apps/godwit/main.cpp": "std::getenv(\"X\");\n"}),
    (tidy.function_lengths, {"a.cpp": "class A {\n" + "  int f() {\n    return 1;\n  }\n" * 60 + "};\n#define F(x) \\\n  g(x)\nnamespace {\n" + "int a;\n" * 200 + "}\nconst T kTable[] = {\n" + "{1, f(2)},\n" * 200 + "};\n"}),
    (tidy.whitespace, {"test/fuzz/json/corpus/a.txt": "\t \n x", "a.bin": b"\xff\t "}),
    (tidy.rooms_have_readmes, {"src/core/base/error.hpp": "\n", "src/core/base/README.md": "# base\n", "src/core/CMakeLists.txt": "\n"}),
    (tidy.commands_exist, {"dev": "readonly VERBS=(test demo)\n", "README.md": "run `./dev` or `./dev test`\n"}),
    (tidy.links_lead_somewhere, {"docs/a.md": "[x](../b.md#part) [y](https://example.org) [z](#here) [d](../docs)\n```\n[q](none)\n```\n", "b.md": "\n"}),
    (tidy.promises_have_tests, {"docs/reference/behaviour.md": "| promise | test |\n|---|---|\n| it holds | `Twin.holds`, `test/e2e/test_x.py::test_y` |\n",
                                "src/core/twin/twin_test.cpp": "TEST_F(Twin, holds) {}\n", "test/e2e/test_x.py": "def test_y():\n    assert True\n"}),
]


@pytest.mark.parametrize("rule, files", CLEAN, ids=[rule.__name__ for rule, _ in CLEAN])
def test_good_files_are_left_alone(tmp_path, rule, files):
    assert findings(tmp_path, files, rule) == []


def test_the_room_map_points_down_only():
    order = list(tidy.MAY_INCLUDE)
    for room, targets in tidy.MAY_INCLUDE.items():
        for target in targets:
            assert room not in tidy.MAY_INCLUDE.get(target, set()), f"{room} and {target} include each other"
            assert target in order, target
