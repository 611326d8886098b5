"""The code of docs/guide-*.md: its C and C++ blocks are programs, which compile without a warning, run, and print what the page says.

A block that includes something begins a program, those that follow go on with it, and a block of `text` is what it prints. Arguments: the C and the C++ compiler, the directory of
libtipcurrent.so.
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
FLAGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-g", "-pthread"]


def programs(text):
    """[(language, source, what it prints)] of a page; None: the page does not say."""
    found = []
    for language, body in BLOCK.findall(text):
        if language in ("c", "cpp"):
            if "#include" in body or not found:
                found.append([language, body, None])
            elif found[-1][0] != language or found[-1][2] is not None:
                raise ValueError("a block goes on with a program that has ended")
            else:
                found[-1][1] += body
        elif language == "text":
            if not found or found[-1][2] is not None:
                raise ValueError("a block of text behind no program")
            found[-1][2] = body
    return found


def failure(language, source, expected, libraries):
    """None, or what went wrong."""
    compiler = {"c": [sys.argv[1], "-std=gnu11", "-x", "c"], "cpp": [sys.argv[2], "-std=c++11", "-x", "c++"]}[language]
    with tempfile.TemporaryDirectory() as where:
        command = [*compiler, *FLAGS, f"-I{ROOT}/include", "-", "-o", "program", f"-L{libraries}", "-ltipcurrent", f"-Wl,-rpath,{libraries}"]
        done = subprocess.run(command, cwd=where, input=source, capture_output=True, text=True)
        if done.returncode:
            return f"does not compile:\n{done.stderr}"
        try:
            done = subprocess.run(["./program"], cwd=where, capture_output=True, text=True, timeout=60)
        except subprocess.TimeoutExpired:
            return "still runs after a minute"
    if done.returncode or done.stderr:
        return f"exit {done.returncode}\n{done.stderr}"
    if expected is None:
        return "nothing says what it prints"
    return None if done.stdout == expected else f"printed\n{done.stdout}\nthe page says\n{expected}"


def self_test(libraries):
    good = "#include <stdio.h>\nint main(void) { return puts(\"x\") < 0; }\n"
    bad = {"a warning": "#include <stdio.h>\nint main(void) { int y; return puts(\"x\") < 0; }\n", "another text": good.replace("x", "y"), "an exit code": good.replace("< 0", "> 0")}
    page = f"```c\n#include <a.h>\n```\nand\n```c\nint b;\n```\n```text\nx\n```\n```cpp\n{good}```\n"
    if programs(page) != [["c", "#include <a.h>\nint b;\n", "x\n"], ["cpp", good, None]]:
        sys.exit("self-test: the blocks were not put together")
    if failure("c", good, "x\n", libraries):
        sys.exit("self-test: the good program failed")
    for name, source in bad.items():
        if not failure("c", source, "x\n", libraries):
            sys.exit(f"self-test: passed with {name}")


def main():
    libraries = sys.argv[3]
    self_test(libraries)
    pages, failed = sorted(glob.glob(f"{ROOT}/docs/guide-*.md")), 0
    for page in pages:
        with open(page, encoding="utf-8") as f:
            found = programs(f.read())
        failed += not found
        for number, (language, source, expected) in enumerate(found, 1):
            why = failure(language, source, expected, libraries)
            failed += why is not None
            print(f"{os.path.relpath(page, ROOT)}, program {number}: {why or 'ok'}")
    sys.exit(1 if failed or not pages else 0)


if __name__ == "__main__":
    main()
