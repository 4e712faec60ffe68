# SPDX-License-Identifier: MIT
"""Where the results go."""
import json
import os

from benchlib import curves, paths, plot, table


def as_json(path, found):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1, ensure_ascii=False)
        file.write("\n")


def as_text(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def text_of(found):
    """The table of the paths comes last: it is what the others lead to."""
    parts = [table.facts_text(found["facts"])]
    if found["curves"]:
        parts.append(curves.text(found["curves"]))
    if found["paths"]:
        parts += [paths.rows_text(found["paths"]) + "\n" + paths.LEGEND, paths.table_text(found["paths"])]
    return "\n\n".join(parts)


def all_of(args, found):
    text = text_of(found)
    print(text)
    if args.out:
        os.makedirs(args.out, exist_ok=True)
    for name, default, writer, what in (("json", "results.json", as_json, found), (None, "table.txt", as_text, text),
                                        ("svg", "plot.svg", as_text, None)):
        chosen = getattr(args, name) if name else None
        chosen = chosen or (f"{args.out}/{default}" if args.out else None)
        if chosen:
            writer(chosen, what or plot.svg(found))
