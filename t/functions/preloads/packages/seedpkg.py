import random

random.seed(7)
