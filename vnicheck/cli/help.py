"""Help as people read it: options in groups, examples, the environment, exit codes. Plain, and quick to load."""

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from vnicheck.cli.failure import MEANINGS

if TYPE_CHECKING:
    from vnicheck.cli.tree import CommandTree, Parameter

ABOUT = "Predicts which flows of a multi-homed IBM Cloud VPC server are dropped, says why, and what to do."
GROUPS = {
    "Look at servers": ("analyze", "trace", "list", "verify", "rehearse"),
    "Fix them": ("fix", "rollback", "ledger"),
    "Many servers, CI, offline": ("lint", "snapshot", "diff", "collect-script"),
    "Set up": ("doctor", "init", "completion"),
    "Look up": ("demo", "rules", "explain", "assumptions", "schema"),
}
ENVIRONMENT = {
    "IBMCLOUD_API_KEY, IC_API_KEY": "the API key",
    "VNICHECK_API_KEY_FILE": "a file with the key, as --api-key-file",
    "VNICHECK_API_KEY_COMMAND": "a command that prints the key, as --api-key-command",
    "IBMCLOUD_REGION, IC_REGION": "the region where --region names none",
    "VPC_URL, VPC_AUTH_TYPE, ...": "the SDK's own settings; also in the file that IBM_CREDENTIALS_FILE names",
    "HTTPS_PROXY, NO_PROXY": "proxies to the API; REQUESTS_CA_BUNDLE names authorities of one's own",
    "SSH_AUTH_SOCK": "the SSH agent",
    "NO_COLOR": "no colours, as with --no-color",
    "VNICHECK_DEBUG": "1: a traceback where an error is ours",
}
"""What is read of the environment. `VNICHECK_RULE_PAGES`, `GITHUB_STEP_SUMMARY`: see docs/lint.md."""
EXAMPLES = {
    "analyze": (
        "analyze web-1",
        "analyze --snapshot web-1.json --explain",
        "analyze web-1 -f text -f json=report.json",
    ),
    "trace": (
        "trace web-1 --from 10.8.0.4 --to 10.0.0.12 --port https",
        "trace web-1 --from web-2 --to web-1 --expect delivered",
    ),
    "list": ("list --vpc prod", "list --name 'web-*' -f json"),
    "verify": ("verify web-1",),
    "rehearse": ("rehearse web-1 --fix", "rehearse web-1 --set vni-2.allow_ip_spoofing=true"),
    "fix": ("fix web-1 --dry-run", "fix web-1 --sudo", "fix --dry-run -o plans/"),
    "rollback": ("rollback 20261128-120000-0a1b2c",),
    "ledger": ("ledger",),
    "lint": ("lint --region us-south --fail-on warning", "lint --name 'web-*' -f text -f sarif=vnicheck.sarif"),
    "snapshot": ("snapshot web-1 -o web-1.json", "snapshot --all -o fleet/ --region us-south --region eu-de"),
    "diff": ("diff before.json after.json --fail-on error",),
    "collect-script": ("collect-script > collect.sh",),
    "doctor": ("doctor", "doctor web-1 --jump bastion"),
    "init": ("init", "init --region eu-de -o ci/vnicheck.toml"),
    "completion": (
        "completion bash > ~/.local/share/bash-completion/completions/vnicheck",
        'completion zsh > "${fpath[1]}/_vnicheck"',
        "completion fish > ~/.config/fish/completions/vnicheck.fish",
    ),
    "demo": ("demo", "demo -f html -o demo.html"),
    "rules": ("rules",),
    "explain": ("explain VNC101", "explain psf-auto"),
    "assumptions": ("assumptions -f json",),
    "schema": ("schema report",),
}
_ORDER = ("Arguments", "Options")
_FIRST = 26
"""The widest first column beside which there is room for what is said of it."""


def program_help(commands: Mapping[str, tuple[str, str]]) -> str:
    """Help of the program: `commands` by name, each with (its module and) what is said of it."""
    width = _width()
    lines = ["Usage: vnicheck COMMAND [OPTIONS] [ARGS]...", "", *_prose(ABOUT, width)]
    for title, names in GROUPS.items():
        lines += ["", f"{title}:", *_table([(name, commands[name][1]) for name in names], width)]
    flags = [
        ("--version", "Show the version and exit; with -v also those that it rests on."),
        ("--help, -h", "Show this."),
    ]
    lines += ["", "Options:", *_table(flags, width)]
    lines += ["", "Environment:", *_table(ENVIRONMENT.items(), width)]
    lines += ["", "Exit codes:", *_table([(str(int(code)), said) for code, said in MEANINGS.items()], width)]
    lines += ["", "Begin with:", "  vnicheck demo", "  vnicheck doctor", "  vnicheck analyze SERVER"]
    lines += ["", "'vnicheck COMMAND --help' has a command's options and examples."]
    return "\n".join(lines)


def command_help(command: "CommandTree") -> str:
    """Help of one command."""
    width = _width()
    lines = [
        f"Usage: {' '.join([f'vnicheck {command.name} [OPTIONS]', *usage_words(command)])}",
        "",
        *_prose(command.said, width),
    ]
    for title in _titles(command):
        rows = [_row(each) for each in command.parameters if each.group == title]
        lines += ["", f"{title}:", *_table(rows, width)]
    lines += ["", "Examples:", *(f"  vnicheck {line}" for line in EXAMPLES[command.name])]
    lines += ["", "'vnicheck --help' has the environment and the exit codes."]
    return "\n".join(lines)


def usage_words(command: "CommandTree") -> list[str]:
    """Its arguments, those in brackets that may be left out."""
    return [each.shown if each.required else _optional(each.shown) for each in command.arguments]


def _titles(command: "CommandTree") -> list[str]:
    """The groups: arguments, the command's own options, then those that it shares."""
    there = dict.fromkeys(each.group for each in command.parameters)
    return [*(title for title in _ORDER if title in there), *(title for title in there if title not in _ORDER)]


def _row(parameter: "Parameter") -> tuple[str, str]:
    names = ", ".join(parameter.names)
    first = f"{names} {parameter.shown}".strip() if parameter.names else parameter.shown
    notes = [parameter.limits] if parameter.limits else []
    notes += ["required"] if parameter.required and parameter.names else []
    return first, f"{parameter.said} [{', '.join(notes)}]".strip() if notes else parameter.said


def _optional(shown: str) -> str:
    return shown if shown.startswith("[") else f"[{shown}...]"


def _table(rows: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    """Two columns; a first cell that is too wide has a line of its own."""
    listed = list(rows)
    first = min(max(len(cell) for cell, _ in listed), _FIRST)
    for cell, said in listed:
        wrapped = textwrap.wrap(said, max(width - first - 4, 30), break_on_hyphens=False) or [""]
        if len(cell) > first:
            yield f"  {cell}"
            yield from (f"  {'':{first}}  {line}" for line in wrapped)
        else:
            yield f"  {cell:{first}}  {wrapped[0]}".rstrip()
            yield from (f"  {'':{first}}  {line}" for line in wrapped[1:])


def _width() -> int:
    return max(min(shutil.get_terminal_size().columns, 100), 50)


def _prose(text: str, width: int) -> list[str]:
    return [f"  {line}" for line in textwrap.wrap(text, width - 2)]
