"""Who may include whom: the layers of docs/architecture.md, and the one door for each outside library."""
import os
import re

import lint

# A file belongs to the first prefix that fits; it may include its own layer and those named here.
LAYERS = (
    ("include/", ()),
    ("lib/base/", ("include/tipcurrent/common.h", "include/tipcurrent/error.h")),
    ("lib/model/", ("lib/base/", "include/")),
    ("lib/storage/", ("lib/model/", "lib/base/", "include/")),
    ("lib/webhook/", ("lib/storage/", "lib/model/", "lib/base/", "include/")),
    ("lib/engine/", ("lib/webhook/", "lib/storage/", "lib/model/", "lib/base/", "include/")),
    ("lib/move/", ("lib/engine/", "lib/webhook/", "lib/storage/", "lib/model/", "lib/base/", "include/")),
    ("lib/api/", ("lib/move/", "lib/engine/", "lib/webhook/", "lib/storage/", "lib/model/", "lib/base/", "include/")),
    ("server/", ("lib/base/", "include/")),
    ("examples/", ("include/",)),
    ("bindings/", ("include/",)),
)
DOORS = (
    (r"sqlite3(ext)?\.h", "lib/storage/sqlite/"),
    (r"libpq-fe\.h", "lib/storage/postgres/"),
    (r"curl/.*", "lib/webhook/"),
    (r"civetweb\.h", "server/civet/"),
)
# Which directories "x.h" is looked for in, after the includer's own: the -I of the build.
SEARCH = ("lib", "include", "")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)


def resolve(root, path, name):
    for where in (os.path.dirname(path), *SEARCH):
        target = os.path.normpath(os.path.join(where, name))
        if os.path.isfile(os.path.join(root, target)):
            return target
    return None


def judge(root, path, layer, allowed, quote, name):
    for pattern, door in DOORS:
        if re.fullmatch(pattern, name) and not path.startswith(door):
            return f"<{name}> is included only under {door}"
    target = resolve(root, path, name)
    if target is None:
        return f'"{name}" is not in the project' if quote == '"' else None
    if target.startswith((layer, *allowed)):
        return None
    return f"{layer} may not include {target}"


def check(root):
    findings = []
    for path in lint.files(root, ("include", "lib", "server", "examples", "bindings"), lint.C_FILES):
        place = next(((prefix, allowed) for prefix, allowed in LAYERS if path.startswith(prefix)), None)
        if place is None:
            findings.append(f"{path}:1: stands in no layer")
            continue
        text = lint.read(root, path)
        for match in INCLUDE.finditer(text):
            reason = judge(root, path, *place, match.group(1), match.group(2))
            if reason:
                findings.append(f"{path}:{lint.line_of(text, match.start())}: {reason}")
    return findings


COMMON = {"include/tipcurrent/common.h": "", "include/tipcurrent/tip.h": '#include "common.h"\n', "lib/base/buf.h": "", "lib/model/money.h": '#include "base/buf.h"\n'}
lint.run(
    check,
    bad={
        "base includes model": {**COMMON, "lib/base/x.c": '#include "model/money.h"\n'},
        "base includes a public header about tips": {**COMMON, "lib/base/x.c": '#include "tipcurrent/tip.h"\n'},
        "server includes model by a relative path": {**COMMON, "server/x.c": '#include "../lib/model/money.h"\n'},
        "sqlite outside its door": {**COMMON, "lib/engine/x.c": "#include <sqlite3.h>\n"},
        "curl in the server": {**COMMON, "server/x.c": " # include <curl/curl.h>\n"},
        "example reaches inside": {**COMMON, "examples/x.c": "#include <base/buf.h>\n"},
        "public header reaches inside": {**COMMON, "include/tipcurrent/x.h": '#include "../../lib/base/buf.h"\n'},
        "C++ header reaches inside": {**COMMON, "include/tipcurrent.hpp": '#include "base/buf.h"\n'},
        "no such header": {"lib/base/x.c": '#include "nowhere.h"\n'},
        "no layer": {"lib/x.c": ""},
    },
    good={
        **COMMON,
        "lib/storage/sqlite/x.c": '#include <sqlite3.h>\n#include "model/money.h"\n',
        "server/x.c": '#include <stdio.h>\n#include "base/buf.h"\n#include "tipcurrent/tip.h"\n',
        "examples/x.c": "#include <tipcurrent/tip.h>\n",
    },
)
