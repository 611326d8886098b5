"""Each public header compiles alone, and twice, as C99, C11 and C++11, linked or static. Arguments: the C and the C++ compiler."""
import subprocess
import sys

import lint

FLAGS = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]
LANGUAGES = (("c99", "c", 0), ("c11", "c", 0), ("c++11", "c++", 1))


def complaint(root, header, standard, language, compiler, define):
    source = f'#include "{header}"\n#include "{header}"\nint main(void);\n'
    command = [sys.argv[1 + compiler], f"-std={standard}", "-x", language, *FLAGS, *define, f"-I{root}/include", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else None


def check(root):
    findings = []
    for path in lint.files(root, ("include",), (".h",)):
        header = path.removeprefix("include/")
        for standard, language, compiler in LANGUAGES:
            for define in ([], ["-DTC_STATIC"]):
                said = complaint(root, header, standard, language, compiler, define)
                if said:
                    findings.append(f"{path} as {standard} {' '.join(define)}:\n{said}")
    return findings


lint.run(
    check,
    bad={
        "needs another header": {"include/x.h": "#ifndef X\n#define X\nsize_t f(void);\n#endif\n"},
        "no guard": {"include/x.h": "struct x {\n  int a;\n};\n"},
        "not C99": {"include/x.h": "#ifndef X\n#define X\nstruct x {\n  union {\n    int a;\n    long b;\n  };\n};\n#endif\n"},
        "not C++": {"include/x.h": "#ifndef X\n#define X\nint f(int class);\n#endif\n"},
        "not static": {"include/x.h": "#ifndef X\n#define X\n#ifdef TC_STATIC\n#error no\n#endif\n#endif\n"},
    },
    good={"include/x.h": "#ifndef X\n#define X\n#include <stddef.h>\nsize_t f(void);\n#endif\n"},
)
