"""Structs the caller fills begin with `size_t size` and have a TC_X_INIT that sets it and leaves every other member zero. Arguments: the C and the C++ compiler.

sys/ is left out: backends fill those as const tables. So is what says "Made by the library".
"""
import os
import re
import subprocess
import sys
import tempfile

import lint

STRUCT = re.compile(r"typedef struct (tc_\w+) \{(.*?)^\} \1;", re.M | re.S)
INIT = re.compile(r"^#define (TC_\w+_INIT)\b", re.M)


def try_out(root, names):
    """Compiles every INIT as C99 (too few initialisers are a warning, and an error) and as C++11, runs it, and looks at the bytes."""
    lines = ['#include "tipcurrent.h"', "#include <string.h>"]
    for name, macro in names:
        lines += [
            f"static int look_{name}(void) {{",
            f"  {name} made = {macro}, expected;",
            "  memset(&expected, 0, sizeof expected);",
            "  expected.size = sizeof expected;",
            "  return memcmp(&made, &expected, sizeof made) != 0;",
            "}",
        ]
    lines += ["int main(void) {", *(f"  if (look_{name}()) return {i + 1};" for i, (name, _) in enumerate(names)), "  return 0;", "}", ""]
    findings = []
    with tempfile.TemporaryDirectory() as where:
        program = os.path.join(where, "look")
        for compiler, language, standard in ((sys.argv[1], "c", "c99"), (sys.argv[2], "c++", "c++11")):
            command = [compiler, f"-std={standard}", "-x", language, "-Wall", "-Wextra", "-pedantic", "-Werror", f"-I{root}/include", "-", "-o", program]
            done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True)
            if done.returncode:
                findings.append(f"INIT macros as {standard}:\n{done.stderr.strip()}")
                continue
            code = subprocess.run([program]).returncode
            if code:
                findings.append(f"{names[code - 1][1]}: not just the size and zeros ({standard})")
    return findings


def check(root):
    findings, names, macros = [], [], set()
    for path in lint.files(root, ("include",), (".h",)):
        if "/sys/" in path:
            continue
        text = lint.read(root, path)
        macros |= set(INIT.findall(text))
        for match in STRUCT.finditer(text):
            name, body = match.groups()
            macro = name.upper() + "_INIT"
            before = text[: match.start()].rsplit("\n\n", 1)[-1]
            sized = re.match(r"\s*size_t size;", body) is not None
            has_init = f"#define {macro} " in text
            if sized and not has_init and "Made by the library" not in before:
                findings.append(f"{path}: {name} has no {macro}")
            if has_init and not sized:
                findings.append(f"{path}: {name} has {macro} but does not begin with size_t size")
            if has_init and sized:
                names.append((name, macro))
    findings += [f"{macro} belongs to no struct" for macro in sorted(macros - {macro for _, macro in names})]
    return findings or (try_out(root, names) if names else [])


def sample(body, init):
    return {"include/tipcurrent.h": f"#include <stddef.h>\ntypedef struct tc_x {{\n{body}}} tc_x;\n{init}\n"}


SIZED = "  size_t size;\n  const char *a;\n  int b, c;\n"
lint.run(
    check,
    bad={
        "no INIT": sample(SIZED, ""),
        "size is not the first": sample("  int b;\n  size_t size;\n", "#define TC_X_INIT { 0, sizeof(tc_x) }"),
        "a member is missing": sample(SIZED, "#define TC_X_INIT { sizeof(tc_x), 0, 0 }"),
        "a member is not zero": sample(SIZED, "#define TC_X_INIT { sizeof(tc_x), 0, 1, 0 }"),
        "another struct's size": sample(SIZED, "#define TC_X_INIT { sizeof(int), 0, 0, 0 }"),
        "INIT of nothing": sample(SIZED, "#define TC_X_INIT { sizeof(tc_x), 0, 0, 0 }\n#define TC_Y_INIT { 0 }"),
    },
    good=sample(SIZED, "#define TC_X_INIT { sizeof(tc_x), 0, 0, 0 }"),
)
