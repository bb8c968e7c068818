// A DF-Merge search through the C++ wrapper: a small network, fine-tuned on the left and on the
// right half of a task, merged by the accuracy of one lambda, weighted by the Fisher values of
// another. With dfmerge installed (and PKG_CONFIG_PATH=PREFIX/lib/pkgconfig where PREFIX is a place
// of your own):
//
//     g++ -std=c++17 -Wall search.cpp $(pkg-config --cflags --libs dfmerge) -o search
//     export LD_LIBRARY_PATH=$(pkg-config --variable=libdir dfmerge)
//     ./search search.jsonl merged.safetensors
#include "network.hpp"

#include <dfmerge.hpp>

#include <algorithm>
#include <iostream>
#include <random>
#include <utility>

int main(int argc, char **argv) try {
    if (argc != 3) return std::cerr << "usage: " << argv[0] << " JOURNAL MERGED.safetensors\n", 2;
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::vector<point> train(200), validation(200), test(400);
    for (auto *points : {&train, &validation, &test})
        for (point &x : *points) x = {uniform(random), uniform(random)};

    network start, gradient, live;
    for (auto *tensor : {&start.w1, &start.b1, &start.w2})
        std::generate(tensor->begin(), tensor->end(), [&] { return uniform(random); });
    for (int epoch = 0; epoch < 3; epoch++)
        for (const point &x : train) start.step(x, gradient);
    std::array<network, 2> tuned = {start, start};
    for (int epoch = 0; epoch < 20; epoch++)
        for (const point &x : train) tuned[side(x)].step(x, gradient);

    dfmerge::weights base("base"), left("left"), right("right"), target("live");
    std::as_const(start).lend(base);
    std::as_const(tuned[0]).lend(left);
    std::as_const(tuned[1]).lend(right);
    live.lend(target);

    dfmerge::search search({{"trials", 30}, {"tasks", {"left", "right"}}}, base, {left, right},
                           target);
    search.set_evaluate([&](const dfmerge::trial &) { return live.accuracy(validation); });
    // The mean of p (1 - p) (gradient of the logit)^2 over the samples that the model was tuned on.
    search.set_fisher([&](dfmerge::fisher &values) {
        for (const point &x : train) {
            if (side(x) != static_cast<std::size_t>(values.model())) continue;
            const double p = live.forward(x, gradient);
            const double weight = p * (1 - p) / 100;
            network::lend(gradient, [&](const char *name, const std::vector<float> &g, auto &&...) {
                values.accumulate(name, g, weight);
            });
        }
    });
    search.run(argv[1]);
    target.save(argv[2]); // the best candidate stands in `live` now

    const auto mean = [&](const network &net) {
        return (net.accuracy(test)[0] + net.accuracy(test)[1]) / 2;
    };
    std::cout << "left alone " << mean(tuned[0]) << ", right alone " << mean(tuned[1])
              << ", merged " << mean(live) << " in " << argv[2] << '\n';
    return mean(live) > std::max(mean(tuned[0]), mean(tuned[1])) + 0.1 ? 0 : 1;
} catch (const dfmerge::error &failure) {
    return std::cerr << failure.name() << ": " << failure.what() << '\n', 1;
}
