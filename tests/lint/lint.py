"""What the lints share: the project's files, C text without comments and strings, and the frame that proves each lint able to fail before it is believed."""
import os
import re
import sys
import tempfile

C_FILES = (".c", ".h", ".cpp", ".hpp")
C_DIRS = ("include", "lib", "server", "examples", "tests", "bindings")


def files(root, dirs, endings):
    """Paths relative to root, sorted. Walks the tree instead of asking git, so that a new file is checked before it is added."""
    found = []
    for top in dirs:
        for where, below, names in os.walk(os.path.join(root, top)):
            below[:] = [d for d in below if not d.startswith((".", "build", "__pycache__"))]
            found += [os.path.relpath(os.path.join(where, n), root) for n in names if n.endswith(endings)]
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


_TOKENS = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)


def _blank(match):
    text = match.group(0)
    if text[0] in "\"'":
        return text[0] * 2 + " " * (len(text) - 2)
    return re.sub(r"[^\n]", " ", text)


def bare(text):
    """C text with comments and the insides of literals blanked; lines stay where they are."""
    return _TOKENS.sub(_blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def plant(root, tree):
    """Writes {path: text} below root, for the samples."""
    for path, text in tree.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as f:
            f.write(text)


def run(check, bad, good):
    """check(root) gives findings, one line each. Each of `bad` ({name: tree}) must give some, `good` (a tree) none; then the project itself is checked."""
    for name, tree in bad.items():
        with tempfile.TemporaryDirectory() as root:
            plant(root, tree)
            if not check(root):
                sys.exit(f"self-test: nothing found in the bad sample: {name}")
    with tempfile.TemporaryDirectory() as root:
        plant(root, good)
        findings = check(root)
        if findings:
            sys.exit("self-test: found in the good sample: " + "; ".join(findings))
    project = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
    findings = check(project)
    for finding in findings:
        print(finding)
    sys.exit(1 if findings else 0)
