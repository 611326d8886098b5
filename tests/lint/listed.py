"""Every C source is named in a meson.build at or above its directory, so none lies there unbuilt: a test that nobody runs, a file that nobody misses."""
import os
import re

import lint


def check(root):
    findings = []
    for path in lint.files(root, ("lib", "server", "examples", "tests"), (".c", ".cpp")):
        where, name = os.path.split(path)
        stem, ending = os.path.splitext(name)
        # In tests/fuzz a table of targets names fuzz_x.c as 'x'.
        short = stem.removeprefix(os.path.basename(where) + "_")
        while where:
            build = os.path.join(root, where, "meson.build")
            # A table of tests names them without the ending.
            if os.path.isfile(build) and re.search(rf"(?<=['/])({re.escape(stem)}({re.escape(ending)})?|{re.escape(short)})'", lint.read(root, os.path.join(where, "meson.build"))):
                break
            where = os.path.dirname(where)
        else:
            findings.append(f"{path}: is in no meson.build")
    return findings


lint.run(
    check,
    bad={
        "unlisted test": {"tests/unit/test_a.c": "", "tests/unit/meson.build": "t = ['test_ab', 'a']\n"},
        "unlisted C++": {"examples/a.cpp": "", "examples/meson.build": "e = ['b.cpp']\n"},
        "no meson.build": {"lib/a.c": ""},
    },
    good={
        "examples/a.cpp": "",
        "examples/meson.build": "e = ['a.cpp']\n",
        "lib/base/a.c": "",
        "lib/base/meson.build": "s = files('a.c')\n",
        "lib/base/deep/b.c": "",
        "lib/meson.build": "s += files('base/deep/b.c')\n",
        "tests/fuzz/fuzz_a.c": "",
        "tests/fuzz/meson.build": "t = {'a': {}}\n",
        "tests/unit/test_a.c": "",
        "tests/unit/meson.build": "t = {'test_a': {}}\n",
    },
)
