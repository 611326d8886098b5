"""What leaves libtipcurrent: the shared library exports exactly lib/tipcurrent.symbols, which is exactly what the headers mark TC_API, each with the version of the ABI;
the static one keeps to its prefixes.

Arguments: nm, the C compiler, the shared library, the static library, the version. `symbols.py --write` makes the list anew from the headers.
"""
import os
import re
import subprocess
import sys
import tempfile

import lint

DECLARED = re.compile(r"^[ \t]*TC_API\b[^;(]*?\b(\w+)\s*\(", re.M)
LIST = "lib/tipcurrent.symbols"


def declared(root):
    return {name for path in lint.files(root, ("include",), (".h",)) for name in DECLARED.findall(lint.bare(lint.read(root, path)))}


def defined(nm, flags, library):
    said = subprocess.run([nm, *flags, "--defined-only", library], capture_output=True, text=True, check=True).stdout
    rows = [row.split() for row in said.splitlines()]
    return {row[-1] for row in rows if len(row) == 3 and row[1] != "A"}  # A: the versions themselves


def bare_names(exported, version):
    """Names without their version, and a finding for each that has another one or none."""
    return {name.split("@")[0] for name in exported}, [f"{name}: not @@{version}" for name in sorted(exported) if name.partition("@@")[2] != version]


def compare(listed, marked, exported, static):
    findings = [f"{name}: in the headers, not in {LIST}" for name in sorted(marked - listed)]
    findings += [f"{name}: in {LIST}, not in the headers" for name in sorted(listed - marked)]
    findings += [f"{name}: in {LIST}, not exported" for name in sorted(listed - exported)]
    findings += [f"{name}: exported, not in {LIST}" for name in sorted(exported - listed)]
    findings += [f"{name}: global in the static library without tc_ or tci_" for name in sorted(static) if not name.startswith(("tc_", "tci_"))]
    return findings


def self_test(nm, compiler):
    """nm and the comparison see a real library's stray symbol."""
    source = "int tc_good(void) { return 1; }\nint stray(void) { return 2; }\n__attribute__((visibility(\"hidden\"))) int tci_in(void) { return 3; }\n"
    with tempfile.TemporaryDirectory() as where:
        library, part = os.path.join(where, "x.so"), os.path.join(where, "x.o")
        for command in ([compiler, "-shared", "-fPIC", "-o", library], [compiler, "-c", "-o", part]):
            subprocess.run([*command, "-x", "c", "-"], input=source, text=True, check=True)
        exported, static = defined(nm, ["-D"], library), defined(nm, ["-g"], part)
    good = {"tc_good"}
    if bare_names({"tc_a@@V_1", "tc_b@@V_2", "tc_c"}, "V_1") != ({"tc_a", "tc_b", "tc_c"}, ["tc_b@@V_2: not @@V_1", "tc_c: not @@V_1"]):
        sys.exit("self-test: a wrong version was not found")
    if compare(good, good, exported, static) != [f"stray: exported, not in {LIST}", "stray: global in the static library without tc_ or tci_"]:
        sys.exit("self-test: the stray symbol was not found")
    if not compare(good, good | {"tc_new"}, good, good) or not compare(good | {"tc_old"}, good, good, good) or not compare(good, good, set(), good):
        sys.exit("self-test: a difference was not found")


root = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
if "--write" in sys.argv:
    lint.plant(root, {LIST: "".join(name + "\n" for name in sorted(declared(root)))})
    sys.exit(0)
nm, compiler, shared, archive, version = sys.argv[1:]
self_test(nm, compiler)
exported, findings = bare_names(defined(nm, ["-D"], shared), version)
findings += compare(set(lint.read(root, LIST).split()), declared(root), exported, defined(nm, ["-g"], archive))
print("\n".join(findings))
sys.exit(1 if findings else 0)
