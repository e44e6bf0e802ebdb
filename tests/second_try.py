"""Takes the failures out of a first JUnit file that passed in a second one, and names them."""
import sys
import xml.etree.ElementTree as ET


def key(case):
    return case.get("classname"), case.get("name")


first, again = ET.parse(sys.argv[1]), ET.parse(sys.argv[2])
passed = {key(case) for case in again.iter("testcase")
          if case.find("failure") is None and case.find("error") is None and case.find("skipped") is None}
for case in first.iter("testcase"):
    bad = [child for child in case if child.tag in ("failure", "error")]
    if bad and key(case) in passed:
        print(f"passed at the second try: {case.get('classname')}::{case.get('name')}")
        for child in bad:
            case.remove(child)
        case.set("status", "run")
first.write(sys.argv[1])
