"""Kills, full disks and clocks that jump: nothing lost, nothing doubled, nothing left behind."""
