"""Runs in vnicheck.pyz before the program (shiv's `--preamble`): the file holds machine code for one kind of Python."""

import sys
import sysconfig

files = site_packages  # noqa: F821 - shiv defines it: the folder into which the file was unpacked
made_for = sorted(path.name.partition(".")[2] for path in files.glob("_cffi_backend.*.so"))
if sysconfig.get_config_var("EXT_SUFFIX").lstrip(".") not in made_for:
    here = f"Python {sys.version_info.major}.{sys.version_info.minor} on {sysconfig.get_platform()}"
    print(
        f"vnicheck: this file is made for {' '.join(made_for)}, and this is {here}; take another, or pip",
        file=sys.stderr,
    )
    sys.exit(2)
