#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What roroctl check -f json said.

    check.py FILE QUESTION
    check.py FILE

Without a question it answers those of its standard input, a line each with tabs
between words, about what FILE holds then; "end 0" follows, or "end 1" when it is
not so.  Questions are:

    status NAME [SUBJECT]   ok, skipped, warning, error or none: the worst of
                            those items
    now NAME [SUBJECT]      the commands that mend them
    schema                  is it what the manual promises?
    wrong                   all that is not ok, a line each

NAME is that of items, SUBJECT part of theirs.
"""

import json
import sys
import traceback

ORDER = ["none", "ok", "skipped", "warning", "error"]
ITEM = {"name": str, "subject": (str, type(None)), "status": str,
        "found": str, "why": (str, type(None)), "now": list, "keep": list}
TOP = {"version": int, "configuration": (str, type(None)),
       "role": (str, type(None)), "daemon": dict, "root": bool, "status": str,
       "counts": dict, "items": list}


def is_wrong(item):
    return item["status"] in ("warning", "error")


def has_form(value, form):
    return sorted(value) == sorted(form) and all(
        isinstance(value[key], form[key]) for key in form)


def check_schema(said):
    assert has_form(said, TOP), sorted(said)
    assert said["version"] == 1
    assert has_form(said["daemon"], {"running": bool,
                                     "pid": (int, type(None))})
    assert (said["daemon"]["pid"] is not None) == said["daemon"]["running"]
    for item in said["items"]:
        assert has_form(item, ITEM), item
        assert item["status"] in ORDER[1:], item
        assert all(isinstance(line, str) for line in item["now"])
        assert all(isinstance(line, str) for line in item["keep"])
        assert item["why"] is not None or not is_wrong(item), item
    counts = {status: sum(item["status"] == status for item in said["items"])
              for status in ORDER[1:]}
    assert said["counts"] == counts, said["counts"]
    worst = max((item["status"] for item in said["items"] if is_wrong(item)),
                key=ORDER.index, default="ok")
    assert said["status"] == worst, said["status"]


def answer(what, name="", subject=""):
    with open(sys.argv[1]) as file:
        said = json.load(file)
    if what == "schema":
        check_schema(said)
        return
    if what == "wrong":
        for item in said["items"]:
            if is_wrong(item):
                print(item["status"], item["name"], item["subject"],
                      item["found"])
        return
    items = [item for item in said["items"] if item["name"] == name
             and subject in (item["subject"] or "")]
    if what == "status":
        print(max((item["status"] for item in items), key=ORDER.index,
                  default="none"))
    elif what == "now":
        for item in items:
            if is_wrong(item):
                print("\n".join(item["now"]))
    else:
        raise ValueError(what)


def main():
    if len(sys.argv) > 2:
        answer(*sys.argv[2:])
        return
    for line in sys.stdin:
        try:
            answer(*line.rstrip("\n").split("\t"))
            print("end 0", flush=True)
        except Exception:
            traceback.print_exc()
            print("end 1", flush=True)


main()
