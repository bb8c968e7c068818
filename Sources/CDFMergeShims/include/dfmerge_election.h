#ifndef DFMERGE_ELECTION_H
#define DFMERGE_ELECTION_H

#include "dfmerge_stream.h"

/* Sign election over task vectors, a step at a time. The terms of an element are
 *     v_m = f_m d_m where t_m <= |d_m| <= u_m, otherwise nothing;
 * d_m is x_m - b, or x_m itself where the inputs are `changes`. `numbers` holds t_m, u_m, f_m and the
 * weight w_m of one model after the other. In C for the choices by vector comparisons, which become
 * masked instructions where the CPU has them. */

/* What a comparison of doubles gives: -1 for true, in every bit. */
typedef __typeof__((dfmk_doubles){0} < (dfmk_doubles){0}) dfmk_flags;

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"
#pragma STDC FP_CONTRACT OFF

#define DFMK_INLINE static inline __attribute__((always_inline))

enum { DFMK_MEAN = 0, DFMK_SUM = 1, DFMK_LARGEST = 2 };
/* Whose sign is elected: that of the sum of the terms, of most terms, of the sum of differences. */
enum { DFMK_BY_MASS = 0, DFMK_BY_COUNT = 1, DFMK_BY_PLAIN_MASS = 2 };

/* Numbers per model. */
#define DFMK_NUMBERS 4

/* What the terms of a step come to, those above and those below 0 apart. Terms that are NaN are
 * with those above, so that `up` is NaN. */
typedef struct {
    dfmk_doubles up, down, up_weight, down_weight, votes, against, top, bottom;
} dfmk_ballot;

DFMK_INLINE dfmk_ballot dfmk_count_terms(dfmk_doubles b, const dfmk_model *models,
                                         const double *numbers, int64_t count, int64_t i,
                                         const int vote, const int aggregate) {
    dfmk_ballot t = {0, 0, 0, 0, 0, 0, 0, 0};
    for (int64_t m = 0; m < count; m++, numbers += DFMK_NUMBERS) {
        dfmk_doubles d = dfmk_load(models[m].x, i) - b, size = __builtin_elementwise_abs(d);
        dfmk_doubles v = d * numbers[2];
        dfmk_flags kept = ~((size < numbers[0]) | (size > numbers[1]));
        dfmk_doubles side = vote == DFMK_BY_PLAIN_MASS ? d : v;
        dfmk_flags above = kept & ~(side <= 0), below = kept & (side < 0);
        t.up = above ? t.up + v : t.up;
        t.down = below ? t.down + v : t.down;
        if (aggregate == DFMK_MEAN) {
            t.up_weight = above ? t.up_weight + numbers[3] : t.up_weight;
            t.down_weight = below ? t.down_weight + numbers[3] : t.down_weight;
        }
        if (aggregate == DFMK_LARGEST) {
            t.top = (kept & (v > t.top)) ? v : t.top;
            t.bottom = (kept & (v < t.bottom)) ? v : t.bottom;
        }
        if (vote == DFMK_BY_COUNT) {
            t.votes = above ? t.votes + 1 : t.votes;
            t.votes = below ? t.votes - 1 : t.votes;
        }
        if (vote == DFMK_BY_PLAIN_MASS) {
            t.votes = above ? t.votes + d : t.votes;
            t.against = below ? t.against + d : t.against;
        }
    }
    return t;
}

/** Above 0 where the sign + is elected, below 0 where - is. */
DFMK_INLINE dfmk_doubles dfmk_result(dfmk_ballot t, const int vote) {
    return vote == DFMK_BY_MASS ? t.up + t.down : t.votes + t.against;
}

/** `out = b + scale * a`; `a` is what the terms of the elected sign come to. */
DFMK_INLINE void dfmk_elect(dfmk_output out, dfmk_input base, const dfmk_model *models,
                            const double *numbers, int64_t count, int64_t n, _Bool changes,
                            const int vote, const int aggregate, double zero_sign,
                            double scale, double least_weight, dfmk_noticed *noticed) {
    const dfmk_flags tie_is_up = (dfmk_flags)(zero_sign > 0 ? -1 : 0);
    const dfmk_flags tie_is_down = (dfmk_flags)(zero_sign < 0 ? -1 : 0);
    dfmk_tally tally = {0};
    for (int64_t i = 0; i < n; i += DFMK_STEP) {
        dfmk_doubles b = dfmk_load(base, i), none = 0, a;
        dfmk_doubles under = changes ? none : b;
        dfmk_ballot t = dfmk_count_terms(under, models, numbers, count, i, vote, aggregate);
        dfmk_doubles sum = t.up + t.down, result = dfmk_result(t, vote);
        dfmk_flags up = (result > 0) | ((result == 0) & tie_is_up);
        dfmk_flags down = (result < 0) | ((result == 0) & tie_is_down);
        if (aggregate == DFMK_LARGEST) {
            a = up ? t.top : down ? t.bottom : none;
        } else {
            a = up ? t.up : down ? t.down : none;
        }
        if (aggregate == DFMK_MEAN) {
            dfmk_doubles weight = up ? t.up_weight : t.down_weight;
            weight = weight == 0 ? none + 1 : weight;
            a = a / (weight < least_weight ? none + least_weight : weight);
        }
        a = sum != sum ? sum : a;
        dfmk_store(out, i, b + a * scale, &tally);
    }
    dfmk_finish(out, &tally, noticed);
}

/** `out = b + sum(v_m)`: no election. */
DFMK_INLINE void dfmk_add_terms(dfmk_output out, dfmk_input base, const dfmk_model *models,
                                const double *numbers, int64_t count, int64_t n, _Bool changes,
                                dfmk_noticed *noticed) {
    dfmk_tally tally = {0};
    for (int64_t i = 0; i < n; i += DFMK_STEP) {
        dfmk_doubles b = dfmk_load(base, i), sum = 0, under = changes ? sum : b;
        for (int64_t m = 0; m < count; m++) {
            const double *of = numbers + DFMK_NUMBERS * m;
            dfmk_doubles d = dfmk_load(models[m].x, i) - under;
            dfmk_doubles size = __builtin_elementwise_abs(d);
            dfmk_flags dropped = (size < of[0]) | (size > of[1]);
            sum = dropped ? sum : sum + d * of[2];
        }
        dfmk_store(out, i, b + sum, &tally);
    }
    dfmk_finish(out, &tally, noticed);
}

/** The number of elements whose vote is above 0 less that of those below. */
DFMK_INLINE int64_t dfmk_sign_balance(dfmk_input base, const dfmk_model *models,
                                      const double *numbers, int64_t count, int64_t n,
                                      _Bool changes, const int vote) {
    dfmk_flags balance = 0;
    for (int64_t i = 0; i < n; i += DFMK_STEP) {
        dfmk_doubles none = 0, b = changes ? none : dfmk_load(base, i);
        dfmk_ballot t = dfmk_count_terms(b, models, numbers, count, i, vote, DFMK_SUM);
        dfmk_doubles result = dfmk_result(t, vote);
        balance += (result < 0) - (result > 0);
    }
    return __builtin_reduce_add(balance);
}

#undef DFMK_NUMBERS
#undef DFMK_INLINE
#pragma clang diagnostic pop

#endif
