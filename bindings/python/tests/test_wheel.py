"""The wheel that carries the library: made without a network, installed into a fresh environment, used there by the README's example."""

import os
import pathlib
import subprocess
import tempfile
import unittest

import tipcurrent
from kit import ROOT
from test_docs import blocks

PYTHON = "/usr/bin/python3"  # Debian's: it has the packages that make wheels


class Wheel(unittest.TestCase):
    def run_clean(self, *command, **more):
        """Where neither this package nor its library could be found by accident."""
        env = {name: value for name, value in os.environ.items() if name not in ("TIPCURRENT_LIBRARY", "PYTHONPATH", "LD_LIBRARY_PATH")}
        done = subprocess.run([str(each) for each in command], env=env, capture_output=True, text=True, **more)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_made_installed_used(self):
        with tempfile.TemporaryDirectory(prefix="tipcurrent-") as name:
            directory = pathlib.Path(name)
            self.run_clean(ROOT / "scripts/wheel", "--library", os.path.realpath(tipcurrent.library_path), "--out", directory)
            wheels = list(directory.glob("*.whl"))
            self.assertEqual(len(wheels), 1)
            self.assertRegex(wheels[0].name, rf"^tipcurrent-{tipcurrent.__version__}-py3-none-linux_\w+\.whl$")
            self.run_clean(PYTHON, "-m", "venv", directory / "venv")
            python = directory / "venv/bin/python"
            self.run_clean(python, "-m", "pip", "install", "--no-index", "--disable-pip-version-check", wheels[0])
            where = self.run_clean(python, "-c", "import tipcurrent; print(tipcurrent.library_path)", cwd=directory).strip()
            self.assertTrue(where.startswith(str(directory / "venv")), where)
            for readme in (ROOT / "README.md", ROOT / "bindings/python/README.md"):
                for code, output in blocks(readme):
                    said = self.run_clean(python, "-c", code, cwd=directory)
                    if output is not None:
                        self.assertEqual(said, output)
                    for file in directory.glob("*.db*"):
                        file.unlink()
