with open("/proc/meminfo", encoding="ascii") as file:
    TOTAL = file.readline().strip()
