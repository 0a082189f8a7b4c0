import calendar

WHOSE = getattr(calendar, "WHOSE", "the library's")
