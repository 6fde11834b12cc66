"""Imports paramiko without invoke, which it wants for `Match exec` alone and can do without: a sixth of its CPU time.

Import this before anything of paramiko. `ssh_config_lines` decides Match lines, and never runs a command for one.
"""

import sys

if "paramiko" not in sys.modules and "invoke" not in sys.modules:
    sys.modules["invoke"] = None  # type: ignore[assignment]
    try:
        import paramiko as paramiko
    finally:
        del sys.modules["invoke"]
