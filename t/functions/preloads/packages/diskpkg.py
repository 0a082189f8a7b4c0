import os

BLOCKS = os.statvfs("/tmp").f_blocks
