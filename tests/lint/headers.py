"""Each public header compiles alone, and twice, as C99, C11 and C++11, linked or static; those for C++ as C++11 and C++20, with exceptions and without.

Arguments: the C and the C++ compiler.
"""
import os
import subprocess
import sys

import lint

FLAGS = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]
LANGUAGES = {".h": (("c99", "c", 0), ("c11", "c", 0), ("c++11", "c++", 1)), ".hpp": (("c++11", "c++", 1), ("c++20", "c++", 1))}
OPTIONS = {".h": ([], ["-DTC_STATIC"]), ".hpp": ([], ["-DTC_STATIC"], ["-fno-exceptions", "-fno-rtti"])}


def complaint(root, header, standard, language, compiler, options):
    source = f'#include "{header}"\n#include "{header}"\nint main(void);\n'
    command = [sys.argv[1 + compiler], f"-std={standard}", "-x", language, *FLAGS, *options, f"-I{root}/include", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else None


def check(root):
    findings = []
    for path in lint.files(root, ("include",), (".h", ".hpp")):
        header, ending = path.removeprefix("include/"), os.path.splitext(path)[1]
        for standard, language, compiler in LANGUAGES[ending]:
            for options in OPTIONS[ending]:
                said = complaint(root, header, standard, language, compiler, options)
                if said:
                    findings.append(f"{path} as {standard} {' '.join(options)}:\n{said}")
    return findings


lint.run(
    check,
    bad={
        "needs another header": {"include/x.h": "#ifndef X\n#define X\nsize_t f(void);\n#endif\n"},
        "no guard": {"include/x.h": "struct x {\n  int a;\n};\n"},
        "not C99": {"include/x.h": "#ifndef X\n#define X\nstruct x {\n  union {\n    int a;\n    long b;\n  };\n};\n#endif\n"},
        "not C++": {"include/x.h": "#ifndef X\n#define X\nint f(int class);\n#endif\n"},
        "throws": {"include/x.hpp": "#ifndef X\n#define X\ninline void f() { throw 1; }\n#endif\n"},
        "not C++20": {"include/x.hpp": "#ifndef X\n#define X\nint f(int concept);\n#endif\n"},
        "not static": {"include/x.h": "#ifndef X\n#define X\n#ifdef TC_STATIC\n#error no\n#endif\n#endif\n"},
    },
    good={
        "include/x.h": "#ifndef X\n#define X\n#include <stddef.h>\nsize_t f(void);\n#endif\n",
        "include/x.hpp": "#ifndef X\n#define X\nnamespace x {\nclass y {};\n}\n#endif\n",
    },
)
