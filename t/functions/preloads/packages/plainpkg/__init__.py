import csv

X = 1
MANY = [str(i) for i in range(10000)]
