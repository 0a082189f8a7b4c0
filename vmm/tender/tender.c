/* tender.c - what every tender of this process has in common */
#include "vmm/tender/tender.h"

struct tender_cpu tender_cpu;
int tender_debug;
