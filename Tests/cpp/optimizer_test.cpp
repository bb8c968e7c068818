// The optimizer: the loop, everything beside it, and several threads.
#include "problem.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <thread>

using dfmerge::optimizer;
using dfmerge::options;

static options space(options more = {}) {
    return more.set("parameters", {options{{"name", "rate"}, {"low", 0}, {"high", 1}},
                                   options{{"name", "scale"}, {"low", 0}, {"high", 2}}});
}

static double score(const std::vector<double> &point) {
    return 1 - std::pow(point[0] - 0.3, 2) - std::pow(point[1] - 1.2, 2) / 4;
}

TEST_CASE("ask and tell to the end of the budget, and on from the journal") {
    const scratch folder;
    {
        optimizer search(space({{"trials", 20}}), folder / "o.jsonl");
        CHECK(search.dimension() == 2);
        CHECK(search.best() == "null");
        while (search.stop_reason().empty()) {
            for (const auto &asked : search.ask(2)) {
                REQUIRE(asked.point.size() == 2);
                search.tell(asked.number, score(asked.point));
            }
        }
        CHECK(search.stop_reason() == "trials");
        CHECK(contains(search.best(), "\"params\""));
        const auto expected = search.predict({0.3, 1.2, 1.0, 0.0});
        REQUIRE(expected.size() == 2);
        CHECK(expected[0].mean == doctest::Approx(1).epsilon(0.02));
        CHECK(expected[0].mean > expected[1].mean);
        CHECK(search.predict({}).empty());
        const auto locked = optimizer::try_create(space({{"trials", 20}}), folder / "o.jsonl");
        CHECK(locked.error().code() == dfmerge::status::file_locked);
    }
    const optimizer again(space({{"trials", 20}}), folder / "o.jsonl");
    CHECK(again.stop_reason() == "trials");
    CHECK(contains(again.trials(), "\"rate\""));
    CHECK(contains(again.result(), "\"best\""));
}

TEST_CASE("points that fail, are withdrawn, given and known") {
    optimizer search(space({{"trials", 20}, {"tasks", {"t", "u"}}}));
    search.enqueue({0.25, 0.5, 0.75, 1.5});
    CHECK(search.ask().point == std::vector<double>{0.25, 0.5});
    const auto second = search.ask();
    CHECK(second.point == std::vector<double>{0.75, 1.5});
    search.withdraw(second.number);
    search.tell(0, {0.5, 0.6}, {0.01, NAN});
    CHECK(search.try_tell(0, {0.5, 0.6}).error().code() == dfmerge::status::invalid_state);
    const auto third = search.ask();
    search.tell_failed(third.number, "out of memory");
    search.tell_failed(search.ask().number);
    CHECK(contains(search.trials(), "out of memory"));
    CHECK(search.observe({0.3, 1.2}, {0.9, 0.8}) > third.number);
    CHECK(search.observe(std::vector<double>{0.4, 1.1}, {0.9, 0.8}, {0.1, 0.1}) > 0);
    CHECK_NOTHROW(search.enqueue({0.3, 1.2}, true));
    CHECK(search.ask().point == std::vector<double>{0.3, 1.2});
}

TEST_CASE("a first stage") {
    optimizer search(space({{"trials", 10}, {"subset_share", 0.25}}));
    const auto asked = search.ask();
    if (search.tell_subset(asked.number, {0.5})) search.tell(asked.number, 0.6);
    CHECK(contains(search.trials(), "0.5"));
    optimizer plain(space());
    const auto number = plain.ask().number;
    CHECK(plain.try_tell_subset(number, {0.5}).error().code() == dfmerge::status::invalid_state);
}

TEST_CASE("wrong calls are refused before anything is written") {
    optimizer search(space());
    const auto invalid = dfmerge::status::invalid_argument;
    CHECK(search.try_ask(0).error().code() == invalid);
    CHECK(search.try_ask(-1).error().code() == invalid);
    CHECK(search.try_ask(INT64_MAX).error().code() == invalid);
    CHECK(search.try_enqueue({0.5}).error().code() == invalid);
    CHECK(contains(search.try_enqueue({0.5}).error().what(), "1 values, no multiple of the 2"));
    CHECK(search.try_enqueue({0.5, 5}).error().code() == invalid);
    CHECK(search.try_predict({0.5, 0.5, 0.5}).error().code() == invalid);
    CHECK(search.try_predict({0.5, 0.5}).error().code() == dfmerge::status::invalid_state);
    CHECK(search.try_observe({0.5}, {1}).error().code() == invalid);
    CHECK(search.try_observe({0.5, 0.5}, {NAN}).error().code() == dfmerge::status::non_finite);
    CHECK(search.try_tell(0, {1, 2}).error().code() == invalid);
    CHECK(search.try_tell(0, {1}, {1, 2}).error().code() == invalid);
    CHECK_FALSE(search.try_tell(99, 1));
    CHECK_FALSE(search.try_tell_failed(0, std::string("a\0b", 3)));
    CHECK_FALSE(optimizer::try_create({}));
    CHECK_FALSE(optimizer::try_create(R"({"parameters": []})"));
    CHECK_FALSE(optimizer::try_create(space({{"trails", 3}})));
    CHECK_THROWS_AS(optimizer(options("{")), dfmerge::format_error);
    CHECK_THROWS_AS(optimizer(space(), "/no/such/folder/o.jsonl"), dfmerge::io_error);
}

TEST_CASE("moves") {
    optimizer first(space());
    optimizer second = std::move(first);
    CHECK(first.try_ask().error().code() == dfmerge::status::null_pointer);
    CHECK(first.try_best().error().code() == dfmerge::status::null_pointer);
    CHECK(second.ask().number == 0);
    first = std::move(second);
    CHECK(first.ask().number == 1);
    dfm_optimizer *raw = nullptr;
    REQUIRE(dfm_optimizer_create(space().text().c_str(), nullptr, &raw) == DFM_OK);
    CHECK(optimizer::try_adopt(raw)->dimension() == 2);
    CHECK_FALSE(optimizer::try_adopt(nullptr));
}

TEST_CASE("the number of parameters is learned, whatever it is") {
    for (const int size : {1, 7, 300}) {
        std::vector<options> parameters;
        for (int i = 0; i < size; i++)
            parameters.push_back({{"name", "p" + std::to_string(i)}, {"low", 0}, {"high", 1}});
        optimizer search({{"parameters", parameters}});
        CHECK(search.dimension() == static_cast<std::size_t>(size));
        CHECK(search.ask().point.size() == static_cast<std::size_t>(size));
    }
}

TEST_CASE("workers in several threads") {
    optimizer search(space({{"trials", 12}}));
    std::vector<std::thread> workers;
    for (int i = 0; i < 3; i++) {
        workers.emplace_back([&] {
            for (int j = 0; j < 4; j++) {
                const auto asked = search.ask();
                search.tell(asked.number, score(asked.point));
            }
        });
    }
    for (auto &worker : workers) worker.join();
    CHECK(search.stop_reason() == "trials");
}
