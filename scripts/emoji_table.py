#!/usr/bin/env python3
"""Writes lib/model/emoji_table.c from Unicode's emoji-test.txt (Debian: unicode-data). Arguments: the file, by default Debian's.

Every sequence stands without U+FE0F, the presentation selector. Skin tones (U+1F3FB to U+1F3FF) stand as U+1F3FB: the data have a sequence with all tones
or with none, except that of two tones some must differ, which the table says beside the sequence. The script fails where new data break that rule.
"""
import itertools
import os
import re
import sys

SOURCE = "/usr/share/unicode/emoji/emoji-test.txt"
TARGET = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib/model/emoji_table.c")
SELECTOR = 0xFE0F
TONES = range(0x1F3FB, 0x1F400)
TONE = TONES[0]
WIDTH = 150


def read(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    version = re.search(r"^# Version: (\S+)", text, re.M).group(1)
    rows = re.findall(r"^([0-9A-F ]+?)\s*;", text, re.M)
    return version, {tuple(c for c in (int(word, 16) for word in row.split()) if c != SELECTOR) for row in rows}


def toneless(sequence):
    return tuple(TONE if c in TONES else c for c in sequence)


def patterns(sequences):
    """{sequence with all tones as one: must its two tones differ?}, of those with more than one code point."""
    by_pattern = {}
    for sequence in sequences:
        by_pattern.setdefault(toneless(sequence), set()).add(tuple(c for c in sequence if c in TONES))
    found = {}
    for pattern, tones in by_pattern.items():
        if len(pattern) == 1:
            continue
        count = pattern.count(TONE)
        every = set(itertools.product(TONES, repeat=count))
        different = {t for t in every if len(set(t)) == count}
        if tones not in (every, different) or count > 2:
            sys.exit(f"{pattern}: tones that this table cannot say")
        found[pattern] = tones != every
    return found


def ranges(points):
    out = []
    for point in sorted(points):
        if out and out[-1][1] == point - 1:
            out[-1][1] = point
        else:
            out.append([point, point])
    return out


def lines(items):
    row = " "
    for item in items:
        if len(row) + len(item) > WIDTH:
            yield row
            row = " "
        row += " " + item
    yield row


def table(version, sequences):
    found = patterns(sequences)
    longest = max(len(pattern) for pattern in found)
    singles = ["{" + f"0x{a:X}, 0x{b:X}" + "}," for a, b in ranges({s[0] for s in sequences if len(s) == 1})]
    many = ["{" + f"{int(found[p])}, " + "{" + ", ".join(f"0x{c:X}" for c in p) + "}}," for p in sorted(found)]
    return "\n".join([
        f"/* Made by scripts/emoji_table.py from Unicode's emoji-test.txt, version {version}. A new version of the data is a new version of the derived file (index.c). */",
        "/* clang-format off */",
        '#include "emoji_table.h"',
        "",
        f"_Static_assert(TCI_EMOJI_POINTS_MAX == {longest}, \"the longest sequence has {longest} code points\");",
        "",
        "const tci_emoji_range tci_emoji_singles[] = {",
        *lines(singles),
        "};",
        "const size_t tci_emoji_single_count = sizeof tci_emoji_singles / sizeof *tci_emoji_singles;",
        "",
        "const tci_emoji_sequence tci_emoji_sequences[] = {",
        *lines(many),
        "};",
        "const size_t tci_emoji_sequence_count = sizeof tci_emoji_sequences / sizeof *tci_emoji_sequences;",
        "/* clang-format on */",
        "",
    ])


if __name__ == "__main__":
    made = table(*read(sys.argv[1] if len(sys.argv) > 1 else SOURCE))
    with open(TARGET, "w", encoding="ascii") as out:
        out.write(made)
