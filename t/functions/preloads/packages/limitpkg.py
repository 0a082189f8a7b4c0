import os

PAGES = os.sysconf("SC_PHYS_PAGES")
