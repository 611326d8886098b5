"""The annotations hold, under mypy --strict, for the package and for a program that uses it."""

import os
import pathlib
import subprocess
import tempfile
import unittest

import tipcurrent

PACKAGE = pathlib.Path(tipcurrent.__file__).parent
PROGRAM = """
from decimal import Decimal
from typing import List, Optional
import tipcurrent

def run(engine: tipcurrent.Engine) -> Decimal:
    tip = engine.tips.create("r", "a", "b", "1.00")
    message: Optional[str] = tip.message
    names: List[str] = [each.sender for each in engine.tips.find(room="r")]
    answer = engine.tips.submit_many([tipcurrent.NewTip("r", "a", "b", 1)]).result()[0]
    if isinstance(answer, tipcurrent.Error):
        raise answer
    return answer.amount

async def wait(engine: tipcurrent.Engine) -> int:
    async for event in engine.subscribe():
        return event.seq
    reaction = await engine.reactions.submit("r", "u", "x")
    return reaction.id
"""


class Types(unittest.TestCase):
    def mypy(self, *paths):
        with tempfile.TemporaryDirectory() as cache:
            command = ["/usr/bin/python3", "-m", "mypy", "--strict", "--cache-dir", cache, *map(str, paths)]
            return subprocess.run(command, env={**os.environ, "MYPYPATH": str(PACKAGE.parent)}, capture_output=True, text=True)

    def test_the_package(self):
        done = self.mypy(PACKAGE)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertTrue((PACKAGE / "py.typed").exists())

    def test_a_program(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "program.py"
            path.write_text(PROGRAM)
            done = self.mypy(path)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            path.write_text(PROGRAM + "\n\ndef wrong(engine: tipcurrent.Engine) -> str:\n    return engine.tips.create('r', 'a', 'b', 1.5).amount\n")
            done = self.mypy(path)
            self.assertEqual(done.stdout.count("error:"), 2, done.stdout)  # a float, and a Decimal that is no str
