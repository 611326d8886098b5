"""Files of at most 500 lines, functions of at most 80."""
import re

import lint

FILE_LINES = 500
FUNCTION_LINES = 80


def functions(text):
    """(name, first line, last line) of each function body, from bare text. A `{` at depth 0 behind a `)` opens one."""
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.M)
    depth, begin, head = 0, 0, ""
    for match in re.finditer(r"[{};]", text):
        mark, at = match.group(0), match.start()
        if mark == "{":
            if depth == 0:
                head = text[begin:at]
                start = begin + len(head) - len(head.lstrip())
            depth += 1
        elif mark == "}":
            depth -= 1
            if depth == 0 and head.rstrip().endswith(")"):
                name = re.search(r"(\w+)\s*\(", head)
                yield name.group(1) if name else "?", lint.line_of(text, start), lint.line_of(text, at)
        if depth == 0:
            begin = at + 1


def check(root):
    findings = []
    for path in lint.files(root, lint.C_DIRS, (*lint.C_FILES, ".py")):
        text = lint.read(root, path)
        lines = text.count("\n")
        if lines > FILE_LINES:
            findings.append(f"{path}: {lines} lines, at most {FILE_LINES}")
        if path.endswith(lint.C_FILES):
            for name, first, last in functions(lint.bare(text)):
                if last - first + 1 > FUNCTION_LINES:
                    findings.append(f"{path}:{first}: {name}: {last - first + 1} lines, at most {FUNCTION_LINES}")
    return findings


LONG = "  x = 1;\n"
lint.run(
    check,
    bad={
        "long C++ file": {"include/x.hpp": "int a;\n" * (FILE_LINES + 1)},
        "long file": {"lib/x.c": "int a;\n" * (FILE_LINES + 1)},
        "long function": {"server/x.c": "#define X { \\\n  {\nstatic int f(int x) {\n" + LONG * (FUNCTION_LINES - 1) + "}\n"},
        "long function after a table": {"lib/x.c": "static const int t[] = {1, 2};\nint\nf(int x)\n{\n" + LONG * (FUNCTION_LINES - 2) + "}\n"},
    },
    good={
        "lib/x.c": "static const int t[] = {\n" + "  1,\n" * 100 + "};\nint f(int x) {\n" + LONG * (FUNCTION_LINES - 2) + "}\nint g(int x) {\n" + LONG * 70 + "}\n",
    },
)
