/* The model of search.c: a network of two layers with one output, its data, gradient and training.
 * Upper right and lower left are class 1; even samples are for training, half of the odd ones for
 * the scores that the search sees, the other half for those that are told at the end. */
#ifndef NETWORK_H
#define NETWORK_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { HIDDEN = 16, SIZE = 4 * HIDDEN + 1, SAMPLES = 800, TENSORS = 4 };
/* The first sample of those that are not trained on; every fourth one follows. */
enum { VALIDATION = 1, TEST = 3 };

/* The parameters are SIZE floats in a row; which of them are which tensor. */
static const struct {
    const char *name;
    int64_t first, count, rank, shape[2];
} tensors[TENSORS] = {{"hidden.weight", 0, 2 * HIDDEN, 2, {HIDDEN, 2}},
                      {"hidden.bias", 2 * HIDDEN, HIDDEN, 1, {HIDDEN, 0}},
                      {"output.weight", 3 * HIDDEN, HIDDEN, 1, {HIDDEN, 0}},
                      {"output.bias", 4 * HIDDEN, 1, 0, {0, 0}}};

static float inputs[SAMPLES][2];

static int label(const float *x) { return x[0] * x[1] > 0; }
static int side(const float *x) { return x[0] > 0; }

/* Numbers from -1 to 1, the same ones in every run. */
static void fill(float *values, int count) {
    static uint32_t state = 1;
    for (int i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 8) / (float)(1 << 23) - 1;
    }
}

/* The probability of class 1, and the gradient of its logit. */
static double forward(const float *net, const float *x, float *gradient) {
    const float *w1 = net, *b1 = net + 2 * HIDDEN, *w2 = net + 3 * HIDDEN;
    double logit = net[4 * HIDDEN];
    for (int i = 0; i < HIDDEN; i++) {
        double h = tanh(w1[2 * i] * x[0] + w1[2 * i + 1] * x[1] + b1[i]);
        float back = (float)(w2[i] * (1 - h * h));
        logit += w2[i] * h;
        gradient[2 * i] = back * x[0];
        gradient[2 * i + 1] = back * x[1];
        gradient[2 * HIDDEN + i] = back;
        gradient[3 * HIDDEN + i] = (float)h;
    }
    gradient[4 * HIDDEN] = 1;
    return 1 / (1 + exp(-logit));
}

/* Stochastic gradient descent on one side of the data, or on both (which = 2). */
static void train(float *net, int which, int epochs) {
    float gradient[SIZE];
    for (int step = 0; step < epochs * SAMPLES; step += 2) {
        const float *x = inputs[step % SAMPLES];
        if (which < 2 && side(x) != which) continue;
        double error = label(x) - forward(net, x, gradient);
        for (int i = 0; i < SIZE; i++) net[i] += (float)(0.1 * error) * gradient[i];
    }
}

/* The share of right answers on each side of the samples VALIDATION or TEST. */
static void accuracy(const float *net, int first, double *scores) {
    float gradient[SIZE];
    int right[2] = {0, 0}, all[2] = {0, 0};
    for (int i = first; i < SAMPLES; i += 4) {
        int guess = forward(net, inputs[i], gradient) > 0.5;
        all[side(inputs[i])]++;
        right[side(inputs[i])] += guess == label(inputs[i]);
    }
    for (int task = 0; task < 2; task++) scores[task] = (double)right[task] / all[task];
}

#endif
