"""What the documents point at exists: relative links and their anchors, scripts in shell blocks, documents named in sources."""
import os
import re

import lint

LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
SCRIPT = re.compile(r"(?<![\w/.-])\./([\w.-]+/[\w./-]+)")
NAMED = re.compile(r"(?<![\w/-])docs/[\w/.-]+\.md")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)


def anchors(text):
    heads = re.findall(r"^#+ +(.*?) *$", FENCE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken_link(root, path, target):
    """None, or why the link leads nowhere."""
    file, _, anchor = target.partition("#")
    goal = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
    if not os.path.exists(os.path.join(root, goal)):
        return f"no such file: {target}"
    if anchor and goal.endswith(".md") and anchor not in anchors(lint.read(root, goal)):
        return f"no such heading: {target}"
    return None


def check_document(root, path):
    text = lint.read(root, path)
    findings = []
    for match in LINK.finditer(FENCE.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)):
        target = match.group(1)
        reason = None if re.match(r"[a-z]+:", target) else broken_link(root, path, target)
        if reason:
            findings.append(f"{path}:{lint.line_of(text, match.start())}: {reason}")
    for block in FENCE.finditer(text):
        if block.group(1) not in ("sh", "bash", "shell", "console"):
            continue
        for match in SCRIPT.finditer(block.group(2)):
            script = match.group(1)
            if not script.startswith("build") and not os.access(os.path.join(root, script), os.X_OK):
                findings.append(f"{path}:{lint.line_of(text, block.start(2) + match.start())}: ./{script} is not an executable of the project")
    return findings


def check(root):
    documents = [n for n in os.listdir(root) if n.endswith(".md")] + lint.files(root, ("docs",), (".md",))
    findings = [finding for path in sorted(documents) for finding in check_document(root, path)]
    for path in lint.files(root, ("include", "lib", "server", "examples", "bindings"), (*lint.C_FILES, ".py")):
        text = lint.read(root, path)
        for match in NAMED.finditer(text):
            if not os.path.isfile(os.path.join(root, match.group(0))):
                findings.append(f"{path}:{lint.line_of(text, match.start())}: no such document: {match.group(0)}")
    return findings


lint.run(
    check,
    bad={
        "dead link": {"README.md": "see [that](docs/none.md)\n"},
        "dead anchor": {"README.md": "# One\nsee [that](#two)\n"},
        "dead link below docs": {"docs/a.md": "see [that](docs/a.md)\n"},
        "no such script": {"README.md": "```sh\n./scripts/none\n```\n"},
        "dead name in a header": {"include/x.h": "/* docs/none.md */\n"},
    },
    good={
        "README.md": "# Two words\n[a](docs/a.md) [b](docs/a.md#head-1) [c](#two-words) [d](https://example.org/x.md)\n```sh\n./build/x\n```\n```c\nx[i](y);\n```\n",
        "docs/a.md": "# Head 1\n[up](../README.md)\n",
        "lib/x.c": "/* docs/a.md */\n",
    },
)
