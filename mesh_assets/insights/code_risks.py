"""Calls that hand over the machine where their argument comes from outside: by bandit in Python, else by patterns.

How bad each is follows what it lets a stranger do, not bandit's grades, in which a checksum weighs as a shell.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath

from mesh_assets.insights.code_candidates import Candidate, Place
from mesh_assets.insights.code_files import CodeFile
from mesh_assets.insights.code_tools import FileReport
from mesh_assets.insights.wording import plural

# Severity by bandit's test; those that are not here by its own grade.
_SEVERITY = {
    **dict.fromkeys(("B501", "B502", "B506", "B602"), 0.85),
    **dict.fromkeys(("B202", "B306", "B507"), 0.75),
    **dict.fromkeys(("B614",), 0.65),
    **dict.fromkeys(("B113", "B605", "B608", "B609"), 0.5),
    **dict.fromkeys(("B102", "B103", "B104", "B108", "B307", "B324", "B701", "B704"), 0.4),
    **dict.fromkeys(("B301", "B302"), 0.3),  # mostly of what the program itself wrote
    **dict.fromkeys(("B303", "B304", "B305", "B310", "B313", "B314", "B318", "B320", "B615"), 0.25),
}
_GRADE = {"HIGH": 0.7, "MEDIUM": 0.45, "LOW": 0.2}
_SURE = {"HIGH": 0.85, "MEDIUM": 0.6, "LOW": 0.35}
_SCRIPT = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".vue")
_NATIVE = (".c", ".cc", ".cpp", ".cxx", ".h", ".hpp")
# What a call is, how bad, and its pattern, by ending. A name that a dot or a letter stands before is another's.
_PATTERNS: tuple[tuple[tuple[str, ...], str, float, str], ...] = (
    (_NATIVE, "reads a line of any length into a buffer (gets)", 0.85, r"(?<![\w.>:])gets\s*\("),
    (_NATIVE, "copies text of any length into a buffer", 0.4, r"(?<![\w.>:])(?:strcpy|strcat|sprintf|vsprintf)\s*\("),
    (_NATIVE, "runs a command of the shell", 0.5, r"(?<![\w.>:])(?:system|popen)\s*\(\s*[^\")\s]"),
    (_SCRIPT, "runs text as code (eval)", 0.6, r"(?<![\w.$])eval\s*\(\s*[^\"')\s]"),
    (_SCRIPT, "makes a function of text", 0.5, r"(?<![\w.$])new\s+Function\s*\(\s*[^\"')\s]"),
    (_SCRIPT, "runs a command of the shell", 0.6, r"(?<![\w$])child_process\.exec(?:Sync)?\s*\(\s*[^\"')\s]"),
    (_SCRIPT, "writes text into the page as markup", 0.35, r"\.(?:outerHTML|innerHTML)\s*\+?=\s*[^\"'=\s;]"),
    ((".php",), "runs text as code or as a command", 0.7, r"(?<![\w$>:])(?:eval|shell_exec|passthru|system)\s*\(\s*\$"),
    ((".php",), "makes objects of text", 0.6, r"(?<![\w$>:])unserialize\s*\(\s*\$"),
    ((".java", ".kt"), "makes objects of bytes", 0.5, r"new\s+ObjectInputStream\s*\("),
    ((".java", ".kt"), "runs a command", 0.45, r"Runtime\.getRuntime\(\)\.exec\s*\("),
    ((".go",), "takes any certificate for good", 0.75, r"InsecureSkipVerify:\s*true"),
    (
        (".rb",),
        "runs text as code or as a command",
        0.6,
        r"(?<![\w.])(?:eval|instance_eval|system)\s*\(?\s*[a-z_]\w*\b",
    ),
    ((".cs",), "makes objects of bytes", 0.6, r"new\s+BinaryFormatter\s*\("),
)
_COMPILED = tuple((endings, what, severity, re.compile(pattern)) for endings, what, severity, pattern in _PATTERNS)
_COMMENT = re.compile(r"\s*(?://|\*|#|/\*)")
# What makes such a call safe, or leaves to the caller whether it is: bandit does not read the values of arguments.
# Of these it matters where the argument comes from: what no caller gives is the program's own.
_FLOWING = frozenset({"B102", "B307", "B602", "B605", "B608", "B609"})
_OWN_ARGUMENT = 0.3
_GUARDED = re.compile(r"Loader=(?!\s*(?:yaml\.)?(?:Unsafe|Full)?Loader\b)|weights_only=(?!False)|\*\*\w+|shell=[a-z]")
# An archive that is unpacked with a filter where Python has one; a function of the program's own may be so too.
_UNPACKING, _FILTERED = re.compile(r"\.extractall\("), re.compile(r"\bfilter=|extraction_filter")
_CALL_LINES = 6  # that a call may go on after its first
_MANY = 5  # places that are cited


def risks_of(file: CodeFile, report: FileReport) -> Iterator[Candidate]:
    """One candidate for each kind of call in the file."""
    found: dict[tuple[str, str, str], list[tuple[int, float, float]]] = defaultdict(list)
    lines = file.text.split("\n")
    for test, line, grade, sure, said in report.risks:
        severity = _SEVERITY.get(test, _GRADE.get(grade, 0.2))
        if test in ("B602", "B605") and grade == "LOW":
            severity = 0.2  # the command is a text that stands there
        if test in _FLOWING and (line,) not in report.handed:
            severity = min(severity, _OWN_ARGUMENT)
        near = "\n".join(lines[max(line - _CALL_LINES, 0) : line + _CALL_LINES])
        if test == "B202" and (not _UNPACKING.search(near) or _FILTERED.search(near)):
            severity = _OWN_ARGUMENT
        if _GUARDED.search(" ".join(lines[line - 1 : line + _CALL_LINES])):
            severity = min(severity, 0.3)
        found[test, said.split(". ")[0].rstrip("."), "bandit"].append((line, severity, _SURE.get(sure, 0.35)))
    ending = PurePosixPath(file.path).suffix.lower()
    for endings, what, severity, pattern in _COMPILED:
        for match in pattern.finditer(file.text) if ending in endings else ():
            begins = file.text.rfind("\n", 0, match.start()) + 1
            if not _COMMENT.match(file.text, begins):
                found[what, what, "pattern"].append((file.text.count("\n", 0, match.start()) + 1, severity, 0.6))
    for (test, said, source), calls in sorted(found.items()):
        yield _candidate(file, report, test, said, source, sorted(calls))


def _candidate(
    file: CodeFile, report: FileReport, test: str, said: str, source: str, calls: list[tuple[int, float, float]]
) -> Candidate:
    line, severity, sure = max(calls, key=lambda call: call[1] * call[2])
    around = [each for each in report.functions if each[1] <= line <= each[2]]
    name = min(around, key=lambda each: each[2] - each[1])[0] if around else ""
    inside = f", in {name}" if name else ""
    more = f" ({plural(len(calls), 'place')} in the file)" if len(calls) > 1 else ""
    by = f", says bandit's {test}" if source == "bandit" else ""
    lines = [line, *(each[0] for each in calls if each[0] != line)]
    return Candidate(
        sort="risk",
        title=f"Risky call in {file.path}: {said[:60]}",
        statement=f"{file.path}, line {line}{inside}: {said[:1].lower()}{said[1:]}{by}{more}.",
        severity=severity,
        confidence=sure,
        worth=file.worth,
        places=tuple(Place(file.path, each, each) for each in lines[:_MANY]),
        name=name,
        detail=test,
        value={"test": test, "places": len(calls)},
    )
