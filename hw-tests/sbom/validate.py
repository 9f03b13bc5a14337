"""Checks a bill of materials against the strict schema of CycloneDX 1.6: unknown fields are errors.

usage: target/pi/venv/bin/python hw-tests/sbom/validate.py FILE      exit status 1 and the reason if it does not fit
"""

import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

if len(sys.argv) != 2:
    sys.exit(__doc__)
problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(pathlib.Path(sys.argv[1]).read_text())
if problem is not None:
    sys.exit(f"validate: {sys.argv[1]} is not as CycloneDX 1.6 wants it: {problem}")
