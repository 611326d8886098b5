"""Gives Doxygen a public header with its comments as Doxygen wants them; in the headers they are plain. Argument: the header.

What the headers' form means: the first comment is the file's; one that stands before declarations without an empty line documents all of them up to the next empty line or comment; one
that is followed by an empty line belongs to the file too; one behind code documents that member or constant. Nothing in them is markup.
"""
import re
import sys

COMMENT = re.compile(r"/\*.*?\*/", re.S)
MEMBERS = re.compile(r"^(\s+)([\w ]+?[ ])(\**\w+(?:\[\w+\])?(?:, \**\w+(?:\[\w+\])?)+);(.*)$")
ERROR = re.compile(r'X\((TC_\w+), (-\d+), "([^"]*)"\)\s*(?:/\*(.*?)\*/)?')


def taken_literally(comment):
    """A comment's text, line by line, with what Doxygen would take for markup taken literally; lists stay lists."""
    text = re.sub(r"(?<=\.) (?=Errors: )", "\n", comment[2:-2].strip("\n"))
    lines = [re.sub(r"^\s*\* ?", "", line) if i else line.strip() for i, line in enumerate(text.split("\n"))]
    lines[0] = re.sub(r"^\w+\.h - ", "", lines[0])
    lines = [part for line in lines for part in (["", line] if line.startswith("Errors") else [line])]
    return [re.sub(r"([\\@<>#&%])", r"\\\1", line.rstrip()).replace("::", r"\::") for line in lines]


def block(lines, indent="", mark=""):
    return "\n".join([f"{indent}/** {mark}", *(f"{indent} * {line}".rstrip() for line in lines), f"{indent} */"])


COMMON = (
    (re.compile(r"^  size_t size;$"), "the struct's own size in bytes, set by its INIT, or by the library where that makes it"),
    (re.compile(r"^  void \*userdata;$"), "handed to the functions as it is"),
)


def split_members(line):
    """`T *a, *b; /* x */` as a line each."""
    match = MEMBERS.match(line)
    if not match or "(" in line.split("/*")[0]:
        return [line]
    indent, kind, names, rest = match.groups()
    return [f"{indent}{kind}{name};{rest}" for name in names.split(", ")]


def errors(text):
    """The codes of the X table as constants with a comment each."""
    table = text[text.index("#define TC_ERRORS") :].split("\n\n")[0]
    rows = [f"  {name} = {number}, /* {said}{': ' + more.strip() if more else ''} */" for name, number, said, more in ERROR.findall(table)]
    return text.replace("#define TC_X(name, number, text) name = number,\n  TC_ERRORS(TC_X)\n#undef TC_X\n", "\n".join(rows) + "\n")


def convert(text):
    if "define TC_ERRORS" in text:
        text = errors(text)
    lines, out, pending, i = text.split("\n"), [], None, 0
    inside = 0  # of a struct or enum that the pending comment does not reach into
    while i < len(lines):
        line = lines[i]
        stripped = line.strip()
        if stripped.startswith("/*"):
            comment = line.strip()
            while "*/" not in comment:
                i += 1
                comment += "\n" + lines[i]
            indent = line[: len(line) - len(line.lstrip())]
            following = lines[i + 1].strip() if i + 1 < len(lines) else ""
            if not any(part.startswith("/**") for part in out):
                lines_of_file = taken_literally(comment)
                if comment.startswith("/* tipcurrent.h"):
                    # The table of contents: it keeps its columns, and is what the HTML opens with.
                    lines_of_file = [lines_of_file[0], "", "<pre>", *lines_of_file[1:], "</pre>"]
                    out.append(block(lines_of_file, mark="@mainpage"))
                out.append(block(lines_of_file, mark="@file"))
            elif not following:
                out.append(block(taken_literally(comment), mark="@file"))
            elif inside:
                out.append(block(taken_literally(comment), indent))
            else:
                pending = taken_literally(comment)
            i += 1
            continue
        if not stripped:
            pending = None
        starts = re.match(r"(TC_API|typedef|enum|#define TC_)", line)
        if line.startswith("#define TC_") and re.match(r"#define TC_\w+_INIT", line):
            name = re.match(r"#define (TC_\w+)_INIT", line).group(1).lower()
            out.append(f"/** Sets up a {name}: its size, and zero in every other member. */")
        elif starts and pending and not inside:
            out.append(block(pending))
        if re.match(r"(typedef (struct|union)|enum)\b.*\{$", line):
            inside = 1
        if inside and line.startswith("}"):
            inside = 0
        for member, said in COMMON:
            if inside and member.match(line):
                line += f" /* {said} */"
        for part in split_members(line):
            out.append(re.sub(r"(\S\s+)/\*(.*?)\*/", lambda m: m.group(1) + "/**< " + " ".join(taken_literally("/*" + m.group(2) + "*/")) + " */", part))
        i += 1
    return "\n".join(out)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as f:
        print(convert(f.read()))
