"""Which library is taken, and which is refused."""

import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import tipcurrent
from kit import ROOT
from tipcurrent import _library, _structs

PACKAGE = pathlib.Path(tipcurrent.__file__).parent
BUILT = pathlib.Path(tipcurrent.library_path)
STRANGER = "#include <stddef.h>\n#include <stdint.h>\n"


class Layout(unittest.TestCase):
    def setUp(self):
        self.table = _library.members_of(ctypes.CDLL(tipcurrent.library_path))

    def test_every_member_of_every_struct_we_use_is_compared(self):
        for struct in _structs.ALL:
            members = [member for name, member in self.table if name == struct.c_name and member]
            self.assertEqual([field[0] for field in struct._fields_], members, struct.c_name)
            self.assertEqual(ctypes.sizeof(struct), self.table[struct.c_name, ""][1], struct.c_name)

    def test_one_that_has_moved_is_refused(self):
        self.table["tc_tip_new", "amount"] = (40, 8)
        with self.assertRaises(ImportError) as caught:
            _library.check_layout("libx.so", self.table, _structs.ALL)
        self.assertEqual(str(caught.exception), "libx.so: tc_tip_new.amount is 8 bytes at 40, this package expects 8 bytes at 32: package and library do not fit")

    def test_one_of_another_size_and_one_that_is_gone(self):
        for place in ((32, 4), None):
            with self.subTest(place=place):
                table = {**self.table, ("tc_tip_new", "amount"): place}
                if place is None:
                    del table["tc_tip_new", "amount"]
                self.assertRaises(tipcurrent.LibraryError, _library.check_layout, "libx.so", table, _structs.ALL)

    def test_a_struct_that_has_grown_is_fine(self):
        self.table["tc_tip_new", "color"] = (72, 8)
        self.table["tc_tip_new", ""] = (0, 80)
        _library.check_layout("libx.so", self.table, _structs.ALL)

    def test_what_is_not_declared_here_is_named(self):
        """A function of the public API that this package neither calls nor leaves out on purpose."""
        declared = set(_library.WAITING) | set(_library.AT_ONCE) | {"tc_abi_version", "tc_abi_layout"}
        left_out = {
            "tc_allocator_set",  # for whose own memory is not malloc's
            "tc_amount_format",  # Decimal prints itself
            "tc_event_str", "tc_event_id", "tc_event_ref", "tc_webhook_id",  # read from the JSON
            # Their completions would run Python on the writer's thread: batches do the same without.
            "tc_tip_submit", "tc_reaction_submit", "tc_activity_submit", "tc_json_submit", "tc_activity_json_submit", "tc_tip_refund_submit", "tc_tip_refund_json_submit",
            "tc_goal_json_create",  # for who has JSON
            "tc_backup", "tc_verify", "tc_export", "tc_migrate", "tc_import",  # what is done to a log once: tipcurrentd's words
        }
        public = set((ROOT / "lib/tipcurrent.symbols").read_text().split())
        self.assertEqual(public - declared, left_out)
        self.assertEqual(declared - public, set())


class Finding(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="tipcurrent-")
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        shutil.copytree(PACKAGE, self.directory / "tipcurrent", ignore=shutil.ignore_patterns("_lib", "__pycache__"))

    def stranger(self, source):
        library = self.directory / "libstranger.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, "-x", "c", "-"], input=STRANGER + source, text=True, check=True)
        return library

    def run_import(self, **env):
        """(exit code, what it said) of a program that imports the copy."""
        clean = {name: value for name, value in os.environ.items() if name not in ("TIPCURRENT_LIBRARY", "LD_LIBRARY_PATH")}
        done = subprocess.run(
            [sys.executable, "-c", "import tipcurrent; print(tipcurrent.library_path, tipcurrent.library_version)"],
            env={**clean, "PYTHONPATH": str(self.directory), **{name: str(value) for name, value in env.items()}}, capture_output=True, text=True, cwd=self.directory,
        )
        return done.returncode, (done.stdout + done.stderr).strip().splitlines()[-1]

    def bundle(self, library):
        (self.directory / "tipcurrent/_lib").mkdir()
        shutil.copy(library, self.directory / "tipcurrent/_lib/libtipcurrent.so")

    def test_the_wheels_own_comes_first(self):
        self.bundle(BUILT)
        bundled = self.directory / "tipcurrent/_lib/libtipcurrent.so"
        self.assertEqual(self.run_import(TIPCURRENT_LIBRARY="/nowhere.so"), (0, f"{bundled} {tipcurrent.library_version}"))

    def test_then_the_one_that_is_named(self):
        self.assertEqual(self.run_import(TIPCURRENT_LIBRARY=BUILT), (0, f"{BUILT} {tipcurrent.library_version}"))
        code, said = self.run_import(TIPCURRENT_LIBRARY="/nowhere.so")
        self.assertEqual(code, 1)
        self.assertIn("/nowhere.so", said)

    def test_then_the_systems(self):
        """Under the name that the build gives it."""
        self.assertEqual(self.run_import(LD_LIBRARY_PATH=BUILT.parent), (0, f"{_library.SONAMES[0]} {tipcurrent.library_version}"))

    def test_none_at_all(self):
        code, said = self.run_import()
        self.assertEqual(code, 1)
        self.assertRegex(said, r"LibraryError: libtipcurrent cannot be loaded: .*TIPCURRENT_LIBRARY")

    def test_something_else(self):
        code, said = self.run_import(TIPCURRENT_LIBRARY=self.stranger("int x(void) { return 1; }\n"))
        self.assertEqual(code, 1)
        self.assertIn("it is not libtipcurrent", said)

    def test_another_abi(self):
        code, said = self.run_import(TIPCURRENT_LIBRARY=self.stranger("uint32_t tc_abi_version(void) { return 77; }\n"))
        self.assertEqual(code, 1)
        self.assertRegex(said, r"LibraryError: .*libstranger.so has ABI 77, this package knows ABI 1")

    def test_another_layout(self):
        code, said = self.run_import(
            TIPCURRENT_LIBRARY=self.stranger(
                "struct row { const char *type, *name; uint32_t offset, size; };\nstatic const struct row rows[] = {{\"tc_text\", \"ptr\", 4, 8}};\n"
                "uint32_t tc_abi_version(void) { return 1; }\nconst struct row *tc_abi_layout(size_t *n) { *n = 1; return rows; }\n"
            )
        )
        self.assertEqual(code, 1)
        self.assertRegex(said, r"tc_text.ptr is 8 bytes at 4, this package expects 8 bytes at 0")

    def test_the_version_is_the_projects(self):
        version = re.search(r"version: '([\d.]+)'", (ROOT / "meson.build").read_text()).group(1)
        self.assertEqual((tipcurrent.__version__, tipcurrent.library_version), (version, version))
