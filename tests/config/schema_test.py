"""Holds config/nsboot-lb.schema.json against the golden files: the good ones are valid, and the bad ones whose fault is
one of shape (an unknown key, a list for a map, a missing key, an unknown word) are not. The loader reads more than a
schema can say, and so does what the environment holds: other bad files may pass. Needs python3-yaml and python3-jsonschema."""

import json
import pathlib
import re
import sys

import jsonschema
import yaml

STRUCTURAL = re.compile(
    r": error: .*(unknown key|unknown value|expected a |not available in this version| needs | has both |"
    r"is empty; give at least one|has no unit|no known unit|is not a |is neither true nor false)"
)


class Loader(yaml.SafeLoader):
    """YAML 1.2's core schema, as editors use it: `on` and `yes` are words."""


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))


def with_text_keys(value):
    if isinstance(value, dict):
        return {str(key): with_text_keys(inner) for key, inner in value.items()}
    return [with_text_keys(inner) for inner in value] if isinstance(value, list) else value


def read(file):
    return with_text_keys(yaml.load(file.read_text(), Loader) or {})


def check(source):
    schema = json.loads((source / "config/nsboot-lb.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    golden = source / "tests/golden/config"
    good = sorted((golden / "ok").glob("*.yaml")) + sorted((source / "config").glob("**/*.yaml"))
    faults = [f"{file}: {error.json_path}: {error.message}" for file in good for error in validator.iter_errors(read(file))]
    refused = 0
    for file in sorted((golden / "bad").glob("*.yaml")):
        expected = file.with_suffix(".expected").read_text()
        own = [line for line in expected.splitlines() if line.startswith(file.name + ":")]
        if "is no YAML" in expected or "${" in file.read_text() or not any(STRUCTURAL.search(line) for line in own):
            continue
        try:
            valid = validator.is_valid(read(file))
        except yaml.YAMLError:
            continue
        refused += not valid
        if valid:
            faults.append(f"{file}: is accepted, though the loader says:\n{expected}")
    if len(good) < 28 or refused < 35:
        faults.append(f"only {len(good)} good files and {refused} bad ones were looked at")
    print("\n".join(faults) or f"{len(good)} good files are accepted, {refused} bad ones are refused")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(check(pathlib.Path(sys.argv[1])))
