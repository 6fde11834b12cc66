"""Where findings are shown: Terraform blocks by the names of servers and VNIs, then vnicheck.toml."""

from pathlib import Path

import pytest

from tests.support.fleet import BROKEN, member
from tests.support.servers import fabric, two_vnis
from vnicheck.analysis.server import analyze_server
from vnicheck.model.baseline import Earlier
from vnicheck.model.config import Config
from vnicheck.model.expectation import Expectation
from vnicheck.report.places import Anchors, TerraformError, blocks, repository_root
from vnicheck.report.writer import Location

MAIN = """# the servers
resource "ibm_is_instance" "web" {
  count = 3
  name  = "web-${count.index + 1}"

  primary_network_attachment {
    name = "eth0"
    virtual_network_interface {
      name = "decoy"
    }
  }
}

resource "ibm_is_bare_metal_server" "metal" {
  name = "metal-1" # its name
}

resource "ibm_is_instance" "computed" {
  name = local.name
}

resource "ibm_is_instance" "anything" {
  name = "${var.name}"
}

locals {
  text = <<-EOT
    resource "ibm_is_instance" "no" {
      name = "in-a-heredoc"
    }
  EOT
}
/*
resource "ibm_is_instance" "no" {
  name = "in-a-comment"
}
*/
"""


def earlier(name: str) -> Earlier:
    return Earlier(
        fingerprint="f", rule="VNC101", severity="error", message="m", region="", id=f"id-{name}", name=name, crn="c"
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "env" / "prod").mkdir(parents=True)
    (tmp_path / "env" / "prod" / "main.tf").write_text(MAIN)
    return tmp_path


def place(anchors: Anchors, name: str) -> Location:
    return anchors.place(earlier(name), earlier(name))


@pytest.mark.parametrize(
    ("name", "line", "end"),
    [("web-1", 2, 12), ("web-12", 2, 12), ("metal-1", 14, 16)],
)
def test_a_server_is_shown_at_its_block(repository: Path, name: str, line: int, end: int) -> None:
    anchors = Anchors(repository, terraform=repository / "env")
    assert place(anchors, name) == Location(uri="env/prod/main.tf", line=line, end_line=end)
    assert anchors.notes == []


@pytest.mark.parametrize("name", ["db-1", "in-a-heredoc", "in-a-comment", "decoy", "eth0", "metal-2"])
def test_a_server_without_a_block_is_shown_in_the_configuration(repository: Path, name: str) -> None:
    assert place(Anchors(repository, terraform=repository), name) == Location(uri="vnicheck.toml", line=1)


def test_the_block_that_says_more_of_the_name_wins_and_a_tie_is_none(repository: Path) -> None:
    (repository / "more.tf").write_text(
        'resource "ibm_is_instance" "a" {\n  name = "web-1"\n}\n'
        'resource "ibm_is_instance" "b" {\n  name = "web-1${var.x}"\n}\n'
        'resource "ibm_is_instance" "c" {\n  name = "db-${var.x}"\n}\n'
        'resource "ibm_is_instance" "d" {\n  name = "db-${var.y}"\n}\n'
    )
    anchors = Anchors(repository, terraform=repository)
    assert place(anchors, "web-1").uri == "more.tf"
    assert place(anchors, "web-1").line == 1
    assert place(anchors, "web-19").line == 4
    assert place(anchors, "web-2").uri == "env/prod/main.tf"
    assert place(anchors, "db-1").uri == "vnicheck.toml"


def test_a_finding_on_a_vnis_settings_is_shown_at_that_vnis_block(repository: Path) -> None:
    (repository / "vni.tf").write_text('\nresource "ibm_is_virtual_network_interface" "v" {\n  name = "vni-2"\n}\n')
    spoofing = member("web-1", BROKEN, vnis=two_vnis())
    instance = analyze_server(spoofing, fabric(), Config())
    anchors = Anchors(repository, terraform=repository)
    places = {finding.rule: anchors.place(instance, finding) for finding in instance.findings}
    assert places["VNC302"] == Location(uri="vni.tf", line=2, end_line=4)
    assert places["VNC101"] == Location(uri="env/prod/main.tf", line=2, end_line=12)


def test_without_a_block_the_expectation_that_names_the_server(tmp_path: Path) -> None:
    file = tmp_path / "ops" / "vnicheck.toml"
    file.parent.mkdir()
    file.write_text('# ours\n[[expect]]\nserver = "db-*"\n\n[[ expect ]]\nserver = "web-*"\n')
    config = Config(
        expect=tuple(Expectation(server=name, start="vpc", verdict="delivered") for name in ("db-*", "web-*"))
    )
    anchors = Anchors(tmp_path, config=config, config_file=file)
    assert place(anchors, "web-1") == Location(uri="ops/vnicheck.toml", line=5)
    assert place(anchors, "db-1") == Location(uri="ops/vnicheck.toml", line=2)
    assert place(anchors, "x") == Location(uri="ops/vnicheck.toml", line=1)


def test_a_configuration_outside_the_repository_goes_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "vnicheck.toml").write_text("")
    root = tmp_path / "repository"
    root.mkdir()
    assert place(Anchors(root, config_file=tmp_path / "vnicheck.toml"), "x").uri == "vnicheck.toml"


def test_files_that_cannot_be_read_are_told_and_passed_over(repository: Path) -> None:
    (repository / "broken.tf").write_text('resource "ibm_is_instance" {{{\n')
    (repository / "binary.tf").write_bytes(b"ibm_is_\xff\xfe")
    (repository / "huge.tf").write_bytes(b"# ibm_is_\n" * (1 << 17))
    (repository / ".terraform").mkdir()
    (repository / ".terraform" / "broken.tf").write_text('resource "ibm_is_instance" {{{\n')
    anchors = Anchors(repository, terraform=repository)
    assert place(anchors, "web-1").line == 2
    assert len(anchors.notes) == 3
    assert all("is passed over" in note and "\n" not in note for note in anchors.notes)


@pytest.mark.parametrize("text", ["", "\n", "# only a comment", 'variable "x" {}', 'resource "ibm_is_instance" "x" {}'])
def test_files_without_named_blocks(text: str) -> None:
    assert list(blocks(text, "x.tf")) == []


def test_what_is_no_terraform() -> None:
    with pytest.raises(TerraformError):
        list(blocks("resource {{{", "x.tf"))


def test_a_name_with_an_escaped_interpolation_is_exact() -> None:
    (block,) = blocks('resource "ibm_is_instance" "x" {\n  name = "a$${b}"\n}\n', "x.tf")
    assert block.exact


def test_the_repository_is_the_nearest_folder_upward(repository: Path) -> None:
    assert repository_root(repository / "env" / "prod") == repository
    outside = repository.parent
    assert repository_root(outside) in (outside, *outside.parents)


def test_names_with_many_parts_are_matched_in_no_time() -> None:
    name = "a".join("${var.x}" for _ in range(40))
    (block,) = blocks(f'resource "ibm_is_instance" "x" {{\n  name = "{name}"\n}}\n', "x.tf")
    assert block.pattern.fullmatch("a" * 60)
    assert not block.pattern.fullmatch("a" * 38 + "b" * 20)


def test_what_a_glob_would_read_is_only_itself() -> None:
    (block,) = blocks('resource "ibm_is_instance" "x" {\n  name = "a[b]*?${var.x}"\n}\n', "x.tf")
    assert block.pattern.fullmatch("a[b]*?-1")
    assert not block.pattern.fullmatch("abxx-1")
