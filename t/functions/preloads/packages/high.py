import low

SUM = low.VALUE + 1
