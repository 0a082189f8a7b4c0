import random

RANDOM = random.Random()
