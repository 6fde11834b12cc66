"""Numbers that a plan takes: none that runs, and none that a file names, whether boot carries it out or not."""

from tests.support.servers import guest
from vnicheck.fixes.free_numbers import free_table, priorities_behind
from vnicheck.model.guest import BootConfig


def test_numbers_of_files_that_boot_does_not_carry_out_are_taken() -> None:
    boot = BootConfig(carried_out=True, idle_tables=(1001,), idle_priorities=(1005,))
    assert free_table(guest(boot=BootConfig()), 1001) == 1001
    assert free_table(guest(boot=boot), 1001) == 1002
    assert priorities_behind(guest(boot=boot), 1001, 1) == [1006]
