/* median.h - the median of n measurements; sorts v, n may be 0 */
#ifndef CMD_MEDIAN_H
#define CMD_MEDIAN_H

double median(double *v, unsigned n);

#endif
