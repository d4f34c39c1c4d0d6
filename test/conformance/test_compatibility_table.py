"""The table of checks in docs/reference/compatibility.md says what the tests prove: every check has a row and a test, and what fails is called so."""
import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "compatibility.md"
CHECKS = range(1, 49)


def decorations(function: ast.FunctionDef) -> dict:
    """{"check": 5, "xfail": "reason"} of a test."""
    found = {}
    for call in (one for one in function.decorator_list if isinstance(one, ast.Call)):
        name = ast.unparse(call.func).removeprefix("pytest.mark.")
        if name == "check":
            found["check"] = call.args[0].value
        if name == "xfail":
            words = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
            assert words.get("strict") is True and words.get("reason"), f"{function.name}: xfail needs strict=True and a reason"
            found["xfail"] = words["reason"]
    return found


def checks_tested() -> dict:
    tests: dict[int, list] = {}
    for path in sorted(HERE.glob("test_deviceupdate_*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and function.name.startswith("test_"):
                marks = decorations(function)
                assert "check" in marks, f"{path.name}: {function.name} names no check"
                body = ast.unparse(function)
                tests.setdefault(marks["check"], []).append({"file": path.name, "uses_node": "node[" in body or "run_node" in body, "late": marks.get("xfail")})
    return tests


def rows_of_the_page() -> dict:
    rows = {}
    for line in PAGE.read_text().splitlines():
        if cells := re.fullmatch(r"\| (\d+) \| (.+) \| (P|J|P, J) \| (.+) \| `(\S+)` \|", line):
            number = int(cells[1])
            assert number not in rows, f"check {number} has two rows"
            rows[number] = {"what": cells[2], "clients": cells[3], "result": cells[4], "file": cells[5]}
    return rows


def test_every_check_has_a_test_and_a_row():
    assert sorted(checks_tested()) == list(CHECKS) == sorted(rows_of_the_page())


def test_each_row_names_the_file_and_the_clients_of_its_tests():
    tests = checks_tested()
    for number, row in rows_of_the_page().items():
        assert {one["file"] for one in tests[number]} == {row["file"]}, f"check {number}"
        assert any(one["uses_node"] for one in tests[number]) == ("J" in row["clients"]), f"check {number}: {row['clients']}"


def test_each_result_is_what_its_tests_say():
    tests = checks_tested()
    for number, row in rows_of_the_page().items():
        late = [one["late"] for one in tests[number] if one["late"]]
        wanted = "works" if not late else ("in part: " if len(late) < len(tests[number]) else "not yet: ") + late[0]
        assert row["result"] == wanted, f"check {number}"
