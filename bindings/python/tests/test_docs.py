"""Everything that the documents show in Python runs, and says what they say: docstrings, docs/python.md, README.md."""

import contextlib
import doctest
import importlib
import io
import os
import pkgutil
import re
import tempfile
import unittest

import tipcurrent
from kit import ROOT

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```\n", re.M | re.S)


def blocks(path):
    """(code, output or None) of each Python block; a text block right behind it is what it prints."""
    text = path.read_text()
    found = list(BLOCK.finditer(text))
    for i, block in enumerate(found):
        if block.group(1) == "python":
            behind = found[i + 1] if i + 1 < len(found) else None
            says = behind and behind.group(1) == "text" and not text[block.end() : behind.start()].strip()
            yield block.group(2), behind.group(2) if says else None


class Docs(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="tipcurrent-")
        self.addCleanup(directory.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory.name)

    def run_blocks(self, path, least):
        """One after the other in one namespace, as a reader would."""
        namespace, n = {"__name__": "__main__"}, 0
        for n, (code, output) in enumerate(blocks(path), 1):
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                exec(compile(code, f"{path.name}, block {n}", "exec"), namespace)
            if output is not None:
                self.assertEqual(said.getvalue(), output, code)
        self.assertGreaterEqual(n, least)

    def test_the_guide(self):
        self.run_blocks(ROOT / "docs/python.md", 10)

    def test_the_readme(self):
        self.run_blocks(ROOT / "README.md", 1)

    def test_docstrings(self):
        examples = 0
        for module in ["tipcurrent"] + [f"tipcurrent.{each.name}" for each in pkgutil.iter_modules(tipcurrent.__path__)]:
            with self.subTest(module=module), tipcurrent.Engine("memory:") as engine:
                said = io.StringIO()
                with contextlib.redirect_stdout(said):
                    failed, tried = doctest.testmod(
                        importlib.import_module(module), extraglobs={"engine": engine, "tipcurrent": tipcurrent}, optionflags=doctest.ELLIPSIS
                    )
                self.assertEqual(failed, 0, said.getvalue())
                examples += tried
        self.assertGreater(examples, 30)

    def test_everything_public_has_a_docstring(self):
        for name in tipcurrent.__all__:
            thing = getattr(tipcurrent, name)
            if not isinstance(thing, type):
                continue
            self.assertTrue((thing.__doc__ or "").strip(), name)
            for member, value in vars(thing).items():
                if not member.startswith("_") and callable(value):
                    self.assertTrue((value.__doc__ or "").strip(), f"{name}.{member}")

    def test_every_test_file_is_run(self):
        listed = (ROOT / "bindings/python/meson.build").read_text()
        for path in (ROOT / "bindings/python/tests").glob("test_*.py"):
            self.assertIn(f"'{path.stem[5:]}'", listed)
