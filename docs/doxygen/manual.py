"""Makes the manual: html/ and man3/ below the output directory, from the public headers by Doxygen. Arguments: the source root, the output directory, the version, and 1 to fail on a warning.

Of Doxygen's manual pages those are kept that are about tc_ and TC_ names; it also makes some by the names of members and headers, and `man open` must not find ours.
"""
import os
import re
import shutil
import subprocess
import sys

import plain


SECTION = re.compile(r'^\.SS "([^"\n]*?\b(tc_\w+) \([^"\n]*\))"\n(.*?)(?=^\.SS |^\.SH )', re.M | re.S)


def functions(text, header):
    """{name: page} of the functions in a header's page, each with a page of its own."""
    title = re.match(r'\.TH "[^"]*" (.*)\n', text).group(1)
    found = {}
    for prototype, name, body in SECTION.findall(text):
        first = body.replace(".PP", "").strip().split("\n")[0]
        brief = re.split(r"\\&\. |: ", first)[0].removesuffix("\\&.").strip()
        found[name] = (
            f'.TH "{name}" {title}\n.ad l\n.nh\n.SH NAME\n{name} \\- {brief}\n.SH SYNOPSIS\n#include <tipcurrent\\&.h>\n.PP\n{prototype};\n.SH DESCRIPTION\n{body.strip()}\n'
            f'.SH "SEE ALSO"\n\\fBtipcurrent_{header}\\fP(3), the header that it stands in; \\fBtipcurrent\\&.h\\fP(3), all of them\n'
        )
    return found


def pages(source, goal):
    """The pages of headers under a name of ours, a page of each function, and of everything else the pages and links that begin with tc_ or TC_."""
    os.makedirs(goal)
    headers = {name: f"tipcurrent_{name[:-4]}.3" for name in os.listdir(source) if name.endswith(".h.3")}
    headers["tipcurrent.h.3"] = "tipcurrent.h.3"
    # Headers last: what is a link to one of them becomes a function's own page.
    for name in sorted(os.listdir(source), key=lambda n: (n in headers, n)):
        if name not in headers and not re.match(r"(tc|TC)_", name):
            continue
        with open(os.path.join(source, name), encoding="utf-8") as f:
            text = f.read()
        text = re.sub(r"^\.so man3/(.*)$", lambda m: f".so man3/{headers.get(m.group(1), m.group(1))}", text, flags=re.M)
        text = re.sub(r"^'", r"\\&'", text, flags=re.M)  # or groff takes quoted text at a line's start for a request
        with open(os.path.join(goal, headers.get(name, name)), "w", encoding="utf-8") as f:
            f.write(text)
        if name in headers:
            for function, page in functions(text, name[:-4]).items():
                with open(os.path.join(goal, f"{function}.3"), "w", encoding="utf-8") as f:
                    f.write(page)


def bare_constants(root):
    """Constants of enums without a comment of their own, which this Doxygen lets pass."""
    found = []
    for where, _, names in os.walk(os.path.join(root, "include")):
        for name in names:
            with open(os.path.join(where, name), encoding="utf-8") as f:
                text = plain.convert(f.read()) if name.endswith(".h") else ""
            for body in re.findall(r"^enum \{(.*?)\};", text, re.M | re.S):
                rows = [row.strip() for row in body.split("\n")]
                for before, row in zip([""] + rows, rows):
                    if re.match(r"TC_\w+", row) and "/**<" not in row and not re.match(r"(/\*\*(?!<)|\*).*\*/$|\*/$", before):
                        found.append(f"{name}: {row} is not documented")
    return found


def main():
    source, output, version, strict = sys.argv[1:]
    work = os.path.join(output, "doxygen")
    for name in ("html", "man3", "doxygen"):
        shutil.rmtree(os.path.join(output, name), ignore_errors=True)
    os.makedirs(work)
    with open(os.path.join(source, "docs", "doxygen", "Doxyfile.in"), encoding="utf-8") as f:
        settings = f.read()
    values = {"version": version, "output": work, "source": source, "python": sys.executable, "fail": "FAIL_ON_WARNINGS" if strict == "1" else "NO"}
    for name, value in values.items():
        settings = settings.replace(f"@{name}@", value)
    done = subprocess.run(["doxygen", "-"], input=settings, text=True)
    bare = bare_constants(source)
    if bare:
        print("\n".join(bare), file=sys.stderr)
    if done.returncode or (bare and strict == "1"):
        sys.exit(1)
    os.rename(os.path.join(work, "html"), os.path.join(output, "html"))
    pages(os.path.join(work, "man", "man3"), os.path.join(output, "man3"))
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
