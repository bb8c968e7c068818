// The model of search.cpp: a network of two layers with one output, its gradient, and the task.
// Upper right and lower left are class 1; the left and the right side are two tasks.
#ifndef NETWORK_HPP
#define NETWORK_HPP

#include <dfmerge.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

constexpr std::size_t hidden = 16;

using point = std::array<float, 2>;

inline bool label(const point &x) { return x[0] * x[1] > 0; }
inline std::size_t side(const point &x) { return x[0] > 0; }

// The parameters, or their gradient.
struct network {
    std::vector<float> w1 = std::vector<float>(2 * hidden);
    std::vector<float> b1 = std::vector<float>(hidden), w2 = b1, b2 = {0};

    // The probability of class 1, and the gradient of its logit.
    double forward(const point &x, network &gradient) const {
        double logit = b2[0];
        for (std::size_t i = 0; i < hidden; i++) {
            const float h = std::tanh(w1[2 * i] * x[0] + w1[2 * i + 1] * x[1] + b1[i]);
            logit += w2[i] * h;
            gradient.w2[i] = h;
            gradient.b1[i] = w2[i] * (1 - h * h);
            for (std::size_t j : {0, 1}) gradient.w1[2 * i + j] = gradient.b1[i] * x[j];
        }
        gradient.b2[0] = 1;
        return 1 / (1 + std::exp(-logit));
    }

    // A step of gradient descent.
    void step(const point &x, network &gradient) {
        const auto rate = static_cast<float>(0.1 * (label(x) - forward(x, gradient)));
        const auto add = [rate](std::vector<float> &to, const std::vector<float> &from) {
            for (std::size_t i = 0; i < to.size(); i++) to[i] += rate * from[i];
        };
        add(w1, gradient.w1), add(b1, gradient.b1), add(w2, gradient.w2), add(b2, gradient.b2);
    }

    // The share of right answers on each side.
    std::vector<double> accuracy(const std::vector<point> &points) const {
        std::vector<double> right(2), all(2);
        network unused;
        for (const point &x : points) {
            all[side(x)]++;
            right[side(x)] += (forward(x, unused) > 0.5) == label(x);
        }
        return {right[0] / all[0], right[1] / all[1]};
    }

    // Lends the tensors, which stay this object's: to be written (live weights), or only read.
    void lend(dfmerge::weights &to) {
        lend(*this, [&](auto &&...tensor) { to.add_writable(tensor...); });
    }
    void lend(dfmerge::weights &to) const {
        lend(*this, [&](auto &&...tensor) { to.add(tensor...); });
    }
    template <class Self, class Add> static void lend(Self &self, Add add) {
        add("hidden.weight", self.w1, dfmerge::shape{hidden, 2});
        add("hidden.bias", self.b1);
        add("output.weight", self.w2);
        add("output.bias", self.b2, dfmerge::shape{});
    }
};

#endif
