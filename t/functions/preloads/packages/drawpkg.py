import os

TOKEN = os.urandom(8).hex()
