"""lib/api/layout.c says where every member of every public struct lies, and of no other: compares it with the headers. `layout.py --write` makes it anew from them."""
import os
import re
import sys

import lint

TABLE = "lib/api/layout.c"
STRUCT = re.compile(r"^typedef struct (tc_\w+) \{(.*?)^\} \1;", re.M | re.S)
ROW = re.compile(r"^  (WHOLE|MEMBER)\((\w+)(?:, (\w+))?\),$", re.M)
# What describes itself: a caller must know it to read anything.
LEFT_OUT = ("tc_abi_member",)


def members(body):
    for declaration in body.split(";"):
        pointer = re.search(r"\(\*(\w+)\)\s*\(", declaration)
        if pointer:
            yield pointer.group(1)
        elif declaration.strip():
            yield from (re.search(r"(\w+)\s*(?:\[\w+\])?\s*$", part).group(1) for part in declaration.split(","))


def declared(root):
    """(struct, member) and (struct, "") in the headers' order."""
    rows = []
    for path in lint.files(root, ("include",), (".h",)):
        if "/sys/" in path:
            continue
        for name, body in STRUCT.findall(lint.bare(lint.read(root, path))):
            if name not in LEFT_OUT:
                rows += [(name, ""), *((name, member) for member in members(body))]
    return rows


def check(root):
    wanted = declared(root)
    found = [(name, member) for _, name, member in ROW.findall(lint.read(root, TABLE))]
    findings = [f"{TABLE}: {name}.{member} is missing; tests/lint/layout.py --write adds it" for name, member in wanted if (name, member) not in found]
    findings += [f"{TABLE}: {name}.{member} is in no header" for name, member in found if (name, member) not in wanted]
    return findings or ([f"{TABLE}: not in the headers' order; tests/lint/layout.py --write orders it"] if wanted != found else [])


def write(root):
    text = lint.read(root, TABLE)
    rows = "".join(f"  MEMBER({name}, {member}),\n" if member else f"  WHOLE({name}),\n" for name, member in declared(root))
    first, last = text.index("  WHOLE("), text.index("};\n/* clang-format on")
    lint.plant(root, {TABLE: text[:first] + rows + text[last:]})


if "--write" in sys.argv:
    write(os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..")))
    sys.exit(0)
HEADER = {"include/x.h": "typedef struct tc_x {\n  size_t size; /* a, b; */\n  const char *a, *b;\n  char c[N];\n  int (*f)(void *, int);\n} tc_x;\n"}
GOOD = "  WHOLE(tc_x),\n" + "".join(f"  MEMBER(tc_x, {name}),\n" for name in ("size", "a", "b", "c", "f"))
lint.run(
    check,
    bad={
        "a member is missing": {**HEADER, TABLE: GOOD.replace("  MEMBER(tc_x, b),\n", "")},
        "a function is missing": {**HEADER, TABLE: GOOD.replace("  MEMBER(tc_x, f),\n", "")},
        "no such member": {**HEADER, TABLE: GOOD + "  MEMBER(tc_x, d),\n"},
        "another order": {**HEADER, TABLE: GOOD.replace("  WHOLE(tc_x),\n", "") + "  WHOLE(tc_x),\n"},
    },
    good={**HEADER, TABLE: GOOD},
)
