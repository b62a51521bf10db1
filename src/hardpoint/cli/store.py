"""``hardpoint store``: the history as a whole: in and out, kept and checked, copied and brought back."""

from __future__ import annotations

from .command import Group
from .store_check import check
from .store_copy import backup, restore
from .store_export import export
from .store_import import import_file
from .store_plan import plan

command = Group(
    "store",
    help="Export, import, back up, restore and check what is stored; see what retention will do.",
    examples="""
    hardpoint store export readings.csv --device 'greenhouse-*' --from 30d
    hardpoint store import old.csv --device greenhouse --dry-run
    hardpoint store backup /media/usb/hardpoint.db
    """,
)
for each in (plan, check, backup, restore, export, import_file):
    command.add_command(each)
