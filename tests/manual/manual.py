"""The manual that Doxygen made: `man` finds a page for each function, which says something, and groff has nothing to complain about. Arguments: where it was made, the source root.

First: an undocumented function, and one with broken text, must fail the making.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

docs, source = sys.argv[1:]
GOOD = "/* tipcurrent.h - x. */\n\n/* Does nothing. Any thread. */\nTC_API int tc_good(void);\n"
BAD = {"no comment": "TC_API int tc_bare(void);\n", "no comment on a member": "/* A struct. */\ntypedef struct tc_s {\n  size_t size;\n  int a;\n} tc_s;\n", "on a constant": "/* Codes. */\nenum { TC_A = 1 };\n"}


def made(header):
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(f"{root}/include/tipcurrent")
        shutil.copytree(f"{source}/docs/doxygen", f"{root}/docs/doxygen")
        with open(f"{root}/include/tipcurrent.h", "w", encoding="utf-8") as f:
            f.write(header)
        command = [sys.executable, f"{root}/docs/doxygen/manual.py", root, f"{root}/out", "1", "1"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode == 0 and os.path.exists(f"{root}/out/man3/tc_good.3")


if not made(GOOD):
    sys.exit("self-test: the good header has no manual")
for name, text in BAD.items():
    if made(GOOD + "\n" + text):
        sys.exit(f"self-test: made a manual of a header with {name}")

with open(f"{source}/lib/tipcurrent.symbols", encoding="utf-8") as f:
    symbols = f.read().split()
findings = []
for name in symbols + ["tc_options", "tc_tip_new", "TC_EINVAL", "tipcurrent.h", "tipcurrent_subscription"]:
    done = subprocess.run(["man", "--warnings", "-M", docs, "3", name], capture_output=True, text=True, env={**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8"})
    said = [line for line in done.stderr.splitlines() if "can't break line" not in line]
    words = done.stdout.split()
    if done.returncode or said:
        findings.append(f"man {name}: {done.returncode} {' '.join(said)}")
    elif name in symbols and (name + ";" in words or len(done.stdout.partition("DESCRIPTION")[2].partition("SEE ALSO")[0].split()) < 3):
        findings.append(f"man {name}: says nothing")
    elif name in symbols:
        # Its own words, or another function's that it points to.
        text = " ".join(done.stdout.partition("DESCRIPTION")[2].split())
        for what, pattern in (("who may call it", r"[Tt]hread|[Aa]s tc_|callback"), ("whether it blocks", r"[Bb]lock|[Aa]s tc_|returns? at once")):
            if not re.search(pattern, text):
                findings.append(f"man {name}: does not say {what}")
strays = [name for name in os.listdir(f"{docs}/man3") if not name.startswith(("tc_", "TC_", "tipcurrent"))]
findings += [f"man3/{name}: is not ours to take" for name in strays]
if not os.path.exists(f"{docs}/html/index.html"):
    findings.append("no html/index.html")
print("\n".join(findings))
sys.exit(1 if findings else 0)
