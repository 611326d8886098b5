"""tipcurrent.hpp leaves nothing out: each function of lib/tipcurrent.symbols is called or named somewhere below include/tipcurrent/cpp."""
import re

import lint

LIST = "lib/tipcurrent.symbols"


def check(root):
    text = "".join(lint.bare(lint.read(root, path)) for path in lint.files(root, ("include",), (".hpp",)))
    words = set(re.findall(r"\w+", text))
    return [f"{name}: no header for C++ uses it" for name in lint.read(root, LIST).split() if name not in words]


lint.run(
    check,
    bad={
        "left out": {LIST: "tc_a\ntc_b\n", "include/tipcurrent/cpp/x.hpp": "inline int a() { return tc_a(); }\n"},
        "only in a comment": {LIST: "tc_a\n", "include/x.hpp": "/* tc_a */\n"},
    },
    good={LIST: "tc_a\n", "include/x.hpp": "inline int a() { return tc_a(); }\n"},
)
