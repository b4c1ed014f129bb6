"""German: as Django has it, with the short date before a time, since tables have many columns."""

DATETIME_FORMAT = "d.m.Y H:i"
