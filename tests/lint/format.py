"""Every C file is as clang-format (of Debian 12) writes it. `format.py --fix` rewrites those that are not."""
import os
import shutil
import subprocess
import sys

import lint

STYLE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".clang-format"))


def check(root):
    findings = []
    for path in lint.files(root, lint.C_DIRS, lint.C_FILES):
        with open(os.path.join(root, path), "rb") as f:
            before = f.read()
        after = subprocess.run(["clang-format", f"--style=file:{STYLE}"], input=before, stdout=subprocess.PIPE, check=True).stdout
        if before == after:
            continue
        if "--fix" in sys.argv:
            with open(os.path.join(root, path), "wb") as f:
                f.write(after)
            print(f"{path}: written anew")
        else:
            findings.append(f"{path}: not as clang-format writes it; tests/lint/format.py --fix does")
    return findings


if not shutil.which("clang-format"):
    sys.exit("clang-format is missing: ./scripts/deps --test installs it")
lint.run(
    check,
    bad={} if "--fix" in sys.argv else {"crooked": {"lib/x.c": "int  f( void ){return 1;}\n"}, "crooked C++": {"include/x.hpp": "class  x{};\n"}},
    good={"lib/x.c": "int f(void) { return 1; }\n"},
)
