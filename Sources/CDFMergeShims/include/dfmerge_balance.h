#ifndef DFMERGE_BALANCE_H
#define DFMERGE_BALANCE_H

#include "dfmerge_hyperbolic.h"
#include "dfmerge_stream.h"

/* Numbers that come of comparing the task vectors of all models at one element. `tau` holds one row
 * per model, doubles, `stride` of them; there is room for whole steps after `n`. Where `rounds`,
 * results are rounded to floats, which is how they are ranked. */

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"
#pragma STDC FP_CONTRACT OFF

#define DFMK_INLINE static inline __attribute__((always_inline))

DFMK_INLINE dfmk_doubles dfmk_row(const double *tau, int64_t i) {
    return *(const dfmk_doubles_u *)(tau + i);
}

/** One of these rows: `x - b`, or `x` where there is no `b`; `n` is a whole number of steps. */
DFMK_INLINE void dfmk_differences(double *out, dfmk_input x, dfmk_input b, int64_t n) {
    for (int64_t i = 0; i < n; i += DFMK_STEP) {
        dfmk_doubles d = dfmk_load(x, i);
        if (b.start) d -= dfmk_load(b, i);
        *(dfmk_doubles_u *)(out + i) = d;
    }
}

/** The population variance over the models: exactly 0 where all are alike. */
DFMK_INLINE void dfmk_spread(double *out, const double *tau, int64_t stride, int64_t count,
                             int64_t n, _Bool rounds) {
    const double share = 1.0 / (double)count;
    for (int64_t i = 0; i < n; i += DFMK_STEP) {
        dfmk_doubles first = dfmk_row(tau, i), mean = 0, sum = 0;
        for (int64_t m = 1; m < count; m++) mean += dfmk_row(tau + m * stride, i) - first;
        mean *= share;
        for (int64_t m = 0; m < count; m++) {
            dfmk_doubles d = dfmk_row(tau + m * stride, i) - first - mean;
            sum += d * d;
        }
        sum *= share;
        *(dfmk_doubles_u *)(out + i) = rounds ? dfmk_widened(dfmk_narrowed(sum)) : sum;
    }
}

/** `d = 0` where `v` is below the threshold. NaN is not. */
DFMK_INLINE void dfmk_keep_above(double *d, const double *v, int64_t n, double threshold) {
    for (int64_t i = 0; i < n; i += DFMK_STEP) {
        dfmk_doubles was = dfmk_row(d, i), none = 0;
        *(dfmk_doubles_u *)(d + i) = dfmk_row(v, i) < threshold ? none : was;
    }
}

/** Adds to `found` how many of `|x - b|` are above each of two limits. */
DFMK_INLINE void dfmk_count_above(dfmk_input x, dfmk_input b, int64_t n, double first,
                                  double second, int64_t found[2]) {
    __typeof__((dfmk_doubles){0} < (dfmk_doubles){0}) one = 0, two = 0;
    for (int64_t i = 0; i < n; i += DFMK_STEP) {
        dfmk_doubles size = __builtin_elementwise_abs(dfmk_load(x, i) - dfmk_load(b, i));
        /* A true comparison is -1. */
        one -= size > first;
        two -= size > second;
    }
    found[0] += __builtin_reduce_add(one);
    found[1] += __builtin_reduce_add(two);
}

/* PCB-Merging: per model, the numbers
 *     0, 1  the limits l and u of the magnitudes;  2  1 / (u - l), or 0 where they are equal
 *     3  t, the smallest balance that counts;  4  1 / (largest balance - t), or 0;  5  coefficient
 * and, of an element, c = min(max(|tau|, l), u), the share nu = (c - l) / (u - l) and the balance
 *     exp(M nu_m^2 - shift) tanh(tau_m sum_j tau_j)                       0: deltas
 *     exp(M nu_m^2 - shift) tanh(tau_m sum_j sign(tau_j) nu_j)            1: shares
 *     exp(M nu_m^2 - shift) sum_j tanh(sign(tau_m) nu_m sign(tau_j) nu_j) 2: pairs */
enum { DFMK_DELTAS = 0, DFMK_SHARES = 1, DFMK_PAIRS = 2 };
#define DFMK_PCB_NUMBERS 6

DFMK_INLINE dfmk_doubles dfmk_pcb_clipped(dfmk_doubles d, const double *of) {
    dfmk_doubles size = __builtin_elementwise_abs(d);
    size = size < of[0] ? (dfmk_doubles)0 + of[0] : size;
    return size > of[1] ? (dfmk_doubles)0 + of[1] : size;
}

/** `v` with the sign of `d`; 0 where that is 0. */
DFMK_INLINE dfmk_doubles dfmk_pcb_signed(dfmk_doubles v, dfmk_doubles d) {
    dfmk_doubles none = 0;
    return d < 0 ? -v : d == 0 ? none : v;
}

DFMK_INLINE dfmk_doubles dfmk_pcb_share(dfmk_doubles d, const double *of) {
    return (dfmk_pcb_clipped(d, of) - of[0]) * of[2];
}

/** What every model is compared with. */
DFMK_INLINE dfmk_doubles dfmk_pcb_others(const double *tau, int64_t stride, int64_t count,
                                         int64_t i, const double *numbers, const int kind) {
    dfmk_doubles sum = 0;
    if (kind == DFMK_PAIRS) return sum;
    for (int64_t j = 0; j < count; j++) {
        dfmk_doubles d = dfmk_row(tau + j * stride, i);
        sum += kind == DFMK_DELTAS
                   ? d
                   : dfmk_pcb_signed(dfmk_pcb_share(d, numbers + DFMK_PCB_NUMBERS * j), d);
    }
    return sum;
}

DFMK_INLINE dfmk_doubles dfmk_pcb_balance(const double *tau, int64_t stride, int64_t count,
                                          int64_t m, int64_t i, const double *numbers,
                                          dfmk_doubles others, double shift, _Bool rounds,
                                          const int kind) {
    dfmk_doubles d = dfmk_row(tau + m * stride, i);
    dfmk_doubles share = dfmk_pcb_share(d, numbers + DFMK_PCB_NUMBERS * m), inter = 0;
    if (kind == DFMK_PAIRS) {
        dfmk_doubles own = dfmk_pcb_signed(share, d);
        for (int64_t j = 0; j < count; j++) {
            dfmk_doubles e = dfmk_row(tau + j * stride, i);
            dfmk_doubles other = dfmk_pcb_share(e, numbers + DFMK_PCB_NUMBERS * j);
            inter += dfmk_tanh(own * dfmk_pcb_signed(other, e));
        }
    } else {
        inter = dfmk_tanh(d * others);
    }
    dfmk_doubles balance = dfmk_exp(share * share * (double)count - shift) * inter;
    return rounds ? dfmk_widened(dfmk_narrowed(balance)) : balance;
}

/** The balances of model `m`. */
DFMK_INLINE void dfmk_pcb_balances(double *out, const double *tau, int64_t stride, int64_t count,
                                   int64_t m, int64_t n, const double *numbers, double shift,
                                   _Bool rounds, const int kind) {
    for (int64_t i = 0; i < n; i += DFMK_STEP) {
        dfmk_doubles others = dfmk_pcb_others(tau, stride, count, i, numbers, kind);
        *(dfmk_doubles_u *)(out + i) = dfmk_pcb_balance(
            tau, stride, count, m, i, numbers, others, shift, rounds, kind);
    }
}

/** The merged task vector `sum_m(c_m s_m sign(tau_m) c) / max(sum_m(s_m), 1e-12)`, `s_m` being what the
 * balance of model m is above t, as a share of the largest. */
DFMK_INLINE void dfmk_pcb_merge(double *out, const double *tau, int64_t stride, int64_t count,
                                int64_t n, const double *numbers, double shift, _Bool rounds,
                                const int kind) {
    for (int64_t i = 0; i < n; i += DFMK_STEP) {
        dfmk_doubles others = dfmk_pcb_others(tau, stride, count, i, numbers, kind);
        dfmk_doubles sum = 0, total = 0, least = (dfmk_doubles)0 + 1e-12;
        for (int64_t m = 0; m < count; m++) {
            const double *of = numbers + DFMK_PCB_NUMBERS * m;
            dfmk_doubles d = dfmk_row(tau + m * stride, i);
            dfmk_doubles balance = dfmk_pcb_balance(
                tau, stride, count, m, i, numbers, others, shift, rounds, kind);
            dfmk_doubles above = balance < of[3] ? (dfmk_doubles)0 : balance - of[3];
            dfmk_doubles scale = above * of[4];
            sum += scale * dfmk_pcb_signed(dfmk_pcb_clipped(d, of), d) * of[5];
            total += scale;
        }
        *(dfmk_doubles_u *)(out + i) = sum / (total < least ? least : total);
    }
}

#undef DFMK_PCB_NUMBERS
#undef DFMK_INLINE
#pragma clang diagnostic pop

#endif
