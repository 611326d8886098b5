"""The ABI of the headers against the one that is recorded for this soname (tests/abi/tipcurrent_N.txt): functions and callbacks by type, constants by value, structs member by member.

`abi.py CC ABI` fails on every difference, and says whether it is one that programs built before would notice. `abi.py CC ABI --record` writes compatible ones down; docs/abi.md has the
rules. CC compiles what asks for offsets; clang reads the headers. LP64 only.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
MACRO = re.compile(r"^#define (TC_\w+) +(\S.*)$", re.M)
MAIN = ["tipcurrent.h"]
SYS = ["tipcurrent.h", "tipcurrent/sys/storage.h"]


def declarations(headers, include):
    """(functions and callbacks {name: type}, structs {name: [(type, member)]}, names of enum constants) of what begins with tc_ or TC_."""
    source = "".join(f"#include <{header}>\n" for header in headers)
    command = ["clang", "-x", "c", "-std=c11", "-fsyntax-only", "-Xclang", "-ast-dump=json", f"-I{include}", "-"]
    tree = json.loads(subprocess.run(command, input=source, stdout=subprocess.PIPE, text=True, check=True).stdout)
    types, structs, constants = {}, {}, []
    for node in tree["inner"]:
        name, kind = node.get("name", ""), node["kind"]
        if kind == "EnumDecl":
            constants += [item["name"] for item in node.get("inner", []) if item["kind"] == "EnumConstantDecl" and item["name"].startswith("TC_")]
        if not name.startswith("tc_"):
            continue
        if kind == "FunctionDecl" or (kind == "TypedefDecl" and name.endswith("_fn")):
            types[("function " if kind == "FunctionDecl" else "callback ") + name] = node["type"]["qualType"]
        if kind == "RecordDecl" and node.get("completeDefinition"):
            structs[name] = [(field["type"]["qualType"], field["name"]) for field in node["inner"] if field["kind"] == "FieldDecl"]
    return types, structs, constants


def numbers(text):
    """Names of macros that stand for a number."""
    return [name for name, value in MACRO.findall(text) if re.fullmatch(r"\(?-?[0-9].*", value) and not name.startswith("TC_VERSION")]


def measured(compiler, headers, include, structs, constants):
    """What only a compiler knows: {struct: [size, offset of each member]}, {constant: value}."""
    lines = ["#include <stddef.h>", "#include <stdio.h>", *(f"#include <{header}>" for header in headers), "int main(void) {"]
    for name, members in structs.items():
        lines.append(f'  printf("{name} %zu", sizeof({name}));')
        lines += [f'  printf(" %zu", offsetof({name}, {member}));' for _, member in members]
        lines.append('  puts("");')
    lines += [f'  printf("{name} %lld\\n", (long long)({name}));' for name in constants]
    lines += ["  return 0;", "}", ""]
    with tempfile.TemporaryDirectory() as where:
        program = os.path.join(where, "look")
        subprocess.run([compiler, "-x", "c", "-std=c11", f"-I{include}", "-", "-o", program], input="\n".join(lines), text=True, check=True)
        said = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout
    rows = [row.split() for row in said.splitlines()]
    return {row[0]: [int(word) for word in row[1:]] for row in rows}


def look(compiler, headers, include):
    """The facts of headers: {"function tc_x": [type], "constant TC_X": [value], "struct tc_x": ["size N", "offset type member", ...]}."""
    types, structs, constants = declarations(headers, include)
    for header in headers + [os.path.relpath(os.path.join(w, n), include) for w, _, ns in os.walk(include) for n in ns if n.endswith(".h") and "sys" not in w]:
        with open(os.path.join(include, header), encoding="utf-8") as f:
            constants += [name for name in numbers(f.read()) if name not in constants]
    found = measured(compiler, headers, include, structs, constants)
    facts = {name: [type_] for name, type_ in types.items()}
    facts.update({f"constant {name}": [str(found[name][0])] for name in constants})
    for name, members in structs.items():
        size, *offsets = found[name]
        facts[f"struct {name}"] = [f"size {size}"] + [f"{offset} {type_} {member}" for offset, (type_, member) in zip(offsets, members)]
    return facts


def all_facts(compiler, include):
    main, everything = look(compiler, MAIN, include), look(compiler, SYS, include)
    return {**main, **{"sys " + name: lines for name, lines in everything.items() if name not in main}}


def grew(old, new):
    """A struct that says its own size and got members behind those it had: the rule of common.h. Not in what was padding: there a program built before has anything."""
    if len(old) < 2 or not old[1].endswith(" size_t size") or len(new) <= len(old) or new[1 : len(old)] != old[1:]:
        return False
    return int(new[len(old)].split()[0]) >= int(old[0].split()[1])


def compare(old, new):
    """(what programs built before would notice, what they would not)."""
    breaks, fine = [], []
    renumbered = old.get("sys constant TC_STORAGE_ABI") != new.get("sys constant TC_STORAGE_ABI")
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after or name == "constant TC_ERROR_LAST":  # it moves with each new code
            continue
        said = f"{name}: " + ("new" if before is None else "gone" if after is None else f"was {'; '.join(before)}; is {'; '.join(after)}")
        # Backends are checked by number when they are opened: tc_storage_ops.abi.
        if before is None or (before and after and grew(before, after)) or (name.startswith("sys ") and renumbered):
            fine.append(said)
        else:
            breaks.append(said)
    return breaks, fine


def written(facts, abi):
    lines = [f"# The ABI of libtipcurrent.so.{abi} on LP64. Written by tests/abi/abi.py --record; docs/abi.md."]
    for name in sorted(facts):
        lines += [name, *("  " + line for line in facts[name])]
    return "\n".join(lines) + "\n"


def parsed(text):
    facts, name = {}, None
    for line in text.splitlines():
        if line.startswith("  "):
            facts[name].append(line[2:])
        elif line and not line.startswith("#"):
            name = line
            facts[name] = []
    return facts


def self_test(compiler):
    """A header is read right, and each way of breaking a program is found."""
    with tempfile.TemporaryDirectory() as include:
        with open(os.path.join(include, "x.h"), "w", encoding="utf-8") as f:
            f.write("#include <stddef.h>\n#define TC_N 7\nenum { TC_A = -1 };\ntypedef struct tc_s { size_t size; int a; char b[3]; } tc_s;\ntypedef void (*tc_x_fn)(int n);\nint tc_f(const tc_s *s);\n")
        base = look(compiler, ["x.h"], include)
    expected = {
        "callback tc_x_fn": ["void (*)(int)"],
        "constant TC_A": ["-1"],
        "constant TC_N": ["7"],
        "function tc_f": ["int (const tc_s *)"],
        "struct tc_s": ["size 16", "0 size_t size", "8 int a", "12 char[3] b"],
    }
    if base != expected or parsed(written(base, "1")) != base:
        sys.exit(f"self-test: read {base}")
    bad = {
        "function gone": {**base, "function tc_f": None},
        "other parameter": {**base, "function tc_f": ["int (tc_s *)"]},
        "other value": {**base, "constant TC_A": ["-2"]},
        "member inserted": {**base, "struct tc_s": ["size 24", "0 size_t size", "8 int c", "12 int a", "16 char[3] b"]},
        "member in the padding": {**base, "struct tc_s": ["size 16", "0 size_t size", "8 int a", "12 char[3] b", "15 char c"]},
        "member gone": {**base, "struct tc_s": ["size 16", "0 size_t size", "8 int a"]},
        "unsized struct grew": {**base, "struct tc_t": ["size 8", "0 int a", "4 int b"]},
        "backend's struct": {**base, "sys struct tc_v": ["size 8", "0 int a"]},
    }
    before = {**base, "struct tc_t": ["size 4", "0 int a"], "sys struct tc_v": ["size 4", "0 int a"], "sys constant TC_STORAGE_ABI": ["1"]}
    for name, change in bad.items():
        after = {key: value for key, value in {**before, **change}.items() if value is not None}
        if name not in ("unsized struct grew", "backend's struct"):
            after = {**after, "struct tc_t": before["struct tc_t"]}
        if not compare(before, after)[0]:
            sys.exit(f"self-test: not found: {name}")
    good = {
        **before,
        "function tc_new": ["int (void)"],
        "struct tc_s": ["size 24", "0 size_t size", "8 int a", "12 char[3] b", "16 int c"],
        "sys struct tc_v": ["size 8", "0 int a"],
        "sys constant TC_STORAGE_ABI": ["2"],
    }
    breaks, fine = compare(before, good)
    if breaks or len(fine) != 4:
        sys.exit(f"self-test: compatible changes: {breaks} {fine}")


def smallest_sizes():
    """What the library takes as the least size of a struct is named by its last member in the first release: sizeof would grow with the struct and refuse programs built before."""
    findings = []
    folder = os.path.join(ROOT, "lib", "api")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            calls = re.findall(r"tci_sized_in\(&[^,]+, sizeof [^,]+, (.*)", f.read())
        findings += [f"lib/api/{name}: tci_sized_in: {call.split(',')[0]}: TCI_SIZED_UP_TO says which size is the smallest" for call in calls if not call.startswith("TCI_SIZED_UP_TO(")]
    return findings


def main():
    compiler, abi = sys.argv[1:3]
    self_test(compiler)
    path = os.path.join(ROOT, "tests", "abi", f"tipcurrent_{abi}.txt")
    new = all_facts(compiler, os.path.join(ROOT, "include"))
    if not os.path.exists(path):
        old = None
    else:
        with open(path, encoding="utf-8") as f:
            old = parsed(f.read())
    findings = smallest_sizes()
    if findings:
        sys.exit("\n".join(findings))
    breaks, fine = compare(old, new) if old is not None else ([], ["nothing is recorded yet"])
    for line in breaks:
        print("incompatible:", line)
    for line in fine:
        print("compatible:", line)
    if breaks:
        sys.exit("Programs built before would break. Undo it, or begin a new ABI: docs/abi.md.")
    if "--record" in sys.argv:
        with open(path, "w", encoding="utf-8") as f:
            f.write(written(new, abi))
    elif fine:
        sys.exit(f"Programs built before go on working. Write it down: python3 tests/abi/abi.py {compiler} {abi} --record")


if __name__ == "__main__":
    main()
