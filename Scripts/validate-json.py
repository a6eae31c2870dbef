#!/usr/bin/python3
"""Validates a JSON document against a JSON Schema.

    validate-json.py SCHEMA DOCUMENT

Needs jsonschema (Debian: python3-jsonschema). Exit codes: 0 it is valid; 1 it is not; 2 could not run.
"""

import json
import sys

try:
    from jsonschema.validators import validator_for
except ImportError:
    print("validate-json: needs jsonschema (Debian: python3-jsonschema)", file=sys.stderr)
    sys.exit(2)


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    validator = validator_for(schema)
    validator.check_schema(schema)
    with open(sys.argv[2], encoding="utf-8") as file:
        document = json.load(file)
    errors = list(validator(schema).iter_errors(document))
    for error in errors[:20]:
        print(f"{'/'.join(map(str, error.path))}: {error.message}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
