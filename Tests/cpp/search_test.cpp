// Searches: every callback in every form, what leaves them, and what is done to them meanwhile.
#include "problem.hpp"

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

using dfmerge::evaluation;
using dfmerge::fisher;
using dfmerge::options;
using dfmerge::progress;
using dfmerge::trial;

TEST_CASE("a search finds the goal and leaves the best candidate in the live memory") {
    const scratch folder;
    problem p;
    int measured = 0;
    std::int64_t last = 0;
    auto search =
        dfmerge::search({{"trials", 25}, {"tasks", {"score"}}}, p.base, {p.a, p.b}, p.target);
    search.set_evaluate([&](const trial &t) {
        CHECK(t.coefficients.size() == 2);
        CHECK(t.tasks == 1);
        return p.score();
    });
    search.set_fisher([&](fisher &values) {
        measured++;
        CHECK((values.model() == 0 || values.model() == 1));
        CHECK(std::isfinite(values.coefficient()));
        const std::vector<float> gradient = {1, 1, 1, 1};
        const double precise[] = {1, 0, 0, 0};
        const dfmerge::bf16 half[] = {{0x3F80}, {0}, {0}, {0}};
        values.accumulate("w", gradient, 0.5);
        values.accumulate("w", precise, 0.25);
        values.accumulate("w", half, 0.25);
        CHECK(values.data("w")[0] == doctest::Approx(1));
        CHECK(values.data("w")[3] == doctest::Approx(0.5));
        values.data("w")[0] = 0.5F;
    });
    search.set_progress([&](const progress &event) {
        if (event.phase == "trial") last = event.done;
    });
    search.run(folder / "journal.jsonl");
    CHECK(measured > 0);
    CHECK(last == 25);
    CHECK(p.score() > 0.95);
    CHECK(contains(search.result(), "\"best\""));
    CHECK(contains(search.describe(), "\"models\""));

    search.apply({1, 0}, 0);
    CHECK(p.live == p.first);
    search.apply(std::vector<double>{0, 0}, 0);
    CHECK(p.live == p.origin);
    CHECK_THROWS_AS(search.apply({1}, 0), dfmerge::argument_error);
    CHECK_THROWS_AS(search.apply({}, 0), dfmerge::argument_error);
    CHECK_THROWS_AS(search.apply({1, NAN}, 0), dfmerge::error);

    // The journal is continued by a new search; the finished run needs no evaluation.
    auto again =
        dfmerge::search({{"trials", 25}, {"tasks", {"score"}}}, p.base, {p.a, p.b}, p.target);
    again.set_evaluate([]() -> double { throw std::logic_error("must not be called"); });
    again.set_fisher([](fisher &values) { values.data("w")[0] = 0.5F; });
    CHECK_NOTHROW(again.run(folder / "journal.jsonl"));
}

TEST_CASE("evaluations may return what is natural") {
    problem p;
    const auto run = [&](auto &&callback, const dfmerge::json &tasks) {
        auto search = p.search({{"fisher", "none"}, {"tasks", tasks}});
        search.set_evaluate(std::forward<decltype(callback)>(callback));
        search.run();
        return search.result();
    };
    CHECK_NOTHROW(run([] { return 0.5; }, {"t"}));
    CHECK_NOTHROW(run([] { return 1; }, {"t"}));
    CHECK_NOTHROW(run([] { return 0.5F; }, {"t"}));
    CHECK_NOTHROW(run([](const trial &t) { return t.coefficients[0]; }, {"t"}));
    CHECK_NOTHROW(run([](trial) { return std::vector<double>{0.5, 0.25}; }, {"t", "u"}));
    CHECK_NOTHROW(run([] { return std::array<double, 2>{0.5, 0.25}; }, {"t", "u"}));
    CHECK_NOTHROW(run([]() -> evaluation { return {0.5, 0.25}; }, {"t", "u"}));
    CHECK_NOTHROW(run([] { return std::optional<double>(0.5); }, {"t"}));
    CHECK_NOTHROW(run([] { return dfmerge::result<double>(0.5); }, {"t"}));
    CHECK_NOTHROW(
        run(std::function<double(const trial &)>([](const trial &) { return 0.5; }), {"t"}));
    CHECK_NOTHROW(run([owned = std::make_unique<double>(0.5)] { return *owned; }, {"t"}));
    CHECK_NOTHROW(run([n = 0]() mutable { return ++n; }, {"t"}));
    const std::string told =
        run([] { return evaluation{0.5, 0.25}.with_variances({0.01, NAN}); }, {"t", "u"});
    CHECK(contains(told, "0.01"));
    struct member {
        double operator()(const trial &) const { return 0.5; }
    };
    CHECK_NOTHROW(run(member(), {"t"}));
    double (*pointer)() = [] { return 0.5; };
    CHECK_NOTHROW(run(pointer, {"t"}));
}

TEST_CASE("failed trials are recorded, and a run of them is an error") {
    problem p;
    auto search = p.search();
    int calls = 0;
    search.set_evaluate([&]() -> std::optional<double> {
        if (calls++ == 1) return std::nullopt;
        return p.score();
    });
    search.run();
    CHECK(calls == 4);
    auto hopeless = p.search();
    hopeless.set_evaluate([] { return evaluation::failed(); });
    CHECK_THROWS_AS(hopeless.run(), dfmerge::numerical_error);
    auto blind = p.search();
    blind.set_evaluate([] { return NAN; });
    CHECK(blind.try_run().error().code() == dfmerge::status::all_trials_failed);
}

TEST_CASE("wrong numbers of scores stop the run and say so") {
    problem p;
    auto search = p.search({{"fisher", "none"}, {"tasks", {"t", "u"}}});
    search.set_evaluate([] { return 0.5; });
    auto outcome = search.try_run();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().code() == dfmerge::status::invalid_argument);
    CHECK(contains(outcome.error().what(), "returned 1 scores; the search has 2 tasks"));
    search.set_evaluate([] { return evaluation{0.5, 0.5}.with_variances({1, 1, 1}); });
    CHECK(contains(search.try_run().error().what(), "returned 3 variances"));
    search.set_evaluate([] { return std::vector<double>(); });
    CHECK_THROWS_AS(search.run(), dfmerge::argument_error);
}

/// An exception with a payload that no other class has.
struct own_exception {
    std::unique_ptr<std::string> text;
    own_exception(const char *words) : text(std::make_unique<std::string>(words)) {}
    own_exception(const own_exception &other) : text(std::make_unique<std::string>(*other.text)) {}
};

TEST_CASE("what callbacks throw comes out of the call unchanged") {
    problem p;
    auto search = p.search({{"fisher", "static"}});
    search.set_fisher([](fisher &values) { values.data("w")[0] = 1; });
    search.set_evaluate([&]() -> double { throw own_exception("evaluation"); });
    try {
        search.run();
        FAIL("nothing was thrown");
    } catch (const own_exception &thrown) {
        CHECK(*thrown.text == "evaluation");
    }
    // The same as a value, for those who do not catch.
    const auto outcome = search.try_run();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().code() == dfmerge::status::callback_failed);
    CHECK_THROWS_AS(std::rethrow_exception(outcome.error().cause()), own_exception);
    CHECK_THROWS_AS(outcome.value(), own_exception);

    // The same search goes on with other callbacks.
    search.set_evaluate([&] { return p.score(); });
    search.set_progress([](const progress &) { throw 3; });
    CHECK_THROWS_AS(search.run(), int);
    search.set_progress([](const progress &) {});
    CHECK_NOTHROW(search.run());

    auto other = p.search({{"fisher", "static"}});
    other.set_fisher([](fisher &values) { values.data("no such tensor"); });
    other.set_evaluate([&] { return p.score(); });
    CHECK_THROWS_AS(other.run(), dfmerge::argument_error);
    CHECK_THROWS_AS(other.apply({0.5, 0.5}, 1), dfmerge::argument_error);
    other.set_fisher([](fisher &values) { values.accumulate("w", std::vector<float>{1, 2}, 1); });
    CHECK(other.try_run().error().code() == dfmerge::status::callback_failed);
    CHECK_THROWS_AS(other.run(), dfmerge::argument_error);
    other.set_fisher(
        [](fisher &values) { return values.try_accumulate("w", std::vector<float>{1, 2}, 1); });
    CHECK(other.try_run().error().code() == dfmerge::status::shape_mismatch);
}

TEST_CASE("callbacks stop a run without exceptions") {
    problem p;
    auto search = p.search({{"fisher", "static"}});
    const auto code = [&] { return search.try_run().error().code(); };
    search.set_fisher([](fisher &) { return false; });
    search.set_evaluate([&] { return p.score(); });
    CHECK(code() == dfmerge::status::callback_failed);
    search.set_fisher([](fisher &values) { return values.data("w")[0] = 1, true; });
    search.set_evaluate([] { return evaluation::stop(); });
    CHECK(code() == dfmerge::status::callback_failed);
    search.set_evaluate([]() -> dfmerge::result<double> {
        return dfmerge::error(dfmerge::status::io_failure, "the data set is gone");
    });
    CHECK(code() == dfmerge::status::io_failure);
    search.set_evaluate([&] { return p.score(); });
    search.set_progress([](const progress &) { return false; });
    CHECK(code() == dfmerge::status::callback_failed);
    search.set_progress([](const progress &) { return true; });
    CHECK_NOTHROW(search.run());
}

TEST_CASE("a search without callbacks, or with empty ones") {
    problem p;
    auto search = p.search();
    CHECK(search.try_run().error().code() == dfmerge::status::invalid_state);
    CHECK(search.try_set_evaluate(std::function<double()>()).error().code() ==
          dfmerge::status::null_pointer);
    double (*pointer)() = nullptr;
    CHECK_THROWS_AS(search.set_evaluate(pointer), dfmerge::argument_error);
    CHECK(search.try_set_evaluate_subset([] { return 1.0; }).error().code() ==
          dfmerge::status::invalid_state);
    CHECK(search.try_result().error().code() == dfmerge::status::all_trials_failed);
    CHECK(search.try_run(std::string("a\0b", 3)).error().code() ==
          dfmerge::status::invalid_argument);
}

TEST_CASE("a first stage on a subset") {
    problem p;
    auto search = p.search({{"fisher", "none"}, {"subset_share", 0.25}}, 6);
    int subset = 0;
    int whole = 0;
    search.set_evaluate_subset([&] { return subset++, p.score() - 0.01; });
    search.set_evaluate([&] { return whole++, p.score(); });
    search.run();
    CHECK(subset > 0);
    CHECK(whole > 0);
    auto other = p.search({{"fisher", "none"}, {"subset_share", 0.25}}, 6);
    other.set_evaluate([&] { return p.score(); });
    CHECK(other.try_run().error().code() == dfmerge::status::invalid_state);
    other.set_evaluate_subset([]() -> double { throw 5; });
    CHECK_THROWS_AS(other.run(), int);
}

TEST_CASE("a search moves with its callbacks set, before and during a run") {
    problem p;
    auto first = p.search();
    int calls = 0;
    first.set_evaluate([&] { return calls++, p.score(); });
    dfmerge::search second = std::move(first);
    CHECK(first.native() == nullptr);
    CHECK(first.try_run().error().code() == dfmerge::status::null_pointer);
    CHECK(first.try_set_evaluate([] { return 1.0; }).error().code() ==
          dfmerge::status::null_pointer);
    CHECK(first.try_apply({0, 0}, 0).error().code() == dfmerge::status::null_pointer);
    second.run();
    CHECK(calls == 4);
    first = std::move(second);
    CHECK(contains(first.result(), "\"best\""));
    first = p.search();
    first.set_evaluate([&] { return calls++, p.score(); });
    first.run();
    CHECK(calls == 8);

    std::vector<dfmerge::search> moved;
    auto source = p.search();
    source.set_evaluate([&] {
        if (moved.empty()) moved.push_back(std::move(source));
        return p.score();
    });
    CHECK_NOTHROW(source.run());
    CHECK(moved.size() == 1);
    CHECK(contains(moved[0].result(), "\"best\""));
}

TEST_CASE("a search may be destroyed by its own callback") {
    problem p;
    auto search = std::make_unique<dfmerge::search>(p.search());
    const auto alive = std::make_shared<int>(0);
    search->set_evaluate([&, alive] {
        search.reset();
        return ++*alive + p.score();
    });
    auto *raw = search.get();
    const auto outcome = raw->try_run();
    CHECK(outcome);
    CHECK(*alive == 4);
    CHECK(alive.use_count() == 1);
}

TEST_CASE("a search is not used from inside its callbacks") {
    problem p;
    auto search = p.search();
    std::vector<dfmerge::status> codes;
    search.set_evaluate([&] {
        const auto note = [&](const auto &outcome) {
            codes.push_back(outcome ? dfmerge::status::ok : outcome.error().code());
        };
        note(search.try_run());
        note(search.try_apply({0, 0}, 0));
        note(search.try_set_evaluate([] { return 0.0; }));
        note(search.try_set_progress([](const progress &) {}));
        note(search.try_describe());
        note(search.try_result());
        return p.score();
    });
    CHECK_NOTHROW(search.run());
    CHECK(codes == std::vector<dfmerge::status>(24, dfmerge::status::invalid_state));
    // An inner failure that is not caught is the reason for which the outer run stops.
    auto nested = p.search();
    nested.set_evaluate([&] { return nested.run(), 1.0; });
    CHECK_THROWS_AS(nested.run(), dfmerge::argument_error);
}

TEST_CASE("another search may be run from inside a callback") {
    problem p;
    problem q;
    auto inner = q.search();
    inner.set_evaluate([&] { return q.score(); });
    auto outer = p.search();
    int runs = 0;
    outer.set_evaluate([&] { return inner.run(), runs++, p.score(); });
    outer.run();
    CHECK(runs == 4);
}

TEST_CASE("Fisher values kept beyond their callback are refused") {
    problem p;
    auto search = p.search({{"fisher", "static"}});
    dfm_fisher *kept = nullptr;
    search.set_fisher([&](fisher &values) {
        kept = values.native();
        values.data("w")[0] = 1;
    });
    search.set_evaluate([&] { return p.score(); });
    search.run();
    fisher late(kept, 0, 0);
    CHECK(late.try_data("w").error().code() == dfmerge::status::wrong_handle);
}

TEST_CASE("a flag that another thread raises stops a run") {
    problem p;
    dfmerge::cancel_flag stop;
    auto search = p.search({{"fisher", "none"}}, 1000000, &stop);
    std::thread other;
    search.set_evaluate([&] {
        if (!other.joinable()) other = std::thread([&] { stop.request(); });
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return p.score();
    });
    const auto outcome = search.try_run();
    other.join();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().code() == dfmerge::status::cancelled);
    CHECK(outcome.error().kind() == dfmerge::error_kind::stopped);
    CHECK(contains(search.result(), "\"best\""));
}

TEST_CASE("two searches in two threads") {
    std::array<double, 2> scores{};
    std::vector<std::thread> threads;
    for (double &score : scores) {
        threads.emplace_back([&score] {
            problem p;
            auto search = p.search({{"fisher", "none"}}, 10);
            search.set_evaluate([&] { return p.score(); });
            search.run();
            score = p.score();
        });
    }
    for (auto &thread : threads) thread.join();
    CHECK(scores[0] == scores[1]);
}

TEST_CASE("wrong searches") {
    problem p;
    const auto code = [](const dfmerge::result<dfmerge::search> &made) {
        return made ? dfmerge::status::ok : made.error().code();
    };
    using dfmerge::search;
    using dfmerge::status;
    CHECK(code(search::try_create({}, p.base, {}, p.target)) == status::invalid_argument);
    CHECK(code(search::try_create({}, p.base, {p.a, p.a}, p.target)) == status::invalid_argument);
    CHECK(code(search::try_create({}, p.base, {p.a, nullptr}, p.target)) == status::null_pointer);
    CHECK(code(search::try_create({}, p.base, {p.a}, p.base)) != status::ok);
    dfmerge::weights moved = std::move(p.b);
    CHECK(code(search::try_create({}, p.base, {p.a, p.b}, p.target)) == status::null_pointer);
    CHECK_THROWS_AS(search({{"trial", 1}}, p.base, {p.a}, p.target), dfmerge::argument_error);
    dfm_search *raw = nullptr;
    dfm_weights *models[] = {p.a.native()};
    REQUIRE(dfm_search_create(R"({"fisher":"none","trials":2,"initial":2})", p.base.native(),
                              models, 1, p.target.native(), nullptr, &raw) == DFM_OK);
    auto adopted = search::adopt(raw);
    adopted.set_evaluate([&] { return p.score(); });
    CHECK_NOTHROW(adopted.run());
}
