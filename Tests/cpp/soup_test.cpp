// A search with the strategy greedy_soup.
#include "problem.hpp"

#include <doctest/doctest.h>

#include <vector>

TEST_CASE("a greedy soup averages only what helps") {
    problem p;
    std::vector<std::vector<double>> seen;
    auto search = dfmerge::search({{"strategy", "greedy_soup"}}, p.base, {p.a, p.b}, p.target);
    search.set_evaluate([&](const dfmerge::trial &t) {
        seen.emplace_back(t.coefficients.begin(), t.coefficients.end());
        return p.score();
    });
    search.run();
    CHECK(seen == std::vector<std::vector<double>>{{1, 0}, {0, 1}, {0.5, 0.5}});
    // The average is further from the goal than the first model alone.
    CHECK(p.live == p.first);
    CHECK(contains(search.result(), "\"models\":[\"a\"]"));
    CHECK(contains(search.result(), "\"ended\":\"complete\""));
    CHECK_THROWS_AS(p.search({{"strategy", "greedy_soup"}}), dfmerge::argument_error);
}
